//! Names that have been checked once, at the edge.
use std::{fmt, sync::Arc};

/// Why a string is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Empty or too long.
    #[error("{what} has 1 to {most} bytes, this one has {got}")]
    Length {
        /// Which kind of name.
        what: &'static str,
        /// The most bytes it may have.
        most: usize,
        /// How many it has.
        got: usize,
    },
    /// Holds a character that look-alike attacks feed on.
    #[error("{what} may hold only {allowed}, not {got:?}")]
    Character {
        /// Which kind of name.
        what: &'static str,
        /// The characters it may hold.
        allowed: &'static str,
        /// The one that it holds.
        got: char,
    },
    /// Holds `__`, which separates a server from its tool.
    #[error("a server name must not hold `__`, which separates it from its tools' names")]
    Separator,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $most:literal, $allowed:literal, $test:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            fn checked(text: &str) -> Result<Self, BadName> {
                if !(1..=$most).contains(&text.len()) {
                    return Err(BadName::Length { what: $what, most: $most, got: text.len() });
                }
                match text.chars().find(|&c| !$test(c)) {
                    Some(got) => Err(BadName::Character { what: $what, allowed: $allowed, got }),
                    None => Ok(Self(text.into())),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::try_from(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::try_from(&*text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A tool's name as its server spells it: 1 to 128 bytes of `[A-Za-z0-9_.-]` (the rule of
    /// MCP 2025-11-25).
    ToolName,
    "a tool name",
    128,
    "`A-Z a-z 0-9 _ . -`",
    |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
);

name!(
    /// A server's label, given in the configuration and never taken from the server: 1 to 32
    /// bytes of `[a-z0-9_-]` without `__`.
    ServerName,
    "a server name",
    32,
    "`a-z 0-9 _ -`",
    |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-')
);

impl TryFrom<&str> for ToolName {
    type Error = BadName;

    fn try_from(text: &str) -> Result<Self, BadName> {
        Self::checked(text)
    }
}

impl TryFrom<&str> for ServerName {
    type Error = BadName;

    fn try_from(text: &str) -> Result<Self, BadName> {
        let name = Self::checked(text)?;
        if text.contains("__") || text.ends_with('_') { Err(BadName::Separator) } else { Ok(name) }
    }
}

/// The longest tool name that every model provider takes.
const PROVIDERS_TAKE: usize = 64;

/// The name under which clients see a server's tool or prompt: `server__tool`, the same however
/// many servers are attached.
///
/// What would be longer than 64 bytes, or holds a `.`, which some model providers refuse, is cut
/// and ends in eight hexadecimal digits of SHA-256 over server, NUL and name.
#[must_use]
pub fn qualified(server: &ServerName, name: &str) -> String {
    let whole = format!("{server}__{name}");
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if whole.len() <= PROVIDERS_TAKE && whole.chars().all(fits) {
        return whole;
    }
    let digest = crate::Digest::of(format!("{server}\0{name}").as_bytes()).short();
    let fitted = whole.chars().map(|c| if fits(c) { c } else { '_' });
    let kept: String = fitted.take(PROVIDERS_TAKE - 1 - digest.len()).collect();
    format!("{kept}_{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let long = "x".repeat(129);
        for (text, tool, server) in [
            ("read_file", true, true),
            ("Read.File-2", true, false),
            ("", false, false),
            ("re ad", false, false),
            ("réad", false, false),
            ("a__b", true, false),
            ("a_", true, false),
            (long.as_str(), false, false),
        ] {
            assert_eq!(ToolName::try_from(text).is_ok(), tool, "{text}");
            assert_eq!(ServerName::try_from(text).is_ok(), server, "{text}");
        }
    }
}
