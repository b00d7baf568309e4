//! The call is made.
use std::sync::Arc;

use tagout_policy::{Arguments, Decision, Effect, Effects, Facts, Subject, SubjectKind};
use tagout_proto::{
    Action, Digest, Document, Frame, FrameError, Message, Method, Revision, Value, quoted,
};

use super::{
    approve::binding_of,
    identify::Identified,
    inspect::{Inspected, Target},
    record::Cleared,
};
use crate::{
    Gateway,
    refusal::Refusal,
    upstream::{Catalogue, Fleet, Offer, Request, Standing, Tool, Upstream, composed},
};

/// What came back; not yet looked at.
#[derive(Debug)]
#[must_use]
pub struct Answer {
    body: Body,
    cleared: Cleared,
}

#[derive(Debug)]
enum Body {
    /// A server's response.
    Theirs(Frame),
    /// A result that was made here.
    Ours(Document),
}

/// Makes the call, once.
///
/// # Errors
/// [`Refusal::NotWhatWasApproved`], [`Refusal::Upstream`], [`Refusal::Audit`]…: the call was not
/// made, or nobody knows how it ended.
pub async fn forward(cleared: Cleared, gateway: &Gateway) -> Result<Answer, Refusal> {
    let inspected = cleared.authorised().decided().inspected();
    let approved = cleared.authorised().approval().map(|approval| approval.digest);
    if approved.is_some_and(|digest| digest != binding_of(inspected, &gateway.policy)) {
        return Err(Refusal::NotWhatWasApproved);
    }
    let body = match inspected.target().upstream() {
        Some(upstream) => {
            Body::Theirs(upstream_call(upstream, inspected, approved.is_some()).await?)
        }
        None => {
            let text = session_call(inspected.identified(), gateway).await?;
            Body::Ours(composed(&text).map_err(FrameError::from)?)
        }
    };
    Ok(Answer { body, cleared })
}

impl Answer {
    /// The result or the error object.
    pub(crate) fn said(&self) -> Result<Result<Value<'_>, Value<'_>>, Refusal> {
        match &self.body {
            Body::Ours(document) => Ok(Ok(document.root())),
            Body::Theirs(frame) => match frame.message() {
                Message::Response { outcome, .. } => Ok(outcome),
                Message::Request { .. } | Message::Notification { .. } => {
                    Err(Refusal::Frame(FrameError::Shape("the server did not answer")))
                }
            },
        }
    }

    pub(crate) const fn cleared(&self) -> &Cleared {
        &self.cleared
    }
}

/// A server's response.
async fn upstream_call(
    upstream: &Arc<Upstream>,
    inspected: &Inspected,
    approved: bool,
) -> Result<Frame, Refusal> {
    let identified = inspected.identified();
    let call = identified.call();
    let down = |problem| Refusal::Upstream { server: upstream.name().clone(), problem };
    let (connection, catalogue) = upstream.ready().await.map_err(down)?;
    if let Target::Tool { tool, connection: decided_on, .. } = inspected.target() {
        // A person may have thought for a while.
        same_definition(tool, catalogue.tool(&tool.name).map(|tool| tool.digest))?;
        // A server that was started again may be another program by now.
        if approved && catalogue.connection() != *decided_on {
            return Err(Refusal::NotWhatWasApproved);
        }
    }
    let token = call.params().and_then(|params| params.get("_meta")?.get("progressToken"));
    let progress = token.map(|token| token.raw().to_owned());
    let id = connection.reserve();
    let own_token = progress.is_some().then(|| id.to_string());
    let params = outgoing_params(call.params(), inspected.target(), own_token.as_deref());
    let request = Request {
        id,
        method: call.method(),
        params,
        progress,
        lane: None,
        subject: None,
        mirrored: Vec::new(),
    };
    let watching = watch(identified, inspected.target());
    let answer = connection.request(request, upstream.timeout()).await.map_err(down);
    let accepted = answer
        .as_ref()
        .is_ok_and(|frame| matches!(frame.message(), Message::Response { outcome: Ok(_), .. }));
    if let (Some(uri), false) = (watching, accepted) {
        identified.session().watch(uri, false);
    }
    answer
}

/// Subscriptions begin before the server is asked, or its first news could come too early. Gives
/// what was not watched before.
fn watch<'a>(identified: &Identified, target: &'a Target) -> Option<&'a str> {
    let Target::Resource { uri, .. } = target else { return None };
    let method = identified.call().method();
    let wants = method == Method::ResourcesSubscribe;
    if !wants && method != Method::ResourcesUnsubscribe {
        return None;
    }
    let changed = identified.session().watch(uri, wants);
    (wants && changed).then_some(uri)
}

/// Holds what a server defines now against what was decided about.
pub(crate) fn same_definition(tool: &Tool, got: Option<Digest>) -> Result<(), Refusal> {
    if got == Some(tool.digest) {
        return Ok(());
    }
    Err(Refusal::DefinitionChanged { tool: tool.qualified.clone(), expected: tool.digest, got })
}

/// The parameters as the server gets them: its own names, a progress token of this hop, and
/// nothing of ours in `_meta`; all else byte for byte as it came and was inspected.
pub(crate) fn outgoing_params(
    params: Option<Value<'_>>,
    target: &Target,
    progress: Option<&str>,
) -> String {
    let Some(params) = params else { return "{}".to_owned() };
    let mut changes: Vec<(&str, Option<String>)> = Vec::new();
    if let Some(meta) = params.get("_meta") {
        let mut meta = without_ours(meta);
        if let Ok(document) = composed(&meta) {
            meta = document.root().with(&[("progressToken", progress)]);
        }
        changes.push(("_meta", (meta != "{}").then_some(meta)));
    }
    match target {
        Target::Tool { tool, .. } => changes.push(("name", Some(quoted(tool.name.as_str())))),
        Target::Prompt { name, .. } => match params.get("ref") {
            Some(reference) => {
                let name = quoted(name);
                changes.push(("ref", Some(reference.with(&[("name", Some(&name))]))));
            }
            None => changes.push(("name", Some(quoted(name)))),
        },
        Target::Session | Target::Resource { .. } => {}
    }
    let changes: Vec<_> = changes.iter().map(|(key, text)| (*key, text.as_deref())).collect();
    params.with(&changes)
}

/// `_meta` without the keys that are the gateway's own.
pub(crate) fn without_ours(meta: Value<'_>) -> String {
    let ours: Vec<_> = meta
        .members()
        .filter(|(key, _)| key.to_lowercase().starts_with("tagout/"))
        .map(|(key, _)| key)
        .collect();
    let changes: Vec<_> = ours.iter().map(|key| (key.as_ref(), None)).collect();
    meta.with(&changes)
}

/// What concerns the session, or what all servers offer.
async fn session_call(identified: &Identified, gateway: &Gateway) -> Result<String, Refusal> {
    let call = identified.call();
    let session = identified.session();
    match call.method() {
        Method::Initialize => initialize(identified, gateway).await,
        Method::ToolsList => list(identified, gateway, Listing::Tools).await,
        Method::PromptsList => list(identified, gateway, Listing::Prompts).await,
        Method::ResourcesList => list(identified, gateway, Listing::Resources).await,
        Method::ResourceTemplatesList => list(identified, gateway, Listing::Templates).await,
        Method::Cancelled => {
            if let Some(id) = call.params().and_then(|params| params.get("requestId")) {
                session.withdraw(id.raw());
            }
            Ok("{}".to_owned())
        }
        Method::SetLevel => {
            let level = call.text_param("level").filter(|level| LEVELS.contains(&level.as_str()));
            let problem = "`level` is none of the eight levels of RFC 5424";
            let method = Method::SetLevel;
            let level = level.ok_or(Refusal::Params { method, problem })?;
            session.set_log_level(&level).await;
            Ok("{}".to_owned())
        }
        Method::Initialized | Method::Ping | Method::Progress | Method::RootsListChanged => {
            Ok("{}".to_owned())
        }
        Method::ToolsCall
        | Method::ResourcesRead
        | Method::ResourcesSubscribe
        | Method::ResourcesUnsubscribe
        | Method::PromptsGet
        | Method::Complete
        | Method::RootsList
        | Method::SamplingCreateMessage
        | Method::ElicitationCreate
        | Method::LogMessage
        | Method::ResourceUpdated
        | Method::ResourcesListChanged
        | Method::ToolsListChanged
        | Method::PromptsListChanged
        | Method::Discover
        | Method::Listen
        | Method::DirectoryRead
        | Method::SkillsList
        | Method::SkillsGet
        | Method::TasksGet
        | Method::TasksUpdate
        | Method::TasksCancel
        | Method::Acknowledged
        | Method::ElicitationComplete
        | Method::TaskStatus => Err(Refusal::Method { method: call.method().to_string() }),
    }
}

/// The levels that a client may ask for.
const LEVELS: &[&str] =
    &["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

async fn initialize(identified: &Identified, gateway: &Gateway) -> Result<String, Refusal> {
    let session = identified.session();
    let asked = identified.call().text_param("protocolVersion").ok_or(Refusal::Params {
        method: Method::Initialize,
        problem: "`protocolVersion` is missing or no string",
    })?;
    let revision = Revision::parse_legacy(&asked).unwrap_or(Revision::LATEST_LEGACY);
    session.start().await;
    let mut offers = vec![r#""tools":{"listChanged":true}"#];
    let any = |has: fn(&Catalogue) -> bool| {
        session.fleet().all().iter().filter_map(|upstream| upstream.known()).any(|c| has(&c))
    };
    if any(|c| !c.resources.is_empty() || !c.templates.is_empty()) {
        offers.push(r#""resources":{"listChanged":true,"subscribe":true}"#);
    }
    if any(|c| !c.prompts.is_empty()) {
        offers.push(r#""prompts":{"listChanged":true}"#);
    }
    if session.any_server_can("completions").await {
        offers.push(r#""completions":{}"#);
    }
    if session.any_server_can("logging").await {
        offers.push(r#""logging":{}"#);
    }
    session.open(identified.origin(), gateway)?;
    let version = quoted(env!("CARGO_PKG_VERSION"));
    Ok(format!(
        r#"{{"protocolVersion":"{revision}","capabilities":{{{}}},"serverInfo":{{"name":"tagout","title":"Tagout","version":{version}}}}}"#,
        offers.join(",")
    ))
}

/// What all servers offer, without what the decision that guards calls would deny whatever the
/// arguments are. A server that does not answer is left out.
async fn list(
    identified: &Identified,
    gateway: &Gateway,
    listing: Listing,
) -> Result<String, Refusal> {
    let method = identified.call().method();
    if identified.call().params().is_some_and(|params| params.get("cursor").is_some()) {
        let problem = "there is one page only, so no cursor is known";
        return Err(Refusal::Params { method, problem });
    }
    let mut items = Vec::new();
    for (upstream, catalogue) in identified.session().fleet().asked_anew().await {
        gateway.announce_changes(&catalogue);
        let shows = |subject: Subject<'_>| shows(identified, gateway, listing, subject);
        let server = upstream.name();
        if listing == Listing::Tools {
            let tools = catalogue.tools.iter().filter(|tool| {
                !matches!(tool.standing, Standing::Changed { .. })
                    && tool.schema.is_ok()
                    // Two that were cut to the same name are both unreachable.
                    && Fleet::tool(&catalogue, &tool.qualified).is_some()
                    && shows(tool.subject())
            });
            items.extend(tools.filter_map(|tool| renamed(&tool.text, &tool.qualified)));
            continue;
        }
        let (kind, offers) = listing.offered(&catalogue);
        let effects = Effects::from([Effect::Read]);
        let reviewed = upstream.offers_are_reviewed();
        for offer in offers {
            let (name, qualified) = (offer.name.as_str(), offer.key.as_str());
            let subject = Subject { kind, server, name, qualified, effects: &effects, reviewed };
            if shows(subject) {
                items.extend(match kind {
                    SubjectKind::Prompt => renamed(&offer.text, &offer.key),
                    SubjectKind::Resource
                    | SubjectKind::Tool
                    | SubjectKind::Task
                    | SubjectKind::Question => Some(offer.text.clone()),
                });
            }
        }
    }
    Ok(format!(r#"{{"{}":[{}]}}"#, listing.key(), items.join(",")))
}

/// What can be listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listing {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl Listing {
    /// The member of the result that holds the list.
    const fn key(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// What a caller would do with what is listed.
    const fn action(self) -> Action {
        match self {
            Self::Tools => Action::CallTool,
            Self::Prompts => Action::FetchPrompt,
            Self::Resources | Self::Templates => Action::ReadResource,
        }
    }

    /// What a server offers of it, but for tools, which are more than offers.
    fn offered(self, catalogue: &Catalogue) -> (SubjectKind, &[Offer]) {
        match self {
            Self::Tools => (SubjectKind::Tool, &[]),
            Self::Prompts => (SubjectKind::Prompt, &catalogue.prompts),
            Self::Resources => (SubjectKind::Resource, &catalogue.resources),
            Self::Templates => (SubjectKind::Resource, &catalogue.templates),
        }
    }
}

/// Whether any arguments could get the caller what the list names.
fn shows(
    identified: &Identified,
    gateway: &Gateway,
    listing: Listing,
    subject: Subject<'_>,
) -> bool {
    let origin = identified.origin();
    let verdict = gateway.policy.decide(&Facts {
        principal: identified.principal(),
        client: &origin.client,
        transport: &origin.transport,
        action: listing.action(),
        subject: Some(subject),
        arguments: Arguments::Unknown,
    });
    verdict.decision != Decision::Deny
}

fn renamed(definition: &str, name: &str) -> Option<String> {
    let document = composed(definition).ok()?;
    Some(document.root().with(&[("name", Some(&quoted(name)))]))
}
