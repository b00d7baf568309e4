//! What was approved before a consent was taken back does not give it again.
use serde_json::{Value, json};
use tagout_store::{Answer, Scope};

use crate::{
    bench::Bench,
    client::{Client, refusal},
    questions::{Desk, calls, client, left_open, made, of_itself, plan, write},
};

#[test]
fn an_approval_from_before_gives_no_consent_that_was_taken_back() {
    let mut plan = plan(&[], &["[approval]", "keep_s = 600"]);
    plan.not_agreed = vec!["s".to_owned()];
    let bench = Bench::new(&plan);
    let consent = |word: &str| assert!(bench.tagout(&["consent", word, "s"]).status.success());
    consent("give");
    let desk = Desk::with(&bench, &["me"]);
    let (mut client, _running) = client(&bench, "c");
    let question = left_open(&write(&mut client, 101, "a"));
    desk.says("me", &question, Answer::Allow, Scope::Once);
    consent("revoke");
    assert_eq!(refusal(&write(&mut client, 102, "a")), "consent-missing");
    assert_eq!(calls(&bench), 0);
    // What is answered later gives it.
    let question = left_open(&write(&mut client, 103, "a"));
    desk.says("me", &question, Answer::Allow, Scope::Once);
    assert!(made(&write(&mut client, 104, "a")));
    let listed = bench.tagout(&["--json", "consent", "ls"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("\"s\""), "{listed:?}");
    assert_eq!(calls(&bench), 1);
}

/// A server that asks for a name before it does anything.
fn asking() -> Bench {
    let mut plan = plan(&[], &[]);
    plan.not_agreed = vec!["s".to_owned()];
    let form = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    let form = json!({"message": "Name?", "requestedSchema": form});
    let name = json!({"method": "elicitation/create", "params": form});
    let asks = json!({"resultType": "input_required", "inputRequests": {"name": name}});
    let newest = json!({
        "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
        "ttlMs": 0, "cacheScope": "private",
    });
    let script = plan.servers.remove("s").map(|script| serde_json::to_value(script).unwrap());
    let mut script = script.unwrap();
    script["calls"]["write"] = json!([[{"reply": asks}], ["echo"]]);
    script["methods"] = json!({"server/discover": [[{"reply": newest}]]});
    plan.servers.insert("s".to_owned(), serde_json::from_value(script).unwrap());
    Bench::new(&plan)
}

/// The same call once more, with an answer to the last question.
fn answered(client: &mut Client, last: &Value, answers: Value) -> Value {
    let mut params = json!({"name": "s__write", "arguments": {"text": "a"}, "_meta": of_itself()});
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({"elicitation": {"form": {}}});
    if let Some(state) = last["result"].get("requestState") {
        params["requestState"] = state.clone();
        params["inputResponses"] = answers;
    }
    let id = last["id"].as_u64().unwrap_or_default() + 1;
    client.request(id, "tools/call", &params);
    client.answer(id)
}

#[test]
fn an_approval_of_an_earlier_request_of_the_call_gives_none_either() {
    for revoked in [true, false] {
        let bench = asking();
        let mut gateway = bench.run();
        let (input, output) = (gateway.0.stdin.take().unwrap(), gateway.0.stdout.take().unwrap());
        let mut client = Client::new(input, output);
        let asked = answered(&mut client, &Value::Null, Value::Null);
        let yes = json!({"action": "accept", "content": {"decision": "approve"}});
        let passed = answered(&mut client, &asked, json!({"tagout-0": yes}));
        assert!(passed["result"]["inputRequests"].get("name").is_some(), "{passed}");
        assert_eq!(calls(&bench), 1);
        if revoked {
            assert!(bench.tagout(&["consent", "revoke", "s"]).status.success());
        }
        let name = json!({"action": "accept", "content": {"name": "x"}});
        let last = answered(&mut client, &passed, json!({"name": name}));
        if revoked {
            assert_eq!(refusal(&last), "consent-missing");
        } else {
            assert!(last.get("result").is_some(), "{last}");
        }
        assert_eq!(calls(&bench), if revoked { 1 } else { 2 });
    }
}
