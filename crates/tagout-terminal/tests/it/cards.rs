//! Cards, tables, words and progress.
use std::time::Duration;

use tagout_terminal::{Card, Progress, Screen, Status, Tone, paint, table};

use crate::glass::{screen, seen};

fn card() -> Card {
    Card::new("grid__voltages", Tone::Good)
        .status("allowed", Tone::Good)
        .aside("120 ms · record 42")
        .text("The server calls itself reliable, which nobody has to believe.", Tone::Quiet)
        .field("rule", "operators-read")
        .field("a name that is far too long for its column", "value")
        .field("sentence", "one that does not fit on the rest of a row of this narrow screen")
        .exact("{\n  \"bus\": \"OAK-1\",\n  \"a_long_key\": \"and a value that is longer than a row\"\n}")
}

#[test]
fn a_card_is_shown_whole() {
    insta::assert_snapshot!(seen(&card().render(&screen(40)), 40, false));
}

#[test]
fn a_card_without_a_terminal_has_no_styles() {
    let text = card().render(&Screen::plain());
    assert!(!text.contains(['\u{1b}', '\r']));
    assert!(text.contains("a value that is longer than a row"));
}

#[test]
fn words_have_colours_where_there_are_some() {
    assert_eq!(paint("denied", Tone::Bad, &screen(80)), "\u{1b}[1;31mdenied\u{1b}[0m");
    assert_eq!(paint("denied", Tone::Bad, &Screen::plain()), "denied");
    let variable = |name: &str| Some(if name == "TERM" { "xterm" } else { "1" }.to_owned());
    let without = Screen::detect(variable, true, None);
    assert_eq!(paint("denied", Tone::Bad, &without), "\u{1b}[1mdenied\u{1b}[0m");
}

#[test]
fn tables_are_wrapped_and_never_cut() {
    let rows = [
        vec!["anthropic".to_owned(), "Messages".to_owned()],
        vec!["x".to_owned(), "a long remark that goes over several rows of it".to_owned()],
    ];
    insta::assert_snapshot!(seen(&table(&["provider", "wire"], &rows, &screen(30)), 30, false));
}

fn status(value: Option<f64>, total: Option<f64>) -> Status {
    Status { message: "reading\nthe meters of every substation of the region".into(), value, total }
}

#[test]
fn progress_stays_in_its_row_and_leaves_nothing() {
    let screen = screen(50);
    let mut progress = Progress::new(&screen);
    let mut out = String::from("before\r\n");
    for n in 0..100_u32 {
        let now = Duration::from_millis(50 * u64::from(n));
        out.push_str(&progress.update(now, status(Some(f64::from(n)), Some(200.0))));
    }
    let drawn = out.matches("\u{1b}[K").count();
    assert_eq!(drawn, 50, "ten a second at most");
    insta::assert_snapshot!(seen(&out, 50, false), @r"
    before
    ◓ 4s █████████░░░░░░░░░░░ 49% reading the meters…
    ");
    out.push_str(&progress.finish());
    assert_eq!(seen(&out, 50, false), "before");
    assert_eq!(progress.finish(), "");
}

#[test]
fn progress_knows_what_it_does_not_know() {
    for (value, total, expected) in [
        (None, None, "◐ 0s reading"),
        (Some(12.5), None, "◐ 0s 12.5 reading"),
        (Some(300.0), Some(200.0), "◐ 0s ████████████████████ 100% reading"),
        (Some(f64::NAN), Some(1.0), "◐ 0s reading"),
        (Some(1.0), Some(0.0), "◐ 0s 1 reading"),
        (Some(-1.0), Some(2.0), "◐ 0s reading"),
    ] {
        let drawn = Progress::new(&screen(80)).update(Duration::ZERO, status(value, total));
        assert!(seen(&drawn, 80, false).starts_with(expected), "{drawn:?}");
    }
    assert_eq!(Progress::new(&Screen::plain()).update(Duration::ZERO, Status::default()), "");
}
