//! What a person attaches to a question: a prompt, a resource.
use std::collections::BTreeMap;

use rmcp::model::{
    ClientRequest, GetPromptRequest, GetPromptRequestParams, ReadResourceRequest,
    ReadResourceRequestParams,
};
use serde_json::{Map, Value};

use super::content;
use crate::{Attached, HostError, Nobody, PromptSpec, Session, Ui};

/// In `_meta` of a request, the server that is meant.
const SERVER: &str = "tagout/server";

impl Session {
    /// A prompt with its arguments filled in, to be attached to a question. Where policy wants a
    /// person's approval, there is nobody: see [`Session::prompt_asking`].
    ///
    /// # Errors
    /// [`HostError::UnknownPrompt`], [`HostError::PromptArguments`], [`HostError::PromptEnding`],
    /// [`HostError::Refused`], [`HostError::Unanswered`], [`HostError::Malformed`], [`HostError::TooLarge`], and those of
    /// [`Session::prompts`].
    pub async fn prompt(
        &mut self,
        name: &str,
        arguments: BTreeMap<String, String>,
    ) -> Result<Attached, HostError> {
        self.prompt_asking(name, arguments, &mut Nobody).await
    }

    /// As [`Session::prompt`]; whoever has to be asked is asked by `ui`.
    ///
    /// Cancel safe: the gateway is told that nobody waits any more.
    ///
    /// # Errors
    /// As [`Session::prompt`].
    pub async fn prompt_asking(
        &mut self,
        name: &str,
        arguments: BTreeMap<String, String>,
        ui: &mut dyn Ui,
    ) -> Result<Attached, HostError> {
        let unknown = || HostError::UnknownPrompt { name: name.to_owned() };
        let listed = self.prompts().await?.iter().find(|prompt| prompt.name == name);
        fitting(listed.ok_or_else(unknown)?, &arguments)?;
        let arguments: Map<_, _> =
            arguments.into_iter().map(|(k, v)| (k, Value::from(v))).collect();
        let mut params = GetPromptRequestParams::new(name);
        if !arguments.is_empty() {
            params = params.with_arguments(arguments);
        }
        let request = ClientRequest::GetPromptRequest(GetPromptRequest::new(params));
        let result = self.fetch(request, (name, Map::new()), ui).await?;
        let messages = content::prompt(name, &result)?;
        Ok(Attached::Prompt { name: name.to_owned(), messages })
    }

    /// A resource, to be attached to a question. Which server it is read from is for the gateway to
    /// say. Where policy wants a person's approval, there is nobody: see
    /// [`Session::resource_asking`].
    ///
    /// # Errors
    /// [`HostError::Refused`], [`HostError::Unanswered`], [`HostError::Malformed`] or
    /// [`HostError::TooLarge`].
    pub async fn resource(&mut self, uri: &str) -> Result<Attached, HostError> {
        self.resource_asking(uri, &mut Nobody).await
    }

    /// As [`Session::resource`]; whoever has to be asked is asked by `ui`.
    ///
    /// Cancel safe: the gateway is told that nobody waits any more.
    ///
    /// # Errors
    /// As [`Session::resource`].
    pub async fn resource_asking(
        &mut self,
        uri: &str,
        ui: &mut dyn Ui,
    ) -> Result<Attached, HostError> {
        self.read(uri, Map::new(), ui).await
    }

    async fn read(
        &mut self,
        uri: &str,
        meta: Map<String, Value>,
        ui: &mut dyn Ui,
    ) -> Result<Attached, HostError> {
        let params = ReadResourceRequestParams::new(uri);
        let request = ClientRequest::ReadResourceRequest(ReadResourceRequest::new(params));
        let result = self.fetch(request, (uri, meta), ui).await?;
        let parts = content::resource(uri, &result)?;
        Ok(Attached::Resource { uri: uri.to_owned(), parts })
    }

    /// A resource of one server, `@server:uri`. The gateway is told which, and reads it from there
    /// or not at all.
    ///
    /// # Errors
    /// [`HostError::UnknownServer`], [`HostError::UnknownResource`], and those of
    /// [`Session::resource`] and [`Session::resources`].
    pub async fn attach(&mut self, server: &str, uri: &str) -> Result<Attached, HostError> {
        self.attach_asking(server, uri, &mut Nobody).await
    }

    /// As [`Session::attach`]; whoever has to be asked is asked by `ui`.
    ///
    /// # Errors
    /// As [`Session::attach`].
    pub async fn attach_asking(
        &mut self,
        server: &str,
        uri: &str,
        ui: &mut dyn Ui,
    ) -> Result<Attached, HostError> {
        let mut servers: Vec<String> = Vec::new();
        let resources = self.resources().await?;
        let mut offered = resources.iter().any(|one| one.server == server && one.uri == uri);
        servers.extend(resources.iter().map(|one| one.server.clone()));
        let templates = self.templates().await?;
        offered |= templates.iter().any(|one| one.server == server && one.may_hold(uri));
        servers.extend(templates.iter().map(|one| one.server.clone()));
        if offered {
            // Another server may list what this one has a template for, and nobody means that.
            let meta = Map::from_iter([(SERVER.to_owned(), server.into())]);
            return self.read(uri, meta, ui).await;
        }
        servers.sort_unstable();
        servers.dedup();
        let (server, uri) = (server.to_owned(), uri.to_owned());
        if servers.contains(&server) {
            return Err(HostError::UnknownResource { server, uri });
        }
        Err(HostError::UnknownServer { server, known: servers })
    }

    async fn fetch(
        &mut self,
        request: ClientRequest,
        (about, meta): (&str, Map<String, Value>),
        ui: &mut dyn Ui,
    ) -> Result<Value, HostError> {
        let unanswered = |error| HostError::unanswered(about, error);
        let result = self.converse(request, (about, meta), ui).await;
        let result = result.answer.map_err(unanswered)?;
        serde_json::to_value(result).map_err(|error| HostError::Malformed {
            what: format!("`{about}`"),
            detail: error.to_string(),
        })
    }
}

/// Whether a prompt has what it needs, and nothing that it does not know.
fn fitting(prompt: &PromptSpec, given: &BTreeMap<String, String>) -> Result<(), HostError> {
    let needed = prompt.arguments.iter().filter(|argument| argument.required);
    let missing = needed.filter(|argument| !given.contains_key(&argument.name));
    let missing: Vec<_> = missing.map(|argument| argument.name.clone()).collect();
    let known = |name: &String| prompt.arguments.iter().any(|argument| argument.name == *name);
    let unknown: Vec<_> = given.keys().filter(|name| !known(name)).cloned().collect();
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    Err(HostError::PromptArguments { prompt: prompt.name.clone(), missing, unknown })
}
