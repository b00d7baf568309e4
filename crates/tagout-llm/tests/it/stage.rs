//! A stage for providers: a transport that answers what it was given, a clock that stands still, and
//! a way to wait for futures that never wait.
use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use serde_json::{Value, json};
use tagout_llm::{
    Catalogue, Message, Provider as _, ProviderError, Providers, Reach, Remote, StreamEvent,
    ToolSpec, Turn, TurnRequest, WrittenProvider,
    transport::{Chunks, Clock, HttpAnswer, HttpRequest, Transport, TransportError, Waiting},
};
use tagout_proto::Secret;

/// Rows of one's own, for dialects without a provider that everybody knows.
const CONFIGURED: &str = r#"
[house]
url = "https://llm.house.example/v1/"
wire = "openai-chat"
key = "env://HOUSE"
images = true
[mistral]
images = true
[llamacpp]
images = true
[lmstudio]
suffix = "Answer briefly."
[ollama-vision]
url = "http://localhost:11434"
wire = "ollama"
images = true
"#;

pub(crate) const KEY: &str = "the-key";

pub(crate) fn providers() -> Providers {
    let written: std::collections::BTreeMap<String, WrittenProvider> =
        toml::from_str(CONFIGURED).unwrap();
    Providers::new(Catalogue::shipped().unwrap(), written).unwrap()
}

/// One answer, in the pieces that it comes in.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) pieces: Vec<Vec<u8>>,
}

/// What was sent, without secrets.
pub(crate) struct Sent {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

/// Answers in order, and remembers.
#[derive(Default)]
pub(crate) struct Stage {
    pub(crate) answers: Mutex<VecDeque<Result<Given, TransportError>>>,
    pub(crate) sent: Mutex<Vec<Sent>>,
    pub(crate) waits: Mutex<Vec<Duration>>,
}

impl Stage {
    pub(crate) fn give(&self, given: Given) {
        self.answers.lock().unwrap().push_back(Ok(given));
    }
}

impl Transport for Stage {
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
    ) -> Waiting<'a, Result<HttpAnswer, TransportError>> {
        let shown = |value: &tagout_llm::transport::HeaderText| {
            let text = format!("{value:?}");
            assert!(!text.contains(KEY));
            value.expose().replace(KEY, "KEY")
        };
        assert!(!request.url.contains(KEY), "a key in the URL");
        assert!(!format!("{request:?}").contains(KEY), "a key in the debug form");
        self.sent.lock().unwrap().push(Sent {
            url: request.url.clone(),
            headers: request.headers.iter().map(|(k, v)| ((*k).to_owned(), shown(v))).collect(),
            body: serde_json::from_slice(&request.body).unwrap_or_default(),
        });
        let answer = self.answers.lock().unwrap().pop_front();
        let answer = answer.expect("one request more than there are answers");
        Box::pin(std::future::ready(answer.map(|given| {
            let body: Box<dyn Chunks> = Box::new(given.pieces.into_iter());
            HttpAnswer { status: given.status, headers: given.headers, body }
        })))
    }
}

impl Clock for Stage {
    fn now_s(&self) -> i64 {
        1000
    }

    fn sleep(&self, wait: Duration) -> Waiting<'_, ()> {
        self.waits.lock().unwrap().push(wait);
        Box::pin(std::future::ready(()))
    }

    fn jitter(&self) -> f64 {
        0.5
    }
}

/// The model behind this stage.
pub(crate) fn remote(model: &str, stage: &Arc<Stage>) -> Remote {
    let providers = providers();
    let model: tagout_llm::ModelId = model.parse().unwrap();
    let row = providers.find(model.provider()).unwrap().clone();
    let entry = providers.catalogue.find(&model).cloned();
    let key = row.key.as_ref().map(|_| Secret::new(KEY.to_owned()));
    let (transport, clock) = (Arc::clone(stage) as _, Arc::clone(stage) as _);
    Remote::new(row, model, entry, Reach { key, transport, clock })
}

pub(crate) fn turn(
    remote: &Remote,
    messages: &[Message],
    tools: &[ToolSpec],
) -> (Vec<StreamEvent>, Result<Turn, ProviderError>) {
    let mut events = Vec::new();
    let turn = ready(remote.stream(TurnRequest::new(messages, tools), &mut events));
    (events, turn)
}

/// The output of a future that has nothing to wait for.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// The tools that the exchanges offer: a plain one, one without arguments, and one whose name and
/// whose property have to be fitted.
pub(crate) fn offered() -> Vec<ToolSpec> {
    let tool = |name: &str, description: &str, input_schema: Value| ToolSpec {
        name: name.into(),
        title: None,
        description: Some(description.into()),
        input_schema,
        output_schema: None,
    };
    let load = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object", "required": ["region"],
        "properties": {
            "region": {"type": "string", "enum": ["north", "south"]},
            "hours": {"type": "integer", "minimum": 1, "exclusiveMaximum": 100, "x-unit": "h"},
        },
    });
    let read = json!({
        "type": "object", "required": ["path"], "anyOf": [{"required": ["path"]}],
        "properties": {
            "path": {"type": "string", "pattern": "^[a-z.]+$", "description": "Where."},
            "max bytes": {"type": "integer", "const": 10},
        },
    });
    vec![
        tool("grid__get_load", "The load of a region.", load),
        tool("grid__plot", "A chart.", json!({"type": "object"})),
        tool("files__read.file", "Reads a file.", read),
    ]
}
