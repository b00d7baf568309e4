//! What a host puts on record of a conversation, in the same chain as the calls that come of it.
use tagout_audit::{
    AuditError, Durability, SaidCall, SaidResult, Tokens, What,
    record::{Begun, Payload, Uttered},
};
use tagout_inspect::redact::{redacted, redacted_text};
use tagout_proto::{Conversation, Digest, Origin, Principal, quoted};
use tagout_store::StoreError;

use crate::{
    Gateway,
    told::{CALL_BYTES, as_told},
    upstream::composed,
};

/// The most calls and results of one record; how many more there were stands in it.
const ENTRIES: usize = 40;
/// The longest name of a tool that stands in a record, in bytes.
const TOOL_BYTES: usize = 128;
/// The longest name of a model, in bytes.
const MODEL_BYTES: usize = 256;
/// Redacted contents larger than this are not kept; their digest is.
const CONTENT_BYTES: usize = 256 << 10;

/// Something that passed between a person, a host and a model.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// What.
    pub what: What,
    /// The record that led to it.
    pub cause: Option<u64>,
    /// The model, `PROVIDER:NAME`.
    pub model: Option<&'a str>,
    /// The words, or what was sent or came as JSON.
    pub content: &'a str,
    /// The calls that a response proposes.
    pub calls: &'a [Proposed<'a>],
    /// The results that a request brings back: the calls' identifiers and records.
    pub results: &'a [(&'a str, Option<u64>)],
    /// What it cost.
    pub tokens: Option<Tokens>,
}

/// A call that a model proposed.
#[derive(Clone, Copy, Debug)]
pub struct Proposed<'a> {
    /// Its identifier in the conversation.
    pub id: &'a str,
    /// The tool, as the gateway calls it.
    pub tool: &'a str,
    /// Digest of its arguments, as [`Digest::of_json`] makes it.
    pub arguments: Digest,
}

impl Gateway {
    /// Puts on record what was said in a conversation of `principal`, and gives the record's
    /// number. The operating system has it then.
    ///
    /// # Errors
    /// Any [`AuditError`]: what was to come of it must not be done.
    pub fn say(
        &self,
        principal: &Principal,
        conversation: &Conversation,
        said: &Said<'_>,
    ) -> Result<u64, AuditError> {
        let calls: Vec<_> = said.calls.iter().take(ENTRIES).map(said_call).collect();
        let room = ENTRIES.saturating_sub(calls.len());
        let results: Vec<_> = said.results.iter().take(room).map(said_result).collect();
        let left_out = (said.calls.len() + said.results.len()) - (calls.len() + results.len());
        let model = said.model.map(|model| short(model, MODEL_BYTES));
        let proposed = said.calls.iter().take(ENTRIES).map(|call| self.proposed(call.arguments));
        let proposed: Vec<_> = proposed.collect();
        let shown = self.said_without_secrets(said);
        let keeps = self.config.audit.keeps_contents();
        let (payload, content) = beside((said, &shown), &proposed, keeps)?;
        self.audit.say(
            &tagout_audit::Said {
                at: self.clock.now(),
                what: said.what,
                principal,
                conversation,
                cause: said.cause,
                model: model.as_deref(),
                content,
                bytes: said.content.len() as u64,
                calls: &calls,
                results: &results,
                left_out: u32::try_from(left_out).unwrap_or(u32::MAX),
                tokens: said.tokens,
                payload: Some(&payload),
            },
            Durability::System,
        )
    }

    /// What was said, without live secrets.
    fn said_without_secrets(&self, said: &Said<'_>) -> String {
        match said.what {
            What::Request | What::Response => self.secrets.clean_json(said.content),
            What::Prompt | What::Stopped => self.secrets.clean(said.content),
        }
    }

    /// The conversation that a client over memory goes on with under `name`; it is opened where
    /// there is none.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn conversation_called(
        &self,
        name: &str,
        client: &str,
    ) -> Result<Conversation, StoreError> {
        let origin = Origin {
            transport: "memory".into(),
            client: client.into(),
            address: None,
            gateway_pid: std::process::id(),
        };
        self.store.named_conversation(&self.principal, &origin, (name, self.clock.now()))
    }

    /// For whom it works.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What stands beside the chain of arguments with `digest`, where they are proposed and where
    /// they come: the same, nobody without the key can tell of what, and erasure takes it.
    pub(crate) fn proposed(&self, digest: Digest) -> Digest {
        self.seal.keyed("tagout-proposed-arguments-1", &[digest.as_bytes()])
    }
}

fn said_call(call: &Proposed<'_>) -> SaidCall {
    SaidCall { id: short(call.id, CALL_BYTES), tool: short(call.tool, TOOL_BYTES) }
}

/// Whether `content` is what a record says was said; nothing where that cannot be told any more.
#[must_use]
pub fn is_what_was_said(said: &Uttered, beside: &Payload, content: &str) -> Option<bool> {
    Some(digest_of(&salt_in(beside)?, content) == said.content)
}

/// Whether a client said `words`, or as much of them as goes with a call, to be those of the person
/// whom its call is for; nothing where it said none, or where that cannot be told any more.
#[must_use]
pub fn are_the_words(begun: &Begun, beside: &Payload, words: &str) -> Option<bool> {
    let claimed = begun.words?;
    Some(digest_of(&salt_in(beside)?, as_told(words)) == claimed)
}

/// The salt that stands beside a record, as long as it does.
fn salt_in(beside: &Payload) -> Option<Vec<u8>> {
    let Payload::Present(text) = beside else { return None };
    hex::decode(&*composed(text).ok()?.root().get("salt")?.text()?).ok()
}

/// Salted, so that what was erased cannot be found again by guessing.
fn digest_of(salt: &[u8], content: &str) -> Digest {
    Digest::of_parts([salt, content.as_bytes()])
}

fn said_result((id, record): &(&str, Option<u64>)) -> SaidResult {
    SaidResult { id: short(id, CALL_BYTES), record: *record }
}

/// What stands beside the chain: the salt of the digest, digests of the arguments that are proposed,
/// and the content where that is kept; and the digest.
fn beside(
    (said, shown): (&Said<'_>, &str),
    proposed: &[Digest],
    keeps: bool,
) -> Result<(String, Digest), AuditError> {
    let mut salt = [0; 16];
    // Without a salt the digest would tell what it is of.
    getrandom::fill(&mut salt).map_err(|error| AuditError::Unwritable {
        path: "payloads".into(),
        source: std::io::Error::other(error),
    })?;
    let digest = digest_of(&salt, said.content);
    let proposed: Vec<_> = proposed.iter().map(|digest| quoted(&digest.to_string())).collect();
    let mut start = format!(r#"{{"salt":"{}""#, hex::encode(salt));
    if !proposed.is_empty() {
        start.push_str(&format!(r#","proposed":[{}]"#, proposed.join(",")));
    }
    if !keeps {
        return Ok((format!("{start}}}"), digest));
    }
    let shown = match (said.what, composed(shown)) {
        (What::Request | What::Response, Ok(document)) => redacted(document.root()),
        (_, _) => redacted_text(shown),
    };
    let payload = if shown.len() > CONTENT_BYTES {
        format!(r#"{start},"left_out_bytes":{}}}"#, shown.len())
    } else {
        format!(r#"{start},"content":{}}}"#, quoted(&shown))
    };
    Ok((payload, digest))
}

/// At most `most` bytes of `text`, cut between two characters. Control characters would take six
/// times their size in a record, which has a limit of its own; no call with one gets through.
fn short(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        let c = if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        if out.len() + c.len_utf8() > most {
            break;
        }
        out.push(c);
    }
    out
}
