//! What the client says about its call, as it goes on record.
use tagout_audit::Cause;
use tagout_inspect::redact::redacted;
use tagout_proto::{Digest, Value};

use crate::{
    stage::identify::Identified,
    told::{with_size_of_words, without_told},
    upstream::composed,
};

/// What the client says about its call, as it goes on record.
#[derive(Debug, Default)]
pub(super) struct OnRecord {
    pub(super) model: Option<String>,
    pub(super) cause: Option<Cause>,
    /// Keyed digest of the arguments, to be held against those that the cause has proposed.
    came: Option<Digest>,
    /// Salted like the arguments.
    pub(super) words: Option<Digest>,
    /// What is said in words, without the secrets that can be recognised.
    told: Option<String>,
}

impl OnRecord {
    pub(super) fn of(identified: &Identified, salt: Option<&[u8; 16]>) -> Self {
        let Ok(told) = identified.told() else { return Self::default() };
        let gateway = identified.lane().gateway();
        let keeps_words = gateway.config.audit.keeps_contents();
        let arguments = identified.call().params().and_then(|params| params.get("arguments"));
        let arguments = arguments.map_or("{}", |arguments| arguments.raw());
        let cause =
            told.cause().map(|cause| Cause { record: cause.record, call: cause.call.clone() });
        let came = cause.is_some().then(|| gateway.proposed(Digest::of_json(arguments)));
        let words = told.words().zip(salt);
        let words = words.map(|(words, salt)| Digest::of_parts([&salt[..], words.as_bytes()]));
        let told_in_words = told.beside(keeps_words).and_then(|text| composed(&text).ok());
        Self {
            model: told.model().map(ToOwned::to_owned),
            cause,
            came,
            words,
            told: told_in_words.map(|document| redacted(document.root())),
        }
    }

    /// What stands of it beside the chain, as members of an object with others before them.
    pub(super) fn beside(&self) -> String {
        let came = self.came.map(|came| format!(r#","proposed":"{came}""#)).unwrap_or_default();
        let told = self.told.as_deref().map(|told| format!(r#","told":{told}"#));
        came + told.as_deref().unwrap_or_default()
    }
}

/// What stands in `_meta` that a call sends, for the record: progress tokens mean nothing to
/// anybody later, and what the client says of the call has a place of its own. Where it says that
/// wrongly, or of something that is no call, it stands here; the person's words only where what is
/// said is kept.
pub(super) fn beside_the_call(meta: Value<'_>, identified: &Identified) -> String {
    let rest = meta.with(&[("progressToken", None)]);
    match (identified.told(), composed(&rest)) {
        (Ok(told), Ok(document)) if !told.is_nothing() => without_told(document.root()),
        (_, Ok(document)) if !identified.lane().gateway().config.audit.keeps_contents() => {
            with_size_of_words(document.root()).unwrap_or(rest)
        }
        (_, _) => rest,
    }
}
