//! What is known of models: data with a date, which the configuration can correct.
use serde::{Deserialize, Serialize};

use crate::{model::ModelId, provider::Usage};

/// What ships.
const SHIPPED: &str = include_str!("catalogue.toml");

/// What is known of models. It allows and forbids nothing.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The day of the data.
    pub as_of: String,
    #[serde(rename = "model")]
    models: Vec<Entry>,
}

/// What is known of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its provider's name.
    pub provider: String,
    /// Its name there.
    pub id: String,
    /// Everything else.
    #[serde(flatten)]
    pub facts: Facts,
}

/// Facts of a model; what is not known is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// How many tokens a conversation may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// US dollars per million tokens read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<f64>,
    /// US dollars per million tokens written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<f64>,
    /// Whether it calls tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether it takes images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<bool>,
}

impl Catalogue {
    /// What ships.
    ///
    /// # Errors
    /// Never in a build that passed its tests: the data is a part of it.
    pub fn shipped() -> Result<Self, toml::de::Error> {
        toml::from_str(SHIPPED)
    }

    /// Every entry, in order.
    #[must_use]
    pub fn models(&self) -> &[Entry] {
        &self.models
    }

    /// What is known of a model.
    #[must_use]
    pub fn find(&self, model: &ModelId) -> Option<&Entry> {
        let is = |entry: &&Entry| entry.provider == model.provider() && entry.id == model.name();
        self.models.iter().find(is)
    }

    /// Corrects a model's facts, or adds it.
    pub fn correct(&mut self, provider: &str, id: &str, facts: Facts) {
        let is = |entry: &&mut Entry| entry.provider == provider && entry.id == id;
        let Some(entry) = self.models.iter_mut().find(is) else {
            let (provider, id) = (provider.to_owned(), id.to_owned());
            self.models.push(Entry { provider, id, facts });
            return;
        };
        let known = entry.facts;
        entry.facts = Facts {
            context: facts.context.or(known.context),
            input: facts.input.or(known.input),
            output: facts.output.or(known.output),
            tools: facts.tools.or(known.tools),
            vision: facts.vision.or(known.vision),
        };
    }
}

impl Facts {
    /// What a turn cost in US dollars, at list prices and without discounts; nothing if a price is
    /// not known.
    #[must_use]
    pub fn cost(&self, usage: Usage) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "no turn has 2^52 tokens")]
        let millions = |tokens: u64| tokens as f64 / 1e6;
        Some(
            self.input? * millions(usage.input_tokens)
                + self.output? * millions(usage.output_tokens),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_can_be_read() {
        let catalogue = Catalogue::shipped().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for entry in catalogue.models() {
            assert!(seen.insert((&entry.provider, &entry.id)), "{} stands twice", entry.id);
            assert!(entry.facts.input < entry.facts.output, "{}", entry.id);
        }
        assert!(catalogue.as_of.starts_with("2026-"));
    }

    #[test]
    fn a_price_that_is_not_known_makes_no_cost_of_nought() {
        let usage = Usage { input_tokens: 1_000_000, output_tokens: 500_000, ..Usage::default() };
        let mut facts = Facts { input: Some(2.0), ..Facts::default() };
        assert_eq!(facts.cost(usage), None);
        facts.output = Some(10.0);
        assert_eq!(facts.cost(usage), Some(7.0));
    }

    #[test]
    fn the_configuration_corrects_and_adds() {
        let mut catalogue = Catalogue::shipped().unwrap();
        let facts = Facts { input: Some(9.0), ..Facts::default() };
        catalogue.correct("openai", "gpt-6-luna", facts);
        catalogue.correct("house", "x", facts);
        let luna = catalogue.find(&"openai:gpt-6-luna".parse().unwrap()).unwrap();
        assert_eq!((luna.facts.input, luna.facts.output), (Some(9.0), Some(0.5)));
        assert!(catalogue.find(&"house:x".parse().unwrap()).is_some());
        assert!(catalogue.find(&"house:y".parse().unwrap()).is_none());
    }
}
