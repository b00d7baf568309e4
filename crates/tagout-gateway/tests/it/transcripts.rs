//! Golden transcripts: frames in, frames and audit records out, through the real binary.
//!
//! Beside what `tagout_testkit::transcript` documents, these `set` lines are known:
//!
//! | line | meaning |
//! |---|---|
//! | `set server NAME SCRIPT` | a scripted server; its script as one line of JSON |
//! | `set entry NAME LINE` | a line for the server's table in the configuration |
//! | `set limits LINE` | a line for the table `limits` |
//! | `set profile NAME` | the profile |
//! | `set rule CEDAR` | one more rule |
//! | `set reviewed SERVER/TOOL EFFECT…` | the tool is reviewed, as the script first defines it |
//! | `set offers-reviewed NAME` | the server's resources and prompts are reviewed |
//! | `set other-program NAME` | the server is pinned as another program than it is |
//! | `set came TEXT` | a frame that comes back holds this, byte for byte |
//! | `set saw NAME FRAME` | what the server received beside handshake and lists: all of it, in order |
//! | `set saw-nothing NAME` | it received nothing else |
//! | `set saw-text NAME TEXT` | a frame that it received holds this, byte for byte |
//! | `set starts NAME COUNT` | how often the server was started |
//! | `set never-saw NAME TEXT` | no frame that it received holds this |
//!
//! `audit` lines tell the calls in their order, then the notes in theirs; the log's first line and
//! the starts of servers are left out. Record numbers depend on what servers do meanwhile: whatever
//! a frame says of its record is held against that record.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;
use tagout_testkit::{Transcript, transcript::differences};

use crate::bench::{Bench, PATIENCE, Plan};

/// Transcripts that play at once: they wait more than they work.
const AT_ONCE: usize = 4;

macro_rules! topics {
    ($($topic:ident)*) => {
        $(#[test]
        fn $topic() {
            play_all(stringify!($topic));
        })*

        #[test]
        fn every_folder_is_played() {
            let folders: BTreeSet<_> = fs::read_dir(root())
                .unwrap()
                .flatten()
                .filter(|entry| entry.path().is_dir())
                .map(|entry| entry.file_name().into_string().unwrap())
                .collect();
            let topics = BTreeSet::from([$(stringify!($topic).to_owned()),*]);
            assert_eq!(folders, topics);
        }
    };
}

topics! { calls frames handshake limits lists resources results servers }

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/transcripts")
}

fn play_all(topic: &str) {
    let files = fs::read_dir(root().join(topic)).unwrap().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "txt")).collect();
    // The first to be played is the last.
    files.sort_by(|a, b| b.cmp(a));
    assert!(!files.is_empty(), "no transcripts in `{topic}`");
    let (left, failures) = (Mutex::new(files), Mutex::new(Vec::new()));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(file) = next() {
                    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    let played = std::panic::catch_unwind(|| play(&file));
                    let played =
                        played.unwrap_or_else(|_| Err("it panicked; see above".to_owned()));
                    if let Err(why) = played {
                        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                        failures.push(format!("--- {topic}/{name}.txt: {why}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

fn play(path: &Path) -> Result<(), String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|e| e.to_string())?;
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    file.take(1 << 20).read_to_string(&mut text).map_err(|e| e.to_string())?;
    let transcript = Transcript::parse(&text).map_err(|e| e.to_string())?;
    let bench = Bench::new(&plan(&transcript)?);
    let complaining = |why: String| {
        format!("{why}\n  the gateway complained:\n{}", indented(&bench.complaints()))
    };

    let mut gateway = bench.run();
    let (input, output) = (gateway.0.stdin.take().unwrap(), gateway.0.stdout.take().unwrap());
    let came = transcript.play(input, output, PATIENCE).map_err(|e| complaining(e.to_string()))?;
    gateway.ended().map_err(complaining)?;
    let left = bench.left_behind();
    if !left.is_empty() {
        return Err(format!("left behind: {left:?}"));
    }
    check_came(&transcript, &came)?;
    check_saw(&transcript, &bench)?;
    let records = bench.records()?;
    check_named(&came, &records)?;
    let records = without_starts(&transcript, records)?;
    transcript.check_audit(&records).map_err(|mismatch| {
        let records: Vec<_> = records.iter().map(ToString::to_string).collect();
        complaining(format!("{mismatch}\n  the records:\n{}", indented(&records.join("\n"))))
    })
}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| format!("    {line}")).collect();
    lines.join("\n")
}

fn plan(transcript: &Transcript) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for (name, value) in transcript.all_settings() {
        let pair = || {
            let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
            (first.to_owned(), rest.trim().to_owned())
        };
        match name {
            "server" => {
                let (server, script) = pair();
                let script =
                    serde_json::from_str(&script).map_err(|e| format!("server `{server}`: {e}"))?;
                plan.servers.insert(server, script);
            }
            "entry" => plan.entries.push(pair()),
            "limits" => plan.limits.push(value.to_owned()),
            "profile" => plan.profile = Some(value.to_owned()),
            "rule" => plan.rules.push(value.to_owned()),
            "reviewed" => {
                let (tool, effects) = pair();
                let effects = effects.split_whitespace().map(ToOwned::to_owned);
                plan.reviewed.push((tool, effects.collect()));
            }
            "offers-reviewed" => plan.offers_reviewed.push(value.to_owned()),
            "not-agreed" => plan.not_agreed.push(value.to_owned()),
            "other-program" => plan.other_program.push(value.to_owned()),
            "came" | "saw" | "saw-nothing" | "saw-text" | "never-saw" | "starts" => {}
            other => return Err(format!("`set {other}` is not known")),
        }
    }
    Ok(plan)
}

fn check_came(transcript: &Transcript, came: &[String]) -> Result<(), String> {
    match transcript.settings("came").find(|text| !came.iter().any(|frame| frame.contains(text))) {
        None => Ok(()),
        Some(text) => Err(format!("no frame holds {text}:\n{}", indented(&came.join("\n")))),
    }
}

/// What frames say of records, held against those.
fn check_named(came: &[String], records: &[Value]) -> Result<(), String> {
    for frame in came {
        let Ok(frame) = serde_json::from_str::<Value>(frame) else { continue };
        let (meta, data) = (&frame["result"]["_meta"], &frame["error"]["data"]);
        let ours = data["by"] == "tagout";
        let number = if ours { &data["record"] } else { &meta["tagout/record"] };
        if number.is_null() {
            continue;
        }
        let record = records.iter().find(|record| record["n"] == *number);
        let Some(record) = record else { return Err(format!("{number} is no record: {frame}")) };
        let (end, decision) = (&record["end"], &record["decision"]);
        let says = if ours {
            (data.get("code"), data.get("rule")) == (end.get("refusal"), end.get("rule"))
        } else {
            (&meta["tagout/rule"], &meta["tagout/verdict"])
                == (&decision["rule"], &decision["verdict"])
        };
        if !says {
            return Err(format!("{frame}\n  is not what its record says: {record}"));
        }
    }
    Ok(())
}

/// Takes the starts of servers out, which come at any time, and counts them.
fn without_starts(transcript: &Transcript, records: Vec<Value>) -> Result<Vec<Value>, String> {
    let event = |record: &Value, event: &str| record["event"]["event"] == event;
    // Scripted servers are not isolated, and each start says so.
    let records = records.into_iter().filter(|record| !event(record, "sandbox-degraded"));
    let (started, others): (Vec<_>, Vec<_>) =
        records.partition(|record| event(record, "server-started"));
    for line in transcript.settings("starts") {
        let (server, times) = line.split_once(' ').ok_or("`set starts` takes two values")?;
        let found = started.iter().filter(|record| record["event"]["server"] == server).count();
        if found.to_string() != times {
            return Err(format!("`{server}` was started {found} times, not {times}"));
        }
    }
    Ok(others)
}

fn check_saw(transcript: &Transcript, bench: &Bench) -> Result<(), String> {
    let mut expected: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for line in transcript.settings("saw") {
        let (server, frame) = line.split_once(' ').ok_or("`set saw` takes two values")?;
        let frame = serde_json::from_str(frame).map_err(|e| format!("`set saw`: {e}"))?;
        expected.entry(server).or_default().push(frame);
    }
    for server in transcript.settings("saw-nothing") {
        expected.entry(server).or_default();
    }
    for (server, expected) in expected {
        let saw: Vec<_> = bench.saw(server).iter().filter_map(|line| of_interest(line)).collect();
        let differences = differences(&Value::from(expected), &Value::from(saw.clone()));
        if !differences.is_empty() {
            let saw = indented(&Value::from(saw).to_string());
            return Err(format!("what `{server}` saw:\n{saw}\n  {}", differences.join("\n  ")));
        }
    }
    for (setting, wanted) in [("saw-text", true), ("never-saw", false)] {
        for line in transcript.settings(setting) {
            let (server, text) = line.split_once(' ').ok_or("`set saw-text` takes two values")?;
            let saw = bench.saw(server);
            if saw.iter().any(|frame| frame.contains(text)) != wanted {
                let saw = indented(&saw.join("\n"));
                return Err(format!("`set {setting} {line}`, but `{server}` saw:\n{saw}"));
            }
        }
    }
    Ok(())
}

/// A frame that is neither part of the handshake nor about lists.
fn of_interest(line: &str) -> Option<Value> {
    const OTHER: [&str; 7] = [
        "server/discover",
        "initialize",
        "notifications/initialized",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
    ];
    let frame: Value = serde_json::from_str(line).unwrap_or_else(|_| Value::from(line));
    let method = frame.get("method").and_then(Value::as_str);
    (!method.is_some_and(|method| OTHER.contains(&method))).then_some(frame)
}
