//! Where a conversation is kept, and where it is put on record.
use serde::Serialize;
use tagout_llm::{Message, Usage};
use tagout_proto::Digest;

/// Keeps conversations and puts them on record. What cannot be kept is not done.
pub trait Journal: Send {
    /// Keeps one message, before anything is done with it.
    ///
    /// # Errors
    /// It could not be kept.
    fn keep(&mut self, message: &Message) -> Result<(), JournalError>;

    /// Puts on record what passed between person, host and model; gives the record's number, where
    /// there is a log.
    ///
    /// # Errors
    /// It could not be recorded.
    fn record(&mut self, said: &Said<'_>) -> Result<Option<u64>, JournalError>;
}

/// Why something was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JournalError {
    /// A stable code.
    pub code: &'static str,
    /// What went wrong.
    pub message: String,
}

/// What passed between person, host and model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said<'a> {
    /// What it is.
    pub what: What,
    /// The record that led to it.
    pub cause: Option<u64>,
    /// The model, `PROVIDER:NAME`.
    pub model: Option<&'a str>,
    /// The words of a prompt, the request or response as JSON, why it stopped.
    pub content: &'a str,
    /// The calls that a response proposes.
    pub calls: &'a [SaidCall],
    /// The results that a request brings back.
    pub results: &'a [SaidResult],
    /// What a response cost, where its provider counts.
    pub usage: Option<Usage>,
}

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The person's question.
    Prompt,
    /// What a model was asked.
    Request,
    /// What it answered.
    Response,
    /// The question ended without an answer.
    Stopped,
}

/// A call that a model proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SaidCall {
    /// Its identifier in the conversation.
    pub id: String,
    /// The tool's name.
    pub tool: String,
    /// Digest of the arguments as the model wrote them.
    pub arguments: Digest,
}

/// A result that went back to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SaidResult {
    /// The call's identifier in the conversation.
    pub id: String,
    /// The gateway's record of the call, where it reached the gateway.
    pub record: Option<u64>,
}

/// Keeps nothing: for what nobody goes on with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unkept;

impl Journal for Unkept {
    fn keep(&mut self, message: &Message) -> Result<(), JournalError> {
        let _ = message;
        Ok(())
    }

    fn record(&mut self, said: &Said<'_>) -> Result<Option<u64>, JournalError> {
        let _ = said;
        Ok(None)
    }
}
