//! What in arguments was copied from where nobody asked for it.
use std::borrow::Cow;

use tagout_llm::{Message, Part, Role};

use super::{
    Concern, Seen, concern,
    leaves::Leaf,
    purpose::Purpose,
    quoted,
    runs::{GRAM, Run, Runs, alike},
    url::{Address, Url, addresses, urls},
};
use crate::guard::{present::tools, shelf::content};

/// So many characters in a row are a text, not a name.
const TEXT: usize = 40;
/// So many are worth a word where they are not all of a text.
const PHRASE: usize = 20;
/// So many of the operator's instructions are a copy.
const INSTRUCTIONS: usize = 80;
/// A piece of a URL that is this long may be somebody's data.
const PIECE: usize = 12;
/// Bytes of results that are compared; the last count.
const BYTES: usize = 32 << 20;
/// Addresses of one call that are looked for.
const ADDRESSES: usize = 256;

/// Something that others wrote.
struct Source {
    /// As whoever approves is told.
    name: String,
    text: String,
}

/// What was said, made alike.
struct Said {
    /// The person's last words, and all before.
    words: String,
    earlier: String,
    sources: Vec<Source>,
    /// Whether that is all.
    all: bool,
}

pub(super) fn concerns(leaves: &[Leaf<'_>], seen: Seen<'_>) -> Vec<Concern> {
    let said = Said::of(seen);
    let mut found = Vec::new();
    instructions(leaves, seen.operator, &mut found);
    let mut all = destinations(leaves, &said, &mut found);
    all &= copied(leaves, &said, &mut found);
    for leaf in leaves {
        for url in urls(leaf.text) {
            found.extend(carries(leaf, &url, &said, seen.operator));
        }
    }
    if (!all || !said.all) && !leaves.is_empty() {
        let detail = "there is so much in results that not all of it was compared";
        found.push(concern("", "results-too-large", detail.to_owned(), true));
    }
    found
}

impl Said {
    fn of(seen: Seen<'_>) -> Self {
        let (mut words, mut earlier) = (String::new(), String::new());
        for message in seen.messages.iter().filter(|message| message.role == Role::User) {
            let said = std::mem::replace(&mut words, alike(&message.joined_text()));
            earlier.push_str(&said);
            earlier.push(' ');
        }
        let supplied = seen.supplied.iter().map(|supplied| supplied.text.as_str());
        for typed in supplied.chain([seen.words]) {
            words.push(' ');
            words.push_str(&alike(typed));
        }
        let mut left = BYTES;
        let mut sources = Vec::new();
        let mut all = true;
        for (name, text) in others(seen.messages, seen).into_iter().rev() {
            let Some(fits) = left.checked_sub(text.len()) else {
                all = false;
                break;
            };
            left = fits;
            sources.push(Source { name, text: alike(&text) });
        }
        sources.reverse();
        Self { words, earlier, sources, all }
    }

    fn by_person(&self, text: &str) -> bool {
        self.words.contains(text) || self.earlier.contains(text)
    }

    fn source(&self, text: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.text.contains(text))
    }
}

/// What others wrote, in order: what tools returned, and what was attached.
fn others<'a>(messages: &'a [Message], seen: Seen<'_>) -> Vec<(String, Cow<'a, str>)> {
    let tools = tools(messages);
    let mut others = Vec::new();
    for part in messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::ToolResult(result) => {
                let id = result.call_id.as_str();
                let tool = tools.get(id).copied().unwrap_or("a tool");
                let call = seen.calls.iter().find(|call| call.id == id);
                let record = call.and_then(|call| call.outcome.decision().record);
                let record = record.map(|record| format!(" (record {record})"));
                let name = format!("a result of `{tool}`{}", record.unwrap_or_default());
                others.push((name, content(result)));
            }
            Part::Attached { uri, parts } => {
                let name = format!("what was attached, {}", quoted(uri));
                let texts = parts.iter().filter_map(|part| match part {
                    Part::Text { text, .. } => Some((name.clone(), Cow::Borrowed(text.as_str()))),
                    Part::Image(_)
                    | Part::ToolCall(_)
                    | Part::ToolResult(_)
                    | Part::Attached { .. }
                    | Part::Reasoning { .. }
                    | Part::Refusal { .. } => None,
                });
                others.extend(texts);
            }
            Part::Text { .. }
            | Part::Image(_)
            | Part::ToolCall(_)
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => {}
        }
    }
    others
}

/// The longest piece of a text that others wrote and the person did not.
struct Longest {
    length: usize,
    source: usize,
    from: usize,
    to: usize,
}

/// Finds what was copied word for word; false if not everything was compared.
fn copied(leaves: &[Leaf<'_>], said: &Said, found: &mut Vec<Concern>) -> bool {
    let mut texts: Vec<String> = leaves.iter().map(|leaf| alike(leaf.text)).collect();
    for text in &mut texts {
        if said.by_person(text.trim()) {
            text.clear();
        }
    }
    // What the person said, too, byte by byte.
    let mut known: Vec<Vec<bool>> = texts.iter().map(|text| vec![false; text.len()]).collect();
    let bytes = || texts.iter().map(String::as_bytes).collect();
    let mut runs = Runs::of(bytes());
    let mut all = [&said.earlier, &said.words].into_iter().all(|words| {
        runs.look(words.as_bytes(), |Run { text, from, to }| {
            let bytes = known.get_mut(text).and_then(|known| known.get_mut(from..to));
            bytes.unwrap_or_default().fill(true);
            true
        })
    });
    let mut longest: Vec<Option<Longest>> = texts.iter().map(|_| None).collect();
    let mut runs = Runs::of(bytes());
    for (source, other) in said.sources.iter().enumerate() {
        all &= runs.look(other.text.as_bytes(), |Run { text, from, to }| {
            let known = known.get(text).and_then(|known| known.get(from..to)).unwrap_or_default();
            let length = known.iter().filter(|known| !**known).count();
            let Some(best) = longest.get_mut(text) else { return false };
            if length >= best.as_ref().map_or(GRAM, |best| best.length + 1) {
                *best = Some(Longest { length, source, from, to });
            }
            length < TEXT
        });
    }
    for ((leaf, text), longest) in leaves.iter().zip(&texts).zip(longest) {
        let Some(Longest { length, source, from, to }) = longest else { continue };
        let name = said.sources.get(source).map_or("", |source| source.name.as_str());
        let piece = String::from_utf8_lossy(text.as_bytes().get(from..to).unwrap_or_default());
        let detail = format!("it stands in {name} and not in the question: {}", quoted(&piece));
        let whole = from == 0 && to == text.len();
        let holds = length >= TEXT || (leaf.is_secret() && whole);
        // Half a date or a name in other words is no news, nor what was said to be odd already.
        let news =
            (whole || length >= PHRASE) && !found.iter().any(|concern| concern.path == leaf.path);
        if holds || news {
            found.push(concern(&leaf.path, "copied-from-result", detail, holds));
        }
    }
    all
}

/// Finds where something would be sent that only others named; false if not everything was looked
/// for.
fn destinations(leaves: &[Leaf<'_>], said: &Said, found: &mut Vec<Concern>) -> bool {
    let mut left = ADDRESSES;
    for leaf in leaves {
        for Address { text, kind, leads } in addresses(leaf.text) {
            let Some(fewer) = left.checked_sub(1) else { return false };
            left = fewer;
            let written = alike(text);
            if said.by_person(&written) {
                continue;
            }
            if let Some(source) = said.source(&written) {
                let name = &source.name;
                let detail = format!("only {name} names this {kind}: {}", quoted(text));
                let holds = leads || leaf.purpose != Purpose::Prose;
                found.push(concern(&leaf.path, "copied-from-result", detail, holds));
            }
        }
    }
    true
}

/// Whether a URL takes something along.
fn carries(leaf: &Leaf<'_>, url: &Url<'_>, said: &Said, operator: &str) -> Option<Concern> {
    let whole = alike(url.whole);
    // Whoever wrote it knows what is in it.
    if said.by_person(&whole) || said.source(&whole).is_some() {
        return None;
    }
    let asked_for = said.by_person(&alike(url.host));
    let holds = |why: String, holds| {
        let detail = format!("{why}: {}", quoted(url.whole));
        Some(concern(&leaf.path, "url-carries-data", detail, holds))
    };
    let operator = alike(operator);
    for piece in url.pieces().iter().map(|piece| alike(piece)) {
        let piece = piece.trim();
        if piece.len() < PIECE || said.words.contains(piece) {
            continue;
        }
        if operator.contains(piece) {
            return holds("a part of it stands in the instructions".to_owned(), true);
        }
        if let Some(source) = said.source(piece) {
            return holds(format!("a part of it stands in {}", source.name), !asked_for);
        }
        if said.earlier.contains(piece) {
            return holds("a part of it stands in an earlier question".to_owned(), !asked_for);
        }
    }
    url.data().and_then(|why| holds(why, true))
}

/// Finds what was copied from the operator's instructions.
fn instructions(leaves: &[Leaf<'_>], operator: &str, found: &mut Vec<Concern>) {
    let operator = alike(operator);
    let texts: Vec<String> = leaves.iter().map(|leaf| alike(leaf.text)).collect();
    let mut runs = Runs::of(texts.iter().map(String::as_bytes).collect());
    let mut copied = Vec::new();
    // Where there is too much to compare, what was found so far counts.
    let _ = runs.look(operator.as_bytes(), |Run { text, from, to }| {
        let long = to - from >= INSTRUCTIONS;
        if long {
            copied.push(text);
        }
        !long
    });
    for leaf in copied.into_iter().filter_map(|text| leaves.get(text)) {
        let detail = "it holds a long piece of the operator's instructions, word for word";
        found.push(concern(&leaf.path, "instructions-copied", detail.to_owned(), true));
    }
}
