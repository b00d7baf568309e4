//! What a server offers, held against the lockfile.
use std::sync::Arc;

use tagout_inspect::lookalike::Looks;
use tagout_inspect::schema::{ArgumentSchema, BadSchema};
use tagout_policy::{Effect, Effects, Labels, Shape, Subject, SubjectKind};
use tagout_proto::{Digest, Frame, Kind, Message, Method, ServerName, ToolName, Value};
use tagout_store::Offering;

use super::{
    Connection, Offer, Quarantine, Standing, Upstream, UpstreamError,
    fleet::TEMPLATE_BYTES,
    judge::{Judge, Offered},
    maker::{Finding, Maker, unreviewed},
    mirror::{self, Mirror},
    neighbours::Suspect,
};

/// What a server offers, as of one moment.
#[derive(Debug)]
pub struct Catalogue {
    /// The server.
    pub server: ServerName,
    /// What it says of how to use it. It is shown to nobody but operators.
    pub instructions: Option<String>,
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
#[derive(Clone, Debug)]
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
    pub(crate) schema: Result<Arc<ArgumentSchema>, BadSchema>,
    pub(super) effects: Effects,
    pub(super) labels: Labels,
    /// The types of its arguments, by the lockfile.
    pub(super) shape: Option<Shape>,
    pub(super) looks: Looks,
    pub(super) suspects: Vec<Suspect>,
    pub(super) mirrors: Vec<Mirror>,
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

    /// What the review says of it beside its effects; of what nobody has reviewed, the worst.
    #[must_use]
    pub const fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The types of its arguments, if it is pinned as it is now.
    #[must_use]
    pub const fn shape(&self) -> Option<&Shape> {
        self.shape.as_ref()
    }

    /// The same, hidden and refused.
    pub(super) fn in_quarantine(&self, why: Quarantine) -> Self {
        let (effects, labels) = (Effects::from([Effect::Exec]), unreviewed());
        Self { standing: Standing::Quarantined(why), effects, labels, ..self.clone() }
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

    /// Prompts and templates, which are pinned like tools.
    pub(crate) fn pinned_offers(&self) -> impl Iterator<Item = (Offering, &Offer)> {
        let prompts = self.prompts.iter().map(|offer| (Offering::Prompt, offer));
        prompts.chain(self.templates.iter().map(|offer| (Offering::Template, offer)))
    }

    /// Whether anything of it is in quarantine.
    pub(crate) fn holds_back(&self) -> bool {
        let mut offers = self.pinned_offers().map(|(_, offer)| &offer.standing);
        self.tools.iter().any(|tool| tool.standing.quarantine().is_some())
            || offers.any(|standing| standing.quarantine().is_some())
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
        prompts = lists.offers(Method::PromptsList, ["prompts", "name"]).await?;
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
    let against = |offers: Vec<Offer>, kind: Offering| -> Vec<Offer> {
        offers.into_iter().map(|offer| offer.held_against(upstream, kind)).collect()
    };
    let for_clients = |offer: Offer| Offer { key: upstream.name_for_clients(&offer.name), ..offer };
    let offered = Offered {
        tools,
        prompts: against(prompts.into_iter().map(for_clients).collect(), Offering::Prompt),
        templates: against(templates, Offering::Template),
    };
    let offered = judged(upstream, offered).await?;
    Ok(Catalogue {
        server: upstream.name().clone(),
        instructions: connection.instructions().map(str::to_owned),
        tools: offered.tools,
        resources: resources.into_iter().map(|one| one.unpinned(upstream)).collect(),
        templates: offered.templates,
        prompts: offered.prompts,
        findings,
        connection: number,
        changes,
    })
}

/// The same, with what the whole of it shows.
async fn judged(upstream: &Upstream, offered: Offered) -> Result<Offered, UpstreamError> {
    let judge = Judge::of(upstream);
    // The store is a file, and others may be writing it.
    let judged = tokio::task::spawn_blocking(move || offered.judged(&judge)).await;
    let judged = judged.map_err(|e| UpstreamError::Unchecked(e.to_string()))?;
    judged.map_err(|e| UpstreamError::Unchecked(e.to_string()))
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
        Ok(texts.into_iter().filter_map(|text| Offer::of(text, key)).collect())
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
