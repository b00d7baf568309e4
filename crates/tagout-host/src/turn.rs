//! One turn of a model.
use std::{collections::HashSet, sync::Arc};

use tagout_llm::{Message, Part, ProviderError, ToolCall, ToolSpec, Turn, TurnRequest};
use tagout_proto::Digest;
use tokio::time::timeout;

use crate::{
    HostError, Said, SaidCall, Session, Ui, What,
    ask::{Inquiry, proposed},
    guard::{Veil, presented, reading_tool},
};

/// What came of asking for a turn.
pub(crate) enum Turned {
    /// It is there, whole.
    Turn(Box<Turn>),
    /// The person stopped it.
    Stopped,
    /// The question's time was up.
    OutOfTime,
}

/// Bytes of the arguments of one question's calls, the last, that are looked at together.
const TOGETHER: usize = 256 << 10;

/// What a model is asked.
struct Asked {
    messages: Vec<Message>,
    tools: Vec<ToolSpec>,
}

impl Session {
    /// The provider's next turn, without the canary.
    pub(crate) async fn turn(
        &mut self,
        inquiry: &mut Inquiry,
        ui: &mut dyn Ui,
    ) -> Result<Turned, HostError> {
        let provider = Arc::clone(&self.options.provider);
        let asked = self.asked();
        let crowded = match provider.is_rule_based() {
            true => None,
            false => inquiry.budget.fits(&asked.messages, &asked.tools)?,
        };
        self.say_request(inquiry, &asked)?;
        let request = TurnRequest::new(&asked.messages, &asked.tools)
            .with_answers(&inquiry.supplied, inquiry.chosen.as_deref());
        let waited = self.options.turn_timeout;
        let mut veil = Veil::new(ui, &self.instructions);
        let stop = self.options.stop.clone();
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => {
                inquiry.unfinished = veil.used();
                return Ok(Turned::Stopped);
            }
            turn = timeout(waited, provider.stream(request, &mut veil)) => turn,
            () = inquiry.budget.clock().ran_out() => {
                inquiry.unfinished = veil.used();
                return Ok(Turned::OutOfTime);
            }
        };
        let mut turn = turn.map_err(|_| HostError::ProviderTimeout { waited })??;
        veil.finish();
        turn.notes.extend(crowded);
        if !provider.is_rule_based() {
            inquiry.budget.turn(&mut turn, &asked.messages, &asked.tools);
        }
        self.check_ids(&turn)?;
        // What leaks is found before it is taken out of what is shown and kept.
        let calls = proposed(&turn.parts).into_iter();
        inquiry.leaks = self.leaks(calls, inquiry);
        self.instructions.mask(&mut turn.parts);
        self.say_response(inquiry, &turn)?;
        Ok(Turned::Turn(Box::new(turn)))
    }

    /// The calls that give the canary away, by themselves or together with those before.
    fn leaks(
        &self,
        calls: impl Iterator<Item = ToolCall>,
        inquiry: &mut Inquiry,
    ) -> HashSet<String> {
        let mut leaks = HashSet::new();
        for call in calls {
            let ToolCall { id, arguments_raw, .. } = call;
            inquiry.written.push_back(arguments_raw);
            let mut bytes = inquiry.written.iter().map(String::len).sum::<usize>();
            while bytes > TOGETHER && inquiry.written.len() > 1 {
                bytes -= inquiry.written.pop_front().map_or(0, |raw| raw.len());
            }
            let alone = inquiry.written.back().is_some_and(|raw| self.instructions.leak_in(raw));
            if alone || self.instructions.leak_across(inquiry.written.iter().map(String::as_str)) {
                leaks.insert(id);
            }
        }
        leaks
    }

    fn asked(&self) -> Asked {
        let mut tools = self.tools.clone();
        if self.options.provider.is_rule_based() {
            return Asked { messages: self.messages.clone(), tools };
        }
        tools.extend(reading_tool(&self.messages));
        let messages = presented(&self.messages, &self.instructions, &self.options.seed);
        Asked { messages, tools }
    }

    fn say_request(&mut self, inquiry: &mut Inquiry, asked: &Asked) -> Result<(), HostError> {
        let model = self.options.provider.describe().name;
        let content = serde_json::json!({"messages": asked.messages, "tools": asked.tools});
        let content = self.instructions.masked(&content.to_string());
        inquiry.cause = self.journal.record(&Said {
            what: What::Request,
            cause: inquiry.cause,
            model: Some(&model),
            content: &content,
            calls: &[],
            results: &inquiry.results,
            usage: None,
        })?;
        inquiry.results.clear();
        Ok(())
    }

    fn say_response(&mut self, inquiry: &mut Inquiry, turn: &Turn) -> Result<(), HostError> {
        let model = self.options.provider.describe().name;
        // As it is kept, so that the one can be held against the other.
        let content =
            serde_json::to_string(&self.instructions.kept(&turn.parts)).unwrap_or_default();
        let calls: Vec<_> = proposed(&turn.parts)
            .into_iter()
            .map(|call| SaidCall {
                arguments: Digest::of_json(&call.arguments_raw),
                id: call.id,
                tool: call.name,
            })
            .collect();
        inquiry.cause = self.journal.record(&Said {
            what: What::Response,
            cause: inquiry.cause,
            model: Some(&model),
            content: &content,
            calls: &calls,
            results: &[],
            usage: turn.usage,
        })?;
        inquiry.response = inquiry.cause;
        Ok(())
    }

    /// Two calls of one id could not each have exactly one result.
    fn check_ids(&self, turn: &Turn) -> Result<(), HostError> {
        let before = self.messages.iter().flat_map(|message| &message.parts);
        let mut seen = HashSet::new();
        for part in before.chain(&turn.parts) {
            if let Part::ToolCall(call) = part
                && !seen.insert(call.id.as_str())
            {
                let provider = self.options.provider.describe().name;
                let detail = format!("two calls share the id `{}`", call.id);
                return Err(ProviderError::Malformed { provider, detail }.into());
            }
        }
        Ok(())
    }
}
