//! The person, as the host sees one: somebody who is shown events and may be asked.
use std::{future::Future, pin::Pin, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value};
use tagout_llm::{Candidate, Facts, MissingSlot, Provider};

use crate::{Event, Field};

/// A question that is being put to a person. Dropping it withdraws the question.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where events go, and where answers come from. Whoever answers nothing says no: every question
/// has a default that does.
///
/// Questions are put one at a time. One that nobody waits for any more is dropped.
pub trait Ui: Send {
    /// Shows one event. It is called on the task that works on the question and must not wait for
    /// anybody.
    fn event(&mut self, event: &Event);

    /// Asks the person for a value; `None` if there is nobody, or the person declines.
    fn fill<'a>(&'a mut self, slot: &'a MissingSlot) -> Asking<'a, Option<String>> {
        let _ = slot;
        at_once(None)
    }

    /// Lets the person choose among tools that fit about equally: the index, or `None`.
    fn choose<'a>(&'a mut self, candidates: &'a [Candidate]) -> Asking<'a, Option<usize>> {
        let _ = candidates;
        at_once(None)
    }

    /// Asks whether a call may be made. The card must be shown whole.
    fn approve<'a>(&'a mut self, card: &'a ApprovalCard) -> Asking<'a, ApprovalAnswer> {
        let _ = card;
        at_once(ApprovalAnswer::Deny { message: None })
    }

    /// Puts a server's form.
    fn form<'a>(&'a mut self, form: &'a Form) -> Asking<'a, FormAnswer> {
        let _ = form;
        at_once(FormAnswer::Cancel)
    }

    /// Asks whether the person goes to a URL that a server names. Nothing may open it unasked.
    fn visit<'a>(&'a mut self, visit: &'a Visit) -> Asking<'a, VisitAnswer> {
        let _ = visit;
        at_once(VisitAnswer::Cancel)
    }

    /// Asks whether a server may have a model's answer, and from which model. The prompt must be
    /// shown whole.
    fn sample<'a>(&'a mut self, sampling: &'a Sampling) -> Asking<'a, SamplingAnswer> {
        let _ = sampling;
        at_once(SamplingAnswer::Deny)
    }

    /// Asks whether the server gets what the model said.
    fn sampled<'a>(&'a mut self, sampled: &'a Sampled) -> Asking<'a, bool> {
        let _ = sampled;
        at_once(false)
    }
}

fn at_once<'a, T: Send + 'a>(answer: T) -> Asking<'a, T> {
    Box::pin(std::future::ready(answer))
}

/// Nobody is there: shows nothing, and says no to everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Ui for Nobody {
    fn event(&mut self, event: &Event) {
        let _ = event;
    }
}

/// What the gateway shows a person who is to approve a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApprovalCard {
    /// The whole card, lines and all, with nothing hidden in it.
    pub text: String,
    /// The tool, as the server calls it.
    pub tool: String,
    /// What an approval binds to.
    pub digest: String,
    /// For how much an approval may be meant beside this one call.
    pub scopes: Vec<ApprovalScope>,
}

/// More than one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalScope {
    /// Just these arguments, for this conversation.
    Conversation,
    /// Just these arguments, always.
    Always,
}

/// What a person says to a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalAnswer {
    /// This call may be made, once.
    Once,
    /// So may others like it.
    For(ApprovalScope),
    /// It must not be made.
    Deny {
        /// What the model is told beside.
        message: Option<String>,
    },
}

/// A form of a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Form {
    /// What is asked, with the server's name before it.
    pub message: String,
    /// A flat JSON Schema: an object of texts, numbers, truth values and choices.
    pub schema: Value,
    /// The same, field by field, in the server's order.
    pub fields: Vec<Field>,
}

/// What a person says to a form.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FormAnswer {
    /// Here it is. What does not fit the schema is not sent.
    Accept(Map<String, Value>),
    /// No; the server may go on without.
    Decline,
    /// The question was put away.
    Cancel,
}

/// A URL that a server wants a person to go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// Why, with the server's name before it.
    pub message: String,
    /// The URL, whole.
    pub url: String,
    /// Its host, by itself, as it is looked up.
    pub host: String,
}

/// What a person says to a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VisitAnswer {
    /// The person goes there.
    Accept,
    /// The person does not.
    Decline,
    /// The question was put away.
    Cancel,
}

/// What a server wants to ask a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sampling {
    /// The server whose tool is being called, as the gateway calls it; empty where that is not
    /// known.
    pub server: String,
    /// The server's own system prompt, which is shown as text and never becomes ours.
    pub system: Option<String>,
    /// All messages, whole: who speaks, and what.
    pub messages: Vec<(String, String)>,
    /// How many tokens it wants at most, and gets at most.
    pub tokens: u32,
    /// The models that it would like; hints, no more.
    pub hints: Vec<String>,
    /// The model that would answer.
    pub model: String,
}

/// What a person says to that.
#[derive(Clone)]
pub enum SamplingAnswer {
    /// It may be asked, for so many tokens at most.
    Allow {
        /// The limit.
        tokens: u32,
        /// Another model than the session's, where the person chose one.
        provider: Option<Another>,
    },
    /// It must not.
    Deny,
}

/// Another model than the session's.
#[derive(Clone)]
pub struct Another {
    /// The model.
    pub provider: Arc<dyn Provider>,
    /// What is known of it. Without a price it counts at that of the session's model.
    pub facts: Option<Facts>,
}

/// What a model said to a server's question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sampled {
    /// The model.
    pub model: String,
    /// Its answer, whole.
    pub text: String,
}
