//! References to secrets.
use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::SecretName;

/// Where a secret is. A reference never holds the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// In a variable of the gateway's environment: `env://NAME`.
    Env(String),
    /// In a file, whose last line end does not count: `file:///PATH`.
    File(PathBuf),
    /// In Tagout's own store: `secret://NAME`.
    Stored(SecretName),
    /// In HashiCorp Vault, its key-value engine of version 2: `vault://MOUNT/PATH#FIELD`.
    Vault(VaultPath),
    /// In AWS Secrets Manager: `aws://NAME`, or `aws://NAME#FIELD` of a secret that is JSON.
    Aws {
        /// The secret's name or ARN.
        name: String,
        /// A member of the JSON object that the secret is.
        field: Option<String>,
    },
}

/// A field of a secret in Vault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultPath {
    /// Where the engine is mounted; one segment.
    pub mount: String,
    /// The secret's path there.
    pub path: String,
    /// Which of its fields.
    pub field: String,
}

/// Why a text that begins like a reference is none; holds nothing of the text, which may be a
/// secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSource(&'static str);

/// The longest reference, in bytes.
const LONGEST: usize = 2048;

impl Source {
    /// What `text` refers to; nothing where it has the form of no reference. A relative path is
    /// relative to `folder`.
    ///
    /// # Errors
    /// It begins like a reference and is none.
    pub fn parse(text: &str, folder: &Path) -> Result<Option<Self>, NoSource> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(None) };
        if text.len() > LONGEST && ["env", "file", "secret", "vault", "aws"].contains(&scheme) {
            return Err(NoSource("the reference is too long"));
        }
        match scheme {
            "env" => {
                let sound = !rest.is_empty() && !rest.contains(['=', '\0', '\n']);
                let named = sound.then(|| Self::Env(rest.to_owned()));
                named.map(Some).ok_or(NoSource("`env://` is not followed by a variable's name"))
            }
            "file" => {
                let sound = !rest.is_empty() && !rest.contains('\0');
                let named = sound.then(|| Self::File(folder.join(rest)));
                named.map(Some).ok_or(NoSource("`file://` is not followed by a path"))
            }
            "secret" => {
                let name = SecretName::try_from(rest);
                let wrong = NoSource("`secret://` is not followed by the name of a secret");
                name.map(|name| Some(Self::Stored(name))).map_err(|_| wrong)
            }
            "vault" => vault(rest).map(Some),
            "aws" => aws(rest).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether it is read on this machine, and so without waiting for anybody.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        match self {
            Self::Env(_) | Self::File(_) | Self::Stored(_) => true,
            Self::Vault(_) | Self::Aws { .. } => false,
        }
    }
}

fn vault(rest: &str) -> Result<Source, NoSource> {
    const WRONG: NoSource = NoSource("write `vault://MOUNT/PATH#FIELD`");
    let (place, field) = rest.split_once('#').ok_or(WRONG)?;
    let (mount, path) = place.split_once('/').ok_or(WRONG)?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let segment =
        |part: &str| !part.is_empty() && part.bytes().all(fits) && part.bytes().any(|b| b != b'.');
    // Of a field, what a JSON key may be, but nothing that hides.
    let field_is_sound = !field.is_empty() && field.chars().all(|c| !c.is_control() && c != '#');
    if !segment(mount) || !path.split('/').all(segment) || !field_is_sound {
        return Err(WRONG);
    }
    let owned = ToOwned::to_owned;
    Ok(Source::Vault(VaultPath { mount: owned(mount), path: owned(path), field: owned(field) }))
}

fn aws(rest: &str) -> Result<Source, NoSource> {
    const WRONG: NoSource = NoSource("write `aws://NAME` or `aws://NAME#FIELD`");
    let (name, field) = match rest.split_once('#') {
        Some((name, field)) => (name, Some(field)),
        None => (rest, None),
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-:".contains(&b);
    let sound = |field: &str| !field.is_empty() && field.chars().all(|c| !c.is_control());
    if name.is_empty() || !name.bytes().all(fits) || field.is_some_and(|field| !sound(field)) {
        return Err(WRONG);
    }
    Ok(Source::Aws { name: name.to_owned(), field: field.map(ToOwned::to_owned) })
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env://{}", shown(name)),
            Self::File(path) => write!(f, "file://{}", shown(&path.to_string_lossy())),
            Self::Stored(name) => write!(f, "secret://{name}"),
            Self::Vault(VaultPath { mount, path, field }) => {
                write!(f, "vault://{mount}/{path}#{}", shown(field))
            }
            Self::Aws { name, field } => {
                write!(f, "aws://{name}")?;
                field.iter().try_for_each(|field| write!(f, "#{}", shown(field)))
            }
        }
    }
}

/// On one line, and with nothing that hides.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<String>, NoSource> {
        Ok(Source::parse(text, Path::new("/etc/tagout"))?.map(|source| source.to_string()))
    }

    #[test]
    fn references_are_told_from_values() {
        for (text, shown) in [
            ("env://TOKEN", "env://TOKEN"),
            ("file:///run/secrets/x", "file:///run/secrets/x"),
            ("file://x", "file:///etc/tagout/x"),
            ("secret://files-token", "secret://files-token"),
            ("vault://kv/team/files#token", "vault://kv/team/files#token"),
            ("aws://prod/files", "aws://prod/files"),
            ("aws://prod/files#token", "aws://prod/files#token"),
            (
                "aws://arn:aws:secretsmanager:eu-central-1:1:secret:x-AbCdEf",
                "aws://arn:aws:secretsmanager:eu-central-1:1:secret:x-AbCdEf",
            ),
        ] {
            assert_eq!(parsed(text), Ok(Some(shown.to_owned())), "{text}");
        }
        for value in ["", "hunter2", "https://example.com/", "ENV://X", "postgres://u:p@h/d"] {
            assert_eq!(parsed(value), Ok(None), "{value}");
        }
        for wrong in [
            "env://",
            "env://A=B",
            "file://",
            "secret://",
            "secret://../x",
            "secret://a b",
            "vault://kv/x",
            "vault://kv#x",
            "vault://kv/../sys#x",
            "vault://kv/a//b#x",
            "vault://kv/a?b#x",
            "vault://kv/a#",
            "aws://",
            "aws://a b",
            "aws://a#",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
