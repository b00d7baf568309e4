//! Inspection at its boundary.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
mod bombs;
mod live;
mod lookalikes;
mod schemas;

use proptest::prelude::*;
use tagout_inspect::{characters, definition, redact, screen};
use tagout_proto::{Document, Limits};

fn read(text: &str) -> Document {
    Document::read(text.as_bytes(), Limits::default()).unwrap()
}

#[test]
fn characters_that_hide() {
    for (text, visible) in [
        ("plain\ttext\r\n", "plain\ttext\r\n"),
        ("a\u{1b}[31mred", "a<U+001B>[31mred"),
        ("bell\u{7}", "bell<U+0007>"),
        ("c1\u{9b}2J", "c1<U+009B>2J"),
        ("\u{202e}txt.exe", "<U+202E>txt.exe"),
        ("pay\u{200b}load", "pay<U+200B>load"),
        ("tag\u{e0041}", "tag<U+E0041>"),
        ("\u{feff}bom", "<U+FEFF>bom"),
        ("soft\u{ad}hyphen", "soft<U+00AD>hyphen"),
        ("line\u{2028}break", "line<U+2028>break"),
        // A joiner in an emoji or a Persian word is at work; elsewhere it hides.
        ("👩\u{200d}💻", "👩\u{200d}💻"),
        ("❤\u{fe0f}", "❤\u{fe0f}"),
        ("می\u{200c}خواهم", "می\u{200c}خواهم"),
        ("a\u{200d}b", "a<U+200D>b"),
        ("1\u{200d}2", "1<U+200D>2"),
        ("5\u{fe0f}", "5<U+FE0F>"),
        ("5\u{fe0f}\u{20e3}", "5\u{fe0f}\u{20e3}"),
        ("\u{2800}", "<U+2800>"),
        ("a\u{fe01}", "a<U+FE01>"),
        ("naïve – 38 °C, 東京", "naïve – 38 °C, 東京"),
    ] {
        assert_eq!(characters::made_visible(text).0, visible, "{text:?}");
        assert_eq!(characters::first_hidden(text).is_some(), text != visible, "{text:?}");
    }
}

#[test]
fn results_are_made_safe_or_left_alone() {
    for (text, expected) in [
        (r#"{"a": 1.50,"b":"x\n\"y\""}"#, None),
        (r#"{"a":"caf\u00e9 \ud83d\ude00"}"#, None),
        (r#"{"a":"x\u001b[2J","n":1e400}"#, Some((r#"{"a":"x<U+001B>[2J","n":1e400}"#, 1))),
        ("{\"\u{202e}k\":[\"\u{200b}\"]}", Some((r#"{"<U+202E>k":["<U+200B>"]}"#, 2))),
    ] {
        let expected = expected.map(|(text, count)| (text.to_owned(), count));
        assert_eq!(screen::made_safe(read(text).root()), expected, "{text}");
    }
}

#[test]
fn secrets_are_redacted() {
    // Made of parts, so that no scanner takes this file for a leak.
    let github = format!("gh{}_{}", 'p', "a1B2".repeat(9));
    let aws = format!("AK{}{}", "IA", "ABCDEFGH12345678");
    for (text, expected) in [
        (r#"{"path":"/tmp/a","n":1.50}"#.to_owned(), r#"{"path":"/tmp/a","n":1.50}"#),
        (r#"{"Api-Key":"x","user":"ann"}"#.to_owned(), r#"{"Api-Key":"<redacted>","user":"ann"}"#),
        (
            r#"{"password":["a",{"b":7}]}"#.to_owned(),
            r#"{"password":["<redacted>",{"b":"<redacted>"}]}"#,
        ),
        (format!(r#"{{"text":"use {github} now"}}"#), r#"{"text":"use <redacted> now"}"#),
        (format!(r#"["{aws}"]"#), r#"["<redacted>"]"#),
        (
            r#"{"db_password":"x","x-api-key":"y","aws_secret_access_key":"z","spin":"s"}"#
                .to_owned(),
            r#"{"db_password":"<redacted>","x-api-key":"<redacted>","aws_secret_access_key":"<redacted>","spin":"s"}"#,
        ),
        (r#"["postgres://ann:x@db/y"]"#.to_owned(), r#"["postgres://<redacted>@db/y"]"#),
        (
            r#"{"h":"Authorization: Bearer abcdefghijklmnop123"}"#.to_owned(),
            r#"{"h":"Authorization: <redacted>"}"#,
        ),
    ] {
        assert_eq!(redact::redacted(read(&text).root()), expected, "{text}");
    }
}

#[test]
fn definitions_have_one_digest_however_they_are_written() {
    let base = r#"{"name":"a","description":"d","inputSchema":{"type":"object"}}"#;
    let digest = |text: &str| definition::digest(read(text).root());
    for (text, same) in [
        (r#"{"description":"d","inputSchema":{"type":"object"},"name":"a"}"#, true),
        (r#"{"name":"\u0061","description":"d","inputSchema":{ "type" : "object" }}"#, true),
        (
            r#"{"name":"a","description":"d","inputSchema":{"type":"object"},"_meta":{"x":1}}"#,
            false,
        ),
        (r#"{"name":"a","description":"d ","inputSchema":{"type":"object"}}"#, false),
        (r#"{"name":"a","title":"t","description":"d","inputSchema":{"type":"object"}}"#, false),
        (
            r#"{"name":"a","description":"d","inputSchema":{"type":"object"},"annotations":{}}"#,
            false,
        ),
        (r#"{"name":"a","description":"d","inputSchema":{"type":"object"},"unknown":0}"#, false),
    ] {
        assert_eq!(digest(text) == digest(base), same, "{text}");
    }
}

#[test]
fn hints_for_reviewers() {
    for (text, expected) in [
        (r#"{"name":"read_file","annotations":{"readOnlyHint":true}}"#, "read"),
        (r#"{"name":"writeFile"}"#, "write"),
        (r#"{"name":"delete_and_send"}"#, "destructive egress"),
        (
            r#"{"name":"get_x","annotations":{"readOnlyHint":false,"destructiveHint":true}}"#,
            "read write destructive",
        ),
        (r#"{"name":"frobnicate"}"#, "exec"),
        (r#"{"name":"execute_command"}"#, "exec"),
    ] {
        let hints = definition::Proposal::of(read(text).root()).effects;
        let effects: Vec<_> = hints.iter().map(|hint| hint.value.as_str()).collect();
        assert_eq!(effects.join(" "), expected, "{text}");
    }
}

/// What a definition of these arguments and this description seems to say: destinations, payloads,
/// output.
#[test]
fn arguments_and_output_have_hints() {
    let of = |name: &str, description: &str, properties: &str| {
        let text = format!(
            r#"{{"name":"{name}","description":"{description}","inputSchema":{{"properties":{properties}}}}}"#
        );
        let proposal = definition::Proposal::of(read(&text).root());
        [proposal.destinations, proposal.payloads, proposal.output].map(|hints| {
            let values: Vec<_> = hints.iter().map(|hint| hint.value.clone()).collect();
            values.join(" ")
        })
    };
    for (definition, expected) in [
        (
            ("send_email", "Sends it.", r#"{"to":{},"cc":{},"body":{}}"#),
            ["to cc", "body", "untrusted"],
        ),
        (("f", "", r#"{"targetPath":{},"file_content":{}}"#), ["targetPath", "file_content", ""]),
        (
            ("f", "", r#"{"note":{"properties":{"url":{},"text":{}}}}"#),
            ["note.url", "note note.text", ""],
        ),
        (("f", "", r#"{"where":{"format":"uri"},"n":{"type":"integer"}}"#), ["where", "", ""]),
        (("f", "", r#"{"all":{"items":{"properties":{"host":{}}}}}"#), ["all.host", "", ""]),
        (("fetch_page", "Gets a web page.", "{}"), ["", "", "untrusted"]),
        (("salaries", "Of each employee.", "{}"), ["", "", "sensitive"]),
        (("list_issues", "With their tokens.", "{}"), ["", "", "untrusted sensitive"]),
        (("add", "Adds two numbers.", r#"{"a":{},"b":{}}"#), ["", "", ""]),
    ] {
        let (name, description, properties) = definition;
        assert_eq!(of(name, description, properties), expected, "{definition:?}");
    }
}

proptest! {
    #[test]
    fn what_was_made_visible_hides_nothing(text in any::<String>()) {
        let (visible, _) = characters::made_visible(&text);
        prop_assert_eq!(characters::first_hidden(&visible), None);
    }
}
