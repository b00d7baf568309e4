//! Models from files, served by a stand-in for `llama-server`.
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tagout_testkit::program;

use crate::{
    chat::talk::Chair,
    place::{Place, Ran, gone, one, within_limit},
};

const QUESTION: &str = "What is the outage risk of transformer A7 at 38 C with 70 km/h wind?";
const MODEL: &str = "local:qwen3 8b.gguf";

/// A place with a model that plays a part.
struct Local {
    place: Place,
    file: PathBuf,
}

impl Local {
    fn new(mut part: Value) -> Self {
        let place = Place::new();
        let file = place.path("qwen3 8b.gguf");
        part["seen"] = json!(place.path("seen.json"));
        place.write(&file, format!("GGUF{part}"));
        let server = program("tagout-testkit", "stand-in-llama");
        place.configure(&format!(
            "[server.grid]\nbuiltin = \"grid\"\n[provider.local]\nprogram = {server:?}\nnum_ctx = 4096\n"
        ));
        Self { place, file }
    }

    /// One whose file is pinned.
    fn pinned(part: Value) -> Self {
        let local = Self::new(part);
        local.place.done(&["models", "pin", MODEL]);
        local
    }

    fn asked(&self) -> Ran {
        self.place.run(&["ask", "--model", MODEL, QUESTION])
    }

    #[track_caller]
    fn refused(&self, code: &str, exit: i32) -> Ran {
        let ran = self.asked();
        assert!(ran.stderr.contains(&format!("[{code}]")), "{ran:?}");
        assert_eq!(ran.code, exit, "{ran:?}");
        ran
    }

    /// What the server was started with; nothing if it was not.
    fn seen(&self) -> Option<Value> {
        let seen = fs::read(self.place.path("seen.json")).ok()?;
        serde_json::from_slice(&seen).ok()
    }

    fn is_gone(&self) -> bool {
        let pid = self.seen().and_then(|seen| seen["pid"].as_u64()).unwrap();
        within_limit(|| gone(pid).then_some(())).is_some()
    }
}

fn calling() -> Value {
    let weather = json!({"temp_c": 38, "wind_kph": 70});
    json!({
        "loading": 2,
        "calls": {
            "grid__predict_outage_risk": {"equipment_id": "A7", "weather_data": weather},
            "tagout_probe": {"word": "ready"},
        },
    })
}

#[test]
fn a_model_in_a_file_answers_through_the_gateway() {
    let local = Local::pinned(calling());
    let ran = local.asked();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stdout.contains("Assistant  local:qwen3-8b (language model on this machine"));
    assert!(ran.stdout.contains("allowed by rule `read-freely`"), "{ran:?}");
    assert!(ran.stdout.contains("The model in the file has spoken."), "{ran:?}");
    assert!(ran.stdout.contains("Cost       0.0000 USD (100 tokens in, 10 out)"), "{ran:?}");
    let seen = local.seen().unwrap();
    let options = &seen["options"];
    assert_eq!((&options["--host"], &options["--ctx-size"]), (&json!("127.0.0.1"), &json!("4096")));
    for option in ["--jinja", "--no-webui", "--offline"] {
        assert!(options.get(option).is_some(), "{options}");
    }
    assert!(options.get("--api-key").is_none(), "everybody can read arguments");
    assert_eq!(seen["env"], json!(["LLAMA_API_KEY", "LLAMA_CACHE"]));
    assert!(local.is_gone(), "it ends with the question");
    let home = local.place.path("home/m.gguf");
    local.place.write(&home, "GGUF{}");
    let said = one(&local.place.done(&["--json", "models", "pin", "local:~/m.gguf"]));
    assert_eq!(said["file"], home.to_str().unwrap());
    let ran = local.place.run(&["--json", "models", "check", MODEL]);
    assert_eq!((ran.code, &one(&ran.stdout)["calls_tools"]), (0, &json!(true)), "{ran:?}");
}

#[test]
fn what_is_not_pinned_is_not_served() {
    let local = Local::new(calling());
    let ran = local.refused("model-not-pinned", 3);
    assert!(ran.stderr.contains("tagout models pin local:qwen3 8b.gguf"), "{ran:?}");
    assert_eq!(local.seen(), None, "nothing was started");
    local.place.done(&["models", "pin", MODEL]);
    assert_eq!(local.asked().code, 0);
}

#[test]
fn what_was_changed_is_not_served_until_it_is_pinned_again() {
    let local = Local::pinned(calling());
    let text = fs::read(&local.file).unwrap();
    // Of the same length, and under the same name.
    let other = String::from_utf8(text).unwrap().replace("\"A7\"", "\"A8\"");
    fs::write(&local.file, other).unwrap();
    local.refused("model-changed", 3);
    fs::write(&local.file, "GGUF").unwrap();
    local.refused("model-changed", 3);
    assert_eq!(local.seen(), None, "nothing was started");
    fs::write(&local.file, format!("GGUF{}", calling())).unwrap();
    let said = one(&local.place.done(&["--json", "models", "pin", MODEL]));
    assert!(said["before"].is_string() && said["before"] != said["digest"], "{said}");
    assert_eq!(local.asked().code, 0);
    let tail = local.place.done(&["--json", "audit", "tail", "-n", "1000"]);
    assert_eq!(tail.matches("\"model-pinned\"").count(), 2, "{tail}");
}

#[test]
fn what_is_written_to_while_it_is_loaded_is_not_used() {
    let local = Local::new(json!({}));
    let part = json!({"loading": 3, "spoil": local.file, "seen": local.place.path("seen.json")});
    fs::write(&local.file, format!("GGUF{part}")).unwrap();
    local.place.done(&["models", "pin", MODEL]);
    let ran = local.refused("model-changed", 3);
    assert!(ran.stderr.contains("was written to while it was loaded"), "{ran:?}");
    assert!(local.is_gone());
}

#[test]
fn what_takes_the_place_of_the_file_that_was_read_is_not_served() {
    let local = Local::pinned(calling());
    let other = local.place.path("other.gguf");
    let changed =
        String::from_utf8(fs::read(&local.file).unwrap()).unwrap().replace("\"A7\"", "\"A8\"");
    local.place.write(&other, changed);
    let server = program("tagout-testkit", "stand-in-llama");
    let script = local.place.path("swaps");
    // Between the reading and the loading.
    let text = format!("#!/bin/sh\nmv {other:?} {:?}\nexec {server:?} \"$@\"\n", local.file);
    local.place.write(&script, text);
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    local.place.configure(&format!(
        "[server.grid]\nbuiltin = \"grid\"\n[provider.local]\nprogram = {script:?}\n"
    ));
    local.refused("model-changed", 3);
    assert!(!other.exists(), "it was swapped");
    // The path that the server was given is no name that others can give to something else.
    let model = local.seen().unwrap()["options"]["--model"].as_str().unwrap().to_owned();
    assert!(model.starts_with("/proc/") && model.contains("/fd/"), "{model}");
}

#[test]
fn a_server_that_fails_shows_its_last_words_and_no_key() {
    let local = Local::pinned(json!({"fail": "cannot load the model, key KEY"}));
    let ran = local.refused("model-server", 1);
    assert!(ran.stderr.contains("error: cannot load the model, key (key)"), "{ran:?}");
    let local = Local::pinned(json!({"dies": true}));
    let ran = local.refused("provider-unreachable", 1);
    assert!(ran.stderr.contains("llama-server ended: exit code 1"), "{ran:?}");
    assert!(ran.stderr.contains("error: out of memory"), "{ran:?}");
}

/// Takes the port that the server gives up, and answers whatever comes; gives all that came.
fn stranger(local: &Local, left: PathBuf, taken: PathBuf) -> Arc<Mutex<Vec<u8>>> {
    let got = Arc::<Mutex<Vec<u8>>>::default();
    let (kept, seen) = (Arc::clone(&got), local.place.path("seen.json"));
    thread::spawn(move || {
        within_limit(|| left.exists().then_some(())).unwrap();
        let seen: Value = serde_json::from_slice(&fs::read(seen).unwrap()).unwrap();
        let port = seen["options"]["--port"].as_str().unwrap().parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        fs::write(taken, "").unwrap();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 1024];
            while let Ok(1..) = stream.read(&mut bytes) {
                kept.lock().unwrap().extend(bytes);
                drop(stream.write_all(b"HTTP/1.1 500 x\r\ncontent-length: 2\r\n\r\n{}"));
            }
        }
    });
    got
}

#[test]
fn who_takes_the_port_of_the_server_gets_nothing() {
    for ends in [false, true] {
        let local = Local::new(json!({}));
        let (left, taken) = (local.place.path("left"), local.place.path("taken"));
        let mut part = calling();
        part["seen"] = json!(local.place.path("seen.json"));
        part["leaves"] = json!({"left": left, "taken": taken, "ends": ends});
        fs::write(&local.file, format!("GGUF{part}")).unwrap();
        local.place.done(&["models", "pin", MODEL]);
        let got = stranger(&local, left, taken.clone());
        let ran = local.refused("provider-unreachable", 1);
        assert!(taken.exists());
        let got = String::from_utf8_lossy(&got.lock().unwrap()).into_owned();
        assert_eq!(got, "", "{ran:?}");
        let said = ["is not who it should be", "llama-server ended"];
        assert!(said.iter().any(|said| ran.stderr.contains(said)), "{ran:?}");
    }
}

#[test]
fn a_port_that_was_taken_meanwhile_is_not_the_only_one() {
    let local = Local::new(json!({}));
    let until = local.place.path("taken");
    fs::write(&local.file, format!("GGUF{}", json!({ "taken_until": until }))).unwrap();
    local.place.done(&["models", "pin", MODEL]);
    let ran = local.asked();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(until.exists());
}

#[test]
fn a_server_ends_with_a_tagout_that_is_killed() {
    let local = Local::pinned(json!({"loading": 1_000_000}));
    let mut command = local.place.command(&["ask", "--model", MODEL, QUESTION]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut tagout = command.spawn().unwrap();
    within_limit(|| local.seen()).unwrap();
    // It is there until then.
    let until = Instant::now() + Duration::from_millis(50);
    while Instant::now() < until {
        assert!(tagout.try_wait().unwrap().is_none());
    }
    tagout.kill().unwrap();
    tagout.wait().unwrap();
    assert!(local.is_gone());
}

#[test]
fn who_does_not_want_to_wait_for_a_model_goes_on_without() {
    let local = Local::pinned(json!({"loading": 1_000_000}));
    let mut talk = Chair::new(&local.place, &["chat"]).talk();
    talk.says(&format!("/model {MODEL}")).sees("loading the model; Ctrl-C gives up on it");
    talk.sees("llama-server loads the model");
    within_limit(|| local.seen()).unwrap();
    talk.keys("\x03").sees("stopped");
    talk.prompted();
    assert!(local.is_gone(), "nobody waits for it");
    let shown = talk.answer_to("/model");
    assert!(shown.contains("offline:planner"), "{shown}");
    talk.leaves();
    let mut talk = Chair::new(&local.place, &["chat", "--model", MODEL]).sit();
    talk.sees("llama-server loads the model");
    talk.keys("\x03");
    assert!(!talk.ended().success());
    assert!(local.is_gone());
}

#[test]
fn a_chat_changes_to_a_model_in_a_file() {
    let local = Local::pinned(calling());
    let mut talk = Chair::new(&local.place, &["chat"]).talk();
    let shown = talk.answer_to(&format!("/model {MODEL}"));
    assert!(shown.contains("answers from now on (language model on this machine"), "{shown}");
    let shown = talk.answer_to(QUESTION);
    assert!(shown.contains("The model in the file has spoken."), "{shown}");
    talk.leaves();
    assert!(local.is_gone(), "it ends with the chat");
}

#[test]
fn without_a_server_or_a_model_it_says_what_to_do() {
    let local = Local::pinned(calling());
    local.place.configure("[server.grid]\nbuiltin = \"grid\"\n");
    let ran = local.refused("model-server-missing", 2);
    assert!(ran.stderr.contains("install llama.cpp"), "{ran:?}");
    local.place.write(&local.place.path("text.gguf"), "Once upon a time");
    local.place.write(&local.place.path("m-00001-of-00002.gguf"), "GGUF");
    for (model, said) in [
        ("local:nothing.gguf", "No such file"),
        ("local:text.gguf", "it is no model in the GGUF format"),
        ("local:/dev/null", "it is no model in the GGUF format"),
        ("local:m-00001-of-00002.gguf", "one of several parts"),
    ] {
        for command in [["models", "pin", model], ["models", "check", model]] {
            let ran = local.place.run(&command);
            assert_eq!(ran.code, 2, "{ran:?}");
            assert!(ran.stderr.contains("[model-file]") && ran.stderr.contains(said), "{ran:?}");
        }
    }
    let ran = local.place.run(&["models", "pin", "openai:gpt-6-luna"]);
    assert!(ran.stderr.contains("[model-unknown]"), "{ran:?}");
}

#[test]
fn pins_of_models_stay_when_servers_are_pinned() {
    let local = Local::pinned(calling());
    local.place.scripted("s", json!({"tools": [crate::place::tool("read_it")]}));
    local.place.pin(&["s"]);
    assert_eq!(local.asked().code, 0);
    fs::write(&local.file, "GGUF{}").unwrap();
    local.place.done(&["models", "pin", MODEL]);
    local.place.done(&["pin", "--check"]);
    let lock = String::from_utf8(fs::read(local.place.lockfile()).unwrap()).unwrap();
    assert!(lock.contains("[server.s.tool.\"read_it\"]") && lock.matches("[model.").count() == 1);
}

#[test]
fn what_a_model_from_a_file_said_can_be_recorded_and_replayed() {
    let local = Local::pinned(calling());
    let model = format!("record:{},{MODEL}", local.place.path("recording").display());
    let ran = local.place.run(&["ask", "--model", &model, QUESTION]);
    assert_eq!(ran.code, 0, "{ran:?}");
    fs::remove_file(&local.file).unwrap();
    let model = format!("replay:{}", local.place.path("recording").display());
    let ran = local.place.run(&["ask", "--model", &model, QUESTION]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("a recording of `local:qwen3-8b`"), "{ran:?}");
}
