//! What was seen, one attempt at a time.
use std::collections::BTreeMap;

use serde_json::Value;

use super::Role;

/// Every attempt, in the order in which the suite has them.
#[derive(Default)]
pub(super) struct Rows {
    order: Vec<String>,
    seen: BTreeMap<(String, Role), Value>,
    /// What was said beside: that a run failed as a whole.
    failed: Vec<String>,
    /// Parts that the machine lacks.
    missing: Vec<String>,
}

/// The text of a field.
pub(super) fn field<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of a list.
pub(super) fn listed(row: &Value, name: &str) -> Vec<String> {
    let list = row.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

impl Rows {
    /// Takes one line of a run.
    pub(super) fn take(&mut self, role: Role, row: Value) {
        let name = field(&row, "attempt").to_owned();
        if row.get("suite").is_some() {
            self.missing.extend(listed(&row, "missing"));
        } else if let Some(why) = row.get("failed").and_then(Value::as_str) {
            self.failed.push(format!("as {}: {why}", role.name()));
        } else if !name.is_empty() {
            if !self.order.contains(&name) {
                self.order.push(name.clone());
            }
            self.seen.insert((name, role), row);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.order.len()
    }

    /// Every attempt's name, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    pub(super) fn of(&self, name: &str, role: Role) -> Option<&Value> {
        self.seen.get(&(name.to_owned(), role))
    }

    /// Everything, as it came.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Value> {
        self.names()
            .flat_map(|name| [self.of(name, Role::Root), self.of(name, Role::User)])
            .flatten()
    }

    /// What does not hold.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for row in self.lines() {
            let problem = field(row, "problem");
            if !problem.is_empty() {
                let (name, role) = (field(row, "attempt"), field(row, "as"));
                problems.push(format!("{name}, as {role}: {problem}"));
            }
        }
        problems.extend(self.failed.iter().cloned());
        problems
    }

    /// A line each.
    pub(super) fn summary(&self) -> String {
        let mut said = String::new();
        for part in &self.missing {
            said.push_str(&format!("note: this machine lacks `{part}`, which was accepted\n"));
        }
        for row in self.lines() {
            let (name, role) = (field(row, "attempt"), field(row, "as"));
            let (bare, all) = (field(row, "bare"), field(row, "all"));
            let layers = super::table::layers(row);
            said.push_str(&format!("{name:<24} {role:<5} {bare:<10} {all:<10} {layers}\n"));
        }
        said
    }
}
