//! Answers to questions, by the webhook. Who does not sign hears nothing.
use bytes::Bytes;
use serde_json::json;
use tagout_wire::http::{Request, Response, StatusCode};

use super::{Front, json};
use crate::approval::webhook::{BODY_BYTES, NotTaken};

const PATH: &str = "/tagout/approvals/";

impl Front {
    /// The question that a request is an answer to, where a webhook is configured.
    pub(super) fn question_of(&self, request: &Request) -> Option<String> {
        let configured = self.gateway.config.approval.webhook.is_some();
        let id = request.path.strip_prefix(PATH).filter(|_| configured)?;
        (request.method.as_str() == "POST").then(|| id.to_owned())
    }

    /// Takes an answer.
    pub(super) async fn webhook(&self, id: String, request: &mut Request) -> Response {
        let Ok(body) = request.body(BODY_BYTES).await else {
            return Response::empty(StatusCode::UNAUTHORIZED);
        };
        let (gateway, headers) = (std::sync::Arc::clone(&self.gateway), request.headers.clone());
        let taking =
            tokio::task::spawn_blocking(move || gateway.webhook_says(&id, &headers, &body));
        let (status, value) = match taking.await {
            Ok(Ok(answered)) => (StatusCode::OK, json!(answered)),
            Ok(Err(NotTaken::Unsigned)) => return Response::empty(StatusCode::UNAUTHORIZED),
            Ok(Err(NotTaken::Again)) => {
                (StatusCode::CONFLICT, error("webhook-again", "this message was taken before"))
            }
            Ok(Err(NotTaken::Mismatch)) => {
                let why = "what is signed is about another question, or shows something else";
                (StatusCode::BAD_REQUEST, error("webhook-mismatch", why))
            }
            Ok(Err(NotTaken::Malformed(why))) => {
                (StatusCode::BAD_REQUEST, error("webhook-malformed", why))
            }
            Ok(Err(NotTaken::Refused(trouble))) => {
                let status = match trouble.code() {
                    "approval-unknown" => StatusCode::NOT_FOUND,
                    "approval-closed" => StatusCode::CONFLICT,
                    "approver-unknown" => StatusCode::FORBIDDEN,
                    "approval-scope" | "approval-message" => StatusCode::BAD_REQUEST,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                (status, error(trouble.code(), &trouble.to_string()))
            }
            Err(_) => return Response::empty(StatusCode::SERVICE_UNAVAILABLE),
        };
        Response::full(status, json(), Bytes::from(value.to_string()))
    }
}

fn error(code: &str, message: &str) -> serde_json::Value {
    json!({"error": {"code": code, "message": message}})
}
