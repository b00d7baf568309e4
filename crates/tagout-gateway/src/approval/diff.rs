//! How a call differs from the last one of its kind that was approved.
use std::time::Duration;

use similar::{ChangeTag, TextDiff};
use tagout_inspect::redact::redacted;
use tagout_proto::{Digest, Principal, Value};
use tagout_store::{ApprovedCall, Store, StoreError};

use super::readable;
use crate::upstream::composed;

/// Larger arguments are neither kept nor compared, in bytes.
const BYTES: usize = 64 << 10;
/// Differences are looked for no longer; what is found until then is right, if not the shortest.
const PATIENCE: Duration = Duration::from_millis(200);

/// The arguments of a call, as they are kept for the next card.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    /// For people, without secrets.
    text: String,
    digest: Digest,
}

impl Compared {
    pub(crate) fn of(arguments: Option<Value<'_>>) -> Self {
        let Some(arguments) = arguments else {
            return Self { text: "{}".to_owned(), digest: Digest::of(b"{}") };
        };
        let shown = redacted(arguments);
        let text = composed(&shown).map_or(shown, |document| readable(document.root()));
        Self { text, digest: Digest::of(arguments.canonical().as_bytes()) }
    }

    /// Keeps it as what was approved last.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn keep(
        self,
        store: &Store,
        principal: &Principal,
        about: (&str, &str),
        at: jiff::Timestamp,
    ) -> Result<(), StoreError> {
        if self.text.len() > BYTES {
            return Ok(());
        }
        let call = ApprovedCall { arguments: self.text, digest: self.digest, at };
        store.keep_approved(principal, about, &call)
    }
}

/// How the arguments differ from those that were approved last, line by line; empty where nothing
/// is known of an earlier call.
pub(crate) fn last_and_now(last: Option<&ApprovedCall>, now: &Compared) -> String {
    let Some(last) = last else { return String::new() };
    let at = last.at.strftime("%Y-%m-%d %H:%M:%S UTC");
    if last.digest == now.digest {
        return format!("({at}) nothing has changed");
    }
    if last.arguments == now.text {
        return format!("({at}) only what is left out of records as secret has changed");
    }
    if now.text.len() > BYTES {
        return format!("({at}) they are too long to compare");
    }
    let mut out = format!("({at})");
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&last.arguments, &now.text);
    for change in diff.iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        out.push_str(&format!("\n{sign} {}", change.value().trim_end_matches('\n')));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(text: &str) -> Compared {
        Compared::of(composed(text).ok().as_ref().map(tagout_proto::Document::root))
    }

    #[test]
    fn what_changed_is_shown_line_by_line() {
        let kept = compared(r#"{"to":"a","password":"hunter2hunter2","n":1}"#);
        let last = ApprovedCall {
            arguments: kept.text.clone(),
            digest: kept.digest,
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        let shown = |text: &str| last_and_now(Some(&last), &compared(text));
        let same = shown(r#"{"to":"a","password":"hunter2hunter2","n":1}"#);
        assert_eq!(same, "(2026-01-01 00:00:00 UTC) nothing has changed");
        let secret = shown(r#"{"to":"a","password":"other","n":1}"#);
        assert!(secret.ends_with("as secret has changed"), "{secret}");
        let other = shown(r#"{"to":"b\u202e","password":"other","n":1}"#);
        assert!(other.contains("-   \"to\": \"a\","), "{other}");
        assert!(other.contains("+   \"to\": \"b<U+202E>\","), "{other}");
        assert!(!other.contains("hunter2"), "{other}");
        assert_eq!(last_and_now(None, &compared("{}")), "");
    }
}
