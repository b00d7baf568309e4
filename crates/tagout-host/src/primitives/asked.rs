//! Questions to the person: the gateway's own, and servers'.
use rmcp::{
    ErrorData,
    model::{ElicitRequestParams, ElicitResult, ElicitationAction},
};
use serde_json::{Map, Value, json};

use super::{form, visit};
use crate::{ApprovalAnswer, ApprovalCard, ApprovalScope, Form, FormAnswer, Visit, VisitAnswer};

/// A question, by who puts it.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The gateway: a call waits for approval.
    Approval(ApprovalCard),
    /// A server, by a form.
    Form(Form),
    /// A server, by a URL.
    Visit(Visit),
}

/// The gateway's mark on what it asks itself; it takes the like out of what servers say.
const CARD: &str = "tagout/card";

/// The longest message that a person is shown; the gateway's own bound is about the same.
const MESSAGE_BYTES: usize = 256 << 10;

/// Reads a question. Its `_meta` stands by itself, as the SDK hands it over.
///
/// # Errors
/// It cannot be put to a person as it is meant.
pub(crate) fn read(
    request: &ElicitRequestParams,
    meta: &Map<String, Value>,
) -> Result<Asked, ErrorData> {
    let unreadable = |error: serde_json::Error| bad(error.to_string());
    read_raw(&serde_json::to_value(request).map_err(unreadable)?, meta)
}

/// The same, for what the SDK has no type for.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_raw(request: &Value, meta: &Map<String, Value>) -> Result<Asked, ErrorData> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let message = text("message").ok_or_else(|| bad("there is no message"))?.to_owned();
    if message.len() > MESSAGE_BYTES {
        return Err(bad("the message is longer than what is put to people"));
    }
    if let Some(card) = meta.get(CARD) {
        return Ok(Asked::Approval(approval_card(card, message)));
    }
    match text("mode") {
        Some("form") | None => {
            let schema = request.get("requestedSchema").cloned().unwrap_or_default();
            let fields = form::fields(&schema).map_err(bad)?;
            Ok(Asked::Form(Form { message, schema, fields }))
        }
        Some("url") => {
            let url = text("url").unwrap_or_default();
            visit::read(message, url).map(Asked::Visit).map_err(|error| bad(error.to_string()))
        }
        Some(_) => Err(bad("its mode is not known")),
    }
}

fn bad(problem: impl Into<String>) -> ErrorData {
    ErrorData::invalid_params(format!("the user is not asked: {}", problem.into()), None)
}

fn approval_card(card: &Value, text: String) -> ApprovalCard {
    let member = |name: &str| card.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let scopes = card.get("scopes").and_then(Value::as_array).into_iter().flatten();
    let scope = |scope: &Value| match scope.as_str() {
        Some("conversation") => Some(ApprovalScope::Conversation),
        Some("always") => Some(ApprovalScope::Always),
        Some(_) | None => None,
    };
    let scopes = scopes.filter_map(scope).take(2).collect();
    ApprovalCard { text, tool: member("tool"), digest: member("digest"), scopes }
}

/// The answer to a card. For more than the card offers nobody can say yes.
pub(crate) fn approval(answer: &ApprovalAnswer, offered: &[ApprovalScope]) -> ElicitResult {
    let decision = match answer {
        ApprovalAnswer::Once => "approve",
        ApprovalAnswer::For(scope) if !offered.contains(scope) => "deny",
        ApprovalAnswer::For(ApprovalScope::Conversation) => "approve-conversation",
        ApprovalAnswer::For(ApprovalScope::Always) => "approve-always",
        ApprovalAnswer::Deny { .. } => "deny",
    };
    ElicitResult::new(ElicitationAction::Accept).with_content(json!({"decision": decision}))
}

/// The answer to a form.
pub(crate) fn form(answer: FormAnswer) -> ElicitResult {
    match answer {
        FormAnswer::Accept(content) => {
            ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(content))
        }
        FormAnswer::Decline => ElicitResult::new(ElicitationAction::Decline),
        FormAnswer::Cancel => ElicitResult::new(ElicitationAction::Cancel),
    }
}

/// The answer to a URL.
pub(crate) fn visit(answer: VisitAnswer) -> ElicitResult {
    ElicitResult::new(match answer {
        VisitAnswer::Accept => ElicitationAction::Accept,
        VisitAnswer::Decline => ElicitationAction::Decline,
        VisitAnswer::Cancel => ElicitationAction::Cancel,
    })
}
