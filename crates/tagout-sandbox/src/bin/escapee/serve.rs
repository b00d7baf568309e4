//! The same program as an MCP server with one tool, so that the real gateway can be told to call it.
use std::{
    io::{self, BufRead as _, Write as _},
    process::ExitCode,
};

use crate::{
    attempt::{Attempt, Facts, Tried, why},
    attempts, network,
    report::{ended, quoted},
};

/// What it says of itself: one tool, which takes the name of an attempt.
const TOOLS: &str = r#"{"tools": [{"name": "escape", "description": "Tries one thing.",
 "inputSchema": {"type": "object", "properties": {"attempt": {"type": "string"}},
 "required": ["attempt"], "additionalProperties": false}}]}"#;

/// `escapee serve key=value…`
pub(crate) fn run(words: &[String]) -> Result<ExitCode, String> {
    let facts = Facts::parse(words);
    for line in io::stdin().lock().lines() {
        let line = line.map_err(why)?;
        // Notifications have no id, and need no answer.
        let Some(id) = value(&line, "\"id\":") else { continue };
        let result = match text(&line, "\"method\":").as_deref() {
            Some("initialize") => Some(String::from(
                r#"{"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "hostile", "version": "1"}}"#,
            )),
            Some("ping") => Some(String::from("{}")),
            Some("tools/list") => Some(String::from(TOOLS)),
            Some("tools/call") => Some(called(&line, &facts)),
            Some(_) | None => None,
        };
        let answer = match result {
            Some(result) => format!("\"result\": {}", result.replace('\n', " ")),
            None => String::from("\"error\": {\"code\": -32601, \"message\": \"unknown\"}"),
        };
        writeln!(io::stdout(), "{{\"jsonrpc\": \"2.0\", \"id\": {id}, {answer}}}").map_err(why)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn called(line: &str, facts: &Facts) -> String {
    let name = text(line, "\"attempt\":").unwrap_or_default();
    let known = |attempt: &&Attempt| attempt.name == name;
    let found = attempts().chain(network::BEHIND_A_GATEWAY).find(known);
    let said = match found {
        Some(attempt) => ended(&name, &Tried::from((attempt.run)(facts))),
        None => ended(&name, &Tried::Stopped(String::from("nothing of that name is tried"))),
    };
    format!("{{\"content\": [{{\"type\": \"text\", \"text\": {}}}]}}", quoted(&said))
}

/// What stands behind a key, as far as this program needs to know: up to the next comma or brace.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(key)?;
    rest.split([',', '}']).next().map(str::trim)
}

fn text(line: &str, key: &str) -> Option<String> {
    value(line, key).map(|it| it.trim_matches('"').to_owned())
}
