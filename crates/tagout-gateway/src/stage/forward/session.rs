//! What concerns the session, or what all servers offer.
use std::sync::Arc;

use tagout_policy::{Arguments, Decision, Effect, Effects, Labels, Subject, SubjectKind};
use tagout_proto::{Kind, Message, Method, Revision, ServerName, quoted};

use super::{
    super::{identify::Identified, inspect::resource},
    without_ours,
};
use crate::{
    Gateway, Session,
    capabilities::{Capabilities, EXTENSION_SKILLS, only_known},
    facts::Caller,
    news::{SUBSCRIPTION, Wants, tagged},
    refusal::Refusal,
    session::conversation_of,
    upstream::{Catalogue, Connection, Fleet, Offer, Standing, Upstream, composed},
};

/// What concerns the session, or what all servers offer.
pub(super) async fn call(identified: &Identified, gateway: &Gateway) -> Result<String, Refusal> {
    let call = identified.call();
    let session = identified.session();
    match call.method() {
        Method::Initialize => initialize(identified).await,
        Method::Discover => discover(identified).await,
        Method::Listen => listen(identified, gateway).await,
        Method::ToolsList => list(identified, gateway, Listing::Tools).await,
        Method::PromptsList => list(identified, gateway, Listing::Prompts).await,
        Method::ResourcesList => list(identified, gateway, Listing::Resources).await,
        Method::ResourceTemplatesList => list(identified, gateway, Listing::Templates).await,
        Method::SkillsList => skills(identified, gateway).await,
        Method::Cancelled => {
            if let Some(withdrawn) = call.takes_back().and_then(|id| session.under_way(id)) {
                withdrawn.cancel();
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
        | Method::DirectoryRead
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

async fn initialize(identified: &Identified) -> Result<String, Refusal> {
    let session = identified.session();
    let asked = identified.call().text_param("protocolVersion").ok_or(Refusal::Params {
        method: Method::Initialize,
        problem: "`protocolVersion` is missing or no string",
    })?;
    let revision = Revision::parse_legacy(&asked).unwrap_or(Revision::LATEST_LEGACY);
    let declared = identified.call().params().and_then(|params| params.get("capabilities"));
    session.declare(Capabilities::of(declared, revision));
    session.start().await;
    session.is_about(conversation_of(identified.call(), session.transport())?);
    session.open(identified.origin(), revision).await?;
    let offers = offers(session).await;
    Ok(format!(
        r#"{{"protocolVersion":"{revision}","capabilities":{offers},"serverInfo":{}}}"#,
        own_info()
    ))
}

/// What a client without a session is told.
async fn discover(identified: &Identified) -> Result<String, Refusal> {
    let session = identified.session();
    session.start().await;
    let offers = offers(session).await;
    let spoken: Vec<_> = Revision::ALL.iter().rev().map(|r| quoted(r.as_str())).collect();
    Ok(format!(
        r#"{{"supportedVersions":[{}],"capabilities":{offers},"_meta":{{"io.modelcontextprotocol/serverInfo":{}}}}}"#,
        spoken.join(","),
        own_info()
    ))
}

fn own_info() -> String {
    let version = quoted(env!("CARGO_PKG_VERSION"));
    format!(r#"{{"name":"tagout","title":"Tagout","version":{version}}}"#)
}

/// What all servers together offer, a JSON object.
async fn offers(session: &Session) -> String {
    let mut offers = vec![r#""tools":{"listChanged":true}"#.to_owned()];
    let any = |has: fn(&Catalogue) -> bool| {
        session.fleet().all().iter().filter_map(|upstream| upstream.known()).any(|c| has(&c))
    };
    if any(|c| !c.resources.is_empty() || !c.templates.is_empty()) {
        offers.push(r#""resources":{"listChanged":true,"subscribe":true}"#.to_owned());
    }
    if any(|c| !c.prompts.is_empty()) {
        offers.push(r#""prompts":{"listChanged":true}"#.to_owned());
    }
    if session.any_server_can("completions").await {
        offers.push(r#""completions":{}"#.to_owned());
    }
    if session.any_server_can("logging").await {
        offers.push(r#""logging":{}"#.to_owned());
    }
    let extensions = extensions(session).await;
    if extensions != "{}" {
        offers.push(format!(r#""extensions":{extensions}"#));
    }
    format!("{{{}}}", offers.join(","))
}

/// The extensions that any server offers and the gateway carries, as the first of them says. Some
/// are for clients without a session alone.
async fn extensions(session: &Session) -> String {
    let mut found = "{}".to_owned();
    for upstream in session.fleet().all() {
        if upstream.known().is_none() {
            continue;
        }
        let Ok((connection, _)) = upstream.ready().await else { continue };
        let Ok(offered) = composed(connection.offers()) else { continue };
        let Some(offered) = offered.root().get("extensions") else { continue };
        let carried = only_known(offered, session.revision());
        let (Ok(carried), Ok(so_far)) = (composed(&carried), composed(&found)) else { continue };
        let new: Vec<_> = carried.root().members().collect();
        let new: Vec<_> = new.iter().map(|(key, v)| (key.as_ref(), Some(v.raw()))).collect();
        let new: Vec<_> =
            new.into_iter().filter(|(key, _)| so_far.root().get(key).is_none()).collect();
        found = so_far.root().with(&new);
    }
    found
}

/// The skills of all servers that have some and whose resources may be read.
async fn skills(identified: &Identified, gateway: &Gateway) -> Result<String, Refusal> {
    let method = Method::SkillsList;
    if identified.call().params().is_some_and(|params| params.get("cursor").is_some()) {
        let problem = "there is one page only, so no cursor is known";
        return Err(Refusal::Params { method, problem });
    }
    let mut items = Vec::new();
    for upstream in identified.session().fleet().all() {
        let Ok((connection, _)) = upstream.ready().await else { continue };
        if !has_skills(&connection) {
            continue;
        }
        let listed = connection.ask(method, "{}", upstream.timeout()).await;
        let Ok(listed) = listed.inspect_err(|error| {
            tracing::warn!(server = %upstream.name(), %error, "is left out of a list");
        }) else {
            continue;
        };
        let Message::Response { outcome: Ok(result), .. } = listed.message() else { continue };
        let listed = result.get("skills");
        for skill in listed.into_iter().flat_map(|listed| listed.elements()).take(SKILLS) {
            let uri = skill.get("uri").and_then(|uri| uri.text()).unwrap_or_default();
            let effects = Effects::from([Effect::Read]);
            let subject = Subject {
                kind: SubjectKind::Resource,
                server: upstream.name(),
                name: &uri,
                qualified: &uri,
                effects: &effects,
                reviewed: upstream.offers_are_reviewed(),
                labels: Labels::none(),
                shape: None,
            };
            if shows(identified, gateway, Listing::Resources, subject) {
                items.push(skill.raw().to_owned());
            }
        }
    }
    Ok(format!(r#"{{"skills":[{}]}}"#, items.join(",")))
}

/// Skills that are taken of one server.
const SKILLS: usize = 1000;

fn has_skills(connection: &Connection) -> bool {
    let offers = composed(connection.offers()).ok();
    let skills = offers.as_ref().and_then(|o| o.root().get("extensions")?.get(EXTENSION_SKILLS));
    skills.is_some()
}

/// Tells the client of changes until it goes, or the gateway does.
async fn listen(identified: &Identified, gateway: &Gateway) -> Result<String, Refusal> {
    let (call, session) = (identified.call(), identified.session());
    let method = Method::Listen;
    let filter = call.params().and_then(|params| params.get("notifications"));
    let problem = "`notifications` is missing or no object";
    let filter = filter.filter(|filter| filter.kind() == Kind::Object);
    let mut wants = Wants::of(filter.ok_or(Refusal::Params { method, problem })?);
    session.start().await;
    let mut watched = Vec::new();
    for uri in std::mem::take(&mut wants.watched) {
        // What may not be read is not watched, and the acknowledgement says so.
        if let Some(connection) = watch(identified, gateway, &uri).await {
            watched.push((connection, uri.clone()));
            wants.watched.insert(uri);
        }
    }
    let id = call.id().unwrap_or("null");
    let acknowledged = format!(r#"{{"notifications":{}}}"#, wants.text());
    identified.lane().tell(Method::Acknowledged, &tagged(&acknowledged, id));
    let lane = identified.lane().clone();
    let _subscribed = session
        .news
        .subscribe(id, wants, lane)
        .ok_or(Refusal::TooMany { what: "subscriptions" })?;
    let _watching = Watching { session, watched };
    session.ended().await;
    Ok(format!(r#"{{"_meta":{{"{SUBSCRIPTION}":{id}}}}}"#))
}

/// Watches a resource, if the caller may read it; gives its server.
async fn watch(identified: &Identified, gateway: &Gateway, uri: &str) -> Option<Arc<Upstream>> {
    let target = resource(identified, uri).await.ok()?;
    let upstream = Arc::clone(target.upstream()?);
    let arguments = serde_json::json!({ "uri": uri });
    let effects = Effects::from([Effect::Read]);
    let subject = Subject {
        kind: SubjectKind::Resource,
        server: upstream.name(),
        name: uri,
        qualified: uri,
        effects: &effects,
        reviewed: upstream.offers_are_reviewed(),
        labels: Labels::none(),
        shape: None,
    };
    let policy = gateway.policies.now();
    let from = (identified.session().as_ref(), Some(identified.origin()));
    let verdict = Caller::of(from, &gateway.clock, &policy, |caller| {
        let known = Arguments::Known(&arguments);
        policy.decide(&caller.calls(Method::ResourcesRead, Some(subject), known))
    });
    if verdict.decision != Decision::Allow {
        return None;
    }
    let (connection, _) = upstream.ready().await.ok()?;
    connection.watch(uri, true, upstream.timeout()).await.ok()?.ok()?;
    Some(upstream)
}

/// Resources that are watched as long as this lasts.
struct Watching<'a> {
    session: &'a Arc<Session>,
    watched: Vec<(Arc<Upstream>, String)>,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let (session, watched) = (Arc::clone(self.session), std::mem::take(&mut self.watched));
        if watched.is_empty() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        tokio::spawn(async move {
            for (upstream, uri) in watched {
                // Another subscription of the same session may be about it too.
                if session.news.watches(&uri) || session.watches(&uri) {
                    continue;
                }
                if let Ok((connection, _)) = upstream.ready().await {
                    drop(connection.watch(&uri, false, upstream.timeout()).await);
                }
            }
        });
    }
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
        gateway.announce_changes(&catalogue).await;
        let shows = |subject: Subject<'_>| shows(identified, gateway, listing, subject);
        let server = upstream.name();
        if listing == Listing::Tools {
            let tools = catalogue.tools.iter().filter(|tool| {
                tool.standing.quarantine().is_none()
                    && tool.schema.is_ok()
                    // Two that were cut to the same name are both unreachable.
                    && Fleet::tool(&catalogue, &tool.qualified).is_some()
                    && shows(tool.subject())
            });
            items.extend(tools.filter_map(|tool| {
                let text = gateway.secrets.clean_definition(&tool.text);
                renamed(&text, &tool.qualified)
            }));
            continue;
        }
        let (kind, offers) = listing.offered(&catalogue);
        let effects = Effects::from([Effect::Read]);
        for offer in offers.iter().filter(|offer| offer.standing.quarantine().is_none()) {
            let reviewed = offer.standing == Standing::Reviewed;
            let (name, qualified) = (offer.name.as_str(), offer.key.as_str());
            let (labels, shape) = (Labels::none(), None);
            let subject = Subject {
                kind,
                server,
                name,
                qualified,
                effects: &effects,
                reviewed,
                labels,
                shape,
            };
            if shows(subject) {
                let text = gateway.secrets.clean_definition(&offer.text);
                items.extend(match kind {
                    SubjectKind::Prompt => renamed(&text, &offer.key),
                    SubjectKind::Resource
                    | SubjectKind::Tool
                    | SubjectKind::Task
                    | SubjectKind::Question => attributed(&text, server),
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
    const fn method(self) -> Method {
        match self {
            Self::Tools => Method::ToolsCall,
            Self::Prompts => Method::PromptsGet,
            Self::Resources | Self::Templates => Method::ResourcesRead,
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
    let policy = gateway.policies.now();
    let from = (identified.session().as_ref(), Some(identified.origin()));
    let verdict = Caller::of(from, &gateway.clock, &policy, |caller| {
        policy.decide(&caller.calls(listing.method(), Some(subject), Arguments::Unknown))
    });
    verdict.decision != Decision::Deny
}

/// What a server lists by a URI, with the server's name beside it: a URI alone does not say whose
/// it is.
fn attributed(definition: &str, server: &ServerName) -> Option<String> {
    let document = composed(definition).ok()?;
    let server = quoted(server.as_str());
    let meta = document.root().get("_meta").filter(|meta| meta.kind() == Kind::Object);
    // What keys a skill has is settled (SEP-2640), and this is none of them.
    let uri = document.root().get("uri").or_else(|| document.root().get("uriTemplate"));
    if uri.and_then(|uri| uri.text()).is_some_and(|uri| uri.starts_with("skill:")) {
        let meta = meta.map(without_ours);
        return Some(document.root().with(&[("_meta", meta.as_deref())]));
    }
    let meta = match meta.map(without_ours) {
        Some(others) => composed(&others).ok()?.root().with(&[(SERVER, Some(&server))]),
        None => format!(r#"{{"{SERVER}":{server}}}"#),
    };
    Some(document.root().with(&[("_meta", Some(&meta))]))
}

/// In `_meta` of what is listed: its server, as it is called here.
const SERVER: &str = "tagout/server";

fn renamed(definition: &str, name: &str) -> Option<String> {
    let document = composed(definition).ok()?;
    Some(document.root().with(&[("name", Some(&quoted(name)))]))
}
