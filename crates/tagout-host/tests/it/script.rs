//! A provider that plays a script.
use std::{collections::VecDeque, sync::Mutex};

use tagout_llm::{
    Message, Part, Provider, ProviderError, ProviderInfo, Stop, ToolCall, Turn, TurnFuture,
    TurnRequest,
};

/// Gives one prepared turn after the other, then the last again and again with fresh call ids.
pub(crate) struct Script {
    turns: Mutex<VecDeque<Turn>>,
    repeat: bool,
    /// The conversations that it was shown.
    pub(crate) seen: Mutex<Vec<Vec<Message>>>,
}

impl Script {
    pub(crate) fn new(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self {
            turns: Mutex::new(turns.into_iter().collect()),
            repeat: false,
            seen: Mutex::default(),
        }
    }

    pub(crate) fn forever(turn: Turn) -> Self {
        Self { repeat: true, ..Self::new([turn]) }
    }
}

impl Provider for Script {
    fn describe(&self) -> ProviderInfo {
        ProviderInfo { name: "script:test".into(), language_model: false, note: String::new() }
    }

    fn turn<'a>(&'a self, request: TurnRequest<'a>) -> TurnFuture<'a> {
        let mut seen = self.seen.lock().unwrap();
        seen.push(request.messages.to_vec());
        let mut turns = self.turns.lock().unwrap();
        let turn = if self.repeat {
            let mut turn = turns[0].clone();
            for part in &mut turn.parts {
                if let Part::ToolCall(call) = part {
                    call.id = format!("{}-{}", call.id, seen.len());
                }
            }
            Some(turn)
        } else {
            turns.pop_front()
        };
        let provider = "script:test".to_owned();
        let ended = ProviderError::Unreachable { provider, detail: "the script ended".into() };
        Box::pin(std::future::ready(turn.ok_or(ended)))
    }
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall::new(id, name, arguments))
}

pub(crate) fn turn(parts: Vec<Part>, stop: Stop) -> Turn {
    Turn::new(parts, stop)
}

pub(crate) fn done(text: &str) -> Turn {
    turn(vec![Part::text(text)], Stop::Complete)
}
