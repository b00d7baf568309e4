//! Golden transcripts over HTTP, through the real binary: `tests/http/`.
//!
//! Beside what `tagout_testkit::http_transcript` documents, these `set` lines are known: `server`,
//! `entry`, `limits`, `profile`, `rule`, `reviewed` and `offers-reviewed` as in the transcripts
//! over standard input, and
//!
//! | line | meaning |
//! |---|---|
//! | `set key NAME GROUP…` | somebody with a key, `<as key.NAME>`; without any, `alice` is there |
//! | `set fixture NAME ERA` | the fixture server, in this era |
//! | `set saw-text NAME TEXT` | a frame that the scripted server received holds this |
//! | `set never-saw NAME TEXT` | no frame that it received holds this |
//! | `set saw-times NAME COUNT TEXT` | so many frames that it received hold this |
//!
//! `until` knows `saw SERVER TEXT`, `record RECORD`, and `alone`: no server runs any more.
//!
//! With `TAGOUT_TRANSCRIPT` in the environment only files whose path holds it are played.
//!
//! Whatever comes back and names a record is held against that record, and a refusal that names
//! none must be one of those that come before there is a call.
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;
use tagout_testkit::HttpTranscript;

use crate::{
    bench::Bench,
    http_bench::{Served, plan},
};

/// Transcripts that play at once: they wait more than they work.
const AT_ONCE: usize = 3;
/// Refusals of a request before there is a call.
const BEFORE: [&str; 4] = ["http-refused", "credential-invalid", "limit-concurrency", "limit-rate"];

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
                .map(|entry| entry.file_name().into_string().unwrap())
                .collect();
            let mut topics = BTreeSet::from([$(stringify!($topic).to_owned()),*]);
            topics.extend(crate::bridges_transcripts::TOPICS.map(ToOwned::to_owned));
            assert_eq!(folders, topics);
        }
    };
}

topics! { approvals legacy limits modern sse }

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/http")
}

pub(crate) fn play_all(topic: &str) {
    let files = fs::read_dir(root().join(topic)).unwrap().flatten().map(|entry| entry.path());
    let only = std::env::var("TAGOUT_TRANSCRIPT").unwrap_or_default();
    let wanted = |path: &PathBuf| path.to_string_lossy().contains(&only);
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "txt")).filter(wanted).collect();
    assert!(!files.is_empty() || !only.is_empty(), "no transcripts in `{topic}`");
    // The first to be played is the last.
    files.sort_by(|a, b| b.cmp(a));
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
    let transcript = HttpTranscript::parse(&text).map_err(|e| e.to_string())?;
    let callers: Vec<_> = transcript.settings("key").collect();
    let served = Served::new(&plan(&transcript)?, &callers);
    let came = served.play(&transcript)?;
    let (bench, records) = served.stop()?;
    check_saw(&transcript, &bench)?;
    check_named(&came, &records)?;
    transcript.check_audit(&records).map_err(|bad| {
        let records: Vec<_> = records.iter().map(ToString::to_string).collect();
        format!("{bad}\n  the records:\n    {}", records.join("\n    "))
    })
}

/// What frames say of records, held against those.
pub(crate) fn check_named(came: &[String], records: &[Value]) -> Result<(), String> {
    for text in came {
        let Ok(frame) = serde_json::from_str::<Value>(text) else { continue };
        let (meta, data) = (&frame["result"]["_meta"], &frame["error"]["data"]);
        let (ours, code) = (data["by"] == "tagout", data["code"].as_str());
        let number = if ours { &data["record"] } else { &meta["tagout/record"] };
        if number.is_null() {
            if ours && !code.is_some_and(|code| BEFORE.contains(&code)) {
                return Err(format!("a refusal without a record: {text}"));
            }
            continue;
        }
        let record = records.iter().find(|record| record["n"] == *number);
        let Some(record) = record else { return Err(format!("{number} is no record: {text}")) };
        let (end, decision) = (&record["end"], &record["decision"]);
        // A server's own error has the number and nothing else.
        let says = if ours && code.is_some() {
            (data.get("code"), data.get("rule")) == (end.get("refusal"), end.get("rule"))
        } else if ours {
            end["outcome"] == "error"
        } else {
            (&meta["tagout/rule"], &meta["tagout/verdict"])
                == (&decision["rule"], &decision["verdict"])
        };
        if !says {
            return Err(format!("{text}\n  is not what its record says: {record}"));
        }
    }
    Ok(())
}

fn check_saw(transcript: &HttpTranscript, bench: &Bench) -> Result<(), String> {
    for (setting, value) in transcript.all_settings() {
        let (server, text) = value.split_once(' ').unwrap_or((value, ""));
        let count = |text: &str| bench.saw(server).iter().filter(|f| f.contains(text)).count();
        let as_wanted = match setting {
            "saw-text" => count(text) > 0,
            "never-saw" => count(text) == 0,
            "saw-times" => {
                let (times, text) = text.split_once(' ').ok_or("`saw-times` takes three values")?;
                count(text).to_string() == times
            }
            _ => true,
        };
        if !as_wanted {
            let saw = bench.saw(server).join("\n    ");
            return Err(format!("`set {setting} {value}`, but it saw:\n    {saw}"));
        }
    }
    Ok(())
}
