//! The client's own form.
use std::time::Duration;

use tagout_proto::{Method, quoted};

use super::{Answer, Card};
use crate::{lane::Lane, upstream::composed};

/// Asks the client's user, by the client's own form. No answer is filled in beforehand: a client
/// that accepts without asking approves nothing.
pub(crate) async fn elicited(lane: &Lane, card: &Card, limit: Duration) -> Answer {
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
