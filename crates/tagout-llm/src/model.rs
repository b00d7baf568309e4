//! `provider:name`, as typed on the command line and in the configuration.
use std::{fmt, str::FromStr};

/// A checked model identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelId {
    text: Box<str>,
    colon: usize,
}

/// Why a string is no model identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadModelId {
    /// There is no colon.
    #[error("`{text}` names no provider: write `provider:name`, for instance `offline:planner`")]
    NoProvider {
        /// What was given.
        text: String,
    },
    /// The part before the colon is no provider name.
    #[error("`{provider}` is no provider name: it has 1 to 32 of `a-z 0-9 -`")]
    Provider {
        /// The part before the colon.
        provider: String,
    },
    /// The part after the colon is empty, too long, or holds spaces or control characters.
    #[error(
        "`{text}` names no model of `{provider}`: a model name has 1 to 128 visible characters"
    )]
    Name {
        /// What was given.
        text: String,
        /// The part before the colon.
        provider: String,
    },
}

impl ModelId {
    /// The part before the colon.
    #[must_use]
    pub fn provider(&self) -> &str {
        self.text.get(..self.colon).unwrap_or_default()
    }

    /// The part after the colon; it may hold further colons.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.get(self.colon + 1..).unwrap_or_default()
    }

    /// The whole.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for ModelId {
    type Err = BadModelId;

    fn from_str(text: &str) -> Result<Self, BadModelId> {
        let Some((provider, name)) = text.split_once(':') else {
            return Err(BadModelId::NoProvider { text: text.into() });
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=32).contains(&provider.len()) || !provider.chars().all(plain) {
            return Err(BadModelId::Provider { provider: provider.into() });
        }
        let visible = |c: char| !c.is_whitespace() && !c.is_control() && !unseen(c);
        if !(1..=128).contains(&name.len()) || !name.chars().all(visible) {
            return Err(BadModelId::Name { text: text.into(), provider: provider.into() });
        }
        Ok(Self { text: text.into(), colon: provider.len() })
    }
}

/// Characters that do not show, or that turn the direction of what stands beside them.
const fn unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl BadModelId {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoProvider { .. } | Self::Provider { .. } | Self::Name { .. } => "model-id",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_checked() {
        for (text, expected) in [
            ("offline:planner", "ok"),
            ("ollama:qwen2.5-coder:1.5b", "ok"),
            (
                "gpt",
                "`gpt` names no provider: write `provider:name`, for instance `offline:planner`",
            ),
            (":x", "`` is no provider name: it has 1 to 32 of `a-z 0-9 -`"),
            ("OpenAI:x", "`OpenAI` is no provider name: it has 1 to 32 of `a-z 0-9 -`"),
            (
                "openai:",
                "`openai:` names no model of `openai`: a model name has 1 to 128 visible characters",
            ),
        ] {
            let got =
                text.parse::<ModelId>().map_or_else(|error| error.to_string(), |_| "ok".into());
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_name_that_shows_as_another_is_none() {
        for odd in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{e0041}', '\u{7f}'] {
            assert!(format!("openai:a{odd}b").parse::<ModelId>().is_err(), "{odd:?}");
        }
        assert!("openai:größe-⚡".parse::<ModelId>().is_ok());
    }

    #[test]
    fn a_name_may_hold_colons() {
        let model: ModelId = "ollama:qwen3:8b".parse().unwrap();
        assert_eq!((model.provider(), model.name()), ("ollama", "qwen3:8b"));
    }
}
