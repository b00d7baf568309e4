//! The `[lockfile]` part: who has to sign it.
use toml::Spanned;

use super::{ConfigError, Reader};
use crate::lockfile::signature::PublicKey;

/// The most keys that may sign.
const KEYS: usize = 64;

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenLockfile {
    signed_by: Option<Spanned<Vec<Spanned<String>>>>,
}

impl Reader<'_> {
    /// The keys that lockfiles count as signed by; none where no signature is wanted. An empty list
    /// would say both.
    pub(super) fn signed_by(
        &self,
        written: WrittenLockfile,
    ) -> Result<Vec<PublicKey>, ConfigError> {
        let Some(written) = written.signed_by else { return Ok(Vec::new()) };
        let span = written.span();
        let written = written.into_inner();
        if written.is_empty() || written.len() > KEYS {
            let problem = format!("`signed_by` names {} keys", written.len());
            let help = format!("name 1 to {KEYS}, or leave it out");
            return Err(self.error(problem, Some(help), Some(span)));
        }
        let read = |one: Spanned<String>| {
            one.get_ref().parse::<PublicKey>().map_err(|problem| {
                let help =
                    "for instance \"ann RWQ…\": what `minisign -G` has put in its `.pub` file";
                self.error(problem.to_string(), Some(help.to_owned()), Some(one.span()))
            })
        };
        written.into_iter().map(read).collect()
    }
}
