//! From a call back to the sentence that led to it, and forward to what came of it: a client that
//! says why it calls, through the real binary, and what its host puts on record beside it.
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tagout_audit::{Tokens, What};
use tagout_gateway::{
    Clock, Gateway, Parts,
    approval::Nobody,
    config::Config,
    identity::os_user,
    lockfile::Lockfile,
    said::{Proposed, Said},
};
use tagout_policy::{Policy, Profile, Surface};
use tagout_proto::{Conversation, Digest};

use crate::{
    mcp_client::Client,
    place::{Place, each, one, tool},
};

const WORDS: &str = "How risky is A7 in this heat? My card is 4711.";
const ARGUMENTS: &str = r#"{"text": "A7"}"#;
const MODEL: &str = "offline:planner";

/// A person talks with a model by a host, whose calls go through `tagout run`.
struct Talk {
    place: Place,
    client: Client,
    /// What the host keeps open to put on record what was said.
    gateway: Arc<Gateway>,
    conversation: Conversation,
}

/// A question with one round of tools.
struct Story {
    prompt: u64,
    request: u64,
    response: u64,
    call: u64,
    next: u64,
    answer: u64,
}

impl Talk {
    fn new(config: &str) -> Self {
        let place = Place::new();
        place.configure(config);
        place.scripted(
            "s",
            json!({"tools": [tool("read_it"), tool("write_it")], "calls": {
                "read_it": [[{"text": "A7 is at 0.82"}]], "write_it": [[{"text": "done"}]],
            }}),
        );
        place.pin(&["s"]);
        let gateway = gateway(&place, config);
        let conversation = gateway.conversation_called("talk", "test").unwrap();
        let mut client = Client::start(&place);
        client.frames.result(
            "initialize",
            &json!({
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": {"name": "a-host", "version": "1"},
                "_meta": {"tagout/conversation": "talk"},
            }),
        );
        client.frames.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        Self { place, client, gateway, conversation }
    }

    fn say(&self, said: &Said<'_>) -> u64 {
        self.gateway.say(self.gateway.principal(), &self.conversation, said).unwrap()
    }

    fn call(&mut self, meta: &Value) -> Value {
        let arguments = one(ARGUMENTS);
        let params = json!({"name": "s__read_it", "arguments": arguments, "_meta": meta});
        self.client.frames.request("tools/call", &params)
    }

    fn proposes(&self, cause: Option<u64>, arguments: &str) -> u64 {
        let arguments = Digest::of_json(arguments);
        let calls = [Proposed { id: "c1", tool: "s__read_it", arguments }];
        self.say(&Said {
            cause,
            calls: &calls,
            tokens: Some(Tokens { input: 120, output: 12 }),
            ..said(
                What::Response,
                r#"{"parts":[{"kind":"reasoning","text":"hm"},{"kind":"text","text":"I look."}]}"#,
            )
        })
    }

    fn story(&mut self) -> Story {
        let prompt = self.say(&Said { model: None, ..said(What::Prompt, WORDS) });
        let content = r#"{"messages":["How risky is A7?"],"password":"hunter2"}"#;
        let request = self.say(&Said { cause: Some(prompt), ..said(What::Request, content) });
        // However the model writes it.
        let response = self.proposes(Some(request), r#"{ "text":"A\u0037" }"#);
        let meta = json!({
            "tagout/user-words": WORDS, "tagout/model": MODEL,
            "tagout/cause": {"record": response, "call": "c1"},
        });
        let answer = self.call(&meta);
        let call = record_of(&answer);
        let results = [("c1", Some(call))];
        let again = Said { results: &results, ..said(What::Request, "{}") };
        let next = self.say(&Said { cause: Some(response), ..again });
        let last = said(What::Response, r#"{"parts":[{"kind":"text","text":"It is risky."}]}"#);
        let answer = self.say(&Said { cause: Some(next), ..last });
        Story { prompt, request, response, call, next, answer }
    }

    fn trace(&self, n: u64) -> String {
        self.place.done(&["audit", "trace", &n.to_string()])
    }

    fn traced(&self, n: u64) -> Value {
        one(&self.place.done(&["--json", "audit", "trace", &n.to_string()]))
    }
}

fn said(what: What, content: &str) -> Said<'_> {
    let model = Some(MODEL);
    Said { what, cause: None, model, content, calls: &[], results: &[], tokens: None }
}

fn record_of(answer: &Value) -> u64 {
    answer["result"]["_meta"]["tagout/record"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

fn gateway(place: &Place, config: &str) -> Arc<Gateway> {
    let config = Config::parse("tagout.toml", config, place.root()).unwrap();
    let parts = Parts {
        principal: os_user(&config),
        config,
        policy: Policy::load(Profile::None, &[], &Surface::default()).unwrap(),
        lockfile: Lockfile::default(),
        shipped: Lockfile::default(),
        own_program: "/nonexistent".into(),
        own_files: std::collections::BTreeSet::new(),
        approver: Arc::new(Nobody),
        clock: Clock::new(|| Timestamp::from_second(1_795_295_093).unwrap()),
    };
    let key = place.path("data/tagout/keys/audit-head.key");
    Gateway::open(parts, &place.path("state/tagout"), &key).unwrap()
}

fn numbers(trace: &Value) -> Vec<u64> {
    trace["steps"].as_array().unwrap().iter().map(|step| step["n"].as_u64().unwrap()).collect()
}

fn doubts(trace: &Value) -> Vec<&str> {
    trace["doubts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|doubt| doubt["kind"].as_str().unwrap())
        .collect()
}

#[test]
fn a_call_leads_back_to_the_sentence_and_on_to_the_answer() {
    let mut talk = Talk::new("[audit]\nconversations = \"contents\"\n");
    let story = talk.story();
    let Story { prompt, request, response, call, next, answer } = story;
    for n in [prompt, call, answer] {
        let trace = talk.traced(n);
        assert_eq!(numbers(&trace), [prompt, request, response, call, next, answer]);
        assert_eq!(trace["doubts"], json!([]), "{trace}");
    }
    let trace = talk.trace(call);
    for shown in [
        format!("prompt by {}", talk.gateway.user()),
        format!("\"{WORDS}\""),
        format!("request to {MODEL}, 54 bytes"),
        format!("response of {MODEL}: proposes s__read_it, 120 tokens read, 12 written"),
        "call s__read_it on server s: ok".to_owned(),
        "arguments  {\"text\":\"A7\"}".to_owned(),
        format!("claimed    model {MODEL}, call `c1` of record {response}, words \"{WORDS}\""),
        "decided    allow by read-freely".to_owned(),
        format!("with the results of {call}, 2 bytes"),
        "\"I look.\"".to_owned(),
        "\"It is risky.\"".to_owned(),
    ] {
        assert!(trace.contains(&shown), "`{shown}` is not in:\n{trace}");
    }
    assert!(!trace.contains("!!") && !trace.contains("hunter2"), "{trace}");
    let asked: Vec<_> = trace.lines().filter(|line| line.starts_with("=>")).collect();
    assert!(asked.len() == 1 && asked[0].contains("call s__read_it"), "{trace}");
    let shown = talk.place.done(&["audit", "show", &call.to_string()]);
    assert!(shown.contains(&format!("claimed words     {WORDS}")), "{shown}");
    let tail = talk.place.done(&["audit", "tail"]);
    assert!(tail.contains("response of offline:planner: proposes s__read_it"), "{tail}");
    talk.place.done(&["audit", "verify"]);
}

/// Where the log keeps digests only, neither prompt nor call has the words.
#[test]
fn without_contents_there_are_digests() {
    let mut talk = Talk::new("");
    let story = talk.story();
    let kept = fs::read(talk.place.audit("payloads-000001.jsonl")).unwrap();
    let kept = String::from_utf8(kept).unwrap();
    assert!(!kept.contains("It is risky") && !kept.contains("I look."), "{kept}");
    assert!(!kept.contains(WORDS), "{kept}");
    let trace = talk.trace(story.call);
    assert!(trace.contains("words: not kept; their digest is"), "{trace}");
    let shown = talk.place.done(&["audit", "show", &story.call.to_string()]);
    assert!(shown.contains("claimed words     not kept; their digest is"), "{shown}");
    let shown = talk.place.done(&["audit", "show", &story.prompt.to_string()]);
    assert!(shown.contains("not kept; its digest is"), "{shown}");
    // Nobody finds the words by trying what is likely.
    let log = fs::read(talk.place.audit("log-000001.jsonl")).unwrap();
    let log = String::from_utf8(log).unwrap();
    let arguments = one(ARGUMENTS).to_string();
    for text in [WORDS, ARGUMENTS, arguments.as_str()] {
        let digest = Digest::of(text.as_bytes()).to_string();
        assert!(!log.contains(&digest) && !log.contains(text), "{text}");
    }
}

/// All files below `folder` that hold one of `texts` as it is.
fn holding(folder: &Path, texts: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(holding(&path, texts));
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            let holds = |text: &str| bytes.windows(text.len()).any(|at| at == text.as_bytes());
            found.extend(texts.iter().any(|text| holds(text)).then_some(path));
        }
    }
    found
}

/// The question stands in no file but in the sealed session; from there a trace has it.
#[test]
fn what_was_asked_stands_nowhere_in_clear() {
    const ASKED: &str = "Dear marmalade, what is the outage risk of transformer A7?";
    for (config, kept) in [("", true), ("[sessions]\nkeep_days = 0\n", false)] {
        let place = Place::new();
        place.configure(&format!("[server.grid]\nbuiltin = \"grid\"\n{config}"));
        let answer = one(&place.done(&["--json", "ask", ASKED]));
        assert_eq!(answer["answer"]["status"], "complete", "{answer}");
        for folder in ["state", "data"] {
            let found = holding(&place.path(folder), &[ASKED, "marmalade"]);
            assert_eq!(found, Vec::<PathBuf>::new(), "{config}");
        }
        let records = each(&place.done(&["--json", "audit", "tail", "-n", "100"]));
        let call = records.iter().find(|record| record["begin"]["method"] == "tools/call");
        let call = call.unwrap_or_else(|| panic!("{records:?}"));
        assert!(call["begin"]["words"].is_string(), "{call}");
        let trace = place.done(&["audit", "trace", &call["n"].to_string()]);
        let words = if kept { format!("words \"{ASKED}\"") } else { "words: not kept".to_owned() };
        assert!(trace.contains(&words), "{trace}");
        assert_eq!(trace.contains("marmalade"), kept, "{trace}");
        place.done(&["audit", "verify"]);
    }
}

/// Neither where it is said wrongly, nor beside what is no call.
#[test]
fn words_in_the_wrong_place_are_not_kept_either() {
    let mut talk = Talk::new("");
    let long = format!("marmalade {}", "x".repeat(5000));
    for words in [json!(long), json!(["marmalade"]), json!({"a": "marmalade"})] {
        let refused = talk.call(&json!({"tagout/user-words": words}));
        assert_eq!(refused["error"]["data"]["code"], "claim-invalid", "{refused}");
    }
    let bad = json!({"tagout/user-words": "marmalade", "tagout/model": 7});
    assert_eq!(talk.call(&bad)["error"]["data"]["code"], "claim-invalid");
    let params = json!({"_meta": {"tagout/user-words": "marmalade", "a": 1}});
    talk.client.frames.request("tools/list", &params);
    assert_eq!(holding(&talk.place.path("state"), &["marmalade"]), Vec::<PathBuf>::new());
    let kept = fs::read(talk.place.audit("payloads-000001.jsonl")).unwrap();
    let kept = String::from_utf8(kept).unwrap();
    assert!(kept.contains("<not kept: 5012 bytes>"), "{kept}");
}

#[test]
fn what_the_client_claims_and_is_not_so_is_said_loudly() {
    let mut talk = Talk::new("");
    let response = talk.proposes(None, r#"{"text": "B9"}"#);
    let claim = |record: u64, call: &str| json!({"tagout/model": MODEL, "tagout/cause": {"record": record, "call": call}});
    let elsewhere = {
        let gateway = &talk.gateway;
        let other = gateway.conversation_called("another", "test").unwrap();
        gateway.say(gateway.principal(), &other, &said(What::Response, "{}")).unwrap()
    };
    for (meta, kind, words) in [
        (claim(response, "c1"), "arguments-differ", "proposed with other arguments"),
        (claim(response, "c7"), "call-not-proposed", "but that has none"),
        (claim(elsewhere, "c1"), "cause-foreign", "another's, or of another conversation"),
        (claim(987_654, "c1"), "cause-missing", "there is no such record"),
        (claim(0, "c1"), "cause-unfit", "nothing is said there"),
    ] {
        let n = record_of(&talk.call(&meta));
        assert_eq!(doubts(&talk.traced(n)), [kind], "{meta}");
        let trace = talk.trace(n);
        let loud = trace.lines().find(|line| line.contains("!! the client claims that"));
        assert!(loud.is_some_and(|line| line.contains(words)), "{trace}");
    }
    let right = talk.proposes(None, ARGUMENTS);
    let first = record_of(&talk.call(&claim(right, "c1")));
    assert_eq!(doubts(&talk.traced(first)), Vec::<&str>::new());
    let second = record_of(&talk.call(&claim(right, "c1")));
    assert_eq!(doubts(&talk.traced(second)), ["call-twice", "call-twice"][..1]);
    let other = json!({"tagout/model": "a:b", "tagout/cause": {"record": right, "call": "c1"}});
    let other = record_of(&talk.call(&other));
    assert!(doubts(&talk.traced(other)).contains(&"model-differs"));
}

#[test]
fn a_client_that_says_nothing_has_the_gateways_part() {
    let mut talk = Talk::new("");
    let n = record_of(&talk.call(&json!({})));
    let trace = talk.trace(n);
    assert!(trace.contains("what led to this call is not on record"), "{trace}");
    assert_eq!(numbers(&talk.traced(n)), [n]);
    let unknown = talk.place.run(&["audit", "trace", "987654"]);
    assert_eq!((unknown.code, unknown.stderr.contains("record-unknown")), (2, true));
    // Not of a call, and not of what was said.
    assert!(talk.trace(0).contains("genesis"));
}

#[test]
fn words_are_given_out_and_erased_with_their_person() {
    let mut talk = Talk::new("[audit]\nconversations = \"contents\"\n");
    let story = talk.story();
    let user = talk.gateway.user().to_owned();
    let how = ["--authenticated-by", "os-user"];
    let export = one(&talk.place.done(&[&["privacy", "export", &user][..], &how].concat()));
    let records = export["records"].as_array().unwrap();
    let prompt = records.iter().find(|record| record["n"] == story.prompt).unwrap();
    assert_eq!(prompt["sent"]["content"], WORDS, "{prompt}");
    let Talk { place, client, gateway, .. } = talk;
    client.leave();
    drop(gateway);
    let erased = place.run(&[&["privacy", "erase", &user, "--yes"][..], &how].concat());
    assert_eq!(erased.code, 0, "{erased:?}");
    for file in ["payloads-000001.jsonl", "log-000001.jsonl"] {
        let text = String::from_utf8(fs::read(place.audit(file)).unwrap()).unwrap();
        assert!(!text.contains("4711") && !text.contains("risky"), "{file}: {text}");
    }
    place.done(&["audit", "verify"]);
    // Nor does anything stay that is the same for the same arguments, under whatever key.
    let begun = place.record(story.call)["begin"].clone();
    assert_eq!(begun["cause"], json!({"record": story.response, "call": "c1"}));
    let calls = &place.record(story.response)["said"]["calls"];
    assert_eq!(*calls, json!([{"id": "c1", "tool": "s__read_it"}]));
    let trace = place.done(&["audit", "trace", &story.call.to_string()]);
    assert!(trace.contains("arguments not compared: erased"), "{trace}");
    assert!(trace.contains("claimed    ") && trace.contains("words: erased"), "{trace}");
    assert!(trace.contains("arguments  erased") && !trace.contains("4711"), "{trace}");
}

/// A model chooses identifiers and names, and how many; the record of what it said has room for
/// some of them, says how many are left out, and is written.
#[test]
fn whatever_a_model_proposes_is_on_record() {
    let talk = Talk::new("[audit]\nconversations = \"contents\"\n");
    let arguments = Digest::of_json("{}");
    for text in ["\u{1}".repeat(5000), "\u{7f}\"\\".repeat(2000), "\u{10ffff}é".repeat(900)] {
        let calls = vec![Proposed { id: &text, tool: &text, arguments }; 500];
        let results = vec![(text.as_str(), Some(u64::MAX)); 500];
        let model = Some(text.as_str());
        let content = text.repeat(200);
        for calls in [&calls[..], &[]] {
            let said = said(What::Response, &content);
            let n = talk.say(&Said { calls, results: &results, model, ..said });
            let record = talk.place.record(n);
            let said = &record["said"];
            let kept = said["calls"].as_array().map_or(0, Vec::len)
                + said["results"].as_array().map_or(0, Vec::len);
            assert_eq!((kept, said["left_out"].as_u64()), (40, Some(460 + calls.len() as u64)));
            assert!(record["payload"]["text"].as_str().unwrap().contains("left_out_bytes"));
            let trace = talk.trace(n);
            assert!(!trace.contains(['\u{1}', '\u{7f}']), "{}", trace.escape_debug());
            let longest = trace.lines().map(|line| line.chars().count()).max();
            assert!(longest.is_some_and(|longest| longest < 1000), "{longest:?}");
        }
    }
    talk.place.done(&["audit", "verify"]);
    talk.place.done(&["audit", "tail"]);
}

#[test]
fn other_words_for_what_is_kept_are_a_mistake_in_the_configuration() {
    let place = Place::new();
    place.configure("[audit]\nconversations = \"all\"\n");
    let ran = place.run(&["check"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("write \"digests\" or \"contents\""), "{}", ran.stderr);
}
