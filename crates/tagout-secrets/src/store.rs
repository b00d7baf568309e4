//! Tagout's own store: one file, sealed in age's format, for its owner only.
mod file;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tagout_proto::Secret;

pub use self::file::Stamp;
use self::file::{Held, put, read, read_key};
use crate::{
    SecretName,
    age::{self, AgeError, Lock},
    hidden::Hidden,
    local::MOST_BYTES,
};

/// A file of secrets.
#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    unlock: Unlock,
}

/// What opens it, and what it is sealed for when it is written next.
#[derive(Debug)]
pub enum Unlock {
    /// A key of its own in this file; drawn with the first secret.
    KeyFile(PathBuf),
    /// A passphrase.
    Passphrase(Secret<String>),
}

/// A secret that is kept, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: SecretName,
    /// When it was set.
    pub set_at: Timestamp,
}

/// What is wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of it cannot be read or written.
    #[error("`{}`: {problem}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        problem: io::Error,
    },
    /// Others than its owner may read or write a file of it.
    #[error("others may read or write `{}`: its mode must be 0600", .0.display())]
    Open(PathBuf),
    /// The file of the key holds none.
    #[error("`{}` holds no key of age's", .0.display())]
    NoKey(PathBuf),
    /// The key is gone, and without it nobody opens the file.
    #[error("the key is missing that it is sealed for: `{}`", .0.display())]
    KeyGone(PathBuf),
    /// It is sealed under a passphrase, and there is none.
    #[error("it is sealed under a passphrase, and the configuration names none")]
    WantsPassphrase,
    /// It cannot be opened or sealed.
    #[error(transparent)]
    Age(#[from] AgeError),
    /// It was opened, and holds something else.
    #[error("it does not hold what a store of secrets holds")]
    Malformed,
    /// There is no room for one more.
    #[error("it holds {MOST_SECRETS} secrets, which is the most")]
    Full,
    /// The value is empty or too large.
    #[error("a secret has 1 to {MOST_BYTES} bytes of text")]
    Size,
}

/// The most secrets of one store.
const MOST_SECRETS: usize = 512;

type Content = BTreeMap<SecretName, Entry>;

#[derive(Debug)]
struct Entry {
    value: Secret<String>,
    set_at: Timestamp,
}

#[derive(serde::Deserialize)]
struct Written {
    version: u32,
    secrets: BTreeMap<String, WrittenEntry>,
}

#[derive(serde::Deserialize)]
struct WrittenEntry {
    value: Hidden,
    set_at: Timestamp,
}

impl Store {
    /// A store in `file`, which need not be there yet.
    #[must_use]
    pub const fn new(file: PathBuf, unlock: Unlock) -> Self {
        Self { file, unlock }
    }

    /// Where it is.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What changes when the file does; nothing where there is no file.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.file)
    }

    /// The secret called `name`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn get(&self, name: &SecretName) -> Result<Option<Secret<String>>, StoreError> {
        Ok(self.opened()?.remove(name).map(|entry| entry.value))
    }

    /// Those of `names` that are kept, in one reading.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn get_all(
        &self,
        names: &BTreeSet<SecretName>,
    ) -> Result<BTreeMap<SecretName, Secret<String>>, StoreError> {
        let kept = self.opened()?.into_iter().filter(|(name, _)| names.contains(name));
        Ok(kept.map(|(name, entry)| (name, entry.value)).collect())
    }

    /// What is kept, by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn list(&self) -> Result<Vec<Kept>, StoreError> {
        let kept = self.opened()?.into_iter();
        Ok(kept.map(|(name, entry)| Kept { name, set_at: entry.set_at }).collect())
    }

    /// Keeps a secret, in place of one of that name; tells whether there was one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn set(
        &self,
        name: SecretName,
        value: Secret<String>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if value.expose().is_empty() || value.expose().len() > MOST_BYTES {
            return Err(StoreError::Size);
        }
        self.change(|content| {
            let replaced = content.insert(name, Entry { value, set_at: now }).is_some();
            if content.len() > MOST_SECRETS { Err(StoreError::Full) } else { Ok(replaced) }
        })
    }

    /// Forgets a secret; tells whether there was one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn remove(&self, name: &SecretName) -> Result<bool, StoreError> {
        if !self.opened()?.contains_key(name) {
            return Ok(false);
        }
        self.change(|content| Ok(content.remove(name).is_some()))
    }

    /// Reads, changes and writes, with nobody between.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Content) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _held = Held::of(&self.file)?;
        let mut content = self.opened()?;
        let outcome = change(&mut content)?;
        let lock = match &self.unlock {
            Unlock::KeyFile(path) => Lock::Identity(file::key_for(path, &self.file)?),
            Unlock::Passphrase(passphrase) => {
                Lock::Passphrase(Secret::new(passphrase.expose().clone()), age::WORK)
            }
        };
        let sealed = age::seal(written(&content).expose(), &lock)?;
        put(&self.file, &sealed)?;
        Ok(outcome)
    }

    fn opened(&self) -> Result<Content, StoreError> {
        let Some(sealed) = read(&self.file)? else { return Ok(Content::new()) };
        let plain = match (&self.unlock, age::is_under_passphrase(&sealed)) {
            (Unlock::Passphrase(passphrase), true) => {
                let passphrase = Secret::new(passphrase.expose().clone());
                age::open(&sealed, &Lock::Passphrase(passphrase, age::WORK))?
            }
            (Unlock::KeyFile(_), true) => return Err(StoreError::WantsPassphrase),
            (Unlock::KeyFile(path), false) => {
                let key = read_key(path)?.ok_or_else(|| StoreError::KeyGone(path.clone()))?;
                age::open(&sealed, &Lock::Identity(key))?
            }
            (Unlock::Passphrase(_), false) => return Err(AgeError::NotForUs.into()),
        };
        content(plain.expose())
    }
}

fn content(plain: &[u8]) -> Result<Content, StoreError> {
    let written = serde_json::from_slice::<Written>(plain).map_err(|_| StoreError::Malformed)?;
    if written.version != 1 || written.secrets.len() > MOST_SECRETS {
        return Err(StoreError::Malformed);
    }
    let entry = |(name, entry): (String, WrittenEntry)| {
        let name = SecretName::try_from(name.as_str()).ok()?;
        Some((name, Entry { value: entry.value.0?, set_at: entry.set_at }))
    };
    let entries: Option<Content> = written.secrets.into_iter().map(entry).collect();
    entries.ok_or(StoreError::Malformed)
}

/// JSON, so that what `age --decrypt` gives can be used; made in one buffer that is large enough.
fn written(content: &Content) -> Secret<Vec<u8>> {
    let size = content
        .iter()
        .map(|(name, entry)| name.as_str().len() + entry.value.expose().len() * 6 + 96);
    let mut text = String::with_capacity(64 + size.sum::<usize>());
    text.push_str(r#"{"version":1,"secrets":{"#);
    for (n, (name, entry)) in content.iter().enumerate() {
        text.push_str(if n == 0 { "\n\"" } else { ",\n\"" });
        text.push_str(name.as_str());
        text.push_str("\":{\"value\":");
        let value = Secret::new(tagout_proto::quoted(entry.value.expose()));
        text.push_str(value.expose());
        text.push_str(&format!(",\"set_at\":\"{}\"}}", entry.set_at));
    }
    text.push_str("}}\n");
    Secret::new(text.into_bytes())
}
