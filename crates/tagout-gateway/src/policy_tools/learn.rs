//! The least rules that recorded traffic needs.
mod cedar;
mod conditions;
mod relaxed;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tagout_audit::{
    Line, Verdict as OnRecord,
    record::{Decided, Event, Payload},
};
use tagout_policy::{Given, Policy, PolicyError, Profile, Shape, Source, SubjectKind, Surface};
use tagout_proto::ServerName;

pub use self::relaxed::Relaxed;
use self::{
    cedar::{set, string},
    conditions::Condition,
};
use super::{Case, Doubts, recorded::given_on_record, replay::about};

/// Calls that are kept, and calls that wait for their decision.
const CALLS: usize = 50_000;
const OPEN: usize = 65_536;
/// Records that are named with a rule.
const EXAMPLES: usize = 6;
/// Resources that are named one by one.
const FEW: usize = 8;

/// Gathers the calls of a log that were made.
#[derive(Default)]
pub struct Learner {
    open: BTreeMap<u64, (Case, Doubts)>,
    seen: Vec<Seen>,
    /// Calls that could not be learnt from: too many, or without facts.
    left_out: u64,
}

/// A call that was made.
struct Seen {
    n: u64,
    case: Case,
    /// Whether people approved it.
    asked: bool,
    /// What rules were told of that, where it is on record.
    given: Option<Given>,
    /// Whether a secret was taken out of it.
    redacted: bool,
}

/// Rules that were learnt.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Learnt {
    /// The rules, as Cedar text.
    pub text: String,
    /// Their ids.
    pub rules: Vec<String>,
    /// Calls that they were learnt from.
    pub calls: u64,
    /// Conditions that rules do without, since a call does not meet them.
    pub relaxed: Vec<Relaxed>,
    /// Records of calls that the rules are not made for, and why.
    pub uncovered: Vec<(u64, String)>,
    /// Calls that were made and could not be learnt from.
    pub left_out: u64,
}

/// What calls have in common that one rule is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    subject: String,
    action: String,
    approved: Approved,
}

/// In what way calls were approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Approved {
    /// They were not.
    Not,
    /// It is not known how.
    Somehow,
    /// By whom, and whether outside the client.
    By { own: bool, others: bool, outside: bool },
}

impl Approved {
    const fn of(seen: &Seen) -> Self {
        match (seen.asked, &seen.given) {
            (false, _) => Self::Not,
            (true, None) => Self::Somehow,
            (true, Some(Given { own, people, outside, groups: _ })) => {
                Self::By { own: *own, others: *people > 0, outside: *outside }
            }
        }
    }

    /// What calls that were approved in this way have in common.
    fn conditions(self, seen: &[&Seen]) -> Vec<String> {
        let (own, others, outside) = match self {
            Self::Not => return Vec::new(),
            Self::Somehow => return vec!["context.approved".to_owned()],
            Self::By { own, others, outside } => (own, others, outside),
        };
        let given: Vec<_> = seen.iter().filter_map(|seen| seen.given.as_ref()).collect();
        let mut conditions = Vec::new();
        if own {
            conditions.push("context.approval.own".to_owned());
        }
        if others {
            let fewest = given.iter().map(|given| given.people).min().unwrap_or(1);
            conditions.push(format!("context.approval.people >= {fewest}"));
        }
        if outside {
            conditions.push("context.approval.outside".to_owned());
        }
        let mut groups = given.first().map(|given| given.groups.clone()).unwrap_or_default();
        groups.retain(|group| given.iter().all(|given| given.groups.contains(group)));
        groups.retain(|group| conditions::can_be_named(group));
        if others && !groups.is_empty() && groups.len() <= FEW {
            let groups = set(groups.iter().map(String::as_str));
            conditions.push(format!("context.approval.groups.containsAll({groups})"));
        }
        if conditions.is_empty() {
            conditions.push("context.approved".to_owned());
        }
        conditions
    }
}

/// One rule to be.
struct Rule {
    id: String,
    kind: Kind,
    users: BTreeSet<String>,
    /// Those that stay whatever calls there are: who approved, what it is about, that it is reviewed.
    fixed: Vec<String>,
    /// Those that a call may turn out not to meet.
    conditions: Vec<Condition>,
    /// Places in [`Learner::seen`].
    calls: Vec<usize>,
}

impl Learner {
    /// Takes the next line of the log.
    pub fn line(&mut self, line: &Line, payload: &Payload) {
        match &line.event {
            Event::Begin(begin) if begin.server.is_some() => {
                while self.open.len() >= OPEN {
                    self.open.pop_first();
                    self.left_out += 1;
                }
                if let Ok(case) = Case::of(begin, payload) {
                    self.open.insert(line.n, case);
                }
            }
            Event::Decision(decided) => self.decided(decided),
            Event::End(ended) => drop(self.open.remove(&ended.of)),
            Event::Begin(_)
            | Event::Genesis(_)
            | Event::Note(_)
            | Event::Said(_)
            | Event::Torn(_)
            | Event::Adopted(_)
            | Event::Lost(_)
            | Event::Erased(_)
            | Event::Rotated {} => {}
        }
    }

    /// A call that is decided is made: a refusal ends without that, or says deny.
    fn decided(&mut self, decided: &Decided) {
        let approval = decided.approval.as_ref().filter(|approval| approval.decision == "allow");
        let given = approval.and_then(given_on_record);
        let asked = match decided.verdict {
            OnRecord::Allow => false,
            OnRecord::Ask if approval.is_some() => true,
            OnRecord::Ask | OnRecord::Deny => return,
        };
        match self.open.remove(&decided.of) {
            Some((case, Doubts { redacted, .. }))
                if self.seen.len() < CALLS
                    && conditions::can_be_named(&case.principal.user)
                    && (case.kind != SubjectKind::Tool
                        || conditions::can_be_named(&case.qualified)) =>
            {
                self.seen.push(Seen { n: decided.of, case, asked, given, redacted });
            }
            Some(_) | None => self.left_out += 1,
        }
    }

    /// The least rules that let through what was made, checked against `surface` and by deciding
    /// every call again. A condition that a call does not meet after all is left out, and said.
    ///
    /// # Errors
    /// The rules are not right, which is a fault of Tagout; the error shows where.
    pub fn learnt(&self, surface: &Surface) -> Result<Learnt, PolicyError> {
        let mut uncovered = self.unknown(surface)?;
        let mut rules = self.rules(surface, &uncovered);
        let mut relaxed = Vec::new();
        loop {
            let text = self.text(&rules);
            let policy = load(&text, surface)?;
            let misses = self.misses(&rules, &policy, surface);
            let before = relaxed.len();
            for (number, missing) in &misses {
                let Some(rule) = rules.get_mut(*number) else { continue };
                relaxed.extend(self.relax(rule, missing, surface)?);
            }
            if relaxed.len() > before {
                continue;
            }
            let missing = misses.into_values().flatten();
            uncovered.extend(missing.map(|call| (call, self.why(call, &policy, surface))));
            let number = |(call, why): (usize, String)| Some((self.seen.get(call)?.n, why));
            return Ok(Learnt {
                text,
                rules: rules.iter().map(|rule| rule.id.clone()).collect(),
                calls: u64::try_from(self.seen.len()).unwrap_or(u64::MAX),
                relaxed,
                uncovered: uncovered.into_iter().filter_map(number).collect(),
                left_out: self.left_out,
            });
        }
    }

    /// A rule for each kind of call, but for those `without` one.
    fn rules(&self, surface: &Surface, without: &BTreeMap<usize, String>) -> Vec<Rule> {
        let mut calls: BTreeMap<(Kind, &str), Vec<usize>> = BTreeMap::new();
        let known = self.seen.iter().enumerate().filter(|(n, _)| !without.contains_key(n));
        for (number, seen) in known {
            let kind = kind(seen, surface);
            calls.entry((kind, &seen.case.principal.user)).or_default().push(number);
        }
        let mut rules: Vec<Rule> = Vec::new();
        for ((kind, user), calls) in calls {
            let cases: Vec<_> = calls.iter().filter_map(|n| self.seen.get(*n)).collect();
            let (fixed, conditions) = conditions_of(kind.approved, &cases, surface);
            let same = |rule: &&mut Rule| {
                rule.kind == kind && rule.fixed == fixed && rule.conditions == conditions
            };
            if let Some(rule) = rules.iter_mut().find(same) {
                rule.users.insert(user.to_owned());
                rule.calls.extend(calls);
                continue;
            }
            let number = rules.iter().filter(|r| r.kind.subject == kind.subject).count() + 1;
            let id = match number {
                1 => format!("learnt {}", kind.subject),
                number => format!("learnt {} {number}", kind.subject),
            };
            let users = BTreeSet::from([user.to_owned()]);
            rules.push(Rule { id, kind, users, fixed, conditions, calls });
        }
        rules
    }

    fn text(&self, rules: &[Rule]) -> String {
        let mut out = String::from(HEADER);
        for rule in rules {
            let mut numbers: Vec<_> =
                rule.calls.iter().filter_map(|call| self.seen.get(*call)).map(|s| s.n).collect();
            numbers.sort_unstable();
            out.push('\n');
            out.push_str(&rule.text(&numbers));
        }
        out
    }
}

const HEADER: &str = "\
// Learnt from traffic on record: what was let through, and nothing else. Read it before it holds:
// what was recorded need not have been right.
";

impl Rule {
    fn text(&self, numbers: &[u64]) -> String {
        let shown: Vec<_> = numbers.iter().take(EXAMPLES).map(ToString::to_string).collect();
        let more = numbers.len().saturating_sub(EXAMPLES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (calls, records) =
            if numbers.len() == 1 { ("call", "record") } else { ("calls", "records") };
        format!(
            "// {} {calls}: {records} {}{more}\n{}",
            numbers.len(),
            shown.join(", "),
            self.permit(&self.id, self.conditions.len()),
        )
    }

    /// The rule under the name `id`, with the first `held` of its conditions.
    fn permit(&self, id: &str, held: usize) -> String {
        let mut conditions = Vec::new();
        let mut users = self.users.iter();
        let principal = match (users.next(), users.next()) {
            (Some(only), None) => format!("principal == User::{}", string(only)),
            _ => {
                let users: Vec<_> =
                    self.users.iter().map(|user| format!("User::{}", string(user))).collect();
                conditions.push(format!("[{}].contains(principal)", users.join(", ")));
                "principal".to_owned()
            }
        };
        conditions.extend(self.fixed.iter().cloned());
        conditions.extend(self.conditions.iter().take(held).map(|held| held.text.clone()));
        let action = &self.kind.action;
        let head = format!("@id({})\npermit ({principal}, {action}, resource)", string(id));
        if conditions.is_empty() {
            format!("{head};\n")
        } else {
            format!("{head}\nwhen {{\n  {}\n}};\n", conditions.join(" &&\n  "))
        }
    }
}

fn load(text: &str, surface: &Surface) -> Result<Policy, PolicyError> {
    let source = Source { name: "learnt.cedar".to_owned(), text: text.to_owned() };
    Policy::load(Profile::None, &[source], surface)
}

/// What one rule is for: a tool; the resources, prompts or tasks of a server; or a question.
fn kind(seen: &Seen, surface: &Surface) -> Kind {
    let case = &seen.case;
    let action = match case.kind {
        SubjectKind::Tool if shape(case, surface).is_some() => {
            format!("action == Action::{}", string(&case.qualified))
        }
        SubjectKind::Tool => "action in Action::\"call-tool\"".to_owned(),
        SubjectKind::Resource | SubjectKind::Prompt
            if case.action() == tagout_proto::Action::Complete =>
        {
            "action == Action::\"complete\"".to_owned()
        }
        SubjectKind::Resource => "action == Action::\"read-resource\"".to_owned(),
        SubjectKind::Prompt => "action == Action::\"fetch-prompt\"".to_owned(),
        SubjectKind::Task => "action == Action::\"follow-task\"".to_owned(),
        SubjectKind::Question => "action == Action::\"ask-client\"".to_owned(),
    };
    Kind { subject: about(case), action, approved: Approved::of(seen) }
}

fn shape<'a>(case: &Case, surface: &'a Surface) -> Option<&'a Shape> {
    let tool = surface.tools.iter().find(|tool| tool.qualified == case.qualified)?;
    Some(&tool.shape)
}

/// What the calls of one rule have in common: what stays, and what holds arguments.
fn conditions_of(
    approved: Approved,
    seen: &[&Seen],
    surface: &Surface,
) -> (Vec<String>, Vec<Condition>) {
    let Some(first) = seen.first().map(|seen| &seen.case) else { return Default::default() };
    let names: BTreeSet<_> = seen.iter().map(|seen| seen.case.name.as_str()).collect();
    let (about, conditions) = match first.kind {
        SubjectKind::Tool => of_tool(first, seen, surface),
        SubjectKind::Resource | SubjectKind::Prompt | SubjectKind::Question => {
            (of_names(&first.server, &names, "resource.name"), Vec::new())
        }
        SubjectKind::Task => (vec![of_server(&first.server)], Vec::new()),
    };
    let mut fixed = approved.conditions(seen);
    if first.kind != SubjectKind::Task && seen.iter().all(|seen| seen.case.reviewed) {
        fixed.push("resource.reviewed".to_owned());
    }
    fixed.extend(about);
    (fixed, conditions)
}

fn of_server(server: &ServerName) -> String {
    format!("resource.server == {}", string(server.as_str()))
}

fn of_names(server: &ServerName, names: &BTreeSet<&str>, attribute: &str) -> Vec<String> {
    let mut conditions = vec![of_server(server)];
    let texts: Vec<_> = names.iter().map(|name| Value::from(*name)).collect();
    if names.len() <= FEW && names.iter().all(|name| conditions::can_be_named(name)) {
        conditions.push(format!("{}.contains({attribute})", set(names.iter().copied())));
    } else {
        let texts: Vec<_> = texts.iter().collect();
        let shared = conditions::of(attribute, &Shape::Text, &texts);
        conditions.extend(shared.into_iter().map(|condition| condition.text));
    }
    conditions
}

fn of_tool(first: &Case, seen: &[&Seen], surface: &Surface) -> (Vec<String>, Vec<Condition>) {
    let arguments: Vec<_> = seen.iter().map(|seen| &seen.case.arguments).collect();
    let Some(shape) = shape(first, surface) else {
        // Its arguments have no types, so rules can hold them only as a whole.
        let name = format!("resource.name == {}", string(&first.name));
        let whole = conditions::undeclared(&Shape::NOTHING, &arguments);
        return (vec![of_server(&first.server), name], vec![whole]);
    };
    let mut all = conditions::of("context.arguments", shape, &arguments);
    all.push(conditions::undeclared(shape, &arguments));
    (Vec::new(), all)
}
