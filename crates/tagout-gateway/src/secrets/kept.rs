//! Tagout's own store, changed on the record.
use tagout_audit::{AuditError, Durability, Note};
use tagout_proto::Secret;
use tagout_secrets::{Kept, SecretError, SecretName, StoreError};

use super::Secrets;
use crate::{
    Gateway,
    config::{Config, Source, Start},
};

/// Why the store was not changed, or not read.
#[derive(Debug, thiserror::Error)]
pub enum KeptTrouble {
    /// There is no passphrase to open it by.
    #[error(transparent)]
    Passphrase(#[from] SecretError),
    /// It cannot be opened or written.
    #[error("the store of secrets cannot be used")]
    Store(#[from] StoreError),
    /// There is no secret of that name.
    #[error("there is no secret of that name")]
    Unknown,
    /// It could not be put on record, and was not done.
    #[error("it could not be put on record, and was not done")]
    Audit(#[from] AuditError),
}

impl KeptTrouble {
    /// The stable codes.
    pub const CODES: &[&str] = &["secret-store", "secret-unknown"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Passphrase(error) => error.code(),
            Self::Store(_) => "secret-store",
            Self::Unknown => "secret-unknown",
            Self::Audit(error) => error.code(),
        }
    }

    /// What to do.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Passphrase(error) => error.help(),
            Self::Store(StoreError::Open(_)) => {
                "run `chmod 600` on it, and set anew what others may have read"
            }
            Self::Store(_) => "put the file or its key back from a backup, with mode 0600",
            Self::Unknown => "see `tagout secret ls`",
            Self::Audit(_) => "see `tagout audit verify`",
        }
    }
}

impl Gateway {
    /// Keeps a secret in Tagout's own store; tells whether one of that name was replaced.
    ///
    /// # Errors
    /// See [`KeptTrouble`].
    pub fn set_secret(
        &self,
        name: &SecretName,
        value: Secret<String>,
    ) -> Result<bool, KeptTrouble> {
        let store = self.secrets.0.store.open(&self.config.secrets)?;
        // What cannot be opened is not about to be changed.
        store.list()?;
        self.note_secret("secret-set", name)?;
        Ok(store.set(name.clone(), value, self.clock.now())?)
    }

    /// Forgets a secret of Tagout's own store.
    ///
    /// # Errors
    /// See [`KeptTrouble`].
    pub fn remove_secret(&self, name: &SecretName) -> Result<(), KeptTrouble> {
        let store = self.secrets.0.store.open(&self.config.secrets)?;
        if !store.list()?.iter().any(|kept| kept.name == *name) {
            return Err(KeptTrouble::Unknown);
        }
        self.note_secret("secret-removed", name)?;
        if store.remove(name)? { Ok(()) } else { Err(KeptTrouble::Unknown) }
    }

    fn note_secret(&self, event: &str, name: &SecretName) -> Result<(), AuditError> {
        let mut note = Note::new(self.clock.now(), event);
        note.principal = Some(&self.principal);
        note.subject = Some(name.as_str());
        self.audit.note(&note, Durability::Disk).map(drop)
    }
}

impl Secrets {
    /// What Tagout's own store keeps, without values.
    ///
    /// # Errors
    /// See [`KeptTrouble`].
    pub fn kept(&self) -> Result<Vec<Kept>, KeptTrouble> {
        Ok(self.0.store.open(&self.0.settings)?.list()?)
    }
}

/// Every reference of a configuration, and what it is for; in order.
#[must_use]
pub fn references(config: &Config) -> Vec<(Source, String)> {
    let mut all = Vec::new();
    for (server, entry) in &config.servers {
        let mut add = |what: &str, name: &str, source: &Source| {
            all.push((source.clone(), format!("server `{server}`: {what} `{name}`")));
        };
        match &entry.start {
            Start::BuiltIn(_) => {}
            Start::Command(command) => {
                command.secret_env.iter().for_each(|(name, of)| add("variable", name, of));
                command.secret_files.iter().for_each(|(name, of)| add("file", name, of));
            }
            Start::Remote(remote) => {
                remote.headers.iter().for_each(|(name, of)| add("header", name, of));
            }
        }
    }
    let webhook = config.approval.webhook.as_ref().map(|webhook| &webhook.secret);
    let others = [
        (webhook, "the approvals' webhook"),
        (config.sessions.key.as_ref(), "the key of sessions"),
        (config.secrets.passphrase.as_ref(), "the passphrase of the store"),
    ];
    all.extend(others.into_iter().filter_map(|(of, what)| Some((of?.clone(), what.to_owned()))));
    all.extend(config.secrets.credentials().into_iter().map(|(of, what)| (of, what.to_owned())));
    all
}
