//! Texts that are more than they say: variables, and secrets.
use tagout_inspect::redact::redacted;
use tagout_proto::{Document, Limits, quoted};

/// What a text refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// Nothing: it is what it is.
    Plain,
    /// The whole of it is one variable of the environment, and what holds without it.
    Variable { name: String, default: Option<String> },
    /// It holds this reference, among other things or to something else than the environment.
    Other(String),
}

/// What `text` refers to: `${VAR}`, `${VAR:-default}`, `${env:VAR}`, `{env:VAR}`, `$VAR`, and
/// whatever else stands in such brackets.
pub(super) fn read(text: &str) -> Text {
    let Some((start, reference)) = first_reference(text) else { return Text::Plain };
    let whole = start == 0 && reference.len() == text.len();
    match variable(reference).filter(|_| whole) {
        Some((name, default)) => Text::Variable { name, default },
        None => Text::Other(reference.to_owned()),
    }
}

/// The first reference, and where it starts.
fn first_reference(text: &str) -> Option<(usize, &str)> {
    text.char_indices().find_map(|(at, c)| {
        let rest = text.get(at..)?;
        if c == '{' {
            // `{env:VAR}` and `{file:PATH}` of opencode, `{{NAME}}` of LibreChat.
            let known = ["{env:", "{file:", "{{"].iter().any(|start| rest.starts_with(start));
            let end = if rest.starts_with("{{") { "}}" } else { "}" };
            return known.then(|| bracketed(rest, end)).flatten().map(|found| (at, found));
        }
        let after = rest.strip_prefix('$')?;
        if after.starts_with('{') {
            return bracketed(rest, "}").map(|found| (at, found));
        }
        let long = after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let starts = after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        rest.get(..=long).filter(|_| starts).map(|found| (at, found))
    })
}

fn bracketed<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    text.find(end).and_then(|at| text.get(..at + end.len()))
}

/// The variable of the environment that a reference names, and its default.
fn variable(reference: &str) -> Option<(String, Option<String>)> {
    let inside = reference.strip_prefix("${").or(reference.strip_prefix('{'));
    let inside = match inside {
        Some(inside) => inside.strip_suffix('}')?,
        None => reference.strip_prefix('$')?,
    };
    let named = inside.strip_prefix("env:").or(reference.strip_prefix('$').map(|_| inside))?;
    let (name, default) = match named.split_once(":-") {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (named, None),
    };
    is_variable(name).then(|| (name.to_owned(), default))
}

/// Whether `name` is written as variables of the environment are; `workspaceFolder` and its like are
/// editors' own.
pub(super) fn is_variable(name: &str) -> bool {
    let editors = ["workspaceFolder", "workspaceRoot", "userHome", "pathSeparator", "file", "cwd"];
    is_name(name) && !editors.iter().any(|editor| name.starts_with(editor))
}

/// Whether `name` can name a variable in every shell.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty()
        && name.len() <= 256
        && name.bytes().all(fits)
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Last words of names whose values are secrets.
const SECRET_WORDS: [&str; 8] = ["key", "pat", "auth", "dsn", "pass", "jwt", "bearer", "signature"];

/// Whether the value of `name` looks like a secret: by its name, by its form, or because it looks
/// like nothing that a person would think of. What looks like one is not copied.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    if value.is_empty() {
        return false;
    }
    let json = format!("{{{}:{}}}", quoted(name), quoted(value));
    // What cannot be looked at is none of ours to show.
    let Ok(read) = Document::read(json.as_bytes(), Limits::default()) else { return true };
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or_default().to_ascii_lowercase();
    redacted(read.root()) != json || SECRET_WORDS.contains(&last.as_str()) || is_random(value)
}

/// Long, of one piece, with letters and digits mixed.
fn is_random(value: &str) -> bool {
    let pieces = value.split(|c: char| !c.is_ascii_alphanumeric());
    pieces.into_iter().any(|piece| {
        let digits = piece.bytes().filter(u8::is_ascii_digit).count();
        piece.len() >= 20 && digits >= 3 && digits < piece.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read() {
        let variable = |name: &str, default: Option<&str>| Text::Variable {
            name: name.to_owned(),
            default: default.map(str::to_owned),
        };
        let other = |text: &str| Text::Other(text.to_owned());
        for (text, expected) in [
            ("plain", Text::Plain),
            ("", Text::Plain),
            ("costs $5 {a}", Text::Plain),
            ("{\"a\": 1}", Text::Plain),
            ("${A}", variable("A", None)),
            ("$A_1", variable("A_1", None)),
            ("${A:-b c}", variable("A", Some("b c"))),
            ("${env:A}", variable("A", None)),
            ("{env:A}", variable("A", None)),
            ("${input:token}", other("${input:token}")),
            ("${keyring:token}", other("${keyring:token}")),
            ("{file:~/key}", other("{file:~/key}")),
            ("{{LIBRECHAT_USER_ID}}", other("{{LIBRECHAT_USER_ID}}")),
            ("${workspaceFolder}", other("${workspaceFolder}")),
            ("Bearer ${A}", other("${A}")),
            ("${A}${B}", other("${A}")),
            ("${A", Text::Plain),
            ("\u{e9}${A}", other("${A}")),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn secrets_are_known() {
        for (name, value, secret) in [
            ("LOG_LEVEL", "debug", false),
            ("HOME", "/home/ann", false),
            ("KEYBOARD", "de", false),
            ("TOKEN", "", false),
            ("GITHUB_TOKEN", "x", true),
            ("OPENAI_API_KEY", "x", true),
            ("STRIPE_KEY", "x", true),
            ("DB", "postgres://ann:secret@db/x", true),
            ("X", "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true),
            ("X", "9f86d081884c7d659a2feaa0c55ad015", true),
            ("X", "/usr/lib/node_modules/server-filesystem", false),
            ("X", "https://example.com/a/b", false),
        ] {
            assert_eq!(is_secret(name, value), secret, "{name}={value}");
        }
    }
}
