//! From what a model proposes to what is sent. There is one way, and it is this file.
use serde_json::{Map, Value, json};
use tagout_llm::{
    InputSchema, Message, Part, Role, ToolCall, ToolResult, ToolSpec, read_arguments,
};
use tokio::time::Instant;

use crate::{
    CallReport, Concern, Event, Failure, HostError, Outcome, SaidResult, Session, Status, Ui,
    ask::Inquiry,
    guard::{Looking, READ_ON, Seen, Timed, by_host, read, reading_tool},
};

/// A call that may be sent: a person's own, or one of a model that was looked at. Nothing else can
/// make one.
pub(crate) struct Checked {
    tool: String,
    arguments: Map<String, Value>,
    meta: Map<String, Value>,
}

/// A call that fits its tool, and was not looked at.
struct Vetted {
    tool: ToolSpec,
    arguments: Map<String, Value>,
}

/// What came of a call that was sent.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// What a person who said no wants the model to know.
    pub(crate) denied: Option<String>,
}

/// The person's words go along with each call, to here.
const WORDS_BYTES: usize = 4_096;
/// What is odd about one call, at most.
const CONCERNS: usize = 16;
/// The longest name of a model that goes along.
const MODEL_BYTES: usize = 256;
/// The longest identifier of a call that does.
const CALL_BYTES: usize = 200;

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
        Self { outcome, denied: None }
    }
}

impl Session {
    /// Gives every call its result, in order, one after the other; only those of a finished turn
    /// are sent, and none of a turn that gives the instructions away.
    pub(crate) async fn dispatch(
        &mut self,
        calls: Vec<ToolCall>,
        finished: bool,
        inquiry: &mut Inquiry,
        ui: &mut dyn Ui,
    ) -> Result<(), HostError> {
        if !inquiry.leaks.is_empty() {
            let why = "stopped: the model tried to hand its instructions to a tool, as if it was \
                       led astray";
            inquiry.ends = Some((Status::CanaryFound, why.to_owned()));
        }
        for (index, call) in calls.into_iter().enumerate() {
            let arguments = read_arguments(&call.arguments_raw)
                .unwrap_or_else(|_| Value::String(call.arguments_raw.clone()));
            ui.event(&Event::Proposed {
                id: call.id.clone(),
                tool: call.name.clone(),
                arguments: arguments.clone(),
            });
            let start = Instant::now();
            let done = match self.barred(&call, index, finished, inquiry) {
                Some(outcome) => Done::of(outcome),
                None => self.dispatched(&call, inquiry, ui).await,
            };
            inquiry.budget.settle(&mut self.owed);
            let elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (id, tool, outcome) = (call.id, call.name, done.outcome);
            inquiry.repeats.came_to(outcome.digest());
            let report = CallReport { id, tool, arguments, outcome, elapsed_ms };
            announce(&report, ui);
            self.remember_result(result(&report, done.denied))?;
            let record = report.outcome.decision().record;
            inquiry.results.push(SaidResult { id: report.id.clone(), record });
            inquiry.images.extend(report.outcome.images());
            inquiry.calls.push(report);
        }
        Ok(())
    }

    /// Why a call is not even looked at.
    fn barred(
        &self,
        call: &ToolCall,
        index: usize,
        finished: bool,
        inquiry: &Inquiry,
    ) -> Option<Outcome> {
        if inquiry.leaks.contains(&call.id) {
            let why = "the arguments carry the mark of the instructions, which no tool may see";
            return Some(Outcome::not_sent(Failure::CanaryFound, why));
        }
        let most = self.options.limits.calls_per_round;
        let why = if !finished {
            "the model's turn was not finished".to_owned()
        } else if let Some((_, why)) = &inquiry.ends {
            format!("the question was ended: {why}")
        } else if index >= most {
            format!("a turn may hold {most} calls and this one holds more")
        } else {
            return None;
        };
        Some(Outcome::not_sent(Failure::NotDispatched, why))
    }

    /// Keeps a result with the others of its turn.
    fn remember_result(&mut self, result: ToolResult) -> Result<(), HostError> {
        let message = Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] };
        self.journal.keep(&message)?;
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Tool => last.parts.extend(message.parts),
            Some(_) | None => self.messages.push(message),
        }
        Ok(())
    }

    /// What comes of a call of a finished turn.
    async fn dispatched(
        &mut self,
        call: &ToolCall,
        inquiry: &mut Inquiry,
        ui: &mut dyn Ui,
    ) -> Done {
        let vetted = match self.vet(call, inquiry) {
            Ok(vetted) => vetted,
            Err(outcome) => return Done::of(*outcome),
        };
        let checked = match self.check(call, vetted, inquiry, ui).await {
            Ok(checked) => checked,
            Err(outcome) => return Done::of(*outcome),
        };
        let clock = inquiry.budget.clock().clone();
        let mut timed = Timed::new(ui, &clock);
        tokio::select! {
            biased;
            done = self.send(checked, &mut timed) => done,
            () = clock.ran_out() => {
                inquiry.ends = Some(inquiry.budget.out_of_time());
                let why = "the question's time was up, and the call was cancelled";
                Done::of(Outcome::lost(Failure::Timeout, why))
            }
        }
    }

    /// Looks whether a call may be made at all. What may not be sent has its result.
    fn vet(&self, call: &ToolCall, inquiry: &mut Inquiry) -> Result<Vetted, Box<Outcome>> {
        let not_sent = |code, message: &str| Box::new(Outcome::not_sent(code, message));
        if self.options.stop.is_cancelled() {
            return Err(not_sent(Failure::Cancelled, "the call was cancelled"));
        }
        if inquiry.repeats.again(&call.name, &call.arguments_raw) {
            let why = "stopped: the model makes the same call again and again, and it comes to the \
                       same";
            inquiry.ends = Some((Status::Repeating, why.to_owned()));
            return Err(not_sent(Failure::Repeated, "the same call came to the same before"));
        }
        let reads_on = (call.name == READ_ON).then(|| reading_tool(&self.messages)).flatten();
        let listed = self.tools.iter().find(|tool| tool.name == call.name);
        let Some(tool) = reads_on.as_ref().or(listed) else {
            let message = format!("there is no tool `{}`", call.name);
            return Err(not_sent(Failure::UnknownTool, &message));
        };
        let arguments = arguments(tool, &call.arguments_raw)
            .map_err(|message| not_sent(Failure::ArgumentsInvalid, &message))?;
        if !inquiry.budget.one_more_call() {
            let most = self.options.limits.calls;
            let message = format!("a question may take {most} calls");
            return Err(not_sent(Failure::NotDispatched, &message));
        }
        if reads_on.is_some() {
            return Err(Box::new(Outcome::of_host(read(&self.messages, &arguments))));
        }
        Ok(Vetted { tool: tool.clone(), arguments })
    }

    /// Looks at what a call is made with, for as long as anybody waits for it.
    async fn check(
        &mut self,
        call: &ToolCall,
        vetted: Vetted,
        inquiry: &mut Inquiry,
        ui: &mut dyn Ui,
    ) -> Result<Checked, Box<Outcome>> {
        let Vetted { tool, arguments } = vetted;
        let seen = Seen {
            words: &inquiry.words,
            messages: &self.messages,
            calls: &inquiry.calls,
            operator: self.instructions.operator(),
            supplied: &inquiry.supplied,
        };
        let looking = Looking::at(&tool, &arguments, seen);
        let (stop, clock) = (self.options.stop.clone(), inquiry.budget.clock().clone());
        let concerns = tokio::select! {
            biased;
            () = stop.cancelled() => {
                let why = "the call was cancelled";
                return Err(Box::new(Outcome::not_sent(Failure::Cancelled, why)));
            }
            () = clock.ran_out() => {
                inquiry.ends = Some(inquiry.budget.out_of_time());
                let why = "the question's time was up";
                return Err(Box::new(Outcome::not_sent(Failure::NotDispatched, why)));
            }
            concerns = looking.concerns() => concerns,
        };
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
        let model = self.options.provider.describe().name;
        meta.insert("tagout/model".to_owned(), cut(&model, MODEL_BYTES).into());
        if !inquiry.words.is_empty() {
            let words = cut(&inquiry.words, WORDS_BYTES);
            meta.insert("tagout/user-words".to_owned(), words.into());
        }
        if let Some(record) = inquiry.response
            && (1..=CALL_BYTES).contains(&call.id.len())
        {
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

/// The result as the model is told it.
fn result(report: &CallReport, denied: Option<String>) -> ToolResult {
    let mut result = report.outcome.to_result(&report.id);
    if let Some(message) = denied.filter(|_| report.outcome.is_refused()) {
        result.parts.push(by_host(format!("The person who said no adds: {message}")));
    }
    result
}

fn announce(report: &CallReport, ui: &mut dyn Ui) {
    let CallReport { id, tool, outcome, elapsed_ms, .. } = report;
    let decision = outcome.decision().clone();
    if !decision.is_empty() {
        ui.event(&Event::Decided { id: id.clone(), tool: tool.clone(), decision });
    }
    ui.event(&Event::Finished {
        id: id.clone(),
        tool: tool.clone(),
        outcome: outcome.clone(),
        elapsed_ms: *elapsed_ms,
    });
}
