//! Markdown on screens of several widths, and however it is cut.
use proptest::prelude::*;
use tagout_terminal::{Markdown, Screen, printable, render};

use crate::glass::{pieces, screen, seen, written};

const TOUR: &str = include_str!("documents/tour.md");

#[test]
fn a_tour_at_40_columns() {
    insta::assert_snapshot!(seen(&render(TOUR, &screen(40)), 40, false));
}

#[test]
fn a_tour_at_80_columns() {
    insta::assert_snapshot!(seen(&render(TOUR, &screen(80)), 80, false));
}

#[test]
fn a_tour_with_its_styles() {
    let text = "# H *i*\n**bold *both*** `code` ~~gone~~ [text](https://a.example)\n\n> q\n";
    insta::assert_snapshot!(format!("{:?}", written([text], &screen(80))));
}

#[test]
fn small_things() {
    for (text, expected) in [
        ("", ""),
        ("\n\n\n", ""),
        ("a\nb", "a b"),
        ("**a", "**a"),
        ("a*b*c _d_e_ __f__", "abc d_e f"),
        ("***x*** **a*b*c**", "x abc"),
        ("\\*not\\* `` a`b `` `open", "*not* a`b `open"),
        ("[a](<b c> 'T') [d][e] [f]", "a <b c> \"T\" [d][e] [f]"),
        ("[https://a.example](https://a.example)", "https://a.example"),
        ("[https://a.example](https://b.example)", "https://a.example <https://b.example>"),
        ("[a [b](c) d](e)", "[a b <c> d](e)"),
        ("![a *b*](c)", "[image: a b] <c>"),
        ("[ref]: https://a.example\n", "[ref]: https://a.example"),
        ("#no\n####### no", "#no ####### no"),
        ("# a #\n## b#", "a\n\nb#"),
        ("In\n1986. no list", "In 1986. no list"),
        ("- a\nlazy\n- b", "• a lazy\n• b"),
        ("1. a\n  - b\n2. c", "1. a\n   • b\n2. c"),
        ("-\n-", "•\n•"),
        ("- - a", "• • a"),
        ("> a\nb\n\nc", "▎ a b\n\nc"),
        ("> > a\n> b", "▎ ▎ a b"),
        ("```\n# no\n", "┌\n│ # no\n└"),
        ("~~~ a\n```\n~~~\nb", "┌ a\n│ ```\n└\nb"),
        ("- ```\n  x\n  ```", "• ┌\n  │ x\n  └"),
        ("a | b\n--|--\n1 | 2 | 3\nend", "a │ b\n──┼──────\n1 │ 2 | 3\nend"),
        ("a | b\n--|--|--\n", "a | b --|--|--"),
        ("x\na | b\n--|--", "x\na │ b\n──┼──"),
        ("a|b\n-|-\n1<br>2|3", "a │ b\n──┼──\n1 │ 3\n2 │"),
        ("&lt;b&gt; &#x1b;[31m &copy;", "<b> &#x1b;[31m &copy;"),
        ("<https://a.example/*x*> <b>*c*</b>", "<https://a.example/*x*> <b>c</b>"),
    ] {
        assert_eq!(seen(&render(text, &screen(80)), 80, false).trim_end(), expected, "{text:?}");
    }
}

#[test]
fn many_columns_on_a_narrow_screen_are_records() {
    let header: Vec<_> = (0..12).map(|n| format!("c{n}")).collect();
    let text = format!(
        "{}\n{}\n{}\n{}",
        header.join("|"),
        ["-"; 12].join("|"),
        ["1"; 12].join("|"),
        ["2"; 3].join("|")
    );
    let shown = seen(&render(&text, &screen(40)), 40, false);
    assert!(shown.starts_with("c0: 1\nc1: 1\n") && shown.ends_with("\n\nc0: 2\nc1: 2\nc2: 2"));
}

#[test]
fn what_is_under_way_is_shown_as_it_comes() {
    let screen = screen(40);
    let mut markdown = Markdown::new(&screen);
    let mut out = String::new();
    for (piece, expected) in [
        ("Hel", "Hel"),
        ("lo **wor", "Hello **wor"),
        ("ld**", "Hello world"),
        (
            ", and more words than fit on one row.",
            "Hello world, and more words than fit on\none row.",
        ),
        ("\n\n```sh\nls", "Hello world, and more words than fit on\none row.\n\n┌ sh\n│ ls\n└"),
        ("\n```\n", "Hello world, and more words than fit on\none row.\n\n┌ sh\n│ ls\n└"),
    ] {
        out.push_str(&markdown.push(piece));
        assert_eq!(seen(&out, 40, false), expected, "{piece:?}");
    }
}

#[test]
fn words_that_follow_are_only_added() {
    let screen = screen(80);
    let mut markdown = Markdown::new(&screen);
    assert_eq!(markdown.push("one"), "one");
    assert_eq!(markdown.push(" two"), " two");
    assert_eq!(markdown.push("\n"), "");
    assert_eq!(markdown.push("three"), " three");
    assert_eq!(markdown.finish(), "\r\n");
    assert_eq!(markdown.finish(), "");
}

#[test]
fn without_a_terminal_it_is_the_text() {
    let plain = Screen::plain();
    let text = "# A\u{1b}[31m *b*\n| c |\n";
    assert_eq!(written(pieces(text, 1), &plain), "# A *b*\n| c |\n");
}

#[test]
fn a_paragraph_higher_than_the_screen_is_whole_in_the_end() {
    let text = "word ".repeat(700);
    let screen = screen(40);
    let whole = seen(&render(&text, &screen), 40, false);
    assert_eq!(seen(&written(pieces(&text, 9), &screen), 40, false), whole);
    assert_eq!(whole.split_whitespace().count(), 700);
}

#[test]
fn a_long_table_goes_on_under_the_same_header() {
    let row = format!("| {} | b |\n", "x".repeat(60));
    let text = format!("| A | B |\n|---|---|\n{}", row.repeat(2_000));
    let shown = seen(&render(&text, &screen(80)), 80, false);
    assert_eq!(shown.lines().count(), 2_002);
    assert_eq!(shown.matches("│ B").count(), 1);
}

/// Text of what makes a difference in Markdown.
fn documents() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-c ]{1,12}",
        2 => prop::sample::select(vec!["\n", "\n\n", "  \n", "\\\n", "\r\n"]).prop_map(String::from),
        3 => prop::sample::select(vec![
            "*", "**", "_", "~~", "`", "``", "[", "]", "](", ")", "![", "<", ">", "&amp;", "\\",
            "https://a.example/x", "漢字", "🙂", "e\u{301}", "👩\u{200d}👩", "\u{202e}", "❤\u{fe0f}",
        ]).prop_map(String::from),
        3 => prop::sample::select(vec![
            "\n# ", "\n- ", "\n  - ", "\n    ", "\n1. ", "\n> ", "\n```\n", "\n~~~ x\n", "\n---\n",
            "\n===\n", "\na|b\n-|-\n", "|", "\n| a | b |\n|:-|-:|\n| 1 | 2 |\n", "\t",
        ]).prop_map(String::from),
        1 => prop::sample::select(vec![
            "\u{1b}[2J", "\u{1b}]0;t\u{7}", "\u{1b}]52;c;x\u{1b}\\", "\u{9b}5A", "\u{7}", "\u{8}", "\u{1b}",
        ]).prop_map(String::from),
        1 => Just("long ".repeat(90)),
        1 => Just("x".repeat(300)),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_it_is_cut_the_same_is_seen(
        text in documents(), size in 1_usize..30, columns in 20_u16..90,
    ) {
        let screen = screen(columns);
        let whole = seen(&render(&text, &screen), columns, true);
        prop_assert_eq!(seen(&written(pieces(&text, size), &screen), columns, true), whole);
    }

    #[test]
    fn no_letter_is_lost(text in documents()) {
        let letters = |text: &str| text.chars().filter(|c| matches!(c, 'a'..='c')).count();
        let shown = seen(&render(&text, &screen(60)), 60, false);
        prop_assert!(letters(&shown) >= letters(&printable(&text).replace("&amp;", "")));
    }
}
