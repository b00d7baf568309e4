//! What an attempt is, and what it is told.
use std::{
    collections::BTreeMap,
    fmt::Display,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::seen::Seen;

/// More than anything that is looked for here.
const LOOK_BYTES: u64 = 1 << 20;

/// How an attempt went, in its own eyes.
pub(crate) enum Tried {
    /// It got what it wanted: this.
    Got(String),
    /// It did not, because of this.
    Stopped(String),
}

/// What an attempt returns, so that `?` means stopped.
pub(crate) type Outcome = Result<String, String>;

impl From<Outcome> for Tried {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(evidence) => Self::Got(evidence),
            Err(why) => Self::Stopped(why),
        }
    }
}

/// Whether it must succeed where nothing stands in its way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    /// It must.
    Succeeds,
    /// Only with root's capabilities.
    Root,
    /// Where the kernel has it.
    IfThere(&'static str),
    /// With root's capabilities, where the kernel has it.
    RootIfThere(&'static str),
    /// It must, with every layer too: any program does it.
    Always,
}

/// One thing that a hostile program tries.
pub(crate) struct Attempt {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is about, for the table.
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Facts) -> Outcome,
    /// Whether it succeeded, as it is seen from outside.
    pub(crate) effect: fn(&Seen) -> bool,
    pub(crate) bare: Bare,
    /// Whether it takes so much that nothing else is to run beside it.
    pub(crate) alone: bool,
}

impl Attempt {
    pub(crate) const fn new(
        name: &'static str,
        about: &'static str,
        run: fn(&Facts) -> Outcome,
        effect: fn(&Seen) -> bool,
    ) -> Self {
        Self { name, about, run, effect, bare: Bare::Succeeds, alone: false }
    }

    /// Only root can, where nothing stands in the way.
    pub(crate) const fn of_root(mut self) -> Self {
        self.bare = Bare::Root;
        self
    }

    /// Not every kernel has it.
    pub(crate) const fn if_there(mut self, what: &'static str) -> Self {
        self.bare = match self.bare {
            Bare::Succeeds | Bare::IfThere(_) => Bare::IfThere(what),
            Bare::Root | Bare::RootIfThere(_) => Bare::RootIfThere(what),
            Bare::Always => Bare::Always,
        };
        self
    }

    /// Nothing may stop it.
    pub(crate) const fn control(mut self) -> Self {
        self.bare = Bare::Always;
        self
    }

    /// Nothing else is to run beside it.
    pub(crate) const fn by_itself(mut self) -> Self {
        self.alone = true;
        self
    }
}

/// What the program knows of where it is: nothing that it could not find out.
pub(crate) struct Facts(BTreeMap<String, String>);

impl Facts {
    /// From `key=value` each.
    pub(crate) fn parse(words: &[String]) -> Self {
        let pairs = words.iter().filter_map(|word| word.split_once('='));
        Self(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    pub(crate) fn text(&self, key: &str) -> Result<&str, String> {
        self.0.get(key).map(String::as_str).ok_or_else(|| format!("nobody said `{key}`"))
    }

    pub(crate) fn path(&self, key: &str) -> Result<PathBuf, String> {
        self.text(key).map(PathBuf::from)
    }

    pub(crate) fn number(&self, key: &str) -> Result<u64, String> {
        self.text(key)?.parse().map_err(|_| format!("`{key}` is no number"))
    }

    /// The process to attack.
    pub(crate) fn gateway(&self) -> Result<rustix::process::Pid, String> {
        let pid = i32::try_from(self.number("gateway")?).unwrap_or_default();
        rustix::process::Pid::from_raw(pid).ok_or_else(|| String::from("no process"))
    }
}

/// Any error as the reason why it was stopped.
pub(crate) fn why(error: impl Display) -> String {
    error.to_string()
}

/// The text of a file, as far as it is text.
pub(crate) fn read(path: &Path) -> Outcome {
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    read_from(file).map_err(|e| format!("{}: {e}", path.display()))
}

/// What an open file holds from here on.
pub(crate) fn read_from(file: impl io::Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(LOOK_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// What starts like a secret that was planted, wherever it stands in `bytes`.
pub(crate) fn secret_in(bytes: &[u8]) -> Option<String> {
    let start = bytes.windows(SECRET.len()).position(|window| window == SECRET)?;
    let found = bytes.get(start..start.saturating_add(SECRET_LENGTH))?;
    let hex = found.get(SECRET.len()..)?.iter().all(u8::is_ascii_hexdigit);
    hex.then(|| String::from_utf8_lossy(found).into_owned())
}

/// How planted secrets start, written so that this program holds none itself.
const SECRET: &[u8] = b"planted:";
/// With 32 digits.
pub(crate) const SECRET_LENGTH: usize = 40;
