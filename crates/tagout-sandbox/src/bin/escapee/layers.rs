//! What stands in the program's way.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use tagout_sandbox::{Bounds, Isolation, Part, PrivateFile};

use crate::attempt::Facts;

/// Small, so that going beyond them harms nothing.
pub(crate) const BOUNDS: Bounds = Bounds {
    memory: 96 << 20,
    processes: 160,
    cpu: Some(Duration::from_secs(1)),
    file: 8 << 20,
    open_files: 128,
    tmp: 16 << 20,
};

/// Which layers stand in the program's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layers {
    /// None: it is started as any program starts another.
    None,
    /// All that the sandbox has.
    All,
    /// Only what every program gets that is started: an empty environment, no descriptors, no
    /// terminal, no way to gain privileges by a program, and an end with the gateway.
    Start,
    /// That, and one part.
    Alone(Part),
    /// All but one part.
    Without(Part),
}

impl Layers {
    pub(crate) fn of_name(name: &str) -> Result<Self, String> {
        match name {
            "none" => Ok(Self::None),
            "all" => Ok(Self::All),
            "start" => Ok(Self::Start),
            name => {
                let without = name.strip_prefix("without-");
                let part = Part::of_name(without.unwrap_or(name));
                let part = part.ok_or_else(|| format!("no part `{name}`"))?;
                Ok(if without.is_some() { Self::Without(part) } else { Self::Alone(part) })
            }
        }
    }

    /// Every layer that can stand alone.
    pub(crate) fn single() -> impl Iterator<Item = Self> {
        [Self::Start].into_iter().chain(Part::ALL.map(Self::Alone))
    }

    /// What the sandbox is told; nothing where it is told nothing.
    pub(crate) fn isolation(self, facts: &Facts) -> Result<Option<Isolation>, String> {
        let off = match self {
            Self::None | Self::Start => return Ok(None),
            Self::All => BTreeSet::new(),
            Self::Without(part) => BTreeSet::from([part]),
            Self::Alone(part) => Part::ALL.into_iter().filter(|other| *other != part).collect(),
        };
        let mut isolation = isolation(facts)?;
        isolation.off = off;
        Ok(Some(isolation))
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::All => f.write_str("all"),
            Self::Start => f.write_str("start"),
            Self::Alone(part) => f.write_str(part.as_str()),
            Self::Without(part) => write!(f, "without-{part}"),
        }
    }
}

/// What a server's entry would say: its own files to read, one folder to write.
pub(crate) fn isolation(facts: &Facts) -> Result<Isolation, String> {
    let mut read = BTreeSet::from([facts.path("server")?]);
    let folder = facts.text("set-id-program").ok().and_then(|it| Path::new(it).parent());
    read.extend(folder.map(Path::to_owned));
    let accepted = facts.text("missing").unwrap_or_default().split(',').filter_map(Part::of_name);
    Ok(Isolation {
        read,
        write: BTreeSet::<PathBuf>::from([facts.path("out")?]),
        system: true,
        files: BTreeMap::from([("own".into(), PrivateFile::new(b"its own".to_vec()))]),
        egress: true,
        bounds: BOUNDS,
        accepted: accepted.collect(),
        ..Isolation::default()
    })
}
