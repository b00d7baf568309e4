//! From files to a gateway.
use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use tagout_gateway::{
    Clock, Gateway, OpenError, Parts, approval::Terminal, config::Config, identity::os_user,
    lockfile::Lockfile,
};
use tagout_policy::{Policy, Profile, Surface};

use crate::{failure::Failure, places::Places, rules::RulesFrom, signed::lockfile};

/// What ships reviewed: the built-in servers' tools.
const SHIPPED: &str = include_str!("../shipped.lock");

/// Files of configuration, policy and lockfile are small; a larger one is not read at all.
const FILE_BYTES: u64 = 16 << 20;

/// Configuration, policy and lockfile, read and understood.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    /// Rules on trial, where there are any.
    shadow: Option<Policy>,
    /// Where both come from.
    pub(crate) rules: Arc<RulesFrom>,
    pub(crate) lockfile: Lockfile,
    /// The files that were read.
    pub(crate) files: Vec<String>,
}

/// What a setup is read for.
#[derive(Clone, Copy)]
enum Purpose {
    /// Calls, by the rules.
    Serve,
    /// The lockfile alone.
    Pin {
        /// Whether it has to be signed: one that is being made cannot be yet.
        signed: bool,
    },
}

/// What ships reviewed, for servers that are built in.
pub(crate) fn shipped() -> Result<Lockfile, Failure> {
    Lockfile::parse("shipped.lock", SHIPPED).map_err(Failure::at_place)
}

/// The content of a file; nothing if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io(path, error)),
    };
    let mut text = String::new();
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    let read = file.take(FILE_BYTES + 1).read_to_string(&mut text);
    let read = read.map_err(|error| Failure::io(path, error))?;
    // The rest may hold the rule that forbids.
    if u64::try_from(read).is_ok_and(|read| read <= FILE_BYTES) {
        return Ok(Some(text));
    }
    Err(Failure::io(path, io::Error::from(io::ErrorKind::FileTooLarge)))
}

/// What the configuration says, without rules and lockfile: what needs neither does not wait for
/// them.
pub(crate) fn config(places: &Places) -> Result<Config, Failure> {
    configured(places).map(|(config, _)| config)
}

/// The same, and whether there is a file.
fn configured(places: &Places) -> Result<(Config, bool), Failure> {
    match read(&places.config)? {
        Some(text) => {
            let name = places.config.display().to_string();
            let config = Config::parse(&name, &text, places.folder());
            Ok((config.map_err(Failure::at_place)?, true))
        }
        None if places.named => {
            let message = format!("there is no file `{}`", places.config.display());
            let help = "make one with `tagout add`, or leave out `--config`";
            Err(Failure::usage("config-missing", message, help))
        }
        None => Ok((Config::built_in(), false)),
    }
}

impl Setup {
    /// Reads what `places` has.
    pub(crate) fn read(places: &Places) -> Result<Self, Failure> {
        Self::read_for(places, Purpose::Serve)
    }

    /// The same for what has to do with the lockfile alone. Rules are not read: they may be waiting
    /// for what is to be pinned.
    pub(crate) fn read_to_pin(places: &Places, signed: bool) -> Result<Self, Failure> {
        Self::read_for(places, Purpose::Pin { signed })
    }

    fn read_for(places: &Places, purpose: Purpose) -> Result<Self, Failure> {
        let shown = |path: &Path| path.display().to_string();
        let (config, there) = configured(places)?;
        let mut files: Vec<_> = there.then(|| shown(&places.config)).into_iter().collect();
        let rules = RulesFrom::of(&config, places);
        let path = places.lockfile();
        let signers = match purpose {
            Purpose::Serve | Purpose::Pin { signed: true } => config.signed_by.as_slice(),
            Purpose::Pin { signed: false } => &[],
        };
        let lockfile = lockfile(&path, signers)?;
        files.extend(lockfile.as_ref().map(|_| shown(&path)));
        let lockfile = lockfile.unwrap_or_default();
        rules.runs_with(&lockfile);
        let (policy, shadow) = match purpose {
            Purpose::Serve => {
                let own = rules.sources()?;
                files.extend(own.iter().map(|source| source.name.clone()));
                (rules.policy(&own, &lockfile)?, rules.shadow(&lockfile)?)
            }
            Purpose::Pin { .. } => {
                let none = Policy::load(Profile::None, &[], &Surface::default());
                (none.map_err(Failure::at_place)?, None)
            }
        };
        Ok(Self { config, policy, shadow, rules: Arc::new(rules), lockfile, files })
    }

    /// Opens the gateway on the state that `places` names.
    pub(crate) fn open(self, places: &Places) -> Result<Arc<Gateway>, Failure> {
        let shipped = shipped()?;
        let own_program =
            std::env::current_exe().map_err(|e| Failure::io(Path::new("/proc"), e))?;
        let principal = os_user(&self.config);
        let policies = self.config.policies.clone();
        let parts = Parts {
            principal,
            config: self.config,
            policy: self.policy,
            lockfile: self.lockfile,
            shipped,
            own_program,
            own_files: places.own_files(policies),
            approver: Arc::new(Terminal::new(places.state.clone())),
            clock: clock(),
        };
        let opened = Gateway::open(parts, &places.state, &places.head_key);
        let gateway = opened.map_err(|error| match &error {
            OpenError::Audit(inner) => Failure::of(&error, inner.code(), inner.help()),
            OpenError::Store(inner) => Failure::of(&error, inner.code(), inner.help()),
            OpenError::Assertion(inner) => Failure::of(&error, inner.code(), inner.help()),
            OpenError::Key(_) => Failure::of(&error, "state-invalid", ""),
        })?;
        gateway.try_out(self.shadow);
        Ok(gateway)
    }
}

/// The system's clock; everything else takes the time from here.
pub(crate) fn clock() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody is to use")]
    Clock::new(jiff::Timestamp::now)
}
