//! Tasks in answers, by the names that clients know them by; and what tasks ask.
use std::time::Instant;

use tagout_proto::{Action, Frame, Message, Method, Value, quoted};

use super::super::{ask, decide::Decided, inspect::Target};
use crate::{lane::Lane, refusal::Refusal};

/// How a task stands from which nothing more comes.
const FINAL: [&str; 3] = ["completed", "failed", "cancelled"];
/// Questions that are taken from one task.
const QUESTIONS: usize = 16;

/// The answer of a server that may speak of a task, for a client: nothing if it does not. A task that
/// begins keeps the places of its call until the server says that it is over.
///
/// # Errors
/// The task asks what may not be asked.
pub(super) async fn named(
    answer: &Frame,
    decided: &Decided,
    lane: &Lane,
) -> Result<Option<String>, Refusal> {
    let Message::Response { outcome: Ok(result), .. } = answer.message() else { return Ok(None) };
    let inspected = decided.inspected();
    let method = inspected.identified().call().method();
    let begins = result.get("resultType").is_some_and(|t| t.text().as_deref() == Some("task"));
    if !begins && method.classify() != Action::FollowTask {
        return Ok(None);
    }
    let id = result.get("taskId").and_then(|id| id.text());
    let name = id.zip(inspected.server()).map(|(id, server)| {
        let principal = inspected.identified().principal();
        lane.gateway().tasks.name(principal, server, &id)
    });
    let status = result.get("status").and_then(|status| status.text());
    let is_over = status.is_some_and(|status| FINAL.contains(&status.as_ref()));
    let tasks = &lane.gateway().limits.tasks;
    match (&name, inspected.target()) {
        (Some(name), _) if begins && !is_over => {
            tasks.goes_on(name.clone(), decided.permit(), Instant::now());
        }
        // Whatever it is called in the answer.
        (_, Target::Task { upstream, id }) if is_over => {
            let principal = inspected.identified().principal();
            tasks.over(&lane.gateway().tasks.name(principal, upstream.name(), id));
        }
        _ => {}
    }
    let name = name.as_deref().map(quoted);
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
