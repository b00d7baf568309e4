//! Which models a provider has, by its own account.
use serde_json::Value;

use super::{Wire, list, text};

/// Models that are taken from one answer, at most.
const MOST: usize = 5_000;

impl Wire {
    /// The path under the base URL that lists models.
    pub(crate) const fn list_path(self) -> &'static str {
        match self {
            Self::OpenaiResponses | Self::OpenaiChat => "/models",
            Self::AnthropicMessages => "/models?limit=1000",
            Self::GeminiGenerate => "/models?pageSize=1000",
            Self::Ollama => "/api/tags",
        }
    }

    /// The names in such a list; nothing if it is no such list.
    pub(crate) fn listed(self, body: &Value) -> Option<Vec<String>> {
        let (all, name) = match self {
            Self::OpenaiResponses | Self::OpenaiChat | Self::AnthropicMessages => ("data", "id"),
            Self::GeminiGenerate | Self::Ollama => ("models", "name"),
        };
        body.get(all).filter(|all| all.is_array())?;
        let named = list(body, all).iter().filter(|model| self.answers(model));
        let names = named.map(|model| text(model, name)).map(|name| {
            let name = name.strip_prefix("models/").unwrap_or(name);
            name.to_owned()
        });
        let mut names: Vec<_> = names.filter(|name| !name.is_empty()).take(MOST).collect();
        names.sort();
        names.dedup();
        Some(names)
    }

    /// Whether a model of the list answers questions, where the list says so.
    fn answers(self, model: &Value) -> bool {
        let methods = model.get("supportedGenerationMethods").and_then(Value::as_array);
        self != Self::GeminiGenerate
            || methods.is_none_or(|all| all.iter().any(|one| one == "generateContent"))
    }
}
