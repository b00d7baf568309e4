//! Language models, played by a stand-in on this machine that speaks all five wires.
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use tagout_testkit::pty::Pty;

use crate::{
    place::{LIMIT, Place, Ran, each, one},
    terminal::seat,
};

const QUESTION: &str = "What is the outage risk of transformer A7 at 38 C with 70 km/h wind?";
const KEY: &str = "topsecret-0123456789";

/// A request as it came.
#[derive(Clone, Debug)]
struct Seen {
    path: String,
    head: String,
    body: Value,
}

struct StandIn {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl StandIn {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || serve(&stream.unwrap(), &kept));
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: &TcpStream, seen: &Mutex<Vec<Seen>>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return;
        }
    }
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1);
    let length = length.map_or("0", |rest| rest.split("\r\n").next().unwrap());
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let turns = seen.lock().unwrap().iter().filter(|seen| seen.path == path).count();
    seen.lock().unwrap().push(Seen { path: path.clone(), head, body: body.clone() });
    let (status, answer) = answer(&path, &body, turns);
    // Its end is the connection's, and it comes in pieces.
    write!(stream, "HTTP/1.1 {status} x\r\nconnection: close\r\n\r\n").unwrap();
    for piece in answer.as_bytes().chunks(7) {
        stream.write_all(piece).unwrap();
    }
}

fn answer(path: &str, body: &Value, turns: usize) -> (u16, String) {
    if path.starts_with("/busy/") && turns == 0 {
        return (503, "{}".into());
    }
    if path.ends_with("/models") {
        return (200, json!({"data": [{"id": "b\u{1b}[2J"}, {"id": "a"}]}).to_string());
    }
    if path.starts_with("/silent/") {
        thread::sleep(LIMIT);
        return (200, String::new());
    }
    if path.starts_with("/echo/") {
        return (400, json!({"error": {"message": format!("no {KEY}"), "code": "x"}}).to_string());
    }
    if path.starts_with("/away/") {
        return (302, String::new());
    }
    let text = body.to_string();
    let (name, arguments) = if text.contains("tagout_probe") {
        ("tagout_probe", json!({"word": "ready"}))
    } else {
        let weather = json!({"temp_c": 38, "wind_kph": 70});
        let risk = json!({"equipment_id": "A7", "weather_data": weather});
        ("grid__predict_outage_risk", risk)
    };
    let wire = path.rsplit('/').next().unwrap();
    let answered = ["function_call_output", "tool_call_id", "tool_result", "functionResponse"];
    let call = !answered.iter().any(|result| text.contains(&format!("\"{result}\"")));
    let said = "The risk is high.\u{1b}[31m";
    let events = match wire {
        "responses" => responses(call, name, &arguments, said),
        "completions" => completions(call, name, &arguments, said),
        "messages" => messages(call, name, &arguments, said),
        "chat" => return (200, chat(call, name, &arguments, said)),
        _ => gemini(call, name, &arguments, said),
    };
    (200, events.iter().map(|event| format!("data: {event}\n\n")).collect())
}

fn responses(call: bool, name: &str, arguments: &Value, said: &str) -> Vec<Value> {
    let item = if call {
        json!({"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": name,
               "arguments": arguments.to_string(), "status": "completed"})
    } else {
        json!({"type": "message", "id": "m", "content": [{"type": "output_text", "text": said}]})
    };
    vec![
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": {"status": "completed",
               "usage": {"input_tokens": 1000, "output_tokens": 100}}}),
    ]
}

fn completions(call: bool, name: &str, arguments: &Value, said: &str) -> Vec<Value> {
    let (delta, reason) = if call {
        let function = json!({"name": name, "arguments": arguments.to_string()});
        (json!({"tool_calls": [{"index": 0, "id": "call_a", "function": function}]}), "tool_calls")
    } else {
        (json!({"content": said}), "stop")
    };
    vec![
        json!({"choices": [{"delta": delta, "finish_reason": reason}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}),
    ]
}

fn messages(call: bool, name: &str, arguments: &Value, said: &str) -> Vec<Value> {
    let (block, delta, reason) = if call {
        (
            json!({"type": "tool_use", "id": "toolu_a", "name": name, "input": {}}),
            json!({"type": "input_json_delta", "partial_json": arguments.to_string()}),
            "tool_use",
        )
    } else {
        let delta = json!({"type": "text_delta", "text": said});
        (json!({"type": "text", "text": ""}), delta, "end_turn")
    };
    vec![
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 1000, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 100}}),
        json!({"type": "message_stop"}),
    ]
}

fn gemini(call: bool, name: &str, arguments: &Value, said: &str) -> Vec<Value> {
    let part = if call {
        json!({"functionCall": {"name": name, "args": arguments}, "thoughtSignature": "c2ln"})
    } else {
        json!({"text": said})
    };
    vec![json!({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 100}})]
}

fn chat(call: bool, name: &str, arguments: &Value, said: &str) -> String {
    let message = if call {
        json!({"content": "", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]})
    } else {
        json!({"content": said})
    };
    let end = json!({"message": {"content": ""}, "done": true, "done_reason": "stop",
                     "prompt_eval_count": 1000, "eval_count": 100});
    format!("{}\n{end}\n", json!({"message": message, "done": false}))
}

const WIRES: [&str; 5] =
    ["openai-responses", "openai-chat", "anthropic-messages", "gemini-generate", "ollama"];

/// A place with a provider for each wire, and some that misbehave.
fn place(server: &StandIn) -> Place {
    let place = Place::new();
    let port = server.port;
    let mut text = "[server.grid]\nbuiltin = \"grid\"\n".to_owned();
    for wire in WIRES {
        text.push_str(&format!(
            "[provider.{wire}]\nurl = \"http://127.0.0.1:{port}/{wire}\"\nwire = \"{wire}\"\n\
             key = \"file://key\"\nmodel.m = {{ input = 1.0, output = 10.0 }}\n"
        ));
    }
    for odd in ["busy", "echo", "away", "silent"] {
        text.push_str(&format!(
            "[provider.{odd}]\nurl = \"http://127.0.0.1:{port}/{odd}\"\nwire = \"openai-chat\"\n\
             key = \"file://key\"\n"
        ));
    }
    place.configure(&text);
    place.write(&place.config_file().with_file_name("key"), format!("{KEY}\n"));
    place
}

fn without_key(ran: &Ran) {
    assert!(!ran.stdout.contains(KEY) && !ran.stderr.contains(KEY), "{ran:?}");
}

#[test]
fn every_wire_answers_through_the_gateway() {
    let server = StandIn::new();
    let place = place(&server);
    for wire in WIRES {
        let ran = place.run(&["ask", "--model", &format!("{wire}:m"), QUESTION]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{wire}: {ran:?}");
        assert!(ran.stdout.contains("allowed by rule `read-freely`"), "{ran:?}");
        assert!(ran.stdout.contains("The risk is high."), "{ran:?}");
        assert!(!ran.stdout.contains('\u{1b}'), "a model's escape sequence: {ran:?}");
        assert!(ran.stdout.contains("Cost       0.0040 USD (2000 tokens in, 200 out)"), "{ran:?}");
        without_key(&ran);
        let seen = server.seen();
        let last = seen.last().unwrap();
        assert!(last.head.contains(KEY) && !last.path.contains(KEY));
        assert!(last.body.to_string().contains("risk"), "the result went back");
    }
    assert_eq!(server.seen().len(), 2 * WIRES.len());
    assert!(!server.seen().iter().any(|seen| seen.head.to_lowercase().contains("accept-encoding")));
}

#[test]
fn a_check_says_whether_a_model_calls_tools_and_what_it_cost() {
    let server = StandIn::new();
    let place = place(&server);
    for wire in WIRES {
        let ran = place.run(&["--json", "models", "check", &format!("{wire}:m")]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let said = one(&ran.stdout);
        assert_eq!((&said["calls_tools"], &said["cost"]), (&json!(true), &json!("0.0020 USD")));
        without_key(&ran);
    }
    let ran = place.run(&["models", "check", "ollama:another"]);
    assert!(ran.stdout.contains("cost unknown"), "{ran:?}");
    assert!(ran.stdout.contains("is not in the catalogue"), "{ran:?}");
}

#[test]
fn a_provider_lists_its_models() {
    let server = StandIn::new();
    let place = place(&server);
    let listed = place.done(&["models", "ls", "openai-chat"]);
    assert!(listed.starts_with("openai-chat:a\nopenai-chat:b"), "{listed}");
    assert!(!listed.contains('\u{1b}'));
    let ran = place.run(&["models", "ls", "nobody"]);
    assert!(ran.stderr.contains("there is no provider `nobody`; "), "{ran:?}");
    assert!(ran.stderr.contains("[model-unknown]") && !ran.stderr.contains("any"), "{ran:?}");
}

#[test]
fn a_busy_provider_is_asked_again_and_a_redirect_not_followed() {
    let server = StandIn::new();
    let place = place(&server);
    let ran = place.run(&["models", "check", "busy:m"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(server.seen().len(), 2);
    let ran = place.run(&["models", "check", "away:m"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("(status 302)") && ran.stderr.contains("[provider-refused]"));
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_key_is_never_shown() {
    let server = StandIn::new();
    let place = place(&server);
    for args in [
        vec!["models", "check", "echo:m"],
        vec!["-vv", "models", "check", "echo:m"],
        vec!["--json", "models", "check", "echo:m"],
        vec!["models", "ls"],
        vec!["--json", "models", "ls"],
    ] {
        without_key(&place.run(&args));
    }
    let recording = place.path("recording");
    let model = format!("record:{},openai-chat:m", recording.display());
    let ran = place.run(&["ask", "--model", &model, QUESTION]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for file in std::fs::read_dir(&recording).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(KEY));
    }
    let asked = server.seen().len();
    let model = format!("replay:{}", recording.display());
    let replayed = place.run(&["ask", "--model", &model, QUESTION]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert_eq!(server.seen().len(), asked, "nobody is reached");
    let heading = format!("Assistant  {model} (no language model: a recording of `openai-chat:m`)");
    assert!(replayed.stdout.contains(&heading), "{replayed:?}");
    assert!(replayed.stdout.contains("Cost       no model"), "{replayed:?}");
    let ran = place.run(&["ask", "--model", &model, "Another question"]);
    assert!(ran.stderr.contains("[provider-not-recorded]"), "{ran:?}");
}

#[test]
fn a_key_that_is_missing_or_stands_in_the_configuration_is_an_error() {
    let place = Place::new();
    let ran = place.run(&["ask", "--model", "openai:gpt-6-luna", "Hi"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("[provider-key-missing]"), "{ran:?}");
    assert!(ran.stderr.contains("env://OPENAI_API_KEY"), "{ran:?}");
    for text in [
        format!("[provider.openai]\nkey = \"{KEY}\"\n"),
        format!("[provider.openai]\napi_key = \"{KEY}\"\n"),
        format!("[provider.openai]\nkey = \"env://{KEY}\"\n"),
        format!("[provider.openai]\n{KEY} = \"x\"\n"),
        format!("[provider.openai]\ntemperature = \"{KEY}\"\n"),
        format!("[provider.openai]\nkey = \"{KEY}\"\n[limits]\nfame_bytes = 1\n"),
    ] {
        place.configure(&text);
        for args in [&["models", "ls"][..], &["check"], &["ask", "--model", "openai:m", "Hi"]] {
            let ran = place.run(args);
            assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
            without_key(&ran);
        }
    }
}

#[test]
fn models_are_compared_side_by_side() {
    let server = StandIn::new();
    let place = place(&server);
    let models = ["--model", "offline:planner", "--model", "ollama:m", "--model", "echo:m"];
    let args: Vec<_> = ["compare", QUESTION].into_iter().chain(models).collect();
    let ran = place.run(&args);
    assert_eq!(ran.code, 1, "one of them failed");
    let table = ran.stdout.split("MODEL").nth(1).unwrap();
    for (model, calls, cost) in [
        ("offline:planner", "1", "no model"),
        ("ollama:m", "1", "0.0040 USD"),
        ("echo:m", "0", "cost unknown"),
    ] {
        let row = table.lines().find(|line| line.starts_with(model)).unwrap();
        assert!(row.split_whitespace().nth(1) == Some(calls) && row.ends_with(cost), "{row}");
    }
    without_key(&ran);
    let args: Vec<_> = ["--json"].into_iter().chain(args).collect();
    let rows = each(&place.run(&args).stdout);
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1]["answer"]["calls"][0]["tool"], "grid__predict_outage_risk");
    assert_eq!(rows[2]["error"]["code"], "provider-refused");
    assert_eq!([&rows[1]["calls"], &rows[2]["calls"]], [1, 0]);
    assert!(rows[1]["note"].as_str().unwrap().contains("language model at"), "{rows:?}");
    assert!(rows[2]["warning"].as_str().unwrap().contains("not in the catalogue"), "{rows:?}");
    assert!(ran.stdout.contains("== ollama:m (language model at"), "{ran:?}");
    assert!(ran.stdout.contains("note: `echo:m` is not in the catalogue"), "{ran:?}");
}

#[test]
fn a_script_plays_a_model() {
    let place = Place::new();
    let script = place.path("script.toml");
    place.write(
        &script,
        "[[turn]]\ntext = \"A\"\n[[turn.call]]\ntool = \"rm__all\"\n[[turn]]\ntext = \"B\"\n",
    );
    let ran = place.run(&["ask", "--model", &format!("script:{}", script.display()), "Hi"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("there is no tool `rm__all`"), "{ran:?}");
    let spaced = place.path(&format!("a script, {}.toml", "long".repeat(40)));
    place.write(&spaced, "[[turn]]\ntext = \"B\"\n");
    let ran = place.run(&["ask", "--model", &format!("script:{}", spaced.display()), "Hi"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let long = format!("script:{}", "a".repeat(4097));
    for odd in ["script:", "script:a\u{1b}b", "replay:", "record:,openai:m", &long] {
        let ran = place.run(&["ask", "--model", odd, "Hi"]);
        assert!(ran.stderr.contains("[model-unknown]"), "{ran:?}");
    }
    let ran = place.run(&["ask", "--model", "script:none.toml", "Hi"]);
    assert!(ran.stderr.contains("[provider-file]"), "{ran:?}");
}

#[test]
fn a_check_does_not_wait_for_ever() {
    let server = StandIn::new();
    let place = place(&server);
    let ran = place.run(&["models", "check", "silent:m", "--seconds", "1"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("[provider-timeout]") && ran.stderr.contains("1 s"), "{ran:?}");
    assert_eq!(server.seen().len(), 1, "nothing is sent again");
    let ran = place.run(&["models", "check", "silent:m", "--seconds", "0"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

/// A model at an address that is this machine, and does not say so.
const ELSEWHERE: &str = "elsewhere:m";

fn elsewhere(server: &StandIn, more: &str) -> Place {
    let place = Place::new();
    let url = format!("http://0.0.0.0:{}/openai-chat", server.port);
    place.configure(&format!(
        "{more}[server.grid]\nbuiltin = \"grid\"\n[provider.elsewhere]\nurl = \"{url}\"\n\
         wire = \"openai-chat\"\nallow_plain_http = true\n"
    ));
    place
}

fn consents(place: &Place) -> Vec<Value> {
    each(&place.done(&["--json", "consent", "ls"]))
}

#[test]
fn nothing_goes_to_a_model_elsewhere_before_it_is_agreed_to() {
    let server = StandIn::new();
    let place = elsewhere(&server, "");
    for args in [
        vec!["ask", "--model", ELSEWHERE, QUESTION],
        vec!["--json", "ask", "--model", ELSEWHERE, QUESTION],
        vec!["compare", "--model", "offline:planner", "--model", ELSEWHERE, QUESTION],
        vec!["ask", "--model", "record:recording,elsewhere:m", QUESTION],
    ] {
        let ran = place.run(&args);
        assert_eq!(ran.code, 4, "{ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("consent-model"), "{ran:?}");
        assert!(said.contains("tagout consent give elsewhere:m --model"), "{ran:?}");
    }
    assert_eq!(server.seen().len(), 0, "nothing was sent");
    place.done(&["consent", "give", ELSEWHERE, "--model"]);
    assert_eq!(place.run(&["ask", "--model", ELSEWHERE, QUESTION]).code, 0);
    assert_eq!(server.seen().len(), 2);
    place.done(&["consent", "revoke", ELSEWHERE, "--model"]);
    assert_eq!(place.run(&["ask", "--model", ELSEWHERE, QUESTION]).code, 4);
    assert_eq!(server.seen().len(), 2);
    place.done(&["audit", "verify"]);
}

#[test]
fn consent_is_to_a_model_at_its_address() {
    let server = StandIn::new();
    let place = elsewhere(&server, "");
    place.done(&["consent", "give", ELSEWHERE, "--model"]);
    assert_eq!(place.run(&["ask", "--model", "elsewhere:other", QUESTION]).code, 4);
    let text = String::from_utf8(std::fs::read(place.config_file()).unwrap()).unwrap();
    place.configure(&text.replace("/openai-chat", "/other/openai-chat"));
    assert_eq!(place.run(&["ask", "--model", ELSEWHERE, QUESTION]).code, 4);
    assert_eq!(consents(&place)[0]["holds"], false);
    assert_eq!(server.seen().len(), 0, "nothing was sent");
}

#[test]
fn the_operator_may_agree_for_everybody_to_a_model() {
    let server = StandIn::new();
    let place = elsewhere(&server, "[consent]\nmodels = [\"elsewhere:m\"]\n");
    assert_eq!(place.run(&["ask", "--model", ELSEWHERE, QUESTION]).code, 0);
    assert_eq!(place.run(&["ask", "--model", "elsewhere:other", QUESTION]).code, 4);
    assert!(place.done(&["consent", "ls"]).contains("everybody, to model elsewhere:m"));
    let place = elsewhere(&server, "[consent]\nmodels = [\"elsewhere\"]\n");
    assert_eq!(place.run(&["check"]).code, 2);
}

#[test]
fn what_stays_on_this_machine_needs_no_consent() {
    let server = StandIn::new();
    let place = place(&server);
    for (model, needless) in [
        ("ollama:qwen3:8b", true),
        ("lmstudio:a/b", true),
        ("ollama:cloud", true),
        ("ollama:qwen3:480b-cloud", false),
        ("ollama:GPT-OSS:120b-Cloud", false),
        ("ollama:glm-4.6:CLOUD", false),
        ("lmstudio:gpt-oss:120b-cloud", false),
        ("llamacpp:gpt-oss:120b-cloud", false),
    ] {
        let ran = place.run(&["consent", "give", model, "--model"]);
        assert_eq!(ran.stderr.contains("[consent-needless]"), needless, "{ran:?}");
        assert_eq!(ran.code, if needless { 2 } else { 0 }, "{ran:?}");
    }
    let ran = place.run(&["consent", "give", "nobody:m", "--model"]);
    assert!(ran.stderr.contains("[model-unknown]"), "{ran:?}");
}

#[test]
fn on_a_terminal_it_is_asked_once() {
    for (answer, code) in [("yes\n", 0), ("y\n", 3), ("\n", 3)] {
        let server = StandIn::new();
        let place = elsewhere(&server, "");
        let mut pty = Pty::spawn(&seat(&place, &["ask", "--model", ELSEWHERE, QUESTION])).unwrap();
        pty.expect("Type `yes` to go ahead: ", LIMIT).unwrap();
        pty.send(answer).unwrap();
        assert_eq!(pty.wait(LIMIT).unwrap().code(), Some(code), "{answer:?}");
        assert_eq!(server.seen().is_empty(), code != 0);
        if code == 0 {
            assert_eq!(consents(&place)[0]["channel"], "terminal");
            assert_eq!(place.run(&["ask", "--model", ELSEWHERE, QUESTION]).code, 0);
        }
    }
}
