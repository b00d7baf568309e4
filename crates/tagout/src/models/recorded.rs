//! Recordings of exchanges: a folder with a file each.
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use tagout_llm::tape::{Deck, Exchange};
use tagout_proto::Digest;

use crate::{failure::Failure, setup};

/// Exchanges of one recording, at most.
const MOST: usize = 10_000;

/// A folder that exchanges are written into.
pub(crate) struct Folder {
    path: PathBuf,
    next: AtomicUsize,
}

/// What the random parts of a conversation are made from, so that it can be the same again.
pub(crate) type Seed = [u8; 32];

/// The file of the seed.
const SEED: &str = "seed";

impl Folder {
    /// A new recording at `path`, where nothing may be yet.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| unusable(path, &error.to_string());
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        if fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(unusable(path, "it is not empty"));
        }
        Ok(Self { path: path.to_owned(), next: AtomicUsize::new(1) })
    }

    /// Draws the seed of what is recorded here, and keeps it.
    pub(crate) fn seed(&self) -> Result<Seed, Failure> {
        let mut seed = Seed::default();
        getrandom::fill(&mut seed).map_err(|error| unusable(&self.path, &error.to_string()))?;
        let failed = |error: io::Error| unusable(&self.path, &error.to_string());
        let path = self.path.join(SEED);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let text = Digest::from_bytes(seed).hex();
        file.and_then(|mut file| writeln!(file, "{text}")).map_err(failed)?;
        Ok(seed)
    }

    fn write(&self, exchange: &Exchange) -> io::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(name(number));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        serde_json::to_writer_pretty(&mut file, exchange)?;
        file.write_all(b"\n")
    }
}

fn name(number: usize) -> String {
    format!("{number:04}.json")
}

fn unusable(path: &Path, problem: &str) -> Failure {
    let help = "`record:DIR,PROVIDER:MODEL` wants a folder that is empty or not there";
    Failure::usage("provider-file", format!("`{}`: {problem}", path.display()), help)
}

impl Deck for Folder {
    fn keep(&self, exchange: &Exchange) {
        if let Err(error) = self.write(exchange) {
            tracing::error!(%error, folder = %self.path.display(), "an exchange was not recorded");
        }
    }
}

/// The seed of the recording at `path`; older ones have none.
pub(crate) fn seed(path: &Path) -> Result<Option<Seed>, Failure> {
    let file = path.join(SEED);
    let Some(text) = setup::read(&file)? else { return Ok(None) };
    let seed: Digest = format!("sha256:{}", text.trim_end())
        .parse()
        .map_err(|_| unusable(&file, "it is no seed: 64 hexadecimal digits"))?;
    Ok(Some(*seed.as_bytes()))
}

/// The exchanges of the recording at `path`, in order; at least one.
pub(crate) fn read(path: &Path) -> Result<Vec<Exchange>, Failure> {
    let mut exchanges = Vec::new();
    while exchanges.len() < MOST {
        let file = path.join(name(exchanges.len() + 1));
        let Some(text) = setup::read(&file)? else { break };
        let exchange = serde_json::from_str(&text)
            .map_err(|error| unusable(&file, &format!("it is no recording: {error}")))?;
        exchanges.push(exchange);
    }
    if exchanges.is_empty() {
        let message = format!("`{}`: there is no recording in it", path.display());
        let help = "make one with `--model record:DIR,PROVIDER:MODEL`";
        return Err(Failure::usage("provider-file", message, help));
    }
    Ok(exchanges)
}
