//! Servers that ask for it are told who calls, and nobody else is.
use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};
use tagout_testkit::program;

use crate::{
    mcp_client::Client,
    place::{Place, one},
};

/// Two servers that verify who calls, of which the second is not told; `more` for the first.
fn told(audience: &str, more: &str) -> Place {
    let place = Place::new();
    let keys = place.path("keys.json");
    place.write(&keys, place.done(&["--json", "key", "assertion"]));
    let server = program("tagout-testkit", "whoami-server");
    let entry = |name: &str, more: &str| {
        format!(
            "[server.{name}]\ncommand = [{server:?}, {keys:?}, {audience:?}]\n\
             sandbox = {{ read = [{keys:?}] }}\n{more}\n"
        )
    };
    place.configure(&(entry("told", more) + &entry("untold", "")));
    place.pin(&["told", "untold"]);
    place
}

/// What the server says of who called its tool.
#[track_caller]
fn said(place: &Place, tool: &str, arguments: &str) -> Value {
    let answer = one(&place.done(&["--json", "tools", "call", tool, arguments]));
    one(answer["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")))
}

#[test]
fn a_server_that_asks_for_it_is_told_who_calls() {
    let place = told("told", "assertion = true");
    let answer =
        one(&place.done(&["--json", "tools", "call", "told__whoami", r#"{"text":"é","n":1.50}"#]));
    let who = one(answer["content"][0]["text"].as_str().unwrap());
    let record = place.record(answer["meta"]["tagout/record"].as_u64().unwrap());
    let principal = &record["begin"]["principal"];
    assert_eq!(who["sub"], principal["user"]);
    assert_eq!(who["groups"], principal["groups"]);
    assert_eq!(who["auth"], "os-user");
    assert_eq!(who["conversation"], record["begin"]["conversation"]);
    assert_eq!(who["record"], record["n"]);
    assert_eq!((&who["method"], &who["tool"]), (&json!("tools/call"), &json!("whoami")));
    assert_eq!((&who["aud"], &who["approvers"]), (&json!("told"), &json!([])));
    let keys = one(&place.done(&["--json", "key", "assertion"]));
    let id = keys["keys"][0]["kid"].as_str().unwrap();
    assert_eq!(who["iss"], format!("tagout:{id}"));
}

#[test]
fn no_other_server_is_told() {
    let place = told("told", "assertion = true");
    let refused = json!({"refused": "assertion-malformed"});
    assert_eq!(said(&place, "untold__whoami", "{}"), refused);
}

#[test]
fn each_statement_is_for_one_server_and_one_use() {
    let place = told("another", "assertion = true");
    let refused = |code: &str| json!({"refused": code});
    assert_eq!(said(&place, "told__whoami", "{}"), refused("assertion-audience"));
    let place = told("another", "assertion = true\naudience = \"another\"");
    assert_eq!(said(&place, "told__again", "{}"), refused("assertion-replayed"));
    assert_eq!(said(&place, "told__whoami", "{}")["aud"], "another");
}

#[test]
fn prompts_and_resources_come_with_a_statement_too() {
    let place = told("told", "assertion = true");
    let mut client = Client::start(&place);
    client.frames.initialize();
    let prompt = client.frames.result("prompts/get", &json!({"name": "told__who"}));
    let who = one(prompt["messages"][0]["content"]["text"].as_str().unwrap());
    assert_eq!((&who["method"], &who["tool"]), (&json!("prompts/get"), &Value::Null));
    assert!(who["sub"].is_string(), "{who}");
    client.leave();
}

/// Who approved is stated, and what was approved is what is sent, but for the statement.
#[test]
fn who_approved_is_stated() {
    let place = Place::new();
    let keys = place.path("keys.json");
    place.write(&keys, place.done(&["--json", "key", "assertion"]));
    let server = program("tagout-testkit", "whoami-server");
    place.configure(&format!(
        "[server.told]\ncommand = [{server:?}, {keys:?}, \"told\"]\nassertion = true\n\
         sandbox = {{ read = [{keys:?}] }}\n"
    ));
    let mut client = Client::start(&place);
    let hello = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"elicitation": {}},
        "clientInfo": {"name": "raw", "version": "1"}
    });
    client.frames.result("initialize", &hello);
    client.frames.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let params = json!({"name": "told__whoami", "arguments": {"text": "x"}});
    let call = client.frames.ask("tools/call", &params);
    let form = loop {
        let frame = client.frames.next().unwrap();
        if frame["method"] == "elicitation/create" {
            break frame;
        }
    };
    let message = form["params"]["message"].as_str().unwrap();
    assert!(!message.contains("assertion"), "{message}");
    let content = json!({"action": "accept", "content": {"decision": "approve"}});
    let yes = json!({"jsonrpc": "2.0", "id": form["id"], "result": content});
    client.frames.line(&yes.to_string());
    let answer = client.frames.answer(call);
    let who = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let who = one(who);
    assert_eq!(who["approvers"], json!([{"user": who["sub"], "channel": "elicitation"}]), "{who}");
    client.leave();
}

/// What a client says under the gateway's own keys goes to no server, whether that is told or not.
#[test]
fn clients_state_nothing() {
    let place = told("told", "assertion = true");
    let mut client = Client::start(&place);
    client.frames.initialize();
    let meta = json!({"tagout/assertion": "e30.e30.e30", "TAGOUT/Assertion": "x", "own": 1});
    for (tool, claim) in [("told__whoami", "sub"), ("untold__whoami", "refused")] {
        let params = json!({"name": tool, "arguments": {}, "_meta": meta});
        let result = client.frames.result("tools/call", &params);
        let said = one(result["content"][0]["text"].as_str().unwrap());
        assert!(said[claim].is_string(), "{tool}: {said}");
        if claim == "refused" {
            assert_eq!(said[claim], "assertion-malformed");
        }
    }
    client.leave();
}

#[test]
fn the_key_is_its_owners_and_stays() {
    let place = Place::new();
    let first = place.done(&["--json", "key", "assertion"]);
    let key = place.path("data/tagout/keys/assertion.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(place.done(&["--json", "key", "assertion"]), first);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = place.run(&["key", "assertion"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stderr.contains("[assertion-key-file]"), "{ran:?}");
    // Who could have read it can tell servers anything.
    place.configure("[server.a]\ncommand = [\"/bin/cat\"]\nassertion = true\n");
    let ran = place.run(&["tools", "ls"]);
    assert!(ran.stderr.contains("[assertion-key-file]"), "{ran:?}");
    fs::remove_file(&key).unwrap();
    std::os::unix::fs::symlink("elsewhere", &key).unwrap();
    assert_eq!(place.run(&["key", "assertion"]).code, 1);
    fs::remove_file(&key).unwrap();
    assert_ne!(place.done(&["--json", "key", "assertion"]), first);
}

#[test]
fn an_audience_stands_with_an_assertion_only() {
    for (entry, expected) in [
        ("audience = \"x\"", "`audience` stands without `assertion`"),
        ("assertion = true\naudience = \"\"", "`audience` is no 1 to 256"),
        ("assertion = true\naudience = \"a b\"", "`audience` is no 1 to 256"),
        ("assertion = \"yes\"", "assertion"),
    ] {
        let place = Place::new();
        place.configure(&format!("[server.a]\ncommand = [\"/bin/cat\"]\n{entry}\n"));
        let ran = place.run(&["check"]);
        assert_eq!(ran.code, 2, "{entry}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{entry}: {ran:?}");
    }
}
