//! The key that sessions are sealed under: where the configuration says, or one that is drawn here.
use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use rustix::fs::OFlags;
use tagout_gateway::config::Source;
use tagout_proto::Secret;
use tagout_store::SessionKey;

use crate::{
    failure::{Ended, Failure},
    places::Places,
};

/// What to do where Tagout's own key is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is made: something is to be sealed.
    IsMade,
    /// A new one would open nothing.
    IsAnError,
}

/// What to do where Tagout's own key is no use.
const OWN: &str = "put it back from a backup, with mode 0600; nothing else opens what it sealed, \
                   but `tagout sessions ls` and `rm` work without it";
/// And where it is somewhere else.
const ELSEWHERE: &str = "put the key that sealed them back there; for a new one, `openssl rand \
                         -hex 32`, which opens none from before";

/// A key is short; more of a file is not read.
const FILE_BYTES: u64 = 4096;

/// The key, from where the configuration says, or else Tagout's own, which lies beside the key of
/// the audit log and not beside what it seals.
pub(super) fn session_key(
    places: &Places,
    source: Option<&Source>,
    missing: Missing,
) -> Result<SessionKey, Failure> {
    let bytes = match source {
        Some(source) => referenced(source).map_err(|problem| {
            let message = format!("the key of sessions should be at `{source}`: {problem}");
            failed(message, ELSEWHERE)
        })?,
        None => {
            let path = own_path(places);
            own(&path, missing).map_err(|problem| {
                let message = format!("the key of sessions, `{}`: {problem}", path.display());
                failed(message, OWN)
            })?
        }
    };
    Ok(SessionKey::new(bytes))
}

/// Where Tagout's own key is.
pub(super) fn own_path(places: &Places) -> PathBuf {
    places.head_key.with_file_name("sessions.key")
}

fn failed(message: String, help: &str) -> Failure {
    Failure::new(Ended::Failed, "session-key", message).with_help(help)
}

fn referenced(source: &Source) -> Result<Secret<[u8; 32]>, String> {
    let text = match source {
        Source::Env(name) => env::var(name).map_err(|error| match error {
            env::VarError::NotPresent => "the variable is not set".to_owned(),
            env::VarError::NotUnicode(_) => "the variable holds no text".to_owned(),
        })?,
        Source::File(path) => {
            File::open(path).and_then(beginning).map_err(|error| error.to_string())?
        }
    };
    let text = Secret::new(text);
    let wrong = "it is not 32 bytes in hexadecimal or base 64";
    decoded(text.expose().trim()).ok_or_else(|| wrong.to_owned())
}

/// 32 bytes, written in one of the usual ways.
fn decoded(text: &str) -> Option<Secret<[u8; 32]>> {
    let mut bytes = [0; 32];
    if hex::decode_to_slice(text, &mut bytes).is_ok() {
        return Some(Secret::new(bytes));
    }
    let mut ways = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD].into_iter();
    let decoded = ways.find_map(|way| way.decode(text).ok())?;
    Some(Secret::new(decoded.try_into().ok()?))
}

fn beginning(file: File) -> io::Result<String> {
    let mut text = String::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn own(path: &Path, missing: Missing) -> Result<Secret<[u8; 32]>, String> {
    let said = |error: io::Error| error.to_string();
    if let Some(key) = load(path).map_err(said)? {
        return key.map_err(str::to_owned);
    }
    if missing == Missing::IsAnError {
        return Err("it is gone".to_owned());
    }
    make(path).map_err(said)?;
    load(path).map_err(said)?.unwrap_or(Err("it is gone")).map_err(str::to_owned)
}

type Read = Result<Secret<[u8; 32]>, &'static str>;

/// What the file holds; nothing if there is none. Never through a symbolic link.
fn load(path: &Path) -> io::Result<Option<Read>> {
    // The bits are those of C's `int`; the conversion only changes how Rust sees them.
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Ok(Some(Err("others may read it: its mode must be 0600")));
    }
    let text = Secret::new(beginning(file)?);
    let key = decoded(text.expose().trim());
    Ok(Some(key.ok_or("it does not hold 64 hexadecimal digits")))
}

/// The file appears under its name whole or not at all, and never in place of another: two
/// processes that come first at once end up with one key.
fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let (mut key, mut name) = ([0; 32], [0; 8]);
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    getrandom::fill(&mut name).map_err(io::Error::other)?;
    let draft = path.with_extension(hex::encode(name));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}", hex::encode(key))?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    };
    let written = write();
    let removed = fs::remove_file(&draft);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_however_they_are_written() {
        let bytes = [0xfb; 32];
        let hex = hex::encode(bytes);
        for text in [
            hex.clone(),
            hex.to_uppercase(),
            STANDARD.encode(bytes),
            STANDARD_NO_PAD.encode(bytes),
            URL_SAFE.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
        ] {
            assert_eq!(decoded(&text).unwrap().expose(), &bytes, "{text}");
        }
        for wrong in [
            "",
            "hunter2",
            &hex.replacen('f', "", 1),
            &format!("{hex}00"),
            &STANDARD.encode([1; 31]),
        ] {
            assert!(decoded(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn ones_own_key_is_made_once_and_for_its_owner() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("keys/sessions.key");
        assert_eq!(own(&path, Missing::IsAnError).unwrap_err(), "it is gone");
        assert!(!path.exists());
        let key = own(&path, Missing::IsMade).unwrap();
        assert_eq!(own(&path, Missing::IsMade).unwrap().expose(), key.expose());
        assert_eq!(own(&path, Missing::IsAnError).unwrap().expose(), key.expose());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(root.path().join("keys")).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(own(&path, Missing::IsMade).unwrap_err().contains("0600"));
        let link = root.path().join("link.key");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(own(&link, Missing::IsMade).is_err());
    }
}
