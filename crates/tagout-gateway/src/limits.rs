//! Everybody's share: how often, how much at once, how many bytes, at what cost.
//!
//! A call takes from its principal and its client where it is identified, and from its server and
//! its tool where it is decided, before any person is asked. What it holds it gives back when it is
//! over, by being dropped. What is refused here is counted rather than recorded one by one.
//!
//! All of this is of one process: several gateways over one state each have shares of their own.
mod bucket;
mod cell;
mod counted;
mod over;
mod permit;
mod room;
mod table;
mod tasks;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tagout_audit::Log;
use tagout_proto::{Method, Origin, Principal, ServerName};

pub use self::over::Over;
use self::{
    bucket::Bucket,
    cell::{Cell, Demand, Short},
    permit::Taken,
    room::Room,
    table::{Lapses, Table},
    tasks::Tasks,
};
pub(crate) use self::{
    counted::Counted,
    over::{Measure, Whose},
    permit::Permit,
};
use crate::{
    Clock,
    config::{Bounds, Shares},
    refusal::Refusal,
    stage::{
        inspect::{Inspected, Target},
        receive::Call,
    },
};

/// Principals with a share of their own at a time; each needs a credential.
const PRINCIPALS: usize = 4096;
/// Clients of one principal with a share of their own; they name themselves.
const CLIENTS: usize = 32;
const SERVERS: usize = 4096;
/// Tools of one server.
const TOOLS: usize = 4096;
/// What a request takes before it is read.
const ENTRY: Demand = Demand { calls: 1, places: 0, bytes_in: 0, cost: 0 };
/// What a call puts on record beside what it says, in bytes: its three lines, about.
const LINES: u64 = 2 << 10;

/// Everybody's share.
#[derive(Debug)]
pub(crate) struct Limits {
    start: Instant,
    shares: Shares,
    principals: Table<Node>,
    servers: Table<Node>,
    pub(crate) counted: Arc<Counted>,
    pub(crate) tasks: Tasks,
    room: Arc<Room>,
}

/// A share, and the shares within it.
#[derive(Debug)]
struct Node {
    cell: Arc<Cell>,
    within: Table<Cell>,
}

impl Lapses for Node {
    fn is_idle(&self, now: Instant) -> bool {
        self.cell.is_idle(now)
    }
}

impl Lapses for Cell {
    fn is_idle(&self, now: Instant) -> bool {
        Self::is_idle(self, now)
    }
}

fn over(whose: Whose, short: Short) -> Over {
    let Short { measure, bound, wait } = short;
    Over { whose, measure, bound: bound.into(), wait }
}

impl Limits {
    /// The shares that the configuration gives; refusals go on record in `log`, and the state in
    /// `state` is held against its quotas.
    pub(crate) fn new(shares: Shares, (log, clock): (Log, Clock), state: &Path) -> Self {
        let room = Room::of(state, &shares.quotas);
        Self {
            start: Instant::now(),
            shares,
            principals: Table::new(PRINCIPALS),
            servers: Table::new(SERVERS),
            counted: Counted::new(log, clock),
            tasks: Tasks::default(),
            room,
        }
    }

    fn principal(&self, user: &str, now: Instant) -> Arc<Node> {
        self.principals.of(user, now, || {
            let bounds = self.shares.principals.of(user);
            let audit = Some(Bucket::new(self.shares.quotas.audit));
            let cell = Cell::new(self.start, bounds, audit);
            Arc::new(Node { cell, within: Table::new(CLIENTS) })
        })
    }

    /// Lets a call of `principal` through to where its arguments are looked at, or refuses it; what
    /// is `urgent` gets through and is owed.
    ///
    /// # Errors
    /// The limit of the principal, of the client, or of what is kept, that is reached.
    pub(crate) fn admit(
        &self,
        (principal, origin): (&Principal, &Origin),
        call: &Call,
        urgent: bool,
    ) -> Result<Permit, Over> {
        let now = Instant::now();
        let node = self.principal(&principal.user, now);
        let answers = call.id().is_some();
        if answers && call.method() != Method::Ping {
            self.room.look(now)?;
        }
        let bytes_in = call.bytes();
        let demand = Demand { calls: 1, places: answers.into(), bytes_in, cost: 0 };
        if urgent {
            let calls = if call.is_paid() { 0 } else { 1 };
            node.cell.owe(Demand { calls, ..demand }, now);
            return Ok(Permit::default());
        }
        let take = if call.is_paid() { Taken::take_paid } else { Taken::take };
        let own = take(&node.cell, demand, now);
        let own = own.map_err(|short| over(Whose::Principal, short))?;
        let mut permit = Permit::of(own);
        if let Some(client) = self.client(&node, &origin.client, now) {
            match Taken::take(&client, demand, now) {
                Ok(taken) => permit.add(taken),
                Err(short) => {
                    permit.undo();
                    return Err(over(Whose::Client, short));
                }
            }
        }
        if answers && call.method() != Method::Ping {
            node.cell.recorded(LINES + bytes_in, now);
        }
        Ok(permit)
    }

    /// The share of the client that calls itself `name`, with its version; nothing where clients
    /// have none.
    fn client(&self, node: &Node, name: &str, now: Instant) -> Option<Arc<Cell>> {
        let clients = &self.shares.clients;
        let is = |known: &str| {
            let rest = name.strip_prefix(known);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let named = clients.named.iter().filter(|(known, _)| is(known));
        let named = named.max_by_key(|(known, _)| known.len());
        // With another version it is no other client.
        let short = name.rsplit_once(' ').map_or(name, |(name, _)| name);
        let (name, bounds) =
            named.map_or((short, clients.all), |(known, bounds)| (known.as_str(), *bounds));
        if bounds.is_none() {
            return None;
        }
        Some(node.within.of(name, now, || Cell::new(self.start, bounds, None)))
    }

    /// Lets a call that is not denied through to its server, or refuses it.
    ///
    /// # Errors
    /// The limit of the server, of the tool, or of what the principal's calls may cost, that is
    /// reached.
    pub(crate) fn reach(&self, inspected: &Inspected) -> Result<Permit, Over> {
        let Some(server) = inspected.server() else { return Ok(Permit::default()) };
        let now = Instant::now();
        self.tasks.sweep(now);
        let call = inspected.identified().call();
        let bounds = self.shares.servers.get(server).map_or(&self.shares.server, |own| own);
        let tool = match inspected.target() {
            Target::Tool { tool, .. } => {
                Some((bounds.of(tool.name.as_str()), tool.qualified.as_str()))
            }
            Target::Session
            | Target::Resource { .. }
            | Target::Prompt { .. }
            | Target::Task { .. } => None,
        };
        let cost = tool.map_or(1, |(tool, _)| tool.units);
        // Who could not ask about a task would never learn that its place is free.
        let places = u32::from(!matches!(inspected.target(), Target::Task { .. }));
        let demand = Demand { calls: 1, places, bytes_in: call.bytes(), cost };
        let own = inspected.identified().permit();
        own.pay(cost, now).map_err(|short| over(Whose::Principal, short))?;
        let reached = self.reached(server, bounds.bounds, tool, demand);
        if reached.is_err() {
            own.paid_back(cost);
        }
        reached
    }

    fn reached(
        &self,
        server: &ServerName,
        bounds: Bounds,
        tool: Option<(crate::config::ToolBounds, &str)>,
        demand: Demand,
    ) -> Result<Permit, Over> {
        let now = Instant::now();
        let node = self.servers.of(server.as_str(), now, || {
            let cell = Cell::new(self.start, bounds, None);
            Arc::new(Node { cell, within: Table::new(TOOLS) })
        });
        let taken = Taken::take(&node.cell, demand, now);
        let taken = taken.map_err(|short| over(Whose::Server(server.clone()), short))?;
        let mut permit = Permit::of(taken);
        let Some((tool, name)) = tool.filter(|(tool, _)| !tool.bounds.is_none()) else {
            return Ok(permit);
        };
        let cell = node.within.of(name, now, || Cell::new(self.start, tool.bounds, None));
        match Taken::take(&cell, demand, now) {
            Ok(taken) => permit.add(taken),
            Err(short) => {
                permit.undo();
                return Err(over(Whose::Tool(server.clone(), name.into()), short));
            }
        }
        Ok(permit)
    }

    /// Takes a call of `principal` for a request that is not read yet.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(crate) fn enter(&self, principal: &Principal) -> Result<(), Over> {
        let now = Instant::now();
        let node = self.principal(&principal.user, now);
        node.cell.take(ENTRY, now).map_err(|short| over(Whose::Principal, short))
    }

    /// Gives back what [`Self::enter`] took, where what was read is counted by itself.
    pub(crate) fn counts_itself(&self, principal: &Principal) {
        self.principal(&principal.user, Instant::now()).cell.give_back(ENTRY);
    }

    /// Counts what is no call of its own, and came anyhow.
    pub(crate) fn owes(&self, principal: &Principal, calls: u64, bytes_in: u64) {
        let now = Instant::now();
        let demand = Demand { calls, bytes_in, ..Demand::default() };
        self.principal(&principal.user, now).cell.owe(demand, now);
    }

    /// What is answered to a request that is refused before it is a call: that, or that there are
    /// too many.
    pub(crate) fn refusing(&self, principal: &Principal, refusal: Refusal) -> Refusal {
        let now = Instant::now();
        let node = self.principal(&principal.user, now);
        let demand = Demand { calls: 1, ..Demand::default() };
        match node.cell.take(demand, now) {
            Ok(()) => {
                node.cell.recorded(LINES, now);
                refusal
            }
            Err(short) => Refusal::Limit(over(Whose::Principal, short)),
        }
    }

    /// Notes one of so many refusals that they are not recorded one by one.
    pub(crate) fn refused_too_often(&self, principal: &Principal, most: u32) {
        let bound = format!("{most}/min").into();
        let wait = Duration::from_secs(60);
        let (whose, measure) = (Whose::Principal, Measure::Refused);
        self.counted.count(principal, &Over { whose, measure, bound, wait: Some(wait) });
    }
}

#[cfg(test)]
mod tests;
