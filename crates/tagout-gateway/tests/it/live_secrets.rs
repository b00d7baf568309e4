//! Secrets that servers are given: renewed without a restart, and taken out of all that passes.
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};
use tagout_testkit::keepers::{Asked, Keeper};

use crate::upstream_peer::{Front, Heard, Peer, empty, event, legacy, modern, tool, whole};

fn act(client: &mut crate::client::Client, id: u32, x: &str) -> Value {
    client.call(id, "far__act", &json!({ "x": x }));
    client.answer(id)
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn a_header_follows_its_file_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "Bearer first-token\n").unwrap();
    let peer = Peer::answering(|heard| legacy(heard, "s-1"));
    let entry = format!("headers = {{ Authorization = \"file://{}\" }}", token.display());
    let front = Front::new(&peer, "/mcp", &entry);
    let mut client = front.client();
    assert_eq!(text(&act(&mut client, 1, "a")), "done");
    // Another file in its place, as whoever renews tokens does it.
    std::fs::write(folder.path().join("new"), "Bearer second-token\n").unwrap();
    std::fs::rename(folder.path().join("new"), &token).unwrap();
    assert_eq!(text(&act(&mut client, 2, "b")), "done");
    let calls = peer.of("tools/call");
    let sent: Vec<_> = calls.iter().map(|heard| heard.header("authorization")).collect();
    assert_eq!(sent, ["Bearer first-token", "Bearer second-token"]);
    assert_eq!(peer.of("initialize").len(), 1, "the session is the same");
    std::fs::remove_file(&token).unwrap();
    assert_eq!(text(&act(&mut client, 3, "c")), "done");
    let last = peer.of("tools/call").pop().unwrap();
    assert_eq!(last.header("authorization"), "Bearer second-token", "what was good stays");
}

#[test]
fn a_credential_of_vaults_that_is_refused_is_read_again_and_the_call_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let version = Arc::new(AtomicU32::new(1));
    let (kept, wanted) = (Arc::clone(&version), Arc::clone(&version));
    let vault = Keeper::start(move |asked: &Asked| match asked.path.as_str() {
        "/v1/auth/token/lookup-self" => (200, json!({ "data": { "ttl": 0 } }).to_string()),
        "/v1/kv/data/far" => {
            let token = format!("Bearer token-{}", kept.load(Ordering::SeqCst));
            (200, json!({ "data": { "data": { "token": token } } }).to_string())
        }
        _ => (404, "{}".to_owned()),
    });
    let vault = vault.unwrap();
    let peer = Peer::answering(move |heard| {
        let token = format!("Bearer token-{}", wanted.load(Ordering::SeqCst));
        if heard.header("authorization") == token { legacy(heard, "s-1") } else { empty(401) }
    });
    std::fs::write(folder.path().join("token"), "s.root-token").unwrap();
    let entry = format!(
        "headers = {{ Authorization = \"vault://kv/far#token\" }}\n\
         [vault]\naddress = \"{}\"\ntoken = \"file://{}/token\"\n",
        vault.url(),
        folder.path().display()
    );
    let front = Front::new(&peer, "/mcp", &entry);
    let mut client = front.client();
    assert_eq!(text(&act(&mut client, 1, "a")), "done");
    assert_eq!(text(&act(&mut client, 2, "b")), "done");
    let reads = || vault.asked().iter().filter(|asked| asked.path.contains("/data/")).count();
    assert_eq!(reads(), 1, "it is kept while it is good");
    version.store(2, Ordering::SeqCst);
    assert_eq!(text(&act(&mut client, 3, "c")), "done");
    assert_eq!(reads(), 2);
    let calls = peer.of("tools/call");
    let last: Vec<_> = calls.iter().skip(2).map(|heard| heard.header("authorization")).collect();
    assert_eq!(last, ["Bearer token-1", "Bearer token-2"], "refused, then taken");
}

/// A server that repeats what it knows in every way that it can.
fn telltale(heard: &Heard) -> String {
    let secret = "hunter2hunter2";
    match heard.method() {
        "tools/call" => {
            let progress = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {
                "level": "error", "data": format!("I hold {secret}"),
            }});
            let result = json!({
                "resultType": "complete",
                "content": [{"type": "text", "text": format!("it is {secret}")}],
                "structuredContent": {
                    "base64": "aHVudGVyMmh1bnRlcjI=", secret: [1],
                    "escaped": "%68unter2hunter2",
                },
            });
            let answer = json!({"jsonrpc": "2.0", "id": heard.body["id"], "result": result});
            let split = answer.to_string().replacen("it is h", "it is \\u0068", 1);
            let events = format!("{}data: {split}\n\n", event(&progress));
            whole(200, "text/event-stream", &events, "connection: close\r\n")
        }
        _ => modern(heard, &json!([tool("act")])),
    }
}

#[test]
fn what_a_server_was_given_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("api-key"), "hunter2hunter2").unwrap();
    let peer = Peer::answering(telltale);
    let path = folder.path().join("api-key");
    let entry = format!("headers = {{ X-Api-Key = \"file://{}\" }}", path.display());
    let front = Front::new(&peer, "/mcp", &entry);
    let mut client = front.client();
    let answer = act(&mut client, 1, "a");
    assert_eq!(text(&answer), "it is [secret api-key]");
    let structured = json!({
        "base64": "[secret api-key]=", "[secret api-key]": [1], "escaped": "[secret api-key]",
    });
    assert_eq!(answer["result"]["structuredContent"], structured, "{answer}");
    assert!(peer.of("tools/call")[0].header("x-api-key") == "hunter2hunter2");
    let recorded = front.recorded();
    assert!(
        recorded.contains(r#""secrets":4"#) && recorded.contains("secret-caught"),
        "{recorded}"
    );
    assert!(recorded.contains(r#""subject":"api-key","detail":"in a result""#), "{recorded}");
    assert!(!recorded.contains("hunter2"), "{recorded}");
}

#[test]
fn what_is_live_goes_to_no_server_as_an_argument() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("api-key"), "hunter2hunter2").unwrap();
    let peer = Peer::answering(|heard| modern(heard, &json!([tool("act")])));
    let path = folder.path().join("api-key");
    let entry = format!("headers = {{ X-Api-Key = \"file://{}\" }}", path.display());
    let front = Front::new(&peer, "/mcp", &entry);
    let mut client = front.client();
    // The very first call, before the server was ever reached.
    for (id, x) in
        ["hunter2hunter2", "see aHVudGVyMmh1bnRlcjI", "h%75nter2hunter2"].iter().enumerate()
    {
        let answer = act(&mut client, u32::try_from(id).unwrap() + 1, x);
        assert_eq!(text(&answer), "done");
    }
    for heard in peer.of("tools/call") {
        let sent = heard.body["params"]["arguments"]["x"].as_str().unwrap();
        assert!(sent.contains("[secret api-key]") && !sent.contains("hunter"), "{sent}");
    }
    let recorded = front.recorded();
    assert_eq!(recorded.matches(r#""secrets":1"#).count(), 3, "{recorded}");
    assert_eq!(recorded.matches("secret-caught").count(), 1, "the same is noted once a minute");
    assert!(!recorded.contains("hunter2"), "{recorded}");
}

#[test]
fn a_secret_that_is_not_to_be_had_keeps_its_server_from_being_used() {
    let peer = Peer::answering(|heard| legacy(heard, "s-1"));
    for (reference, code) in [
        ("secret://nothing", "secret-missing"),
        ("file:///nowhere/at/all", "secret-missing"),
        ("vault://kv/x#y", "secret-missing"),
        ("aws://x", "secret-missing"),
    ] {
        let entry = format!("headers = {{ Authorization = \"{reference}\" }}");
        let front = Front::new(&peer, "/mcp", &entry);
        let inventory = front.block_on(front.gateway.inventory());
        let error = inventory.failed.values().next().unwrap();
        assert_eq!(error.code(), code, "{reference}: {error}");
    }
    assert!(peer.heard().is_empty());
}

#[test]
fn a_server_that_refuses_everybody_has_a_credential_read_again_once() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Keeper::start(|asked: &Asked| match asked.path.as_str() {
        "/v1/auth/token/lookup-self" => (200, json!({ "data": { "ttl": 0 } }).to_string()),
        _ => (200, json!({ "data": { "data": { "token": "Bearer t0ken-0f-old" } } }).to_string()),
    });
    let vault = vault.unwrap();
    let refuses = Arc::new(AtomicU32::new(0));
    let now = Arc::clone(&refuses);
    let peer = Peer::answering(move |heard| match now.load(Ordering::SeqCst) {
        0 => legacy(heard, "s-1"),
        _ => empty(401),
    });
    std::fs::write(folder.path().join("token"), "s.root-token").unwrap();
    let entry = format!(
        "headers = {{ Authorization = \"vault://kv/far#token\" }}\n\
         [vault]\naddress = \"{}\"\ntoken = \"file://{}/token\"\n",
        vault.url(),
        folder.path().display()
    );
    let front = Front::new(&peer, "/mcp", &entry);
    let mut client = front.client();
    assert_eq!(text(&act(&mut client, 1, "a")), "done");
    let reads = || vault.asked().iter().filter(|asked| asked.path.contains("/data/")).count();
    assert_eq!(reads(), 1);
    refuses.store(1, Ordering::SeqCst);
    for id in 2..8 {
        assert!(act(&mut client, id, "b").get("error").is_some());
    }
    assert_eq!(reads(), 2, "whoever refuses does not decide how often a keeper is asked");
}

#[test]
fn a_pin_does_not_depend_on_what_is_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api-key");
    let mut digests = Vec::new();
    for value in ["unrelated-value", "property", "describes"] {
        std::fs::write(&path, value).unwrap();
        let peer = Peer::answering(|heard| {
            let mut tool = tool("act");
            tool["description"] = json!("describes what it does with a property");
            tool["inputSchema"] = json!({
                "type": "object", "properties": {"property": {"type": "string"}},
                "required": ["property"],
            });
            modern(heard, &json!([tool]))
        });
        let entry = format!("headers = {{ X-Api-Key = \"file://{}\" }}", path.display());
        let front = Front::new(&peer, "/mcp", &entry);
        let inventory = front.block_on(front.gateway.inventory());
        let tool = &inventory.tools[0];
        digests.push(tool.digest);
        let shown = tool.definition.get();
        assert!(shown.contains(r#""property":{"type""#), "{shown}");
        assert!(shown.contains("describes") == (value != "describes"), "{shown}");
        assert!(shown.contains(r#""required":["property"]"#), "{shown}");
        let mut client = front.client();
        let list = client.ask("tools/list", &json!({}));
        let listed = list["result"]["tools"][0].clone();
        assert!(listed["inputSchema"]["properties"]["property"].is_object(), "{list}");
        let told = listed["description"].as_str().unwrap();
        assert_eq!(told.contains("[secret api-key]"), value != "unrelated-value", "{told}");
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn what_is_caught_in_a_call_of_no_method_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("api-key"), "hunter2hunter2").unwrap();
    let peer = Peer::answering(|heard| modern(heard, &json!([tool("act")])));
    let path = folder.path().join("api-key");
    let entry = format!("headers = {{ X-Api-Key = \"file://{}\" }}", path.display());
    let front = Front::new(&peer, "/mcp", &entry);
    let mut client = front.client();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "no/such", "params": {
        "x": "hunter2hunter2",
    }});
    client.send(&call);
    assert!(client.answer(1).get("error").is_some());
    let recorded = front.recorded();
    assert!(recorded.contains("in an unknown method"), "{recorded}");
    assert!(!recorded.contains("hunter2"), "{recorded}");
}
