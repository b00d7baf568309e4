//! What a server proposes while a person types an argument.
use std::{collections::BTreeMap, time::Duration};

use rmcp::model::{
    ArgumentInfo, ClientRequest, CompleteRequest, CompleteRequestParams, CompletionContext,
    Reference as Named,
};
use serde_json::Value;

use crate::{HostError, Session};

/// What an argument belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// A prompt, by its name.
    Prompt(&'a str),
    /// A template of resources, as it is written.
    Template(&'a str),
}

/// Whoever types does not wait longer.
const WAIT: Duration = Duration::from_secs(3);
/// As many values as the protocol allows in one answer.
const VALUES: usize = 100;
/// The longest value that is taken.
const VALUE_BYTES: usize = 1_024;

impl Session {
    /// What `argument` could be, given what is typed of it and what the other arguments are: at
    /// most 100 values, each on one line. None where its server has nothing to say.
    ///
    /// Cancel safe: the gateway is told that nobody waits any more.
    ///
    /// # Errors
    /// [`HostError::Refused`] or [`HostError::Unanswered`], also if it takes longer than 3 s.
    pub async fn complete(
        &mut self,
        reference: Reference<'_>,
        argument: &str,
        value: &str,
        context: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, HostError> {
        let (about, named) = match reference {
            Reference::Prompt(name) => (name, Named::for_prompt(name)),
            Reference::Template(template) => (template, Named::for_resource(template)),
        };
        let mut params = CompleteRequestParams::new(named, ArgumentInfo::new(argument, value));
        if !context.is_empty() {
            let known = context.iter().map(|(name, value)| (name.clone(), value.clone()));
            params = params.with_context(CompletionContext::with_arguments(known.collect()));
        }
        let request = ClientRequest::CompleteRequest(CompleteRequest::new(params));
        let result = match self.request(request, WAIT).await {
            Ok(result) => result,
            Err(error) if error.is_unknown_method() => return Ok(Vec::new()),
            Err(error) => return Err(HostError::unanswered(about, error.into_inner())),
        };
        let values = result.pointer("/completion/values").and_then(Value::as_array);
        let values = values.into_iter().flatten().filter_map(Value::as_str);
        let sound = |value: &&str| value.len() <= VALUE_BYTES && !value.contains(char::is_control);
        Ok(values.filter(sound).take(VALUES).map(str::to_owned).collect())
    }
}
