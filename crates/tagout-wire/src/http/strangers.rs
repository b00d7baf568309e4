//! Connections of which nobody knows whose they are: they make room for those who come after them.
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::places::{Place, household};

/// What a connection holds as long as it lasts.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) permit: OwnedSemaphorePermit,
    #[expect(dead_code, reason = "it counts for its peer until it is dropped")]
    pub(super) place: Option<Place>,
    /// It came when there was no room, and is told nothing but whether the server lives.
    pub(super) spare: bool,
}

/// All connections that have shown no credential, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    by_age: BTreeMap<u64, Arc<Seat>>,
}

/// What one of them holds, until it is taken from it.
#[derive(Debug)]
struct Seat {
    household: IpAddr,
    held: Mutex<Option<Held>>,
    evicted: CancellationToken,
}

/// A connection, until this is dropped; a stranger until it is vouched for.
#[derive(Debug)]
pub(super) struct Guest {
    strangers: Arc<Strangers>,
    number: u64,
    seat: Arc<Seat>,
    known: CancellationToken,
}

impl Strangers {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // The guarded sections do not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection, from `peer`.
    pub(super) fn came(self: &Arc<Self>, peer: IpAddr, held: Held) -> Arc<Guest> {
        let evicted = CancellationToken::new();
        // What is kept for a probe helps nobody else.
        let stays = held.spare;
        let held = Mutex::new(Some(held));
        let seat = Arc::new(Seat { household: household(peer), held, evicted });
        let number = {
            let mut queue = self.queue();
            let number = queue.next;
            queue.next += 1;
            if !stays {
                queue.by_age.insert(number, Arc::clone(&seat));
            }
            number
        };
        let known = CancellationToken::new();
        Arc::new(Guest { strangers: Arc::clone(self), number, seat, known })
    }

    /// Ends the oldest, or the oldest from where `peer` is, and gives what it held.
    pub(super) fn evict(&self, peer: Option<IpAddr>) -> Option<Held> {
        let seat = {
            let mut queue = self.queue();
            let from = peer.map(household);
            let of = |seat: &Arc<Seat>| from.is_none_or(|from| seat.household == from);
            let oldest = queue.by_age.iter().find(|(_, seat)| of(seat)).map(|(age, _)| *age)?;
            queue.by_age.remove(&oldest)?
        };
        seat.evicted.cancel();
        seat.held.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Guest {
    /// Somebody knows whose it is: it stays.
    pub(super) fn vouch(&self) {
        self.strangers.queue().by_age.remove(&self.number);
        self.known.cancel();
    }

    /// When it is vouched for.
    pub(super) async fn vouched(&self) {
        self.known.cancelled().await;
    }

    /// When another took its place.
    pub(super) async fn evicted(&self) {
        self.seat.evicted.cancelled().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.strangers.queue().by_age.remove(&self.number);
    }
}
