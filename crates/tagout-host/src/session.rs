//! One connection to the gateway, and the conversation that goes over it.
use std::sync::Arc;

use rmcp::{
    RoleClient,
    model::{PaginatedRequestParams, Tool},
    service::{RunningService, serve_client},
};
use serde::Serialize;
use serde_json::Value;
use tagout_llm::{Facts, Message, Provider, Role, ToolSpec};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    AllowList, HostError, Journal, Limits, Options, Unkept,
    client::{Client, Inbox},
    guard::{Instructions, Owed, READ_ON, repair},
    primitives::Offers,
};

/// How many pages a list of tools may have.
const PAGES: usize = 256;
/// How many tools are taken at most.
const TOOLS: usize = 4_096;

/// A connection to the gateway and the conversation that goes over it.
pub struct Session {
    pub(crate) client: RunningService<RoleClient, Client>,
    pub(crate) inbox: Inbox,
    /// Every tool that the gateway shows.
    listed: Vec<ToolSpec>,
    /// Those on the allow-list.
    pub(crate) tools: Vec<ToolSpec>,
    pub(crate) options: Options,
    pub(crate) instructions: Instructions,
    pub(crate) messages: Vec<Message>,
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) stale: Stale,
    /// What else was listed.
    pub(crate) offers: Offers,
    /// What servers asked models, to count for the question under way, or for the next.
    pub(crate) owed: Owed,
}

/// What the gateway said has changed since it was listed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stale {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
}

/// What the other side says it is. Unverified: for people only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The protocol revision that both sides speak.
    pub protocol: String,
}

impl Session {
    /// Shakes hands over `io`, behind which the gateway must sit, and lists the tools.
    ///
    /// Not cancel safe: dropped in the middle, `io` is lost with it.
    ///
    /// # Errors
    /// [`HostError::Handshake`], [`HostError::HandshakeTimeout`], [`HostError::List`] or
    /// [`HostError::ListTooLong`].
    pub async fn connect<T>(io: T, options: Options) -> Result<Self, HostError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let waited = options.connect_timeout;
        let (client, inbox) = Client::new(&options);
        let client = timeout(waited, serve_client(client, io))
            .await
            .map_err(|_| HostError::HandshakeTimeout { waited })?
            .map_err(|error| HostError::Handshake { detail: error.to_string() })?;
        let instructions = Instructions::new(options.instructions.as_deref(), &options.seed);
        let mut session = Self {
            client,
            inbox,
            listed: Vec::new(),
            tools: Vec::new(),
            options,
            instructions,
            messages: Vec::new(),
            journal: Box::new(Unkept),
            stale: Stale::default(),
            offers: Offers::default(),
            owed: Owed::default(),
        };
        session.refresh().await?;
        Ok(session)
    }

    /// Lists the tools again.
    ///
    /// Cancel safe: the list stays as it was until the new one is complete.
    ///
    /// # Errors
    /// [`HostError::List`] or [`HostError::ListTooLong`]; the list is then as it was.
    pub async fn refresh(&mut self) -> Result<(), HostError> {
        let failed = |detail: String| HostError::List { list: "tools", detail };
        let mut tools: Vec<ToolSpec> = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let page = timeout(self.options.connect_timeout, self.client.list_tools(Some(page)))
                .await
                .map_err(|_| failed("no answer in time".into()))?
                .map_err(|error| failed(error.to_string()))?;
            tools.extend(page.tools.into_iter().map(spec));
            if tools.len() > TOOLS {
                return Err(HostError::ListTooLong {
                    list: "tools",
                    limit: TOOLS,
                    what: "entries",
                });
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                // The name is the host's own, and no server's: those have `__` in theirs.
                tools.retain(|tool| tool.name != READ_ON);
                self.listed = tools;
                self.choose_tools();
                self.stale.tools = false;
                return Ok(());
            }
        }
        Err(HostError::ListTooLong { list: "tools", limit: PAGES, what: "pages" })
    }

    fn choose_tools(&mut self) {
        let allowed = self.listed.iter().filter(|tool| self.options.allow.allows(&tool.name));
        self.tools = allowed.cloned().collect();
    }

    /// Every tool that the gateway shows, on the allow-list or not, in the gateway's order.
    #[must_use]
    pub fn listed(&self) -> &[ToolSpec] {
        &self.listed
    }

    /// Allows other tools from now on.
    pub fn allow(&mut self, allow: AllowList) {
        self.options.allow = allow;
        self.choose_tools();
    }

    /// The tools on the allow-list, in the gateway's order.
    #[must_use]
    pub fn tools(&self) -> &[ToolSpec] {
        &self.tools
    }

    /// What the other side says it is.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        let info = self.client.peer_info()?;
        let (name, version) = info
            .server_info
            .as_ref()
            .map(|server| (server.name.clone(), server.version.clone()))
            .unwrap_or_default();
        Some(Peer { name, version, protocol: info.protocol_version.to_string() })
    }

    /// The conversation so far; every call in it has its result.
    #[must_use]
    pub fn conversation(&self) -> &[Message] {
        &self.messages
    }

    /// Ends the connection and waits until it is closed.
    pub async fn close(self) {
        // Whether the background task was cancelled or ended by itself makes no difference here.
        drop(self.client.cancel().await);
    }

    /// Goes on with another model.
    pub fn change_model(&mut self, provider: Arc<dyn Provider>, facts: Option<Facts>) {
        self.options.provider = provider;
        self.options.facts = facts;
    }

    /// What the session may do.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Changes how much one question may take, from the next one on.
    pub const fn limit(&mut self, limits: Limits) {
        self.options.limits = limits;
    }

    /// What stops the next question.
    pub fn stop_by(&mut self, stop: CancellationToken) {
        self.options.stop = stop;
    }

    /// Keeps the conversation with `journal` from now on.
    pub fn keep_with(&mut self, journal: Box<dyn Journal>) {
        self.journal = journal;
    }

    /// Goes on with a conversation that was kept: every call in it gets its one result, and what
    /// answers no call is left out.
    pub fn resume(&mut self, messages: Vec<Message>) {
        self.messages = messages;
        drop(repair(&mut self.messages));
    }

    /// Forgets the conversation; what was kept of it stays kept.
    pub fn clear(&mut self) {
        self.messages.clear();
    }

    /// Adds a message to the conversation, once it is kept.
    pub(crate) fn remember(&mut self, message: Message) -> Result<(), HostError> {
        match message.role {
            Role::Assistant => {
                let parts = self.instructions.kept(&message.parts);
                self.journal.keep(&Message { role: message.role, parts })?;
            }
            Role::User | Role::System | Role::Tool => self.journal.keep(&message)?,
        }
        self.messages.push(message);
        Ok(())
    }

    /// Gives every call that has no result one that says so, so that the conversation can go on
    /// after a question was dropped in the middle.
    pub(crate) fn mend(&mut self) -> Result<(), HostError> {
        for added in repair(&mut self.messages) {
            self.journal.keep(&added)?;
        }
        Ok(())
    }
}

fn spec(tool: Tool) -> ToolSpec {
    let title = tool.title.or_else(|| tool.annotations.and_then(|hints| hints.title));
    ToolSpec {
        name: tool.name.into_owned(),
        title,
        description: tool.description.map(std::borrow::Cow::into_owned),
        input_schema: Value::Object(tool.input_schema.as_ref().clone()),
        output_schema: tool.output_schema.map(|schema| Value::Object(schema.as_ref().clone())),
    }
}
