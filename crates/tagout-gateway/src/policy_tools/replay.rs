//! What traffic on record would have met under other rules.
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use tagout_audit::{
    Line, Outcome, Verdict as OnRecord,
    record::{Begun, Decided, Ended, Event, Payload, Shadowed},
};
use tagout_policy::{Decision, Policy, SubjectKind};
use tagout_proto::Conversation;

use super::{Case, Unusable};
use crate::history::Happened;

/// Records that stand for a group.
const EXAMPLES: usize = 5;
/// Groups that are told apart, and calls and conversations that are followed at once.
const GROUPS: usize = 10_000;
const OPEN: usize = 65_536;

/// Puts the calls of a log to two sets of rules, line by line.
pub struct Replay<'a> {
    current: &'a Policy,
    candidate: &'a Policy,
    /// What happened in each conversation, for rules that ask where the record does not say.
    happened: HashMap<Conversation, Happened>,
    /// Calls that are begun.
    open: BTreeMap<u64, Open>,
    told: Told,
}

/// A call that is begun.
struct Open {
    conversation: Option<Conversation>,
    case: Option<Case>,
    method: String,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Calls that were decided again.
    pub decided: u64,
    /// Those that come out the same.
    pub same: u64,
    /// Those that do not, alike ones together: first what the candidate opens.
    pub changes: Vec<Change>,
    /// Those that could not be decided again, and why.
    pub left_out: Vec<LeftOut>,
    /// What rules on trial said otherwise when the calls were made.
    pub shadow: Vec<Change>,
}

/// Calls that come out otherwise in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What the rules say that hold, or held.
    pub from: &'static str,
    /// What the candidate says.
    pub to: &'static str,
    /// The tool, as `server__tool`; of resources and prompts their server and what they are.
    pub subject: String,
    /// The rule that decides now.
    pub rule: String,
    /// The rule that would.
    pub candidate: String,
    /// How many.
    pub count: u64,
    /// The numbers of the first of their records.
    pub records: Vec<u64>,
}

/// Calls that were not decided again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Why.
    pub why: String,
    /// How many.
    pub count: u64,
    /// The numbers of the first of their records.
    pub records: Vec<u64>,
}

/// How many, and the first of them.
#[derive(Clone, Debug, Default)]
struct Many {
    count: u64,
    records: Vec<u64>,
}

impl Many {
    fn add(&mut self, n: u64) {
        self.count += 1;
        if self.records.len() < EXAMPLES {
            self.records.push(n);
        }
    }
}

/// What makes calls alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    /// The widest opening first.
    order: u8,
    from: &'static str,
    to: &'static str,
    subject: String,
    rule: String,
    candidate: String,
}

#[derive(Default)]
struct Told {
    decided: u64,
    same: u64,
    changes: BTreeMap<Kind, Many>,
    left_out: BTreeMap<String, Many>,
    shadow: BTreeMap<Kind, Many>,
}

const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Ask => "ask",
        Decision::Deny => "deny",
    }
}

const fn recorded(verdict: OnRecord) -> Decision {
    match verdict {
        OnRecord::Allow => Decision::Allow,
        OnRecord::Ask => Decision::Ask,
        OnRecord::Deny => Decision::Deny,
    }
}

/// What opens most comes first, then what closes most; what only asks for other approvals last.
const fn order(from: Decision, to: Decision) -> u8 {
    match (from, to) {
        (Decision::Deny, Decision::Allow) => 0,
        (Decision::Ask, Decision::Allow) => 1,
        (Decision::Deny, Decision::Ask) => 2,
        (Decision::Allow, Decision::Deny) => 3,
        (Decision::Allow, Decision::Ask) => 4,
        (Decision::Ask, Decision::Deny) => 5,
        (Decision::Allow, Decision::Allow)
        | (Decision::Ask, Decision::Ask)
        | (Decision::Deny, Decision::Deny) => 6,
    }
}

impl Kind {
    fn of((from, to): (Decision, Decision), subject: String, rules: (&str, &str)) -> Self {
        let (rule, candidate) = (rules.0.to_owned(), rules.1.to_owned());
        Self { order: order(from, to), from: word(from), to: word(to), subject, rule, candidate }
    }

    fn change(self, many: Many) -> Change {
        let Self { from, to, subject, rule, candidate, .. } = self;
        let Many { count, records } = many;
        Change { from, to, subject, rule, candidate, count, records }
    }
}

/// What a call is about, in a word: resources are too many to name each.
pub(super) fn about(case: &Case) -> String {
    match case.kind {
        SubjectKind::Tool => case.qualified.clone(),
        SubjectKind::Resource => format!("resources of {}", case.server),
        SubjectKind::Prompt => format!("prompts of {}", case.server),
        SubjectKind::Task => format!("tasks of {}", case.server),
        SubjectKind::Question => format!("{} of {}", case.name, case.server),
    }
}

impl Told {
    fn left_out(&mut self, why: &str, n: u64) {
        self.left_out.entry(why.to_owned()).or_default().add(n);
    }
}

fn add(groups: &mut BTreeMap<Kind, Many>, kind: Kind, n: u64) {
    if groups.len() < GROUPS || groups.contains_key(&kind) {
        groups.entry(kind).or_default().add(n);
    } else {
        let subject = "others".to_owned();
        let rest = Kind { subject, rule: String::new(), candidate: String::new(), ..kind };
        groups.entry(rest).or_default().add(n);
    }
}

impl<'a> Replay<'a> {
    /// Of what `candidate` would have said in place of `current`.
    #[must_use]
    pub fn new(current: &'a Policy, candidate: &'a Policy) -> Self {
        let (happened, open) = (HashMap::new(), BTreeMap::new());
        Self { current, candidate, happened, open, told: Told::default() }
    }

    /// Takes the next line of the log.
    pub fn line(&mut self, line: &Line, payload: &Payload) {
        match &line.event {
            Event::Begin(begin) => self.begun(line.n, begin, payload),
            Event::Decision(decided) => self.decided(decided, line.at),
            Event::End(ended) => self.ended(ended, line.at),
            Event::Genesis(_)
            | Event::Note(_)
            | Event::Said(_)
            | Event::Torn(_)
            | Event::Adopted(_)
            | Event::Lost(_)
            | Event::Erased(_)
            | Event::Rotated {} => {}
        }
    }

    fn begun(&mut self, n: u64, begin: &Begun, payload: &Payload) {
        // The session's own business is not decided by rules.
        if begin.server.is_none() {
            return;
        }
        let conversation = begin.conversation.clone();
        let case = match Case::of(begin, payload) {
            Ok((mut case, doubts)) => {
                if let (true, Some(conversation)) = (doubts.no_history, &conversation) {
                    case.history = self.history(conversation, case.now_ms);
                }
                self.compare(n, &case, doubts.redacted);
                Some(case)
            }
            Err(why) => {
                // What never came to a decision has none to compare.
                if why != Unusable::NoFacts || begin.definition.is_some() {
                    self.told.left_out(&why.to_string(), n);
                }
                None
            }
        };
        while self.open.len() >= OPEN {
            self.open.pop_first();
        }
        self.open.insert(n, Open { conversation, case, method: begin.method.clone() });
    }

    fn history(&mut self, conversation: &Conversation, now_ms: i64) -> tagout_policy::History {
        let asks = self.current.asks_about_history() || self.candidate.asks_about_history();
        let at = Timestamp::from_millisecond(now_ms).unwrap_or_default();
        let happened = self.happened.get_mut(conversation).filter(|_| asks);
        happened.map(|happened| happened.at(at)).unwrap_or_default()
    }

    fn compare(&mut self, n: u64, case: &Case, redacted: bool) {
        let facts = case.facts();
        if redacted
            && [self.current, self.candidate].iter().any(|rules| rules.looks_at_arguments(&facts))
        {
            let why = "a secret was taken out of its arguments, and rules look at them";
            return self.told.left_out(why, n);
        }
        let (now, then) = (self.current.decide(&facts), self.candidate.decide(&facts));
        self.told.decided += 1;
        if now.decision == then.decision && now.demand == then.demand {
            self.told.same += 1;
            return;
        }
        let decisions = (now.decision, then.decision);
        let kind = Kind::of(decisions, about(case), (&now.rule, &then.rule));
        add(&mut self.told.changes, kind, n);
    }

    fn decided(&mut self, decided: &Decided, at: Timestamp) {
        self.shadowed(decided.of, decided.verdict, (&decided.rule, &decided.shadow));
        let Some(Open { conversation: Some(conversation), case: Some(case), .. }) =
            self.open.get(&decided.of)
        else {
            return;
        };
        // What a server asks is nobody's call.
        if case.kind == SubjectKind::Question || decided.verdict == OnRecord::Deny {
            return;
        }
        if self.happened.len() >= OPEN && !self.happened.contains_key(conversation) {
            return;
        }
        let happened = self.happened.entry(conversation.clone()).or_default();
        if decided.approval.as_ref().is_some_and(|approval| approval.decision == "allow") {
            happened.approved(at);
        }
        happened.called(at, case.server.as_str(), &case.qualified, &case.effects);
    }

    fn ended(&mut self, ended: &Ended, at: Timestamp) {
        let verdict = match ended.refusal.as_deref() {
            // Rules had let it through; what else asks does so beside them.
            Some(_) if asks_beside_rules(ended.rule.as_deref()) => OnRecord::Allow,
            Some("policy-denied") => OnRecord::Deny,
            _ => OnRecord::Ask,
        };
        self.shadowed(ended.of, verdict, (&ended.rule, &ended.shadow));
        let Some(open) = self.open.remove(&ended.of) else { return };
        let no = matches!(ended.refusal.as_deref(), Some("policy-denied" | "approval-denied"));
        if let (Outcome::Refused, true, Some(conversation)) = (ended.outcome, no, open.conversation)
            && self.happened.len() < OPEN
        {
            self.happened.entry(conversation).or_default().denied(at);
        }
    }

    /// Adds what rules on trial said at the time.
    fn shadowed(
        &mut self,
        of: u64,
        verdict: OnRecord,
        (rule, shadow): (&Option<String>, &Option<Shadowed>),
    ) {
        let Some(shadow) = shadow else { return };
        let open = self.open.get(&of);
        let subject = match open.map(|open| (&open.case, &open.method)) {
            Some((Some(case), _)) => about(case),
            Some((None, method)) => method.clone(),
            None => String::new(),
        };
        let rule = rule.as_deref().unwrap_or_default();
        let decisions = (recorded(verdict), recorded(shadow.verdict));
        let kind = Kind::of(decisions, subject, (rule, &shadow.rule));
        add(&mut self.told.shadow, kind, of);
    }

    /// What it came to.
    #[must_use]
    pub fn summary(self) -> Summary {
        let Told { decided, same, changes, left_out, shadow } = self.told;
        let listed = |groups: BTreeMap<Kind, Many>| {
            groups.into_iter().map(|(kind, many)| kind.change(many)).collect()
        };
        let left_out = left_out.into_iter().map(|(why, many)| {
            let Many { count, records } = many;
            LeftOut { why, count, records }
        });
        Summary {
            decided,
            same,
            changes: listed(changes),
            left_out: left_out.collect(),
            shadow: listed(shadow),
        }
    }
}

/// Whether `rule` is one of the gateway's own that ask about what rules let through.
fn asks_beside_rules(rule: Option<&str>) -> bool {
    rule.is_some_and(|rule| rule == crate::consent::RULE || rule == crate::told::RULE)
}
