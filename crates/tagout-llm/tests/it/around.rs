//! What is around the wires: the table of providers, retries, strictness, recordings, scripts.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tagout_llm::{
    Catalogue, Message, ModelId, Part, Provider as _, Providers, Reach, Remote, Role, Script, Stop,
    ToolCall, ToolResult, TurnRequest, WrittenProvider,
    tape::{Deck, Exchange, Player, Recorder},
    transport::{Fault, TransportError},
};
use tagout_proto::Secret;

use crate::stage::{Given, KEY, Stage, offered, providers, ready, remote, turn};

fn hello() -> [Message; 1] {
    [Message::text(Role::User, "Hello")]
}

fn given(text: &str) -> Given {
    let pieces = vec![text.as_bytes().to_vec()];
    Given { status: 200, headers: Vec::new(), pieces }
}

const YES: &str =
    "data: {\"choices\":[{\"delta\":{\"content\":\"Yes\"},\"finish_reason\":\"stop\"}]}\n\n";

fn written(table: &str) -> Result<Providers, String> {
    let written: BTreeMap<String, WrittenProvider> =
        toml::from_str(table).map_err(|error| error.message().to_owned())?;
    Providers::new(Catalogue::shipped().unwrap(), written)
        .map_err(|error| format!("{error}; {}", error.help))
}

#[test]
fn tables_that_make_no_sense_are_refused_without_their_keys() {
    for (table, says) in [
        ("[x]\nwire = 'openai-chat'", "no `url`"),
        ("[x]\nurl = 'https://a.example'", "no `wire`"),
        ("[x]\nurl = 'http://a.example'\nwire = 'openai-chat'", "this machine only"),
        ("[x]\nurl = 'https://a:sk-1@b.example'\nwire = 'openai-chat'", "a user or a password"),
        ("[x]\nurl = 'https://b.example/?key=sk-1'\nwire = 'openai-chat'", "a query"),
        ("[x]\nurl = 'ftp://b.example'\nwire = 'openai-chat'", "neither with https"),
        ("[openai]\nkey = 'sk-1'", "`key` is no reference"),
        ("[openai]\nkey = 15", "`key` is no reference"),
        ("[openai]\nkey = 'env://'", "`key` is no reference"),
        ("[openai]\nkey = 'env://sk-1'", "`key` is no reference"),
        ("[openai]\nkey = 'env://1A'", "`key` is no reference"),
        ("[openai]\nnum_ctx = 10", "`num_ctx`"),
        ("[openai]\nmax_output_tokens = 1", "`max_output_tokens`"),
        ("[openai]\ntemperature = 9.5", "`temperature`"),
        ("[openai]\neffort = 'A lot'", "`effort`"),
        ("[openai]\napikey = 'sk-1'", "unknown field `apikey`"),
        ("[offline]\nurl = 'https://b.example'\nwire = 'ollama'", "cannot be a provider's name"),
        ("[Big]\nurl = 'https://b.example'\nwire = 'ollama'", "cannot be a provider's name"),
    ] {
        let error = written(table).unwrap_err();
        assert!(error.contains(says), "{table}: {error}");
        assert!(!error.contains("sk-1"), "{error}");
    }
}

#[test]
fn a_provider_that_is_moved_does_not_take_its_key_along() {
    let moved = written("[openai]\nurl = 'https://b.example/v1/'").unwrap();
    let row = moved.find("openai").unwrap();
    assert_eq!((row.key.as_ref(), row.host()), (None, "b.example"));
    let tuned = written("[openai]\neffort = 'low'").unwrap();
    let row = tuned.find("openai").unwrap();
    assert_eq!(row.key.as_ref().unwrap().to_string(), "env://OPENAI_API_KEY");
}

#[test]
fn a_suffix_is_added_only_where_it_is_configured_and_shows() {
    let stage = Arc::new(Stage::default());
    for (model, suffixed) in [("lmstudio:m", true), ("llamacpp:m", false)] {
        stage.give(given(YES));
        let model = remote(model, &stage);
        let messages = [Message::text(Role::System, "Be kind."), hello()[0].clone()];
        turn(&model, &messages, &[]).1.unwrap();
        let sent = stage.sent.lock().unwrap().pop().unwrap();
        let system = if suffixed { "Be kind.\n\nAnswer briefly." } else { "Be kind." };
        assert_eq!(sent.body["messages"][0]["content"], system);
        assert_eq!(model.describe().note.contains("Answer briefly."), suffixed);
    }
}

#[test]
fn nothing_is_sent_again_once_a_byte_was_read() {
    let broken = || TransportError { detail: "reset".into(), fault: Fault::Passing };
    let stage = Arc::new(Stage::default());
    stage.answers.lock().unwrap().push_back(Err(broken()));
    stage.give(given(YES));
    turn(&remote("house:m", &stage), &hello(), &[]).1.unwrap();
    assert_eq!((stage.sent.lock().unwrap().len(), stage.waits.lock().unwrap().len()), (2, 1));

    let stage = Arc::new(Stage::default());
    stage.give(given("data: {\"choices\":[{\"delta\":{\"content\":\"Y\"}}]}\n\n"));
    let error = turn(&remote("house:m", &stage), &hello(), &[]).1.unwrap_err();
    assert_eq!(error.code(), "provider-broken-off");
    assert_eq!(stage.sent.lock().unwrap().len(), 1);

    let stage = Arc::new(Stage::default());
    let lasting = TransportError { fault: Fault::Lasting, ..broken() };
    stage.answers.lock().unwrap().push_back(Err(lasting));
    let error = turn(&remote("house:m", &stage), &hello(), &[]).1.unwrap_err();
    assert_eq!(error.code(), "provider-unreachable");
    assert_eq!(stage.sent.lock().unwrap().len(), 1);
}

fn strictly(name: &str, stage: &Arc<Stage>) -> Remote {
    let table = format!("[{name}]\nstrict = true\nkey = 'env://K'");
    let row = written(&table).unwrap().find(name).unwrap().clone();
    let model: ModelId = format!("{name}:m").parse().unwrap();
    let key = Some(Secret::new(KEY.to_owned()));
    let (transport, clock) = (Arc::clone(stage) as _, Arc::clone(stage) as _);
    Remote::new(row, model, None, Reach { key, transport, clock })
}

#[test]
fn strict_tools_get_back_the_arguments_that_their_own_schemas_know() {
    let stage = Arc::new(Stage::default());
    let arguments = r#"{\"region\":\"north\",\"hours\":null}"#;
    stage.give(given(&format!(
        "data: {{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{{\
         \"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"grid__get_load\",\
         \"arguments\":\"{arguments}\"}}}}\n\n\
         data: {{\"type\":\"response.completed\",\"response\":{{\"status\":\"completed\"}}}}\n\n"
    )));
    let turn = turn(&strictly("openai", &stage), &hello(), &offered()).1.unwrap();
    let [Part::ToolCall(call)] = turn.parts.as_slice() else { panic!("{turn:?}") };
    assert_eq!(call.arguments_raw, r#"{"region":"north"}"#);
    let sent = stage.sent.lock().unwrap();
    let tools = &sent[0].body["tools"];
    // The others take anything, or have more at their root than a strict schema may.
    assert_eq!(
        [&tools[0]["strict"], &tools[1]["strict"], &tools[2]["strict"]],
        [true, false, false]
    );
    assert_eq!(tools[0]["parameters"]["required"], json!(["region", "hours"]));
    assert_eq!(tools[0]["parameters"]["additionalProperties"], false);
}

#[test]
fn reasoning_goes_to_nobody_else() {
    let stage = Arc::new(Stage::default());
    let state = |provider: &str, model: &str| tagout_llm::ProviderState {
        provider: provider.into(),
        model: model.into(),
        value: json!({"reasoning_content": "SECRET-THOUGHT", "call_id": "native"}),
    };
    for (provider, model, goes) in
        [("house", "m", true), ("house", "n", false), ("vllm", "m", false)]
    {
        let call = ToolCall::new("call-1", "grid__plot", "{}");
        let call = ToolCall { state: Some(state(provider, model)), ..call };
        let result = ToolResult {
            call_id: "call-1".into(),
            parts: vec![Part::text("x")],
            structured: None,
            is_error: false,
        };
        let thought =
            Part::Reasoning { text: "SECRET-THOUGHT".into(), state: state(provider, model) };
        let messages = [
            hello()[0].clone(),
            Message { role: Role::Assistant, parts: vec![thought, Part::ToolCall(call)] },
            Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] },
        ];
        stage.give(given(YES));
        turn(&remote("house:m", &stage), &messages, &[]).1.unwrap();
        let body = stage.sent.lock().unwrap().pop().unwrap().body.to_string();
        assert_eq!((body.contains("SECRET-THOUGHT"), body.contains("native")), (goes, goes));
    }
}

#[derive(Default)]
struct Kept(Mutex<Vec<Exchange>>);

impl Deck for Kept {
    fn keep(&self, exchange: &Exchange) {
        self.0.lock().unwrap().push(exchange.clone());
    }
}

fn over(transport: Arc<dyn tagout_llm::transport::Transport>, key: bool) -> Remote {
    let row = providers().find("house").unwrap().clone();
    let key = key.then(|| Secret::new(KEY.to_owned()));
    let clock = Arc::new(Stage::default());
    Remote::new(row, "house:m".parse().unwrap(), None, Reach { key, transport, clock })
}

#[test]
fn a_recording_holds_no_key_and_plays_to_the_same_request_only() {
    let stage = Arc::new(Stage::default());
    stage.give(given(YES));
    let deck = Arc::new(Kept::default());
    let recorder = Recorder::new("house:m".into(), stage, Arc::clone(&deck) as _);
    let recorded = turn(&over(Arc::new(recorder), true), &hello(), &offered());
    let kept = deck.0.lock().unwrap().clone();
    let text = serde_json::to_string(&kept).unwrap();
    assert!(!text.contains(KEY) && text.contains("Yes"), "{text}");

    let stage = Arc::new(Stage::default());
    let echo = format!("{{\"error\":{{\"message\":\"no Bearer {KEY}, no {KEY}\"}}}}");
    stage.give(Given { status: 400, ..given(&echo) });
    let echoed = Arc::new(Kept::default());
    let recorder = Recorder::new("house:m".into(), stage, Arc::clone(&echoed) as _);
    let error = turn(&over(Arc::new(recorder), true), &hello(), &[]).1.unwrap_err();
    assert!(!error.to_string().contains(KEY), "{error}");
    let answer = echoed.0.lock().unwrap()[0].answer.clone();
    assert!(answer.contains("no (key), no (key)"), "{answer}");

    let play = || over(Arc::new(Player::new("house:m".into(), kept.clone())), false);
    let played = play();
    assert_eq!(turn(&played, &hello(), &offered()), recorded);
    let error = turn(&played, &hello(), &offered()).1.unwrap_err();
    assert_eq!(error.code(), "provider-not-recorded");
    let other = [Message::text(Role::User, "Another")];
    let error = turn(&play(), &other, &offered()).1.unwrap_err();
    assert!(error.to_string().contains("`/messages/0/content`"), "{error}");
    let player = |model: &str, url: &str| {
        let kept = kept.clone().into_iter().map(|e| Exchange { url: url.into(), ..e }).collect();
        over(Arc::new(Player::new(model.into(), kept)), false)
    };
    let path = "https://moved.example/v1/chat/completions";
    for (model, url, plays) in [
        ("house:m", path, true),
        ("house:n", path, false),
        ("house:m", "https://llm.house.example/v2/chat/completions", false),
    ] {
        let played = turn(&player(model, url), &hello(), &offered()).1;
        assert_eq!(played.is_ok(), plays, "{model} {url}: {played:?}");
    }
}

#[test]
fn a_recording_of_a_question_that_repeats_the_key_holds_no_key_and_plays() {
    let stage = Arc::new(Stage::default());
    stage.give(given(&YES.replace("Yes", &format!("Is it {KEY}?"))));
    stage.give(given(YES));
    let deck = Arc::new(Kept::default());
    let recorder = Recorder::new("house:m".into(), stage, Arc::clone(&deck) as _);
    let recorded = over(Arc::new(recorder), true);
    let talk = |model: &Remote, key: &str| {
        let asked = Message::text(Role::User, format!("My key is {key}."));
        let first = turn(model, std::slice::from_ref(&asked), &[]).1.unwrap();
        let answer = Message { role: Role::Assistant, parts: first.parts };
        let messages = [asked, answer, hello()[0].clone()];
        turn(model, &messages, &[]).1.unwrap()
    };
    let said = talk(&recorded, KEY);
    let kept = deck.0.lock().unwrap().clone();
    let text = serde_json::to_string(&kept).unwrap();
    assert!(!text.contains(KEY) && text.contains("My key is (key)."), "{text}");
    let player = over(Arc::new(Player::new("house:m".into(), kept)), false);
    assert_eq!(talk(&player, "(key)"), said);
}

#[test]
fn a_script_says_what_stands_in_it() {
    let text = r#"
        [[turn]]
        text = "I look."
        [[turn.call]]
        tool = "grid__get_load"
        arguments = { region = "north" }
        [[turn.call]]
        tool = "grid__plot"
        [[turn]]
        text = "Done."
    "#;
    let script = Script::parse("script:x".into(), text).unwrap();
    let messages = hello();
    let next = || ready(script.turn(TurnRequest::new(&messages, &[])));
    let first = next().unwrap();
    assert_eq!(first.stop, Stop::ToolCalls);
    let calls: Vec<Value> = first.parts[1..]
        .iter()
        .map(|part| match part {
            Part::ToolCall(call) => json!([call.id, call.name, call.arguments_raw]),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = json!([
        ["call-1", "grid__get_load", r#"{"region":"north"}"#],
        ["call-2", "grid__plot", "{}"]
    ]);
    assert_eq!(Value::from(calls), expected);
    assert_eq!(next().unwrap().stop, Stop::Complete);
    assert_eq!(next().unwrap_err().code(), "provider-not-recorded");
    assert!(Script::parse("x".into(), "[[turn]]\nsays = 1").is_err());
}

#[test]
fn providers_list_their_models() {
    let stage = Arc::new(Stage::default());
    for (model, answer, url) in [
        ("openai:m", r#"{"data":[{"id":"b"},{"id":"a"}]}"#, "https://api.openai.com/v1/models"),
        ("anthropic:m", r#"{"data":[{"id":"a"},{"id":"b"}]}"#, "/v1/models?limit=1000"),
        (
            "google:m",
            r#"{"models":[{"name":"models/b"},{"name":"models/e","supportedGenerationMethods":["embed"]},
                {"name":"models/a","supportedGenerationMethods":["generateContent"]}]}"#,
            "/v1beta/models?pageSize=1000",
        ),
        ("ollama:m", r#"{"models":[{"name":"a"},{"name":"b"}]}"#, ":11434/api/tags"),
    ] {
        stage.give(given(answer));
        assert_eq!(ready(remote(model, &stage).list()).unwrap(), ["a", "b"]);
        assert!(stage.sent.lock().unwrap().pop().unwrap().url.ends_with(url));
    }
    stage.give(given("<html>"));
    let error = ready(remote("house:m", &stage).list()).unwrap_err();
    assert_eq!(error.code(), "provider-malformed");
}

#[test]
fn strictness_ends_where_the_provider_ends_it() {
    let stage = Arc::new(Stage::default());
    let optional = |n: usize| {
        let names = (0..n).map(|n| (format!("p{n}"), json!({"type": "string"})));
        json!({"type": "object", "properties": names.collect::<serde_json::Map<_, _>>()})
    };
    let strict = |schemas: Vec<Value>| {
        let tools = schemas.into_iter().enumerate().map(|(n, input_schema)| {
            let name = format!("t{n}");
            tagout_llm::ToolSpec { name, input_schema, ..offered().remove(0) }
        });
        let tools: Vec<_> = tools.collect();
        stage.give(given(""));
        turn(&strictly("anthropic", &stage), &hello(), &tools).1.unwrap_err();
        let sent = stage.sent.lock().unwrap().pop().unwrap();
        let tools = sent.body["tools"].as_array().unwrap().clone();
        tools.iter().filter(|tool| tool.get("strict").is_some()).count()
    };
    assert_eq!(strict(vec![optional(10), optional(10), optional(6)]), 2);
    let closed = json!({"type": "object", "additionalProperties": false});
    assert_eq!(strict(vec![closed; 25]), 20);
}
