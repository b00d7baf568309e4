//! Recorded exchanges, written by hand: what is sent, what comes back, what is made of it.
//!
//! A file says in its first line what it shows. Then come sections: `model`, `system`, `ask`, `answer
//! STATUS [HEADER: VALUE]`, `results`. After each `ask` and each `results` a turn is requested;
//! answers follow in order. What came of it stands beside the file as a snapshot.
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use tagout_llm::{Image, Message, Part, ProviderError, Role, Stop, StreamEvent, ToolResult, Turn};

use crate::{
    demands,
    stage::{Given, Sent, Stage, offered, remote, turn},
};

/// A picture of one dot.
pub(crate) const DOT: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";

pub(crate) struct Exchange {
    pub(crate) name: String,
    what: String,
    pub(crate) model: String,
    sections: Vec<(String, String)>,
}

pub(crate) fn all() -> Vec<Exchange> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/exchanges");
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in fs::read_dir(root).unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            files.extend(fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()));
        }
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(files.len() > 100);
    files.iter().map(|file| read(file)).collect()
}

fn read(path: &Path) -> Exchange {
    let text = String::from_utf8(fs::read(path).unwrap()).unwrap();
    let folder = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let name = format!("{folder}__{}", path.file_stem().unwrap().to_string_lossy());
    let mut parts = text.split("\n--- ");
    let what = parts.next().unwrap().to_owned();
    let mut model = String::new();
    let mut sections = Vec::new();
    for part in parts {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        match head.strip_prefix("model ") {
            Some(named) => named.clone_into(&mut model),
            None => sections.push((head.to_owned(), body.to_owned())),
        }
    }
    Exchange { name, what, model, sections }
}

/// An answer as its section gives it. What separates sections is no part of it.
fn given(head: &str, body: &str) -> Given {
    // A section's last line end separates it from the next.
    let body = body.strip_suffix('\n').unwrap_or(body);
    let mut words = head.splitn(3, ' ').skip(1);
    let status = words.next().unwrap().parse().unwrap();
    let header = words.next().and_then(|header| header.split_once(": "));
    let headers = header.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    Given { status, headers, pieces: vec![format!("{body}\n\n").into_bytes()] }
}

fn results(body: &str) -> Message {
    let parts = body.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = line["text"].as_str().map(Part::text);
        let image = Image { media_type: "image/png".into(), base64: DOT.into() };
        let image = line["image"].as_bool().map(|_| Part::Image(image));
        Part::ToolResult(ToolResult {
            call_id: line["call"].as_str().unwrap().into(),
            parts: text.into_iter().chain(image).collect(),
            structured: line.get("structured").cloned(),
            is_error: line["error"].as_bool().unwrap_or(false),
        })
    });
    Message { role: Role::Tool, parts: parts.collect() }
}

/// What one turn came to.
struct Round {
    sent: Vec<Sent>,
    waits: Vec<u128>,
    events: Vec<StreamEvent>,
    turn: Result<Turn, ProviderError>,
    /// The answer that counts.
    answer: String,
}

fn play(exchange: &Exchange) -> Vec<Round> {
    let stage = Arc::new(Stage::default());
    let model = remote(&exchange.model, &stage);
    let mut messages = Vec::new();
    let mut rounds = Vec::new();
    let mut sections = exchange.sections.iter().peekable();
    while let Some((head, body)) = sections.next() {
        match head.split(' ').next().unwrap() {
            "system" => messages.push(Message::text(Role::System, body.as_str())),
            "ask" => messages.push(Message::text(Role::User, body.as_str())),
            "results" => messages.push(results(body)),
            other => panic!("{}: an unexpected section `{other}`", exchange.name),
        }
        let mut answer = String::new();
        while let Some((head, body)) = sections.next_if(|(head, _)| head.starts_with("answer ")) {
            stage.give(given(head, body));
            answer.clone_from(body);
        }
        if answer.is_empty() {
            // More is said before the turn.
            continue;
        }
        let (events, turn) = turn(&model, &messages, &offered());
        assert!(stage.answers.lock().unwrap().is_empty(), "{}: answers are left", exchange.name);
        if let Ok(turn) = &turn {
            messages.push(Message { role: Role::Assistant, parts: turn.parts.clone() });
        }
        let sent = std::mem::take(&mut *stage.sent.lock().unwrap());
        let waits = std::mem::take(&mut *stage.waits.lock().unwrap());
        let waits = waits.iter().map(std::time::Duration::as_millis).collect();
        rounds.push(Round { sent, waits, events, turn, answer });
    }
    rounds
}

fn shown(exchange: &Exchange, rounds: &[Round]) -> String {
    let mut out = format!("{}\n", exchange.what);
    for (n, round) in rounds.iter().enumerate() {
        let sent = round.sent.last().unwrap();
        writeln!(out, "\n== request {}: {}", n + 1, sent.url).unwrap();
        if !round.waits.is_empty() {
            writeln!(out, "sent {} times, after ms {:?}", round.sent.len(), round.waits).unwrap();
        }
        let whole = ["__text", "__alias"].iter().any(|end| exchange.name.ends_with(end));
        let body = if whole && n == 0 {
            for (name, value) in &sent.headers {
                writeln!(out, "{name}: {value}").unwrap();
            }
            sent.body.clone()
        } else {
            let said = ["input", "messages", "contents"];
            let said = said.iter().find_map(|key| sent.body.get(key)).unwrap().clone();
            json!(said)
        };
        if n > 0 || round.turn.is_ok() {
            writeln!(out, "{}", serde_json::to_string_pretty(&body).unwrap().replace(DOT, "DOT"))
                .unwrap();
        }
        writeln!(out, "\n== events").unwrap();
        for event in &round.events {
            writeln!(out, "{}", serde_json::to_string(event).unwrap()).unwrap();
        }
        match &round.turn {
            Ok(turn) => {
                let turn = serde_json::to_string_pretty(turn).unwrap();
                writeln!(out, "\n== turn\n{turn}").unwrap();
            }
            Err(error) => writeln!(out, "\n== error {}\n{error}", error.code()).unwrap(),
        }
    }
    out
}

#[test]
fn every_exchange_comes_to_what_is_written_down() {
    for exchange in all() {
        let rounds = play(&exchange);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("exchanges/snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings
            .bind(|| insta::assert_snapshot!(exchange.name.as_str(), shown(&exchange, &rounds)));
    }
}

#[test]
fn every_request_is_what_the_providers_demand() {
    for exchange in all() {
        let mut wanted_back = BTreeSet::new();
        for round in play(&exchange) {
            for sent in &round.sent {
                demands::check(&exchange.name, &exchange.model, sent);
                demands::echoes(&exchange.name, &wanted_back, &sent.body);
            }
            // What a turn that was cut wants back is for it alone.
            if round.turn.as_ref().is_ok_and(|turn| turn.stop != Stop::Length) {
                demands::opaque(&round.answer, &mut wanted_back);
            }
        }
    }
}

#[test]
fn a_stream_of_openais_wires_cut_anywhere_comes_to_the_same() {
    cut_anywhere(|exchange| exchange.name.starts_with("openai"));
}

#[test]
fn a_stream_of_the_other_wires_cut_anywhere_comes_to_the_same() {
    cut_anywhere(|exchange| !exchange.name.starts_with("openai"));
}

fn cut_anywhere(which: fn(&Exchange) -> bool) {
    let messages = [Message::text(Role::User, "Hello")];
    // The one whose name comes back as another; the rest would only take time.
    let tools: Vec<_> = offered().into_iter().filter(|tool| tool.name.contains('.')).collect();
    let mut seen = BTreeSet::new();
    for exchange in all().into_iter().filter(which) {
        for (head, body) in exchange.sections.iter().filter(|(head, _)| head == "answer 200") {
            if !seen.insert((exchange.model.clone(), body.clone())) {
                continue;
            }
            let bytes = given(head, body).pieces.concat();
            let stage = Arc::new(Stage::default());
            let model = remote(&exchange.model, &stage);
            let cut = |pieces: Vec<Vec<u8>>| {
                stage.give(Given { status: 200, headers: Vec::new(), pieces });
                turn(&model, &messages, &tools)
            };
            let whole = cut(vec![bytes.clone()]);
            for at in 0..bytes.len() {
                let (head, tail) = bytes.split_at(at);
                let got = cut(vec![head.to_vec(), tail.to_vec()]);
                assert_eq!(got, whole, "{} cut at {at}", exchange.name);
            }
            let single = cut(bytes.iter().map(|byte| vec![*byte]).collect());
            assert_eq!(single, whole, "{} byte by byte", exchange.name);
        }
    }
}

#[test]
fn a_stream_that_ends_anywhere_makes_no_call_of_a_part() {
    let messages = [Message::text(Role::User, "Hello")];
    // The one whose name comes back as another; the rest would only take time.
    let tools: Vec<_> = offered().into_iter().filter(|tool| tool.name.contains('.')).collect();
    let mut seen = BTreeSet::new();
    for exchange in all() {
        for (head, body) in exchange.sections.iter().filter(|(head, _)| head == "answer 200") {
            if !seen.insert((exchange.model.clone(), body.clone())) {
                continue;
            }
            let bytes = given(head, body).pieces.concat();
            let stage = Arc::new(Stage::default());
            let model = remote(&exchange.model, &stage);
            let until = |at: usize| {
                let pieces = vec![bytes[..at].to_vec()];
                stage.give(Given { status: 200, headers: Vec::new(), pieces });
                turn(&model, &messages, &tools)
            };
            let (_, whole) = until(bytes.len());
            let calls =
                |turn: &Turn| turn.parts.iter().filter(|p| matches!(p, Part::ToolCall(_))).count();
            for at in (0..bytes.len()).step_by(3) {
                let (events, turn) = until(at);
                let done = |event: &StreamEvent| matches!(event, StreamEvent::ToolCallDone { .. });
                match (&turn, &whole) {
                    // Only what stands behind the end of a turn, such as its cost, may be missing.
                    (Ok(part), Ok(whole)) => assert_eq!(calls(part), calls(whole)),
                    (Ok(part), Err(_)) => assert_eq!(calls(part), 0),
                    (Err(_), _) => assert!(!events.iter().any(done), "{}", exchange.name),
                }
            }
        }
    }
}
