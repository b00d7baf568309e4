//! What a provider says when something is wrong, as one of our errors.
use std::time::Duration;

use serde_json::Value;

use crate::{
    error::ProviderError,
    talk::Scope,
    wire::{Envelope, envelope},
};

/// Words of a provider that an error repeats, in characters.
const SAID_CHARS: usize = 300;

/// Codes and types, as the providers write them, and what they mean.
const CODES: &[(&str, Meaning)] = &[
    ("API_KEY_INVALID", Meaning::Key),
    ("PERMISSION_DENIED", Meaning::Key),
    ("UNAUTHENTICATED", Meaning::Key),
    ("authentication_error", Meaning::Key),
    ("invalid_api_key", Meaning::Key),
    ("permission_error", Meaning::Key),
    ("NOT_FOUND", Meaning::Model),
    ("invalid_model", Meaning::Model),
    ("model_not_found", Meaning::Model),
    ("not_found_error", Meaning::Model),
    ("context_length_exceeded", Meaning::Context),
    ("exceed_context_size_error", Meaning::Context),
    ("request_too_large", Meaning::Context),
    ("billing_error", Meaning::Quota),
    ("insufficient_quota", Meaning::Quota),
    ("RESOURCE_EXHAUSTED", Meaning::Rate),
    ("rate_limit_error", Meaning::Rate),
    ("rate_limit_exceeded", Meaning::Rate),
    ("DEADLINE_EXCEEDED", Meaning::Overload),
    ("INTERNAL", Meaning::Overload),
    ("UNAVAILABLE", Meaning::Overload),
    ("api_error", Meaning::Overload),
    ("overloaded_error", Meaning::Overload),
    ("server_error", Meaning::Overload),
    ("timeout_error", Meaning::Overload),
];

/// What is only said in words, in lower case. Nothing worse than another error code follows from a
/// wrong guess.
const PHRASES: &[(&str, Meaning)] = &[
    ("prompt is too long", Meaning::Context),
    ("maximum context length", Meaning::Context),
    ("exceeds the available context", Meaning::Context),
    ("exceeds the maximum number of tokens", Meaning::Context),
    ("exceeds the context length", Meaning::Context),
    ("too large for model", Meaning::Context),
    ("credit balance is too low", Meaning::Quota),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Key,
    Model,
    Context,
    Quota,
    Rate,
    Overload,
    Request,
}

/// An answer whose status is no success.
pub(crate) fn refused(
    scope: &Scope,
    status: u16,
    body: &[u8],
    retry_after: Option<Duration>,
) -> ProviderError {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let said = parsed.as_ref().and_then(envelope);
    if said.is_none() && status == 404 {
        let detail = "nothing is there; is `url` right?".to_owned();
        return ProviderError::Refused { provider: scope.provider.clone(), status, detail };
    }
    let said = said.unwrap_or_else(|| {
        // Whatever a proxy between says is often a page; only its first words help.
        let message = String::from_utf8_lossy(body).into_owned();
        Envelope { message, ..Envelope::default() }
    });
    error(scope, status, &said, retry_after)
}

/// An error in the middle of a stream.
pub(crate) fn in_stream(scope: &Scope, said: &Envelope) -> ProviderError {
    if by_words(said).is_none() && said.status.is_none() {
        let detail = in_words(said);
        return ProviderError::BrokenOff { provider: scope.provider.clone(), detail };
    }
    error(scope, said.status.unwrap_or(200), said, None)
}

fn error(
    scope: &Scope,
    status: u16,
    said: &Envelope,
    retry_after: Option<Duration>,
) -> ProviderError {
    let (provider, detail) = (scope.provider.clone(), in_words(said));
    match by_words(said).unwrap_or_else(|| by_status(status)) {
        // What is said here may repeat a part of the key.
        Meaning::Key => ProviderError::KeyRefused { provider, status },
        Meaning::Model => {
            ProviderError::ModelMissing { provider, model: scope.model.clone(), detail }
        }
        Meaning::Context => ProviderError::ContextFull { provider, detail },
        Meaning::Quota => ProviderError::QuotaSpent { provider, detail },
        Meaning::Rate => ProviderError::RateLimited { provider, retry_after },
        Meaning::Overload => ProviderError::Overloaded { provider, status, detail },
        Meaning::Request => ProviderError::Refused { provider, status, detail },
    }
}

fn by_words(said: &Envelope) -> Option<Meaning> {
    let lower = said.message.to_lowercase();
    let phrase = PHRASES.iter().find(|(phrase, _)| lower.contains(phrase));
    let code = || CODES.iter().find(|(code, _)| *code == said.code);
    phrase.or_else(code).map(|(_, meaning)| *meaning)
}

const fn by_status(status: u16) -> Meaning {
    match status {
        401 | 403 => Meaning::Key,
        402 => Meaning::Quota,
        404 => Meaning::Model,
        413 => Meaning::Context,
        429 => Meaning::Rate,
        408 | 500..=599 => Meaning::Overload,
        _ => Meaning::Request,
    }
}

fn in_words(said: &Envelope) -> String {
    let message = without_keys(&said.message);
    let message = message.trim();
    match (said.code.is_empty(), message.is_empty()) {
        (true, true) => "it does not say why".to_owned(),
        (true, false) => message.to_owned(),
        (false, true) => without_keys(&said.code),
        (false, false) => format!("{}: {message}", without_keys(&said.code)),
    }
}

/// How much of the beginning of a key is taken for the key: a text may have been cut inside of it.
const KEY_START: usize = 8;

/// `text` without the key, and without a beginning of it that was cut.
pub(crate) fn without_key(text: &str, key: &str) -> String {
    let start: String = key.chars().take(KEY_START).collect();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, found)) = rest.split_once(&start).filter(|_| !start.is_empty()) {
        let tail = key.get(start.len()..).unwrap_or_default();
        let alike = found.chars().zip(tail.chars()).take_while(|(a, b)| a == b);
        let alike: usize = alike.map(|(a, _)| a.len_utf8()).sum();
        out.push_str(before);
        out.push_str("(key)");
        rest = found.get(alike..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The first characters of a text.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(SAID_CHARS).collect()
}

/// The first words of what a provider said, without what looks like a credential.
pub(crate) fn without_keys(text: &str) -> String {
    let short = shortened(text);
    let words = short.split_inclusive(char::is_whitespace).map(|word| {
        if looks_like_a_key(word) { format!("(hidden){}", tail(word)) } else { word.to_owned() }
    });
    words.collect()
}

fn tail(word: &str) -> &str {
    if word.ends_with(char::is_whitespace) { " " } else { "" }
}

fn looks_like_a_key(word: &str) -> bool {
    let known = ["sk-", "sk_", "AIza", "gsk_", "Bearer", "ya29."];
    let run = word.split(|c: char| !(c.is_ascii_alphanumeric() || "-_*.".contains(c)));
    run.into_iter().any(|run| {
        let digits = run.bytes().any(|b| b.is_ascii_digit());
        let letters = run.bytes().any(|b| b.is_ascii_alphabetic());
        known.iter().any(|start| run.starts_with(start) && run.len() > start.len())
            || run.contains("****")
            || (run.len() >= 32 && digits && letters && !run.contains('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_hidden_where_it_was_cut_too() {
        let key = "topsecret-0123456789";
        for (said, shown) in [
            ("no topsecret-0123456789, no topsecret-0123456789.", "no (key), no (key)."),
            ("no topsecret-0123", "no (key)"),
            ("a topsecret-0x", "a (key)x"),
            ("a topsec", "a topsec"),
        ] {
            assert_eq!(without_key(said, key), shown);
        }
        assert_eq!(without_key("a key", ""), "a key");
    }

    #[test]
    fn keys_are_hidden() {
        for (said, shown) in [
            (
                "Incorrect API key provided: sk-abcd****wxyz. See docs",
                "Incorrect API key provided: (hidden) See docs",
            ),
            ("key AIzaSyA1234 is bad", "key (hidden) is bad"),
            ("model `gpt-6.1-sol-2026-10-30` is busy", "model `gpt-6.1-sol-2026-10-30` is busy"),
            ("token 0123456789abcdef0123456789abcdef", "token (hidden)"),
        ] {
            assert_eq!(without_keys(said), shown);
        }
        assert_eq!(without_keys(&"x ".repeat(1000)).chars().count(), SAID_CHARS);
    }
}
