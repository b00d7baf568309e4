//! Signs in groups: a thread that comes after the lines that nobody waits for.
use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

/// How long a line may stand unsigned.
pub(crate) const SIGNED_WITHIN: Duration = Duration::from_millis(50);

/// How the signing thread is woken.
#[derive(Debug, Default)]
pub(crate) struct Signer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is unsigned.
    #[default]
    Idle,
    /// Something is.
    Due,
    /// The log was closed.
    Closed,
}

impl Signer {
    /// Starts the thread, which calls `sign` a while after [`Signer::wake`] until that gives
    /// `false`. Nothing if the operating system has no thread to give.
    pub(crate) fn start(sign: impl Fn() -> bool + Send + 'static) -> Option<Arc<Self>> {
        let signer = Arc::new(Self::default());
        let waiter = Arc::clone(&signer);
        let run = move || while waiter.wait() && sign() {};
        thread::Builder::new().name("audit-head".to_owned()).spawn(run).ok()?;
        Some(signer)
    }

    /// Says that something is to be signed.
    pub(crate) fn wake(&self) {
        self.put(State::Due);
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        self.put(State::Closed);
    }

    fn put(&self, state: State) {
        let mut now = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != State::Closed {
            *now = state;
        }
        drop(now);
        self.changed.notify_one();
    }

    /// Waits until something has been due for a while; `false` if the log was closed.
    fn wait(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.changed.wait_while(state, |state| *state == State::Idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, SIGNED_WITHIN, |s| *s != State::Closed);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let open = *state != State::Closed;
        if open {
            *state = State::Idle;
        }
        open
    }
}
