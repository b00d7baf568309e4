//! What must hold of the streams of language models: they are the same however they are cut, and no
//! call comes of anything but a turn that is complete.
use std::{
    collections::{BTreeMap, VecDeque},
    future::Future as _,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tagout_llm::{
    Catalogue, Message, Part, Provider as _, ProviderError, Providers, Reach, Remote, Role,
    StreamEvent, ToolSpec, Turn, TurnRequest, WrittenProvider,
    transport::{Chunks, Clock, HttpAnswer, HttpRequest, Transport, TransportError, Waiting},
};
use tagout_proto::{Document, Limits};

const WIRES: [&str; 5] =
    ["openai-responses", "openai-chat", "anthropic-messages", "gemini-generate", "ollama"];

/// Takes the first byte for a wire, the second for a place to cut, and the rest as a stream; says
/// whether a turn came of it.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let [wire, cut, stream @ ..] = bytes else { return false };
    let wire = WIRES[usize::from(wire.wrapping_sub(b'0')) % WIRES.len()];
    let (head, tail) = stream.split_at(stream.len() * usize::from(*cut) / 256);
    let (events, turn) = read(wire, vec![stream.to_vec()]);
    assert_eq!(read(wire, vec![head.to_vec(), tail.to_vec()]), (events.clone(), turn.clone()));
    let done = events.iter().filter(|event| matches!(event, StreamEvent::ToolCallDone { .. }));
    let Ok(turn) = turn else {
        assert_eq!(done.count(), 0, "a call of a turn that there is not");
        return false;
    };
    let calls: Vec<_> = turn
        .parts
        .iter()
        .filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None })
        .collect();
    assert_eq!(done.count(), calls.len());
    for call in calls {
        let read = Document::read(call.arguments_raw.as_bytes(), Limits::default());
        assert!(read.is_ok(), "{}", call.arguments_raw);
    }
    true
}

fn read(wire: &str, pieces: Vec<Vec<u8>>) -> (Vec<StreamEvent>, Result<Turn, ProviderError>) {
    let row = format!(r#"{{"x": {{"url": "http://localhost/", "wire": "{wire}"}}}}"#);
    let written: BTreeMap<String, WrittenProvider> = serde_json::from_str(&row).unwrap();
    let providers = Providers::new(Catalogue::shipped().unwrap(), written).unwrap();
    let once = Arc::new(Once(Mutex::new(VecDeque::from([pieces]))));
    let (transport, clock) = (Arc::clone(&once) as _, once as _);
    let reach = Reach { key: None, transport, clock };
    let row = providers.find("x").unwrap().clone();
    let model = Remote::new(row, "x:m".parse().unwrap(), None, reach);
    let messages = [Message::text(Role::User, "Hello")];
    let tools = [ToolSpec {
        name: "a.b".into(),
        title: None,
        description: None,
        input_schema: serde_json::json!({"type": "object"}),
        output_schema: None,
    }];
    let mut events = Vec::new();
    let turn = pin!(model.stream(TurnRequest::new(&messages, &tools), &mut events))
        .poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(turn) = turn else { panic!("it waits") };
    (events, turn)
}

/// Answers one request.
struct Once(Mutex<VecDeque<Vec<Vec<u8>>>>);

impl Transport for Once {
    fn send<'a>(&'a self, _: &'a HttpRequest) -> Waiting<'a, Result<HttpAnswer, TransportError>> {
        let pieces = self.0.lock().unwrap().pop_front().unwrap();
        let body: Box<dyn Chunks> = Box::new(pieces.into_iter());
        Box::pin(std::future::ready(Ok(HttpAnswer { status: 200, headers: Vec::new(), body })))
    }
}

impl Clock for Once {
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
