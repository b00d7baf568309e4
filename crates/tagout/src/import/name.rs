//! Names that fit.
use tagout_proto::ServerName;

/// The longest name, in bytes, with room for a number behind it.
const LONGEST: usize = 28;

/// A name like `wanted` that `is_taken` says is free.
pub(crate) fn fitting(wanted: &str, is_taken: impl Fn(&ServerName) -> bool) -> Option<ServerName> {
    let mut name = String::new();
    for c in wanted.chars().flat_map(char::to_lowercase) {
        let c = if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' { c } else { '-' };
        // One separator in a row, and none at the start.
        let separates = |c: char| matches!(c, '-' | '_');
        if !separates(c) || name.chars().last().is_some_and(|last| !separates(last)) {
            name.push(c);
        }
        if name.len() == LONGEST {
            break;
        }
    }
    let name = name.trim_end_matches(['-', '_']);
    let name = if name.is_empty() { "server" } else { name };
    let numbered = (2..1000).map(|n| format!("{name}-{n}"));
    let names = std::iter::once(name.to_owned()).chain(numbered);
    names.filter_map(|name| ServerName::try_from(name.as_str()).ok()).find(|name| !is_taken(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit() {
        for (wanted, expected) in [
            ("files", "files"),
            ("My Files!", "my-files"),
            ("a__b", "a_b"),
            ("io.github.acme/Server", "io-github-acme-server"),
            ("--", "server"),
            ("", "server"),
            ("\u{202e}\u{1b}[31m", "31m"),
            ("taken", "taken-3"),
            (&"long".repeat(20), "longlonglonglonglonglonglong"),
        ] {
            let taken = |name: &ServerName| matches!(name.as_str(), "taken" | "taken-2");
            assert_eq!(fitting(wanted, taken).unwrap().as_str(), expected, "{wanted}");
        }
        assert_eq!(fitting("x", |_| true), None);
    }
}
