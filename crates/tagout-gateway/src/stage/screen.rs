//! What came back is looked at before the client sees it.
mod in_revision;

use tagout_inspect::screen::made_safe;
use tagout_proto::{Digest, Document, Kind, Value, quoted};

use super::{
    forward::{Answer, same_definition, without_ours},
    inspect::Target,
};
use crate::{
    refusal::Refusal,
    upstream::{Tool, Upstream, composed},
};

/// An answer that may be passed on.
#[derive(Debug)]
#[must_use]
pub struct Reply {
    outcome: Result<String, String>,
    screened: usize,
    secrets: u32,
    /// Whether the server or its tool says that it failed.
    failed: bool,
}

/// Looks at an answer: its size, characters that hide, and whether the tool is still defined as it
/// was when the call was decided. Adds record, rule and verdict to the `_meta` of results.
///
/// # Errors
/// [`Refusal::ResultTooLarge`], [`Refusal::DefinitionChanged`], [`Refusal::Upstream`].
pub async fn screen(answer: Answer) -> Result<Reply, Refusal> {
    let target = answer.cleared().authorised().decided().inspected().target();
    if let Target::Tool { upstream, tool, .. } = target {
        still_defined(upstream, tool).await?;
    }
    let said = answer.said()?;
    let (Ok(value) | Err(value)) = said;
    let limit = target.upstream().map(|upstream| upstream.limits().result_bytes);
    let got = value.raw().len();
    if let Some(limit) = limit.filter(|limit| got > *limit) {
        return Err(Refusal::ResultTooLarge { got, limit });
    }
    let failed = said.map_or(true, |v| v.get("isError").and_then(|e| e.boolean()) == Some(true));
    let safe = made_safe(value);
    let screened = safe.as_ref().map_or(0, |(_, count)| *count);
    let finished = |value: Value<'_>| match (said.is_ok(), target.upstream()) {
        (true, Some(_)) => with_meta(value, &answer),
        (true, None) => value.raw().to_owned(),
        (false, _) => with_record(value, &answer),
    };
    let text = match safe {
        None => finished(value),
        Some((safe, _)) => finished(reread(&safe)?.root()),
    };
    let identified = answer.cleared().authorised().decided().inspected().identified();
    let (method, client) = (identified.call().method(), identified.session().revision());
    let outcome = if said.is_ok() {
        Ok(in_revision::result(text, (client, answer.revision()), method))
    } else {
        Err(in_revision::error(text, (client, answer.revision()), method))
    };
    let (Ok(text) | Err(text)) = &outcome;
    answer.cleared().authorised().decided().went_out(text.len());
    let secrets = answer.secrets();
    Ok(Reply { outcome, screened, secrets, failed })
}

/// A text that was made here of one that was read strictly. Making characters visible can turn two
/// keys into one, and then the answer is refused.
fn reread(text: &str) -> Result<Document, Refusal> {
    composed(text).map_err(|error| Refusal::Frame(error.into()))
}

/// A server may announce a change of its tools in the middle of a call; the answer of a tool that
/// is another one by now is withheld.
async fn still_defined(upstream: &Upstream, tool: &Tool) -> Result<(), Refusal> {
    let down = |problem| Refusal::Upstream { server: upstream.name().clone(), problem };
    let got = upstream.definition_of(&tool.name).await.map_err(down)?;
    same_definition(tool, got)
}

fn with_meta(result: Value<'_>, answer: &Answer) -> String {
    let ours = answer.cleared().meta();
    let theirs = result.get("_meta").filter(|meta| meta.kind() == Kind::Object);
    let theirs = theirs.map_or_else(|| "{}".to_owned(), without_ours);
    let mut meta = theirs.strip_suffix('}').unwrap_or("{").to_owned();
    for (key, value) in &ours {
        if !meta.ends_with('{') {
            meta.push(',');
        }
        meta.push_str(&format!("{}:{value}", quoted(key)));
    }
    meta.push('}');
    result.with(&[("_meta", Some(&meta))])
}

/// A server's own error, with the record's number where its `data` leaves room for it.
fn with_record(error: Value<'_>, answer: &Answer) -> String {
    let Some(record) = answer.cleared().record() else { return error.raw().to_owned() };
    // Only the gateway says `by: tagout`: a server cannot pass its error off as a refusal.
    match error.get("data") {
        None => {
            let ours = format!(r#"{{"by":"tagout","record":{record}}}"#);
            error.with(&[("data", Some(&ours))])
        }
        Some(data) => error.with(&[("data", Some(&data.with(&[("by", None)])))]),
    }
}

impl Reply {
    /// The result or the error object.
    pub(crate) fn into_outcome(self) -> Result<String, String> {
        self.outcome
    }

    /// Whether the server, or the tool, answered with an error.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        self.failed
    }

    /// The digest of what is passed on.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        let (Ok(text) | Err(text)) = &self.outcome;
        Some(Digest::of(text.as_bytes()))
    }

    /// The size of what is passed on, in bytes.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        let (Ok(text) | Err(text)) = &self.outcome;
        u64::try_from(text.len()).ok()
    }

    /// How many places held secrets, which were taken out.
    #[must_use]
    pub const fn secrets(&self) -> u32 {
        self.secrets
    }

    /// How many characters were made visible.
    #[must_use]
    pub fn screened(&self) -> u32 {
        u32::try_from(self.screened).unwrap_or(u32::MAX)
    }
}
