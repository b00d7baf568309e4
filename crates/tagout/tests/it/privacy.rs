//! What is held of somebody is given out whole, and goes when they want that; the log stays valid.
use std::fs;

use serde_json::{Value, json};

use crate::{
    mcp_client::Client,
    place::{Place, one, tool},
};

fn used() -> Place {
    let place = Place::new();
    place.scripted(
        "s",
        json!({"tools": [tool("read_it")], "calls": {"read_it": [[{"text": "done"}]]}}),
    );
    place.pin(&["s"]);
    place.done(&["tools", "call", "s__read_it", r#"{"text":"only-ann-knows"}"#]);
    place
}

fn user(place: &Place) -> String {
    let listed = one(place.done(&["--json", "consent", "ls"]).lines().next().unwrap());
    listed["user"].as_str().unwrap().to_owned()
}

fn sent(export: &Value) -> Vec<&Value> {
    let records = export["records"].as_array().unwrap().iter();
    records
        .filter(|record| record["method"] == "tools/call")
        .map(|record| &record["sent"])
        .collect()
}

#[test]
fn an_export_holds_what_was_sent_and_agreed_to() {
    let place = used();
    let user = user(&place);
    let export = one(&place.done(&["privacy", "export", &user]));
    assert_eq!(export["principal"], json!({"user": user, "authenticated_by": "os-user"}));
    assert_eq!(sent(&export)[0]["arguments"]["text"], "only-ann-knows");
    let held = &export["held"];
    assert_eq!(held["consents"][0]["recipient"], "s");
    assert!(held["conversations"][0]["client"].is_string(), "{held}");
    for table in ["questions", "votes", "grants", "approved_calls", "keys"] {
        assert!(held[table].is_array(), "{table}: {held}");
    }
    let kinds: Vec<_> = export["records"].as_array().unwrap().iter().map(|r| &r["kind"]).collect();
    for kind in ["begin", "decision", "end", "note"] {
        assert!(kinds.contains(&&json!(kind)), "{kind}: {kinds:?}");
    }
}

#[test]
fn what_is_erased_is_gone_and_the_log_stays_valid() {
    let place = used();
    let user = user(&place);
    // Nobody is there to be asked.
    let ran = place.run(&["privacy", "erase", &user]);
    assert_eq!(ran.code, 4, "{ran:?}");
    let before = one(&place.done(&["privacy", "export", &user]));
    assert_eq!(sent(&before)[0]["arguments"]["text"], "only-ann-knows");
    let ran = place.run(&["--json", "privacy", "erase", &user, "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let erased = one(&ran.stdout);
    assert!(erased["payloads"].as_u64() > Some(0), "{erased}");
    assert_eq!(erased["consents"], 1);
    let export = one(&place.done(&["privacy", "export", &user]));
    assert_eq!(sent(&export), [&json!("erased")]);
    assert_eq!(export["held"]["consents"], json!([]));
    let mut folders = vec![place.path("state")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let needle = b"only-ann-knows";
            assert!(!bytes.windows(needle.len()).any(|part| part == needle), "{path:?}");
        }
    }
    let report = one(&place.done(&["--json", "audit", "verify"]));
    assert_eq!((&report["ok"], &report["payloads"]["missing"]), (&json!(true), &json!(0)));
    assert_eq!(report["payloads"]["erased"], erased["payloads"]);
    let record = place.record(erased["record"].as_u64().unwrap());
    assert_eq!(record["event"]["event"], "privacy-erased");
    assert_eq!(record["event"]["subject"], *user);
    // It goes on.
    assert_eq!(place.run(&["tools", "call", "s__read_it"]).code, 4, "consent is asked again");
}

#[test]
fn pictures_are_ones_own() {
    let place = used();
    let user = user(&place);
    let picture = place.path("state/tagout/pictures/record-7-1.png");
    place.write(&picture, "a picture");
    place.write(&place.path("state/tagout/pictures/mine.txt"), "x");
    place.done(&["consent", "give", "s", "--for", "ben"]);
    let ben = one(&place.done(&["privacy", "export", "ben"]));
    assert_eq!(ben["pictures"], json!([]));
    assert_eq!(place.run(&["privacy", "erase", "ben", "--yes"]).code, 0);
    let own = one(&place.done(&["privacy", "export", &user]));
    assert_eq!(own["pictures"][0]["path"], picture.to_str().unwrap());
    assert_eq!(
        (&own["pictures"][0]["bytes"], own["pictures"].as_array().unwrap().len()),
        (&json!(9), 1)
    );
    let erased = place.run(&["privacy", "erase", &user, "--yes"]).stdout;
    assert!(erased.contains("1 picture;"), "{erased}");
    // Calls are not all that is put on record.
    assert!(
        erased.contains("records (calls, and what was said to models and by them)")
            || erased.contains("1 record (calls"),
        "{erased}"
    );
    assert!(!picture.exists() && place.path("state/tagout/pictures/mine.txt").exists());
}

/// What was sent is JSON of somebody's own.
#[test]
fn an_export_drives_no_terminal() {
    let place = used();
    let user = user(&place);
    let sent = "\u{9b}2J\u{202e}\u{85}\u{e0041}";
    let call = json!({"text": sent}).to_string();
    place.run(&["tools", "call", "s__read_it", &call]);
    let calls = place.done(&["--json", "audit", "tail"]);
    let refused = calls.lines().map(one).rfind(|record| record["kind"] == "begin");
    let export = place.done(&["privacy", "export", &user]);
    let number = refused.map_or(0, |record| record["n"].as_u64().unwrap_or_default()).to_string();
    let shown = place.run(&["--json", "audit", "show", &number]).stdout;
    for output in [&export, &calls, &shown] {
        let bare = |c: char| c.is_control() && c != '\n' || "\u{202e}\u{e0041}".contains(c);
        assert!(!output.contains(bare), "{output:?}");
    }
    let kept = one(&export)["records"].to_string();
    assert!(kept.contains(sent), "{kept:?}");
}

#[test]
fn others_keep_theirs() {
    let place = used();
    let user = user(&place);
    place.done(&["consent", "give", "s", "--for", "ben"]);
    // Somebody else of the same name.
    place.done(&["consent", "give", "s", "--for", &user]);
    let ran = place.run(&["privacy", "erase", &user, "--yes"]);
    assert!(ran.code == 2 && ran.stderr.contains("[principal-ambiguous]"), "{ran:?}");
    let ran = place.run(&["privacy", "export", "nobody"]);
    assert!(ran.code == 2 && ran.stderr.contains("[principal-unknown]"), "{ran:?}");
    for name in ["ben", &user] {
        let args = ["--json", "privacy", "erase", name, "--authenticated-by", "api-key", "--yes"];
        let erased = one(&place.run(&args).stdout);
        assert_eq!((&erased["payloads"], &erased["consents"]), (&json!(0), &json!(1)), "{name}");
    }
    let args = ["privacy", "export", &user, "--authenticated-by", "os-user"];
    let export = one(&place.done(&args));
    assert_eq!(sent(&export)[0]["arguments"]["text"], "only-ann-knows");
    assert_eq!(export["held"]["consents"][0]["recipient"], "s");
}

#[test]
fn a_gateway_that_runs_goes_on_after_an_erasure() {
    let place = used();
    let user = user(&place);
    let mut client = Client::start(&place);
    client.frames.initialize();
    client.frames.call("s__read_it", &json!({"text": "first"}));
    assert_eq!(place.run(&["privacy", "erase", &user, "--yes"]).code, 0);
    place.done(&["consent", "give", "s"]);
    let answer = client.frames.call("s__read_it", &json!({"text": "second"}));
    assert!(answer["result"].is_object(), "{answer}");
    client.leave();
    let export = one(&place.done(&["privacy", "export", &user]));
    let last = sent(&export).pop().unwrap();
    assert_eq!(last["arguments"]["text"], "second");
    assert_eq!(one(&place.done(&["--json", "audit", "verify"]))["ok"], true);
}
