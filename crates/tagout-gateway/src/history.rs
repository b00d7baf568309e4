//! What happened in conversations, as policy sees it: counted once for all sessions of one, and
//! added up with what other gateways counted of it.
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagout_policy::{Effects, History};
use tagout_proto::Conversation;
use tagout_store::{Store, StoreError};

/// Calls in the last minute are counted up to this.
const RECENT: usize = 1_000;
/// How many tools and servers are counted by name; names come from clients' calls of what there is,
/// so this is never reached by a server's honest list.
const NAMES: usize = 4096;
const MINUTE_MS: i64 = 60_000;

/// What happened so far, as one gateway saw it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Happened {
    so_far: History,
    /// When the last calls were made, in milliseconds.
    recent: VecDeque<i64>,
}

/// A call that is counted.
#[derive(Clone, Debug)]
pub(crate) struct Count {
    pub(crate) at: Timestamp,
    pub(crate) server: String,
    /// Its tool's name for clients.
    pub(crate) qualified: String,
    pub(crate) effects: Effects,
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    if let Some(count) = counts.get_mut(name) {
        *count = count.saturating_add(more);
    } else if counts.len() < NAMES {
        counts.insert(name.to_owned(), more);
    }
}

fn take_one(counts: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count = count.saturating_sub(1);
    }
}

impl Happened {
    /// Counts a call.
    pub(crate) fn called(&mut self, at: Timestamp, server: &str, qualified: &str, does: &Effects) {
        let (server, qualified) = (server.to_owned(), qualified.to_owned());
        self.count(&Count { at, server, qualified, effects: does.clone() });
    }

    fn count(&mut self, call: &Count) {
        self.so_far.calls = self.so_far.calls.saturating_add(1);
        add(&mut self.so_far.by_tool, &call.qualified, 1);
        add(&mut self.so_far.by_server, &call.server, 1);
        for effect in &call.effects {
            *self.so_far.by_effect.entry(*effect).or_default() += 1;
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(call.at.as_millisecond());
    }

    fn take_back(&mut self, call: &Count) {
        self.so_far.calls = self.so_far.calls.saturating_sub(1);
        take_one(&mut self.so_far.by_tool, &call.qualified);
        take_one(&mut self.so_far.by_server, &call.server);
        for effect in &call.effects {
            let count = self.so_far.by_effect.entry(*effect).or_default();
            *count = count.saturating_sub(1);
        }
        let at = call.at.as_millisecond();
        if let Some(place) = self.recent.iter().rposition(|recent| *recent == at) {
            self.recent.remove(place);
        }
    }

    /// Notes that a person approved.
    pub(crate) fn approved(&mut self, at: Timestamp) {
        self.so_far.approved_ms = Some(at.as_millisecond());
    }

    /// Notes that a person or policy said no.
    pub(crate) fn denied(&mut self, at: Timestamp) {
        self.so_far.denied_ms = Some(at.as_millisecond());
        self.so_far.denials = self.so_far.denials.saturating_add(1);
    }

    fn with(&mut self, other: &Self) {
        let (here, there) = (&mut self.so_far, &other.so_far);
        here.calls = here.calls.saturating_add(there.calls);
        here.denials = here.denials.saturating_add(there.denials);
        there.by_tool.iter().for_each(|(name, more)| add(&mut here.by_tool, name, *more));
        there.by_server.iter().for_each(|(name, more)| add(&mut here.by_server, name, *more));
        for (effect, more) in &there.by_effect {
            let count = here.by_effect.entry(*effect).or_default();
            *count = count.saturating_add(*more);
        }
        here.approved_ms = here.approved_ms.max(there.approved_ms);
        here.denied_ms = here.denied_ms.max(there.denied_ms);
        self.recent.extend(&other.recent);
    }

    /// As it stands at `now`.
    pub(crate) fn at(&self, now: Timestamp) -> History {
        let since = now.as_millisecond().saturating_sub(MINUTE_MS);
        let recent = self.recent.iter().filter(|at| **at >= since).count();
        let mut history = self.so_far.clone();
        history.by_tool.retain(|_, count| *count > 0);
        history.by_server.retain(|_, count| *count > 0);
        history.last_minute = u64::try_from(recent).unwrap_or(u64::MAX);
        history
    }
}

/// The conversations that sessions of this gateway are in.
#[derive(Debug)]
pub(crate) struct Histories {
    /// This gateway's name among those that count.
    gateway: Arc<str>,
    known: Mutex<HashMap<Conversation, Weak<Conversed>>>,
}

/// What happened in one conversation, for all sessions of it.
#[derive(Debug)]
pub(crate) struct Conversed {
    conversation: Conversation,
    gateway: Arc<str>,
    store: Store,
    here: Mutex<Happened>,
    /// What other gateways counted, as it was read last.
    elsewhere: Mutex<Happened>,
}

/// A call that is counted before it is made, so that no other is decided in between. Dropped before
/// it is, it is counted no more.
#[derive(Debug)]
pub(crate) struct Counted {
    of: Arc<Conversed>,
    call: Count,
    made: AtomicBool,
    /// Whether the count is kept where other gateways see it.
    kept: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded sections do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Histories {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut name = [0; 8];
        getrandom::fill(&mut name)?;
        Ok(Self { gateway: hex::encode(name).into(), known: Mutex::default() })
    }

    /// What happened in `conversation`.
    pub(crate) fn of(&self, conversation: &Conversation, store: &Store) -> Arc<Conversed> {
        let mut known = locked(&self.known);
        if let Some(conversed) = known.get(conversation).and_then(Weak::upgrade) {
            return conversed;
        }
        known.retain(|_, conversed| conversed.strong_count() > 0);
        let conversed = Arc::new(Conversed {
            conversation: conversation.clone(),
            gateway: Arc::clone(&self.gateway),
            store: store.clone(),
            here: Mutex::default(),
            elsewhere: Mutex::default(),
        });
        known.insert(conversation.clone(), Arc::downgrade(&conversed));
        conversed
    }
}

impl Conversed {
    /// Judges a call by what happened before, where `asks`, and counts it where `counts` gives it:
    /// in one step, so that calls at the same moment do not all see that nothing happened.
    ///
    /// # Errors
    /// What other gateways counted cannot be read, or what is counted here not kept.
    pub(crate) fn judged<T>(
        self: &Arc<Self>,
        (now, asks): (Timestamp, bool),
        judge: impl FnOnce(&History) -> T,
        counts: impl FnOnce(&T) -> Option<Count>,
    ) -> Result<(T, Option<Counted>), StoreError> {
        let mut here = locked(&self.here);
        let history = if asks {
            waiting(|| self.read())?;
            self.all(&here).at(now)
        } else {
            History::default()
        };
        let judged = judge(&history);
        let Some(call) = counts(&judged) else { return Ok((judged, None)) };
        here.count(&call);
        let (of, made) = (Arc::clone(self), AtomicBool::new(false));
        let counted = Counted { of, call, made, kept: asks };
        let saved = if asks { waiting(|| self.save(&here, now)) } else { Ok(()) };
        drop(here);
        saved.map(|()| (judged, Some(counted)))
    }

    /// As it stands at `now`, without a call that is counted already; what others counted is as it
    /// was read last.
    pub(crate) fn history(&self, now: Timestamp, without: Option<&Counted>) -> History {
        if let Err(error) = waiting(|| self.read()) {
            // Every call is judged once where this is an error.
            tracing::error!(%error, "what other gateways counted is not read");
        }
        let mut all = self.all(&locked(&self.here));
        if let Some(counted) = without {
            all.take_back(&counted.call);
        }
        all.at(now)
    }

    /// Adds to what happened; where `kept`, others see it.
    pub(crate) fn note(&self, (now, kept): (Timestamp, bool), add: impl FnOnce(&mut Happened)) {
        let mut here = locked(&self.here);
        add(&mut here);
        if kept && let Err(error) = waiting(|| self.save(&here, now)) {
            tracing::error!(%error, "what happened in a conversation is not kept");
        }
    }

    fn all(&self, here: &Happened) -> Happened {
        let mut all = here.clone();
        all.with(&locked(&self.elsewhere));
        all
    }

    fn read(&self) -> Result<(), StoreError> {
        let mut elsewhere = Happened::default();
        for part in self.store.history_elsewhere(&self.conversation, &self.gateway)? {
            let part: Happened =
                serde_json::from_str(&part).map_err(|_| StoreError::Damaged { what: "history" })?;
            elsewhere.with(&part);
        }
        *locked(&self.elsewhere) = elsewhere;
        Ok(())
    }

    fn save(&self, here: &Happened, now: Timestamp) -> Result<(), StoreError> {
        let text =
            serde_json::to_string(here).map_err(|_| StoreError::Damaged { what: "history" })?;
        self.store.keep_history(&self.conversation, &self.gateway, &text, now)
    }
}

impl Counted {
    /// The call is made, whatever comes of it.
    pub(crate) fn made(&self) {
        self.made.store(true, Ordering::Release);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.made.load(Ordering::Acquire) {
            return;
        }
        self.of.note((self.call.at, self.kept), |happened| happened.take_back(&self.call));
    }
}

/// The store must not hold up the other calls of this thread.
fn waiting<T>(work: impl FnOnce() -> T) -> T {
    let flavor = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
