//! Whether rules can do what they say: their types, and that there is what they speak of.
use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    EntityUid, Policy as CedarPolicy, PolicySet, Schema, ValidationMode, ValidationWarning,
    Validator,
};
use miette::{Diagnostic, SourceSpan};

use crate::{
    asks::Asks,
    closed::{self, Closed},
    load::{PolicyError, Source, span},
    names::{CALL_TOOL, OTHERS, TYPES, tool_action},
    shape::Shape,
    surface::Surface,
};

/// What rules may speak of.
pub(crate) struct Checker {
    validator: Validator,
    tools: BTreeSet<String>,
    shapes: BTreeMap<String, Shape>,
    servers: BTreeSet<String>,
    actions: BTreeSet<String>,
}

const WRITE_IN: &str = "write `action in Action::\"call-tool\"`: the call of each tool is an action \
    of its own, `Action::\"server__tool\"`, below that one";

impl Checker {
    pub(crate) fn new(schema: Schema, surface: &Surface) -> Self {
        let tools: BTreeSet<_> = surface.tools.iter().map(|tool| tool.qualified.clone()).collect();
        let mut actions: BTreeSet<_> =
            tools.iter().map(|tool| tool_action(tool).into_owned()).collect();
        actions.insert(CALL_TOOL.to_owned());
        actions.extend(OTHERS.iter().map(|(action, _)| action.as_str().to_owned()));
        let servers = surface.server_names().map(str::to_owned).collect();
        let shapes = surface.tools.iter().map(|tool| (tool.qualified.clone(), tool.shape.clone()));
        let shapes = shapes.collect();
        Self { validator: Validator::new(schema), tools, shapes, servers, actions }
    }

    /// Whether this tool is pinned.
    pub(crate) fn knows_tool(&self, qualified: &str) -> bool {
        self.tools.contains(qualified)
    }

    /// The types that the arguments of this tool have for rules, if it is pinned.
    pub(crate) fn shape_of_tool(&self, qualified: &str) -> Option<&Shape> {
        self.shapes.get(qualified)
    }

    /// Checks the rules of one text.
    pub(crate) fn check(&self, rules: &PolicySet, source: &Source) -> Result<(), PolicyError> {
        for rule in rules.policies() {
            never_equals(rule, source)?;
            self.names(rule, source)?;
            self.words(rule, source)?;
        }
        let result = self.validator.validate(rules, ValidationMode::Strict);
        let errors = result.validation_errors().map(|error| {
            let problem = error.to_string();
            let help = hint(&problem, error.help().map(|help| help.to_string()));
            (place(error), problem, help)
        });
        let warnings = result.validation_warnings().filter_map(|warning| {
            let (problem, help) = self.serious(warning)?;
            Some((place(warning), problem, Some(help)))
        });
        // In the order of the text; Cedar's own order changes from run to run. What has a wrong
        // type often never matches either, and the type says more.
        let first = |(at, problem, _): &(Option<SourceSpan>, String, Option<String>)| {
            (at.map_or(0, |at| at.offset()), problem.clone())
        };
        let first = errors.min_by_key(first).or_else(|| warnings.min_by_key(first));
        match first {
            Some((at, problem, help)) => {
                Err(PolicyError::at(source, &plain(&problem), help.as_deref(), at))
            }
            None => Ok(()),
        }
    }

    /// What a warning says, where it is an error for us.
    fn serious(&self, warning: &ValidationWarning) -> Option<(String, String)> {
        let never = |id: &cedar_policy::PolicyId| {
            let pinned = if self.tools.is_empty() {
                "no tool is pinned yet, so no tool's arguments are known: run `tagout pin` first"
            } else {
                "its conditions contradict each other or what the pinned tools have: see \
                 `tagout policy schema` for what there is"
            };
            Some((format!("the rule `{id}` can never match"), pinned.to_owned()))
        };
        match warning {
            ValidationWarning::ImpossiblePolicy(inner) => never(inner.policy_id()),
            ValidationWarning::InvalidActionApplication(inner) => never(inner.policy_id()),
            ValidationWarning::BidiCharsInString(_)
            | ValidationWarning::BidiCharsInIdentifier(_) => {
                let help = "take them out: with them a rule reads otherwise than it says";
                Some((warning.to_string(), help.to_owned()))
            }
            ValidationWarning::MixedScriptString(_)
            | ValidationWarning::MixedScriptIdentifier(_)
            | ValidationWarning::ConfusableIdentifier(_)
            | _ => None,
        }
    }

    /// Whether there are the tools, servers and actions that a rule names.
    fn names(&self, rule: &CedarPolicy, source: &Source) -> Result<(), PolicyError> {
        for uid in rule.entity_literals() {
            let (kind, id) = (uid.type_name().to_string(), uid.id().unescaped());
            let known = match kind.as_str() {
                "Tool" => &self.tools,
                "Server" => &self.servers,
                "Action" => &self.actions,
                name if TYPES.contains(&name) => continue,
                // Types are the validator's matter.
                _ => continue,
            };
            if known.contains(id) {
                continue;
            }
            let problem = match kind.as_str() {
                "Tool" => format!("no tool `{}` is pinned", id.escape_debug()),
                "Server" => format!("there is no server `{}`", id.escape_debug()),
                _ => format!("there is no action `{}`", id.escape_debug()),
            };
            let at = literal(rule, &uid, source);
            return Err(PolicyError::at(source, &problem, Some(&suggest(id, known)), at));
        }
        Ok(())
    }

    /// Whether what is held against a few texts is one of them.
    fn words(&self, rule: &CedarPolicy, source: &Source) -> Result<(), PolicyError> {
        let Ok(json) = rule.to_json() else { return Ok(()) };
        for (closed, text) in closed::held(&json) {
            let known = match closed {
                Closed::Server => self.servers.clone(),
                Closed::Effects | Closed::Labels | Closed::Transport | Closed::Method => {
                    closed.words().into_iter().map(str::to_owned).collect()
                }
            };
            if known.contains(&text) {
                continue;
            }
            let word = text.escape_debug();
            let (problem, help) = match closed {
                Closed::Server => (format!("there is no server `{word}`"), suggest(&text, &known)),
                Closed::Effects | Closed::Labels => {
                    (format!("`{}` never hold `{word}`", closed.as_str()), one_of(&text, &known))
                }
                Closed::Transport | Closed::Method => {
                    (format!("`{}` is never `{word}`", closed.as_str()), one_of(&text, &known))
                }
            };
            let at = last_within(rule, &format!("\"{text}\""), source);
            return Err(PolicyError::at(source, &problem, Some(&help), at));
        }
        Ok(())
    }
}

/// `action == Action::"call-tool"` is never true: calls are of actions below that one.
fn never_equals(rule: &CedarPolicy, source: &Source) -> Result<(), PolicyError> {
    let scope = match rule.action_constraint() {
        cedar_policy::ActionConstraint::Eq(uid) => uid.id().unescaped() == CALL_TOOL,
        cedar_policy::ActionConstraint::Any | cedar_policy::ActionConstraint::In(_) => false,
    };
    let mut asks = Asks::default();
    if let Ok(json) = rule.to_json() {
        asks.add(&json);
    }
    if !scope && !asks.compares_call_tool {
        return Ok(());
    }
    let text = "Action::\"call-tool\"";
    let at = within(rule, text, source);
    Err(PolicyError::at(source, "no call's action is `call-tool` itself", Some(WRITE_IN), at))
}

/// More help than Cedar gives.
fn hint(problem: &str, cedar: Option<String>) -> Option<String> {
    let ours = if problem.contains("unexpected type") {
        "an argument that is a list has `elements`, `length` and `json`; a number `text` and \
         perhaps `decimal`; what may be null perhaps `value`; what has no one type `json`"
    } else if problem.contains("attribute `arguments.") && problem.contains("not found") {
        "if only some tools have it, name them: `action == Action::\"server__tool\"`, or ask \
         `context.arguments has NAME && …`; `tagout policy schema` shows what there is"
    } else {
        return cedar;
    };
    Some(match cedar.filter(|help| help.starts_with("did you mean")) {
        Some(cedar) => format!("{cedar} {ours}"),
        None => ours.to_owned(),
    })
}

fn place(diagnostic: &dyn Diagnostic) -> Option<SourceSpan> {
    let label = diagnostic.labels()?.next()?;
    Some(*label.inner())
}

/// Where the literal of `uid` stands.
fn literal(rule: &CedarPolicy, uid: &EntityUid, source: &Source) -> Option<SourceSpan> {
    within(rule, &uid.to_string(), source)
}

/// Where `text` stands in the rule, or else where the rule does.
fn within(rule: &CedarPolicy, text: &str, source: &Source) -> Option<SourceSpan> {
    found(rule, source, |rule| Some((rule.find(text)?, text.len())))
}

/// The same, where annotations before it may say `text` too.
fn last_within(rule: &CedarPolicy, text: &str, source: &Source) -> Option<SourceSpan> {
    found(rule, source, |rule| Some((rule.rfind(text)?, text.len())))
}

fn found(
    rule: &CedarPolicy,
    source: &Source,
    find: impl Fn(&str) -> Option<(usize, usize)>,
) -> Option<SourceSpan> {
    let whole = span(rule)?;
    let rule = source.text.get(whole.offset()..)?.get(..whole.len())?;
    let found = find(rule).map(|(at, len)| SourceSpan::from((whole.offset() + at, len)));
    found.or(Some(whole))
}

/// Cedar's text without the rule's number, which says nothing to people.
fn plain(problem: &str) -> String {
    problem
        .strip_prefix("for policy `")
        .and_then(|rest| rest.split_once("`, "))
        .map_or_else(|| problem.to_owned(), |(id, rest)| format!("in the rule `{id}`, {rest}"))
}

/// What was meant, perhaps.
fn meant(id: &str, known: &BTreeSet<String>) -> Option<String> {
    let (distance, name) = known.iter().map(|name| (distance(id, name), name)).min()?;
    let near = distance <= 3 && distance < id.len();
    near.then(|| format!("did you mean `{}`?", name.escape_debug()))
}

/// What was meant, perhaps, or all that there is.
fn one_of(text: &str, known: &BTreeSet<String>) -> String {
    let all = || {
        let all: Vec<_> = known.iter().map(String::as_str).collect();
        format!("there are `{}`", all.join("`, `"))
    };
    meant(text, known).unwrap_or_else(all)
}

/// What was meant, perhaps, of what is pinned.
fn suggest(id: &str, known: &BTreeSet<String>) -> String {
    match meant(id, known) {
        Some(meant) => meant,
        None if known.is_empty() => "nothing is pinned yet: run `tagout pin` first".to_owned(),
        None => {
            let names: Vec<_> = known.iter().take(12).map(String::as_str).collect();
            let more = if known.len() > names.len() { ", …" } else { "" };
            format!("there are `{}`{more}; pin others with `tagout pin`", names.join("`, `"))
        }
    }
}

/// How many letters are to be changed to make one name the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().take(128).enumerate() {
        let mut before = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other.chars()) {
            let changed = before + usize::from(a != b);
            before = *cell;
            left = changed.min(before + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
