//! Which tools a session may show and call.
use std::str::FromStr;

/// Names of tools, `*` in them standing for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowList {
    patterns: Vec<String>,
}

/// A pattern that no tool's name could match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a tool: letters, digits, `_`, `-`, `.` and `*` for anything")]
pub struct BadPattern(String);

/// As long as a tool's name may be, and then some.
const PATTERN_BYTES: usize = 256;

impl Default for AllowList {
    /// Every tool that the gateway shows.
    fn default() -> Self {
        Self { patterns: vec!["*".to_owned()] }
    }
}

impl AllowList {
    /// The tools that one of `patterns` names; none if there are none.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, BadPattern> {
        let patterns = patterns.into_iter().map(|pattern| checked(pattern.as_ref()));
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// The patterns, in order.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether a tool is on the list.
    #[must_use]
    pub fn allows(&self, tool: &str) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern, tool))
    }
}

impl FromStr for AllowList {
    type Err = BadPattern;

    /// Patterns with commas between them.
    fn from_str(text: &str) -> Result<Self, BadPattern> {
        Self::new(text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()))
    }
}

fn checked(pattern: &str) -> Result<String, BadPattern> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '*');
    let sound = !pattern.is_empty() && pattern.len() <= PATTERN_BYTES && pattern.chars().all(known);
    if sound { Ok(pattern.to_owned()) } else { Err(BadPattern(pattern.to_owned())) }
}

/// The pieces between the stars follow one another in the name; linear but for the search itself.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<_> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some((_, after)) = name.split_once(piece) else { return false };
        name = after;
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything_and_nothing_else_does() {
        for (pattern, name, expected) in [
            ("*", "grid__forecast", true),
            ("grid__*", "grid__forecast", true),
            ("grid__*", "gridx__forecast", false),
            ("grid__forecast", "grid__forecast", true),
            ("grid__forecast", "grid__forecast2", false),
            ("*__read_*", "files__read_text", true),
            ("*__read_*", "files__write_text", false),
            ("a*b*a", "aba", true),
            ("a*a", "a", false),
            ("grid__.", "grid__x", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(AllowList::new(["grid__*", "bad name"]).is_err());
        assert!(!AllowList::new::<&str>([]).unwrap().allows("grid__forecast"));
    }
}
