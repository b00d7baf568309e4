//! What rules look at, read from their text: what no rule asks about need not be made.
use std::collections::BTreeSet;

use serde_json::Value;

/// The most numbers of people and the most sets of groups that are tried.
const MOST: usize = 16;
/// The most people that a demand may name.
const PEOPLE: i64 = 8;

/// What rules look at.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    /// The attributes of `context`.
    attributes: BTreeSet<String>,
    /// A rule takes `context` as a whole.
    all: bool,
    /// The attributes of `context.approval`.
    approval: BTreeSet<String>,
    /// The groups that rules name in `context.approval.groups`: each alone, and each set whole.
    pub(crate) groups: BTreeSet<BTreeSet<String>>,
    /// Those groups are held against something that is not written out.
    pub(crate) groups_of_principal: bool,
    /// The numbers that `context.approval.people` is held against, and the ones above them.
    pub(crate) people: BTreeSet<u8>,
    /// Comparisons of the action with `call-tool`, which it never is.
    pub(crate) compares_call_tool: bool,
}

impl Asks {
    /// Whether any rule looks at `context.ATTRIBUTE`.
    pub(crate) fn about(&self, attribute: &str) -> bool {
        self.all || self.attributes.contains(attribute)
    }

    /// Whether any rule looks at `context.approval.ATTRIBUTE`.
    pub(crate) fn about_approval(&self, attribute: &str) -> bool {
        self.all || self.approval.contains(attribute) || self.approval.contains("*")
    }

    /// Whether any rule tells one approval from another.
    pub(crate) fn about_approvals(&self) -> bool {
        self.about("approved") || self.about("approval")
    }

    /// Adds what a rule looks at, given in Cedar's JSON form.
    pub(crate) fn add(&mut self, rule: &Value) {
        if let Some(conditions) = rule.get("conditions") {
            self.walk(conditions);
        }
    }

    /// Everything, since it is not known what.
    pub(crate) const fn add_everything(&mut self) {
        self.all = true;
    }

    fn walk(&mut self, node: &Value) {
        match node {
            Value::Array(nodes) => nodes.iter().for_each(|node| self.walk(node)),
            Value::Object(members) => {
                if members.get("Var").is_some_and(|var| var == "context") {
                    self.all = true;
                }
                for (operator, operands) in members {
                    self.operation(operator, operands);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn operation(&mut self, operator: &str, operands: &Value) {
        // What is written out: no operators in there.
        if operator == "Value" {
            return;
        }
        // Its members' names are no operators.
        if operator == "Record"
            && let Some(members) = operands.as_object()
        {
            return members.values().for_each(|member| self.walk(member));
        }
        if (operator == "." || operator == "has")
            && let Some(mut path) = operands.get("left").and_then(path)
            && let Some(attribute) = attribute(operands)
        {
            path.push(attribute);
            return self.seen(&path);
        }
        if let (Some(left), Some(right)) = (operands.get("left"), operands.get("right")) {
            self.compared(operator, left, right);
            self.compared(operator, right, left);
        }
        self.walk(operands);
    }

    fn seen(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        self.attributes.insert((*first).to_owned());
        if *first == "approval" {
            let attribute = rest.first().copied().unwrap_or("*");
            self.approval.insert(attribute.to_owned());
        }
    }

    fn compared(&mut self, operator: &str, one: &Value, other: &Value) {
        let is_action = one.get("Var").is_some_and(|var| var == "action");
        if is_action && matches!(operator, "==" | "!=") && is_call_tool(other) {
            self.compares_call_tool = true;
        }
        match path(one).as_deref() {
            Some(["approval", "groups"]) => {
                let mut names = BTreeSet::new();
                strings(other, &mut names);
                self.groups_of_principal |= names.is_empty();
                let alone = names.iter().map(|name| BTreeSet::from([name.clone()]));
                let alone: Vec<_> = alone.take(MOST).collect();
                self.groups.extend(alone);
                if !names.is_empty() && self.groups.len() < 2 * MOST {
                    self.groups.insert(names);
                }
            }
            Some(["approval", "people"]) => {
                let number = other.get("Value").and_then(Value::as_i64);
                let near = number.into_iter().flat_map(|n| [n, n.saturating_add(1)]);
                let counts = near.filter(|n| (1..=PEOPLE).contains(n));
                self.people.extend(counts.filter_map(|n| u8::try_from(n).ok()));
            }
            _ => {}
        }
    }
}

fn attribute(operands: &Value) -> Option<&str> {
    operands.get("attr").and_then(Value::as_str)
}

/// `context.a.b` as `a`, `b`.
fn path(node: &Value) -> Option<Vec<&str>> {
    if node.get("Var").is_some_and(|var| var == "context") {
        return Some(Vec::new());
    }
    let operands = node.get(".")?;
    let mut path = path(operands.get("left")?)?;
    path.push(attribute(operands)?);
    Some(path)
}

fn is_call_tool(node: &Value) -> bool {
    let entity = node.get("Value").and_then(|value| value.get("__entity"));
    let is = |key: &str, text: &str| {
        entity.and_then(|entity| entity.get(key)).is_some_and(|said| said == text)
    };
    is("type", "Action") && is("id", "call-tool")
}

/// The strings that are written out in `node`.
fn strings(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::Object(members) => {
            if let Some(text) = members.get("Value").and_then(Value::as_str) {
                found.insert(text.to_owned());
            } else if let Some(elements) = members.get("Set").or_else(|| members.get("Value")) {
                strings(elements, found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| match element {
            Value::String(text) => {
                found.insert(text.clone());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::Array(_) | Value::Object(_) => strings(element, found),
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
