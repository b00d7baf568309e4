//! Secrets that the configuration refers to: read where they are, kept as long as they are good,
//! read again when they change, and looked for in everything that passes.
mod clean;
mod given;
mod kept;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tagout_inspect::live::Live;
use tagout_proto::Secret;
use tagout_secrets::{
    Fetched, SecretError, Stamp, Store, StoreError, Unlock, World, read_file, read_variable,
    vault::Vault,
};
use tokio::time::timeout;

pub(crate) use self::clean::{Place, cleaned_frame};
pub(crate) use self::given::{Given, given};
use self::wire::Wire;
pub use self::{
    clean::clean_text,
    kept::{KeptTrouble, references},
};
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
}

/// A client of a keeper, and the way to it.
struct Keeping<T> {
    client: T,
    wire: Wire,
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
    of: Source,
    text: Arc<Secret<String>>,
}

struct Cached {
    text: Arc<Secret<String>>,
    good: Good,
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

/// How long a keeper may take with all its retries.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a value is still used that its keeper, silent now, gave out.
const SILENCE: SignedDuration = SignedDuration::from_secs(3600);
/// Values of one source that are looked for: what was replaced is still known to whoever had it.
const VALUES_OF_ONE: usize = 8;
/// How often tokens are looked after, at most and at least.
const KEEP: (u64, u64) = (1, 30);

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
            Some(source) => Unlock::Passphrase(read_local(source, None)?),
        };
        Ok(Store::new(self.file.clone(), unlock))
    }
}

/// What stands on this machine, read now.
fn read_local(source: &Source, store: Option<&Store>) -> Result<Secret<String>, SecretError> {
    match source {
        Source::Env(name) => read_variable(name).map_err(|e| SecretError::local(source, &e)),
        Source::File(path) => {
            let (text, open) = read_file(path).map_err(|e| SecretError::local(source, &e))?;
            if open {
                tracing::warn!(%source, "others than its owner may read this secret");
            }
            Ok(text)
        }
        Source::Stored(name) => {
            let store = store.ok_or_else(|| SecretError::missing(source, "has no store"))?;
            let found =
                store.get(name).map_err(|error: StoreError| SecretError::stored(source, &error));
            found?.ok_or_else(|| SecretError::missing(source, "is not set"))
        }
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
        }));
        clean::know(Arc::downgrade(&secrets.0));
        secrets
    }

    /// The secret as it is now: from memory while that is good.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn get(&self, source: &Source) -> Result<Arc<Secret<String>>, SecretError> {
        if let Some(text) = self.0.known(source) {
            return Ok(text);
        }
        self.fetched(source).await
    }

    /// The secret as it is now, whatever was good: somebody refused what there was.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn anew(&self, source: &Source) -> Result<Arc<Secret<String>>, SecretError> {
        locked(&self.0.cache).remove(source);
        self.fetched(source).await
    }

    /// A secret that stands on this machine; for whoever cannot wait.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn local(&self, source: &Source) -> Result<Arc<Secret<String>>, SecretError> {
        if let Some(text) = self.0.known(source) {
            return Ok(text);
        }
        self.0.local(source)
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
                Source::Env(_) | Source::File(_) => drop(self.0.local(source)),
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

    async fn fetched(&self, source: &Source) -> Result<Arc<Secret<String>>, SecretError> {
        if source.is_local() {
            let (inner, of) = (Arc::clone(&self.0), source.clone());
            let reading = tokio::task::spawn_blocking(move || inner.local(&of));
            let failed = |_| SecretError::unusable(source, "could not be read");
            return reading.await.map_err(failed)?;
        }
        let fetching = timeout(PATIENCE, self.elsewhere(source)).await;
        match fetching.unwrap_or_else(|_| Err(SecretError::unreachable(source, "took too long"))) {
            Ok(text) => Ok(text),
            Err(error) => self.0.still_good(source, error),
        }
    }

    async fn elsewhere(&self, source: &Source) -> Result<Arc<Secret<String>>, SecretError> {
        let inner = &self.0;
        let local = |source: &Source| inner.local(source).map(|text| copied(&text));
        let fetched = match source {
            Source::Vault(path) => {
                let mut vault = inner.vault.lock().await;
                // Somebody else may have fetched it while this one waited.
                if let Some(text) = inner.known(source) {
                    return Ok(text);
                }
                let keeping = inner.vault_in(&mut vault, source)?;
                let clock = wire::Time(&inner.clock);
                let world = World { transport: &keeping.wire, clock: &clock, local: &local };
                let new = keeping.client.renews_at().is_none();
                let fetched = keeping.client.read(world, path).await?;
                if new && keeping.client.renews_at().is_some() {
                    tokio::spawn(keep(Arc::downgrade(inner), source.clone()));
                }
                fetched
            }
            Source::Aws { name, field } => {
                let mut wire = inner.aws.lock().await;
                if let Some(text) = inner.known(source) {
                    return Ok(text);
                }
                let Some(aws) = &inner.settings.aws else {
                    return Err(SecretError::missing(source, "has no table `[aws]` to say how"));
                };
                if wire.is_none() {
                    *wire = Some(Wire::to(aws, source)?);
                }
                let Some(transport) = wire.as_ref() else {
                    return Err(SecretError::unreachable(source, "has no way to it"));
                };
                let clock = wire::Time(&inner.clock);
                let world = World { transport, clock: &clock, local: &local };
                aws.settings.read(world, (name, field.as_deref())).await?
            }
            Source::Env(_) | Source::File(_) | Source::Stored(_) => return inner.local(source),
        };
        Ok(inner.keep_fetched(source, fetched))
    }
}

fn copied(text: &Arc<Secret<String>>) -> Secret<String> {
    Secret::new(text.expose().clone())
}

/// Renews Vault's token before it ends, for as long as anybody may need it.
async fn keep(inner: Weak<Inner>, of: Source) {
    loop {
        let Some(now) = inner.upgrade() else { return };
        let at = match now.vault.lock().await.as_ref() {
            Some(keeping) => keeping.client.renews_at(),
            None => return,
        };
        let Some(at) = at else { return };
        let wait = at.duration_since(now.clock.now()).as_secs();
        drop(now);
        let wait = u64::try_from(wait).unwrap_or(0).clamp(KEEP.0, KEEP.1);
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let Some(now) = inner.upgrade() else { return };
        let mut vault = now.vault.lock().await;
        let Some(keeping) = vault.as_mut() else { return };
        let local = |source: &Source| now.local(source).map(|text| copied(&text));
        let clock = wire::Time(&now.clock);
        let world = World { transport: &keeping.wire, clock: &clock, local: &local };
        match timeout(PATIENCE, keeping.client.keep(world, &of)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "Vault's token could not be renewed"),
            Err(_) => tracing::warn!("Vault took too long to renew a token"),
        }
    }
}

impl Inner {
    fn vault_in<'a>(
        &self,
        vault: &'a mut Option<Keeping<Vault>>,
        of: &Source,
    ) -> Result<&'a mut Keeping<Vault>, SecretError> {
        let Some(settings) = &self.settings.vault else {
            return Err(SecretError::missing(of, "has no table `[vault]` to say how"));
        };
        if vault.is_none() {
            let client = Vault::new(settings.settings.clone());
            *vault = Some(Keeping { client, wire: Wire::to(settings, of)? });
        }
        vault.as_mut().ok_or_else(|| SecretError::unreachable(of, "has no way to it"))
    }

    /// What is in memory, while that is good.
    fn known(&self, source: &Source) -> Option<Arc<Secret<String>>> {
        let (text, good) = {
            let cache = locked(&self.cache);
            let cached = cache.get(source)?;
            (Arc::clone(&cached.text), cached.good)
        };
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
        let cache = locked(&self.cache);
        let Some(Cached { text, good: Good::Until(end) }) = cache.get(source) else {
            return Err(error);
        };
        let silent = error.code() == "secret-unreachable";
        if !silent || self.clock.now() > end.checked_add(SILENCE).unwrap_or(*end) {
            return Err(error);
        }
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

    fn local(&self, source: &Source) -> Result<Arc<Secret<String>>, SecretError> {
        // Before it is read: what changes meanwhile is read again.
        let stamp = self.stamp(source);
        let store = match source {
            Source::Stored(_) => Some(self.store.open(&self.settings)?),
            Source::Env(_) | Source::File(_) | Source::Vault(_) | Source::Aws { .. } => None,
        };
        let text = read_local(source, store.as_ref())?;
        let good = if stamp.is_some() { Good::While(stamp) } else { Good::Never };
        Ok(self.put(source, text, good))
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
        cache.insert(source.clone(), Cached { text: Arc::clone(&text), good });
        drop(cache);
        self.look_for(source, &text);
        text
    }

    fn look_for(&self, source: &Source, text: &Arc<Secret<String>>) {
        let mut values = locked(&self.values);
        let is_it = |value: &Value| value.of == *source && value.text.expose() == text.expose();
        if values.iter().any(is_it) {
            return;
        }
        let (name, of) = (clean::name_of(source), source.clone());
        values.push(Value { name, of, text: Arc::clone(text) });
        let of_it = values.iter().filter(|value| value.of == *source).count();
        if of_it > VALUES_OF_ONE
            && let Some(oldest) = values.iter().position(|value| value.of == *source)
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
