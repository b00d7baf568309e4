//! What all clients of one process share.
use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use tagout_assertion::Signer;
use tagout_audit::{AuditError, Log};
use tagout_policy::Policy;
use tagout_proto::Principal;
use tagout_store::{Store, StoreError};

use crate::{
    approval::{Approver, SealKey, Spent, webhook::Outbox},
    assertion::{self, KeyFileError},
    blocking::Turns,
    config::Config,
    history::Histories,
    limits::Limits,
    lockfile::Lockfile,
    policies::Policies,
    secrets::{Secrets, StorePlaces, references},
    shadow::Shadow,
    state::{Sealer, StateError},
    task::TaskNames,
    upstream::{Guarded, Shared},
};

/// Tells the time; tests hold it still.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that `tells` the time.
    pub fn new(tells: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(tells))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// What a call may need on its way.
pub struct Gateway {
    pub(crate) config: Config,
    pub(crate) policies: Policies,
    /// What happened in conversations.
    pub(crate) histories: Histories,
    /// Rules on trial.
    pub(crate) shadow: Shadow,
    pub(crate) lockfile: Lockfile,
    /// What ships reviewed, for servers that are built in.
    pub(crate) shipped: Lockfile,
    pub(crate) own_program: PathBuf,
    /// What no server may see.
    pub(crate) guarded: Arc<Guarded>,
    pub(crate) principal: Principal,
    pub(crate) approver: Arc<dyn Approver>,
    pub(crate) audit: Log,
    /// Everybody's share.
    pub(crate) limits: Limits,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    /// Seals what clients carry between two requests of one call.
    pub(crate) sealer: Sealer,
    pub(crate) tasks: TaskNames,
    /// Signs who calls, where any server is told.
    pub(crate) signer: Option<Signer>,
    /// The gateways' code over questions and grants.
    pub(crate) seal: SealKey,
    /// Answers that are used up, as the audit log has it.
    pub(crate) spent: Spent,
    /// Whose turn it is to wait for the store.
    pub(crate) turns: Turns,
    /// What tells the webhook of questions.
    pub(crate) outbox: Outbox,
    /// Secrets that the configuration refers to.
    pub(crate) secrets: Secrets,
    /// What all clients share of the servers.
    pub(crate) shared: Shared,
}

/// What a gateway is made of.
pub struct Parts {
    /// Servers and limits.
    pub config: Config,
    /// Rules.
    pub policy: Policy,
    /// What has been reviewed here.
    pub lockfile: Lockfile,
    /// What ships reviewed, for servers that are built in.
    pub shipped: Lockfile,
    /// This program, for servers that are built in.
    pub own_program: PathBuf,
    /// The files that say what is allowed; no server sees them, nor the state and the keys.
    pub own_files: BTreeSet<PathBuf>,
    /// For whom it works.
    pub principal: Principal,
    /// How a person is asked.
    pub approver: Arc<dyn Approver>,
    /// The time.
    pub clock: Clock,
}

/// Why a gateway cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The audit log cannot be opened; without it no call may be made.
    #[error("the audit log cannot be opened")]
    Audit(#[from] AuditError),
    /// The state store cannot be opened.
    #[error("the state store cannot be opened")]
    Store(#[from] StoreError),
    /// There is no randomness to make a key of.
    #[error("no key can be made")]
    Key(#[from] StateError),
    /// There is no key to sign statements about callers with.
    #[error("no server can be told who calls")]
    Assertion(#[from] KeyFileError),
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gateway({} servers, {:?})", self.config.servers.len(), self.policies)
    }
}

impl Gateway {
    /// Opens the audit log and the store under `state`, with the key that signs the log's head in
    /// `key_file`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(parts: Parts, state: &Path, key_file: &Path) -> Result<Arc<Self>, OpenError> {
        let now = parts.clock.now();
        let audit = Log::open(&state.join("audit"), key_file, now)?;
        let store = Store::open(&state.join("state.sqlite"))?;
        let counting = (audit.clone(), parts.clock.clone());
        let limits = Limits::new(parts.config.shares.clone(), counting, state);
        let mut guarded = parts.own_files;
        guarded.insert(state.to_owned());
        guarded.extend(key_file.parent().map(Path::to_owned));
        let places = StorePlaces::beside(key_file);
        guarded.insert(places.file.clone());
        let guarded = Guarded::of(guarded, &parts.config);
        let settings = parts.config.secrets.clone();
        let secrets = Secrets::new(settings, places, parts.clock.clone());
        secrets.warm(references(&parts.config).iter().map(|(source, _)| source));
        let signer = assertion::needed_signer(&parts.config, key_file)?;
        Ok(Arc::new(Self {
            signer,
            config: parts.config,
            policies: Policies::new(parts.policy),
            histories: Histories::new().map_err(|_| StateError::Unmade)?,
            shadow: Shadow::default(),
            lockfile: parts.lockfile,
            shipped: parts.shipped,
            own_program: parts.own_program,
            guarded: Arc::new(guarded),
            principal: parts.principal,
            approver: parts.approver,
            audit,
            limits,
            store,
            clock: parts.clock,
            sealer: Sealer::new()?,
            tasks: TaskNames::new().map_err(|_| StateError::Unmade)?,
            seal: SealKey::of_key_file(key_file).map_err(|_| StateError::Unmade)?,
            spent: Spent::of(&state.join("audit")),
            turns: Turns::default(),
            outbox: Outbox::default(),
            secrets,
            shared: Shared::default(),
        }))
    }

    /// The user whom it works for.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.principal.user
    }

    /// Secrets that the configuration refers to.
    #[must_use]
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The durable state.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }
}
