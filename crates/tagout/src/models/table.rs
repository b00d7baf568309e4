//! The tables `[provider.NAME]` of the configuration.
use std::collections::BTreeMap;

use serde::Deserialize;
use tagout_llm::{Catalogue, Providers, WrittenProvider};

use crate::{failure::Failure, places::Places, setup};

/// The part of the configuration that is about models; the gateway reads the rest.
#[derive(Default, Deserialize)]
struct Written {
    #[serde(default)]
    provider: BTreeMap<String, WrittenProvider>,
}

/// The providers that there are.
pub(crate) fn providers(places: &Places) -> Result<Providers, Failure> {
    let written = match setup::read(&places.config)? {
        Some(text) => toml::from_str(&text).map_err(|error| unreadable(&text, &error))?,
        None => Written::default(),
    };
    let catalogue =
        Catalogue::shipped().map_err(|error| Failure::of(&error, "provider-invalid", ""))?;
    Providers::new(catalogue, written.provider)
        .map_err(|error| Failure::usage("provider-invalid", &error, error.help))
}

/// Names the line; the file itself is not shown, because a key may stand in it by mistake.
fn unreadable(text: &str, error: &toml::de::Error) -> Failure {
    let line = error.span().and_then(|span| text.get(..span.start));
    let line = line.map_or(1, |before| before.matches('\n').count() + 1);
    let said = without_names(error.message());
    let help = "the page docs/models.md lists the keys of `[provider.NAME]`";
    Failure::usage("provider-invalid", format!("line {line}: {said}"), help)
}

/// What is wrong, and what would be right; never what stands there, which may be a key.
fn without_names(said: &str) -> String {
    let kinds = ["unknown field", "unknown variant", "duplicate key"];
    if said.starts_with("missing field") {
        return said.to_owned();
    }
    let Some(kind) = kinds.into_iter().find(|kind| said.starts_with(kind)) else {
        return "a value is of the wrong type".to_owned();
    };
    match said.rsplit_once("`, expected ") {
        Some((_, expected)) => format!("{kind}, expected {expected}"),
        None => kind.to_owned(),
    }
}
