//! Requests that a server has not answered yet.
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tagout_proto::{Frame, Method};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{UpstreamError, connection::Request};
use crate::lane::Lane;

/// Requests that a server has not answered yet, the oldest first.
#[derive(Default)]
pub(super) struct Calls(Mutex<Table>);

#[derive(Default)]
struct Table {
    waiting: BTreeMap<u64, Waiting>,
    /// Withdrawn of late, so that an answer to them is nothing to speak of.
    withdrawn: VecDeque<u64>,
    wrongs: u32,
    over: Option<UpstreamError>,
}

struct Waiting {
    /// Nothing where whoever asked reads the answer itself.
    answer: Option<oneshot::Sender<Answer>>,
    call: Arc<UnderWay>,
}

/// What a request comes to.
pub(super) type Answer = Result<Frame, UpstreamError>;

/// One request, as what its server says meanwhile refers to it.
pub(super) struct UnderWay {
    pub(super) id: u64,
    /// The client's progress token, a JSON text.
    pub(super) progress: Option<String>,
    /// The way back to the client.
    pub(super) lane: Option<Lane>,
    /// Whether its answer defines what is pinned.
    pub(super) defines: bool,
    questions: Mutex<Questions>,
}

/// How long questions of a call have kept it waiting.
#[derive(Default)]
struct Questions {
    open: u32,
    since: Option<Instant>,
    before: Duration,
}

/// Withdrawn ids that are remembered.
const WITHDRAWN: usize = 256;
/// The longest that a call may take with all its questions.
const LONGEST: Duration = Duration::from_secs(600);
/// How often a call whose questions are open is looked at.
const LOOK: Duration = Duration::from_millis(200);

impl UnderWay {
    pub(super) fn new(id: u64, progress: Option<String>, lane: Option<Lane>) -> Arc<Self> {
        Arc::new(Self { id, progress, lane, defines: false, questions: Mutex::default() })
    }

    /// Takes of a request what its answer needs.
    pub(super) fn of(request: &mut Request) -> Arc<Self> {
        let defines = matches!(
            request.method,
            Method::Initialize
                | Method::Discover
                | Method::ToolsList
                | Method::PromptsList
                | Method::ResourcesList
                | Method::ResourceTemplatesList
        );
        let (progress, lane) = (request.progress.take(), request.lane.take());
        Arc::new(Self { id: request.id, progress, lane, defines, questions: Mutex::default() })
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        // The guarded sections do not panic.
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question of the call is open until the guard is dropped; its time does not count.
    pub(super) fn asks(self: &Arc<Self>) -> Asking {
        let mut questions = self.questions();
        questions.open += 1;
        questions.since.get_or_insert_with(Instant::now);
        drop(questions);
        Asking(Arc::clone(self))
    }

    /// What `work` gives within `limit`, without the time that questions took.
    ///
    /// # Errors
    /// [`UpstreamError::Timeout`].
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let start = Instant::now();
        let mut work = std::pin::pin!(work);
        let mut until = start + limit;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep_until(until) => {}
            }
            until = self.deadline(start, limit);
            if until <= Instant::now() {
                return Err(UpstreamError::Timeout(limit));
            }
        }
    }

    fn deadline(&self, start: Instant, limit: Duration) -> Instant {
        let now = Instant::now();
        let questions = self.questions();
        let asked = questions.before + questions.since.map_or(Duration::ZERO, |since| now - since);
        let mut until = start + limit + asked;
        if questions.open > 0 {
            // The answer may come late in this time, and the rest has to be enough then.
            until = until.max(now + LOOK);
        }
        until.min(start + LONGEST.max(limit))
    }
}

/// A question of a call that is open.
pub(super) struct Asking(Arc<UnderWay>);

impl Drop for Asking {
    fn drop(&mut self) {
        let mut questions = self.0.questions();
        questions.open -= 1;
        if let (0, Some(since)) = (questions.open, questions.since) {
            questions.before += since.elapsed();
            questions.since = None;
        }
    }
}

impl Calls {
    fn table(&self) -> MutexGuard<'_, Table> {
        // The guarded sections do not panic; if one did, the calls are still the calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request whose answer arrives by itself.
    ///
    /// # Errors
    /// The server is over.
    pub(super) fn await_answer(
        &self,
        call: &Arc<UnderWay>,
    ) -> Result<oneshot::Receiver<Answer>, UpstreamError> {
        let (answer, answered) = oneshot::channel();
        self.note(call, Some(answer))?;
        Ok(answered)
    }

    /// Notes a request whose answer is read by whoever asks.
    ///
    /// # Errors
    /// The server is over.
    pub(super) fn begin(&self, call: &Arc<UnderWay>) -> Result<(), UpstreamError> {
        self.note(call, None)
    }

    fn note(
        &self,
        call: &Arc<UnderWay>,
        answer: Option<oneshot::Sender<Answer>>,
    ) -> Result<(), UpstreamError> {
        let mut table = self.table();
        if let Some(over) = &table.over {
            return Err(over.clone());
        }
        table.waiting.insert(call.id, Waiting { answer, call: Arc::clone(call) });
        Ok(())
    }

    /// Hands on the answer to the request `id`; gives it back if nobody waits for it here.
    pub(super) fn answered(&self, id: u64, frame: Frame) -> Option<Frame> {
        let mut table = self.table();
        if table.withdrawn.contains(&id) {
            return None;
        }
        let Some(waiting) = table.waiting.get_mut(&id) else { return Some(frame) };
        let Some(answer) = waiting.answer.take() else { return Some(frame) };
        table.waiting.remove(&id);
        drop(table);
        // Whoever no longer waits needs no answer.
        drop(answer.send(Ok(frame)));
        None
    }

    /// The request is answered, or given up without a word.
    pub(super) fn finished(&self, id: u64) {
        self.table().waiting.remove(&id);
    }

    /// The request is taken back.
    pub(super) fn withdrawn(&self, id: u64) {
        let mut table = self.table();
        table.waiting.remove(&id);
        table.withdrawn.push_back(id);
        if table.withdrawn.len() > WITHDRAWN {
            table.withdrawn.pop_front();
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<Arc<UnderWay>> {
        self.table().waiting.get(&id).map(|waiting| Arc::clone(&waiting.call))
    }

    /// The oldest request that has a way back to its client.
    pub(super) fn oldest_with_lane(&self) -> Option<Arc<UnderWay>> {
        let table = self.table();
        let mut calls = table.waiting.values().map(|waiting| &waiting.call);
        calls.find(|call| call.lane.is_some()).cloned()
    }

    /// Fails what waits now.
    pub(super) fn fail(&self, why: &UpstreamError) {
        let waiting = std::mem::take(&mut self.table().waiting);
        Self::tell(waiting, why);
    }

    /// Fails what waits, now and later.
    pub(super) fn over(&self, why: UpstreamError) {
        let waiting = {
            let mut table = self.table();
            table.over.get_or_insert(why.clone());
            std::mem::take(&mut table.waiting)
        };
        Self::tell(waiting, &why);
    }

    fn tell(waiting: BTreeMap<u64, Waiting>, why: &UpstreamError) {
        for answer in waiting.into_values().filter_map(|waiting| waiting.answer) {
            // Whoever no longer waits needs no answer.
            drop(answer.send(Err(why.clone())));
        }
    }

    /// Why the server is over, if it is.
    pub(super) fn why_over(&self) -> Option<UpstreamError> {
        self.table().over.clone()
    }

    /// Counts what the server did wrong.
    pub(super) fn wrong(&self) -> u32 {
        let mut table = self.table();
        table.wrongs += 1;
        table.wrongs
    }
}
