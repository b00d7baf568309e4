//! Secrets, kept out of records.
use std::sync::LazyLock;

use regex::Regex;
use tagout_proto::{Kind, Value, quoted};

/// Words that make a key's value a secret whatever it looks like: as the whole key or as its end,
/// in lower case and without `_` and `-`.
const SECRET_KEYS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "authorization",
    "cookie",
    "privatekey",
    "credential",
    "credentials",
    "sessionid",
    "pin",
    "otp",
];

/// Secrets that have a form of their own; prefixes are those that their issuers document.
static FORMS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?x)",
        r"-----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----[\s\S]*?(?:-----END[^-]*-----|\z)",
        r"| \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        r"| \b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"| \bgh[opsur]_[A-Za-z0-9]{30,}",
        r"| \bgithub_pat_[A-Za-z0-9_]{30,}",
        r"| \bglpat-[A-Za-z0-9_-]{20,}",
        r"| \bsk-[A-Za-z0-9_-]{20,}",
        r"| \bxox[abeoprs]-[A-Za-z0-9-]{10,}",
        r"| \bAIza[A-Za-z0-9_-]{35}",
        r"| \b(?i:bearer|basic)\s+[A-Za-z0-9._~+/=-]{16,}",
    ))
    .ok()
});

/// A user and a password in a URL.
static USERINFO: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"://[^/\s:@]+:[^/\s@]+@").ok());

/// What stands in a secret's place.
const GONE: &str = "<redacted>";

/// `value` as JSON text without the secrets that can be recognised: strings under keys that name
/// secrets, and strings that look like keys, tokens or private keys.
#[must_use]
pub fn redacted(value: Value<'_>) -> String {
    let mut out = String::with_capacity(value.raw().len());
    write(value, false, &mut out);
    out
}

/// `text` without the secrets in it that can be recognised.
#[must_use]
pub fn redacted_text(text: &str) -> String {
    without_forms(text).into_owned()
}

fn write(value: Value<'_>, secret: bool, out: &mut String) {
    match value.kind() {
        Kind::Object => {
            out.push('{');
            for (n, (key, member)) in value.members().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&quoted(&without_forms(&key)));
                out.push(':');
                write(member, secret || names_a_secret(&key), out);
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (n, element) in value.elements().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(element, secret, out);
            }
            out.push(']');
        }
        Kind::String | Kind::Escaped if secret => out.push_str(&quoted(GONE)),
        Kind::String | Kind::Escaped => {
            out.push_str(&quoted(&without_forms(&value.text().unwrap_or_default())));
        }
        Kind::Number if secret => out.push_str(&quoted(GONE)),
        Kind::Number | Kind::True | Kind::False | Kind::Null => out.push_str(value.raw()),
    }
}

fn names_a_secret(key: &str) -> bool {
    let plain: String =
        key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    // `pin` and `otp` end too many other words.
    SECRET_KEYS.iter().any(|word| plain == *word || (word.len() > 3 && plain.ends_with(word)))
}

fn without_forms(text: &str) -> std::borrow::Cow<'_, str> {
    match FORMS.as_ref() {
        Some(forms) => {
            let text = forms.replace_all(text, GONE);
            match USERINFO.as_ref() {
                Some(userinfo) => userinfo.replace_all(&text, "://<redacted>@").into_owned().into(),
                None => GONE.into(),
            }
        }
        // The pattern is a constant, and a test compiles it; without it nothing may be shown.
        None => GONE.into(),
    }
}
