//! The `[limits]` part and `[server.NAME.limits]`: how much of everything anybody gets.
mod rate;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tagout_proto::{Limits, ServerName};
use toml::Spanned;

pub use self::rate::{Rate, Unit};
use super::{ConfigError, Reader};

/// Bounds on what one client may do.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// Bounds on a frame, from clients and from servers.
    pub frame: Limits,
    /// The largest result that is passed on, in bytes.
    pub result_bytes: usize,
    /// Requests of one client that may be under way at once.
    pub in_flight: usize,
    /// How long a person may think about an approval.
    pub approval: Duration,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            frame: Limits::default(),
            result_bytes: 1 << 20,
            in_flight: 64,
            approval: Duration::from_secs(300),
        }
    }
}

/// How much a principal, a client, a server or a tool gets. What is absent has no bound of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Calls per time.
    pub calls: Option<Rate>,
    /// Calls under way at once.
    pub at_once: Option<u32>,
    /// Bytes of requests per time.
    pub bytes_in: Option<Rate>,
    /// Bytes of results per time.
    pub bytes_out: Option<Rate>,
    /// Units per time; a call costs as many as its tool's `units` says.
    pub cost: Option<Rate>,
    /// The longest that a server may take over one call, whatever it says meanwhile.
    pub wall: Option<Duration>,
}

impl Bounds {
    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The same where nothing else is said.
    const fn or(self, other: Self) -> Self {
        /// Of two, the first that is there.
        macro_rules! first {
            ($($key:ident),*) => {
                Self { $($key: match self.$key { Some(own) => Some(own), None => other.$key }),* }
            };
        }
        first!(calls, at_once, bytes_in, bytes_out, cost, wall)
    }
}

/// Bounds for all of a kind, each for itself, and for some by name.
#[derive(Clone, Debug, Default)]
pub struct Each {
    /// What holds for whoever is not named.
    pub all: Bounds,
    /// By name.
    pub named: BTreeMap<String, Bounds>,
}

impl Each {
    /// What holds for `name`.
    #[must_use]
    pub fn of(&self, name: &str) -> Bounds {
        self.named.get(name).copied().unwrap_or(self.all)
    }
}

/// A tool's bounds, and what a call of it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolBounds {
    /// Its bounds.
    pub bounds: Bounds,
    /// What a call of it costs.
    pub units: u64,
}

/// A server's bounds, and those of its tools.
#[derive(Clone, Debug)]
pub struct ServerBounds {
    /// Its bounds, all its tools together.
    pub bounds: Bounds,
    /// Those of a tool that is not named.
    pub tool: ToolBounds,
    /// Those of tools by their names at the server.
    pub tools: HashMap<String, ToolBounds>,
}

impl ServerBounds {
    /// What holds for the tool called `name` at the server.
    #[must_use]
    pub fn of(&self, name: &str) -> ToolBounds {
        self.tools.get(name).copied().unwrap_or(self.tool)
    }
}

/// How much is kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// What one principal's calls may put on record, per time.
    pub audit: Rate,
    /// The size of the audit log, in bytes.
    pub audit_bytes: u64,
    /// The size of the state store, in bytes.
    pub store_bytes: u64,
    /// Kinds of client without a session, of one principal.
    pub clients: usize,
    /// Calls that wait for their client to come back, of one principal.
    pub parked: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            audit: Rate::bytes(64 << 30, Duration::from_secs(86_400)),
            audit_bytes: 64 << 30,
            store_bytes: 4 << 30,
            clients: 16,
            parked: 64,
        }
    }
}

/// Everybody's share.
#[derive(Clone, Debug)]
pub struct Shares {
    /// Of principals.
    pub principals: Each,
    /// Of clients, by what they call themselves; nobody vouches for that.
    pub clients: Each,
    /// Of servers that are not named.
    pub server: ServerBounds,
    /// Of servers.
    pub servers: BTreeMap<ServerName, Arc<ServerBounds>>,
    /// Of what is kept.
    pub quotas: Quotas,
}

/// The longest that a server may take over a call, wherever nothing shorter is said.
pub(crate) const WALL: Duration = Duration::from_secs(3600);

const SECOND: Duration = Duration::from_secs(1);

impl Default for Shares {
    fn default() -> Self {
        let principal = Bounds {
            calls: Some(Rate::calls(10_000, SECOND)),
            at_once: Some(512),
            bytes_in: Some(Rate::bytes(1 << 30, SECOND)),
            bytes_out: Some(Rate::bytes(1 << 30, SECOND)),
            cost: None,
            wall: Some(WALL),
        };
        let server = Bounds { at_once: Some(2048), ..principal };
        let tool = ToolBounds { bounds: Bounds::default(), units: 1 };
        Self {
            principals: Each { all: principal, named: BTreeMap::new() },
            clients: Each::default(),
            server: ServerBounds { bounds: server, tool, tools: HashMap::new() },
            servers: BTreeMap::new(),
            quotas: Quotas::default(),
        }
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenLimits {
    frame_bytes: Option<Spanned<u64>>,
    result_bytes: Option<Spanned<u64>>,
    in_flight: Option<Spanned<u64>>,
    approval_s: Option<Spanned<u64>>,
    #[serde(default)]
    principal: WrittenBounds,
    #[serde(default)]
    principals: BTreeMap<String, WrittenBounds>,
    #[serde(default)]
    client: WrittenBounds,
    #[serde(default)]
    clients: BTreeMap<String, WrittenBounds>,
    #[serde(default)]
    server: WrittenBounds,
    #[serde(default)]
    tool: WrittenTool,
    #[serde(default)]
    quota: WrittenQuota,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBounds {
    calls: Option<Spanned<String>>,
    at_once: Option<Spanned<u64>>,
    bytes_in: Option<Spanned<String>>,
    bytes_out: Option<Spanned<String>>,
    cost: Option<Spanned<String>>,
    wall_s: Option<Spanned<u64>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTool {
    calls: Option<Spanned<String>>,
    at_once: Option<Spanned<u64>>,
    bytes_in: Option<Spanned<String>>,
    bytes_out: Option<Spanned<String>>,
    cost: Option<Spanned<String>>,
    wall_s: Option<Spanned<u64>>,
    units: Option<Spanned<u64>>,
}

/// The table `[server.NAME.limits]`.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenServerLimits {
    calls: Option<Spanned<String>>,
    at_once: Option<Spanned<u64>>,
    bytes_in: Option<Spanned<String>>,
    bytes_out: Option<Spanned<String>>,
    cost: Option<Spanned<String>>,
    wall_s: Option<Spanned<u64>>,
    #[serde(default)]
    tools: BTreeMap<String, WrittenTool>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenQuota {
    audit: Option<Spanned<String>>,
    audit_mb: Option<Spanned<u64>>,
    store_mb: Option<Spanned<u64>>,
    clients: Option<Spanned<u64>>,
    parked: Option<Spanned<u64>>,
}

/// The keys that all tables of bounds have, out of a larger one.
macro_rules! bounds_of {
    ($written:expr) => {
        WrittenBounds {
            calls: $written.calls,
            at_once: $written.at_once,
            bytes_in: $written.bytes_in,
            bytes_out: $written.bytes_out,
            cost: $written.cost,
            wall_s: $written.wall_s,
        }
    };
}

impl Reader<'_> {
    pub(super) fn limits(&self, written: &WrittenLimits) -> Result<CallLimits, ConfigError> {
        let mut limits = CallLimits::default();
        let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        if let Some(n) = self.within("frame_bytes", written.frame_bytes.as_ref(), 1024..=1 << 30)? {
            limits.frame.frame_bytes = bytes(n);
        }
        let result = written.result_bytes.as_ref();
        if let Some(n) = self.within("result_bytes", result, 1024..=1 << 30)? {
            limits.result_bytes = bytes(n);
        }
        if let Some(n) = self.within("in_flight", written.in_flight.as_ref(), 1..=4096)? {
            limits.in_flight = bytes(n);
        }
        if let Some(n) = self.within("approval_s", written.approval_s.as_ref(), 1..=86_400)? {
            limits.approval = Duration::from_secs(n);
        }
        Ok(limits)
    }

    /// Everybody's share, but for the servers that have tables of their own.
    pub(super) fn shares(&self, written: WrittenLimits) -> Result<Shares, ConfigError> {
        let built_in = Shares::default();
        let principals =
            self.each(written.principal, written.principals, built_in.principals.all)?;
        let clients = self.each(written.client, written.clients, Bounds::default())?;
        let bounds = self.share(&written.server)?.or(built_in.server.bounds);
        let tool = self.tool(written.tool, built_in.server.tool)?;
        let server = ServerBounds { bounds, tool, tools: HashMap::new() };
        let quotas = self.quotas(&written.quota)?;
        Ok(Shares { principals, clients, server, servers: BTreeMap::new(), quotas })
    }

    /// A server's bounds; for what its table does not say, those of `all`.
    pub(super) fn server_bounds(
        &self,
        written: WrittenServerLimits,
        all: &ServerBounds,
    ) -> Result<ServerBounds, ConfigError> {
        let own = bounds_of!(written);
        let tools = written.tools.into_iter();
        let tools = tools.map(|(name, tool)| Ok((name, self.tool(tool, all.tool)?)));
        Ok(ServerBounds {
            bounds: self.share(&own)?.or(all.bounds),
            tool: all.tool,
            tools: tools.collect::<Result<_, _>>()?,
        })
    }

    fn each(
        &self,
        all: WrittenBounds,
        named: BTreeMap<String, WrittenBounds>,
        built_in: Bounds,
    ) -> Result<Each, ConfigError> {
        let all = self.share(&all)?.or(built_in);
        let named = named.into_iter().map(|(name, own)| Ok((name, self.share(&own)?.or(all))));
        Ok(Each { all, named: named.collect::<Result<_, _>>()? })
    }

    fn tool(&self, written: WrittenTool, all: ToolBounds) -> Result<ToolBounds, ConfigError> {
        let units = self.within("units", written.units.as_ref(), 0..=1_000_000)?;
        let own = bounds_of!(written);
        let bounds = self.share(&own)?.or(all.bounds);
        Ok(ToolBounds { bounds, units: units.unwrap_or(all.units) })
    }

    fn share(&self, written: &WrittenBounds) -> Result<Bounds, ConfigError> {
        let at_once = self.within("at_once", written.at_once.as_ref(), 1..=65_536)?;
        let wall = self.within("wall_s", written.wall_s.as_ref(), 1..=WALL.as_secs())?;
        Ok(Bounds {
            calls: self.rate("calls", written.calls.as_ref(), Unit::Calls)?,
            at_once: at_once.and_then(|n| u32::try_from(n).ok()),
            bytes_in: self.rate("bytes_in", written.bytes_in.as_ref(), Unit::Bytes)?,
            bytes_out: self.rate("bytes_out", written.bytes_out.as_ref(), Unit::Bytes)?,
            cost: self.rate("cost", written.cost.as_ref(), Unit::Calls)?,
            wall: wall.map(Duration::from_secs),
        })
    }

    fn rate(
        &self,
        what: &str,
        written: Option<&Spanned<String>>,
        unit: Unit,
    ) -> Result<Option<Rate>, ConfigError> {
        let Some(text) = written else { return Ok(None) };
        let rate = Rate::parse(text.get_ref(), unit);
        rate.map(Some).map_err(|wrong| {
            let problem = format!("`{what}` is {:?}: {wrong}", text.get_ref());
            let help = format!("write {}", unit.example());
            self.error(problem, Some(help), Some(text.span()))
        })
    }

    fn quotas(&self, written: &WrittenQuota) -> Result<Quotas, ConfigError> {
        let mut quotas = Quotas::default();
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        if let Some(rate) = self.rate("audit", written.audit.as_ref(), Unit::Bytes)? {
            quotas.audit = rate;
        }
        if let Some(n) = self.within("audit_mb", written.audit_mb.as_ref(), 1..=1 << 24)? {
            quotas.audit_bytes = n << 20;
        }
        if let Some(n) = self.within("store_mb", written.store_mb.as_ref(), 1..=1 << 20)? {
            quotas.store_bytes = n << 20;
        }
        if let Some(n) = self.within("clients", written.clients.as_ref(), 1..=256)? {
            quotas.clients = count(n);
        }
        if let Some(n) = self.within("parked", written.parked.as_ref(), 1..=1024)? {
            quotas.parked = count(n);
        }
        Ok(quotas)
    }
}

#[cfg(test)]
mod tests;
