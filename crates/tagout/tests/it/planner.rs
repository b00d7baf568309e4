//! The table of `docs/planner.md`: what the planner makes of questions that were written before
//! anybody looked at how it works. `UPDATE_TABLE=1` writes it anew; a miss stays in it.
use std::{fmt::Write as _, fs, path::Path, thread};

use serde_json::Value;

use crate::place::{Place, one};

const QUESTIONS: &str = include_str!("planner/questions.toml");
/// Threads that ask.
const AT_ONCE: usize = 4;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    question: Vec<Question>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    ask: String,
    #[serde(default)]
    guides: bool,
    #[serde(default)]
    calls: Vec<Call>,
    why: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    tool: String,
    arguments: Value,
}

/// What came of a question.
struct Row<'q> {
    question: &'q Question,
    got: String,
    hit: bool,
}

fn asked<'q>(place: &Place, question: &'q Question) -> Row<'q> {
    let answer = one(&place.run(&["--json", "ask", &question.ask]).stdout)["answer"].clone();
    let calls: Vec<Call> = answer["calls"].as_array().unwrap().iter().map(call).collect();
    let is_there = |wanted: &Call| {
        calls.iter().any(|got| got.tool == wanted.tool && same(&got.arguments, &wanted.arguments))
    };
    let hit = calls.len() == question.calls.len() && question.calls.iter().all(is_there);
    let got = if calls.is_empty() { without(&answer) } else { shown(&calls) };
    Row { question, got, hit }
}

fn call(call: &Value) -> Call {
    let tool = call["tool"].as_str().unwrap().trim_start_matches("grid__").to_owned();
    Call { tool, arguments: call["arguments"].clone() }
}

/// Numbers to a hundredth, since miles and inches do not come out even.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(k, v)| b.get(k).is_some_and(|other| same(v, other)))
        }
        (Value::Number(a), Value::Number(b)) => {
            (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() <= 0.01
        }
        (a, b) => a == b,
    }
}

fn without(answer: &Value) -> String {
    let missing: Vec<_> = answer["missing"].as_array().into_iter().flatten().collect();
    let paths: Vec<_> = missing.iter().map(|slot| slot["path"].as_str().unwrap()).collect();
    match answer["status"].as_str().unwrap() {
        "needs_input" => format!("no call: asks for `{}`", paths.join("`, `")),
        "needs_choice" => "no call: asks which tool".to_owned(),
        "no_tool_fits" => "no call: no tool fits".to_owned(),
        other => format!("no call: {other}"),
    }
}

fn shown(calls: &[Call]) -> String {
    let call = |call: &Call| format!("`{} {}`", call.tool, call.arguments);
    calls.iter().map(call).collect::<Vec<_>>().join("<br>")
}

fn expected(question: &Question) -> String {
    match &question.why {
        Some(why) => format!("no call: {why}"),
        None => shown(&question.calls),
    }
}

fn rows(questions: &[Question]) -> Vec<Row<'_>> {
    let share = questions.len().div_ceil(AT_ONCE);
    thread::scope(|scope| {
        let asking: Vec<_> = questions
            .chunks(share)
            .map(|share| {
                scope.spawn(move || {
                    let place = Place::new();
                    share.iter().map(|question| asked(&place, question)).collect::<Vec<_>>()
                })
            })
            .collect();
        asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect()
    })
}

/// Which rows belong somewhere.
type Which<'a> = &'a dyn Fn(&Row<'_>) -> bool;

const HEAD: &str = "\
# What the planner gets right

`offline:planner` is rule-based, no language model. These are the questions of the guides that Tagout is
made after, in other words, and thirty that an operator would type, with what should come of each. They
were written before anybody looked at how the planner works; what it does not get stays here as a miss.
Some must not lead to a call: no tool fits, or a value is missing or cannot be.

Each is asked through the binary, without a terminal, of the tools of the Grid Operations Assistant. A hit
is the very calls that are expected, with their arguments (numbers to a hundredth), or no call where none
is. At first 39 of the 46 were hits. Then two general faults were mended: a data set is now also found by what
its description says of it, and `two-day` is read as `2-day` was.

The test `planner` makes this table anew and compares; `UPDATE_TABLE=1 cargo test -p tagout --test it planner`
writes it.

";

fn page(rows: &[Row<'_>]) -> String {
    let mut page = HEAD.to_owned();
    let mut write = |text: std::fmt::Arguments<'_>| page.write_fmt(text).unwrap();
    let score = |of: Which<'_>| {
        let all = rows.iter().filter(|row| of(row));
        let hits = all.clone().filter(|row| row.hit).count();
        format!("{hits} of {}", all.count())
    };
    write(format_args!("| questions | hits |\n|---|---|\n"));
    write(format_args!("| of the guides | {} |\n", score(&|row| row.question.guides)));
    write(format_args!("| of operators | {} |\n", score(&|row| !row.question.guides)));
    let silent = |row: &Row<'_>| row.question.calls.is_empty();
    write(format_args!("| of both, that must not lead to a call | {} |\n", score(&silent)));
    write(format_args!("| all | {} |\n", score(&|_| true)));
    let wrong = rows.iter().filter(|row| !row.hit && !row.got.starts_with("no call")).count();
    write(format_args!("\nMisses that made a call all the same: {wrong}.\n"));
    let sections: [(&str, Which<'_>); 3] = [
        ("Misses", &|row| !row.hit),
        ("Questions of the guides", &|row| row.question.guides && row.hit),
        ("Questions of operators", &|row| !row.question.guides && row.hit),
    ];
    for (title, belongs) in sections {
        write(format_args!("\n## {title}\n\n| question | expected | got |\n|---|---|---|\n"));
        for row in rows.iter().filter(|row| belongs(row)) {
            let (ask, expected) = (&row.question.ask, expected(row.question));
            let got = if row.hit && !silent(row) { "the same" } else { &row.got };
            write(format_args!("| {ask} | {expected} | {got} |\n"));
        }
    }
    page
}

#[test]
fn the_table_says_what_comes_of_each_question() {
    let file: File = toml::from_str(QUESTIONS).unwrap();
    assert!(file.question.iter().filter(|question| !question.guides).count() >= 30);
    for question in &file.question {
        assert_eq!(question.calls.is_empty(), question.why.is_some(), "{}", question.ask);
    }
    let page = page(&rows(&file.question));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/planner.md");
    if std::env::var_os("UPDATE_TABLE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = String::from_utf8(fs::read(&path).unwrap_or_default()).unwrap();
    assert_eq!(written, page, "write it anew with UPDATE_TABLE=1");
}
