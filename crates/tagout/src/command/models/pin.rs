//! `models pin`: which file a model is.
use std::{path::Path, process::ExitCode};

use serde_json::json;
use tagout_gateway::lockfile::with_model;
use tagout_terminal::printable;
use tokio_util::sync::CancellationToken;

use crate::{
    command::add::{hold, write},
    failure::{Ended, Failure},
    models::{self, ModelFile},
    output,
    places::Places,
    setup::{Setup, read},
    signed,
};

/// Reads the file, and writes down what it is: on record first, then in the lockfile.
pub(super) fn pin(places: &Places, model: &str, json: bool) -> Result<ExitCode, Failure> {
    let help = "write `local:FILE.gguf`; the models of servers are pinned by nobody but them";
    let name = models::named(model)
        .ok_or_else(|| Failure::usage("model-unknown", "it names no file", help))?;
    let file = ModelFile::open(Path::new(name))?;
    let found = models::measured(&file, &CancellationToken::new())?;
    let _held = hold(places.folder())?;
    let setup = Setup::read_to_pin(places, false)?;
    if setup.lockfile.is_of_first_version() {
        let message = "the lockfile is of version 1, which knows no models";
        return Err(Failure::usage("lockfile-invalid", message, "run `tagout pin` first"));
    }
    let before = setup.lockfile.models.get(file.path()).copied();
    let signs = !setup.config.signed_by.is_empty();
    let path = places.lockfile();
    let text = with_model(read(&path)?.as_deref(), file.path(), found);
    let text = text.map_err(Failure::at_place)?;
    let same = before == Some(found);
    if !same {
        let gateway = setup.open(places)?;
        let recorded = gateway.record_model(file.path(), found);
        recorded.map_err(|error| Failure::of(&error, error.code(), error.help()))?;
        write(&path, &text)?;
    }
    let unsigned = !same && (signs || signed::beside(&path).exists());
    let (file, path) = (file.path().display().to_string(), path.display().to_string());
    if json {
        output::json(&json!({
            "model": model, "file": file, "digest": found.digest, "bytes": found.bytes,
            "before": before.map(|before| before.digest), "lockfile": path, "unsigned": unsigned,
        }))?;
        return Ok(Ended::Done.into());
    }
    let how = match before {
        None => "pinned",
        Some(_) if same => "it is pinned already:",
        Some(_) => "pinned anew, in place of another file:",
    };
    output::line(printable(&format!("{how} {file}\n  {}, {} bytes", found.digest, found.bytes)))?;
    if !same {
        output::line(printable(&format!("wrote {path}")))?;
    }
    if unsigned {
        output::line("its signature is of what stood there before: tagout pin --sign KEYFILE")?;
    }
    Ok(Ended::Done.into())
}
