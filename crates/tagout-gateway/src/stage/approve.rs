//! Where policy asks for it, a person approves.
mod matter;
mod traced;
mod waiting;

use std::time::Duration;

use jiff::Timestamp;
use tagout_assertion::ApprovedBy;
use tagout_policy::{Decision, Given, Policy};
use tagout_proto::{Digest, Value};
use tagout_store::Scope;

use self::matter::{Matter, Yes};
use super::decide::Decided;
use crate::{
    Gateway,
    approval::{Card, demand, readable},
    refusal::Refusal,
    stage::{
        forward::{Input, outgoing_params},
        inspect::{Inspected, Target},
    },
    told::Told,
    upstream::{binding, composed},
};

/// A call that may be made, once.
#[derive(Debug)]
#[must_use = "an authorised call that is never made is a refusal nobody sees"]
pub struct Authorised {
    decided: Decided,
    approval: Option<Approval>,
}

/// A yes of one person or of several, and what it binds to.
#[derive(Clone, Debug)]
pub struct Approval {
    /// Where it was given: `terminal`, `elicitation`, `command`, `webhook`, several of them with a
    /// `+` between; `earlier` in the same call, `granted` with an earlier one.
    pub channel: String,
    /// Who gave it.
    pub by: Vec<ApprovedBy>,
    /// For how much it was meant.
    pub scope: Scope,
    /// The question that it answers, where that was put to others than the client's user.
    pub question: Option<String>,
    /// What policy was told of it.
    pub given: Given,
    /// When the user whose call it is said so to just this call, if that was asked.
    pub own_at: Option<Timestamp>,
    /// Server, definition, all that is sent byte for byte, principal, conversation and policy
    /// version, all in one.
    pub digest: Digest,
    /// The same without what a server asked for in the meantime.
    base: Digest,
}

impl Approval {
    /// What later requests of the same call have to match: only what the client's own user said
    /// yes to carries over, since the same user answers what the server asks.
    pub(crate) fn carries(&self) -> Option<Digest> {
        matches!(self.channel.as_str(), "elicitation" | "earlier").then_some(self.base)
    }
}

/// Passes what policy allows; asks about what it wants asked, and waits at most `limit`.
///
/// # Errors
/// [`Refusal::NotApproved`], [`Refusal::NobodyToAsk`], [`Refusal::Unapproved`],
/// [`Refusal::Denied`], [`Refusal::State`]…
pub(crate) async fn approve(
    decided: Decided,
    gateway: &Gateway,
    limit: Duration,
) -> Result<Authorised, Refusal> {
    if decided.verdict().decision == Decision::Allow {
        return Ok(Authorised { decided, approval: None });
    }
    let (inspected, policy) = (decided.inspected(), decided.policy());
    let digest = binding_of(inspected, policy);
    let base = base_of(inspected, policy);
    let yes = if was_approved(inspected, base) {
        earlier(&decided, gateway)?
    } else {
        Matter::of(&decided, gateway, limit).settled().await?
    };
    let Yes { channel, by, scope, question, given, own_at } = yes;
    let approval = Approval { channel, by, scope, question, given, own_at, digest, base };
    Ok(Authorised { decided, approval: Some(approval) })
}

/// The client's user has approved just this in an earlier request of the same call.
fn earlier(decided: &Decided, gateway: &Gateway) -> Result<Yes, Refusal> {
    let given = Given { own: true, ..Given::NONE };
    let inspected = decided.inspected();
    let policy = decided.policy();
    let verdict = inspected.facts(&gateway.clock, policy, |facts| policy.allows(facts, &given));
    if verdict.decision != Decision::Allow {
        return Err(Refusal::NobodyToAsk { rule: decided.verdict().rule.clone() });
    }
    let user = inspected.identified().principal().user.to_string();
    let by = vec![ApprovedBy { user, approver: None, channel: "earlier".to_owned() }];
    let own_at = inspected.identified().call().held().and_then(|passed| passed.approved_at);
    let channel = "earlier".to_owned();
    Ok(Yes { channel, by, scope: Scope::Once, question: None, given, own_at })
}

/// Whether the client's user approved just this in an earlier request of the call, at a server
/// that has not been started since.
fn was_approved(inspected: &Inspected, base: Digest) -> bool {
    let Some(passed) = inspected.identified().call().held() else { return false };
    let same_start = match inspected.target() {
        Target::Tool { connection, .. } => *connection == passed.connection,
        Target::Session | Target::Resource { .. } | Target::Prompt { .. } | Target::Task { .. } => {
            true
        }
    };
    same_start && passed.approved.as_deref() == Some(&base.to_string())
}

/// What an approval of this call binds to, with all that is sent as it is written.
pub(crate) fn binding_of(inspected: &Inspected, policy: &Policy) -> Digest {
    bound_to(inspected, policy, (sent(inspected, inspected.input()), true))
}

/// The same without what a server asked for in earlier requests of the call.
fn base_of(inspected: &Inspected, policy: &Policy) -> Digest {
    bound_to(inspected, policy, (sent(inspected, None), true))
}

/// What an approval that is kept binds to: the same however what is sent is written, whatever names
/// just this request in it, and with its conversation or without.
fn kept_binding(inspected: &Inspected, policy: &Policy, conversation: bool) -> Digest {
    let sent = sent(inspected, inspected.input());
    let canonical = composed(&sent).and_then(|document| {
        let (bound, _) = traced::parted(document.root());
        composed(&bound).map(|bound| bound.root().canonical())
    });
    bound_to(inspected, policy, (canonical.unwrap_or(sent), conversation))
}

/// All that is sent, not the arguments alone; the progress token is of each hop.
fn sent(inspected: &Inspected, input: Option<&Input>) -> String {
    outgoing_params(inspected.identified().call().params(), inspected.target(), None, input)
}

fn bound_to(
    inspected: &Inspected,
    policy: &Policy,
    (params, conversation): (String, bool),
) -> Digest {
    let identified = inspected.identified();
    let principal = identified.principal();
    let server = inspected.server().map_or("", |server| server.as_str());
    let server_is = inspected.target().upstream().map(|upstream| upstream.identity());
    let (_, subject, _, reviewed) = inspected.target().described();
    let definition = inspected.definition().map(|digest| *digest.as_bytes()).unwrap_or_default();
    let effects: Vec<_> = inspected.effects().iter().map(|effect| effect.as_str()).collect();
    let effects = format!("{} {reviewed}", effects.join(","));
    let conversation = identified.conversation().filter(|_| conversation);
    // Whoever said yes to a call has not said it to one that looks odd, or odd otherwise.
    let held = identified.told().map(Told::bound).unwrap_or_default();
    let version = policy.version();
    let mut parts = vec![
        server.as_bytes(),
        server_is.as_ref().map_or(&[], |digest| digest.as_bytes().as_slice()),
        identified.call().method().as_str().as_bytes(),
        subject.as_bytes(),
        &definition,
        effects.as_bytes(),
        params.as_bytes(),
        principal.user.as_bytes(),
        principal.authenticated_by.as_bytes(),
        conversation.map_or("", |conversation| conversation.as_str()).as_bytes(),
        version.as_bytes(),
    ];
    if !held.is_empty() {
        parts.push(held.as_bytes());
    }
    binding(&parts)
}

/// What a person is shown of the call, but for what is of each asking.
fn card(decided: &Decided, digest: Digest) -> Card {
    let inspected = decided.inspected();
    let identified = inspected.identified();
    let (_, subject, qualified, reviewed) = inspected.target().described();
    let params = identified.call().params();
    let arguments = params.and_then(|params| params.get("arguments"));
    let (beside, traced) =
        params.map(|params| beside_arguments(params, inspected)).unwrap_or_default();
    let user = identified.principal().user.to_string();
    let demand = decided.verdict().demand.as_ref();
    Card {
        client: identified.origin().client.to_string(),
        server: inspected.server().map(ToString::to_string).unwrap_or_default(),
        subject: subject.to_owned(),
        effects: inspected.effects(),
        reviewed,
        labels: labels(inspected),
        rule: decided.verdict().rule.clone(),
        reason: decided.verdict().reason.clone(),
        demand: demand.map_or_else(|| user.clone(), |demand| demand::in_words(demand, &user)),
        arguments: arguments.map_or_else(|| "{}".to_owned(), |a: Value<'_>| readable(a)),
        beside,
        traced,
        told: identified.told().map(Told::lines).unwrap_or_default(),
        changes: String::new(),
        digest,
        question: None,
        scopes: Vec::new(),
        code: String::new(),
        tool: qualified.to_owned(),
        user,
    }
}

/// What the review says of a tool beside its effects.
fn labels(inspected: &Inspected) -> Vec<String> {
    let (labels, _) = inspected.target().review();
    let (_, _, _, reviewed) = inspected.target().described();
    if !reviewed {
        return Vec::new();
    }
    let mut words = Vec::new();
    let mut say = |holds: bool, words_for: &str| {
        if holds {
            words.push(words_for.to_owned());
        }
    };
    say(labels.untrusted, "its results may have been written by anybody");
    say(labels.sensitive, "its results are not for everybody");
    say(labels.may_leave, "what it is given may leave the organisation");
    let named = |names: &std::collections::BTreeSet<String>| {
        names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    say(
        !labels.destinations.is_empty(),
        &format!("arguments that say where something goes: {}", named(&labels.destinations)),
    );
    say(
        !labels.payloads.is_empty(),
        &format!("arguments that hold what goes there: {}", named(&labels.payloads)),
    );
    words
}

/// What the server gets beside name and arguments, for people; and what names just this request.
fn beside_arguments(params: Value<'_>, inspected: &Inspected) -> (String, String) {
    let sent = outgoing_params(Some(params), inspected.target(), None, inspected.input());
    let Ok(document) = composed(&sent) else { return (sent, String::new()) };
    let beside = document.root().with(&[("name", None), ("arguments", None)]);
    let Ok(beside) = composed(&beside) else { return (beside, String::new()) };
    let (beside, traced) = traced::parted(beside.root());
    let shown = |text: String| composed(&text).map_or(text, |document| readable(document.root()));
    let beside = Some(beside).filter(|beside| beside != "{}").map(shown);
    (beside.unwrap_or_default(), traced.map(shown).unwrap_or_default())
}

impl Authorised {
    /// The call, decided.
    #[must_use]
    pub const fn decided(&self) -> &Decided {
        &self.decided
    }

    /// The yes, where one was asked for.
    #[must_use]
    pub const fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref()
    }
}
