//! From a question to an answer.
use std::{collections::HashSet, sync::Arc};

use serde::Serialize;
use serde_json::Value;
use tagout_llm::{
    Candidate, Image, Message, MissingSlot, Part, ProviderError, ProviderInfo, Role, Sink, Stop,
    StreamEvent, SuppliedValue, ToolCall, ToolResult, ToolSpec, Turn, TurnRequest, read_arguments,
};
use tagout_proto::Digest;
use tokio::time::{Instant, timeout};

use crate::{
    Event, Failure, HostError, Outcome, Question, Refused, Said, SaidCall, SaidResult, Session, Ui,
    What,
    dispatch::Done,
    guard::{Budget, Repeats, presented},
};

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
    /// The limit on calls was reached.
    CallLimit,
    /// The limit on tokens was reached.
    TokenLimit,
    /// The limit on cost was reached.
    CostLimit,
    /// The limit on time was reached.
    TimeLimit,
    /// The model made the same call again and again.
    Repeating,
    /// The model tried to hand its instructions to a tool.
    CanaryFound,
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
pub(crate) struct Inquiry {
    /// The person's own words.
    pub(crate) words: String,
    pub(crate) budget: Budget,
    pub(crate) repeats: Repeats,
    /// The record of the model's last response.
    pub(crate) response: Option<u64>,
    /// No further call is made, and no further turn asked for.
    pub(crate) ends: bool,
    /// The record of what led to the next turn.
    cause: Option<u64>,
    /// What the next request brings back.
    results: Vec<SaidResult>,
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

/// Shows the pieces of a turn.
struct Shown<'a>(&'a mut dyn Ui);

impl Sink for Shown<'_> {
    fn event(&mut self, piece: StreamEvent) {
        self.0.event(&Event::Streamed { piece });
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
    /// [`HostError::Provider`], [`HostError::ProviderTimeout`], [`HostError::Journal`] or
    /// [`HostError::List`]. Whatever happens to calls is no error but part of the answer.
    pub async fn ask(
        &mut self,
        question: impl Into<Question>,
        ui: &mut dyn Ui,
    ) -> Result<Answer, HostError> {
        let question = question.into();
        self.mend()?;
        self.take_news();
        if self.stale.tools {
            self.refresh().await?;
        }
        let model = self.options.provider.describe();
        let mut inquiry = self.inquiry(&question)?;
        for message in question.messages() {
            self.remember(message)?;
        }
        ui.event(&Event::Asked { question: question.words, model: model.clone() });
        let ending = match self.work(&mut inquiry, ui).await {
            Ok(ending) => ending,
            Err(error) => {
                self.stopped(&inquiry, error.code())?;
                return Err(error);
            }
        };
        let Ending { status, text, missing, choices } = ending;
        if status != Status::Complete {
            self.stopped(&inquiry, &text)?;
        }
        let Inquiry { calls, images, rounds, .. } = inquiry;
        let answer = Answer { status, text, model, images, calls, missing, choices, rounds };
        ui.event(&Event::Answered { answer: answer.clone() });
        Ok(answer)
    }

    fn inquiry(&mut self, question: &Question) -> Result<Inquiry, HostError> {
        let cause = self.journal.record(&Said {
            what: What::Prompt,
            cause: None,
            model: None,
            content: &question.words,
            calls: &[],
            results: &[],
            usage: None,
        })?;
        Ok(Inquiry {
            words: question.words.clone(),
            budget: Budget::new(self.options.limits, self.options.facts),
            repeats: Repeats::default(),
            response: None,
            ends: false,
            cause,
            results: Vec::new(),
            supplied: Vec::new(),
            chosen: None,
            calls: Vec::new(),
            images: Vec::new(),
            rounds: 0,
        })
    }

    fn stopped(&mut self, inquiry: &Inquiry, why: &str) -> Result<(), HostError> {
        self.journal.record(&Said {
            what: What::Stopped,
            cause: inquiry.cause,
            model: None,
            content: why,
            calls: &[],
            results: &inquiry.results,
            usage: None,
        })?;
        Ok(())
    }

    async fn work(&mut self, inquiry: &mut Inquiry, ui: &mut dyn Ui) -> Result<Ending, HostError> {
        for round in 1..=self.options.limits.rounds {
            inquiry.rounds = round;
            let Some(turn) = self.turn(inquiry, ui).await? else {
                return Ok(Ending::new(Status::Cancelled, "stopped".into()));
            };
            inquiry.budget.turn(turn.usage);
            let (usage, notes) = (turn.usage, turn.notes.clone());
            ui.event(&Event::Turned { round, usage, notes });
            if let Some(plan) = turn.plan.clone() {
                ui.event(&Event::Planned { round, plan });
            }
            if let Next::End(ending) = self.take(turn, inquiry, ui).await? {
                return Ok(ending);
            }
            if self.options.stop.is_cancelled() {
                return Ok(Ending::new(Status::Cancelled, "stopped".into()));
            }
            if let Some((status, text)) = inquiry.budget.exhausted() {
                return Ok(Ending::new(status, text));
            }
        }
        let most = self.options.limits.rounds;
        let text = format!("stopped after {most} rounds without an answer");
        Ok(Ending::new(Status::RoundLimit, text))
    }

    /// The provider's next turn; `None` if the person stopped it.
    async fn turn(
        &mut self,
        inquiry: &mut Inquiry,
        ui: &mut dyn Ui,
    ) -> Result<Option<Turn>, HostError> {
        let provider = Arc::clone(&self.options.provider);
        let shown = if provider.is_rule_based() {
            self.messages.clone()
        } else {
            presented(&self.messages, &self.instructions, &self.options.seed)
        };
        let mut tools = self.tools.clone();
        tools.extend(self.shelf.tool());
        self.say_request(inquiry, &shown, &tools)?;
        let request = TurnRequest::new(&shown, &tools)
            .with_answers(&inquiry.supplied, inquiry.chosen.as_deref());
        let waited = self.options.turn_timeout.min(inquiry.budget.left());
        let mut sink = Shown(ui);
        let stop = self.options.stop.clone();
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            turn = timeout(waited, provider.stream(request, &mut sink)) => turn,
        };
        let turn = turn.map_err(|_| HostError::ProviderTimeout { waited })??;
        self.check_ids(&turn)?;
        self.say_response(inquiry, &turn)?;
        Ok(Some(turn))
    }

    fn say_request(
        &mut self,
        inquiry: &mut Inquiry,
        messages: &[Message],
        tools: &[ToolSpec],
    ) -> Result<(), HostError> {
        let model = self.options.provider.describe().name;
        let content = serde_json::json!({"messages": messages, "tools": tools}).to_string();
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
        let content = serde_json::to_string(turn).unwrap_or_default();
        let calls: Vec<_> = proposed(&turn.parts)
            .into_iter()
            .map(|call| SaidCall {
                arguments: Digest::of(call.arguments_raw.as_bytes()),
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

    async fn take(
        &mut self,
        turn: Turn,
        inquiry: &mut Inquiry,
        ui: &mut dyn Ui,
    ) -> Result<Next, HostError> {
        let Turn { parts, stop, .. } = turn;
        let text = said(&parts);
        let calls = proposed(&parts);
        let asks = matches!(stop, Stop::NeedsInput(_) | Stop::NeedsChoice(_));
        if !parts.is_empty() && !asks {
            self.remember(Message { role: Role::Assistant, parts })?;
        }
        let goes_on = stop == Stop::ToolCalls && !calls.is_empty();
        if goes_on && !text.is_empty() {
            ui.event(&Event::Said { text: text.clone() });
        }
        self.dispatch(calls, goes_on, inquiry, ui).await?;
        if inquiry.ends {
            return Ok(Next::End(led_astray(inquiry)));
        }
        Ok(match stop {
            Stop::ToolCalls if goes_on => Next::Again,
            Stop::Complete | Stop::ToolCalls => Next::End(Ending::new(Status::Complete, text)),
            Stop::NoToolFits => Next::End(Ending::new(Status::NoToolFits, text)),
            Stop::Length => Next::End(Ending::new(Status::CutShort, text)),
            Stop::Refused => Next::End(Ending::new(Status::Declined, text)),
            Stop::NeedsInput(slots) => fill(slots, text, inquiry, ui).await,
            Stop::NeedsChoice(candidates) => choose(candidates, text, inquiry, ui).await,
        })
    }

    /// Gives every call its result, in order, one after the other; only those of a finished turn
    /// are sent.
    async fn dispatch(
        &mut self,
        calls: Vec<ToolCall>,
        finished: bool,
        inquiry: &mut Inquiry,
        ui: &mut dyn Ui,
    ) -> Result<(), HostError> {
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
            let most = self.options.limits.calls_per_round;
            let not_sent = |why: &str| Done::of(Outcome::not_sent(Failure::NotDispatched, why));
            let done = if !finished {
                not_sent("the model's turn was not finished")
            } else if inquiry.ends {
                not_sent("the question was ended by the call before")
            } else if index >= most {
                not_sent(&format!("a turn may hold {most} calls and this one holds more"))
            } else {
                self.dispatched(&call, inquiry, ui).await
            };
            let elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (id, tool, outcome) = (call.id, call.name, done.outcome);
            let report = CallReport { id, tool, arguments, outcome, elapsed_ms };
            announce(&report, ui);
            results.push(Part::ToolResult(self.result(&report, done.denied)));
            let record = report.outcome.decision().record;
            inquiry.results.push(SaidResult { id: report.id.clone(), record });
            inquiry.images.extend(report.outcome.images());
            inquiry.calls.push(report);
        }
        if !results.is_empty() {
            self.remember(Message { role: Role::Tool, parts: results })?;
        }
        Ok(())
    }

    /// The result as the model is told it.
    fn result(&mut self, report: &CallReport, denied: Option<String>) -> ToolResult {
        let mut result = report.outcome.to_result(&report.id);
        if let Some(message) = denied.filter(|_| report.outcome.is_refused()) {
            result.parts.push(Part::text(format!("The person who said no adds: {message}")));
        }
        if !self.options.provider.is_rule_based() {
            self.shelf.put(&mut result);
        }
        result
    }
}

/// Why a question was ended by one of its calls.
fn led_astray(inquiry: &Inquiry) -> Ending {
    let failed = inquiry.calls.iter().rev().find_map(|call| match &call.outcome {
        Outcome::Failed(failed) => match failed.code {
            Failure::CanaryFound => Some(Status::CanaryFound),
            Failure::Repeated => Some(Status::Repeating),
            Failure::UnknownTool
            | Failure::ArgumentsInvalid
            | Failure::NotDispatched
            | Failure::Timeout
            | Failure::Disconnected
            | Failure::Cancelled
            | Failure::ServerError
            | Failure::Malformed => None,
        },
        Outcome::Returned(_) | Outcome::Refused(_) => None,
    });
    match failed {
        Some(Status::CanaryFound) => Ending::new(
            Status::CanaryFound,
            "stopped: the model tried to hand its instructions to a tool, as if it was led astray"
                .to_owned(),
        ),
        _ => Ending::new(
            Status::Repeating,
            "stopped: the model makes the same call again and again".to_owned(),
        ),
    }
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
async fn fill(
    slots: Vec<MissingSlot>,
    text: String,
    inquiry: &mut Inquiry,
    ui: &mut dyn Ui,
) -> Next {
    let began = Instant::now();
    for slot in &slots {
        let typed = ui.fill(slot).await.filter(|typed| !typed.trim().is_empty());
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
    inquiry.budget.thought(began.elapsed());
    Next::Again
}

async fn choose(
    candidates: Vec<Candidate>,
    text: String,
    inquiry: &mut Inquiry,
    ui: &mut dyn Ui,
) -> Next {
    let began = Instant::now();
    let chosen = ui.choose(&candidates).await.and_then(|index| candidates.get(index));
    let tool = chosen.map(|candidate| candidate.tool.clone());
    ui.event(&Event::Chosen { candidates: candidates.clone(), tool: tool.clone() });
    if tool.is_none() {
        let ending = Ending::new(Status::NeedsChoice, text);
        return Next::End(Ending { choices: candidates, ..ending });
    }
    inquiry.chosen = tool;
    inquiry.budget.thought(began.elapsed());
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
