//! The client's own form.
use std::time::Duration;

use tagout_proto::{Method, quoted};
use tagout_store::Scope;

use super::{Answer, Card};
use crate::{lane::Lane, upstream::composed};

/// The key of `_meta` by which a host knows the gateway's own form, and what it is about. What
/// servers say under it reaches no client.
const CARD: &str = "tagout/card";

/// Asks the client's user, by the client's own form. No answer is filled in beforehand: a client
/// that accepts without asking approves nothing.
pub(crate) async fn elicited(lane: &Lane, card: &Card, limit: Duration) -> Answer {
    let asking = lane.put(Method::ElicitationCreate, form(card));
    let Ok(answer) = tokio::time::timeout(limit, asking).await else { return Answer::TimedOut };
    let Some(answer) = answer else { return Answer::Nobody };
    let document = answer.ok().and_then(|text| composed(&text).ok());
    let said = document.and_then(|document| {
        let root = document.root();
        let accepted = root.get("action")?.text()? == "accept";
        let decision = root.get("content")?.get("decision")?.text()?;
        if accepted { meant_by(&decision, card) } else { None }
    });
    said.unwrap_or(Answer::Deny)
}

/// The form's parameters.
fn form(card: &Card) -> String {
    let mut decisions = vec![quoted("deny"), quoted("approve")];
    let mut words = "approve: this call is made once, exactly as shown".to_owned();
    for scope in offered(card) {
        let decision = decision_for(scope);
        decisions.push(quoted(&decision));
        let long = match scope {
            Scope::Once => "once",
            Scope::Conversation => "for this conversation",
            Scope::Always => "always",
        };
        words.push_str(&format!("; {decision}: just these arguments, {long}"));
    }
    let (message, words, decisions) =
        (quoted(&card.for_a_form()), quoted(&words), decisions.join(","));
    format!(
        r#"{{"message":{message},"requestedSchema":{{"type":"object","properties":{{"decision":{{"type":"string","title":"Decision","description":{words},"enum":[{decisions}]}}}},"required":["decision"]}},"_meta":{{"{CARD}":{}}}}}"#,
        about(card)
    )
}

/// What the form is about, for hosts that show more than a form.
fn about(card: &Card) -> String {
    let scopes: Vec<_> = offered(card).map(|scope| quoted(scope.as_str())).collect();
    format!(
        r#"{{"tool":{},"server":{},"subject":{},"digest":{},"scopes":[{}]}}"#,
        quoted(&card.tool),
        quoted(&card.server),
        quoted(&card.subject),
        quoted(&card.digest.to_string()),
        scopes.join(",")
    )
}

/// For how much the card offers to approve beside once.
fn offered(card: &Card) -> impl Iterator<Item = Scope> {
    card.scopes.iter().copied().filter(|scope| *scope != Scope::Once)
}

fn decision_for(scope: Scope) -> String {
    format!("approve-{}", scope.as_str())
}

/// What an answer means of what the card offers; nothing where it means none of that.
fn meant_by(decision: &str, card: &Card) -> Option<Answer> {
    if decision == "approve" {
        return Some(Answer::Allow);
    }
    offered(card).find(|scope| decision_for(*scope) == decision).map(Answer::AllowFor)
}
