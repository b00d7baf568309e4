//! What providers demand of a history, held against histories that were put in order.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::Value;
use tagout_llm::{
    Catalogue, Provider as _, Providers, Reach, Remote, TurnRequest,
    transport::{Clock, Fault, HttpAnswer, HttpRequest, Transport, TransportError, Waiting},
};
use tagout_proto::Secret;

use super::{super::Instructions, tests::conversation, *};

/// Keeps what it is to send, and sends nothing.
#[derive(Default)]
struct Wall(Mutex<Option<Value>>);

impl Transport for Wall {
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
    ) -> Waiting<'a, Result<HttpAnswer, TransportError>> {
        *self.0.lock().unwrap() = serde_json::from_slice(&request.body).ok();
        let failed = TransportError { detail: "no further".into(), fault: Fault::NotRecorded };
        Box::pin(std::future::ready(Err(failed)))
    }
}

impl Clock for Wall {
    fn now_s(&self) -> i64 {
        0
    }

    fn sleep(&self, _: Duration) -> Waiting<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn jitter(&self) -> f64 {
        0.0
    }
}

/// What a model of `provider` is sent.
fn sent(provider: &str, messages: &[Message]) -> Value {
    let providers = Providers::new(Catalogue::shipped().unwrap(), BTreeMap::new()).unwrap();
    let row = providers.find(provider).unwrap().clone();
    let wall = Arc::new(Wall::default());
    let reach = Reach {
        key: Some(Secret::new("KEY".to_owned())),
        transport: Arc::<Wall>::clone(&wall),
        clock: Arc::<Wall>::clone(&wall),
    };
    let remote = Remote::new(row, format!("{provider}:m").parse().unwrap(), None, reach);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(remote.turn(TurnRequest::new(messages, &[]))).unwrap_err();
    let body = wall.0.lock().unwrap().take();
    body.unwrap_or_else(|| panic!("{provider}: {error}"))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Results follow their calls at once and in order; sides take turns; nothing is empty.
fn alternates(body: &Value) {
    let mut open: Vec<&Value> = Vec::new();
    for (at, message) in list(body, "messages").iter().enumerate() {
        let side = if at % 2 == 0 { "user" } else { "assistant" };
        assert_eq!(message.get("role").unwrap(), side);
        for block in list(message, "content") {
            if let Some(id) = block.get("tool_use_id") {
                assert_eq!(open.first(), Some(&id), "{body}");
                open.remove(0);
            }
        }
        assert!(open.is_empty(), "{body}");
        let calls = list(message, "content").iter().filter(|block| block.get("input").is_some());
        open.extend(calls.filter_map(|call| call.get("id")));
        let content = message.get("content").unwrap();
        assert!(content.as_array().map_or(content != "", |list| !list.is_empty()), "{body}");
    }
    assert!(open.is_empty(), "{body}");
}

fn answers_each(body: &Value) {
    let mut open: Vec<&Value> = Vec::new();
    for message in list(body, "messages") {
        match message.get("tool_call_id") {
            Some(id) => {
                assert_eq!(open.first(), Some(&id), "{body}");
                open.remove(0);
            }
            None => assert!(open.is_empty(), "{body}"),
        }
        open.extend(list(message, "tool_calls").iter().filter_map(|call| call.get("id")));
    }
    assert!(open.is_empty(), "{body}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_wire_takes_what_was_put_in_order(before in conversation()) {
        let mut messages = before;
        repair(&mut messages);
        prop_assume!(!messages.is_empty());
        let shown = super::super::presented(&messages, &Instructions::new(None, &[0; 32]), &[0; 32]);
        let body = sent("anthropic", &shown);
        alternates(&body);
        // Nothing is put into the model's mouth.
        assert_eq!(list(&body, "messages").last().unwrap().get("role").unwrap(), "user");
        answers_each(&sent("mistral", &shown));
        for provider in ["openai", "google", "ollama", "vllm"] {
            sent(provider, &shown);
        }
    }
}
