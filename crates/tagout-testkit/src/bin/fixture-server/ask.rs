//! Asking the client for something in the middle of a request: by requests of the server's own in
//! the legacy era, by an input-required result in the modern one.
use std::time::Duration;

use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientCapabilities, InputRequests, InputRequiredResult, InputResponses, SealOptions,
        ServerRequest,
    },
    service::{PeerRequestOptions, RequestContext, ServiceError},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{era::is_modern, handler::Shared, template::fill_all};

/// How long a client may think about a question of the legacy era.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked, by key.
pub(crate) type Inputs = Map<String, Value>;

/// Rounds of questions.
pub(crate) struct Questions<'a> {
    /// Whose they are: state that was made for another is not taken.
    pub(crate) owner: &'a str,
    pub(crate) rounds: &'a [Inputs],
    /// Whether what is known so far travels with the client, under a seal.
    pub(crate) sealed: bool,
    /// Whether only what the client can do is asked, rather than all or nothing.
    pub(crate) possible_only: bool,
    /// What the questions' places are filled with.
    pub(crate) data: &'a Value,
}

/// What a client brought back from an earlier round.
pub(crate) struct Brought {
    pub(crate) responses: Option<InputResponses>,
    pub(crate) state: Option<String>,
}

/// How asking went.
pub(crate) enum Asked {
    /// All answers, by key.
    Answered(Inputs),
    /// The client has to come back.
    Open(Box<InputRequiredResult>),
}

/// What travels with the client.
#[derive(Serialize, Deserialize)]
struct State {
    round: usize,
    answers: Inputs,
}

impl Questions<'_> {
    /// Asks whatever the client has not answered yet.
    pub(crate) async fn ask(
        &self,
        shared: &Shared,
        brought: Brought,
        context: &RequestContext<RoleServer>,
    ) -> Result<Asked, ErrorData> {
        if is_modern(context) {
            self.ask_by_result(shared, brought, context)
        } else {
            self.ask_by_requests(context).await.map(Asked::Answered)
        }
    }

    fn ask_by_result(
        &self,
        shared: &Shared,
        brought: Brought,
        context: &RequestContext<RoleServer>,
    ) -> Result<Asked, ErrorData> {
        let mut state = State { round: 0, answers: Inputs::new() };
        let mut responses = brought.responses.unwrap_or_default();
        match brought.state {
            Some(sealed) if self.sealed => state = self.opened(shared, &sealed)?,
            // Answers to a question that this state does not say was asked.
            _ if self.sealed => responses.clear(),
            _ => {}
        }
        if let Some(asked) = self.rounds.get(state.round) {
            let asked = self.possible(asked, context)?;
            let answers = asked.iter().map(|(key, request)| {
                let answer = responses.remove(key).filter(|answer| fits(request, answer))?;
                Some((key.clone(), answer))
            });
            if let Some(answers) = answers.collect::<Option<Inputs>>() {
                state.answers.extend(answers);
                state.round += 1;
            }
        }
        let Some(next) = self.rounds.get(state.round) else {
            return Ok(Asked::Answered(state.answers));
        };
        let next = fill_all(&Value::Object(self.possible(next, context)?), self.data);
        let requests: InputRequests = typed(next)?;
        let sealed = self.sealed.then(|| self.seal(shared, &state)).transpose()?;
        Ok(Asked::Open(Box::new(InputRequiredResult::new(Some(requests), sealed))))
    }

    /// One round after the other, and in a round all at once.
    async fn ask_by_requests(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Result<Inputs, ErrorData> {
        let mut answers = Inputs::new();
        for round in self.rounds {
            let mut waiting = Vec::new();
            for (key, request) in self.possible(round, context)? {
                let request: ServerRequest = typed(fill_all(&request, self.data))?;
                let options = PeerRequestOptions::with_timeout(PATIENCE);
                let sent = context.peer.send_request_with_option(request, options).await;
                waiting.push((key.clone(), sent.map_err(|error| unanswered(&key, &error))?));
            }
            for (key, handle) in waiting {
                let answer = handle.await_response().await;
                let answer = answer.map_err(|error| unanswered(&key, &error))?;
                answers.insert(key, serde_json::to_value(answer).map_err(internal)?);
            }
        }
        Ok(answers)
    }

    /// The inputs that this client can answer.
    fn possible(
        &self,
        inputs: &Inputs,
        context: &RequestContext<RoleServer>,
    ) -> Result<Inputs, ErrorData> {
        let declared = declared(context);
        let needs = |request: &Value| capability(request).filter(|it| declared.get(it).is_none());
        let missing: Map<_, _> =
            inputs.values().filter_map(needs).map(|it| (it.to_owned(), json!({}))).collect();
        let mut possible = inputs.clone();
        possible.retain(|_, request| needs(request).is_none());
        if missing.is_empty() || (self.possible_only && !possible.is_empty()) {
            return Ok(possible);
        }
        let missing = Value::Object(missing);
        if is_modern(context) {
            Err(ErrorData::missing_required_client_capability(typed(missing)?))
        } else {
            Err(ErrorData::invalid_request(format!("the client does not declare {missing}"), None))
        }
    }

    fn seal(&self, shared: &Shared, state: &State) -> Result<String, ErrorData> {
        let bound = SealOptions::new().associated_data(self.owner.as_bytes());
        shared.seal.seal_json_with(state, &bound).map_err(internal)
    }

    fn opened(&self, shared: &Shared, sealed: &str) -> Result<State, ErrorData> {
        let opened = shared.seal.open_json_with(sealed, self.owner.as_bytes());
        opened.map_err(|_| ErrorData::invalid_params("this requestState is not of this tool", None))
    }
}

/// What this client says it can do.
fn declared(context: &RequestContext<RoleServer>) -> Value {
    let capabilities: Option<ClientCapabilities> = context.client_capabilities();
    capabilities.and_then(|it| serde_json::to_value(it).ok()).unwrap_or_default()
}

/// The capability that answering takes.
fn capability(request: &Value) -> Option<&'static str> {
    match request.get("method")?.as_str()? {
        "elicitation/create" => Some("elicitation"),
        "sampling/createMessage" => Some("sampling"),
        "roots/list" => Some("roots"),
        _ => None,
    }
}

/// Whether `answer` is one to `request` at all.
fn fits(request: &Value, answer: &Value) -> bool {
    match capability(request) {
        Some("elicitation") => {
            let action = answer.get("action").and_then(Value::as_str);
            matches!(action, Some("accept" | "decline" | "cancel"))
        }
        Some("sampling") => answer.get("content").is_some(),
        Some("roots") => answer.get("roots").is_some_and(Value::is_array),
        Some(_) | None => false,
    }
}

fn unanswered(key: &str, error: &ServiceError) -> ErrorData {
    ErrorData::internal_error(format!("`{key}`: {error}"), None)
}

pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(internal)
}

pub(crate) fn internal(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
