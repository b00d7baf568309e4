//! The file of a model.
use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read as _, Seek as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    process,
};

use rustix::fs::OFlags;
use sha2::Digest as _;
use tagout_llm::{BadModelId, ModelId, providers::LOCAL};
use tagout_proto::Digest;

use crate::failure::Failure;

/// What a file of the format begins with.
const MAGIC: [u8; 4] = *b"GGUF";

/// Bytes of a model's name, at most.
const NAME_BYTES: usize = 64;

/// The file of a model, held open: what is read is what is served, whatever takes its place.
pub(crate) struct ModelFile {
    path: PathBuf,
    model: ModelId,
    file: File,
    stamp: Stamp,
}

/// What changes when a file is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(about: &Metadata) -> Self {
        Self {
            file: (about.dev(), about.ino()),
            bytes: about.len(),
            written: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}

impl ModelFile {
    /// Opens the file called `name`, as seen from the current folder or, with `~/`, one's home.
    pub(crate) fn open(name: &Path) -> Result<Self, Failure> {
        let path = std::path::absolute(at_home(name))
            .map_err(|error| unusable(&name.to_string_lossy(), &error.to_string()))?;
        let bad = |problem: &str| unusable(&path.to_string_lossy(), problem);
        if path.to_str().is_none_or(|text| text.contains(char::is_control)) {
            return Err(bad("its path is no plain text"));
        }
        // A pipe would keep whoever opens it waiting.
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let opened = OpenOptions::new().read(true).custom_flags(nonblocking).open(&path);
        let mut file = opened.map_err(|error| bad(&error.to_string()))?;
        let about = file.metadata().map_err(|error| bad(&error.to_string()))?;
        let mut start = [0; MAGIC.len()];
        let begins = about.is_file() && file.read_exact(&mut start).is_ok() && start == MAGIC;
        if !begins {
            return Err(bad("it is no model in the GGUF format"));
        }
        if is_part(&path) {
            return Err(bad("it is one of several parts, and only a whole file can be pinned"));
        }
        let model = called(&path).map_err(|error| bad(&error.to_string()))?;
        Ok(Self { path, model, file, stamp: Stamp::of(&about) })
    }

    /// Its path, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its length.
    pub(crate) const fn bytes(&self) -> u64 {
        self.stamp.bytes
    }

    /// What it is called as a model.
    pub(super) const fn model(&self) -> &ModelId {
        &self.model
    }

    /// The path under which this process holds it open: for a program that is to read this very file.
    pub(super) fn held(&self) -> Result<PathBuf, Failure> {
        let path = format!("/proc/{}/fd/{}", process::id(), self.file.as_raw_fd());
        let there = std::fs::metadata(&path).is_ok_and(|there| Stamp::of(&there) == self.stamp);
        if there {
            return Ok(PathBuf::from(path));
        }
        Err(self.bad("it was changed, or `/proc` does not show it as this process has it open"))
    }

    /// Whether nobody has written to it since it was opened.
    pub(super) fn is_as_it_was(&self) -> bool {
        self.file.metadata().is_ok_and(|now| Stamp::of(&now) == self.stamp)
    }

    /// The digest of all that is in it; `told` learns how many bytes were read,
    /// and says whether to go on.
    pub(crate) fn digest(&self, mut told: impl FnMut(u64) -> bool) -> Result<Digest, Failure> {
        let failed = |error: io::Error| self.bad(&error.to_string());
        let mut file = &self.file;
        file.rewind().map_err(failed)?;
        let mut hash = sha2::Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        let mut read = 0_u64;
        // No more than there was: who writes on and on does not keep this waiting.
        let mut rest = file.take(self.stamp.bytes);
        loop {
            let more = rest.read(&mut buffer).map_err(failed)?;
            if more == 0 {
                break;
            }
            hash.update(buffer.get(..more).unwrap_or_default());
            read = read.saturating_add(u64::try_from(more).unwrap_or_default());
            if !told(read) {
                return Err(
                    self.bad("it was not read to its end, because nobody wants it any more")
                );
            }
        }
        if read != self.stamp.bytes || !self.is_as_it_was() {
            return Err(self.bad("it was changed while it was read"));
        }
        Ok(Digest::from_bytes(hash.finalize().into()))
    }

    fn bad(&self, problem: &str) -> Failure {
        unusable(&self.path.to_string_lossy(), problem)
    }
}

/// `~/x` is in one's home: no shell sees to that behind `local:`.
fn at_home(name: &Path) -> PathBuf {
    match (name.strip_prefix("~"), std::env::home_dir()) {
        (Ok(below), Some(home)) => home.join(below),
        (_, _) => name.to_owned(),
    }
}

/// The model of a file, by the file's name.
fn called(path: &Path) -> Result<ModelId, BadModelId> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(plain).take(NAME_BYTES).collect();
    format!("{LOCAL}:{name}").parse()
}

/// Whether its name is that of a part: `NAME-00001-of-00003.gguf`.
fn is_part(path: &Path) -> bool {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let numbers = stem.rsplit_once("-of-").and_then(|(before, all)| {
        let (_, one) = before.rsplit_once('-')?;
        Some([one, all])
    });
    let number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    numbers.is_some_and(|numbers| numbers.iter().all(|text| number(text)))
}

fn unusable(path: &str, problem: &str) -> Failure {
    let help = "`local:FILE.gguf` wants one whole file in the GGUF format; several parts are made \
                one with `llama-gguf-split --merge`";
    Failure::usage("model-file", format!("`{path}`: {problem}"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_known_by_their_names() {
        for (name, part) in [
            ("a-00001-of-00003.gguf", true),
            ("a-00002-of-00003.gguf", true),
            ("a-1-of-3.gguf", false),
            ("a-of-b.gguf", false),
            ("a.gguf", false),
        ] {
            assert_eq!(is_part(Path::new(name)), part, "{name}");
        }
    }
}
