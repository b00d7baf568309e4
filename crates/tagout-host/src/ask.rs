//! From a question to an answer.
use std::collections::{HashSet, VecDeque};

use tagout_llm::{
    Candidate, Image, Message, MissingSlot, Part, Role, Stop, SuppliedValue, ToolCall, Turn, Usage,
};

use crate::{
    Answer, CallReport, Event, HostError, Question, Said, SaidResult, Session, Status, Ui, What,
    guard::{Budget, Repeats, Timed},
    turn::Turned,
};

/// What has come together for one question so far.
pub(crate) struct Inquiry {
    /// The person's own words.
    pub(crate) words: String,
    pub(crate) budget: Budget,
    pub(crate) repeats: Repeats,
    /// The record of the model's last response.
    pub(crate) response: Option<u64>,
    /// The calls of the last turn that carry the canary.
    pub(crate) leaks: HashSet<String>,
    /// The arguments of the last calls, as the model wrote them.
    pub(crate) written: VecDeque<String>,
    /// Why no further call is made, and no further turn asked for.
    pub(crate) ends: Option<(Status, String)>,
    /// The record of what led to the next turn.
    pub(crate) cause: Option<u64>,
    /// What the next request brings back.
    pub(crate) results: Vec<SaidResult>,
    pub(crate) supplied: Vec<SuppliedValue>,
    pub(crate) chosen: Option<String>,
    pub(crate) calls: Vec<CallReport>,
    pub(crate) images: Vec<Image>,
    /// What the turn took that was stopped in the middle, where that is known.
    pub(crate) unfinished: Option<Usage>,
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
    fn of((status, text): (Status, String)) -> Self {
        Self::new(status, text)
    }

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
    /// [`HostError::Provider`], [`HostError::ProviderTimeout`], [`HostError::Journal`],
    /// [`HostError::List`], [`HostError::CostUnknown`] or [`HostError::ConversationTooLong`].
    /// Whatever happens to calls is no error but part of the answer.
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
        let mut budget = Budget::new(
            self.options.limits,
            self.options.facts,
            model.language_model.then_some(model.name.as_str()),
        )?;
        budget.settle(&mut self.owed);
        let mut inquiry = self.inquiry(&question, budget)?;
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

    fn inquiry(&mut self, question: &Question, budget: Budget) -> Result<Inquiry, HostError> {
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
            budget,
            repeats: Repeats::default(),
            response: None,
            leaks: HashSet::new(),
            written: VecDeque::new(),
            ends: None,
            cause,
            results: Vec::new(),
            supplied: Vec::new(),
            chosen: None,
            calls: Vec::new(),
            images: Vec::new(),
            unfinished: None,
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
            usage: inquiry.unfinished,
        })?;
        Ok(())
    }

    async fn work(&mut self, inquiry: &mut Inquiry, ui: &mut dyn Ui) -> Result<Ending, HostError> {
        for round in 1..=self.options.limits.rounds {
            inquiry.rounds = round;
            let turn = match self.turn(inquiry, ui).await? {
                Turned::Turn(turn) => *turn,
                Turned::Stopped => return Ok(Ending::new(Status::Cancelled, "stopped".into())),
                Turned::OutOfTime => return Ok(Ending::of(inquiry.budget.out_of_time())),
            };
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
            if let Some(ending) = inquiry.budget.exhausted() {
                return Ok(Ending::of(ending));
            }
        }
        let most = self.options.limits.rounds;
        let text = format!("stopped after {most} rounds without an answer");
        Ok(Ending::new(Status::RoundLimit, text))
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
        if goes_on && inquiry.repeats.says_the_same(&text) {
            inquiry.ends = Some((
                Status::Repeating,
                "stopped: the model says the same turn after turn, and learns nothing new".into(),
            ));
        }
        self.dispatch(calls, goes_on, inquiry, ui).await?;
        if let Some(ending) = inquiry.ends.take() {
            return Ok(Next::End(Ending::of(ending)));
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
}

/// Asks for every missing value; one that nobody gives ends the question.
async fn fill(
    slots: Vec<MissingSlot>,
    text: String,
    inquiry: &mut Inquiry,
    ui: &mut dyn Ui,
) -> Next {
    for slot in &slots {
        let asked = Timed::new(ui, inquiry.budget.clock()).fill(slot).await;
        let typed = asked.filter(|typed| !typed.trim().is_empty());
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

async fn choose(
    candidates: Vec<Candidate>,
    text: String,
    inquiry: &mut Inquiry,
    ui: &mut dyn Ui,
) -> Next {
    let chosen = Timed::new(ui, inquiry.budget.clock()).choose(&candidates).await;
    let chosen = chosen.and_then(|index| candidates.get(index));
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
            Part::Image(_)
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Attached { .. }
            | Part::Reasoning { .. } => None,
        })
        .collect();
    texts.join("\n")
}

pub(crate) fn proposed(parts: &[Part]) -> Vec<ToolCall> {
    parts
        .iter()
        .filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.clone()),
            Part::Text { .. }
            | Part::Image(_)
            | Part::ToolResult(_)
            | Part::Attached { .. }
            | Part::Reasoning { .. }
            | Part::Refusal { .. } => None,
        })
        .collect()
}
