//! What a started server reaches: the proxy behind its one way out, and what of it goes on record.
use std::{
    collections::BTreeMap,
    net::TcpListener,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tagout_audit::{Durability, Log, Note};
use tagout_proto::{Principal, ServerName};
use tagout_wire::egress::{Allow, Budget, Connection, EgressBounds, Guard, Kind, Proxy};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Clock;

/// Where it goes on record what a server reached, and of whom it is.
#[derive(Clone)]
pub struct EgressRecord {
    /// The record.
    pub audit: Log,
    /// The time on it.
    pub clock: Clock,
    /// The server.
    pub server: ServerName,
    /// Whose process it is; nobody's where several share it.
    pub principal: Option<Principal>,
}

/// The proxy of one server. Dropping it ends every connection; each still goes on record.
#[derive(Debug)]
pub struct EgressTask {
    _stop: DropGuard,
}

/// What every server has used of the network, for as long as the gateway runs: started again, it does
/// not begin anew.
#[derive(Debug, Default)]
pub struct Budgets(Mutex<BTreeMap<Owner, Arc<Budget>>>);

/// A server, and whose its process is: who that is, and who says so.
type Owner = (ServerName, Option<(Arc<str>, Arc<str>)>);

impl Budgets {
    /// How many are kept. Whoever comes after these shares one with all others of the same server
    /// until some of them are whole again.
    const MOST: usize = 4096;

    /// That of one server and principal.
    #[must_use]
    pub fn of(&self, record: &EgressRecord, bounds: EgressBounds) -> Arc<Budget> {
        // The guarded section does not panic.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let whose = record.principal.as_ref();
        let whose = whose.map(|one| (Arc::clone(&one.authenticated_by), Arc::clone(&one.user)));
        let mut owner = (record.server.clone(), whose);
        if all.len() >= Self::MOST && !all.contains_key(&owner) {
            all.retain(|_, budget| Arc::strong_count(budget) > 1 || !budget.is_whole());
            if all.len() >= Self::MOST {
                owner.1 = None;
            }
        }
        let budget = all.entry(owner).or_insert_with(|| Arc::new(Budget::new(bounds)));
        if *budget.bounds() != bounds {
            *budget = Arc::new(Budget::new(bounds));
        }
        Arc::clone(budget)
    }
}

/// Serves the proxy on `listener`, which stands in the network of one server, until what this gives
/// is dropped. Within a runtime.
#[must_use]
pub fn serve(
    listener: OwnedFd,
    allow: &Allow,
    budget: Arc<Budget>,
    record: EgressRecord,
) -> EgressTask {
    serve_with(listener, (allow, Guard::new()), budget, record)
}

/// As [`serve`], with a guard of one's own.
#[must_use]
pub fn serve_with(
    listener: OwnedFd,
    (allow, guard): (&Allow, Guard),
    budget: Arc<Budget>,
    record: EgressRecord,
) -> EgressTask {
    let stop = CancellationToken::new();
    let book = Arc::new(Book { record, flood: Mutex::default() });
    let writes = Arc::clone(&book);
    let report = Arc::new(move |connection: &Connection| writes.put(connection));
    let proxy = Proxy::within(allow.clone(), guard, budget, report);
    let told = stop.clone();
    tokio::spawn(async move {
        let serving = proxy.serve(TcpListener::from(listener), told.clone());
        tokio::select! {
            served = serving => {
                if let Err(error) = served {
                    tracing::error!(server = %book.record.server, %error, "has no way out");
                }
            }
            () = book.counts() => {}
        }
        book.counted();
    });
    EgressTask { _stop: stop.drop_guard() }
}

/// Writes down what became of connections: each that came about, and of those that were refused the
/// first of every second, and how many more there were.
struct Book {
    record: EgressRecord,
    flood: Mutex<Flood>,
}

/// What was refused in one second.
#[derive(Default)]
struct Flood {
    second: i64,
    /// How many more than the one that is on record.
    more: u64,
}

const SECOND: Duration = Duration::from_secs(1);

impl Book {
    /// Whether what there is to say is on record.
    fn put(&self, connection: &Connection) -> bool {
        let now = self.record.clock.now();
        let denied = connection.refused.as_ref().is_some_and(|refused| refused.is_denial());
        if denied {
            let mut flood = self.flood();
            if flood.second == now.as_second() {
                flood.more += 1;
                return true;
            }
            let before = std::mem::replace(&mut *flood, Flood { second: now.as_second(), more: 0 });
            drop(flood);
            if !self.many(now, before.more) {
                return false;
            }
        }
        let event = if denied { "egress-denied" } else { "egress" };
        self.note(now, (event, connection.subject.as_deref(), &told(connection)))
    }

    /// Writes down, second by second, how many more there were; does not end.
    async fn counts(&self) {
        let mut seconds = interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            if self.flood().second != self.record.clock.now().as_second() {
                self.counted();
            }
        }
    }

    /// Writes down how many more there were.
    fn counted(&self) -> bool {
        let more = std::mem::take(&mut self.flood().more);
        self.many(self.record.clock.now(), more)
    }

    fn many(&self, now: Timestamp, more: u64) -> bool {
        if more == 0 {
            return true;
        }
        let detail = format!("{more} more connections were refused within a second");
        self.note(now, ("egress-denied", None, &detail))
    }

    fn note(&self, now: Timestamp, (event, subject, detail): (&str, Option<&str>, &str)) -> bool {
        let mut note = Note::new(now, event);
        note.server = Some(&self.record.server);
        note.principal = self.record.principal.as_ref();
        note.subject = subject;
        note.detail = Some(detail);
        let written = self.record.audit.note(&note, Durability::System);
        if let Err(error) = &written {
            let server = &self.record.server;
            tracing::error!(%server, %error, "what it reaches is not on record: it reaches nothing more");
        }
        written.is_ok()
    }

    fn flood(&self) -> MutexGuard<'_, Flood> {
        // The guarded sections do not panic.
        self.flood.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in words.
fn told(connection: &Connection) -> String {
    let kind = match connection.kind {
        Kind::Unread => "no request that could be read",
        Kind::Tunnel => "tunnel",
        Kind::Request => "HTTP request",
    };
    let mut text = kind.to_owned();
    if let Some(address) = connection.address {
        text.push_str(&format!(" to {address}"));
    }
    if connection.bytes_out > 0 || connection.bytes_in > 0 {
        let Connection { bytes_out, bytes_in, .. } = connection;
        text.push_str(&format!(", {bytes_out} bytes out, {bytes_in} bytes in"));
    }
    text.push_str(&format!(", {:.3} s", connection.lasted.as_secs_f64()));
    if let Some(refused) = &connection.refused {
        text.push_str(&format!("; {}: {refused}", refused.code()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(dir: &tempfile::TempDir, user: Option<&str>) -> EgressRecord {
        let clock = Clock::new(|| Timestamp::UNIX_EPOCH);
        let audit = Log::open(&dir.path().join("audit"), &dir.path().join("head.key"), clock.now());
        let principal = user.map(|user| Principal {
            user: user.into(),
            groups: [user.to_owned()].into(),
            authenticated_by: "test".into(),
        });
        let server = ServerName::try_from("fetch").unwrap();
        EgressRecord { audit: audit.unwrap(), clock, server, principal }
    }

    #[test]
    fn a_budget_is_the_same_at_the_next_start_and_another_for_others() {
        let dir = tempfile::tempdir().unwrap();
        let (budgets, bounds) = (Budgets::default(), EgressBounds::default());
        let mut ann = record(&dir, Some("ann"));
        let first = budgets.of(&ann, bounds);
        if let Some(ann) = &mut ann.principal {
            ann.groups.clear();
        }
        assert!(Arc::ptr_eq(&first, &budgets.of(&ann, bounds)));
        ann.principal = None;
        assert!(!Arc::ptr_eq(&first, &budgets.of(&ann, bounds)));
        ann.server = ServerName::try_from("other").unwrap();
        let others = budgets.of(&ann, bounds);
        let narrower = EgressBounds { connections: 1, ..bounds };
        assert!(!Arc::ptr_eq(&others, &budgets.of(&ann, narrower)));
    }

    #[test]
    fn so_many_are_kept_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let (budgets, bounds) = (Budgets::default(), EgressBounds::default());
        let mut one = record(&dir, None);
        let mut of = |number: usize| {
            one.principal = Some(Principal {
                user: number.to_string().into(),
                groups: Default::default(),
                authenticated_by: "test".into(),
            });
            budgets.of(&one, bounds)
        };
        let held: Vec<_> = (0..Budgets::MOST).map(&mut of).collect();
        let (next, after) = (of(Budgets::MOST), of(Budgets::MOST + 1));
        assert!(Arc::ptr_eq(&next, &after), "they share one");
        drop(held);
        assert!(!Arc::ptr_eq(&next, &of(Budgets::MOST + 2)));
    }
}
