//! From a question to an answer.
use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;
use tagout_llm::{
    Candidate, Image, InputSchema, Message, MissingSlot, Part, ProviderError, ProviderInfo, Role,
    Stop, SuppliedValue, ToolCall, ToolSpec, Turn, TurnRequest, read_arguments,
};
use tokio::time::{Instant, timeout};

use crate::{Event, Failure, HostError, Outcome, Refused, Session, Ui};

/// What a question came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// How it ended.
    pub status: Status,
    /// The text for people, raw.
    pub text: String,
    /// What wrote it.
    pub model: ProviderInfo,
    /// The images that the tools returned, in order.
    pub images: Vec<Image>,
    /// Every call that was proposed, in order.
    pub calls: Vec<CallReport>,
    /// The values that are missing, for [`Status::NeedsInput`].
    pub missing: Vec<MissingSlot>,
    /// The tools to choose from, for [`Status::NeedsChoice`].
    pub choices: Vec<Candidate>,
    /// How many turns it took.
    pub rounds: usize,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// With an answer; a refused or failed call may be what it tells.
    Complete,
    /// No tool fits; the text lists the tools that there are.
    NoToolFits,
    /// Values are missing and nobody could be asked.
    NeedsInput,
    /// Several tools fit and nobody chose.
    NeedsChoice,
    /// The limit on rounds was reached.
    RoundLimit,
    /// The provider's own limit on length cut the answer.
    CutShort,
    /// The model declined.
    Declined,
    /// The person stopped it.
    Cancelled,
}

/// A proposed call and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallReport {
    /// The call's identifier in the conversation.
    pub id: String,
    /// The tool's name.
    pub tool: String,
    /// The exact arguments; as the provider wrote them, as a string, if that is not JSON, has a key
    /// twice in one object, or a number that cannot be held exactly.
    pub arguments: Value,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took, in milliseconds, approval included.
    pub elapsed_ms: u64,
}

impl Answer {
    /// The last call that the gateway refused, if any.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refused> {
        self.calls.iter().rev().find_map(|call| match &call.outcome {
            Outcome::Refused(refused) => Some(refused),
            Outcome::Returned(_) | Outcome::Failed(_) => None,
        })
    }
}

/// What has come together for one question so far.
#[derive(Default)]
struct Inquiry {
    supplied: Vec<SuppliedValue>,
    chosen: Option<String>,
    calls: Vec<CallReport>,
    images: Vec<Image>,
    rounds: usize,
}

/// What a turn leads to.
enum Next {
    Again,
    End(Ending),
}

struct Ending {
    status: Status,
    text: String,
    missing: Vec<MissingSlot>,
    choices: Vec<Candidate>,
}

impl Ending {
    const fn new(status: Status, text: String) -> Self {
        Self { status, text, missing: Vec::new(), choices: Vec::new() }
    }
}

impl Session {
    /// Works on one question until it has an answer, needs something that nobody gives, or reaches
    /// a limit.
    ///
    /// Cancel safe: a question dropped in the middle leaves a conversation that the next one
    /// repairs; an open call is cancelled at the gateway. To stop and still get what is known, use
    /// [`crate::Options::stop`].
    ///
    /// # Errors
    /// [`HostError::Provider`] or [`HostError::ProviderTimeout`]. Whatever happens to calls is no
    /// error but part of the answer.
    pub async fn ask(&mut self, question: &str, ui: &mut dyn Ui) -> Result<Answer, HostError> {
        self.repair();
        let model = self.options.provider.describe();
        self.messages.push(Message::text(Role::User, question));
        ui.event(&Event::Asked { question: question.to_owned(), model: model.clone() });
        let mut inquiry = Inquiry::default();
        let ending = self.work(&mut inquiry, ui).await?;
        let Ending { status, text, missing, choices } = ending;
        let Inquiry { calls, images, rounds, .. } = inquiry;
        let answer = Answer { status, text, model, images, calls, missing, choices, rounds };
        ui.event(&Event::Answered { answer: answer.clone() });
        Ok(answer)
    }

    async fn work(&mut self, inquiry: &mut Inquiry, ui: &mut dyn Ui) -> Result<Ending, HostError> {
        for round in 1..=self.options.rounds {
            inquiry.rounds = round;
            let Some(turn) = self.turn(inquiry).await? else {
                return Ok(Ending::new(Status::Cancelled, "stopped".into()));
            };
            if let Some(plan) = turn.plan.clone() {
                ui.event(&Event::Planned { round, plan });
            }
            if let Next::End(ending) = self.take(turn, inquiry, ui).await {
                return Ok(ending);
            }
            if self.options.stop.is_cancelled() {
                return Ok(Ending::new(Status::Cancelled, "stopped".into()));
            }
        }
        let text = format!("stopped after {} rounds without an answer", self.options.rounds);
        Ok(Ending::new(Status::RoundLimit, text))
    }

    /// The provider's next turn; `None` if the person stopped it.
    async fn turn(&self, inquiry: &Inquiry) -> Result<Option<Turn>, HostError> {
        let request = TurnRequest::new(&self.messages, &self.tools)
            .with_answers(&inquiry.supplied, inquiry.chosen.as_deref());
        let waited = self.options.turn_timeout;
        let turn = tokio::select! {
            biased;
            () = self.options.stop.cancelled() => return Ok(None),
            turn = timeout(waited, self.options.provider.turn(request)) => turn,
        };
        let turn = turn.map_err(|_| HostError::ProviderTimeout { waited })??;
        self.check_ids(&turn)?;
        Ok(Some(turn))
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

    async fn take(&mut self, turn: Turn, inquiry: &mut Inquiry, ui: &mut dyn Ui) -> Next {
        let Turn { parts, stop, .. } = turn;
        let text = said(&parts);
        let calls = proposed(&parts);
        let asks = matches!(stop, Stop::NeedsInput(_) | Stop::NeedsChoice(_));
        if !parts.is_empty() && !asks {
            self.messages.push(Message { role: Role::Assistant, parts });
        }
        let goes_on = stop == Stop::ToolCalls && !calls.is_empty();
        if goes_on && !text.is_empty() {
            ui.event(&Event::Said { text: text.clone() });
        }
        self.dispatch(calls, goes_on, inquiry, ui).await;
        match stop {
            Stop::ToolCalls if goes_on => Next::Again,
            Stop::Complete | Stop::ToolCalls => Next::End(Ending::new(Status::Complete, text)),
            Stop::NoToolFits => Next::End(Ending::new(Status::NoToolFits, text)),
            Stop::Length => Next::End(Ending::new(Status::CutShort, text)),
            Stop::Refused => Next::End(Ending::new(Status::Declined, text)),
            Stop::NeedsInput(slots) => fill(slots, text, inquiry, ui),
            Stop::NeedsChoice(candidates) => choose(candidates, text, inquiry, ui),
        }
    }

    /// Gives every call its result, in order, one after the other; only those of a finished turn
    /// are sent.
    async fn dispatch(
        &mut self,
        calls: Vec<ToolCall>,
        finished: bool,
        inquiry: &mut Inquiry,
        ui: &mut dyn Ui,
    ) {
        let mut results = Vec::with_capacity(calls.len());
        for (index, call) in calls.into_iter().enumerate() {
            let arguments = read_arguments(&call.arguments_raw)
                .unwrap_or_else(|_| Value::String(call.arguments_raw.clone()));
            ui.event(&Event::Proposed {
                id: call.id.clone(),
                tool: call.name.clone(),
                arguments: arguments.clone(),
            });
            let start = Instant::now();
            let outcome = if !finished {
                Outcome::not_sent(Failure::NotDispatched, "the model's turn was not finished")
            } else if index >= self.options.calls_per_round {
                let most = self.options.calls_per_round;
                let message = format!("a turn may hold {most} calls and this one holds more");
                Outcome::not_sent(Failure::NotDispatched, message)
            } else {
                self.checked_call(&call).await
            };
            let elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (id, tool) = (call.id, call.name);
            let report = CallReport { id, tool, arguments, outcome, elapsed_ms };
            announce(&report, ui);
            results.push(Part::ToolResult(report.outcome.to_result(&report.id)));
            inquiry.images.extend(report.outcome.images());
            inquiry.calls.push(report);
        }
        if !results.is_empty() {
            self.messages.push(Message { role: Role::Tool, parts: results });
        }
    }

    /// Sends a call whose tool exists and whose arguments fit; the others never leave the host.
    async fn checked_call(&self, call: &ToolCall) -> Outcome {
        let Some(tool) = self.tools.iter().find(|tool| tool.name == call.name) else {
            let message = format!("there is no tool `{}`", call.name);
            return Outcome::not_sent(Failure::UnknownTool, message);
        };
        if self.options.stop.is_cancelled() {
            return Outcome::not_sent(Failure::Cancelled, "the call was cancelled");
        }
        match arguments(tool, &call.arguments_raw) {
            Ok(arguments) => self.call(&call.name, arguments).await,
            Err(message) => Outcome::not_sent(Failure::ArgumentsInvalid, message),
        }
    }
}

fn arguments(tool: &ToolSpec, raw: &str) -> Result<serde_json::Map<String, Value>, String> {
    // A model that calls a tool without arguments may write nothing at all.
    let raw = if raw.trim().is_empty() { "{}" } else { raw };
    let schema = InputSchema::compile(&tool.input_schema).map_err(|error| error.to_string())?;
    schema.parse(raw).map_err(|error| error.to_string())
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

/// Asks for every missing value; one that nobody gives ends the question.
fn fill(slots: Vec<MissingSlot>, text: String, inquiry: &mut Inquiry, ui: &mut dyn Ui) -> Next {
    for slot in &slots {
        let typed = ui.fill(slot).filter(|typed| !typed.trim().is_empty());
        ui.event(&Event::Filled { slot: slot.clone(), text: typed.clone() });
        let Some(typed) = typed else {
            let ending = Ending::new(Status::NeedsInput, text);
            return Next::End(Ending { missing: slots, ..ending });
        };
        inquiry.supplied.retain(|old| (&old.tool, &old.path) != (&slot.tool, &slot.path));
        let (tool, path) = (slot.tool.clone(), slot.path.clone());
        inquiry.supplied.push(SuppliedValue { tool, path, text: typed });
        inquiry.chosen = Some(slot.tool.clone());
    }
    Next::Again
}

fn choose(
    candidates: Vec<Candidate>,
    text: String,
    inquiry: &mut Inquiry,
    ui: &mut dyn Ui,
) -> Next {
    let chosen = ui.choose(&candidates).and_then(|index| candidates.get(index));
    let tool = chosen.map(|candidate| candidate.tool.clone());
    ui.event(&Event::Chosen { candidates: candidates.clone(), tool: tool.clone() });
    if tool.is_none() {
        let ending = Ending::new(Status::NeedsChoice, text);
        return Next::End(Ending { choices: candidates, ..ending });
    }
    inquiry.chosen = tool;
    Next::Again
}

fn said(parts: &[Part]) -> String {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text, .. } | Part::Refusal { text } => Some(text.as_str()),
            Part::Image(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning { .. } => {
                None
            }
        })
        .collect();
    texts.join("\n")
}

fn proposed(parts: &[Part]) -> Vec<ToolCall> {
    parts
        .iter()
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.clone()),
            Part::Text { .. }
            | Part::Image(_)
            | Part::ToolResult(_)
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => None,
        })
        .collect()
}
