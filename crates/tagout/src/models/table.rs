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
    let said = error.message();
    let plain = ["unknown field", "unknown variant", "missing field", "duplicate key"];
    let said = if plain.iter().any(|start| said.starts_with(start)) {
        said
    } else {
        "a value is of the wrong type"
    };
    let help = "the page docs/models.md lists the keys of `[provider.NAME]`";
    Failure::usage("provider-invalid", format!("line {line}: {said}"), help)
}
