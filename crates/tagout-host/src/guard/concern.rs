//! What is odd about arguments. What is found here makes things stricter and never looser, so a
//! look-alike costs a question to a person, and what is missed is still for the policy to decide.
//!
//! Missed are texts in other words, translations, and data behind an encoding that is not known
//! here.
mod copied;
mod destinations;
mod hosts;
mod leaves;
mod needles;
mod purpose;
mod runs;
mod said;
mod shell;
mod sql;
mod url;
mod work;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde::Serialize;
use serde_json::{Map, Value};
use tagout_inspect::characters::{first_hidden, one_line};
use tagout_llm::{Message, SuppliedValue, ToolSpec};

use self::{
    leaves::{Leaf, leaves},
    purpose::Purpose,
    said::{LeftOut, Said},
    work::Work,
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

/// A call's arguments and all that they are compared with, to be looked at beside everything else.
pub(crate) struct Looking {
    tool: ToolSpec,
    arguments: Map<String, Value>,
    said: Said,
}

/// Ends the work when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Looking {
    /// Takes copies of what is compared.
    pub(crate) fn at(tool: &ToolSpec, arguments: &Map<String, Value>, seen: Seen<'_>) -> Self {
        Self { tool: tool.clone(), arguments: arguments.clone(), said: Said::of(seen) }
    }

    /// What is odd about them, what holds the call first.
    ///
    /// Cancel safe: what has been begun ends soon after.
    pub(crate) async fn concerns(self) -> Vec<Concern> {
        let stop = Arc::new(AtomicBool::new(false));
        let guard = StopOnDrop(Arc::clone(&stop));
        let found = tokio::task::spawn_blocking(move || self.concerns_until(stop)).await;
        drop(guard);
        // A call that could not be looked at is one for a person.
        found.unwrap_or_else(|_| vec![too_large("arguments")])
    }

    fn concerns_until(mut self, stop: Arc<AtomicBool>) -> Vec<Concern> {
        let mut work = Work::new(stop);
        let (leaves, mut all) = leaves(&self.tool, &self.arguments);
        let mut found = Vec::new();
        for leaf in &leaves {
            all &= work.take(leaf.text.len().saturating_mul(16));
            if !all {
                break;
            }
            found.extend(by_itself(leaf));
        }
        let mut compared = self.said.alike(&mut work);
        let (every, looked) = destinations::concerns(&leaves, &self.said, &mut work, &mut found);
        all &= every;
        compared &= looked && copied::concerns(&leaves, &self.said, &mut work, &mut found);
        if !all {
            found.push(too_large("arguments"));
        }
        if !leaves.is_empty() {
            found.extend(not_compared(compared, self.said.left_out));
        }
        found.sort_by_key(|concern| !concern.holds);
        found.truncate(MOST);
        found
    }
}

fn too_large(what: &str) -> Concern {
    let (code, detail) = match what {
        "arguments" => (
            "arguments-too-large",
            "there is so much in the arguments that not all of it was looked at",
        ),
        _ => ("results-too-large", "there is so much in results that not all of it was compared"),
    };
    concern("", code, detail.to_owned(), true)
}

/// What was not compared: only what came of this question holds its calls.
fn not_compared(compared: bool, left_out: LeftOut) -> Option<Concern> {
    match (compared, left_out) {
        (false, _) | (true, LeftOut::Now) => Some(too_large("results")),
        (true, LeftOut::Before { news: true }) => {
            let detail = "there is so much in results that the oldest are not compared any more";
            Some(concern("", "results-too-large", detail.to_owned(), false))
        }
        (true, LeftOut::Nothing | LeftOut::Before { news: false }) => None,
    }
}

/// What is odd about `arguments` of `tool`, what holds the call first.
#[cfg(test)]
fn concerns(tool: &ToolSpec, arguments: &Map<String, Value>, seen: Seen<'_>) -> Vec<Concern> {
    Looking::at(tool, arguments, seen).concerns_until(Arc::default())
}

/// What is odd about a text whatever else was said.
fn by_itself(leaf: &Leaf<'_>) -> Vec<Concern> {
    let mut found = Vec::new();
    let mut add = |code, detail, holds| found.push(concern(&leaf.path, code, detail, holds));
    if let Some((c, hidden)) = first_hidden(leaf.text) {
        let detail = format!("there is a character that nobody sees, U+{:04X}", u32::from(c));
        add("invisible-characters", format!("{detail} ({})", hidden.as_str()), true);
    }
    // Making the patterns ready takes longer than most calls.
    if is_identifier(leaf.text) {
        return found;
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

/// Whether a text is one word, as names and times are: letters and digits with at most one sign
/// between them. None of the patterns of commands and of SQL fits one.
fn is_identifier(text: &str) -> bool {
    let mut signs = 0;
    let plain = text.bytes().all(|byte| {
        signs = if matches!(byte, b'-' | b'_' | b':') { signs + 1 } else { 0 };
        signs < 2 && (signs == 1 || byte.is_ascii_alphanumeric())
    });
    plain && text.bytes().next().is_none_or(|first| first.is_ascii_alphanumeric())
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
