//! Texts as Cedar writes them.
use std::fmt::Write as _;

/// `text` as a Cedar string, with its quotes.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::from('"');
    text.chars().for_each(|c| escaped(c, &mut out));
    out.push('"');
    out
}

/// The pattern of `like` that fits what begins with `prefix`.
pub(super) fn prefix(prefix: &str) -> String {
    let mut out = String::from('"');
    for c in prefix.chars() {
        if c == '*' {
            out.push_str("\\*");
        } else {
            escaped(c, &mut out);
        }
    }
    out.push_str("*\"");
    out
}

/// What a reader would not see, or could take for something else, is written by its number.
fn escaped(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0' => out.push_str("\\0"),
        c if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() => out.push(c),
        c => {
            let written = write!(out, "\\u{{{:x}}}", u32::from(c));
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
    }
}

/// Strings as a Cedar set.
pub(super) fn set<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<_> = texts.map(string).collect();
    format!("[{}]", texts.join(", "))
}

/// Words that cannot stand bare as an attribute's name.
const RESERVED: &[&str] =
    &["true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar"];

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&name)
}

/// The attribute `name` of `base`.
pub(super) fn attribute(base: &str, name: &str) -> String {
    if is_identifier(name) { format!("{base}.{name}") } else { format!("{base}[{}]", string(name)) }
}

/// Whether `base` has the attribute `name`.
pub(super) fn has(base: &str, name: &str) -> String {
    if is_identifier(name) {
        format!("{base} has {name}")
    } else {
        format!("{base} has {}", string(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mislead_is_escaped() {
        assert_eq!(string("a\"b\\c\n\u{202e}é"), r#""a\"b\\c\n\u{202e}é""#);
        assert_eq!(prefix("/a*b/"), r#""/a\*b/*""#);
        assert_eq!(
            attribute("context.arguments", "max-depth"),
            r#"context.arguments["max-depth"]"#
        );
        assert_eq!(has("context.arguments", "if"), r#"context.arguments has "if""#);
    }
}
