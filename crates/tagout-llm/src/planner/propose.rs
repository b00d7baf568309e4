//! From the best tool to a proposed call, or to what stands in its way.
use serde_json::{Map, Value};

use super::{
    Planner,
    bind::{Bound, Problem, Question, Reading},
    fill,
    slots::{Shape, Slot},
    weigh::{Weighed, title, unused, weigh},
};
use crate::{
    arguments::InputSchema,
    conversation::{Part, ToolCall, ToolSpec},
    plan::{Binding, BoundBy, Candidate, MissingSlot, Plan, Source, SuppliedValue},
    provider::{Stop, Turn, TurnRequest},
};

/// How far behind the best score another may be for the person to be asked, as a part of the best
/// tool's BM25. What both got for filled arguments says nothing about which is meant.
const MARGIN: f64 = 0.1;
/// How many tools a plan shows, and how many a refusal lists.
const CONSIDERED: usize = 5;
const LISTED: usize = 40;

/// The turn that answers a question which has no results yet.
pub(super) fn propose(text: &str, call_id: &str, request: &TurnRequest<'_>) -> Turn {
    let question = Question::new(text);
    let mut weighed = weigh(&question, request.tools, request.supplied);
    let considered: Vec<Candidate> =
        weighed.iter().take(CONSIDERED).map(|weighed| weighed.candidate.clone()).collect();
    if let Some(chosen) = request.chosen {
        weighed.retain(|weighed| weighed.tool.name == chosen);
    } else {
        weighed.retain(|weighed| weighed.candidate.fits);
        let close = close(&weighed);
        if close.len() > 1 {
            return choice(close, considered);
        }
    }
    if weighed.is_empty() {
        return no_tool_fits(request.tools, considered);
    }
    let best = weighed.swap_remove(0);
    let draft = draft(&best);
    let summary = summary(&best, &draft);
    let plan = plan(&question, &best, (summary, considered));
    match draft {
        Draft::Ready(arguments) => {
            let name = best.tool.name.clone();
            let call = ToolCall::new(call_id, name, arguments.to_string());
            turn(vec![Part::ToolCall(call)], Stop::ToolCalls, plan)
        }
        Draft::Missing(missing) => {
            let text = missing_text(&best, &missing);
            turn(vec![Part::text(text)], Stop::NeedsInput(missing), plan)
        }
        Draft::Impossible(reason) => {
            let name = &best.tool.name;
            let text =
                format!("`{name}` fits, but no call can be made from the question: {reason}");
            turn(vec![Part::text(text)], Stop::NoToolFits, plan)
        }
    }
}

fn empty_plan(considered: Vec<Candidate>, summary: String, made_by: String) -> Plan {
    let (bindings, left_out, unused) = (Vec::new(), Vec::new(), Vec::new());
    Plan { made_by, summary, tool: None, bindings, left_out, unused, considered }
}

fn turn(parts: Vec<Part>, stop: Stop, plan: Plan) -> Turn {
    Turn { plan: Some(plan), ..Turn::new(parts, stop) }
}

/// The tools whose score is about the best.
fn close(weighed: &[Weighed<'_>]) -> Vec<Candidate> {
    let Some(best) = weighed.first() else { return Vec::new() };
    let least = best.candidate.score - MARGIN * best.relevance;
    let is_close = |w: &&Weighed<'_>| w.candidate.score >= least;
    weighed.iter().filter(is_close).map(|weighed| weighed.candidate.clone()).collect()
}

fn choice(close: Vec<Candidate>, considered: Vec<Candidate>) -> Turn {
    let names: Vec<String> =
        close.iter().map(|one| format!("- `{}`: {}", one.tool, one.title)).collect();
    let text = format!("Several tools fit about equally:\n{}", names.join("\n"));
    let summary = format!("{} tools fit about equally", close.len());
    let plan = empty_plan(considered, summary, Planner::NOTE.into());
    turn(vec![Part::text(text)], Stop::NeedsChoice(close), plan)
}

/// Most often the configuration names no server, or none of its tools may be called.
const NO_TOOLS: &str = "There are no tools. Add a server to the configuration, for instance \
                        `[server.grid]` with `builtin = \"grid\"`, or allow more of them.";

fn no_tool_fits(tools: &[ToolSpec], considered: Vec<Candidate>) -> Turn {
    let mut lines: Vec<String> = tools
        .iter()
        .take(LISTED)
        .map(|tool| format!("- `{}`: {}", tool.name, title(tool)))
        .collect();
    if let Some(more) = tools.len().checked_sub(LISTED).filter(|more| *more > 0) {
        lines.push(format!("- and {more} more"));
    }
    let list = if lines.is_empty() { NO_TOOLS.into() } else { lines.join("\n") };
    let text = format!("No tool fits this question ({}). The tools:\n{list}", Planner::NOTE);
    let plan = empty_plan(considered, "no tool fits".into(), Planner::NOTE.into());
    turn(vec![Part::text(text)], Stop::NoToolFits, plan)
}

/// What a tool and a question come to.
enum Draft {
    Ready(Value),
    Missing(Vec<MissingSlot>),
    Impossible(String),
}

fn draft(best: &Weighed<'_>) -> Draft {
    let missing = missing(best);
    if !missing.is_empty() {
        return Draft::Missing(missing);
    }
    let arguments = assemble(&best.shape, &best.reading);
    let schema = match InputSchema::compile(&best.tool.input_schema) {
        Ok(schema) => schema,
        Err(error) => return Draft::Impossible(error.to_string()),
    };
    let violations: Vec<(String, String)> = schema.violations(&arguments).collect();
    if violations.is_empty() {
        return Draft::Ready(arguments);
    }
    let blamed: Vec<MissingSlot> = violations
        .iter()
        .filter_map(|(place, message)| {
            let of_place = |slot: &&Slot<'_>| slot.dotted() == *place;
            let slot = best.shape.slots.iter().find(of_place)?;
            Some(ask(best.tool, slot, Some(message.clone())))
        })
        .collect();
    if blamed.is_empty() {
        let all: Vec<String> = violations.into_iter().map(|(_, message)| message).collect();
        return Draft::Impossible(all.join("; "));
    }
    Draft::Missing(blamed)
}

/// What must be asked: what is unclear, then what is required and absent.
fn missing(best: &Weighed<'_>) -> Vec<MissingSlot> {
    let slots = &best.shape.slots;
    let mut missing = Vec::new();
    for Problem { slot, message, allowed } in &best.reading.problems {
        if let Some(slot) = slots.get(*slot) {
            let mut asked = ask(best.tool, slot, Some(message.clone()));
            if !allowed.is_empty() {
                asked.allowed.clone_from(allowed);
            }
            missing.push(asked);
        }
    }
    for (index, slot) in slots.iter().enumerate() {
        let needed = slot.required
            || (slot.required_in_parent && begun(slots, &best.reading, slot.parent()));
        if needed && !best.reading.is_settled(index) {
            missing.push(ask(best.tool, slot, None));
        }
    }
    missing
}

/// Whether anything below `parent` has a value.
fn begun(slots: &[Slot<'_>], reading: &Reading, parent: &[&str]) -> bool {
    !parent.is_empty()
        && slots
            .iter()
            .enumerate()
            .any(|(index, slot)| slot.path.starts_with(parent) && reading.is_bound(index))
}

fn ask(tool: &ToolSpec, slot: &Slot<'_>, problem: Option<String>) -> MissingSlot {
    MissingSlot {
        tool: tool.name.clone(),
        path: slot.dotted(),
        description: slot.description.map(str::to_owned),
        constraint: slot.constraint(),
        allowed: slot.allowed(),
        problem,
    }
}

/// The arguments: what was bound, and the objects that must be there even if empty.
fn assemble(shape: &Shape<'_>, reading: &Reading) -> Value {
    let mut arguments = Map::new();
    for (index, slot) in shape.slots.iter().enumerate() {
        if let Some(bound) = reading.bound.iter().find(|bound| bound.slot == index) {
            insert(&mut arguments, &slot.path, Some(bound.value.clone()));
        }
    }
    for path in &shape.objects {
        insert(&mut arguments, path, None);
    }
    Value::Object(arguments)
}

/// Puts `value` at `path`, or makes sure that there is an object.
fn insert(object: &mut Map<String, Value>, path: &[&str], value: Option<Value>) {
    let Some((first, rest)) = path.split_first() else { return };
    match value {
        Some(value) if rest.is_empty() => {
            object.insert((*first).to_owned(), value);
        }
        value => {
            let inner = object.entry(*first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// Values that the person gave when asked come before anything that the question says.
pub(super) fn take_supplied(
    shape: &Shape<'_>,
    tool: &str,
    supplied: &[SuppliedValue],
    reading: &mut Reading,
) {
    for given in supplied.iter().filter(|given| given.tool == tool) {
        let of_path = |slot: &Slot<'_>| slot.dotted() == given.path;
        let Some(index) = shape.slots.iter().position(of_path) else { continue };
        let Some(slot) = shape.slots.get(index) else { continue };
        match fill::supplied(slot, &given.text) {
            Ok((value, conversion)) => {
                let source = Source { text: given.text.clone(), start: None };
                let by = BoundBy::Supplied;
                reading.bound.push(Bound { slot: index, value, source, by, conversion });
            }
            Err(message) => {
                reading.problems.push(Problem { slot: index, message, allowed: slot.allowed() });
            }
        }
    }
}

fn plan(
    question: &Question<'_>,
    best: &Weighed<'_>,
    (summary, considered): (String, Vec<Candidate>),
) -> Plan {
    let slots = &best.shape.slots;
    let binding = |bound: &Bound| {
        let Bound { slot, value, source, by, conversion } = bound.clone();
        let path = slots.get(slot).map(Slot::dotted)?;
        Some(Binding { path, value, source, by, conversion })
    };
    let left_out = slots
        .iter()
        .enumerate()
        .filter(|(index, slot)| !slot.required && !best.reading.is_settled(*index))
        .map(|(_, slot)| slot.dotted())
        .collect();
    Plan {
        made_by: Planner::NOTE.into(),
        summary,
        tool: Some(best.tool.name.clone()),
        bindings: best.reading.bound.iter().filter_map(binding).collect(),
        left_out,
        unused: unused(question, &best.reading),
        considered,
    }
}

fn summary(best: &Weighed<'_>, draft: &Draft) -> String {
    let name = &best.tool.name;
    match draft {
        Draft::Ready(_) => {
            let bound = best.reading.bound.iter().filter_map(|bound| {
                let slot = best.shape.slots.get(bound.slot)?;
                Some(format!("{} = {}", slot.dotted(), bound.value))
            });
            let bound: Vec<String> = bound.collect();
            let with = if bound.is_empty() { "no arguments".into() } else { bound.join(", ") };
            format!("call `{name}` with {with}")
        }
        Draft::Missing(missing) => {
            let paths: Vec<&str> = missing.iter().map(|slot| slot.path.as_str()).collect();
            format!("call `{name}` once {} is known", paths.join(", "))
        }
        Draft::Impossible(_) => format!("`{name}` fits, but cannot be called from a question"),
    }
}

fn missing_text(best: &Weighed<'_>, missing: &[MissingSlot]) -> String {
    let mut lines = vec![format!("`{}` needs more:", best.tool.name)];
    for slot in missing {
        let what = slot.description.as_deref().map_or(String::new(), |text| format!(" {text}"));
        let why = slot.problem.as_deref().map_or(String::new(), |text| format!("; {text}"));
        let allowed = match slot.allowed.len() {
            0 => String::new(),
            1..=12 => format!(" ({})", slot.allowed.join(", ")),
            more => format!(
                " ({}, and {} more)",
                slot.allowed.iter().take(12).cloned().collect::<Vec<_>>().join(", "),
                more - 12
            ),
        };
        lines.push(format!("- `{}`:{what} {}{allowed}{why}", slot.path, slot.constraint));
    }
    lines.join("\n")
}
