//! Texts that want more from a terminal than to be shown.
use std::time::Duration;

use tagout_terminal::{Card, Progress, Status, Tone, paint, printable, render, table};

use crate::glass::{pieces, screen, seen, written};

const HOSTILE: &[&str] = &[
    "\u{1b}]52;c;aGVsbG8=\u{7}",
    "\u{1b}]8;;https://evil.example\u{1b}\\good.example\u{1b}]8;;\u{1b}\\",
    "\u{1b}]0;title\u{7}\u{1b}]2;title\u{9c}",
    "\u{1b}[2J\u{1b}[H\u{1b}[31m\u{1b}[8mhidden\u{1b}[?1049h",
    "\u{9b}2J\u{9d}0;t\u{9c}\u{90}q\u{9c}\u{85}\u{84}",
    "bell\u{7}back\u{8}\u{8}null\u{0}del\u{7f}\u{e}\u{f}",
    "over\rwritten\u{b}\u{c}",
    "user\u{202e}gnp.exe\u{2066}x\u{200b}y\u{2028}z",
    "\u{1b}\u{1b}[31m\u{1b}\u{1b}]0;x\u{7}",
    "`\u{1b}[31m` [\u{1b}]8;;x\u{7}](\u{1b}[1m) &#27;[31m",
    "```\n\u{1b}[31m\n```\n| \u{1b}[1m | b |\n|--|--|\n| \u{9b}m | \u{7} |",
    "\u{1b}Ptmux;\u{1b}\u{1b}]52;c;eA==\u{7}\u{1b}\\",
    "\u{1b}_Gf=100;AAAA\u{1b}\\\u{1b}^x\u{1b}\\",
];

/// What is left when the sequences that are made here are taken out.
fn left_over(output: &str) -> String {
    let mut out = String::new();
    let mut rest = output;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        let (parameters, last) = (&after[..end], &after[end..=end]);
        assert!(parameters.chars().all(|c| c.is_ascii_digit() || c == ';'), "{parameters}");
        assert!(matches!(last, "m" | "A" | "J" | "K"), "{last}");
        rest = &after[end + 1..];
    }
    out + rest
}

fn assert_harmless(output: &str) {
    let left = left_over(output);
    let bad: Vec<_> =
        left.chars().filter(|c| c.is_control() && !matches!(c, '\r' | '\n')).collect();
    assert!(bad.is_empty(), "{bad:?} in {output:?}");
    assert!(!left.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}']), "{output:?}");
}

#[test]
fn no_text_makes_a_sequence_whole_or_in_pieces() {
    let screen = screen(40);
    for text in HOSTILE {
        for size in [1, 2, 3, 1_000] {
            assert_harmless(&written(pieces(text, size), &screen));
        }
        let card = Card::new(text, Tone::Bad).aside(text).status(text, Tone::Good);
        assert_harmless(
            &card.field(text, text).exact(text).text(text, Tone::Quiet).render(&screen),
        );
        assert_harmless(&table(&[text, "b"], &[vec![(*text).into(), (*text).into()]], &screen));
        assert_harmless(&paint(text, Tone::Warning, &screen));
        let status = Status { message: (*text).into(), value: Some(f64::NAN), total: Some(-1.0) };
        let drawn = Progress::new(&screen).update(Duration::ZERO, status);
        assert_harmless(&drawn);
        assert!(!drawn.contains('\n'));
    }
}

#[test]
fn a_flood_of_marks_stays_in_its_row() {
    let text = format!("a{}b", "\u{301}".repeat(10_000));
    let shown = seen(&render(&text, &screen(80)), 80, false);
    assert!(shown.contains("<U+0301>") && shown.ends_with('b'));
    let piled = |row: &str| row.chars().filter(|c| *c == '\u{301}').count();
    assert!(shown.lines().all(|row| piled(row) <= 8));
}

/// What costs more than its length would take minutes here.
#[test]
fn a_great_deal_of_anything_is_shown() {
    let screen = screen(80);
    for unit in [
        "x",
        "word ",
        "*a ",
        "**a** ",
        "[",
        "](",
        "`a",
        "``` ",
        "<a:",
        "> ",
        "- ",
        "&amp;",
        "\u{1b}]",
        "\u{1b}]0;x",
        "a|",
        "|\n",
        "a\n",
        "1. a\n",
        "> a\n",
        "_*",
        "漢",
        "\t",
        "\\",
        "~~",
        "![a](",
    ] {
        let length = if matches!(unit, "x" | "word ") { 1_000_000 } else { 150_000 };
        let text = unit.repeat(length / unit.len());
        let out = render(&text, &screen);
        assert_eq!(out.is_empty(), printable(&text).trim().is_empty(), "{unit:?}");
    }
}

#[test]
fn a_great_deal_in_small_pieces_is_shown() {
    let screen = screen(80);
    let text =
        "An *unending* line of [words](https://a.example) that come one by one. ".repeat(300);
    let out = written(pieces(&text, 12), &screen);
    let shown = seen(&out, 80, false);
    assert_eq!(
        shown.matches("https://a.example").count() + shown.matches("https://\n").count(),
        300
    );
}
