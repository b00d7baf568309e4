//! Values that are no good as secrets: they turn up by chance, and are easily guessed.
use std::collections::BTreeSet;

use super::LEAST_BYTES;

/// Shorter values are called short, in bytes.
const SHORT: usize = 12;
/// The longest that a word is, in characters.
const WORD: usize = 20;
/// What stands before a secret in a header.
const SCHEMES: [&str; 3] = ["Bearer", "Basic", "Token"];
/// So many different characters are few.
const FEW: usize = 6;

/// Why a value had better be another: to go on with "this secret …". Rules of thumb, and no
/// judgement of how strong it is: nothing is said of what looks drawn at random, and much that
/// does not is missed.
#[must_use]
pub fn commonplace(value: &str) -> Option<&'static str> {
    let value = value.trim();
    let is_scheme = |word: &str| SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme));
    let bare = value.split_once(' ').filter(|(scheme, _)| is_scheme(scheme));
    let value = bare.map_or(value, |(_, rest)| rest.trim_start());
    let is_path = value.starts_with(['/', '~']) || value.starts_with("./");
    let different = value.chars().collect::<BTreeSet<_>>().len();
    match () {
        () if value.len() < LEAST_BYTES => {
            Some("is shorter than 8 bytes: it is not looked for, and is easily guessed")
        }
        () if value.len() < SHORT => {
            Some("is short: it may turn up by chance and be replaced there, and is easily guessed")
        }
        () if is_path => Some("looks like a path: every mention of that is replaced"),
        () if different < FEW => {
            Some("has few different characters: it may turn up by chance, and is easily guessed")
        }
        () if is_word(value.trim_end_matches(|c: char| c.is_ascii_digit())) => {
            Some("looks like a word: every mention of that is replaced, and it is easily guessed")
        }
        () => None,
    }
}

/// Letters alone, in lower case but for the first, or all in upper case.
fn is_word(value: &str) -> bool {
    let rest = value.get(1..).unwrap_or_default();
    let letters = value.bytes().all(|b| b.is_ascii_alphabetic());
    let one_case = rest.bytes().all(|b| b.is_ascii_lowercase())
        || value.bytes().all(|b| b.is_ascii_uppercase());
    letters && one_case && !value.is_empty() && value.len() <= WORD
}

#[cfg(test)]
mod tests {
    use super::commonplace;

    #[test]
    fn what_turns_up_by_chance_is_told_from_what_was_drawn() {
        for (value, part) in [
            ("abc", "not looked for"),
            ("password", "short"),
            ("a1b2c3d4e", "short"),
            ("/home/ann/work", "path"),
            ("~/notes/keys.txt", "path"),
            ("aaaaaaaaaaaaaaaa", "few different"),
            ("correcthorse", "word"),
            ("Administrator2024", "word"),
            ("PRODUCTIONDATA", "word"),
            ("Bearer administrator", "word"),
        ] {
            let said = commonplace(value);
            assert!(said.is_some_and(|said| said.contains(part)), "{value}: {said:?}");
        }
        for value in [
            "hunter2-hunter2/x+y",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "Bearer s.3kQ9vLz81mXw",
            "postgres://u:p4ssw0rd@db/x",
            "correct horse battery staple",
            "another value",
            "1f0c3b5e9d7a4f62",
        ] {
            assert_eq!(commonplace(value), None, "{value}");
        }
    }
}
