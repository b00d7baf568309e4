//! What the server lists, and its resources.
use rmcp::{
    ServiceError,
    model::{ProtocolVersion, ReadResourceRequestParams, ResourceContents},
};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::session::{Client, connect, connect_with, pretty};

async fn read(client: &Client, uri: &str) -> Result<String, ServiceError> {
    let result = client.read_resource(ReadResourceRequestParams::new(uri)).await?;
    match result.contents.as_slice() {
        [ResourceContents::TextResourceContents { text, .. }] => Ok(text.clone()),
        other => panic!("one text expected, not {other:?}"),
    }
}

#[tokio::test]
async fn both_revisions_shake_hands() {
    for revision in [ProtocolVersion::V_2025_06_18, ProtocolVersion::V_2025_11_25] {
        let client = connect_with(revision.clone()).await;
        let peer = client.peer_info().expect("the server introduced itself");
        assert_eq!(peer.protocol_version, revision);
        assert_eq!(client.list_all_tools().await.expect("tools").len(), 3);
    }
}

/// The bytes on the wire, without any client library in between.
#[tokio::test]
async fn raw_frames() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let running = rmcp::ServiceExt::serve(tagout_grid::server(), theirs).await;
        drop(running.expect("the handshake succeeds").waiting().await);
    });
    let (input, mut output) = tokio::io::split(ours);
    let mut lines = BufReader::new(input).lines();
    let frames = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"0"}}}"#,
        "\n",
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":"grid://topology/texas"}}"#,
        "\n",
    );
    output.write_all(frames.as_bytes()).await.expect("the server reads");
    let mut transcript = String::new();
    for _ in 0..2 {
        let line = lines.next_line().await.expect("the server writes").expect("a line");
        let frame: Value = serde_json::from_str(&line).expect("JSON");
        transcript += &format!("{}\n", pretty(&frame));
    }
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn lists() {
    let client = connect().await;
    insta::assert_snapshot!("tools", pretty(&client.list_all_tools().await.expect("tools")));
    let resources = client.list_all_resources().await.expect("resources");
    let templates = client.list_all_resource_templates().await.expect("templates");
    insta::assert_snapshot!("resources", pretty(&(resources, templates)));
}

#[tokio::test]
async fn effects_name_every_tool() {
    let client = connect().await;
    let tools = client.list_all_tools().await.expect("tools");
    let listed: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    let reviewed: Vec<&str> = tagout_grid::TOOL_EFFECTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, reviewed);
    for tool in &tools {
        let hints = tool.annotations.as_ref().expect("annotations");
        assert_eq!(hints.read_only_hint, Some(true), "{}", tool.name);
    }
    assert!(tagout_grid::TOOL_EFFECTS.iter().all(|(_, effects)| *effects == ["read"]));
}

#[tokio::test]
async fn every_resource_can_be_read_and_is_small() {
    let client = connect().await;
    for resource in client.list_all_resources().await.expect("resources") {
        let text = read(&client, &resource.uri).await.expect("readable");
        assert!(text.len() < 25_000, "{} has {} bytes", resource.uri, text.len());
        assert_eq!(resource.size, Some(text.len() as u64));
        serde_json::from_str::<Value>(&text).expect("JSON");
    }
}

#[tokio::test]
async fn topologies() {
    let client = connect().await;
    for region in ["northeast", "southwest"] {
        let text = read(&client, &format!("grid://topology/{region}")).await.expect("readable");
        let topology: Value = serde_json::from_str(&text).expect("JSON");
        insta::assert_snapshot!(region, pretty(&topology));
    }
}

#[tokio::test]
async fn load_resources_name_their_clock_and_source() {
    let client = connect().await;
    let text = read(&client, "grid://load/hourly_load").await.expect("readable");
    let load: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(load["nature"], "planning series of a test system");
    assert_eq!(load["first_interval_ending"], "2020-07-06T01:00:00");
    assert_eq!(load["profiles"].as_array().map(Vec::len), Some(4));
    assert_eq!(load["profiles"][0]["load_mw"].as_array().map(Vec::len), Some(168));
    assert_eq!(load["truncated"], false);
    let text = read(&client, "grid://load/gb_2000").await.expect("readable");
    let load: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(load["truncated"], true);
    assert_eq!(load["values_in_series"], 4032);
}

#[tokio::test]
async fn an_unknown_resource_is_an_error_that_lists_the_known_ones() {
    let client = connect().await;
    for uri in ["grid://topology/texas", "grid://load/x", "grid://load/", "file:///etc/passwd"] {
        let Err(ServiceError::McpError(error)) = read(&client, uri).await else {
            panic!("{uri} must not be found");
        };
        assert_eq!(error.code.0, -32002, "{uri}");
        assert!(error.message.contains(uri) && error.message.contains("grid://topology/northeast"));
    }
}
