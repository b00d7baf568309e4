//! The call is made.
mod follow;
mod input;
mod session;

use std::sync::Arc;

use tagout_proto::{
    Digest, Document, Frame, FrameError, Limits, Message, Method, Revision, Value, frame, quoted,
};
use tokio::time::timeout;

pub(crate) use self::input::Input;
use self::input::Needs;
use super::{
    approve::binding_of,
    inspect::{Inspected, Target},
    receive::{CAPABILITIES, CLIENT, Call, LOG_LEVEL, VERSION},
    record::Cleared,
};
use crate::{
    Gateway, assertion, consent,
    lane::{Lane, Speaker},
    news::SUBSCRIPTION,
    refusal::Refusal,
    state::StateError,
    upstream::{Connection, Request, Tool, Upstream, UpstreamError, composed},
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
    /// A server's response, and the revision it is in.
    Theirs(Frame, Revision),
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
    if approved.is_some_and(|digest| digest != binding_of(inspected, &gateway.policies.now())) {
        return Err(Refusal::NotWhatWasApproved);
    }
    let body = match inspected.target().upstream() {
        Some(upstream) => {
            let calling = called(upstream, &cleared, gateway);
            match cleared.authorised().decided().wall() {
                None => calling.await?,
                // Questions and rounds put a deadline off, but not beyond this.
                Some(wall) => timeout(wall, calling).await.map_err(|_| Refusal::Upstream {
                    server: upstream.name().clone(),
                    problem: UpstreamError::Timeout(wall),
                })??,
            }
        }
        None => {
            let text = session::call(inspected.identified(), gateway).await?;
            Body::Ours(composed(&text).map_err(FrameError::from)?)
        }
    };
    Ok(Answer { body, cleared })
}

/// A server's response; once more where the session with it was lost and nothing was done.
async fn called(
    upstream: &Arc<Upstream>,
    cleared: &Cleared,
    gateway: &Gateway,
) -> Result<Body, Refusal> {
    let body = upstream_call(upstream, cleared, gateway).await;
    match body {
        // What is there now is looked at like after any other start.
        Err(Refusal::Upstream { problem: UpstreamError::SessionLost, .. }) => {
            upstream_call(upstream, cleared, gateway).await
        }
        other => other,
    }
}

impl Answer {
    /// The result or the error object.
    pub(crate) fn said(&self) -> Result<Result<Value<'_>, Value<'_>>, Refusal> {
        match &self.body {
            Body::Ours(document) => Ok(Ok(document.root())),
            Body::Theirs(frame, _) => match frame.message() {
                Message::Response { outcome, .. } => Ok(outcome),
                Message::Request { .. } | Message::Notification { .. } => {
                    Err(Refusal::Frame(FrameError::Shape("the server did not answer")))
                }
            },
        }
    }

    /// How many places of it held secrets, which were taken out.
    pub(crate) const fn secrets(&self) -> u32 {
        match &self.body {
            Body::Ours(_) => 0,
            Body::Theirs(frame, _) => frame.replaced(),
        }
    }

    /// The revision that it is in; nothing where it was made here, for its client.
    pub(crate) const fn revision(&self) -> Option<Revision> {
        match &self.body {
            Body::Ours(_) => None,
            Body::Theirs(_, revision) => Some(*revision),
        }
    }

    pub(crate) const fn cleared(&self) -> &Cleared {
        &self.cleared
    }
}

/// How often a server may ask for more before it answers one call.
const ROUNDS: u32 = 10;

/// A server's response, once it asks for nothing more, or once only the client can go on.
async fn upstream_call(
    upstream: &Arc<Upstream>,
    cleared: &Cleared,
    gateway: &Gateway,
) -> Result<Body, Refusal> {
    let inspected = cleared.authorised().decided().inspected();
    let approval = cleared.authorised().approval();
    let call = inspected.identified().call();
    let down = |problem| Refusal::Upstream { server: upstream.name().clone(), problem };
    let (connection, catalogue) = upstream.ready().await.map_err(down)?;
    if let Target::Tool { tool, connection: decided_on, .. } = inspected.target() {
        // A person may have thought for a while.
        same_definition(tool, catalogue.tool(&tool.name).map(|tool| tool.digest))?;
        // A server that was started again may be another program by now.
        if approval.is_some() && catalogue.connection() != *decided_on {
            return Err(Refusal::NotWhatWasApproved);
        }
    }
    consent::still_agreed(cleared.authorised(), upstream, gateway)?;
    if let Some(result) = watched(&connection, upstream, inspected).await? {
        return Ok(result);
    }
    let client = inspected.identified().session().revision();
    let mut input = brought(inspected, &connection)?;
    let session = inspected.identified().session();
    let level = call.meta(LOG_LEVEL).and_then(|level| Some(level.text()?.into_owned()));
    if let Some(level) = level.or_else(|| session.log_level()) {
        connection.set_log_level(&level).await.map_err(down)?;
    }
    for _ in 0..ROUNDS {
        let request = request(&connection, inspected, upstream, input.as_ref());
        // Last, when nothing more is decided, compared or shown.
        let params = assertion::stated(request.params, upstream, cleared, gateway)?;
        let request = Request { params, start: Some(catalogue.connection()), ..request };
        let answer = connection.request(request, upstream.timeout()).await.map_err(down)?;
        let lane = lane_of(inspected, upstream);
        let needs = input::needed(&answer, connection.revision(), client);
        match needs {
            None if client.is_modern() && connection.revision().is_modern() => {
                return Ok(
                    match follow::named(&answer, cleared.authorised().decided(), &lane).await? {
                        Some(result) => Body::Ours(composed(&result).map_err(FrameError::from)?),
                        None => Body::Theirs(answer, connection.revision()),
                    },
                );
            }
            None => return Ok(Body::Theirs(answer, connection.revision())),
            Some(Needs::Input(asks)) if client.is_modern() => {
                let number = catalogue.connection();
                let result = asks.passed_on(&lane, inspected, (approval, number)).await?;
                return Ok(Body::Ours(composed(&result).map_err(FrameError::from)?));
            }
            Some(Needs::Input(asks)) => input = Some(asks.answered(&lane).await?),
            Some(Needs::Visits(urls)) => urls.visited(&lane).await?,
            Some(Needs::Named(urls)) => {
                return Ok(Body::Theirs(urls.passed_on(&lane).await?, connection.revision()));
            }
        }
    }
    let problem = UpstreamError::Misbehaved(format!("it asked for more {ROUNDS} times"));
    Err(down(problem))
}

fn lane_of(inspected: &Inspected, upstream: &Upstream) -> Lane {
    let (_, _, _, reviewed) = inspected.target().described();
    inspected.identified().lane().of(Speaker { server: upstream.name().clone(), reviewed })
}

/// What the client brings that it was asked for in an earlier request of this call.
fn brought(inspected: &Inspected, connection: &Connection) -> Result<Option<Input>, Refusal> {
    match inspected.input() {
        // It is another server by now, one that asks by requests of its own.
        Some(Input { state: Some(_), .. }) if !connection.revision().is_modern() => {
            Err(StateError::Foreign.into())
        }
        Some(input) if connection.revision().is_modern() => Ok(Some(input.clone())),
        Some(_) | None => Ok(None),
    }
}

fn request(
    connection: &Connection,
    inspected: &Inspected,
    upstream: &Upstream,
    input: Option<&Input>,
) -> Request {
    let call = inspected.identified().call();
    let token = call.meta("progressToken");
    let progress = token.map(|token| token.raw().to_owned());
    let id = connection.reserve();
    let own_token = progress.is_some().then(|| id.to_string());
    let target = inspected.target();
    Request {
        id,
        method: call.method(),
        params: outgoing_params(call.params(), target, own_token.as_deref(), input),
        progress,
        lane: Some(lane_of(inspected, upstream)),
        subject: target.subject(),
        mirrored: mirrored(call, target),
        start: None,
    }
}

/// What headers repeat: the arguments that the tool's schema says, as they are sent. What else the
/// client's headers hold nobody has looked at, so it goes no further.
fn mirrored(call: &Call, target: &Target) -> Vec<(String, String)> {
    let arguments = call.params().and_then(|params| params.get("arguments"));
    match (target, arguments) {
        (Target::Tool { tool, .. }, Some(arguments)) => tool.mirrored(arguments),
        _ => Vec::new(),
    }
}

/// The answer to what begins or ends the watch of a resource; nothing for anything else.
async fn watched(
    connection: &Connection,
    upstream: &Upstream,
    inspected: &Inspected,
) -> Result<Option<Body>, Refusal> {
    let (session, method) =
        (inspected.identified().session(), inspected.identified().call().method());
    let wants = method == Method::ResourcesSubscribe;
    let Target::Resource { uri, .. } = inspected.target() else { return Ok(None) };
    if !wants && method != Method::ResourcesUnsubscribe {
        return Ok(None);
    }
    let down = |problem| Refusal::Upstream { server: upstream.name().clone(), problem };
    // It begins before the server is asked, or its first news could come too early.
    let changed = session.watch(uri, wants);
    let done = connection.watch(uri, wants, upstream.timeout()).await.map_err(down);
    if wants && changed && !matches!(done, Ok(Ok(()))) {
        session.watch(uri, false);
    }
    let text = match done? {
        Ok(()) => frame::result("0", "{}"),
        Err(error) => frame::error("0", &error),
    };
    let limits = Limits::default();
    let frame = Frame::read(text.as_bytes(), limits).map_err(Refusal::Frame)?;
    Ok(Some(Body::Theirs(frame, connection.revision())))
}

/// Holds what a server defines now against what was decided about.
pub(crate) fn same_definition(tool: &Tool, got: Option<Digest>) -> Result<(), Refusal> {
    if got == Some(tool.digest) {
        return Ok(());
    }
    Err(Refusal::DefinitionChanged { tool: tool.qualified.clone(), expected: tool.digest, got })
}

/// The parameters as the server gets them: its own names, a progress token of this hop, what it
/// asked for, and in `_meta` nothing of ours and nothing of the client's revision; all else byte
/// for byte as it came and was inspected.
pub(crate) fn outgoing_params(
    params: Option<Value<'_>>,
    target: &Target,
    progress: Option<&str>,
    input: Option<&Input>,
) -> String {
    let Some(params) = params else { return "{}".to_owned() };
    let mut changes: Vec<(&str, Option<String>)> = Vec::new();
    if let Some(meta) = params.get("_meta") {
        let mut meta = without_ours(meta);
        if let Ok(document) = composed(&meta) {
            let keys: Vec<_> = document.root().members().map(|(key, _)| key).collect();
            // No rule and no schema has looked at other keys.
            let passes = |key: &str| {
                is_of_the_protocol(key) || target.upstream().is_some_and(|up| up.takes_meta(key))
            };
            let others = keys.iter().filter(|key| !passes(key));
            let mut own: Vec<_> = others.map(|key| (key.as_ref(), None)).collect();
            own.push(("progressToken", progress));
            own.extend(OF_A_HOP.iter().map(|key| (*key, None)));
            meta = document.root().with(&own);
        }
        changes.push(("_meta", (meta != "{}").then_some(meta)));
    }
    let state = input.and_then(|input| input.state.as_deref()).map(quoted);
    changes.push(("requestState", state));
    changes.push(("inputResponses", input.and_then(|input| input.responses.clone())));
    match target {
        Target::Tool { tool, .. } => {
            changes.push(("name", Some(quoted(tool.name.as_str()))));
            changes.push(("task", None));
        }
        Target::Prompt { name, .. } => match params.get("ref") {
            Some(reference) => {
                let name = quoted(name);
                changes.push(("ref", Some(reference.with(&[("name", Some(&name))]))));
            }
            None => changes.push(("name", Some(quoted(name)))),
        },
        Target::Task { id, .. } => changes.push(("taskId", Some(quoted(id)))),
        Target::Session | Target::Resource { .. } => {}
    }
    let changes: Vec<_> = changes.iter().map(|(key, text)| (*key, text.as_deref())).collect();
    params.with(&changes)
}

/// Whether a key of `_meta` is the protocol's own, or one by which requests are traced.
fn is_of_the_protocol(key: &str) -> bool {
    matches!(key, "progressToken" | "traceparent" | "tracestate" | "baggage")
        || key.starts_with("io.modelcontextprotocol/")
        || key.starts_with("modelcontextprotocol.io/")
}

/// What each hop says for itself.
const OF_A_HOP: &[&str] = &[VERSION, CAPABILITIES, CLIENT, LOG_LEVEL, SUBSCRIPTION];

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
