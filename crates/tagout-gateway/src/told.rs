//! What a client says about its call beside it: the person's words, the model, what led to it, and
//! what it finds odd. Nobody here knows whether it is true. It goes on record and onto the card of
//! whoever approves, never to a server, and it can only make things stricter.
use tagout_inspect::characters::one_line;
use tagout_policy::{Decision, Given, Verdict};
use tagout_proto::{Kind, Method, Value, quoted};

use crate::stage::receive::Call;

/// The rule that asks because the client finds the call odd.
pub const RULE: &str = "tagout:concern";

const WORDS: &str = "tagout/user-words";
const MODEL: &str = "tagout/model";
const CAUSE: &str = "tagout/cause";
const CONCERNS: &str = "tagout/concerns";

/// The longest words that are taken, in bytes.
const WORDS_BYTES: usize = 4096;
/// The longest name of a model, in bytes.
const MODEL_BYTES: usize = 256;
/// The longest identifier of a call, in bytes.
pub(crate) const CALL_BYTES: usize = 200;
/// The most concerns of one call…
const MOST_CONCERNS: usize = 16;
/// …the longest place and code of one, in bytes…
const PATH_BYTES: usize = 256;
const CODE_BYTES: usize = 64;
/// …and its longest detail.
const DETAIL_BYTES: usize = 1024;
/// So much of the words stands on a card, in characters…
const WORDS_SHOWN: usize = 600;
/// …so much of a concern's place and of its detail, and of the model's name…
const PLACE_SHOWN: usize = 60;
const DETAIL_SHOWN: usize = 160;
/// …and so much of all concerns together in the reason, which stands above the arguments.
const REASON_SHOWN: usize = 200;

/// What a client says about its call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    words: Option<String>,
    model: Option<String>,
    cause: Option<ToldCause>,
    concerns: Vec<Concern>,
}

/// What led to a call, as the client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldCause {
    /// The record of the model's response.
    pub record: u64,
    /// The call's identifier in that.
    pub call: String,
}

/// Something that the client finds odd about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// Where in the arguments.
    pub path: String,
    /// What, a code.
    pub code: String,
    /// In words.
    pub detail: String,
    /// Whether a person should look before the call is made.
    pub holds: bool,
}

/// Something that is said in a way that nobody can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTold {
    /// The key of `_meta`.
    pub key: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Told {
    /// What is said beside `call`; of other methods nothing is taken.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub(crate) fn of(call: &Call) -> Result<Self, BadTold> {
        if call.method() != Method::ToolsCall {
            return Ok(Self::default());
        }
        let meta = call.params().and_then(|params| params.get("_meta"));
        meta.map_or_else(|| Ok(Self::default()), Self::read)
    }

    fn read(meta: Value<'_>) -> Result<Self, BadTold> {
        let words = text(meta.get(WORDS), (WORDS, WORDS_BYTES))?;
        let model = text(meta.get(MODEL), (MODEL, MODEL_BYTES))?;
        if model.as_deref().is_some_and(|model| !is_model(model)) {
            return Err(BadTold { key: MODEL, problem: "it is no `PROVIDER:NAME`" });
        }
        let cause = meta.get(CAUSE).map(ToldCause::read).transpose()?;
        let concerns = meta.get(CONCERNS).map(concerns).transpose()?.unwrap_or_default();
        Ok(Self { words, model, cause, concerns })
    }

    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The person's own words.
    pub(crate) fn words(&self) -> Option<&str> {
        self.words.as_deref()
    }

    /// The model, `PROVIDER:NAME`.
    pub(crate) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// What led to it.
    pub(crate) const fn cause(&self) -> Option<&ToldCause> {
        self.cause.as_ref()
    }

    /// What an approval binds to: each concern that holds the call, with all that it says.
    pub(crate) fn bound(&self) -> String {
        let mut held: Vec<_> = self.held().map(Concern::as_json).collect();
        held.sort_unstable();
        held.dedup();
        held.join(",")
    }

    fn held(&self) -> impl Iterator<Item = &Concern> {
        self.concerns.iter().filter(|concern| concern.holds)
    }

    /// The verdict with the question whether the call is meant, where the client has a concern that
    /// holds it. What asks or denies already stays as it is.
    pub(crate) fn asked_too(&self, verdict: Verdict) -> Verdict {
        let reasons: Vec<_> = self.held().map(Concern::named).collect();
        if reasons.is_empty() || verdict.decision != Decision::Allow {
            return verdict;
        }
        Verdict {
            decision: Decision::Ask,
            rule: RULE.to_owned(),
            reason: format!("the client finds it odd: {}", cut(&reasons.join("; "), REASON_SHOWN)),
            remedy: "look at the arguments, and at what led to them: `tagout audit trace`"
                .to_owned(),
            demand: Some(Given { own: true, ..Given::NONE }),
        }
    }

    /// What stands beside the chain, a JSON object; nothing where nothing is said that can be
    /// erased. The words are among it only where what is said is kept at all.
    pub(crate) fn beside(&self, keeps_words: bool) -> Option<String> {
        let words = self.words.as_deref().filter(|_| keeps_words);
        let words = words.map(|words| format!(r#""words":{}"#, quoted(words)));
        let concerns: Vec<_> = self.concerns.iter().map(Concern::as_json).collect();
        let concerns =
            (!concerns.is_empty()).then(|| format!(r#""concerns":[{}]"#, concerns.join(",")));
        let members: Vec<_> = words.into_iter().chain(concerns).collect();
        (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
    }

    /// What a person is shown of it, a line each; none can pass for more than one. It is cut, since
    /// a client chooses how long it is, and comes below arguments that are never cut. What holds the
    /// call comes first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(model) = &self.model {
            lines.push(format!("model      {}", cut(model, DETAIL_SHOWN)));
        }
        if let Some(words) = &self.words {
            lines.push(format!("words      {}", shown(words)));
        }
        let others = self.concerns.iter().filter(|concern| !concern.holds);
        for concern in self.held().chain(others) {
            let weight = if concern.holds { "noticed !" } else { "noticed  " };
            lines.push(format!("{weight}  {}", concern.in_short()));
        }
        lines
    }
}

impl ToldCause {
    fn read(cause: Value<'_>) -> Result<Self, BadTold> {
        let bad = |problem| BadTold { key: CAUSE, problem };
        only(cause, &["record", "call"]).map_err(bad)?;
        let record = cause.get("record").and_then(|record| record.integer());
        let record = record.and_then(|record| u64::try_from(record).ok());
        let call = cause.get("call").and_then(|call| call.text());
        let call = call.filter(|call| (1..=CALL_BYTES).contains(&call.len()));
        Ok(Self {
            record: record.ok_or(bad("`record` is no number of a record"))?,
            call: call.ok_or(bad("`call` is no string of 1 to 200 bytes"))?.into_owned(),
        })
    }
}

impl Concern {
    fn read(concern: Value<'_>) -> Result<Self, BadTold> {
        let bad = |problem| BadTold { key: CONCERNS, problem };
        only(concern, &["path", "code", "detail", "holds"]).map_err(bad)?;
        let of = |key: &str, most: usize| {
            let text = concern.get(key).and_then(|text| text.text());
            text.filter(|text| text.len() <= most).map(|text| text.into_owned())
        };
        let code = of("code", CODE_BYTES).filter(|code| is_code(code));
        Ok(Self {
            path: of("path", PATH_BYTES)
                .ok_or(bad("a `path` is no string of at most 256 bytes"))?,
            code: code.ok_or(bad("a `code` is not of small letters, digits and `-`"))?,
            detail: of("detail", DETAIL_BYTES)
                .ok_or(bad("a `detail` is no string of at most 1024 bytes"))?,
            holds: concern
                .get("holds")
                .and_then(|holds| holds.boolean())
                .ok_or(bad("a `holds` is neither true nor false"))?,
        })
    }

    /// Where, and of which kind.
    fn named(&self) -> String {
        if self.path.is_empty() {
            return self.code.clone();
        }
        format!("{}: {}", cut(&self.path, PLACE_SHOWN), self.code)
    }

    fn in_short(&self) -> String {
        format!("{}, {}", self.named(), cut(&self.detail, DETAIL_SHOWN))
    }

    fn as_json(&self) -> String {
        format!(
            r#"{{"path":{},"code":{},"detail":{},"holds":{}}}"#,
            quoted(&self.path),
            quoted(&self.code),
            quoted(&self.detail),
            self.holds
        )
    }
}

/// `_meta` without what is said in a person's or a host's own words, whose characters reach nobody
/// but who reads them made visible.
pub(crate) fn without_words(meta: Value<'_>) -> Option<String> {
    let there = meta.get(WORDS).is_some() || meta.get(CONCERNS).is_some();
    there.then(|| meta.with(&[(WORDS, None), (CONCERNS, None)]))
}

/// `_meta` without all that is understood here.
pub(crate) fn without_told(meta: Value<'_>) -> String {
    meta.with(&[(WORDS, None), (MODEL, None), (CAUSE, None), (CONCERNS, None)])
}

/// `_meta` with the size of the person's words in their place.
pub(crate) fn with_size_of_words(meta: Value<'_>) -> Option<String> {
    let bytes = meta.get(WORDS)?.raw().len();
    let size = quoted(&format!("<not kept: {bytes} bytes>"));
    Some(meta.with(&[(WORDS, Some(&size))]))
}

/// As much of a person's words as goes with a call.
pub(crate) fn as_told(words: &str) -> &str {
    let mut ends = (0..=WORDS_BYTES.min(words.len())).rev();
    ends.find_map(|end| words.get(..end)).unwrap_or_default()
}

/// On one line, and no longer than a card has room for.
fn shown(words: &str) -> String {
    let words = one_line(words);
    let start: String = words.chars().take(WORDS_SHOWN).collect();
    let more = words.chars().count().saturating_sub(WORDS_SHOWN);
    let more = if more > 0 { format!(" … and {more} characters more") } else { String::new() };
    format!("\"{start}\"{more}")
}

/// On one line, and of that at most `most` characters.
fn cut(text: &str, most: usize) -> String {
    let line = one_line(text);
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn text(
    value: Option<Value<'_>>,
    (key, most): (&'static str, usize),
) -> Result<Option<String>, BadTold> {
    let Some(value) = value else { return Ok(None) };
    let text = value.text().ok_or(BadTold { key, problem: "it is no string" })?;
    if text.len() > most {
        return Err(BadTold { key, problem: "it is too long" });
    }
    Ok(Some(text.into_owned()))
}

fn concerns(value: Value<'_>) -> Result<Vec<Concern>, BadTold> {
    let bad = |problem| BadTold { key: CONCERNS, problem };
    if value.kind() != Kind::Array {
        return Err(bad("it is no array"));
    }
    if value.elements().count() > MOST_CONCERNS {
        return Err(bad("it has more than 16 elements"));
    }
    value.elements().map(Concern::read).collect()
}

fn only(value: Value<'_>, keys: &[&str]) -> Result<(), &'static str> {
    if value.kind() != Kind::Object {
        return Err("it is no object");
    }
    let known = value.members().all(|(key, _)| keys.contains(&&*key));
    if known { Ok(()) } else { Err("it has a member that is not known") }
}

fn is_model(model: &str) -> bool {
    model.split_once(':').is_some_and(|(provider, name)| !provider.is_empty() && !name.is_empty())
}

fn is_code(code: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !code.is_empty() && code.bytes().all(plain)
}

#[cfg(test)]
mod tests;
