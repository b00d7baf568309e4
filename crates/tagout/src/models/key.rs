//! Where a provider's key is, and what stands there.
use std::{env, path::Path};

use tagout_gateway::{
    config::SecretSettings,
    secrets::{StorePlaces, look_for},
};
use tagout_llm::{KeyRef, Row};
use tagout_proto::Secret;
use tagout_secrets::SecretName;

use crate::{failure::Failure, places::Places, setup};

/// A key is short; a longer file holds something else.
const KEY_BYTES: usize = 64 << 10;

/// Whether a key is where its reference points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// None is needed.
    NotNeeded,
    /// It is there. Whether it is taken is for the provider to say.
    There,
    /// It is not.
    Missing,
}

/// Whether the key of `row` is there.
pub(crate) fn standing(places: &Places, row: &Row) -> Standing {
    match (&row.key, key(places, row)) {
        (None, _) => Standing::NotNeeded,
        (Some(_), Ok(_)) => Standing::There,
        (Some(_), Err(_)) => Standing::Missing,
    }
}

/// The key of `row`, from where its reference points and nowhere else.
pub(crate) fn key(places: &Places, row: &Row) -> Result<Option<Secret<String>>, Failure> {
    let Some(reference) = &row.key else { return Ok(None) };
    let read = match reference {
        KeyRef::Env(name) => env::var(name).map_err(|error| match error {
            env::VarError::NotPresent => "the variable is not set",
            env::VarError::NotUnicode(_) => "the variable holds no text",
        }),
        KeyRef::File(path) => in_file(&places.folder().join(path)),
        KeyRef::Stored(name) => stored(places, name),
    };
    let sound = read.and_then(|text| {
        let key = text.trim_end_matches(['\n', '\r']);
        let odd = key.bytes().any(|b| !b.is_ascii_graphic());
        match () {
            () if key.is_empty() => Err("it is empty"),
            () if key.len() > KEY_BYTES => Err("it is too long for a key"),
            () if odd => Err("it holds a space, or something else that no key has"),
            () => Ok(Secret::new(key.to_owned())),
        }
    });
    // It is looked for in what passes, as the secrets of servers are.
    let sound = sound.inspect(|key| look_for(&format!("{}-key", row.name), key));
    sound.map(Some).map_err(|problem| {
        let name = &row.name;
        let message = format!("the key of `{name}` should be at `{reference}`: {problem}");
        let help = format!("set it there, or write `key` under `[provider.{name}]`");
        Failure::usage("provider-key-missing", message, &help)
    })
}

/// In the store, where that is opened by its key: nobody is asked for a passphrase here.
fn stored(places: &Places, name: &str) -> Result<String, &'static str> {
    let name = SecretName::try_from(name).map_err(|_| "it cannot be called so")?;
    let store = StorePlaces::beside(&places.head_key).open(&SecretSettings::default());
    let store = store.map_err(|_| "the store of secrets cannot be opened")?;
    let found = store.get(&name).map_err(|_| "the store of secrets cannot be opened")?;
    let text = found.ok_or("it is not set: `tagout secret set NAME`")?;
    Ok(text.expose().clone())
}

fn in_file(path: &Path) -> Result<String, &'static str> {
    match setup::read(path) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err("there is no such file"),
        Err(_) => Err("the file cannot be read"),
    }
}
