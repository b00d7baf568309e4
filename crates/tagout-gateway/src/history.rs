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

/// What gateways kept, added up.
fn sum(parts: Vec<String>) -> Result<Happened, StoreError> {
    let mut all = Happened::default();
    for part in parts {
        let part: Happened =
            serde_json::from_str(&part).map_err(|_| StoreError::Damaged { what: "history" })?;
        all.with(&part);
    }
    // Parts may have more recent calls together than are counted.
    let too_many = all.recent.len().saturating_sub(RECENT);
    all.recent.make_contiguous().sort_unstable();
    all.recent.drain(..too_many);
    Ok(all)
}

fn written(happened: &Happened) -> Result<String, StoreError> {
    serde_json::to_string(happened).map_err(|_| StoreError::Damaged { what: "history" })
}

impl Histories {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut name = [0; 8];
        getrandom::fill(&mut name)?;
        let gateway = format!("{}-{}", std::process::id(), hex::encode(name));
        Ok(Self { gateway: gateway.into(), known: Mutex::default() })
    }

    /// What happened in `conversation`: what was kept of it by this gateway, and by those that
    /// `live` no more, goes on here.
    ///
    /// # Errors
    /// What was kept cannot be read.
    pub(crate) fn of(
        &self,
        conversation: &Conversation,
        (store, now): (&Store, Timestamp),
        live: impl Fn(u32) -> bool,
    ) -> Result<Arc<Conversed>, StoreError> {
        let mut known = locked(&self.known);
        if let Some(conversed) = known.get(conversation).and_then(Weak::upgrade) {
            return Ok(conversed);
        }
        known.retain(|_, conversed| conversed.strong_count() > 0);
        let over = |gateway: &str| {
            let pid = gateway.split('-').next().and_then(|pid| pid.parse().ok());
            pid.is_none_or(|pid| !live(pid))
        };
        let own = (&*self.gateway, now);
        let kept = store.take_up_history(conversation, own, over, |parts| written(&sum(parts)?))?;
        let here = kept.map_or_else(|| Ok(Happened::default()), |kept| sum(vec![kept]))?;
        let conversed = Arc::new(Conversed {
            conversation: conversation.clone(),
            gateway: Arc::clone(&self.gateway),
            store: store.clone(),
            here: Mutex::new(here),
            elsewhere: Mutex::default(),
        });
        known.insert(conversation.clone(), Arc::downgrade(&conversed));
        Ok(conversed)
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
        let parts = self.store.history_elsewhere(&self.conversation, &self.gateway)?;
        *locked(&self.elsewhere) = sum(parts)?;
        Ok(())
    }

    fn save(&self, here: &Happened, now: Timestamp) -> Result<(), StoreError> {
        self.store.keep_history(&self.conversation, &self.gateway, &written(here)?, now)
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

#[cfg(test)]
mod tests {
    use tagout_proto::{Origin, Principal};

    use super::*;

    fn count(at: Timestamp) -> Count {
        let (server, qualified) = ("s".to_owned(), "s__pay".to_owned());
        Count { at, server, qualified, effects: Effects::default() }
    }

    #[test]
    fn what_was_counted_outlives_its_sessions_and_its_gateway() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(&root.path().join("state.sqlite")).unwrap();
        let principal =
            Principal { user: "ann".into(), groups: [].into(), authenticated_by: "key".into() };
        let (transport, client) = ("http".into(), "c".into());
        let origin = Origin { transport, client, address: None, gateway_pid: 7 };
        let now = Timestamp::from_second(1_795_284_000).unwrap();
        let conversation = store.open_conversation(&principal, &origin, now).unwrap();
        let seen = |histories: &Histories, live: bool, makes: bool| {
            let of = histories.of(&conversation, (&store, now), |_| live).unwrap();
            let before = |history: &History| history.calls;
            let judged = of.judged((now, true), before, |_| Some(count(now))).unwrap();
            if let (true, Some(counted)) = (makes, judged.1) {
                counted.made();
            }
            judged.0
        };
        let (one, other) = (Histories::new().unwrap(), Histories::new().unwrap());
        assert_eq!(seen(&one, true, true), 0);
        assert_eq!(seen(&one, true, true), 1, "by the session before");
        assert_eq!(seen(&other, true, true), 2, "by another gateway");
        assert_eq!(seen(&one, true, false), 3);
        assert_eq!(seen(&one, true, false), 3, "what was not made after all is taken back");
        assert_eq!(seen(&other, false, true), 3, "taken up from a gateway that is gone");
        assert_eq!(seen(&other, true, false), 4, "and counted once");
    }
}
