//! Questions to the person: the gateway's own, and servers'.
use rmcp::model::{ElicitRequestParams, ElicitResult, ElicitationAction};
use serde_json::{Value, json};

use crate::{ApprovalAnswer, ApprovalCard, ApprovalScope, Form, FormAnswer, Visit, VisitAnswer};

/// A question, by who puts it.
pub(crate) enum Asked {
    /// The gateway: a call waits for approval.
    Approval(ApprovalCard),
    /// A server, by a form.
    Form(Form),
    /// A server, by a URL.
    Visit(Visit),
    /// In a way that is not known here.
    Unknown,
}

/// The gateway's mark on what it asks itself; it takes the like out of what servers say.
const CARD: &str = "tagout/card";

pub(crate) fn read(request: ElicitRequestParams) -> Asked {
    let Ok(request) = serde_json::to_value(&request) else { return Asked::Unknown };
    let text =
        |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(card) = request.pointer("/_meta").and_then(|meta| meta.get(CARD)) {
        return Asked::Approval(approval_card(card, text("message")));
    }
    match request.get("mode").and_then(Value::as_str) {
        Some("form") | None => {
            let schema = request.get("requestedSchema").cloned().unwrap_or_default();
            Asked::Form(Form { message: text("message"), schema })
        }
        Some("url") => {
            Asked::Visit(Visit { message: text("message"), url: text("url"), host: String::new() })
        }
        Some(_) => Asked::Unknown,
    }
}

fn approval_card(card: &Value, text: String) -> ApprovalCard {
    let member = |name: &str| card.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let scopes = card.get("scopes").and_then(Value::as_array).into_iter().flatten();
    let scope = |scope: &Value| match scope.as_str() {
        Some("conversation") => Some(ApprovalScope::Conversation),
        Some("always") => Some(ApprovalScope::Always),
        Some(_) | None => None,
    };
    let scopes = scopes.filter_map(scope).collect();
    ApprovalCard { text, tool: member("tool"), digest: member("digest"), scopes }
}

/// The answer to a card.
pub(crate) fn approval(answer: &ApprovalAnswer) -> ElicitResult {
    let decision = match answer {
        ApprovalAnswer::Once => "approve",
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
