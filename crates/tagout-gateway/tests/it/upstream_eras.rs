//! Which era a server speaks, and by which transport: found out once, and what follows from it.
use std::{
    io::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tagout_gateway::{
    UpstreamError,
    lockfile::{Hints, Lockfile},
    pin::Accept,
};

use crate::{
    bench::{Bench, Plan},
    client::refusal,
    upstream_peer::{
        Front, Heard, Peer, STREAM, act, empty, event, json, legacy, modern, tool, whole,
    },
};

fn done(answer: &Value) {
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
}

/// How a server without the modern era answers its probe.
type Probe = fn(&Heard) -> String;

#[test]
fn whatever_is_not_modern_is_asked_for_a_session() {
    let answers: [(&str, Probe); 7] = [
        ("an error", |heard| heard.error(400, -32600)),
        ("no such method", |heard| heard.error(200, -32601)),
        ("an error to nobody", |_| {
            let error = json!({"code": -32000, "message": "no session"});
            json(400, &json!({"jsonrpc": "2.0", "id": null, "error": error}), "")
        }),
        ("a page", |_| whole(404, "text/html", "<p>no</p>", "")),
        ("nothing to see", |_| empty(405)),
        ("a result that says nothing", |heard| heard.result(json!({}))),
        ("the other revision", |heard| {
            let data = json!({"supported": ["2025-11-25"]});
            let error = json!({"code": -32022, "message": "no", "data": data});
            json(400, &json!({"jsonrpc": "2.0", "id": heard.body["id"], "error": error}), "")
        }),
    ];
    for (what, answer) in answers {
        let peer = Peer::answering(move |heard| match heard.method() {
            "server/discover" => answer(heard),
            _ => legacy(heard, "s"),
        });
        let front = Front::new(&peer, "/mcp", "");
        let inventory = front.block_on(front.gateway.inventory());
        assert!(inventory.failed.is_empty(), "{what}: {:?}", inventory.failed);
        assert_eq!(peer.of("initialize").len(), 1, "{what}");
    }
}

#[test]
fn a_modern_server_that_wants_to_be_asked_again_is() {
    let asked = AtomicUsize::new(0);
    let peer = Peer::answering(move |heard| match heard.method() {
        "server/discover" if asked.fetch_add(1, Ordering::SeqCst) == 0 => {
            let data = json!({"supported": ["2026-07-28"], "requested": "2026-07-28"});
            let error = json!({"code": -32022, "message": "no", "data": data});
            json(400, &json!({"jsonrpc": "2.0", "id": heard.body["id"], "error": error}), "")
        }
        _ => modern(heard, &json!([tool("act")])),
    });
    done(&act(&mut Front::new(&peer, "/mcp", "").client()));
    assert_eq!(peer.of("server/discover").len(), 2);
}

#[test]
fn an_entry_can_name_the_era() {
    let peer = Peer::answering(|heard| modern(heard, &json!([tool("act")])));
    done(&act(&mut Front::new(&peer, "/mcp", "era = \"modern\"").client()));
    assert!(peer.of("initialize").is_empty());
    let peer = Peer::answering(|heard| legacy(heard, "s"));
    done(&act(&mut Front::new(&peer, "/mcp", "era = \"legacy\"").client()));
    assert!(peer.of("server/discover").is_empty());
    let front = Front::new(&peer, "/mcp", "era = \"modern\"");
    let inventory = front.block_on(front.gateway.inventory());
    assert_eq!(inventory.failed.values().next().unwrap().code(), "server-unavailable");
}

#[test]
fn every_revision_with_a_handshake_is_taken() {
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let peer = Peer::answering(move |heard| match heard.method() {
            "initialize" => heard.result(json!({
                "protocolVersion": revision, "capabilities": {"tools": {}},
                "serverInfo": {"name": "far", "version": "1"},
            })),
            // The one revision that has batches may answer by one.
            "tools/call" if revision == "2025-03-26" => {
                let result = json!({"content": [{"type": "text", "text": "done"}]});
                let log = json!({"jsonrpc": "2.0", "method": "notifications/message",
                    "params": {"level": "info", "data": "x"}});
                let answer = json!({"jsonrpc": "2.0", "id": heard.body["id"], "result": result});
                json(200, &json!([log, answer]), "")
            }
            _ => legacy(heard, "s"),
        });
        let front = Front::new(&peer, "/mcp", "");
        done(&act(&mut front.client()));
        let said = peer.of("tools/call")[0].header("mcp-protocol-version").to_owned();
        let expected = if revision < "2025-06-18" { "" } else { revision };
        assert_eq!(said, expected);
    }
    let peer = Peer::answering(|heard| match heard.method() {
        "initialize" => heard.result(json!({"protocolVersion": "2023-01-01", "capabilities": {}})),
        _ => legacy(heard, "s"),
    });
    let front = Front::new(&peer, "/mcp", "");
    let inventory = front.block_on(front.gateway.inventory());
    assert_eq!(inventory.failed.values().next().unwrap().code(), "server-unavailable");
}

#[test]
fn batches_belong_to_one_revision() {
    let peer = Peer::answering(|heard| match heard.method() {
        "tools/call" => {
            let answer =
                json!({"jsonrpc": "2.0", "id": heard.body["id"], "result": {"content": []}});
            json(200, &json!([answer]), "")
        }
        _ => legacy(heard, "s"),
    });
    assert_eq!(refusal(&act(&mut Front::new(&peer, "/mcp", "").client())), "server-misbehaved");
}

/// A server of 2024: `GET /sse` is the stream, which names `endpoint` for messages.
fn of_2024(endpoint: &str) -> Peer {
    let (says, said) = mpsc::sync_channel::<String>(16);
    let said = Mutex::new(said);
    let endpoint = endpoint.to_owned();
    Peer::new(move |heard, stream| {
        if heard.verb == "GET" {
            let first = format!("{STREAM}event: endpoint\ndata: {endpoint}\n\n");
            stream.write_all(first.as_bytes()).unwrap();
            let said = said.lock().unwrap_or_else(PoisonError::into_inner);
            while let Ok(text) = said.recv_timeout(Duration::from_secs(5)) {
                if stream.write_all(text.as_bytes()).is_err() {
                    return false;
                }
            }
            return false;
        }
        if heard.path == "/sse" {
            return stream.write_all(empty(405).as_bytes()).is_ok();
        }
        let result = match heard.method() {
            "initialize" => json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}}),
            "tools/list" => json!({"tools": [tool("act")]}),
            "tools/call" => json!({"content": [{"type": "text", "text": "done"}]}),
            _ => Value::Null,
        };
        if !result.is_null() {
            let frame = json!({"jsonrpc": "2.0", "id": heard.body["id"], "result": result});
            says.send(format!("event: message\n{}", event(&frame))).unwrap();
        }
        stream.write_all(whole(202, "text/plain", "Accepted", "").as_bytes()).is_ok()
    })
}

#[test]
fn a_server_of_2024_is_found_and_spoken_with() {
    for entry in ["", "transport = \"sse\""] {
        let peer = of_2024("/messages?session=1");
        let front = Front::new(&peer, "/sse", entry);
        let mut client = front.client();
        done(&act(&mut client));
        let call = &peer.of("tools/call")[0];
        assert_eq!(call.path, "/messages?session=1");
        assert_eq!(peer.of("initialize").iter().filter(|h| h.path != "/sse").count(), 1);
    }
}

#[test]
fn its_endpoint_stays_at_its_origin() {
    for endpoint in ["http://127.0.0.1:1/messages", "//evil.example/", "https://127.0.0.1/x"] {
        let peer = of_2024(endpoint);
        let front = Front::new(&peer, "/sse", "transport = \"sse\"");
        let inventory = front.block_on(front.gateway.inventory());
        let error = inventory.failed.values().next().unwrap();
        assert!(error.to_string().ends_with("another origin"), "{error}");
        assert_eq!(peer.heard().len(), 1);
    }
}

/// A modern server that tells what changes, by the ids of its subscriptions.
fn tells(say: impl Fn(&Value) -> Vec<String> + Send + Sync + 'static) -> Peer {
    Peer::new(move |heard, stream| {
        let text = match heard.method() {
            "server/discover" => heard.result(json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}},
                "ttlMs": 0, "cacheScope": "private",
            })),
            "resources/list" => heard.result(json!({
                "resultType": "complete", "resources": [{"uri": "test://a", "name": "a"}],
                "ttlMs": 0, "cacheScope": "private",
            })),
            "subscriptions/listen" => {
                let mut text = STREAM.to_owned();
                text.extend(say(&heard.body));
                // Whether it was heard or not, nothing follows.
                drop(stream.write_all(text.as_bytes()));
                thread::sleep(Duration::from_secs(10));
                return false;
            }
            _ => modern(heard, &json!([tool("act")])),
        };
        stream.write_all(text.as_bytes()).is_ok()
    })
}

fn news(method: &str, subscription: &Value, params: Value) -> String {
    let mut params = params;
    params["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": subscription});
    event(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
}

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

#[test]
fn a_modern_server_is_listened_to() {
    let peer = tells(|listen| {
        let (id, wanted) = (&listen["id"], &listen["params"]["notifications"]);
        let mut said = vec![news(ACKNOWLEDGED, id, json!({"notifications": wanted}))];
        if wanted["resourceSubscriptions"] == json!(["test://a"]) {
            said.push(news(
                "notifications/resources/updated",
                &json!(4711),
                json!({"uri": "test://a", "not": "ours"}),
            ));
            said.push(news("notifications/resources/updated", id, json!({"uri": "test://a"})));
            said.push(news("notifications/tools/list_changed", id, json!({})));
        }
        said
    });
    let front = Front::new(&peer, "/mcp", "");
    let mut client = front.client();
    let listen = &peer.wait_for("subscriptions/listen", 1)[0];
    assert_eq!(listen.body["params"]["notifications"], json!({"toolsListChanged": true}));
    assert_eq!(listen.header("mcp-method"), "subscriptions/listen");
    let answer = client.ask("resources/subscribe", &json!({"uri": "test://a"}));
    assert!(answer["result"].is_object(), "{answer}");
    let told = client.told("notifications/resources/updated");
    assert_eq!(told["params"], json!({"uri": "test://a"}), "without the subscription's id");
    client.told("notifications/tools/list_changed");
    assert!(client.told.iter().all(|told| told["params"]["not"].is_null()), "{:?}", client.told);
    let wanted = &peer.of("subscriptions/listen")[1].body["params"]["notifications"];
    assert_eq!(*wanted, json!({"toolsListChanged": true, "resourceSubscriptions": ["test://a"]}));
}

#[test]
fn what_a_server_does_not_honour_is_not_watched() {
    let peer = tells(|listen| {
        vec![news(
            ACKNOWLEDGED,
            &listen["id"],
            json!({"notifications": {"toolsListChanged": true}}),
        )]
    });
    let front = Front::new(&peer, "/mcp", "");
    let answer = front.client().ask("resources/subscribe", &json!({"uri": "test://a"}));
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
}

#[test]
fn one_server_may_serve_all_clients() {
    let peer = Peer::answering(|heard| legacy(heard, "s"));
    let front = Front::new(&peer, "/mcp", "stateless = true");
    let mut clients = [front.client(), front.client()];
    clients.iter_mut().for_each(|client| done(&act(client)));
    let [first, mut second] = clients;
    drop(first.close());
    done(&act(&mut second));
    assert_eq!(peer.of("initialize").len(), 1);
    assert!(peer.of("DELETE").is_empty());
}

#[test]
fn what_a_shared_server_does_wrong_is_nobodys() {
    for (entry, anybodys) in [("", true), ("stateless = true", false)] {
        // An answer that nobody awaits, on the way to one that somebody does.
        let peer = Peer::answering(|heard| match heard.method() {
            "tools/call" => {
                let stray = json!({"jsonrpc": "2.0", "id": 4711, "result": {}});
                let result = json!({"content": [{"type": "text", "text": "done"}]});
                let answer = heard.event("2", result);
                format!("{STREAM}{}{answer}", event(&stray))
            }
            _ => legacy(heard, "s"),
        });
        let front = Front::new(&peer, "/mcp", &format!("era = \"legacy\"\n{entry}"));
        let mut client = front.client();
        done(&act(&mut client));
        drop(client.close());
        let stray = || {
            let recorded = front.recorded();
            recorded.lines().find(|line| line.contains("server-answer-stray")).map(str::to_owned)
        };
        let line = std::iter::repeat_with(|| {
            thread::sleep(Duration::from_millis(10));
            stray()
        });
        let line = line.take(1000).flatten().next().expect("it should be on record");
        assert_eq!(line.contains("\"principal\""), anybodys, "{line}");
    }
}

#[test]
fn names_may_go_without_a_prefix() {
    let peer = Peer::answering(|heard| modern(heard, &json!([tool("act")])));
    let front = Front::new(&peer, "/mcp", "prefix = \"\"");
    let mut client = front.client();
    let listed = client.ask("tools/list", &json!({}));
    assert_eq!(listed["result"]["tools"][0]["name"], "act");
    client.call(1, "act", &json!({"x": "y"}));
    done(&client.answer(1));
}

#[test]
fn a_server_at_another_url_than_was_pinned_is_not_asked() {
    let peer = Peer::answering(|heard| modern(heard, &json!([tool("act")])));
    let url = format!("http://127.0.0.1:{}/mcp", peer.port);
    let config = format!("[server.far]\nurl = \"{url}\"");
    for (pinned, failed) in
        [(url.as_str(), None), ("https://far.example/mcp", Some("server-changed"))]
    {
        let text = format!(
            "version = 2\n[server.far]\nurl = \"{pinned}\"\ntransport = \"auto\"\noffers_reviewed = false"
        );
        let lockfile = Lockfile::parse("tagout.lock", &text).unwrap();
        let before = peer.heard().len();
        let front = Front::of(&config, lockfile.clone());
        let inventory = front.block_on(front.gateway.inventory());
        let code = inventory.failed.values().next().map(UpstreamError::code);
        assert_eq!(code, failed);
        assert_eq!(peer.heard().len() > before, failed.is_none());
        // What is written can be read again.
        let again = Lockfile::parse("tagout.lock", &lockfile.text(&Hints::default())).unwrap();
        assert_eq!(again, lockfile);
        let survey = front.block_on(front.gateway.survey(&Accept::default(), true));
        let now = &survey.proposal.servers.values().next().unwrap();
        assert_eq!(now.url.as_deref(), Some(url.as_str()));
        assert_eq!(now.tools.len(), 1);
    }
}

#[test]
fn a_program_that_dies_of_the_question_is_started_again() {
    let script = json!({"methods": {"server/discover": [[{"exit": 3}]]}, "tools": [tool("act")]});
    let mut plan = Plan { profile: Some("none".to_owned()), ..Plan::default() };
    plan.servers.insert("far".to_owned(), serde_json::from_value(script).unwrap());
    plan.rules = vec!["@id(\"all\")\npermit(principal, action, resource);".to_owned()];
    let bench = Bench::new(&plan);
    let listed = bench.tagout(&["tools", "ls"]);
    assert!(listed.status.success(), "{listed:?}");
    let saw = bench.saw("far");
    let method = |line: &String| {
        serde_json::from_str::<Value>(line).unwrap()["method"].as_str().unwrap().to_owned()
    };
    let methods: Vec<_> = saw.iter().take(2).map(method).collect();
    assert_eq!(methods, ["server/discover", "initialize"]);
}
