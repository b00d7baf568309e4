//! Texts that rules hold against what can only be one of a few: another text never fits, which the
//! types do not show.
use serde_json::Value;
use tagout_proto::{Action, Method};

use crate::{effects::Effect, facts::Labels};

/// What can only be one of a few texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// `resource.effects`
    Effects,
    /// `resource.labels`
    Labels,
    /// `resource.server`
    Server,
    /// `context.transport`
    Transport,
    /// `context.method`
    Method,
}

impl Closed {
    /// What it is called in rules.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Effects => "resource.effects",
            Self::Labels => "resource.labels",
            Self::Server => "resource.server",
            Self::Transport => "context.transport",
            Self::Method => "context.method",
        }
    }

    /// What it can be; nothing for servers, which are another from place to place.
    pub(crate) fn words(self) -> Vec<&'static str> {
        match self {
            Self::Effects => Effect::ALL.iter().map(|effect| effect.as_str()).collect(),
            Self::Labels => Labels::NAMES.to_vec(),
            Self::Server => Vec::new(),
            Self::Transport => vec!["stdio", "memory", "http"],
            Self::Method => {
                let decided = Method::ALL.iter().filter(|method| is_decided(method.classify()));
                decided.map(|method| method.as_str()).collect()
            }
        }
    }

    fn of(node: &Value) -> Option<Self> {
        let operands = node.get(".")?;
        let of = |var: &str| operands.get("left")?.get("Var").filter(|v| *v == var);
        let attribute = operands.get("attr")?.as_str()?;
        match (of("resource"), of("context"), attribute) {
            (Some(_), _, "effects") => Some(Self::Effects),
            (Some(_), _, "labels") => Some(Self::Labels),
            (Some(_), _, "server") => Some(Self::Server),
            (_, Some(_), "transport") => Some(Self::Transport),
            (_, Some(_), "method") => Some(Self::Method),
            _ => None,
        }
    }
}

/// Whether rules decide about it.
const fn is_decided(action: Action) -> bool {
    match action {
        Action::CallTool
        | Action::ReadResource
        | Action::FetchPrompt
        | Action::Complete
        | Action::FollowTask
        | Action::AskClient => true,
        Action::Session | Action::List | Action::Tell => false,
    }
}

/// The texts that a rule, given in Cedar's JSON form, holds against what is closed.
pub(crate) fn held(rule: &Value) -> Vec<(Closed, String)> {
    let mut found = Vec::new();
    if let Some(conditions) = rule.get("conditions") {
        walk(conditions, &mut found);
    }
    found
}

fn walk(node: &Value, found: &mut Vec<(Closed, String)>) {
    match node {
        Value::Array(nodes) => nodes.iter().for_each(|node| walk(node, found)),
        Value::Object(members) => {
            for (operator, operands) in members {
                // What is written out: no operators in there.
                if operator == "Value" {
                    continue;
                }
                if let (Some(left), Some(right)) = (operands.get("left"), operands.get("right")) {
                    compared(operator, left, right, found);
                    compared(operator, right, left, found);
                }
                walk(operands, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Comparisons that ask whether two are the same, or one among the other.
fn compared(operator: &str, one: &Value, other: &Value, found: &mut Vec<(Closed, String)>) {
    if !matches!(operator, "==" | "!=" | "contains" | "containsAll" | "containsAny") {
        return;
    }
    let Some(closed) = Closed::of(one) else { return };
    let mut texts = Vec::new();
    strings(other, &mut texts);
    found.extend(texts.into_iter().map(|text| (closed, text)));
}

/// The strings that are written out in `node`, in their order.
fn strings(node: &Value, found: &mut Vec<String>) {
    match node {
        Value::String(text) => found.push(text.clone()),
        Value::Array(elements) => elements.iter().for_each(|element| strings(element, found)),
        Value::Object(members) => {
            let written = ["Value", "Set"].into_iter().filter_map(|key| members.get(key));
            written.for_each(|written| strings(written, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
