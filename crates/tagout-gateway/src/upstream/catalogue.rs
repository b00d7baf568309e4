//! What a server offers, held against the lockfile.
use std::sync::Arc;

use tagout_inspect::schema::{ArgumentSchema, BadSchema};
use tagout_policy::{Effects, Labels, Shape, Subject, SubjectKind};
use tagout_proto::{Digest, Frame, Kind, Message, Method, ServerName, ToolName, Value};

use super::{
    Connection, Upstream, UpstreamError, composed,
    fleet::TEMPLATE_BYTES,
    maker::{Finding, Maker},
    mirror::{self, Mirror},
};

/// What a server offers, as of one moment.
#[derive(Debug)]
pub struct Catalogue {
    /// Its tools, in its own order.
    pub tools: Vec<Arc<Tool>>,
    /// Its resources.
    pub resources: Vec<Offer>,
    /// Its resource templates.
    pub templates: Vec<Offer>,
    /// Its prompts.
    pub prompts: Vec<Offer>,
    /// What was wrong with the rest: an event and its detail.
    pub(crate) findings: Vec<Finding>,
    /// Of which start of the server, and after how many changes.
    connection: u64,
    changes: u64,
}

/// A tool, as its server defines it.
#[derive(Debug)]
pub struct Tool {
    /// Its server.
    pub server: ServerName,
    /// Its name there.
    pub name: ToolName,
    /// Its name for clients.
    pub qualified: String,
    /// Its definition, as it came.
    pub text: String,
    /// The definition's canonical form.
    pub canonical: String,
    /// The definition's digest.
    pub digest: Digest,
    /// How it stands with the lockfile.
    pub standing: Standing,
    pub(crate) schema: Result<ArgumentSchema, BadSchema>,
    pub(super) effects: Effects,
    pub(super) mirrors: Vec<Mirror>,
}

/// How a tool stands with the lockfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A person has reviewed this definition.
    Reviewed,
    /// Nobody has; it counts as `exec`.
    Unreviewed,
    /// The definition that was pinned is another.
    Changed {
        /// Digest of that one.
        expected: Digest,
    },
}

/// A resource, a template or a prompt.
#[derive(Debug)]
pub struct Offer {
    /// The URI, the URI template, or the prompt's name for clients.
    pub key: String,
    /// The prompt's name at its server; for others as `key`.
    pub name: String,
    /// The definition, as it came.
    pub text: String,
}

impl Tool {
    /// What it may do.
    #[must_use]
    pub const fn effects(&self) -> &Effects {
        &self.effects
    }

    /// Whether a person has reviewed that.
    #[must_use]
    pub fn reviewed(&self) -> bool {
        self.standing == Standing::Reviewed
    }

    /// Whether the header whose name ends so repeats an argument.
    pub(crate) fn mirrors(&self, end: &str) -> bool {
        mirror::names(&self.mirrors).any(|name| name.eq_ignore_ascii_case(end))
    }

    /// The arguments that HTTP headers repeat: the ends of their names, and the values.
    pub(crate) fn mirrored(&self, arguments: Value<'_>) -> Vec<(String, String)> {
        mirror::mirrored(&self.mirrors, arguments)
    }

    /// The tool as rules see it.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            kind: SubjectKind::Tool,
            server: &self.server,
            name: self.name.as_str(),
            qualified: &self.qualified,
            effects: &self.effects,
            reviewed: self.reviewed(),
            labels: self.labels(),
            shape: self.shape(),
        }
    }

    /// What the review says of it beside its effects.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        Labels::none()
    }

    /// The types of its arguments, if it is pinned.
    #[must_use]
    pub const fn shape(&self) -> Option<&Shape> {
        None
    }
}

/// The most pages and items of a list that are asked for.
const PAGES: usize = 100;
const ITEMS: usize = 10_000;
/// The most templates of a server, and variables of a template: each resource is held against all.
const TEMPLATES: usize = 256;
const VARIABLES: usize = 16;
/// The most bytes of all lists of a server together.
const BYTES: usize = 4 << 20;

impl Catalogue {
    /// Whether this is still what the connected server offers.
    pub(super) fn is_of(&self, connection: &Arc<Connection>) -> bool {
        self.connection == connection.number() && self.changes == connection.changes()
    }

    /// Which connection it was asked over; another start of the server has another.
    pub(crate) const fn connection(&self) -> u64 {
        self.connection
    }

    /// The tool that the server calls `name`.
    #[must_use]
    pub fn tool(&self, name: &ToolName) -> Option<&Arc<Tool>> {
        self.tools.iter().find(|tool| tool.name == *name)
    }
}

/// Asks a server for all its lists.
pub(super) async fn ask(
    upstream: &Upstream,
    connection: &Arc<Connection>,
) -> Result<Catalogue, UpstreamError> {
    // Noted first: what changes meanwhile is asked for again.
    let (number, changes) = (connection.number(), connection.changes());
    let mut lists = Lists { upstream, connection, budget: BYTES };
    let mut texts = Vec::new();
    if connection.can("tools") {
        texts = lists.all(Method::ToolsList, "tools").await?;
    }
    let (mut resources, mut templates, mut prompts) = (Vec::new(), Vec::new(), Vec::new());
    if connection.can("resources") {
        resources = lists.offers(Method::ResourcesList, ["resources", "uri"]).await?;
        let keys = ["resourceTemplates", "uriTemplate"];
        // Servers without templates often do not know the method.
        templates = match lists.offers(Method::ResourceTemplatesList, keys).await {
            Err(UpstreamError::Misbehaved(_)) if connection.lives() => Vec::new(),
            templates => templates?,
        };
    }
    if connection.can("prompts") {
        let named = |offer: Offer| Offer { key: upstream.name_for_clients(&offer.name), ..offer };
        let offered = lists.offers(Method::PromptsList, ["prompts", "name"]).await?;
        prompts = offered.into_iter().map(named).collect();
    }
    let maker = Maker::of(upstream, connection);
    let (tools, mut findings) = if maker.knows(&texts) {
        maker.tools(texts)
    } else {
        // Schemas take time to compile; the other calls of this thread must not wait for that.
        let made = tokio::task::spawn_blocking(move || maker.tools(texts)).await;
        made.map_err(|e| UpstreamError::Misbehaved(e.to_string()))?
    };
    let mut taken = 0;
    templates.retain(|template| {
        taken += 1;
        let fits = template.key.len() <= TEMPLATE_BYTES
            && template.key.matches('{').count() <= VARIABLES
            && taken <= TEMPLATES;
        if !fits {
            findings.push(("template-left-out", format!("{} bytes", template.key.len())));
        }
        fits
    });
    Ok(Catalogue { tools, resources, templates, prompts, findings, connection: number, changes })
}

/// A server's lists, and how much of them is still taken.
struct Lists<'a> {
    upstream: &'a Upstream,
    connection: &'a Connection,
    /// Bytes.
    budget: usize,
}

impl Lists<'_> {
    async fn offers(
        &mut self,
        method: Method,
        [list_key, key]: [&str; 2],
    ) -> Result<Vec<Offer>, UpstreamError> {
        let texts = self.all(method, list_key).await?;
        let offers = texts.into_iter().filter_map(|text| {
            let document = composed(&text).ok()?;
            let name = document.root().get(key)?.text()?.into_owned();
            Some(Offer { key: name.clone(), name, text })
        });
        Ok(offers.collect())
    }

    /// All items of a list, page by page.
    async fn all(&mut self, method: Method, key: &str) -> Result<Vec<String>, UpstreamError> {
        let mut items = Vec::new();
        let mut params = "{}".to_owned();
        for _ in 0..PAGES {
            let limit = self.upstream.server.start_timeout;
            let answer = self.connection.ask(method, &params, limit).await?;
            let next = self.page(method, key, &answer, &mut items)?;
            let Some(next) = next else { return Ok(items) };
            params = format!(r#"{{"cursor":{next}}}"#);
        }
        Err(UpstreamError::Misbehaved(format!("its {method} has more than {PAGES} pages")))
    }

    /// Adds a page's items, and gives the cursor of the next.
    fn page(
        &mut self,
        method: Method,
        key: &str,
        answer: &Frame,
        items: &mut Vec<String>,
    ) -> Result<Option<String>, UpstreamError> {
        let misbehaved = |why: String| UpstreamError::Misbehaved(why);
        let Message::Response { outcome, .. } = answer.message() else {
            return Err(misbehaved(format!("it did not answer {method}")));
        };
        let result = outcome.map_err(|error| {
            let message = error.get("message").and_then(|m| m.text()).unwrap_or_default();
            misbehaved(format!("it refused {method}: {message}"))
        })?;
        let page = result.get(key).filter(|page| page.kind() == Kind::Array);
        let page = page.ok_or_else(|| misbehaved(format!("its {method} holds no `{key}`")))?;
        for item in page.elements() {
            let left = self.budget.checked_sub(item.raw().len());
            self.budget =
                left.ok_or_else(|| misbehaved(format!("its lists have more than {BYTES} bytes")))?;
            items.push(item.raw().to_owned());
        }
        if items.len() > ITEMS {
            return Err(misbehaved(format!("its {method} has more than {ITEMS} items")));
        }
        let next = result.get("nextCursor").filter(|cursor| cursor.text().is_some());
        Ok(next.map(|cursor| cursor.raw().to_owned()))
    }
}
