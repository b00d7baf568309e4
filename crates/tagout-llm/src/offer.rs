//! The tools as they are offered to one provider, and the way back.
use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    conversation::ToolSpec,
    error::ProviderError,
    names::{Names, fitted},
    schema::{Subset, renamed, strict, without_nulls},
    talk::Scope,
};

/// The tools as they are offered to one provider, and the way back.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) scope: Scope,
    pub(crate) names: Names,
    pub(crate) tools: Vec<Offered>,
}

/// One tool as it is offered.
#[derive(Debug)]
pub(crate) struct Offered {
    /// Its own name.
    original: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) schema: Value,
    pub(crate) strict: bool,
    /// Property names: the provider's, and the tool's own.
    aliases: BTreeMap<String, String>,
    /// Its own schema.
    input_schema: Value,
}

impl Offer {
    /// Fits `tools`. The first of those that can be strict are, as far as `strictness` goes.
    ///
    /// # Errors
    /// [`ProviderError::NameCollision`].
    pub(crate) fn of(
        scope: Scope,
        tools: &[ToolSpec],
        subset: &Subset,
        mut strictness: Strictness,
    ) -> Result<Self, ProviderError> {
        let names = Names::of(tools)?;
        let offered = tools.iter().map(|tool| offered(tool, subset, &mut strictness)).collect();
        Ok(Self { scope, names, tools: offered })
    }

    /// The arguments that a model wrote for the tool `name`, as the tool's own schema has them;
    /// `value` is what is written. They are as they were written unless the tool was offered
    /// otherwise than it is.
    ///
    /// # Errors
    /// The key that the tool would get twice in one object.
    pub(crate) fn arguments(
        &self,
        name: &str,
        written: &str,
        value: &Value,
    ) -> Result<String, String> {
        let tool = self.tools.iter().find(|tool| tool.original == name);
        let Some(tool) = tool.filter(|tool| tool.strict || !tool.aliases.is_empty()) else {
            return Ok(written.to_owned());
        };
        let value = renamed(value, &tool.aliases)?;
        let value = if tool.strict { without_nulls(&tool.input_schema, value) } else { value };
        Ok(value.to_string())
    }

    /// The way there: a call of earlier, as the provider would have written it.
    pub(crate) fn written(&self, name: &str, arguments_raw: &str) -> Value {
        // What was never JSON was never dispatched either; its result says so.
        let value = serde_json::from_str(arguments_raw).ok().filter(Value::is_object);
        let value = value.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let tool = self.tools.iter().find(|tool| tool.original == name);
        let Some(tool) = tool.filter(|tool| !tool.aliases.is_empty()) else { return value };
        let there = tool.aliases.iter().map(|(alias, own)| (own.clone(), alias.clone())).collect();
        renamed(&value, &there).unwrap_or(value)
    }

    /// As [`Offer::written`], as text: unchanged where it can be.
    pub(crate) fn written_text(&self, name: &str, arguments_raw: &str) -> String {
        let tool = self.tools.iter().find(|tool| tool.original == name);
        let plain = tool.is_none_or(|tool| tool.aliases.is_empty());
        let object = serde_json::from_str::<Value>(arguments_raw).is_ok_and(|v| v.is_object());
        if plain && object {
            return arguments_raw.to_owned();
        }
        self.written(name, arguments_raw).to_string()
    }
}

/// How much of one request may be strict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strictness {
    /// Tools.
    pub(crate) tools: usize,
    /// Parameters that may be one of several types, in all of them.
    pub(crate) unions: usize,
}

impl Strictness {
    pub(crate) const ALL: Self = Self { tools: usize::MAX, unions: usize::MAX };
    pub(crate) const NONE: Self = Self { tools: 0, unions: 0 };

    /// `schema` as a strict one, if it can be and there is room for it.
    fn take(&mut self, schema: &Value) -> Option<Value> {
        let tools = self.tools.checked_sub(1)?;
        let closed = strict(schema)?;
        *self = Self { tools, unions: self.unions.checked_sub(unions(&closed))? };
        Some(closed)
    }
}

fn unions(schema: &Value) -> usize {
    match schema {
        Value::Object(map) => {
            let here = map.contains_key("anyOf") || map.get("type").is_some_and(Value::is_array);
            map.values().map(unions).sum::<usize>() + usize::from(here)
        }
        Value::Array(list) => list.iter().map(unions).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn offered(tool: &ToolSpec, subset: &Subset, strictness: &mut Strictness) -> Offered {
    let closed = strictness.take(&tool.input_schema);
    let title = tool.title.as_deref().unwrap_or_default();
    let fitted_schema = subset.fit(closed.as_ref().unwrap_or(&tool.input_schema));
    Offered {
        original: tool.name.clone(),
        name: fitted(&tool.name),
        description: tool.description.as_deref().unwrap_or(title).to_owned(),
        schema: fitted_schema.schema,
        strict: closed.is_some(),
        aliases: fitted_schema.aliases,
        input_schema: tool.input_schema.clone(),
    }
}
