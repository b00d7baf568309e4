//! Servers' questions to models: a person reads all of the question, chooses who answers and how
//! much, and reads the answer before the server does.
#![expect(deprecated, reason = "sampling, roots and logging stay as long as servers use them")]
use std::sync::Arc;

use rmcp::{
    ErrorData,
    model::{
        CreateMessageRequestParams, CreateMessageResult, ErrorCode, Role as Speaker,
        SamplingMessage, SamplingMessageContentBlock as Block,
    },
};
use serde_json::json;
use tagout_llm::{Image, Message, Part, Provider, Role, Stop, Turn, TurnRequest, Usage};
use tokio::time::timeout;

use crate::{
    Another, Said, Sampled, Sampling, SamplingAnswer, Ui, What, guard::sound, session::Session,
};

/// A server's question, as it is shown and as it is put.
pub(crate) struct Asks {
    pub(crate) shown: Sampling,
    messages: Vec<Message>,
}

/// The longest answer that a server gets, in tokens.
const TOKENS: u32 = 8_192;
/// The most messages of one question.
const MESSAGES: usize = 64;
/// The most bytes of one question, pictures included.
const BYTES: usize = 4 << 20;
/// The protocol's code for what the user did not let through.
const REJECTED: ErrorCode = ErrorCode(-1);

/// Reads a question.
///
/// # Errors
/// What a person could not be shown in words is not asked.
pub(crate) fn read(request: &CreateMessageRequestParams) -> Result<Asks, ErrorData> {
    if request.tools.is_some() || request.tool_choice.is_some() {
        return Err(bad("it wants tools, which the client did not offer"));
    }
    if request.max_tokens == 0 {
        return Err(bad("it wants no answer"));
    }
    if request.messages.len() > MESSAGES {
        return Err(bad("it has too many messages"));
    }
    let system = request.system_prompt.clone().filter(|system| !system.is_empty());
    let mut messages: Vec<_> =
        system.iter().map(|system| Message::text(Role::System, system.as_str())).collect();
    for message in &request.messages {
        messages.push(said(message)?);
    }
    if !messages.iter().any(|message| message.role == Role::User) {
        return Err(bad("nobody asks anything in it"));
    }
    if messages.iter().flat_map(|message| &message.parts).map(size).sum::<usize>() > BYTES {
        return Err(bad("it is too large"));
    }
    let hints = request.model_preferences.iter().flat_map(|wishes| wishes.hints.iter().flatten());
    let shown = messages.iter().filter(|message| message.role != Role::System).map(|message| {
        let who = if message.role == Role::User { "user" } else { "assistant" };
        let texts: Vec<_> = message.parts.iter().map(in_words).collect();
        (who.to_owned(), texts.join("\n"))
    });
    let shown = Sampling {
        server: String::new(),
        system,
        messages: shown.collect(),
        tokens: request.max_tokens.min(TOKENS),
        hints: hints.filter_map(|hint| hint.name.clone()).take(16).collect(),
        model: String::new(),
    };
    Ok(Asks { shown, messages })
}

fn said(message: &SamplingMessage) -> Result<Message, ErrorData> {
    let role = match message.role {
        Speaker::User => Role::User,
        Speaker::Assistant => Role::Assistant,
    };
    let part = |block: &Block| match block {
        Block::Text(text) => Ok(Part::text(text.text.clone())),
        Block::Image(image) if role == Role::User => {
            let (media_type, base64) = (image.mime_type.clone(), image.data.clone());
            let image = Image { media_type, base64 };
            sound(&image).map_err(|why| bad(&format!("of a picture in it, {why}")))?;
            Ok(Part::Image(image))
        }
        Block::Image(_) => Err(bad("a model is to have said a picture")),
        Block::Audio(_) => Err(bad("it holds sound, which cannot be shown")),
        // The SDK may add kinds; none of them can be shown.
        Block::ToolUse(_) | Block::ToolResult(_) | _ => {
            Err(bad("it holds something else than text and pictures"))
        }
    };
    let parts = message.content.iter().map(part).collect::<Result<_, _>>()?;
    Ok(Message { role, parts })
}

fn size(part: &Part) -> usize {
    match part {
        Part::Text { text, .. } => text.len(),
        Part::Image(image) => image.base64.len(),
        Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => 0,
    }
}

fn in_words(part: &Part) -> String {
    match part {
        Part::Text { text, .. } | Part::Refusal { text } => text.clone(),
        Part::Image(image) => {
            format!("[image: {}, {} bytes]", image.media_type, image.size_bytes())
        }
        Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. } => String::new(),
    }
}

fn bad(problem: &str) -> ErrorData {
    ErrorData::invalid_params(format!("no model is asked: {problem}"), None)
}

/// Nobody allowed it.
pub(crate) fn denied() -> ErrorData {
    ErrorData::new(REJECTED, "the user does not let a model answer this", None)
}

/// One call's servers have asked often enough.
pub(crate) fn too_many() -> ErrorData {
    ErrorData::new(REJECTED, "a model was asked for this call often enough", None)
}

fn failed(why: &str) -> ErrorData {
    ErrorData::internal_error(format!("the model gave no answer ({why})"), None)
}

impl Session {
    /// Asks the person, then the model, then the person again. The model gets the server's
    /// question and nothing else: no tools, none of the conversation, and not the instructions.
    pub(crate) async fn sample(
        &mut self,
        asks: &mut Asks,
        cause: Option<u64>,
        ui: &mut dyn Ui,
    ) -> Result<CreateMessageResult, ErrorData> {
        asks.shown.model = self.options.provider.describe().name;
        let SamplingAnswer::Allow { tokens, provider } = ui.sample(&asks.shown).await else {
            return Err(denied());
        };
        let Another { provider, facts } = provider.unwrap_or_else(|| Another {
            provider: Arc::clone(&self.options.provider),
            facts: self.options.facts,
        });
        if !provider.describe().language_model {
            return Err(failed("there is no language model"));
        }
        // What has no price of its own counts at that of the session's model, not for nothing.
        let priced = facts.filter(|facts| facts.cost(Usage::default()).is_some());
        let facts = priced.or(self.options.facts);
        let tokens = tokens.clamp(1, asks.shown.tokens);
        let turn = self.sampled_turn(provider.as_ref(), (&asks.messages, tokens), cause).await?;
        self.owed.add(turn.usage.unwrap_or_else(|| estimated(&asks.messages, &turn)), facts);
        let (text, reason) = answered(&turn)?;
        let sampled = Sampled { model: provider.describe().name, text };
        if !ui.sampled(&sampled).await {
            return Err(denied());
        }
        let message = SamplingMessage::new(Speaker::Assistant, sampled.text.as_str());
        Ok(CreateMessageResult::new(message, sampled.model).with_stop_reason(reason))
    }

    /// One turn, on record before and after.
    async fn sampled_turn(
        &mut self,
        provider: &dyn Provider,
        (messages, tokens): (&[Message], u32),
        cause: Option<u64>,
    ) -> Result<Turn, ErrorData> {
        let model = provider.describe().name;
        let asked = json!({"messages": messages, "most_tokens": tokens}).to_string();
        let mut said = Said {
            what: What::Request,
            cause,
            model: Some(&model),
            content: &asked,
            calls: &[],
            results: &[],
            usage: None,
        };
        let unrecorded = |error: crate::JournalError| failed(error.code);
        said.cause = self.journal.record(&said).map_err(unrecorded)?;
        let request = TurnRequest::new(messages, &[]).with_most_tokens(tokens);
        let turn = timeout(self.options.turn_timeout, provider.turn(request)).await;
        let turn = turn.map_err(|_| failed("provider-timeout"))?;
        let turn = turn.map_err(|error| failed(error.code()))?;
        let answer = serde_json::to_string(&turn).unwrap_or_default();
        (said.what, said.content, said.usage) = (What::Response, &answer, turn.usage);
        self.journal.record(&said).map_err(unrecorded)?;
        Ok(turn)
    }
}

/// What a turn took whose provider does not count: about a token for four bytes.
fn estimated(messages: &[Message], turn: &Turn) -> Usage {
    let tokens = |bytes: usize| u64::try_from(bytes / 4).unwrap_or(u64::MAX);
    let asked = messages.iter().flat_map(|message| &message.parts).map(size).sum();
    let said = turn.parts.iter().map(size).sum();
    Usage { input_tokens: tokens(asked), output_tokens: tokens(said), ..Usage::default() }
}

/// What the model said, and why it stopped, in the protocol's words.
fn answered(turn: &Turn) -> Result<(String, &'static str), ErrorData> {
    let reason = match &turn.stop {
        Stop::Complete | Stop::Refused => CreateMessageResult::STOP_REASON_END_TURN,
        Stop::Length => CreateMessageResult::STOP_REASON_END_MAX_TOKEN,
        Stop::ToolCalls => return Err(failed("it proposes calls of tools")),
        Stop::NeedsInput(_) | Stop::NeedsChoice(_) | Stop::NoToolFits => {
            return Err(failed("there is no language model"));
        }
    };
    let texts: Vec<_> = turn.parts.iter().map(in_words).filter(|text| !text.is_empty()).collect();
    if texts.is_empty() { Err(failed("it is empty")) } else { Ok((texts.join("\n"), reason)) }
}
