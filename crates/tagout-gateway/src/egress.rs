//! What a started server reaches: the proxy behind its one way out, and what of it goes on record.
use std::{
    net::TcpListener,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tagout_audit::{Durability, Log, Note};
use tagout_proto::{Principal, ServerName};
use tagout_wire::egress::{Allow, Connection, EgressBounds, Guard, Kind, Proxy};
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

/// Serves the proxy on `listener`, which stands in the network of one server, until what this gives
/// is dropped. Within a runtime.
#[must_use]
pub fn serve(
    listener: OwnedFd,
    allow: &Allow,
    bounds: EgressBounds,
    record: EgressRecord,
) -> EgressTask {
    serve_with(listener, (allow, Guard::new()), bounds, record)
}

/// As [`serve`], with a guard of one's own.
#[must_use]
pub fn serve_with(
    listener: OwnedFd,
    (allow, guard): (&Allow, Guard),
    bounds: EgressBounds,
    record: EgressRecord,
) -> EgressTask {
    let stop = CancellationToken::new();
    let book = Arc::new(Book { record, flood: Mutex::default() });
    let writes = Arc::clone(&book);
    let report = Arc::new(move |connection: &Connection| writes.put(connection));
    let proxy = Proxy::new(allow.clone(), guard, bounds, report);
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
