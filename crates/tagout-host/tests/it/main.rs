//! The agent loop against an in-memory server that behaves like a gateway, and providers that do
//! not behave at all.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets something else than it expects should panic, helpers included"
)]
mod desk;
mod frames;
mod gateway;
mod guard;
mod journal;
mod loops;
mod planned;
mod primitives;
mod script;
mod waits;

use tagout_host::{Asking, Event, Ui};
use tagout_llm::{Candidate, MissingSlot};

/// Keeps every event; answers from a list.
#[derive(Default)]
struct Recorder {
    events: Vec<Event>,
    answers: Vec<String>,
    choice: Option<usize>,
}

impl Ui for Recorder {
    fn event(&mut self, event: &Event) {
        // Every event must be printable as JSON.
        serde_json::to_string(event).unwrap();
        self.events.push(event.clone());
    }

    fn fill<'a>(&'a mut self, _slot: &'a MissingSlot) -> Asking<'a, Option<String>> {
        let answer = (!self.answers.is_empty()).then(|| self.answers.remove(0));
        Box::pin(std::future::ready(answer))
    }

    fn choose<'a>(&'a mut self, _candidates: &'a [Candidate]) -> Asking<'a, Option<usize>> {
        Box::pin(std::future::ready(self.choice))
    }
}

impl Recorder {
    /// The kinds of the events, in order, but for turns and their pieces.
    fn kinds(&self) -> String {
        let kind = |event: &Event| {
            serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned()
        };
        let kinds = self.events.iter().map(kind);
        let pieces = |kind: &String| !matches!(kind.as_str(), "streamed" | "turned");
        kinds.filter(pieces).collect::<Vec<_>>().join(" ")
    }
}
