//! `audit trace`: from a record back to the question that led to it, and forward to what came of
//! it.
use std::collections::BTreeMap;

use serde::Serialize;
use tagout_audit::{
    Doubt, Part, Reader, Record, Step, Trace, Uncompared, What,
    record::{Approved, Call, Subject, Uttered},
};
use tagout_gateway::said::{are_the_words, is_what_was_said};
use tagout_inspect::characters::one_line;

use super::{failed, outcome, rule, word};
use crate::{conversation::Sentence, failure::Failure, output};

/// Finds the words of a record where they are kept beside the log: in a stored conversation.
pub(super) type Sentences<'a> = &'a dyn Fn(&Record) -> Option<Sentence>;

/// Words and arguments of the record that was asked about are shown up to here, in characters…
const LONG: usize = 4000;
/// …and those of others up to here.
const SHORT: usize = 200;

/// The longest first line of a record, in characters; a model chooses how many calls it proposes.
const HEAD: usize = 500;
/// Where what stands below a record begins.
const BELOW: usize = 12;

/// A trace, with words that the log itself does not hold.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    trace: &'a Trace,
    /// By record.
    words: BTreeMap<u64, String>,
}

pub(super) fn trace(
    reader: &Reader,
    number: u64,
    sentence_of: Sentences<'_>,
    json: bool,
) -> Result<(), Failure> {
    let Some(trace) = reader.trace(number).map_err(failed)? else {
        let message = format!("there is no record {number}");
        return Err(Failure::usage("record-unknown", message, "see `tagout audit tail`"));
    };
    let mut words = words(&trace, sentence_of);
    words.extend(claimed(&trace, &prompts(&trace, sentence_of)));
    if json {
        return output::json(&Told { trace: &trace, words });
    }
    let mut lines = Vec::new();
    for step in &trace.steps {
        lines.extend(told(step, &words, &trace));
    }
    if trace.left_out > 0 {
        lines.push(format!("      and {} records more, which find no room here", trace.left_out));
    }
    lines.extend(what_is_missing(&trace));
    output::line(lines.join("\n"))
}

/// The words of what was said, where they are kept, in the log or elsewhere; others than those on
/// record are none.
fn words(trace: &Trace, sentence_of: Sentences<'_>) -> BTreeMap<u64, String> {
    let words = trace.steps.iter().filter_map(|step| {
        let Subject::Said { said, payload } = &step.record.subject else { return None };
        let n = step.record.n;
        let kept = super::words_in(payload).or_else(|| {
            let Sentence { content, shown } = sentence_of(&step.record)?;
            Some(match is_what_was_said(said, payload, &content) {
                Some(true) => shown,
                Some(false) => "CHANGED: what is kept is not what was said".to_owned(),
                None => format!("{shown} (not compared: the record's own part was erased)"),
            })
        });
        let kept = kept.filter(|text| !text.is_empty());
        kept.map(|text| (n, text))
    });
    words.collect()
}

/// The prompts of the story, as far as they are kept and are the ones on record.
fn prompts(trace: &Trace, sentence_of: Sentences<'_>) -> Vec<String> {
    let mut prompts = Vec::new();
    for step in &trace.steps {
        let Subject::Said { said, payload } = &step.record.subject else { continue };
        if said.what != What::Prompt {
            continue;
        }
        let kept = || sentence_of(&step.record).map(|sentence| sentence.content);
        let ways = [super::words_in(payload), kept()].into_iter().flatten();
        let mut genuine = ways.filter(|text| is_what_was_said(said, payload, text) == Some(true));
        prompts.extend(genuine.next());
    }
    prompts
}

/// The words that clients give with their calls: where the log does not hold them, they are known
/// by their digest if they are those of a prompt.
fn claimed(trace: &Trace, prompts: &[String]) -> BTreeMap<u64, String> {
    let words = trace.steps.iter().filter_map(|step| {
        let Subject::Call(call) = &step.record.subject else { return None };
        let (begin, payload) = (&call.begin, &call.payload);
        let known = || {
            prompts.iter().find(|words| are_the_words(begin, payload, words) == Some(true)).cloned()
        };
        Some((step.record.n, super::told_in(payload).words.or_else(known)?))
    });
    words.collect()
}

/// The lines of one step: the first with its number, the others below.
fn told(step: &Step, words: &BTreeMap<u64, String>, trace: &Trace) -> Vec<String> {
    let (record, asked) = (&step.record, step.part == Part::Asked);
    let (depth, first, more) = match &record.subject {
        Subject::Call(call) => {
            let claimed = words.get(&record.n).map(String::as_str);
            (2, of_call(call), below_call(call, step, claimed))
        }
        Subject::Said { said, .. } => {
            let text = words.get(&record.n).and_then(|text| sentence(said.what, text, asked));
            let text = text.map(|text| cut(&text, most(asked)));
            let more = text.map(|text| quoted(&text, asked)).unwrap_or_default();
            (usize::from(said.what != What::Prompt), of_said(said), more)
        }
        Subject::Other { event } => (0, super::describe(event), Vec::new()),
    };
    let at = record.at.strftime("%Y-%m-%d %H:%M:%SZ");
    let mark = if asked { "=>" } else { "  " };
    let head = format!("{mark} {:>6}  {at}  {}", record.n, "  ".repeat(depth));
    let below = " ".repeat(BELOW + 2 * depth);
    let mut lines = vec![format!("{head}{}", one_line(&cut(&first, HEAD)))];
    lines.extend(more.iter().map(|text| format!("{below}{}", one_line(text))));
    if let Some(why) = trace.uncompared.get(&record.n) {
        lines.push(format!("{below}proposed   {}", uncompared(*why)));
    }
    let doubts = trace.doubts.iter().filter(|doubt| doubt.n == record.n);
    lines.extend(doubts.map(|doubt| format!("{below}!! {}", doubtful(doubt, &record.subject))));
    lines
}

/// What a person reads of what was said. A request repeats all that went before it, so that it is
/// shown only where it was asked about.
fn sentence(what: What, content: &str, asked: bool) -> Option<String> {
    match what {
        What::Prompt | What::Stopped => Some(content.to_owned()),
        What::Request => asked.then(|| content.to_owned()),
        What::Response => match serde_json::from_str::<Answered>(content) {
            Ok(Answered::Parts(parts) | Answered::Turn { parts }) => {
                let texts: Vec<_> = parts.into_iter().filter_map(Piece::into_text).collect();
                (!texts.is_empty()).then(|| texts.join(" "))
            }
            Err(_) => Some(content.to_owned()),
        },
    }
}

/// A model's response, as far as it is for people.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Answered {
    Parts(Vec<Piece>),
    Turn { parts: Vec<Piece> },
}

/// A piece of a response.
#[derive(serde::Deserialize)]
struct Piece {
    #[serde(default)]
    kind: String,
    text: Option<String>,
}

impl Piece {
    fn into_text(self) -> Option<String> {
        self.text.filter(|_| self.kind == "text")
    }
}

/// In one line, or in its own where it was asked about; none can pass for a line of the story.
fn quoted(text: &str, asked: bool) -> Vec<String> {
    if asked && text.contains('\n') {
        text.lines().map(|line| format!("| {line}")).collect()
    } else {
        vec![format!("\"{text}\"")]
    }
}

const fn uncompared(why: Uncompared) -> &'static str {
    match why {
        Uncompared::Erased => "arguments not compared: erased",
        Uncompared::Unrecorded => {
            "arguments not compared: those that were proposed are not on record"
        }
    }
}

fn doubtful(doubt: &Doubt, subject: &Subject) -> String {
    let whose = match subject {
        Subject::Call(_) => "the client claims that",
        Subject::Said { .. } | Subject::Other { .. } => "the host says that",
    };
    one_line(&format!("{whose} {}", doubt.detail))
}

fn of_said(said: &Uttered) -> String {
    let mut text = super::in_short(said);
    if said.what == What::Prompt {
        text.push_str(&format!(
            " by {} ({})",
            said.principal.user, said.principal.authenticated_by
        ));
    }
    let results = said.results.iter().map(|result| match result.record {
        Some(record) => record.to_string(),
        None => format!("`{}`, which reached no server", result.id),
    });
    let results: Vec<_> = results.collect();
    if !results.is_empty() {
        text.push_str(&format!(", with the results of {}", results.join(", ")));
    }
    if let Some(tokens) = said.tokens {
        text.push_str(&format!(", {} tokens read, {} written", tokens.input, tokens.output));
    }
    text.push_str(&format!(", {} bytes", said.bytes));
    text
}

fn of_call(call: &Call) -> String {
    let begin = &call.begin;
    let mut text = match &begin.subject {
        Some(subject) if begin.method == "tools/call" => format!("call {subject}"),
        Some(subject) => format!("{} {subject}", begin.method),
        None => begin.method.clone(),
    };
    if let Some(server) = &begin.server {
        text.push_str(&format!(" on server {server}"));
    }
    format!("{text}: {}", outcome(call))
}

fn below_call(call: &Call, step: &Step, words: Option<&str>) -> Vec<String> {
    let (begin, asked) = (&call.begin, step.part == Part::Asked);
    let mut lines = Vec::new();
    let mut add = |key: &str, text: String| lines.push(format!("{key:<10} {text}"));
    if let Some(principal) = begin.principal.as_ref().filter(|_| asked) {
        let from = begin.origin.as_ref().map_or("", |origin| &origin.client);
        add("for", format!("{} ({}), through {from}", principal.user, principal.authenticated_by));
    }
    let brief = |text: &str| cut(text, most(asked));
    add("arguments", brief(&super::payload(&call.payload)));
    let words = match words {
        Some(words) => Some(format!("words \"{}\"", brief(words))),
        None => super::unknown_words(call).map(|why| format!("words: {why}")),
    };
    let said = [
        begin.model.as_ref().map(|model| format!("model {model}")),
        begin.cause.as_ref().map(|c| format!("call `{}` of record {}", c.call, c.record)),
        words,
    ];
    let said: Vec<_> = said.into_iter().flatten().collect();
    if asked && !said.is_empty() {
        add("claimed", said.join(", "));
    }
    add("decided", decided(call));
    for answer in &step.answers {
        add("answered", format!("{} (record {})", answer.detail, answer.n));
    }
    add("ended", ended(call, step));
    lines
}

/// What was decided, by which rule, and what people said to it.
fn decided(call: &Call) -> String {
    let decision = call.decision.as_ref();
    let verdict = decision.map(|decision| word(decision.verdict));
    let verdict = match (verdict, call.end.as_ref().and_then(|end| end.refusal.as_deref())) {
        (Some(verdict), _) => verdict,
        (None, Some("policy-denied")) => "deny",
        (None, _) => "not decided",
    };
    let rule = rule(call).map(|rule| format!(" by {rule}")).unwrap_or_default();
    let approval = decision.and_then(|decision| decision.approval.as_ref());
    let approval = approval.or_else(|| call.end.as_ref()?.approval.as_ref());
    let approval = approval.map(|approval| format!("; {}", approved(approval))).unwrap_or_default();
    format!("{verdict}{rule}{approval}")
}

fn approved(approval: &Approved) -> String {
    let by = approval.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
    let scope = approval.scope.as_deref().map(|scope| format!(", {scope}")).unwrap_or_default();
    let question = approval.question.as_deref();
    let question = question.map(|id| format!(", question {id}")).unwrap_or_default();
    format!("{}{by}{scope}, asked on: {}{question}", approval.decision, approval.how)
}

fn ended(call: &Call, step: &Step) -> String {
    let Some(end) = &call.end else { return "nobody knows how".to_owned() };
    let took = end.at.duration_since(step.record.at).as_millis();
    let bytes = end.result_bytes.map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
    format!("{} after {took} ms{bytes}", outcome(call))
}

/// What the log does not tell of how it came to the record.
fn what_is_missing(trace: &Trace) -> Option<String> {
    let asked = trace.steps.iter().find(|step| step.part == Part::Asked)?;
    let said = match &asked.record.subject {
        Subject::Call(call) if call.begin.cause.is_none() => {
            "what led to this call is not on record: its client does not say"
        }
        Subject::Call(_) | Subject::Said { .. } | Subject::Other { .. } => return None,
    };
    Some(format!("      {said}"))
}

const fn most(asked: bool) -> usize {
    if asked { LONG } else { SHORT }
}

fn cut(text: &str, most: usize) -> String {
    let left = text.chars().count().saturating_sub(most);
    if left == 0 {
        return text.to_owned();
    }
    let start: String = text.chars().take(most).collect();
    format!("{start}… and {left} characters more")
}
