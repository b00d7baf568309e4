//! Signing the lockfile, as minisign does.
mod listing;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    command::add::write,
    failure::{Ended, Failure},
    output,
    passphrase::Person,
    places::Places,
    setup::{Setup, clock, read},
    signed,
};
use tagout_gateway::lockfile::{
    Lockfile,
    signature::{SigningKeyFile, SigningKeyTrouble},
};

/// Signs the lockfile as it stands, with the key in the file `key`.
pub(super) fn sign(places: &Places, key: &Path, json: bool) -> Result<ExitCode, Failure> {
    let path = places.lockfile();
    let gone = |path: &Path| Failure::io(path, std::io::ErrorKind::NotFound.into());
    let text = read(&path)?.ok_or_else(|| gone(&path))?;
    let shown = path.display().to_string();
    let lockfile = Lockfile::parse(&shown, &text).map_err(Failure::at_place)?;
    private(key)?;
    let file = read(key)?.ok_or_else(|| gone(key))?;
    let file = SigningKeyFile::parse(&file).map_err(trouble)?;
    if !file.needs_passphrase() {
        return Err(trouble(SigningKeyTrouble::Bare));
    }
    let mut person = Person::there()?;
    person.show(&listing::listing(&shown, &text, &lockfile))?;
    let passphrase = person.passphrase(&format!("Passphrase of {}", key.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let comment = format!("timestamp:{}\tfile:{name}\thashed", clock().now().as_second());
    let (signature, by) = file.sign(&passphrase, text.as_bytes(), &comment).map_err(trouble)?;
    let beside = signed::beside(&path);
    write(&beside, &signature)?;
    let signers = Setup::read_to_pin(places, false)?.config.signed_by;
    let counts = signers.is_empty() || signers.iter().any(|one| one.to_string() == by.to_string());
    let beside = beside.display().to_string();
    if json {
        let key = by.to_string();
        output::json(&serde_json::json!({"signature": beside, "key": key, "counts": counts}))?;
        return Ok(Ended::Done.into());
    }
    output::line(format_args!("wrote {beside}, signed by {by}"))?;
    if !counts {
        output::line(
            "that key is not among `lockfile.signed_by`, so the signature does not count",
        )?;
    }
    Ok(Ended::Done.into())
}

/// Makes a new key under a passphrase, and its public part beside it.
pub(super) fn new_key(path: &Path, json: bool) -> Result<ExitCode, Failure> {
    let mut person = Person::there()?;
    let passphrase = person.passphrase("Passphrase of the new key")?;
    if person.passphrase("Once more")?.expose() != passphrase.expose() {
        let message = "the two passphrases are not the same";
        return Err(Failure::usage("signing-key", message, "try again"));
    }
    let (text, public) = SigningKeyFile::generate(&passphrase).map_err(trouble)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let beside = PathBuf::from(beside);
    fresh(path, 0o600, &text)?;
    fresh(&beside, 0o644, &format!("untrusted comment: minisign public key\n{public}\n"))?;
    let (path, beside) = (path.display().to_string(), beside.display().to_string());
    if json {
        let public = public.to_string();
        output::json(&serde_json::json!({"key": path, "public": public, "public_file": beside}))?;
    } else {
        output::line(format_args!(
            "wrote {path} and {beside}. Keep the first away from the machines that it signs for.\n\
             To have lockfiles count only if it signed them:\n\n\
             [lockfile]\nsigned_by = [\"NAME {public}\"]"
        ))?;
    }
    Ok(Ended::Done.into())
}

/// Writes a file that is not there yet.
fn fresh(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::io(path, error))
}

/// A key that others can read is theirs as well.
fn private(path: &Path) -> Result<(), Failure> {
    let about = fs::metadata(path).map_err(|error| Failure::io(path, error))?;
    if about.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let message = format!("others may read the key file `{}`", path.display());
    Err(Failure::usage("signing-key", message, "set its mode to 0600"))
}

fn trouble(error: SigningKeyTrouble) -> Failure {
    Failure::new(Ended::Failed, error.code(), error).with_help(error.help())
}
