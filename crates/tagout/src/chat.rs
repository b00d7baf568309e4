//! The assistant at a terminal: one question, or a conversation.
mod commands;
mod complete;
mod form;
mod input;
mod kept;
mod lines;
mod live;
mod modes;
mod once;
mod painter;
mod person;
mod pictures;
mod spent;
mod start;

use std::process::ExitCode;

use crate::{
    cli::{Ask, Chat},
    failure::Failure,
    places::Places,
};
pub(crate) use {
    kept::Conversation,
    start::{Model, Start},
};

/// One question.
pub(crate) fn ask(places: &Places, ask: &Ask, json: bool) -> Result<ExitCode, Failure> {
    once::once(places, Some(&ask.question), &ask.how, json)
}

/// A conversation; or one question, where there is one on the command line.
pub(crate) fn chat(places: &Places, chat: &Chat, json: bool) -> Result<ExitCode, Failure> {
    match &chat.print {
        Some(question) => once::once(places, question.as_deref(), &chat.how, json),
        None if json || chat.how.output.is_some() || !chat.how.attach.is_empty() => {
            let help = "it is about one question: add `-p`";
            Err(Failure::usage("usage-invalid", "a conversation has no such option", help))
        }
        None => live::chat(places, &chat.how),
    }
}
