//! A person decides whether a server may ask: the client's own user, who sees all of the question.
use tagout_assertion::ApprovedBy;
use tagout_policy::{Decision, Effect, Effects, Given, Verdict};
use tagout_proto::{Digest, Method};

use super::judged;
use crate::{
    approval::{Answer, Card, demand, elicited, people_in_words, readable},
    lane::{Lane, Speaker},
    upstream::composed,
};

/// What became of asking: where, and by whom the yes came; or in a word what came in its place.
pub(super) type Asked = Result<(&'static str, String), (&'static str, &'static str)>;

/// Puts the question that a server has to the client's user first. Other people's word cannot be
/// had here: it is about what this user's model or folders tell.
pub(super) async fn asked(
    lane: &Lane,
    speaker: &Speaker,
    (method, params): (Method, &str),
    verdict: &Verdict,
) -> Asked {
    let own = Given { own: true, ..Given::NONE };
    let mut code = [0; 2];
    let can_be_asked = verdict.demand.as_ref().is_none_or(demand::own_word_does);
    if !can_be_asked || getrandom::fill(&mut code).is_err() {
        return Err(("none", "none"));
    }
    let card = card(lane, speaker, (method, params), (verdict, hex::encode(code)));
    let (gateway, session) = (lane.gateway(), lane.session());
    let limit = gateway.config.limits.approval;
    let (how, answer) = if session.capabilities().elicits_in_forms {
        ("elicitation", elicited(lane, &card, limit).await)
    } else if session.transport() == "http" {
        // The terminal, if there is one, belongs to whoever started the gateway.
        ("none", Answer::Nobody)
    } else {
        (gateway.approver.channel(), gateway.approver.ask(&card, limit).await)
    };
    match answer {
        Answer::Allow | Answer::AllowFor(_) => {}
        Answer::Deny => return Err((how, "deny")),
        Answer::Nobody => return Err(("none", "none")),
        Answer::TimedOut => return Err((how, "none")),
    }
    // The last word is the rules', as they are once somebody has said yes.
    let verdict =
        judged(lane, speaker, (method, params), |policy, facts| policy.allows(facts, &own));
    match verdict.decision {
        Decision::Allow => {
            let user = session.principal().user.to_string();
            let by = ApprovedBy { user, approver: None, channel: how.to_owned() };
            Ok((how, people_in_words(&[by])))
        }
        Decision::Ask | Decision::Deny => Err((how, "none")),
    }
}

fn card(
    lane: &Lane,
    speaker: &Speaker,
    (method, params): (Method, &str),
    (verdict, code): (&Verdict, String),
) -> Card {
    let session = lane.session();
    let user = session.principal().user.to_string();
    let client = session.opened().map(|opened| opened.origin.client.to_string());
    let shown = composed(params).map(|document| readable(document.root()));
    let subject = if method == Method::SamplingCreateMessage {
        format!("a question to your model ({method})")
    } else {
        format!("a question to you ({method})")
    };
    Card {
        client: client.unwrap_or_default(),
        server: speaker.server.to_string(),
        subject,
        effects: Effects::from([Effect::Read]),
        reviewed: speaker.reviewed,
        labels: Vec::new(),
        rule: verdict.rule.clone(),
        reason: verdict.reason.clone(),
        demand: demand::in_words(&Given { own: true, ..Given::NONE }, &user),
        arguments: shown.unwrap_or_else(|_| params.to_owned()),
        beside: String::new(),
        traced: String::new(),
        told: Vec::new(),
        changes: String::new(),
        digest: Digest::of(params.as_bytes()),
        question: None,
        scopes: Vec::new(),
        tool: String::new(),
        code,
        user,
    }
}
