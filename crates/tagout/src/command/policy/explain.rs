//! `policy explain`: why a call was decided as it was.
use std::process::ExitCode;

use serde_json::json;
use tagout_audit::{
    AuditError, Reader, Verdict,
    record::{Call, Subject},
};
use tagout_gateway::policy_tools::{Case, Doubts, recorded::given_on_record};
use tagout_inspect::characters::one_line;
use tagout_policy::{Alteration, Change, Decision, Explanation, Given, SubjectKind};
use tagout_terminal::printable;

use super::RuleSet;
use crate::{
    failure::{Ended, Failure},
    output,
    places::Places,
};

/// Stands for a rule where nobody had agreed that data goes to a server.
const CONSENT: &str = tagout_gateway::consent::RULE;
/// Stands for a rule where the client found its own call odd.
const CONCERN: &str = tagout_gateway::told::RULE;

/// Explains the decision about the call of a record, and what would have decided otherwise.
pub(super) fn explain(
    places: &Places,
    rules: &RuleSet,
    number: u64,
    json: bool,
) -> Result<ExitCode, Failure> {
    let failed = |error: AuditError| Failure::of(&error, error.code(), error.help());
    // A log that is gone while its key is there was taken away, and that is an error.
    if !places.audit().is_dir() && !places.head_key.exists() {
        let message = format!("nothing is recorded yet in `{}`", places.audit().display());
        let help = "make a call first, or set XDG_STATE_HOME to where calls are recorded";
        return Err(Failure::usage("record-unknown", message, help));
    }
    let record = Reader::new(&places.audit()).show(number).map_err(failed)?;
    let Some(record) = record else {
        let message = format!("there is no record {number}");
        return Err(Failure::usage("record-unknown", message, "see `tagout audit tail`"));
    };
    let n = record.n;
    let Subject::Call(call) = &record.subject else {
        let message = format!("record {n} is no call");
        return Err(Failure::usage("record-not-decided", message, "see `tagout audit show`"));
    };
    let (case, doubts) = Case::of(&call.begin, &call.payload).map_err(|why| {
        Failure::usage(
            "record-not-decided",
            format!("record {n}: {why}"),
            "see `tagout audit show`",
        )
    })?;
    let given = given(call);
    let explanation = rules.policy().explain(&case.facts(), given.as_ref().unwrap_or(&Given::NONE));
    let told = Told { n, call, case: &case, doubts, given, explanation: &explanation, rules };
    if json {
        output::json(&told.value())?
    } else {
        told.show()?
    }
    Ok(Ended::Done.into())
}

/// The least change that lets a call like `call` through, and how to bring it about.
pub(super) fn least_remedy(rules: &RuleSet, call: &Call) -> Option<String> {
    let (case, doubts) = Case::of(&call.begin, &call.payload).ok()?;
    let given = given(call);
    let explanation = rules.policy().explain(&case.facts(), given.as_ref().unwrap_or(&Given::NONE));
    let told = Told { n: 0, call, case: &case, doubts, given, explanation: &explanation, rules };
    if told.wanted_consent() {
        return Some(told.consent());
    }
    if told.was_found_odd() {
        return Some("a look at what the client finds odd, and then approval".to_owned());
    }
    let opens = |change: &&Change| change.then != Decision::Deny;
    let remedy = told.remedy(explanation.changes.iter().find(opens)?);
    Some(remedy.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The approvals that the call had, where any are on record.
fn given(call: &Call) -> Option<Given> {
    let decided = call.decision.as_ref().and_then(|decision| decision.approval.as_ref());
    let approval = decided.or_else(|| call.end.as_ref()?.approval.as_ref())?;
    given_on_record(approval).filter(Given::any)
}

/// All that there is to say about a decision.
struct Told<'a> {
    n: u64,
    call: &'a Call,
    case: &'a Case,
    doubts: Doubts,
    /// The approvals that it is explained with.
    given: Option<Given>,
    explanation: &'a Explanation,
    rules: &'a RuleSet,
}

impl Told<'_> {
    /// What was decided then; a refusal says by its code.
    fn then(&self) -> Option<Decision> {
        if let Some(decision) = &self.call.decision {
            return Some(match decision.verdict {
                Verdict::Allow => Decision::Allow,
                Verdict::Ask => Decision::Ask,
                Verdict::Deny => Decision::Deny,
            });
        }
        match self.call.end.as_ref()?.refusal.as_deref()? {
            // Rules had let it through; what else asks does so beside them.
            _ if self.wanted_consent() || self.was_found_odd() => Some(Decision::Allow),
            "policy-denied" => Some(Decision::Deny),
            code if code.starts_with("approval-") => Some(Decision::Ask),
            _ => None,
        }
    }

    /// Whether it was refused because nobody had agreed that data goes to that server.
    fn wanted_consent(&self) -> bool {
        let end = self.call.end.as_ref();
        end.and_then(|end| end.rule.as_deref()) == Some(CONSENT)
    }

    /// Whether it was refused because its client found it odd, and nobody approved it.
    fn was_found_odd(&self) -> bool {
        let end = self.call.end.as_ref();
        end.and_then(|end| end.rule.as_deref()) == Some(CONCERN)
    }

    /// How to agree to that.
    fn consent(&self) -> String {
        let principal = &self.case.principal;
        let own = &*principal.authenticated_by == "os-user";
        let whose = if own { String::new() } else { format!(" --for {}", principal.user) };
        format!("consent that data goes there: `tagout consent give {}{whose}`", self.case.server)
    }

    fn rule_then(&self) -> Option<&str> {
        let decided = self.call.decision.as_ref().and_then(|decision| decision.rule.as_deref());
        decided.or_else(|| self.call.end.as_ref()?.rule.as_deref())
    }

    /// Whether the rules of today would decide the same; where it had approvals, with them.
    fn same(&self) -> Option<bool> {
        let then = match (&self.given, self.then()?) {
            (Some(_), _) if self.call.decision.is_some() => Decision::Allow,
            (Some(_), _) => Decision::Deny,
            (None, then) => then,
        };
        Some(then == self.explanation.verdict.decision)
    }

    /// What of the call is not known any more.
    fn doubts(&self) -> Vec<&'static str> {
        let asks = self.rules.policy().asks_about_history();
        let mut doubts = Vec::new();
        if self.doubts.redacted {
            doubts.push(
                "a secret was taken out of its arguments: rules that look there may say else",
            );
        }
        if self.doubts.no_history && asks {
            doubts.push("what happened before it is not on record: rules that ask may say else");
        }
        doubts
    }

    /// What an operator can do to bring a change about.
    fn remedy(&self, change: &Change) -> String {
        let tool = format!("{}/{}", self.case.server, self.case.name);
        match &change.what {
            Alteration::Approval(given) => {
                let own = given.own && given.people == 0 && !given.outside;
                let how = if own { "on the terminal, or " } else { "" };
                format!(
                    "approval by {given}: {how}`tagout approve ls`, then `tagout approve allow ID`"
                )
            }
            Alteration::Review(effects) => {
                let effects: Vec<_> = effects.iter().map(|e| format!("\"{e}\"")).collect();
                let effects = effects.join(", ");
                match self.case.kind {
                    SubjectKind::Tool => format!(
                        "a review of the tool: if it is right, `effects = [{effects}]` in the lockfile, then `tagout pin --accept {tool}`"
                    ),
                    SubjectKind::Resource
                    | SubjectKind::Prompt
                    | SubjectKind::Task
                    | SubjectKind::Question => format!(
                        "a review of the server: `tagout pin --accept {}`",
                        self.case.server
                    ),
                }
            }
            Alteration::WithoutEffect(effect) => format!(
                "a review that finds that the tool does not `{effect}`: take it out of `effects` in the lockfile, then `tagout pin --accept {tool}`"
            ),
            Alteration::Group(group) => self.join(group),
            Alteration::Permit(text) => {
                format!("one more rule, in a file in `{}`:\n{text}", self.folder())
            }
            Alteration::WithoutRule(id) => match self.rules.text(id) {
                Some((place, _)) if place.starts_with("profile ") => {
                    format!("another `profile` in the configuration: `{id}` is of this one")
                }
                Some((place, _)) => format!("doing without the rule `{id}`, at {place}"),
                None => format!("doing without the rule `{id}`"),
            },
        }
    }

    fn join(&self, group: &str) -> String {
        let principal = &self.case.principal;
        if &*principal.authenticated_by == "os-user" {
            let mut groups: Vec<_> =
                principal.groups.iter().filter(|group| !group.starts_with("unix:")).collect();
            let group = group.to_owned();
            groups.push(&group);
            let list: Vec<_> =
                groups.iter().map(|g| toml::Value::from(g.as_str()).to_string()).collect();
            let user = toml::Value::from(&*principal.user).to_string();
            format!(
                "the caller in the group `{group}`: under `[groups]` in the configuration, `{user} = [{}]`",
                list.join(", ")
            )
        } else {
            format!(
                "the caller in the group `{group}`: a new key, `tagout key add NAME --group {group}`"
            )
        }
    }

    fn folder(&self) -> String {
        self.rules.setup.rules.folder.display().to_string()
    }

    fn value(&self) -> serde_json::Value {
        let Explanation { verdict, deciding, changes } = self.explanation;
        let with_text = deciding.iter().map(|said| {
            let text = self.rules.text(&said.id).map(|(_, text)| text);
            let mut value = serde_json::to_value(said).unwrap_or_default();
            if let Some(members) = value.as_object_mut() {
                members.insert("text".to_owned(), text.into());
            }
            value
        });
        let changes = changes.iter().map(|change| {
            json!({
                "what": change.what, "then": change.then, "by": change.by,
                "remedy": self.remedy(change),
            })
        });
        json!({
            "record": self.n,
            "decided": self.then(),
            "rule": self.rule_then(),
            "given": self.given,
            "remedy": self.wanted_consent().then(|| self.consent()),
            "policy_version": self.call.policy(),
            "today": {
                "policy_version": self.rules.policy().version(),
                "verdict": verdict,
                "same": self.same(),
            },
            "rules": with_text.collect::<Vec<_>>(),
            "changes": changes.collect::<Vec<_>>(),
            "doubts": self.doubts(),
        })
    }

    fn show(&self) -> Result<(), Failure> {
        self.show_then()?;
        let verdict = &self.explanation.verdict;
        let with = self.given.as_ref().map(|given| format!(", with approval by {given}"));
        let asks = verdict.demand.as_ref().map(|given| format!(", for approval by {given}"));
        let same = match self.same() {
            Some(true) => "the same",
            Some(false) => "OTHERWISE",
            None => "for the first time",
        };
        output::line(format_args!(
            "today    {same}: {} by `{}`{}: {}",
            verdict.decision,
            one_line(&verdict.rule),
            with.or(asks).unwrap_or_default(),
            one_line(&verdict.reason)
        ))?;
        for doubt in self.doubts() {
            output::line(format_args!("         but {doubt}"))?;
        }
        self.show_rules()?;
        self.show_changes()
    }

    fn show_then(&self) -> Result<(), Failure> {
        let case = self.case;
        let what = format!("{} {}", case.method, one_line(&case.qualified));
        let user = one_line(&case.principal.user);
        output::line(format_args!("record   {}: {user}, {what}", self.n))?;
        let Some(decision) = self.then() else {
            return output::line("then     it was not decided");
        };
        let current = self.call.policy() == Some(self.rules.policy().version());
        if self.wanted_consent() {
            let wanted =
                "then     rules let it through, and nobody had agreed that data goes there";
            output::line(wanted)?;
            return output::line(format_args!("         {}", one_line(&self.consent())));
        }
        let by = self.rule_then().map(|rule| format!(" by `{}`", one_line(rule)));
        let rules = match (self.call.policy(), current) {
            (Some(_), true) => ", under the rules of today".to_owned(),
            (Some(version), false) => format!(", under other rules than today's: {version}"),
            (None, _) => String::new(),
        };
        let refusal = self.call.end.as_ref().and_then(|end| end.refusal.as_deref());
        let came = refusal.filter(|code| *code != "policy-denied");
        let came = came.map(|code| format!(", and refused in the end: {}", one_line(code)));
        output::line(format_args!(
            "then     {decision}{}{}{rules}",
            by.unwrap_or_default(),
            came.unwrap_or_default()
        ))?;
        // What a question had been answered until it was too late stands with the question.
        let asked = self.call.end.as_ref().and_then(|end| end.approval.as_ref());
        if let Some(question) = asked.and_then(|approval| approval.question.as_deref()) {
            output::line(format_args!(
                "         who had answered by then: `tagout approve show {}`",
                one_line(question)
            ))?;
        }
        let Some(given) = &self.given else { return Ok(()) };
        let enough = if self.call.decision.is_some() { "" } else { ", which was not enough" };
        output::line(format_args!("         approved by {given}{enough}"))
    }

    fn show_rules(&self) -> Result<(), Failure> {
        if self.explanation.deciding.is_empty() {
            return output::line("\nno rule is about it, and what no rule permits is denied");
        }
        output::line("\nrules that hold for it:")?;
        for said in &self.explanation.deciding {
            let mark = if said.decided { "decides" } else { "also" };
            let (place, text) = self.rules.text(&said.id).unwrap_or_default();
            output::line(format_args!(
                "\n  {mark}: `{}` at {}",
                one_line(&said.id),
                printable(&place)
            ))?;
            for line in text.lines() {
                output::line(format_args!("    {}", printable(line)))?;
            }
            if let Some(error) = &said.error {
                output::line(format_args!("    it cannot be evaluated: {}", one_line(error)))?;
            }
        }
        Ok(())
    }

    fn show_changes(&self) -> Result<(), Failure> {
        if self.explanation.changes.is_empty() {
            return output::line("\nno single change would decide otherwise");
        }
        output::line("\nwhat alone would decide otherwise, the least first:")?;
        for change in &self.explanation.changes {
            let remedy = self.remedy(change);
            let mut lines = remedy.lines();
            let first = lines.next().unwrap_or_default();
            output::line(format_args!("- {}: {}", change.then, printable(first)))?;
            for line in lines {
                output::line(format_args!("    {}", printable(line)))?;
            }
        }
        Ok(())
    }
}
