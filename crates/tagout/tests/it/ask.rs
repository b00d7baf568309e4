//! Questions to the assistant.
use std::{fs, os::unix::fs::PermissionsExt as _};

use insta::assert_snapshot;
use tagout_testkit::{
    Pty,
    pty::{Seat, Streams},
};

use crate::{
    place::{LIMIT, Place, Ran, one},
    redacted,
    terminal::seat,
};

const RISK: &str = "What is the outage risk of transformer A7 at 38 C with 70 km/h wind?";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

#[track_caller]
fn asked(place: &Place, question: &str, code: i32) -> Ran {
    let ran = place.run(&["ask", question]);
    assert_eq!((ran.code, ran.stderr.as_str()), (code, ""), "{ran:?}");
    ran
}

#[test]
fn a_question_shows_plan_call_decision_answer_and_record() {
    let place = Place::new();
    let ran = asked(&place, RISK, 0);
    assert_snapshot!("risk", redacted::text(&place, &ran.stdout));
    let number = ran.stdout.split("Record     ").nth(1).unwrap().split(' ').next().unwrap();
    let record = place.record(number.parse().unwrap());
    assert_eq!(record["begin"]["subject"], "grid__predict_outage_risk");
    assert_eq!(record["begin"]["server"], "grid");
    assert_eq!(record["decision"]["rule"], "read-freely");
    assert_eq!(record["end"]["outcome"], "ok");
}

#[test]
fn the_same_question_has_the_same_answer() {
    let answer = || {
        let place = Place::new();
        redacted::text(&place, &asked(&place, RISK, 0).stdout)
    };
    assert_eq!(answer(), answer());
}

#[test]
fn a_question_as_json() {
    let place = Place::new();
    let answer = one(&place.done(&["--json", "ask", RISK]));
    assert_snapshot!("risk_json", redacted::shown(&answer));
    assert_eq!(answer["question"], RISK);
    assert_eq!(answer["answer"]["status"], "complete");
    let call = &answer["answer"]["calls"][0];
    assert_eq!(call["arguments"]["weather_data"]["wind_kph"], 70);
    assert_eq!(call["outcome"]["decision"]["verdict"], "allow");
}

#[test]
fn a_chart_is_put_into_a_file_of_its_owner() {
    let place = Place::new();
    let ran = asked(&place, "Show me the hourly load profile", 0);
    assert_snapshot!("chart", redacted::text(&place, &ran.stdout));
    let path = ran.stdout.split("Picture    ").nth(1).unwrap().lines().next().unwrap();
    assert!(path.starts_with(place.path("state/tagout/pictures").to_str().unwrap()), "{path}");
    let picture = fs::read(path).unwrap();
    assert!(picture.starts_with(PNG));
    assert!(picture.len() > 10_000, "{} bytes", picture.len());
    let (width, height) = (&picture[16..20], &picture[20..24]);
    assert_eq!((width, height), (&[0, 0, 4, 176][..], &[0, 0, 2, 163][..]));
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_chart_goes_where_it_is_wanted_and_its_bytes_stay_out_of_json() {
    let place = Place::new();
    let folder = place.path("elsewhere/deep");
    let wanted = ["--json", "ask", "Show me the hourly load profile", "--pictures"];
    let mut args: Vec<_> = wanted.map(Into::into).to_vec();
    args.push(folder.clone().into_os_string());
    let output = place.done(&args);
    assert!(output.len() < 20_000, "{} bytes", output.len());
    let answer = one(&output);
    let path = answer["pictures"][0].as_str().unwrap();
    assert!(path.starts_with(folder.to_str().unwrap()), "{path}");
    assert!(fs::read(path).unwrap().starts_with(PNG));
    assert!(!place.path("state/tagout/pictures").exists());
}

#[test]
fn no_tool_fits_what_none_can_do() {
    let place = Place::new();
    let ran = asked(&place, "Delete all records", 1);
    assert_snapshot!("no_tool", redacted::text(&place, &ran.stdout));
    let ran = place.run(&["--json", "ask", "Delete all records"]);
    assert_eq!(ran.code, 1);
    let answer = one(&ran.stdout);
    assert_eq!(answer["answer"]["status"], "no_tool_fits");
    assert_eq!(answer["answer"]["calls"], serde_json::json!([]));
}

#[test]
fn without_a_terminal_it_says_what_is_missing() {
    let place = Place::new();
    let ran = asked(&place, "What is the outage risk at 38 C?", 1);
    assert_snapshot!("missing", redacted::text(&place, &ran.stdout));
    let ran = place.run(&["--json", "ask", "What is the outage risk at 38 C?"]);
    assert_eq!(ran.code, 1);
    let answer = one(&ran.stdout);
    assert_snapshot!("missing_json", redacted::shown(&answer));
    assert_eq!(answer["answer"]["missing"][0]["path"], "equipment_id");
}

#[test]
fn what_cannot_be_is_not_sent() {
    let place = Place::new();
    let ran = asked(&place, "What is the outage risk of transformer ZZ99 at 38 C?", 1);
    assert_snapshot!("no_such_form", redacted::text(&place, &ran.stdout));
    let ran = asked(&place, "What is the outage risk of transformer A7 at 380 C?", 1);
    assert_snapshot!("out_of_range", redacted::text(&place, &ran.stdout));
}

#[test]
fn unknown_equipment_is_told_with_what_is_known() {
    let place = Place::new();
    let ran = asked(&place, "What is the outage risk of transformer C99 at 38 C?", 1);
    assert_snapshot!("unknown_equipment", redacted::text(&place, &ran.stdout));
}

#[test]
fn words_that_drive_terminals_are_not_passed_on() {
    let place = Place::new();
    let ran = place.run(&["ask", "outage risk \u{1b}[31m of \u{202e}A7 at 38 C \u{7}"]);
    assert!(!ran.stdout.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{ran:?}");
    assert!(!ran.stderr.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{ran:?}");
}

fn at_terminal(place: &Place, question: &str) -> Pty {
    let wanted = Seat { streams: Streams::Terminal, ..seat(place, &["ask", question]) };
    Pty::spawn(&wanted).unwrap()
}

#[test]
fn on_a_terminal_it_asks_for_what_is_missing() {
    let place = Place::new();
    let mut pty = at_terminal(&place, "What is the outage risk at 38 C?");
    pty.expect("equipment_id", LIMIT).unwrap();
    pty.expect("> ", LIMIT).unwrap();
    pty.send("A7\n").unwrap();
    pty.expect("Outage risk score", LIMIT).unwrap();
    assert_eq!(pty.wait(LIMIT).unwrap().code(), Some(0));
    let screen = pty.screen();
    assert!(screen.contains("\"equipment_id\": \"A7\""), "{screen}");
}

#[test]
fn an_answer_that_does_not_fit_is_asked_again() {
    let place = Place::new();
    let mut pty = at_terminal(&place, "What is the outage risk at 38 C?");
    pty.expect("> ", LIMIT).unwrap();
    pty.send("nonsense\n").unwrap();
    pty.expect("equipment_id", LIMIT).unwrap();
    pty.expect("> ", LIMIT).unwrap();
    pty.send("A7\n").unwrap();
    pty.expect("Outage risk score", LIMIT).unwrap();
    assert_eq!(pty.wait(LIMIT).unwrap().code(), Some(0));
}

#[test]
fn no_answer_leaves_the_question_open() {
    for nothing in ["\n", "\x04"] {
        let place = Place::new();
        let mut pty = at_terminal(&place, "What is the outage risk at 38 C?");
        pty.expect("> ", LIMIT).unwrap();
        pty.send(nothing).unwrap();
        assert_eq!(pty.wait(LIMIT).unwrap().code(), Some(1), "{nothing:?}");
        assert!(pty.screen().contains("needs more"), "{}", pty.screen());
    }
}
