//! The keys `assertion` and `audience` of `[server.NAME]`: whether the server is told who calls.
use std::sync::Arc;

use toml::Spanned;

use super::{ConfigError, Reader, server::WrittenServer};

/// The longest audience, in bytes.
const AUDIENCE_BYTES: usize = 256;

impl Reader<'_> {
    /// For whom statements to this server are made; nothing where it gets none.
    pub(super) fn audience(
        &self,
        name: &Spanned<String>,
        written: &WrittenServer,
    ) -> Result<Option<Arc<str>>, ConfigError> {
        let Some(audience) = &written.audience else {
            return Ok(written.assertion.then(|| name.get_ref().as_str().into()));
        };
        let refused = |problem: &str, help: &str| {
            Err(self.error(problem.to_owned(), Some(help.to_owned()), Some(audience.span())))
        };
        if !written.assertion {
            return refused("`audience` stands without `assertion`", "write `assertion = true`");
        }
        let text = audience.get_ref();
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain || !(1..=AUDIENCE_BYTES).contains(&text.len()) {
            let help = "write what the server knows itself by: `https://files.example.org`";
            return refused("`audience` is no 1 to 256 printable characters without spaces", help);
        }
        Ok(Some(text.as_str().into()))
    }
}
