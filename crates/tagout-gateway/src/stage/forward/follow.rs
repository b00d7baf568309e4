//! Tasks in answers, by the names that clients know them by; and what tasks ask.
use tagout_proto::{Action, Frame, Message, Method, Value, quoted};

use super::super::{ask, inspect::Inspected};
use crate::{lane::Lane, refusal::Refusal};

/// Questions that are taken from one task.
const QUESTIONS: usize = 16;

/// The answer of a server that may speak of a task, for a client: nothing if it does not.
///
/// # Errors
/// The task asks what may not be asked.
pub(super) async fn named(
    answer: &Frame,
    inspected: &Inspected,
    lane: &Lane,
) -> Result<Option<String>, Refusal> {
    let Message::Response { outcome: Ok(result), .. } = answer.message() else { return Ok(None) };
    let method = inspected.identified().call().method();
    let begins = result.get("resultType").is_some_and(|t| t.text().as_deref() == Some("task"));
    if !begins && method.classify() != Action::FollowTask {
        return Ok(None);
    }
    let id = result.get("taskId").and_then(|id| id.text());
    let name = id.zip(inspected.server()).map(|(id, server)| {
        let principal = inspected.identified().principal();
        quoted(&lane.gateway().tasks.name(principal, server, &id))
    });
    let questions = match result.get("inputRequests") {
        Some(questions) if method == Method::TasksGet => Some(cleared(questions, lane).await?),
        _ => None,
    };
    let mut changes = Vec::new();
    if let Some(name) = &name {
        changes.push(("taskId", Some(name.as_str())));
    }
    if let Some(questions) = &questions {
        changes.push(("inputRequests", Some(questions)));
    }
    Ok((!changes.is_empty()).then(|| result.with(&changes)))
}

/// What a task asks, each looked at, decided and on record.
async fn cleared(questions: Value<'_>, lane: &Lane) -> Result<String, Refusal> {
    let mut cleared = Vec::new();
    for (key, question) in questions.members().take(QUESTIONS) {
        let method = question.get("method").and_then(|method| method.text());
        let method = method.and_then(|method| Method::parse(&method)).unwrap_or(Method::Ping);
        let params = question.get("params").map_or("{}", |params| params.raw());
        let may = ask::clear(lane, method, params).await.map_err(|_| Refusal::AskDenied)?;
        let params = ask::passed(lane, may)?;
        cleared.push(format!(r#"{}:{{"method":"{method}","params":{params}}}"#, quoted(&key)));
    }
    Ok(format!("{{{}}}", cleared.join(",")))
}
