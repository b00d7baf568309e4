//! The `[audit]` part: what of conversations goes on record.
use toml::Spanned;

use super::{ConfigError, Reader};

/// What goes on record beside calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Of what person, host and model say.
    pub conversations: Conversations,
}

/// What is kept of what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conversations {
    /// Digests and sizes.
    #[default]
    Digests,
    /// The words too, without the secrets that can be recognised.
    Contents,
}

impl Audit {
    /// Whether words are kept.
    #[must_use]
    pub const fn keeps_contents(self) -> bool {
        matches!(self.conversations, Conversations::Contents)
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAudit {
    conversations: Option<Spanned<String>>,
}

impl Reader<'_> {
    pub(super) fn audit(&self, written: &WrittenAudit) -> Result<Audit, ConfigError> {
        let Some(said) = &written.conversations else { return Ok(Audit::default()) };
        let conversations = match said.get_ref().as_str() {
            "digests" => Conversations::Digests,
            "contents" => Conversations::Contents,
            other => {
                let problem = format!("`conversations` is {other:?}");
                let help = "write \"digests\" or \"contents\"".to_owned();
                return Err(self.error(problem, Some(help), Some(said.span())));
            }
        };
        Ok(Audit { conversations })
    }
}
