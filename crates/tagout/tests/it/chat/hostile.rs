//! Whatever models, tools and servers say, nothing but text of it reaches the terminal.
use serde_json::{Value, json};

use super::{
    stand_in::{Manner, provider},
    talk::{Chair, Talk, place},
};
use crate::place::tool;

/// Clipboard, links, colours, cursor, title, resets, C1, and what turns text around.
const HOSTILE: &str = "a\u{1b}]52;c;aGFja2Vk\u{7}b\u{1b}]8;;https://evil.example\u{1b}\\link\u{1b}]8;;\u{1b}\\\
                       c\u{1b}[2J\u{1b}[999;1Hd\u{9b}31me\u{9d}0;title\u{9c}f\u{1b}cg\u{202e}h\u{8}i\rj";

/// None of it is on the way to the terminal.
#[track_caller]
fn harmless(talk: &Talk) {
    let bytes = talk.pty.bytes();
    let text = String::from_utf8_lossy(&bytes);
    for bad in [
        "\u{1b}]52",
        "\u{1b}]8",
        "\u{1b}[2J",
        "\u{1b}[999",
        "\u{1b}c",
        "\u{9b}",
        "\u{9d}",
        "\u{9c}",
        "\u{202e}",
        "\u{8}i",
        "\u{1b}]0",
    ] {
        assert!(!text.contains(bad), "{bad:?} in {text:?}");
    }
}

#[test]
fn a_models_words_are_text_however_they_are_cut() {
    let place = place(&provider(Manner::Hostile(HOSTILE)), json!({}));
    let mut talk = Chair::new(&place, &["chat", "--model", "slow:m"]).talk();
    let shown = talk.answer_to("go");
    assert!(shown.contains("<U+202E>"), "{shown}");
    talk.leaves();
    harmless(&talk);
    // Nor when it is shown again.
    let mut talk = Chair::new(&place, &["chat", "--continue", "--model", "slow:m"]).talk();
    talk.leaves();
    harmless(&talk);
}

#[test]
fn so_are_a_tools_results_errors_and_description() {
    let mut odd = tool("read_odd");
    odd["description"] = HOSTILE.into();
    odd["title"] = HOSTILE.into();
    let place = place(
        "",
        json!({
            "tools": [odd, tool("read_error")],
            "calls": {"read_odd": [[{"text": HOSTILE}]],
                      "read_error": [[{"error": {"code": -32000, "message": HOSTILE}}]]},
        }),
    );
    let said = json!([HOSTILE, ["s__read_odd"], ["s__read_error"]]);
    let mut talk = Talk::with(&place, &json!([said, "Done."]));
    talk.answer_to("/tools");
    talk.answer_to("/tools s__read_odd");
    let shown = talk.answer_to("go");
    assert!(shown.contains("Done."), "{shown}");
    talk.answer_to("/audit");
    talk.leaves();
    harmless(&talk);
}

#[test]
fn so_are_arguments_names_and_what_a_card_shows() {
    let place = place("", json!({}));
    let call = |tool: &str, text: &str| -> Value { json!(["", [tool, {"text": text}]]) };
    let turns = json!([call("s__\u{1b}[2Jnone", "x"), call("s__write_it", HOSTILE), "Done."]);
    let mut talk = Talk::with(&place, &turns);
    let shown = talk.answer_to("go \u{1b}]52;c;aGk=\u{7} on");
    assert!(shown.contains("Done."), "{shown}");
    talk.leaves();
    harmless(&talk);
    assert_eq!(place.calls("s", "write_it"), 0);
}
