//! Where policy asks for it, a person approves.
use std::time::Duration;

use tagout_policy::{Decision, Policy};
use tagout_proto::{Digest, Method, Value, quoted};

use super::decide::Decided;
use crate::{
    Gateway,
    approval::{Answer, Card, readable},
    lane::Lane,
    refusal::Refusal,
    stage::{
        forward::{Input, outgoing_params},
        inspect::{Inspected, Target},
    },
    upstream::{binding, composed},
};

/// A call that may be made, once.
#[derive(Debug)]
#[must_use = "an authorised call that is never made is a refusal nobody sees"]
pub struct Authorised {
    decided: Decided,
    approval: Option<Approval>,
}

/// A person's yes, and what it binds to.
#[derive(Clone, Debug)]
pub struct Approval {
    /// Where it was given: `terminal`, `elicitation`; `earlier` in the same call.
    pub channel: &'static str,
    /// Who gave it.
    pub by: String,
    /// Server, definition, arguments, principal and policy version, all in one.
    pub digest: Digest,
    /// The same without what a server asked for in the meantime.
    base: Digest,
}

impl Approval {
    /// What later requests of the same call have to match: only what the client's own user said
    /// yes to carries over, since the same user answers what the server asks.
    pub(crate) fn carries(&self) -> Option<Digest> {
        matches!(self.channel, "elicitation" | "earlier").then_some(self.base)
    }
}

/// Passes what policy allows; asks about what it wants asked, and waits at most `limit`.
///
/// # Errors
/// [`Refusal::NotApproved`], [`Refusal::NobodyToAsk`], [`Refusal::Unapproved`].
pub(crate) async fn approve(
    decided: Decided,
    gateway: &Gateway,
    limit: Duration,
) -> Result<Authorised, Refusal> {
    if decided.verdict().decision == Decision::Allow {
        return Ok(Authorised { decided, approval: None });
    }
    let digest = binding_of(decided.inspected(), decided.policy());
    let by = decided.inspected().identified().principal().user.to_string();
    let base = base_of(decided.inspected(), decided.policy());
    if was_approved(decided.inspected(), base) {
        let approval = Approval { channel: "earlier", by, digest, base };
        return Ok(Authorised { decided, approval: Some(approval) });
    }
    let rule = decided.verdict().rule.clone();
    let mut code = [0; 2];
    if getrandom::fill(&mut code).is_err() {
        return Err(Refusal::NobodyToAsk { rule });
    }
    let [high, low] = code;
    let card = card(&decided, digest, format!("{high:02x}{low:02x}"));
    let identified = decided.inspected().identified();
    let session = identified.session();
    let (how, answer) = if session.capabilities().elicits_in_forms {
        ("elicitation", elicited(identified.lane(), &card, limit).await)
    } else if session.transport() == "http" {
        // The terminal, if there is one, belongs to whoever started the gateway.
        ("none", Answer::Nobody)
    } else {
        let approver = &gateway.approver;
        (approver.channel(), approver.ask(&card, limit).await)
    };
    match answer {
        Answer::Allow => {
            let approval = Approval { channel: how, by, digest, base };
            Ok(Authorised { decided, approval: Some(approval) })
        }
        Answer::Deny => Err(Refusal::NotApproved { rule, how }),
        Answer::Nobody => Err(Refusal::NobodyToAsk { rule }),
        Answer::TimedOut => Err(Refusal::Unapproved { rule, waited: limit, how }),
    }
}

/// Asks the client's user, by the client's own form. No answer is filled in beforehand: a client
/// that accepts without asking approves nothing.
async fn elicited(lane: &Lane, card: &Card, limit: Duration) -> Answer {
    let message = quoted(&card.for_a_form());
    let params = format!(
        r#"{{"message":{message},"requestedSchema":{{"type":"object","properties":{{"decision":{{"type":"string","title":"Decision","description":"approve: this call is made once, exactly as shown","enum":["deny","approve"]}}}},"required":["decision"]}}}}"#
    );
    let asking = lane.put(Method::ElicitationCreate, params);
    let Ok(answer) = tokio::time::timeout(limit, asking).await else { return Answer::TimedOut };
    let Some(answer) = answer else { return Answer::Nobody };
    let document = answer.ok().and_then(|text| composed(&text).ok());
    let said = document.and_then(|document| {
        let root = document.root();
        let accepted = root.get("action")?.text()? == "accept";
        let decision = root.get("content")?.get("decision")?.text()?;
        (accepted && decision == "approve").then_some(Answer::Allow)
    });
    said.unwrap_or(Answer::Deny)
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

/// What an approval of this call binds to.
pub(crate) fn binding_of(inspected: &Inspected, policy: &Policy) -> Digest {
    bound_to(inspected, policy, inspected.input())
}

/// The same without what a server asked for in earlier requests of the call.
fn base_of(inspected: &Inspected, policy: &Policy) -> Digest {
    bound_to(inspected, policy, None)
}

fn bound_to(inspected: &Inspected, policy: &Policy, input: Option<&Input>) -> Digest {
    let identified = inspected.identified();
    let call = identified.call();
    // All that is sent, not the arguments alone; the progress token is of each hop.
    let params = outgoing_params(call.params(), inspected.target(), None, input);
    let server = inspected.server().map_or("", |server| server.as_str());
    let subject = inspected.target().described();
    let definition = inspected.definition().map(|digest| *digest.as_bytes()).unwrap_or_default();
    binding(&[
        server.as_bytes(),
        call.method().as_str().as_bytes(),
        subject.1.as_bytes(),
        &definition,
        params.as_bytes(),
        identified.principal().user.as_bytes(),
        policy.version().as_bytes(),
    ])
}

fn card(decided: &Decided, digest: Digest, code: String) -> Card {
    let inspected = decided.inspected();
    let identified = inspected.identified();
    let (_, subject, _, reviewed) = inspected.target().described();
    let params = identified.call().params();
    let arguments = params.and_then(|params| params.get("arguments"));
    let beside = params.map(|params| beside_arguments(params, inspected));
    Card {
        user: identified.principal().user.to_string(),
        client: identified.origin().client.to_string(),
        server: inspected.server().map(ToString::to_string).unwrap_or_default(),
        subject: subject.to_owned(),
        effects: inspected.effects(),
        reviewed,
        rule: decided.verdict().rule.clone(),
        reason: decided.verdict().reason.clone(),
        arguments: arguments.map_or_else(|| "{}".to_owned(), |a: Value<'_>| readable(a)),
        beside: beside.filter(|beside| beside != "{}").unwrap_or_default(),
        digest,
        code,
    }
}

/// What the server gets beside name and arguments, for people.
fn beside_arguments(params: Value<'_>, inspected: &Inspected) -> String {
    let sent = outgoing_params(Some(params), inspected.target(), None, inspected.input());
    let Ok(document) = composed(&sent) else { return sent };
    let beside = document.root().with(&[("name", None), ("arguments", None)]);
    composed(&beside).map_or(beside, |document| readable(document.root()))
}

impl Authorised {
    /// The call, decided.
    #[must_use]
    pub const fn decided(&self) -> &Decided {
        &self.decided
    }

    /// The person's yes, where one was asked for.
    #[must_use]
    pub const fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref()
    }
}
