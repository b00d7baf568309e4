//! Servers over Streamable HTTP: what they are sent, and what of theirs is taken.
use std::{
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    client::refusal,
    upstream_peer::{
        Front, Heard, Peer, STREAM, act, empty, event, json, legacy, modern, tool, whole,
    },
};

fn done(answer: &Value) {
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
}

#[test]
fn a_modern_server_gets_each_request_for_itself() {
    let mirrors = json!({"name": "act", "inputSchema": {"type": "object", "properties": {
        "x": {"type": "string", "x-mcp-header": "Region"},
        "n": {"type": "object", "properties": {"m": {"type": "integer", "x-mcp-header": "Count"}}},
        "z": {"type": "boolean", "x-mcp-header": "Absent"},
    }}});
    let peer = Peer::answering(move |heard| modern(heard, &json!([mirrors])));
    let front = Front::new(&peer, "/mcp?tenant=1", "");
    let mut client = front.client();
    client.call(1, "far__act", &json!({"x": "\u{e9} 1", "n": {"m": 7}}));
    done(&client.answer(1));
    for heard in peer.heard() {
        assert_eq!(heard.path, "/mcp?tenant=1");
        assert_eq!(heard.header("mcp-protocol-version"), "2026-07-28");
        assert_eq!(heard.header("mcp-method"), heard.method());
        assert_eq!(heard.header("content-type"), "application/json");
        assert_eq!(heard.header("accept"), "application/json, text/event-stream");
        assert_eq!(heard.headers.get("mcp-session-id"), None);
        let meta = &heard.body["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "tagout");
        assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
    }
    let call = &peer.of("tools/call")[0];
    assert_eq!(call.header("mcp-name"), "act");
    assert_eq!(call.header("mcp-param-region"), "=?base64?w6kgMQ==?=");
    assert_eq!(call.header("mcp-param-count"), "7");
    assert_eq!(call.headers.get("mcp-param-absent"), None);
    assert_eq!(call.body["params"]["arguments"], json!({"x": "\u{e9} 1", "n": {"m": 7}}));
    assert!(peer.of("initialize").is_empty() && peer.of("GET").is_empty());
    assert_eq!(peer.heard().last().unwrap().line, 0, "one connection is enough");
}

#[test]
fn tools_with_invalid_headers_are_left_out() {
    let bad = json!({"name": "bad", "inputSchema": {"type": "object", "properties": {
        "x": {"type": "number", "x-mcp-header": "X"},
    }}});
    let peer = Peer::answering(move |heard| modern(heard, &json!([bad, tool("act")])));
    let front = Front::new(&peer, "/mcp", "");
    let inventory = front.block_on(front.gateway.inventory());
    let names: Vec<_> = inventory.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["far__act"]);
    assert!(inventory.findings[0].1.starts_with("tool-header-invalid: `bad`"), "{inventory:?}");
}

#[test]
fn a_server_with_sessions_gets_its_session() {
    let peer = Peer::answering(|heard| legacy(heard, "s-1"));
    let front = Front::new(&peer, "/mcp", "");
    let mut client = front.client();
    done(&act(&mut client));
    let call = &peer.of("tools/call")[0];
    assert_eq!(call.header("mcp-session-id"), "s-1");
    assert_eq!(call.header("mcp-protocol-version"), "2025-11-25");
    assert_eq!(call.headers.get("mcp-method"), None);
    assert_eq!(call.body["params"].get("_meta"), None);
    let hello = &peer.of("initialize")[0];
    assert_eq!(hello.headers.get("mcp-session-id"), None);
    assert_eq!(peer.of("notifications/initialized")[0].header("mcp-session-id"), "s-1");
    assert_eq!(peer.wait_for("GET", 1)[0].header("mcp-session-id"), "s-1");
    drop(client.close());
    assert_eq!(peer.wait_for("DELETE", 1)[0].header("mcp-session-id"), "s-1");
    // What it speaks is known from then on.
    done(&act(&mut front.client()));
    assert_eq!(peer.of("server/discover").len(), 1);
}

#[test]
fn a_session_that_the_server_forgot_is_opened_again_once() {
    let calls = AtomicUsize::new(0);
    let sessions = AtomicUsize::new(0);
    let peer = Peer::answering(move |heard| match heard.method() {
        "initialize" => legacy(heard, &format!("s-{}", sessions.fetch_add(1, Ordering::SeqCst))),
        "tools/call" if calls.fetch_add(1, Ordering::SeqCst) == 1 => empty(404),
        _ => legacy(heard, ""),
    });
    let front = Front::new(&peer, "/mcp", "era = \"legacy\"");
    let mut client = front.client();
    done(&act(&mut client));
    done(&act(&mut client));
    let sessions: Vec<_> = peer.of("tools/call");
    let sessions: Vec<_> = sessions.iter().map(|heard| heard.header("mcp-session-id")).collect();
    assert_eq!(sessions, ["s-0", "s-0", "s-1"]);
}

#[test]
fn a_new_session_is_looked_at_before_a_call_goes_to_it() {
    let sessions = AtomicUsize::new(0);
    let peer = Peer::answering(move |heard| match heard.method() {
        "initialize" => legacy(heard, &format!("s-{}", sessions.fetch_add(1, Ordering::SeqCst))),
        "tools/call" => empty(404),
        "tools/list" if heard.header("mcp-session-id") != "s-0" => {
            let mut other = tool("act");
            other["description"] = "another by now".into();
            heard.result(json!({"tools": [other]}))
        }
        _ => legacy(heard, ""),
    });
    let front = Front::new(&peer, "/mcp", "era = \"legacy\"");
    assert_eq!(refusal(&act(&mut front.client())), "definition-changed");
    let sessions: Vec<_> = peer.of("tools/call");
    let sessions: Vec<_> = sessions.iter().map(|heard| heard.header("mcp-session-id")).collect();
    assert_eq!(sessions, ["s-0"]);
}

#[test]
fn an_approval_is_for_no_other_session() {
    let (calls, sessions) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let peer = Peer::answering(move |heard| match heard.method() {
        "initialize" => legacy(heard, &format!("s-{}", sessions.fetch_add(1, Ordering::SeqCst))),
        "tools/call" if calls.fetch_add(1, Ordering::SeqCst) == 1 => empty(404),
        _ => legacy(heard, ""),
    });
    let front = Front::approving(&peer, "/mcp", "era = \"legacy\"");
    let mut client = front.client();
    done(&act(&mut client));
    assert_eq!(refusal(&act(&mut client)), "approval-mismatch");
    assert_eq!(peer.of("tools/call").len(), 2);
    // Asked about anew, it goes there.
    done(&act(&mut client));
    assert_eq!(peer.of("tools/call")[2].header("mcp-session-id"), "s-1");
}

/// The levels that a legacy server with logs is told when clients say these, over an entry so.
fn levels_told(entry: &str, said: &[&str]) -> Vec<String> {
    let peer = Peer::answering(|heard| match heard.method() {
        "initialize" => heard.result(json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "logging": {}},
            "serverInfo": {"name": "far", "version": "1"},
        })),
        "logging/setLevel" => heard.result(json!({})),
        _ => legacy(heard, "s"),
    });
    let front = Front::new(&peer, "/mcp", &format!("era = \"legacy\"\n{entry}"));
    let mut client = front.client();
    for level in said {
        let meta = json!({"io.modelcontextprotocol/logLevel": level});
        let params = json!({"name": "far__act", "arguments": {"x": "y"}, "_meta": meta});
        done(&client.ask("tools/call", &params));
    }
    let told = peer.of("logging/setLevel");
    told.iter().map(|heard| heard.body["params"]["level"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn only_levels_are_told_to_a_server_and_none_that_all_would_get() {
    let said = ["warning", "verbose", "DEBUG", "", "debug\n", "emergency"];
    assert_eq!(levels_told("", &said), ["warning", "emergency"]);
    assert_eq!(levels_told("stateless = true", &said), [] as [&str; 0]);
}

#[test]
fn a_session_that_is_always_forgotten_is_an_error() {
    let peer = Peer::answering(|heard| match heard.method() {
        "tools/call" => empty(404),
        _ => legacy(heard, "s"),
    });
    let front = Front::new(&peer, "/mcp", "era = \"legacy\"");
    assert_eq!(refusal(&act(&mut front.client())), "server-session-lost");
    assert_eq!(peer.of("tools/call").len(), 2);
}

#[test]
fn a_call_that_may_have_arrived_is_never_made_twice() {
    let peer = Peer::new(|heard, stream| {
        let text = if heard.method() == "tools/call" { String::new() } else { legacy(heard, "s") };
        stream.write_all(text.as_bytes()).is_ok() && !text.is_empty()
    });
    let front = Front::new(&peer, "/mcp", "era = \"legacy\"");
    assert_eq!(refusal(&act(&mut front.client())), "server-died");
    assert_eq!(peer.of("tools/call").len(), 1);
}

/// A server with sessions whose tool answers `call` this.
fn refused_after(call: impl Fn(&Heard) -> String + Send + Sync + 'static, entry: &str) -> String {
    let peer = Peer::answering(move |heard| match heard.method() {
        "tools/call" => call(heard),
        _ => legacy(heard, "s"),
    });
    let front = Front::new(&peer, "/mcp", &format!("era = \"legacy\"\n{entry}"));
    let answer = act(&mut front.client());
    assert_eq!(peer.of("tools/call").len(), 1, "{:?}", peer.heard());
    refusal(&answer).to_owned()
}

#[test]
fn answers_that_are_none_are_refused() {
    let html = |_: &Heard| whole(200, "text/html", "<p>Welcome</p>", "");
    assert_eq!(refused_after(html, ""), "server-misbehaved");
    let nothing = |_: &Heard| empty(202);
    assert_eq!(refused_after(nothing, ""), "server-misbehaved");
    let broken = |_: &Heard| whole(200, "application/json", "{\"jsonrpc\"", "");
    assert_eq!(refused_after(broken, ""), "server-misbehaved");
    let other = |_: &Heard| json(200, &json!({"jsonrpc": "2.0", "id": 4711, "result": {}}), "");
    assert_eq!(refused_after(other, ""), "server-misbehaved");
    let twice = |heard: &Heard| {
        let id = &heard.body["id"];
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"id":{id},"result":{{}}}}"#);
        whole(200, "application/json", &body, "")
    };
    assert_eq!(refused_after(twice, ""), "server-misbehaved");
    let away = |_: &Heard| {
        let body = "";
        whole(307, "text/plain", body, "location: http://127.0.0.1:1/elsewhere\r\n")
    };
    assert_eq!(refused_after(away, ""), "server-http-status");
    assert_eq!(refused_after(|_: &Heard| empty(401), ""), "server-unauthorised");
    assert_eq!(refused_after(|_: &Heard| empty(403), ""), "server-unauthorised");
    assert_eq!(refused_after(|_: &Heard| empty(500), ""), "server-http-status");
    let large = |heard: &Heard| heard.result(json!({"content": [], "x": "x".repeat(5 << 20)}));
    assert_eq!(refused_after(large, ""), "result-too-large");
    let large =
        |heard: &Heard| format!("{STREAM}{}", heard.event("1", json!({"x": "x".repeat(5 << 20)})));
    assert_eq!(refused_after(large, ""), "result-too-large");
}

#[test]
fn an_error_with_a_status_of_its_own_is_an_answer() {
    let peer = Peer::answering(|heard| match heard.method() {
        "tools/call" => heard.error(400, -32602),
        _ => legacy(heard, "s"),
    });
    let front = Front::new(&peer, "/mcp", "era = \"legacy\"");
    let answer = act(&mut front.client());
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert_eq!(answer["error"]["data"]["code"], Value::Null, "it is the server's own: {answer}");
}

#[test]
fn a_stream_is_read_until_its_answer() {
    let peer = Peer::answering(|heard| match heard.method() {
        "tools/call" => {
            let token = &heard.body["params"]["_meta"]["progressToken"];
            let progress = json!({"progressToken": token, "progress": 1});
            let progress =
                json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress});
            let stray = json!({"jsonrpc": "2.0", "id": 4711, "result": {}});
            let result = json!({"content": [{"type": "text", "text": "done"}]});
            format!(
                ": hello\n\n{STREAM}: comment\n\n{}event: other\ndata: {{}}\n\n{}{}{}",
                event(&progress),
                event(&stray),
                heard.event("1", result.clone()),
                heard.event("2", json!({"content": [{"type": "text", "text": "twice"}]})),
            )
            .trim_start_matches(": hello\n\n")
            .to_owned()
        }
        _ => legacy(heard, "s"),
    });
    let front = Front::new(&peer, "/mcp", "era = \"legacy\"");
    let mut client = front.client();
    let params =
        json!({"name": "far__act", "arguments": {"x": "y"}, "_meta": {"progressToken": "mine"}});
    let answer = client.ask("tools/call", &params);
    done(&answer);
    assert_eq!(client.told.len(), 1, "{:?}", client.told);
    assert_eq!(client.told[0]["params"]["progressToken"], "mine");
}

#[test]
fn a_stream_that_breaks_is_asked_for_the_rest() {
    let gets = AtomicUsize::new(0);
    let peer = Peer::answering(move |heard| match heard.method() {
        "tools/call" => format!("{STREAM}retry: 10\nid: e-1\ndata:\n\n"),
        "GET" if heard.header("last-event-id").is_empty() => empty(405),
        "GET" if gets.fetch_add(1, Ordering::SeqCst) == 0 => format!("{STREAM}id: e-2\ndata:\n\n"),
        "GET" => {
            let result = json!({"content": [{"type": "text", "text": "done"}]});
            // The call's id is the fourth: `initialize`, the list, the call.
            format!("{STREAM}{}", event(&json!({"jsonrpc": "2.0", "id": 3, "result": result})))
        }
        _ => legacy(heard, "s"),
    });
    let front = Front::new(&peer, "/mcp", "era = \"legacy\"");
    done(&act(&mut front.client()));
    let asked: Vec<_> =
        peer.of("GET").iter().map(|h| h.header("last-event-id").to_owned()).collect();
    let asked: Vec<_> = asked.iter().filter(|id| !id.is_empty()).collect();
    assert_eq!(asked, ["e-1", "e-2"]);
    assert_eq!(peer.of("tools/call").len(), 1);
}

#[test]
fn a_stream_that_breaks_for_good_is_an_error() {
    let call = |_: &Heard| STREAM.to_owned();
    assert_eq!(refused_after(call, ""), "server-died");
}

#[test]
fn an_endless_stream_meets_the_deadline() {
    let peer = Peer::new(|heard, stream| {
        if heard.method() != "tools/call" {
            return stream.write_all(legacy(heard, "s").as_bytes()).is_ok();
        }
        stream.write_all(STREAM.as_bytes()).ok();
        while stream.write_all(b": still here\n\ndata: {}x\n\n").is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
        false
    });
    let front = Front::new(&peer, "/mcp", "era = \"legacy\"\ntimeout_s = 1");
    let answer = act(&mut front.client());
    assert!(["server-timeout", "server-misbehaved"].contains(&refusal(&answer)), "{answer}");
}

#[test]
fn a_silent_server_is_told_that_a_call_is_withdrawn() {
    let peer = Peer::new(|heard, stream| {
        if heard.method() == "tools/call" {
            thread::sleep(Duration::from_secs(3));
        }
        stream.write_all(legacy(heard, "s").as_bytes()).is_ok()
    });
    let front = Front::new(&peer, "/mcp", "era = \"legacy\"\ntimeout_s = 1");
    assert_eq!(refusal(&act(&mut front.client())), "server-timeout");
    let call = &peer.of("tools/call")[0];
    let withdrawn = &peer.wait_for("notifications/cancelled", 1)[0];
    assert_eq!(withdrawn.body["params"]["requestId"], call.body["id"]);
    assert_eq!(withdrawn.header("mcp-session-id"), "s");
}

#[test]
fn secrets_are_sent_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "Bearer s3cr3t\n").unwrap();
    let peer = Peer::answering(|heard| modern(heard, &json!([tool("act")])));
    let entry = format!("headers = {{ Authorization = \"file://{}\" }}", file.display());
    let front = Front::new(&peer, "/mcp", &entry);
    done(&act(&mut front.client()));
    assert!(peer.heard().iter().all(|heard| heard.header("authorization") == "Bearer s3cr3t"));
    // One that would add a header of its own.
    std::fs::write(&file, "x\r\nmcp-session-id: evil").unwrap();
    let before = peer.heard().len();
    let inventory = front.block_on(front.gateway.inventory());
    let failed: Vec<_> = inventory.failed.values().map(ToString::to_string).collect();
    assert!(failed[0].ends_with("holds what no header can"), "{failed:?}");
    assert_eq!(inventory.failed.values().next().unwrap().code(), "secret-unusable");
    assert_eq!(peer.heard().len(), before, "nothing is sent without it");
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let front = Front::of("[server.far]\nurl = \"http://127.0.0.1:1/mcp\"", Default::default());
    let inventory = front.block_on(front.gateway.inventory());
    let error = inventory.failed.values().next().unwrap();
    assert_eq!(error.code(), "server-unreachable", "{error}");
}

#[test]
fn one_that_lets_nobody_in_says_so() {
    let peer = Peer::answering(|_| empty(401));
    let inventory = {
        let front = Front::new(&peer, "/mcp", "");
        front.block_on(front.gateway.inventory())
    };
    assert_eq!(inventory.failed.values().next().unwrap().code(), "server-unauthorised");
    assert_eq!(peer.heard().len(), 1, "it is asked once");
}

#[test]
fn a_modern_server_that_knows_another_version_only_is_refused() {
    let peer = Peer::answering(|heard| {
        let error = json!({"code": -32022, "message": "no", "data": {"supported": ["2027-01-01"]}});
        json(400, &json!({"jsonrpc": "2.0", "id": heard.body["id"], "error": error}), "")
    });
    let front = Front::new(&peer, "/mcp", "");
    let inventory = front.block_on(front.gateway.inventory());
    assert_eq!(inventory.failed.values().next().unwrap().code(), "server-unavailable");
    assert!(peer.of("initialize").is_empty());
}

#[test]
fn results_of_an_unknown_kind_are_errors() {
    let peer = Peer::answering(|heard| match heard.method() {
        "tools/call" => heard.result(json!({"resultType": "surprise", "content": []})),
        _ => modern(heard, &json!([tool("act")])),
    });
    let front = Front::new(&peer, "/mcp", "");
    assert_eq!(refusal(&act(&mut front.client())), "server-misbehaved");
}
