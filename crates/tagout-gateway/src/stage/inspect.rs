//! What a call is about is found, and its content is looked at.
mod resources;
mod target;

use std::{borrow::Cow, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value as Tree;
use tagout_inspect::characters::{Hidden, first_hidden, made_visible};
use tagout_policy::{Arguments, Effect, Effects, Facts, History, Policy, Subject};
use tagout_proto::{Action, Digest, Method, ServerName, Value};

pub(crate) use self::{resources::resource, target::Target};
use super::{forward::Input, identify::Identified, record::Known};
use crate::{
    Clock,
    capabilities::EXTENSION_TASKS,
    facts::Caller,
    history::{Count, Counted},
    refusal::Refusal,
    state::StateError,
    told::without_words,
    upstream::{Fleet, Standing, Tool, Upstream, composed},
};

/// A call whose target is known and whose arguments tripped nothing.
#[derive(Debug)]
pub struct Inspected {
    identified: Identified,
    target: Target,
    /// The arguments as a tree, for rules.
    arguments: Tree,
    /// What the client was asked in an earlier request of this call, for the server.
    input: Option<Input>,
    /// Where it is counted, once it is decided.
    counted: Option<Counted>,
}

/// Finds the call's target and checks its arguments: against the tool's schema, for characters
/// that a person would not see, for numbers that nothing here holds exactly.
///
/// # Errors
/// [`Refusal::Told`], [`Refusal::Unknown`], [`Refusal::Ambiguous`], those of a [`Quarantine`](crate::Quarantine),
/// [`Refusal::Schema`], [`Refusal::Arguments`], [`Refusal::HiddenCharacter`],
/// [`Refusal::Number`], [`Refusal::Params`], [`Refusal::Upstream`].
pub async fn inspect(identified: Identified, known: &mut Known) -> Result<Inspected, Refusal> {
    identified.told().map_err(Refusal::Told)?;
    if let Some((character, kind)) = identified.call().params().and_then(hidden) {
        return Err(Refusal::HiddenCharacter { character, kind });
    }
    only_known_members(&identified)?;
    let target = match identified.call().method().classify() {
        Action::CallTool => tool(&identified).await?,
        Action::FetchPrompt => {
            let name = needed(&identified, "name")?;
            prompt(&identified, &name).await?
        }
        Action::ReadResource => {
            let uri = needed(&identified, "uri")?;
            resource(&identified, &uri).await?
        }
        Action::Complete => reference(&identified).await?,
        Action::FollowTask => task(&identified)?,
        Action::Session | Action::List | Action::AskClient | Action::Tell => Target::Session,
    };
    known.found(target.upstream().map(|upstream| upstream.name()), &target);
    let arguments = arguments(&identified)?;
    let Target::Tool { tool, .. } = &target else {
        let input = brought_back(&identified, &target)?;
        return Ok(Inspected { identified, target, arguments, input, counted: None });
    };
    if let Some(why) = tool.standing.quarantine() {
        return Err(why.refusal(tool.qualified.clone(), Some(tool.digest)));
    }
    headers_say_the_same(&identified, tool)?;
    let input = brought_back(&identified, &target)?;
    let arguments = checked(tool, arguments, params_bytes(&identified)).await?;
    Ok(Inspected { identified, target, arguments, input, counted: None })
}

/// Over HTTP, a client without a session repeats in headers the arguments that the tool's schema
/// marks; both must say the same.
fn headers_say_the_same(identified: &Identified, tool: &Tool) -> Result<(), Refusal> {
    let session = identified.session();
    if session.transport() != "http" || !session.revision().is_modern() {
        return Ok(());
    }
    let call = identified.call();
    let arguments = call.params().and_then(|params| params.get("arguments"));
    let said = arguments.map(|arguments| tool.mirrored(arguments)).unwrap_or_default();
    let differs = |end: &str, problem| {
        let header = format!("mcp-param-{}", end.to_lowercase()).into();
        Err(Refusal::Header { header, problem })
    };
    let of = |end: &str, all: &[(String, String)]| {
        let mut all = all.iter().filter(|(other, _)| other.eq_ignore_ascii_case(end));
        all.next().map(|(_, value)| value.clone())
    };
    for (end, value) in &said {
        match of(end, call.mirrored()) {
            None => return differs(end, "is missing"),
            Some(header) if header != *value => {
                return differs(end, "does not say what the body says");
            }
            Some(_) => {}
        }
    }
    for (end, _) in call.mirrored() {
        if tool.mirrors(end) && of(end, &said).is_none() {
            return differs(end, "stands for an argument that is not there");
        }
    }
    Ok(())
}

/// What the client brings that it was asked for in an earlier request of this call, held against
/// what the call is about now. Beside what was asked nothing is answered.
fn brought_back(identified: &Identified, target: &Target) -> Result<Option<Input>, Refusal> {
    let call = identified.call();
    let responses = call.params().and_then(|params| params.get("inputResponses"));
    let Some(passed) = call.held() else {
        // Of a task, or unasked: part of what is decided, shown and approved like the rest.
        let responses = responses.map(|responses| responses.raw().to_owned());
        return Ok(responses.map(|responses| Input { responses: Some(responses), state: None }));
    };
    let server = target.upstream().map(|upstream| upstream.name().as_str());
    if server != Some(&passed.server) || passed.definition != target.definition_text() {
        return Err(StateError::Foreign.into());
    }
    let asked = |key: &str| passed.keys.iter().any(|asked| asked == key);
    let responses = responses.map(|responses| {
        let others: Vec<_> =
            responses.members().map(|(key, _)| key).filter(|key| !asked(key)).collect();
        let changes: Vec<_> = others.iter().map(|key| (key.as_ref(), None)).collect();
        responses.with(&changes)
    });
    Ok(Some(Input { responses, state: passed.state.clone() }))
}

/// The members of `params` that are passed on, by method. No schema covers others, so nobody would
/// have looked at them.
const fn members(method: Method) -> Option<&'static [&'static str]> {
    match method.classify() {
        Action::CallTool | Action::FetchPrompt => Some(&["name", "arguments", "_meta"]),
        Action::ReadResource if matches!(method, Method::DirectoryRead) => {
            Some(&["uri", "cursor", "_meta"])
        }
        Action::ReadResource => Some(&["uri", "_meta"]),
        Action::Complete => Some(&["ref", "argument", "context", "_meta"]),
        Action::FollowTask => Some(&["taskId", "inputResponses", "_meta"]),
        // These are answered here, or made anew.
        Action::Session | Action::List | Action::AskClient | Action::Tell => None,
    }
}

/// What a later request of the same call brings.
const BROUGHT: &[&str] = &["inputResponses", "requestState"];

fn only_known_members(identified: &Identified) -> Result<(), Refusal> {
    let call = identified.call();
    let (Some(params), Some(members)) = (call.params(), members(call.method())) else {
        return Ok(());
    };
    let modern = identified.session().revision().is_modern() && call.method().may_need_input();
    // What asks for a task by an older revision's way is left out: nobody here offers that.
    let left_out = |key: &str| call.method() == Method::ToolsCall && key == "task";
    let known =
        |key: &str| members.contains(&key) || (modern && BROUGHT.contains(&key)) || left_out(key);
    if params.members().all(|(key, _)| known(&key)) {
        return Ok(());
    }
    let problem = "it has a member that is not passed on, because no schema covers it";
    Err(Refusal::Params { method: call.method(), problem })
}

fn params_bytes(identified: &Identified) -> usize {
    identified.call().params().map_or(0, |params| params.raw().len())
}

/// What may take more steps than this is checked on a thread of its own…
const CHECKED_HERE: u64 = 2_000_000;
/// …and waited for no longer than this.
const CHECKED_FOR: Duration = Duration::from_secs(5);

/// The arguments, once they fit the tool's schema.
async fn checked(tool: &Arc<Tool>, arguments: Tree, bytes: usize) -> Result<Tree, Refusal> {
    let weight = tool.schema.as_ref().map_or(1, |schema| schema.weight());
    let steps = weight.saturating_mul(u64::try_from(bytes).unwrap_or(u64::MAX));
    let tool = Arc::clone(tool);
    let check = move || {
        let schema = tool.schema.as_ref().map_err(Clone::clone)?;
        schema.check(&arguments)?;
        Ok(arguments)
    };
    if steps <= CHECKED_HERE {
        return check();
    }
    let checking = tokio::time::timeout(CHECKED_FOR, tokio::task::spawn_blocking(check));
    let problem = "the arguments could not be checked in time";
    let failed = || Err(Refusal::Params { method: Method::ToolsCall, problem });
    checking.await.unwrap_or_else(|_| Ok(failed())).unwrap_or_else(|_| failed())
}

/// The first character in `params` that a person would not see; but what is said in a person's
/// own words reaches no server.
fn hidden(params: Value<'_>) -> Option<(char, Hidden)> {
    let first =
        |params: Value<'_>| params.strings().find_map(|text: Cow<'_, str>| first_hidden(&text));
    match params.get("_meta").and_then(without_words) {
        None => first(params),
        Some(meta) => match composed(&params.with(&[("_meta", Some(&meta))])) {
            Ok(document) => first(document.root()),
            Err(_) => first(params),
        },
    }
}

fn needed(identified: &Identified, key: &'static str) -> Result<String, Refusal> {
    let call = identified.call();
    let problem = match key {
        "name" => "`name` is missing or no string",
        _ => "`uri` is missing or no string",
    };
    call.text_param(key).ok_or(Refusal::Params { method: call.method(), problem })
}

/// The arguments for rules: of a resource its URI, of a completion what is to be completed.
fn arguments(identified: &Identified) -> Result<Tree, Refusal> {
    let call = identified.call();
    match call.params() {
        None => Ok(Tree::Object(serde_json::Map::new())),
        Some(params) => rules_see(call.method(), params),
    }
}

/// What rules see of the `params` of a call of `method` as its arguments.
///
/// # Errors
/// [`Refusal::Params`], [`Refusal::Number`].
pub(crate) fn rules_see(method: Method, params: Value<'_>) -> Result<Tree, Refusal> {
    if members(method).is_some_and(|members| !members.contains(&"arguments")) {
        let mut tree = params.to_tree()?;
        if let Some(members) = tree.as_object_mut() {
            members.retain(|key, _| key != "_meta" && !BROUGHT.contains(&key.as_str()));
        }
        return Ok(tree);
    }
    match params.get("arguments") {
        None => Ok(Tree::Object(serde_json::Map::new())),
        Some(arguments) if arguments.kind() == tagout_proto::Kind::Object => {
            Ok(arguments.to_tree()?)
        }
        Some(_) => {
            let problem = "`arguments` is no object";
            Err(Refusal::Params { method, problem })
        }
    }
}

fn unknown(kind: &'static str, name: &str) -> Refusal {
    Refusal::Unknown { kind, name: made_visible(name).0.chars().take(200).collect() }
}

fn down(upstream: &Upstream) -> impl FnOnce(crate::upstream::UpstreamError) -> Refusal {
    let server = upstream.name().clone();
    move |problem| Refusal::Upstream { server, problem }
}

async fn tool(identified: &Identified) -> Result<Target, Refusal> {
    let name = needed(identified, "name")?;
    let upstream = identified.session().fleet().owner(&name);
    let upstream = Arc::clone(upstream.ok_or_else(|| unknown("tool", &name))?);
    let (_, catalogue) = upstream.ready().await.map_err(down(&upstream))?;
    let tool = Fleet::tool(&catalogue, &name).ok_or_else(|| unknown("tool", &name))?;
    let connection = catalogue.connection();
    Ok(Target::Tool { tool: Arc::clone(tool), upstream, connection })
}

async fn prompt(identified: &Identified, qualified: &str) -> Result<Target, Refusal> {
    let upstream = identified.session().fleet().owner(qualified);
    let upstream = Arc::clone(upstream.ok_or_else(|| unknown("prompt", qualified))?);
    let (_, catalogue) = upstream.ready().await.map_err(down(&upstream))?;
    let mut named = catalogue.prompts.iter().filter(|prompt| prompt.key == qualified);
    match (named.next(), named.next()) {
        (Some(prompt), None) => {
            if let Some(why) = prompt.standing.quarantine() {
                return Err(why.refusal(qualified.to_owned(), prompt.digest));
            }
            let (qualified, name) = (qualified.to_owned(), prompt.name.clone());
            let reviewed = prompt.standing == Standing::Reviewed;
            Ok(Target::Prompt { upstream, qualified, name, reviewed })
        }
        _ => Err(unknown("prompt", qualified)),
    }
}

/// A task of this principal's; another's is as if it did not exist.
fn task(identified: &Identified) -> Result<Target, Refusal> {
    let call = identified.call();
    if !identified.session().capabilities().follows_tasks {
        return Err(Refusal::Capability { extension: EXTENSION_TASKS });
    }
    let problem = "`taskId` is missing or no string";
    let name =
        call.text_param("taskId").ok_or(Refusal::Params { method: call.method(), problem })?;
    let names = &identified.lane().gateway().tasks;
    let known = names.known(identified.principal(), &name);
    let (server, id) = known.ok_or_else(|| unknown("task", &name))?;
    let mut servers = identified.session().fleet().all().iter();
    let upstream = servers.find(|upstream| upstream.name().as_str() == server);
    let upstream = upstream.ok_or_else(|| unknown("task", &name))?;
    Ok(Target::Task { upstream: Arc::clone(upstream), id })
}

/// What a completion refers to.
async fn reference(identified: &Identified) -> Result<Target, Refusal> {
    let call = identified.call();
    let reference = call.params().and_then(|params| params.get("ref"));
    let text = |key: &str| Some(reference?.get(key)?.text()?.into_owned());
    match (text("type").as_deref(), text("name"), text("uri")) {
        (Some("ref/prompt"), Some(name), None) => prompt(identified, &name).await,
        (Some("ref/resource"), None, Some(uri)) => resource(identified, &uri).await,
        _ => {
            let problem = "`ref` names neither one prompt nor one resource";
            Err(Refusal::Params { method: call.method(), problem })
        }
    }
}

impl Inspected {
    /// The call and its caller.
    #[must_use]
    pub const fn identified(&self) -> &Identified {
        &self.identified
    }

    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    /// The server that the call is for, if it is for one.
    #[must_use]
    pub fn server(&self) -> Option<&ServerName> {
        self.target.upstream().map(|upstream| upstream.name())
    }

    /// The digest of the tool's definition, if it is a tool's.
    #[must_use]
    pub fn definition(&self) -> Option<Digest> {
        match &self.target {
            Target::Tool { tool, .. } => Some(tool.digest),
            Target::Session
            | Target::Resource { .. }
            | Target::Prompt { .. }
            | Target::Task { .. } => None,
        }
    }

    /// What the call may do.
    #[must_use]
    pub fn effects(&self) -> Effects {
        match &self.target {
            Target::Tool { tool, .. } => tool.effects().clone(),
            Target::Session
            | Target::Resource { .. }
            | Target::Prompt { .. }
            | Target::Task { .. } => Effects::from([Effect::Read]),
        }
    }

    /// What the client was asked in an earlier request of this call, for the server.
    pub(crate) const fn input(&self) -> Option<&Input> {
        self.input.as_ref()
    }

    /// Hands the facts of the call to `judge`; the call itself is not among what happened before.
    pub(crate) fn facts<T>(
        &self,
        clock: &Clock,
        policy: &Policy,
        judge: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let now = clock.now();
        let history = if policy.asks_about_history() {
            self.identified.session().history(now, self.counted.as_ref())
        } else {
            History::default()
        };
        self.facts_after(&history, now, judge)
    }

    /// Hands the facts of the call to `judge`, and counts the call where `counts` says so, before
    /// any other call of the conversation is judged; what happened before is among the facts if
    /// `asks`.
    ///
    /// # Errors
    /// [`Refusal::Approvals`]: what happened cannot be read or kept.
    pub(crate) fn judged<T>(
        &mut self,
        (now, asks): (Timestamp, bool),
        judge: impl FnOnce(&Facts<'_>) -> T,
        counts: impl FnOnce(&T) -> bool,
    ) -> Result<T, Refusal> {
        let opened = self.identified.session().opened();
        let Some(happened) = opened.map(|opened| Arc::clone(&opened.happened)) else {
            return Ok(self.facts_after(&History::default(), now, judge));
        };
        let judged = |history: &History| self.facts_after(history, now, judge);
        let count = |judged: &T| counts(judged).then(|| self.count(now)).flatten();
        let (judged, counted) = happened.judged((now, asks), judged, count)?;
        self.counted = counted;
        Ok(judged)
    }

    /// How the call counts, if it is one that reaches a server.
    fn count(&self, at: Timestamp) -> Option<Count> {
        let server = self.server()?.to_string();
        let qualified = self.target.described().2.to_owned();
        Some(Count { at, server, qualified, effects: self.effects() })
    }

    /// Where it is counted.
    pub(crate) const fn counted(&self) -> Option<&Counted> {
        self.counted.as_ref()
    }

    fn facts_after<T>(
        &self,
        history: &History,
        now: Timestamp,
        judge: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let effects = self.effects();
        let (labels, shape) = self.target.review();
        let subject = self.target.upstream().map(|upstream| {
            let (kind, name, qualified, reviewed) = self.target.described();
            let server = upstream.name();
            Subject { kind, server, name, qualified, effects: &effects, reviewed, labels, shape }
        });
        let caller = Caller {
            principal: self.identified.principal(),
            origin: Some(self.identified.origin()),
            history,
            now_ms: now.as_millisecond(),
        };
        let method = self.identified.call().method();
        judge(&caller.calls(method, subject, Arguments::Known(&self.arguments)))
    }
}
