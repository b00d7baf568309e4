//! What is odd about arguments. What is found here makes things stricter and never looser, so a
//! look-alike costs a question to a person, and what is missed is still for the policy to decide.
//!
//! Missed are texts in other words, translations, and data behind an encoding that is not known
//! here.
mod copied;
mod leaves;
mod purpose;
mod runs;
mod shell;
mod sql;
mod url;

use serde::Serialize;
use serde_json::{Map, Value};
use tagout_inspect::characters::{first_hidden, one_line};
use tagout_llm::{Message, SuppliedValue, ToolSpec};

use self::{
    leaves::{Leaf, leaves},
    purpose::Purpose,
};
use crate::CallReport;

/// Something odd about a call's arguments, for whoever approves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Concern {
    /// Where, such as `filter.name`.
    pub path: String,
    /// What kind, a stable code.
    pub code: &'static str,
    /// What exactly, in words.
    pub detail: String,
    /// Whether a person must see it before the call is made.
    pub holds: bool,
}

/// What a model may have copied from.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// What the person typed; of a prompt that was chosen, no message holds it.
    pub(crate) words: &'a str,
    /// The conversation, with all results.
    pub(crate) messages: &'a [Message],
    /// The calls of this question, with their records.
    pub(crate) calls: &'a [CallReport],
    /// The operator's instructions.
    pub(crate) operator: &'a str,
    /// What the person gave when the question turned out to lack it.
    pub(crate) supplied: &'a [SuppliedValue],
}

/// The longest path of a concern, in bytes.
const PATH_BYTES: usize = 256;
/// Characters of what is quoted.
const QUOTED: usize = 60;
/// Concerns of one call; what holds it comes first.
const MOST: usize = 32;

/// What is odd about `arguments` of `tool`, what holds the call first.
pub(crate) fn concerns(
    tool: &ToolSpec,
    arguments: &Map<String, Value>,
    seen: Seen<'_>,
) -> Vec<Concern> {
    let (leaves, all) = leaves(tool, arguments);
    let mut found = Vec::new();
    if !all {
        let detail = "there is so much in the arguments that not all of it was looked at";
        found.push(concern("", "arguments-too-large", detail.to_owned(), true));
    }
    for leaf in &leaves {
        found.extend(by_itself(leaf));
    }
    found.extend(copied::concerns(&leaves, seen));
    found.sort_by_key(|concern| !concern.holds);
    found.truncate(MOST);
    found
}

/// What is odd about a text whatever else was said.
fn by_itself(leaf: &Leaf<'_>) -> Vec<Concern> {
    let mut found = Vec::new();
    let mut add = |code, detail, holds| found.push(concern(&leaf.path, code, detail, holds));
    if let Some((c, hidden)) = first_hidden(leaf.text) {
        let detail = format!("there is a character that nobody sees, U+{:04X}", u32::from(c));
        add("invisible-characters", format!("{detail} ({})", hidden.as_str()), true);
    }
    // In prose and files such things may be meant; they are mentioned.
    let holds = leaf.purpose == Purpose::Plain;
    if leaf.purpose != Purpose::Commands
        && let Some(piece) = shell::found(leaf.text)
    {
        add("shell-like", format!("it reads like a command: {}", quoted(piece)), holds);
    }
    if leaf.purpose != Purpose::Commands
        && leaf.purpose != Purpose::Queries
        && let Some(piece) = sql::found(leaf.text)
    {
        add("sql-like", format!("it reads like SQL: {}", quoted(piece)), holds);
    }
    found
}

fn concern(path: &str, code: &'static str, detail: String, holds: bool) -> Concern {
    let path = path.char_indices().take_while(|(at, c)| at + c.len_utf8() <= PATH_BYTES);
    Concern { path: path.map(|(_, c)| c).collect(), code, detail, holds }
}

/// The beginning of `text` as it can stand in a line.
fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTED).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{}`", one_line(&short))
}

#[cfg(test)]
mod measured;
#[cfg(test)]
mod tests;
