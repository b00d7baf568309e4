//! What a decision was made on, as it stands on record beside the arguments, and back again.
#[cfg(test)]
pub(super) mod tests;

use std::{collections::BTreeSet, net::IpAddr, str::FromStr as _};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tagout_audit::record::{Approved, Begun, Payload};
use tagout_policy::{
    Arguments, Effects, Facts, Given, History, Labels, Shape, Subject, SubjectKind,
};
use tagout_proto::{Action, Method, Principal, ServerName};

use crate::{stage::inspect::rules_see, upstream::composed};

/// The largest history that is kept with a call, in bytes of JSON.
const HISTORY_BYTES: usize = 16 << 10;

/// What stands in a secret's place in redacted arguments.
pub(crate) const GONE: &str = "<redacted>";

/// The facts of a decision that stand nowhere else on record. Principal, origin, method and server
/// are in the record's first line, the arguments beside this.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recorded {
    #[serde(default, skip_serializing_if = "is_default")]
    kind: Kind,
    /// Where it is not `server__name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Where it is not the record's subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    qualified: Option<String>,
    effects: Effects,
    #[serde(default, skip_serializing_if = "is_default")]
    reviewed: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    labels: RecordedLabels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<String>,
    /// Nothing where no rule asked about it, or it is too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    history: Option<Value>,
    now_ms: i64,
    /// Whether the arguments on record are all of the call's `params`.
    #[serde(default, skip_serializing_if = "is_default")]
    whole: bool,
    /// Whether anything in subject or arguments was taken out of the record.
    #[serde(default, skip_serializing_if = "is_default")]
    redacted: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Tool,
    Resource,
    Prompt,
    Task,
    Question,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedLabels {
    #[serde(default, skip_serializing_if = "is_default")]
    untrusted: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    sensitive: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    may_leave: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    destinations: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    payloads: BTreeSet<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How a record's arguments relate to the call's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept<'a> {
    /// The subject that stands in the record.
    pub(crate) subject: Option<&'a str>,
    /// Whether anything was taken out of it or of the arguments.
    pub(crate) redacted: bool,
    /// Whether the arguments are all of `params`.
    pub(crate) whole: bool,
}

/// The facts as they go on record, a JSON object; nothing for what concerns the session alone.
/// `history` says whether what happened before was looked up.
pub(crate) fn text(facts: &Facts<'_>, history: bool, kept: Kept<'_>) -> Option<String> {
    let subject = facts.subject.as_ref()?;
    let has_usual = usual_name(subject.server, subject.qualified) == subject.name;
    let differs = kept.subject != Some(subject.qualified);
    let recorded = Recorded {
        kind: Kind::of(subject.kind),
        name: (!has_usual).then(|| subject.name.to_owned()),
        // What was taken out of the subject must not come back here.
        qualified: (differs && (!kept.redacted || kept.subject.is_none()))
            .then(|| subject.qualified.to_owned()),
        effects: subject.effects.clone(),
        reviewed: subject.reviewed,
        labels: RecordedLabels::of(subject.labels),
        shape: subject.shape.map(ToString::to_string),
        history: history.then(|| short(facts.history)).flatten(),
        now_ms: facts.now_ms,
        whole: kept.whole,
        redacted: kept.redacted,
    };
    serde_json::to_string(&recorded).ok()
}

/// The approvals that rules were told of, as they go on record.
pub(crate) fn given(given: &Given) -> tagout_audit::Given {
    let Given { own, people, outside, groups } = given.clone();
    tagout_audit::Given { own, people, outside, groups }
}

/// The approvals that rules were told of, where that is on record.
#[must_use]
pub fn given_on_record(approved: &Approved) -> Option<Given> {
    let tagout_audit::Given { own, people, outside, groups } = approved.given.clone()?;
    Some(Given { own, people, outside, groups })
}

/// The name that what clients see as `qualified` has at `server`, most of the time.
fn usual_name<'a>(server: &ServerName, qualified: &'a str) -> &'a str {
    let rest = qualified.strip_prefix(server.as_str()).and_then(|rest| rest.strip_prefix("__"));
    rest.unwrap_or(qualified)
}

/// A history without what is nothing; nothing if it is too large.
fn short(history: &History) -> Option<Value> {
    let mut value = serde_json::to_value(history).ok()?;
    if let Value::Object(members) = &mut value {
        members.retain(|_, value| {
            !value.is_null()
                && value.as_u64() != Some(0)
                && !value.as_object().is_some_and(serde_json::Map::is_empty)
        });
    }
    (value.to_string().len() <= HISTORY_BYTES).then_some(value)
}

impl Kind {
    const fn of(kind: SubjectKind) -> Self {
        match kind {
            SubjectKind::Tool => Self::Tool,
            SubjectKind::Resource => Self::Resource,
            SubjectKind::Prompt => Self::Prompt,
            SubjectKind::Task => Self::Task,
            SubjectKind::Question => Self::Question,
        }
    }

    const fn subject(self) -> SubjectKind {
        match self {
            Self::Tool => SubjectKind::Tool,
            Self::Resource => SubjectKind::Resource,
            Self::Prompt => SubjectKind::Prompt,
            Self::Task => SubjectKind::Task,
            Self::Question => SubjectKind::Question,
        }
    }
}

impl RecordedLabels {
    fn of(labels: &Labels) -> Self {
        let Labels { untrusted, sensitive, may_leave, destinations, payloads } = labels.clone();
        Self { untrusted, sensitive, may_leave, destinations, payloads }
    }

    fn labels(self) -> Labels {
        let Self { untrusted, sensitive, may_leave, destinations, payloads } = self;
        Labels { untrusted, sensitive, may_leave, destinations, payloads }
    }
}

/// The facts of a call that is not under way: one on record, or one that somebody thought of.
#[derive(Clone, Debug)]
pub struct Case {
    /// Who calls.
    pub principal: Principal,
    /// What the client calls itself.
    pub client: String,
    /// `stdio`, `memory` or `http`.
    pub transport: String,
    /// Where the client is.
    pub address: Option<IpAddr>,
    /// By which method.
    pub method: Method,
    /// What kind of thing it is about.
    pub kind: SubjectKind,
    /// Whose it is.
    pub server: ServerName,
    /// Its name there, or its URI.
    pub name: String,
    /// Its name for clients.
    pub qualified: String,
    /// What it may do.
    pub effects: Effects,
    /// Whether that is reviewed.
    pub reviewed: bool,
    /// What else the review says.
    pub labels: Labels,
    /// The types of its arguments.
    pub shape: Option<Shape>,
    /// The arguments.
    pub arguments: Value,
    /// What happened before.
    pub history: History,
    /// When, in milliseconds since the beginning of 1970.
    pub now_ms: i64,
}

impl Case {
    /// As policy takes it.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            principal: &self.principal,
            client: &self.client,
            transport: &self.transport,
            address: self.address,
            action: self.action(),
            method: self.method.as_str(),
            subject: Some(Subject {
                kind: self.kind,
                server: &self.server,
                name: &self.name,
                qualified: &self.qualified,
                effects: &self.effects,
                reviewed: self.reviewed,
                labels: &self.labels,
                shape: self.shape.as_ref(),
            }),
            arguments: Arguments::Known(&self.arguments),
            history: &self.history,
            now_ms: self.now_ms,
        }
    }

    /// What is to be done.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.method.classify()
    }
}

/// In what a call on record may differ from the one that was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Something was taken out of subject or arguments before they went on record.
    pub redacted: bool,
    /// What happened before is not on record, since no rule asked about it.
    pub no_history: bool,
}

/// Why a call on record cannot be decided again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unusable {
    /// It was refused before it was decided, or recorded by an older Tagout.
    #[error("no facts on record: it never came to a decision, or an older Tagout recorded it")]
    NoFacts,
    /// Arguments of more than 256 KiB are not kept.
    #[error("its arguments are too large to be on record")]
    LeftOut,
    /// The payload was erased.
    #[error("its arguments were erased")]
    Erased,
    /// The payload is not what was recorded.
    #[error("its arguments were changed after they were recorded")]
    Changed,
    /// The facts are of a newer Tagout.
    #[error("its facts cannot be read: a newer Tagout may have recorded them")]
    Unreadable,
}

#[derive(Deserialize)]
struct Beside<'a> {
    #[serde(borrow)]
    arguments: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow)]
    facts: Option<&'a serde_json::value::RawValue>,
}

impl Case {
    /// The call of a record as it was decided, and in what it may differ from that.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn of(begin: &Begun, payload: &Payload) -> Result<(Self, Doubts), Unusable> {
        let text = match payload {
            Payload::None => return Err(Unusable::NoFacts),
            Payload::Erased => return Err(Unusable::Erased),
            Payload::Changed => return Err(Unusable::Changed),
            Payload::Present(text) => text,
        };
        let beside: Beside<'_> = serde_json::from_str(text).map_err(|_| Unusable::Unreadable)?;
        let facts = beside.facts.ok_or(Unusable::NoFacts)?;
        let recorded: Recorded =
            serde_json::from_str(facts.get()).map_err(|_| Unusable::Unreadable)?;
        let arguments = beside.arguments.ok_or(Unusable::LeftOut)?;
        recorded.case(begin, arguments.get()).ok_or(Unusable::Unreadable)
    }
}

impl Recorded {
    fn case(self, begin: &Begun, arguments: &str) -> Option<(Case, Doubts)> {
        let method = Method::parse(&begin.method)?;
        let server = begin.server.clone()?;
        let qualified = self.qualified.or_else(|| begin.subject.clone())?;
        let name = self.name.unwrap_or_else(|| usual_name(&server, &qualified).to_owned());
        let shape = self.shape.as_deref().map(Shape::from_str).transpose().ok()?;
        let doubts = Doubts { redacted: self.redacted, no_history: self.history.is_none() };
        let history = self.history.map(serde_json::from_value).transpose().ok()?;
        let document = composed(arguments).ok()?;
        let arguments = if self.whole {
            rules_see(method, document.root()).ok()?
        } else {
            document.root().to_tree().ok()?
        };
        let origin = begin.origin.as_ref();
        let case = Case {
            principal: begin.principal.clone()?,
            client: origin.map_or("unnamed", |origin| &origin.client).to_owned(),
            transport: origin.map_or("", |origin| &origin.transport).to_owned(),
            address: origin.and_then(|origin| origin.address),
            method,
            kind: self.kind.subject(),
            server,
            name,
            qualified,
            effects: self.effects,
            reviewed: self.reviewed,
            labels: self.labels.labels(),
            shape,
            arguments,
            history: history.unwrap_or_default(),
            now_ms: self.now_ms,
        };
        Some((case, doubts))
    }
}
