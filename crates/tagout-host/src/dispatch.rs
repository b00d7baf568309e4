//! From what a model proposes to what is sent. There is one way, and it is this file.
use std::time::Duration;

use serde_json::{Map, Value, json};
use tagout_llm::{InputSchema, ToolCall, ToolSpec};

use crate::{
    Concern, Event, Failure, Outcome, Session, Ui,
    ask::Inquiry,
    guard::{READ_ON, Seen, concerns},
};

/// A call that may be sent: a person's own, or one of a model that was looked at. Nothing else can
/// make one.
pub(crate) struct Checked {
    tool: String,
    arguments: Map<String, Value>,
    meta: Map<String, Value>,
}

/// What came of a call that was sent.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// How long people thought about it.
    pub(crate) thought: Duration,
    /// What a person who said no wants the model to know.
    pub(crate) denied: Option<String>,
}

/// What the model proposed, and may not be sent.
enum Stopped {
    /// It has its result.
    Answered(Box<Outcome>),
    /// So has it, and there will be no other call for this question.
    AndEnds(Box<Outcome>),
}

/// The person's words go along with each call, to here.
const WORDS_BYTES: usize = 4_096;
/// What is odd about one call, at most.
const CONCERNS: usize = 16;

impl Checked {
    /// A call that a person makes.
    pub(crate) fn by_person(tool: &str, arguments: Map<String, Value>) -> Self {
        Self { tool: tool.to_owned(), arguments, meta: Map::new() }
    }

    pub(crate) fn into_parts(self) -> (String, Map<String, Value>, Map<String, Value>) {
        (self.tool, self.arguments, self.meta)
    }
}

impl Done {
    pub(crate) const fn of(outcome: Outcome) -> Self {
        Self { outcome, thought: Duration::ZERO, denied: None }
    }
}

impl Session {
    /// Gives a call of a finished turn its one result.
    pub(crate) async fn dispatched(
        &mut self,
        call: &ToolCall,
        inquiry: &mut Inquiry,
        ui: &mut dyn Ui,
    ) -> Done {
        let checked = match self.check(call, inquiry, ui) {
            Ok(checked) => checked,
            Err(Stopped::Answered(outcome)) => return Done::of(*outcome),
            Err(Stopped::AndEnds(outcome)) => {
                inquiry.ends = true;
                return Done::of(*outcome);
            }
        };
        let done = self.send(checked, ui).await;
        inquiry.budget.thought(done.thought);
        done
    }

    fn check(
        &self,
        call: &ToolCall,
        inquiry: &mut Inquiry,
        ui: &mut dyn Ui,
    ) -> Result<Checked, Stopped> {
        let not_sent =
            |code, message: String| Stopped::Answered(Box::new(Outcome::not_sent(code, message)));
        let ends =
            |code, message: &str| Stopped::AndEnds(Box::new(Outcome::not_sent(code, message)));
        if self.options.stop.is_cancelled() {
            return Err(not_sent(Failure::Cancelled, "the call was cancelled".into()));
        }
        let reads_on = self.shelf.tool().filter(|tool| tool.name == call.name);
        let listed = self.tools.iter().find(|tool| tool.name == call.name);
        let Some(tool) = reads_on.as_ref().or(listed) else {
            let message = format!("there is no tool `{}`", call.name);
            return Err(not_sent(Failure::UnknownTool, message));
        };
        let arguments = arguments(tool, &call.arguments_raw)
            .map_err(|message| not_sent(Failure::ArgumentsInvalid, message))?;
        if !inquiry.budget.one_more_call() {
            let most = self.options.limits.calls;
            let message = format!("a question may take {most} calls");
            return Err(not_sent(Failure::NotDispatched, message));
        }
        if call.name == READ_ON {
            let read = self.shelf.read(&arguments);
            return Err(Stopped::Answered(Box::new(Outcome::of_host(read))));
        }
        if self.instructions.leak_in(&call.arguments_raw) {
            let message = "the arguments carry the mark of the instructions, which no tool may see";
            return Err(ends(Failure::CanaryFound, message));
        }
        if inquiry.repeats.again(&call.name, &arguments) {
            let message = "the same call was made before, again and again";
            return Err(ends(Failure::Repeated, message));
        }
        let seen = Seen { words: &inquiry.words, messages: &self.messages };
        let concerns = concerns(tool, &arguments, seen);
        if !concerns.is_empty() {
            let (id, tool) = (call.id.clone(), call.name.clone());
            ui.event(&Event::Concerned { id, tool, concerns: concerns.clone() });
        }
        let meta = self.claims(call, inquiry, &concerns);
        Ok(Checked { tool: call.name.clone(), arguments, meta })
    }

    /// What the gateway is told of a call beside its arguments.
    fn claims(
        &self,
        call: &ToolCall,
        inquiry: &Inquiry,
        concerns: &[Concern],
    ) -> Map<String, Value> {
        let mut meta = Map::new();
        meta.insert("tagout/model".to_owned(), self.options.provider.describe().name.into());
        if !inquiry.words.is_empty() {
            let words = cut(&inquiry.words, WORDS_BYTES);
            meta.insert("tagout/user-words".to_owned(), words.into());
        }
        if let Some(record) = inquiry.response {
            let cause = json!({"record": record, "call": call.id});
            meta.insert("tagout/cause".to_owned(), cause);
        }
        if !concerns.is_empty() {
            // Those that hold come first: none of them may fall away.
            let (holding, others): (Vec<_>, Vec<_>) = concerns.iter().partition(|c| c.holds);
            let concerns: Vec<_> = holding.into_iter().chain(others).take(CONCERNS).collect();
            meta.insert("tagout/concerns".to_owned(), json!(concerns));
        }
        meta
    }
}

/// The start of `text`, `most` bytes of it at most.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

fn arguments(tool: &ToolSpec, raw: &str) -> Result<Map<String, Value>, String> {
    // A model that calls a tool without arguments may write nothing at all.
    let raw = if raw.trim().is_empty() { "{}" } else { raw };
    let schema = InputSchema::compile(&tool.input_schema).map_err(|error| error.to_string())?;
    schema.parse(raw).map_err(|error| error.to_string())
}
