//! Secrets go into one server's surroundings, when it is started, and nowhere else.
use std::{ffi::OsString, sync::Arc};

use tagout_inspect::live::commonplace;
use tagout_proto::Secret;
use tagout_sandbox::{PrivateFile, Profile};
use tagout_secrets::SecretError;

use super::Secrets;
use crate::config::{Command, Source, Start};

/// What a server was given, to tell whether it is still what there is.
#[derive(Clone, Default)]
pub(crate) struct Given(Vec<(Source, Arc<Secret<String>>)>);

/// Puts the secrets of a server's entry into its environment and its private files.
///
/// # Errors
/// The first that is not to be had.
pub(crate) async fn given(
    secrets: &Secrets,
    start: &Start,
    profile: &mut Profile,
) -> Result<Given, SecretError> {
    let Start::Command(Command { secret_env, secret_files, .. }) = start else {
        return Ok(Given::default());
    };
    let mut given = Vec::new();
    for (name, source) in secret_env {
        let text = secrets.get(source).await?;
        warn(source, &text);
        if text.expose().contains('\0') {
            return Err(SecretError::unusable(source, "holds what no variable can"));
        }
        profile.env.insert(name.into(), OsString::from(text.expose()));
        given.push((source.clone(), text));
    }
    for (name, source) in secret_files {
        let text = secrets.get(source).await?;
        warn(source, &text);
        let Some(isolation) = &mut profile.isolation else {
            let problem = "is for a file that only an isolated server has";
            return Err(SecretError::unusable(source, problem));
        };
        let bytes = text.expose().as_bytes().to_vec();
        isolation.files.insert(name.into(), PrivateFile::new(bytes));
        given.push((source.clone(), text));
    }
    Ok(Given(given))
}

/// Says why a value had better be another.
pub(crate) fn warn(source: &Source, text: &Secret<String>) {
    if let Some(why) = commonplace(text.expose()) {
        tracing::warn!(%source, "this secret {why}");
    }
}

impl Given {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first that is another by now. What cannot be read now is as it was.
    pub(crate) async fn stale(&self, secrets: &Secrets) -> Option<&Source> {
        for (source, text) in &self.0 {
            if let Ok(now) = secrets.get(source).await
                && now.expose() != text.expose()
            {
                return Some(source);
            }
        }
        None
    }
}
