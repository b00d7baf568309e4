//! Calls that wait for a client that was asked something, and that has no session: it comes back
//! with the answers, in a request of its own.
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::SignedDuration;
use tagout_proto::{Kind, Value, frame, quoted};

use crate::{
    clients::Clients,
    exchange::{Exchange, Next},
    lane::{Aside, Question},
    refusal::Refusal,
    session::Session,
    stage::{receive::Call, record::Recorded},
    state::{Bound, Held, StateError},
};

/// Calls that wait at once, of all principals; each has a quota of its own.
const WAITING: usize = 4096;
/// Questions that one answer may hold.
const QUESTIONS: usize = 16;

/// How often a call may be asked for again because an answer was missing.
const ROUNDS: u32 = 10;
/// How often calls that waited too long are looked for.
const SWEEP: Duration = Duration::from_secs(2);

/// Calls that wait.
#[derive(Default)]
pub(crate) struct Parked {
    waiting: Mutex<HashMap<u128, Waiting>>,
    /// Whether a task looks for those that waited too long.
    swept: AtomicBool,
}

struct Waiting {
    exchange: Exchange,
    questions: Vec<(String, Question)>,
    user: String,
    patience: Patience,
}

/// How long a call goes on waiting; being asked for again does not put it off.
#[derive(Clone, Copy)]
struct Patience {
    until: Instant,
    rounds: u32,
}

/// What comes of a request that may wait for its client.
pub(crate) enum Step {
    /// A notification is due before the answer: its frame.
    Tell(String),
    /// The client is to come back: the answer's frame.
    Later(Bytes),
    /// It is over.
    Done(Recorded),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded sections do not panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Parked {
    /// Gives up on everything that waits; each call comes to its end by itself.
    pub(crate) fn forget_all(&self) {
        drop(std::mem::take(&mut *locked(&self.waiting)));
    }

    /// Gives up on what waited too long; whether anything still waits.
    fn forget_late(&self) -> bool {
        let now = Instant::now();
        let mut waiting = locked(&self.waiting);
        // Their questions go with them, and so the calls end.
        let late: Vec<_> = waiting.extract_if(|_, one| one.patience.until <= now).collect();
        let some = !waiting.is_empty();
        drop(waiting);
        drop(late);
        some
    }
}

/// To whom and to what a handle for this call is bound.
pub(crate) fn bound<'a>(session: &'a Session, call: &Call) -> Bound<'a> {
    let principal = session.principal();
    Bound {
        principal: [&principal.user, &principal.authenticated_by],
        method: call.method().as_str(),
        params: call.same_in_every_request(),
    }
}

impl Clients {
    /// Waits for what happens next with a request. What is to be asked makes it wait for the
    /// client to come back, and leaves nothing of `exchange`.
    pub(crate) async fn step(
        self: &Arc<Self>,
        exchange: &mut Option<Exchange>,
        bound: &Bound<'_>,
        id: &str,
    ) -> Step {
        let Some(running) = exchange else { return Step::Done(Recorded::nothing()) };
        match running.next().await {
            Next::Tell(frame) => Step::Tell(frame),
            Next::Done(recorded) => Step::Done(recorded.under(id)),
            Next::Ask(question) => {
                let mut questions = vec![question];
                while questions.len() < QUESTIONS {
                    match running.another().await {
                        Some(Aside::Ask(question)) => questions.push(question),
                        // What it tells meanwhile is not worth another answer.
                        Some(Aside::Tell(_)) => {}
                        None => break,
                    }
                }
                let numbered = questions.into_iter().enumerate();
                let keyed = numbered.map(|(n, question)| (format!("tagout-{n}"), question));
                let Some(exchange) = exchange.take() else {
                    return Step::Done(Recorded::nothing());
                };
                let until = Instant::now() + self.gateway.config.limits.approval;
                let patience = Patience { until, rounds: 0 };
                Step::Later(self.park((exchange, keyed.collect(), patience), bound, id))
            }
        }
    }

    /// Lets a request wait, and gives the frame that asks.
    fn park(
        self: &Arc<Self>,
        (exchange, questions, patience): (Exchange, Vec<(String, Question)>, Patience),
        bound: &Bound<'_>,
        id: &str,
    ) -> Bytes {
        let failed = |refusal: Refusal| Bytes::from(frame::error(id, &refusal.for_caller(None)));
        let [user, _] = bound.principal;
        let mut number = [0; 16];
        if getrandom::fill(&mut number).is_err() {
            return failed(StateError::Unmade.into());
        }
        let number = u128::from_be_bytes(number);
        let lasts = patience.until.saturating_duration_since(Instant::now());
        if patience.rounds > ROUNDS {
            return failed(StateError::Expired.into());
        }
        let until = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::from_mins(5));
        let (held, now) = (Held::Parked { number }, self.gateway.clock.now());
        let state = match self.gateway.sealer.seal(bound, held, now, until) {
            Ok(state) => state,
            Err(error) => return failed(error.into()),
        };
        let requests = questions.iter().map(|(key, Question { method, params, .. })| {
            format!(r#"{}:{{"method":"{method}","params":{params}}}"#, quoted(key))
        });
        let requests = requests.collect::<Vec<_>>().join(",");
        {
            let mut waiting = locked(&self.parked.waiting);
            let own = waiting.values().filter(|waiting| waiting.user == user).count();
            if own >= self.gateway.config.shares.quotas.parked || waiting.len() >= WAITING {
                drop(waiting);
                return failed(Refusal::TooMany { what: "calls that wait for their client" });
            }
            let exchange = exchange.left_alone();
            let user = user.to_owned();
            waiting.insert(number, Waiting { exchange, questions, user, patience });
        }
        self.sweep();
        let (requests, state) = (format!("{{{requests}}}"), quoted(&state));
        let result = format!(
            r#"{{"resultType":"input_required","inputRequests":{requests},"requestState":{state}}}"#
        );
        Bytes::from(frame::result(id, &result))
    }

    /// Sees to it that what waits too long is given up, as long as anything waits.
    fn sweep(self: &Arc<Self>) {
        if self.parked.swept.swap(true, Ordering::AcqRel) {
            return;
        }
        let clients = Arc::downgrade(self);
        self.tasks.spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(clients) = clients.upgrade() else { return };
                if !clients.parked.forget_late() {
                    clients.parked.swept.store(false, Ordering::Release);
                    // One may have come since.
                    if !clients.parked.forget_late()
                        || clients.parked.swept.swap(true, Ordering::AcqRel)
                    {
                        return;
                    }
                }
            }
        });
    }

    /// What a client brings back: the call that waits for it, with the answers handed over; or
    /// nothing where a server knows the call again, which `call` is told.
    ///
    /// # Errors
    /// [`Refusal::State`].
    pub(crate) fn resumed(
        self: &Arc<Self>,
        session: &Session,
        call: &mut Call,
        id: &str,
    ) -> Result<Option<Resumed>, Refusal> {
        let Some(state) = call.text_param("requestState") else { return Ok(None) };
        let bound = bound(session, call);
        let now = self.gateway.clock.now();
        let number = match self.gateway.sealer.open(&state, &bound, now)? {
            Held::Parked { number } => number,
            Held::Passed(passed) => {
                call.set_held(passed);
                return Ok(None);
            }
        };
        // It is taken out, so nobody else takes it up.
        let waiting = locked(&self.parked.waiting).remove(&number);
        let Waiting { exchange, questions, patience, .. } = waiting.ok_or(StateError::Spent)?;
        let responses = call.params().and_then(|params| params.get("inputResponses"));
        let mut left = Vec::new();
        for (key, question) in questions {
            match responses.and_then(|all: Value<'_>| all.get(&key)) {
                Some(response) if response.kind() == Kind::Object => {
                    // Whoever asked may have given up.
                    drop(question.answer.send(Ok(response.raw().to_owned())));
                }
                Some(_) | None => left.push((key, question)),
            }
        }
        if left.is_empty() {
            return Ok(Some(Resumed::Running(exchange)));
        }
        let patience = Patience { rounds: patience.rounds + 1, ..patience };
        Ok(Some(Resumed::AskedAgain(self.park((exchange, left, patience), &bound, id))))
    }
}

/// A call that goes on.
pub(crate) enum Resumed {
    /// With all that it asked for.
    Running(Exchange),
    /// Something is still missing: the frame that asks for it.
    AskedAgain(Bytes),
}
