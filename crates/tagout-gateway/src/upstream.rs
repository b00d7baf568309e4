//! The servers behind the gateway.
mod calls;
mod catalogue;
mod complaints;
mod connection;
mod degraded;
mod era;
mod error;
mod events;
mod fleet;
mod greet;
mod hear;
mod identity;
mod jailed;
mod judge;
mod link;
mod listening;
mod loader;
mod maker;
mod mirror;
mod neighbours;
mod offer;
mod packages;
mod program;
mod questions;
mod remote;
mod shared;
mod standing;
mod start;

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use tagout_proto::{Digest, Document, ServerName, ToolName, qualified};
use tokio_util::sync::CancellationToken;

pub use catalogue::{Catalogue, Tool};
pub(crate) use connection::{Connection, Request};
pub use error::UpstreamError;
pub(crate) use events::Event;
use events::Events;
pub(crate) use fleet::{Fleet, TEMPLATE_BYTES, binding, fits_template};
pub(crate) use identity::digest_of;
pub use jailed::{Guarded, isolate};
pub use loader::decides_what_runs;
pub(crate) use neighbours::Neighbours;
pub use offer::Offer;
pub use program::{Program, start_of};
use shared::Known;
pub(crate) use shared::Shared;
pub(crate) use standing::TOO_LONG;
pub use standing::{Quarantine, Standing};

use crate::{
    config::{CallLimits, Isolated, Server},
    egress::EgressRecord,
    lockfile::PinnedServer,
    secrets::Secrets,
};

/// One server: started when it is needed, started again when it died, left alone when it keeps
/// dying.
pub struct Upstream {
    name: ServerName,
    server: Arc<Server>,
    program: Program,
    guarded: Arc<Guarded>,
    /// Where it goes on record what it reaches.
    egress: EgressRecord,
    secrets: Secrets,
    pinned: Option<Arc<PinnedServer>>,
    /// What its program is held against.
    started_as: Option<Arc<PinnedServer>>,
    /// Whether the lockfile has to be signed, and says nothing of it.
    unsigned: bool,
    limits: CallLimits,
    /// What it is told that clients can do, a JSON object.
    capabilities: Arc<str>,
    events: Events,
    known: Arc<Known>,
    neighbours: Arc<Neighbours>,
    /// Where it is remembered what was missing; nothing where the lockfile is only made.
    absences: Option<judge::Absences>,
    /// What runs now, for those who need not wait.
    now: RwLock<Now>,
    /// Held by whoever starts the server or asks it what it offers.
    starting: tokio::sync::Mutex<Starts>,
    /// What it is, once that was asked.
    identity: identity::Identity,
    stopped: CancellationToken,
}

#[derive(Clone, Default)]
struct Now {
    connection: Option<Arc<Connection>>,
    catalogue: Option<Arc<Catalogue>>,
}

#[derive(Default)]
struct Starts {
    at: VecDeque<Instant>,
    last: String,
}

/// Starts within [`WINDOW`] after which a server is left alone.
const STARTS: usize = 4;
const WINDOW: Duration = Duration::from_secs(60);

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upstream({})", self.name)
    }
}

impl Upstream {
    /// The server's name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &ServerName {
        &self.name
    }

    /// Whether a person has said that reading its resources and prompts only reads, or it is part
    /// of this program.
    pub(crate) fn offers_are_reviewed(&self) -> bool {
        self.program.is_built_in()
            || self.pinned.as_ref().is_some_and(|pinned| pinned.offers_reviewed)
    }

    /// What is pinned of it, if that says what prompts and templates it has.
    fn pinned_for_offers(&self) -> Option<&Arc<PinnedServer>> {
        let says = |pinned: &&Arc<PinnedServer>| !pinned.of_first_version;
        self.pinned.as_ref().filter(says).filter(|_| !self.program.is_built_in())
    }

    /// What it should say of how to use it, if the lockfile says so.
    fn pinned_instructions(&self) -> Option<Option<Digest>> {
        self.pinned_for_offers().map(|pinned| pinned.instructions)
    }

    /// Whether other clients use the same process, or session.
    pub(crate) fn is_shared(&self) -> bool {
        self.server.stateless
    }

    /// What clients call the tool or prompt that the server calls `name`.
    fn name_for_clients(&self, name: &str) -> String {
        if self.server.bare { name.to_owned() } else { qualified(&self.name, name) }
    }

    pub(crate) const fn program(&self) -> &Program {
        &self.program
    }

    pub(crate) fn limits(&self) -> &CallLimits {
        &self.limits
    }

    /// To whom it is stated who calls; nothing where its entry does not ask for that.
    pub(crate) fn audience(&self) -> Option<&str> {
        self.server.assertion.as_deref()
    }

    /// Whether it is part of this program.
    pub(crate) const fn is_built_in(&self) -> bool {
        self.program.is_built_in()
    }

    /// Whether its entry lets this key of `_meta` through.
    pub(crate) fn takes_meta(&self, key: &str) -> bool {
        self.server.meta.contains(key)
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.server.timeout
    }

    fn now(&self) -> Now {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_now(&self, connection: Arc<Connection>, catalogue: Arc<Catalogue>) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        *now = Now { connection: Some(connection), catalogue: Some(catalogue) };
    }

    /// What it offered when it was last asked; nothing before it was started.
    pub(crate) fn known(&self) -> Option<Arc<Catalogue>> {
        self.now().catalogue
    }

    /// A running server and what it offers. Starts it, and asks it again where it said that
    /// something changed.
    ///
    /// Cancel safe: a start that nobody waits for any more is undone.
    pub(crate) async fn ready(&self) -> Result<(Arc<Connection>, Arc<Catalogue>), UpstreamError> {
        match self.up_to_date() {
            Some(ready) => Ok(ready),
            None => self.waited_for(false).await,
        }
    }

    /// As [`Upstream::ready`], and asks the server anew what it offers.
    pub(crate) async fn asked_anew(&self) -> Result<Arc<Catalogue>, UpstreamError> {
        self.waited_for(true).await.map(|(_, catalogue)| catalogue)
    }

    fn up_to_date(&self) -> Option<(Arc<Connection>, Arc<Catalogue>)> {
        let now = self.now();
        let connection = now.connection.filter(|connection| connection.lives())?;
        let catalogue = now.catalogue.filter(|catalogue| catalogue.is_of(&connection))?;
        Some((connection, catalogue))
    }

    /// Starts the server and asks it what it offers, as far as that is needed, within the time that
    /// a start may take.
    async fn waited_for(
        &self,
        anew: bool,
    ) -> Result<(Arc<Connection>, Arc<Catalogue>), UpstreamError> {
        let work = async {
            let mut starts = self.starting.lock().await;
            if let (false, Some(ready)) = (anew, self.up_to_date()) {
                return Ok(ready);
            }
            let got = Box::pin(self.got_ready(&mut starts)).await;
            got.inspect_err(|error| starts.last = error.to_string())
        };
        // The wait for somebody else's start counts too.
        let limit = self.server.start_timeout;
        let work = tokio::time::timeout(limit, work);
        match self.stopped.run_until_cancelled(work).await {
            Some(Ok(got)) => got,
            Some(Err(_)) => Err(UpstreamError::Timeout(limit)),
            None => Err(UpstreamError::Died { exit: None }),
        }
    }

    async fn got_ready(
        &self,
        starts: &mut Starts,
    ) -> Result<(Arc<Connection>, Arc<Catalogue>), UpstreamError> {
        let running = self.now().connection.filter(|connection| connection.lives());
        let connection = match running {
            Some(connection) => connection,
            None => self.start(starts).await?,
        };
        let catalogue = self.ask(&connection).await?;
        self.set_now(Arc::clone(&connection), Arc::clone(&catalogue));
        Ok((connection, catalogue))
    }

    async fn start(&self, starts: &mut Starts) -> Result<Arc<Connection>, UpstreamError> {
        let now = Instant::now();
        while starts.at.front().is_some_and(|start| now.duration_since(*start) > WINDOW) {
            starts.at.pop_front();
        }
        if starts.at.len() >= STARTS {
            return Err(UpstreamError::GivenUp { starts: STARTS, last: starts.last.clone() });
        }
        starts.at.push_back(now);
        let connection = start::start(self).await?;
        if let Some(pid) = connection.pid() {
            let isolated = matches!(self.server.isolated, Isolated::Fully(_));
            let how = if isolated { "" } else { ", not isolated, as its entry says" };
            self.happened(Event::Started { how: format!("process {pid}{how}") });
            degraded::put_on_record(self).await;
        }
        Ok(connection)
    }

    /// The digest of the tool's definition as far as the server that runs has announced changes;
    /// nothing if there is no such tool any more. Starts no server.
    pub(crate) async fn definition_of(
        &self,
        tool: &ToolName,
    ) -> Result<Option<Digest>, UpstreamError> {
        let now = self.now();
        let lives = now.connection.as_ref().is_some_and(|connection| connection.lives());
        let changed = now
            .connection
            .as_ref()
            .zip(now.catalogue.as_ref())
            .is_some_and(|(connection, catalogue)| !catalogue.is_of(connection));
        let catalogue = match (changed, lives) {
            (false, _) => now.catalogue,
            (true, true) => Some(self.ready().await?.1),
            // It announced a change and died: nobody knows what its tools are now.
            (true, false) => None,
        };
        Ok(catalogue.and_then(|catalogue| Some(catalogue.tool(tool)?.digest)))
    }

    /// Ends the server, if it runs, and starts it no more.
    pub(crate) fn stop(&self) {
        self.stopped.cancel();
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = now.connection.take() {
            connection.stop();
        }
    }

    fn happened(&self, event: Event) {
        self.events.note(&self.name, event);
    }

    async fn ask(&self, connection: &Arc<Connection>) -> Result<Arc<Catalogue>, UpstreamError> {
        let asked = catalogue::ask(self, connection).await?;
        let before = self.known();
        // What was found before is on record already.
        let fresh = |finding: &&_| before.as_ref().is_none_or(|b| !b.findings.contains(finding));
        for (event, detail) in asked.findings.iter().filter(fresh) {
            self.happened(Event::Wrong { event, detail: detail.clone() });
        }
        let catalogue = Arc::new(asked);
        let says = catalogue.instructions.as_ref().map(|text| Digest::of(text.as_bytes()));
        let differs = self.pinned_instructions().is_some_and(|pinned| pinned != says);
        if differs || catalogue.holds_back() {
            self.happened(Event::Quarantines(Arc::clone(&catalogue)));
        }
        Ok(catalogue)
    }
}

/// A document made here, of parts that were read strictly.
pub(crate) fn composed(text: &str) -> Result<Document, tagout_proto::ReadError> {
    let limits = tagout_proto::Limits { frame_bytes: usize::MAX, ..Default::default() };
    Document::read(text.as_bytes(), limits)
}
