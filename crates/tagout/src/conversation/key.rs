//! The key that sessions are sealed under: where the configuration says, or one that is drawn here.
use std::path::{Path, PathBuf};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use tagout_gateway::{config::Source, key_file, secrets::Secrets};
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

/// The key, from where the configuration says, or else Tagout's own, which lies beside the key of
/// the audit log and not beside what it seals.
pub(super) fn session_key(
    places: &Places,
    (secrets, source): (&Secrets, Option<&Source>),
    missing: Missing,
) -> Result<SessionKey, Failure> {
    let bytes = match source {
        Some(source) => referenced(secrets, source).map_err(|problem| {
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

fn referenced(secrets: &Secrets, source: &Source) -> Result<Secret<[u8; 32]>, String> {
    let text = secrets.local(source).map_err(|error| error.to_string())?;
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

fn own(path: &Path, missing: Missing) -> Result<Secret<[u8; 32]>, String> {
    let key = match missing {
        Missing::IsMade => key_file::load_or_make(path).map(Some),
        Missing::IsAnError => key_file::load(path),
    };
    key.map_err(|problem| problem.to_string())?.ok_or_else(|| "it is gone".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

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
