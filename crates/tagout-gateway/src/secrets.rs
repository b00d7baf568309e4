//! Secrets that the configuration refers to: read where they are, kept as long as they are good,
//! read again when they change, and looked for in everything that passes.
mod clean;
mod everywhere;
mod fetch;
mod given;
mod kept;
#[cfg(test)]
mod tests;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use jiff::{SignedDuration, Timestamp};
use tagout_inspect::live::Live;
use tagout_proto::Secret;
use tagout_secrets::{
    Fetched, SecretError, Stamp, Store, Unlock, read_file, read_variable, vault::Vault,
};

pub(crate) use self::clean::{Place, cleaned_frame};
pub(crate) use self::given::{Given, given, warn};
pub use self::{
    clean::Watch,
    everywhere::{clean_text, look_for},
    kept::{KeptTrouble, references},
};
use self::{fetch::Turn, wire::Wire};
use crate::{
    Clock,
    config::{SecretSettings, Source},
};

/// Secrets, for whoever the configuration gives them to. Cheap to clone.
#[derive(Clone)]
pub struct Secrets(Arc<Inner>);

struct Inner {
    settings: SecretSettings,
    store: StorePlaces,
    clock: Clock,
    cache: Mutex<BTreeMap<Source, Cached>>,
    values: Mutex<Vec<Value>>,
    live: RwLock<Arc<Live>>,
    vault: tokio::sync::Mutex<Option<Keeping<Vault>>>,
    aws: tokio::sync::Mutex<Option<Wire>>,
    noted: Mutex<BTreeMap<(String, String), Timestamp>>,
    /// Whoever reads a source, one at a time.
    turns: Mutex<BTreeMap<Source, Arc<Turn>>>,
    /// Held by whoever opens the store, which may take a second and a quarter of a gigabyte; with
    /// what it did not give of late.
    opening: Mutex<BTreeMap<Source, Unread>>,
}

/// Why the store did not give a secret, as it was then.
struct Unread {
    stamp: Option<Stamp>,
    at: Timestamp,
    error: SecretError,
}

/// A client of a keeper, and the way to it.
struct Keeping<T> {
    client: T,
    wire: Wire,
    /// Whether somebody renews its token.
    is_kept: bool,
}

/// Where Tagout's own store is, and its key.
#[derive(Clone, Debug)]
pub struct StorePlaces {
    /// The sealed file.
    pub file: PathBuf,
    /// The key that opens it.
    pub key: PathBuf,
}

/// A value that was given out, under the name that stands in its place where it turns up.
struct Value {
    name: String,
    /// Where it was, in words.
    of: String,
    text: Arc<Secret<String>>,
}

struct Cached {
    text: Arc<Secret<String>>,
    good: Good,
    /// Until when its keeper, which did not answer, is left alone.
    quiet: Option<Timestamp>,
}

/// How long a value is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Good {
    /// As long as a file is as it was.
    While(Option<Stamp>),
    Until(Timestamp),
    /// It is looked up each time.
    Never,
}

/// How long a value is still used that its keeper, silent now, gave out.
const SILENCE: SignedDuration = SignedDuration::from_secs(3600);
/// How long a keeper that did not answer is not asked again, where there is a value to use.
const QUIET: SignedDuration = SignedDuration::from_secs(30);
/// How long the store is not opened again for what it did not give, unless it changed.
const UNREAD: SignedDuration = SignedDuration::from_secs(10);
/// Values of one source that are looked for, though nobody here holds them any more: what was
/// replaced may still be known to whoever had it.
const VALUES_OF_ONE: usize = 8;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded sections do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StorePlaces {
    /// As they belong to the key of the audit log's head: its key beside that, the file above.
    #[must_use]
    pub fn beside(head_key: &Path) -> Self {
        let folder = head_key.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
        Self { file: folder.join("secrets.age"), key: head_key.with_file_name("secrets.key") }
    }

    /// The store, opened by its passphrase where the settings name one.
    ///
    /// # Errors
    /// There is no passphrase where it should be.
    pub fn open(&self, settings: &SecretSettings) -> Result<Store, SecretError> {
        let unlock = match &settings.passphrase {
            None => Unlock::KeyFile(self.key.clone()),
            Some(source) => Unlock::Passphrase(read_local(source)?),
        };
        Ok(Store::new(self.file.clone(), unlock))
    }
}

/// What stands on this machine, read now.
fn read_local(source: &Source) -> Result<Secret<String>, SecretError> {
    match source {
        Source::Env(name) => read_variable(name).map_err(|e| SecretError::local(source, &e)),
        Source::File(path) => {
            let (text, open) = read_file(path).map_err(|e| SecretError::local(source, &e))?;
            if open {
                tracing::warn!(%source, "others than its owner may read this secret");
            }
            Ok(text)
        }
        Source::Stored(_) => Err(SecretError::missing(source, "has no store")),
        Source::Vault(_) | Source::Aws { .. } => {
            Err(SecretError::unusable(source, "is elsewhere, and is needed here at once"))
        }
    }
}

impl Secrets {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(settings: SecretSettings, store: StorePlaces, clock: Clock) -> Self {
        let secrets = Self(Arc::new(Inner {
            settings,
            store,
            clock,
            cache: Mutex::default(),
            values: Mutex::default(),
            live: RwLock::default(),
            vault: tokio::sync::Mutex::default(),
            aws: tokio::sync::Mutex::default(),
            noted: Mutex::default(),
            turns: Mutex::default(),
            opening: Mutex::default(),
        }));
        everywhere::know(&secrets.0);
        secrets
    }

    /// A secret that stands on this machine; for whoever cannot wait.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn local(&self, source: &Source) -> Result<Arc<Secret<String>>, SecretError> {
        if let Some(text) = self.0.known(source) {
            return Ok(text);
        }
        self.0.local(source, None)
    }

    /// All values that were given out, ready to be looked for.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.0.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what of `sources` stands on this machine, so that it is looked for from the first call
    /// on. What is not to be had is missed by whoever needs it.
    pub(crate) fn warm<'a>(&self, sources: impl IntoIterator<Item = &'a Source>) {
        let mut stored = BTreeSet::new();
        for source in sources {
            match source {
                Source::Env(_) | Source::File(_) => drop(self.0.local(source, None)),
                Source::Stored(name) => drop(stored.insert(name.clone())),
                Source::Vault(_) | Source::Aws { .. } => {}
            }
        }
        if stored.is_empty() {
            return;
        }
        let stamp = Stamp::of(&self.0.store.file);
        let Ok(store) = self.0.store.open(&self.0.settings) else { return };
        for (name, text) in store.get_all(&stored).unwrap_or_default() {
            self.0.put(&Source::Stored(name), text, Good::While(stamp));
        }
    }
}

fn copied(text: &Arc<Secret<String>>) -> Secret<String> {
    Secret::new(text.expose().clone())
}

impl Inner {
    /// What is in memory, while that is good.
    fn known(&self, source: &Source) -> Option<Arc<Secret<String>>> {
        let (text, good, quiet) = {
            let cache = locked(&self.cache);
            let cached = cache.get(source)?;
            (Arc::clone(&cached.text), cached.good, cached.quiet)
        };
        if quiet.is_some_and(|quiet| self.clock.now() < quiet) {
            return Some(text);
        }
        let is_good = match good {
            Good::Never => false,
            Good::Until(end) => self.clock.now() < end,
            Good::While(stamp) => stamp.is_some() && self.stamp(source) == stamp,
        };
        is_good.then_some(text)
    }

    /// A value whose keeper does not answer, for a while.
    fn still_good(
        &self,
        source: &Source,
        error: SecretError,
    ) -> Result<Arc<Secret<String>>, SecretError> {
        let mut cache = locked(&self.cache);
        let Some(Cached { text, good: Good::Until(end), quiet }) = cache.get_mut(source) else {
            return Err(error);
        };
        let (now, last) = (self.clock.now(), end.checked_add(SILENCE).unwrap_or(*end));
        if error.code() != "secret-unreachable" || now > last {
            return Err(error);
        }
        *quiet = now.checked_add(QUIET).ok().map(|quiet| quiet.min(last));
        tracing::warn!(%error, "what was read before is used");
        Ok(Arc::clone(text))
    }

    fn stamp(&self, source: &Source) -> Option<Stamp> {
        match source {
            Source::File(path) => Stamp::of(path),
            Source::Stored(_) => Stamp::of(&self.store.file),
            Source::Env(_) | Source::Vault(_) | Source::Aws { .. } => None,
        }
    }

    /// What is in memory and may be used: it is good, or another than what was refused.
    fn usable(
        &self,
        source: &Source,
        refused: Option<&Arc<Secret<String>>>,
    ) -> Option<Arc<Secret<String>>> {
        let Some(refused) = refused else { return self.known(source) };
        let cache = locked(&self.cache);
        let cached = cache.get(source).filter(|cached| !Arc::ptr_eq(&cached.text, refused));
        cached.map(|cached| Arc::clone(&cached.text))
    }

    /// Reads what stands on this machine; `refused` is not taken from memory.
    fn local(
        &self,
        source: &Source,
        refused: Option<&Arc<Secret<String>>>,
    ) -> Result<Arc<Secret<String>>, SecretError> {
        if let Source::Stored(_) = source {
            return self.stored(source, refused);
        }
        // Before it is read: what changes meanwhile is read again.
        let stamp = self.stamp(source);
        let text = read_local(source)?;
        let good = if stamp.is_some() { Good::While(stamp) } else { Good::Never };
        Ok(self.put(source, text, good))
    }

    /// Opens the store, one at a time, and reads all of it that is in use.
    fn stored(
        &self,
        source: &Source,
        refused: Option<&Arc<Secret<String>>>,
    ) -> Result<Arc<Secret<String>>, SecretError> {
        let mut unread = locked(&self.opening);
        // Somebody else may have read it while this one waited.
        if let Some(text) = self.usable(source, refused) {
            return Ok(text);
        }
        let (stamp, now) = (self.stamp(source), self.clock.now());
        let of_now = |one: &Unread| one.stamp == stamp && now.duration_since(one.at).abs() < UNREAD;
        unread.retain(|_, one| of_now(one));
        if let Some(one) = unread.get(source) {
            return Err(one.error.clone());
        }
        let read = self.read_stored(source, stamp);
        if let Err(error) = &read {
            let error = error.clone();
            unread.insert(source.clone(), Unread { stamp, at: now, error });
        }
        read
    }

    fn read_stored(
        &self,
        source: &Source,
        stamp: Option<Stamp>,
    ) -> Result<Arc<Secret<String>>, SecretError> {
        let Source::Stored(wanted) = source else {
            return Err(SecretError::missing(source, "is not in the store"));
        };
        let store = self.store.open(&self.settings)?;
        let name = |source: &Source| match source {
            Source::Stored(name) => Some(name.clone()),
            Source::Env(_) | Source::File(_) | Source::Vault(_) | Source::Aws { .. } => None,
        };
        let mut names: BTreeSet<_> = locked(&self.cache).keys().filter_map(name).collect();
        names.insert(wanted.clone());
        let read = store.get_all(&names).map_err(|error| SecretError::stored(source, &error))?;
        let mut found = None;
        for (name, text) in read {
            let is_it = name == *wanted;
            let text = self.put(&Source::Stored(name), text, Good::While(stamp));
            found = if is_it { Some(text) } else { found };
        }
        found.ok_or_else(|| SecretError::missing(source, "is not set"))
    }

    fn keep_fetched(&self, source: &Source, fetched: Fetched) -> Arc<Secret<String>> {
        let refresh = self.settings.refresh;
        let time = fetched.lease.map_or(refresh, |lease| lease.min(refresh));
        let now = self.clock.now();
        let until = now.checked_add(time).unwrap_or(now);
        self.put(source, fetched.value, Good::Until(until))
    }

    /// Keeps a value, and looks for it from now on.
    fn put(&self, source: &Source, text: Secret<String>, good: Good) -> Arc<Secret<String>> {
        let mut cache = locked(&self.cache);
        let same = cache.get(source).filter(|cached| cached.text.expose() == text.expose());
        let text = same.map_or_else(|| Arc::new(text), |cached| Arc::clone(&cached.text));
        let cached = Cached { text: Arc::clone(&text), good, quiet: None };
        cache.insert(source.clone(), cached);
        drop(cache);
        self.look_for(&clean::name_of(source), &source.to_string(), &text);
        text
    }

    /// Looks for a value that was at `of`, under a name, from now on.
    fn look_for(&self, name: &str, of: &str, text: &Arc<Secret<String>>) {
        let mut values = locked(&self.values);
        let is_it = |value: &Value| value.of == of && value.text.expose() == text.expose();
        if values.iter().any(is_it) {
            return;
        }
        let text = Arc::clone(text);
        values.push(Value { name: name.to_owned(), of: of.to_owned(), text });
        // What somebody holds may be in use: only what nobody does goes.
        let unheld = |value: &Value| value.of == of && Arc::strong_count(&value.text) == 1;
        if values.iter().filter(|value| value.of == of).count() > VALUES_OF_ONE
            && let Some(oldest) = values.iter().position(unheld)
        {
            values.remove(oldest);
        }
        let all = values.iter().map(|value| (value.name.as_str(), value.text.expose().as_str()));
        let live = Arc::new(Live::new(all));
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}
