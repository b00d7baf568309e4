//! A conversation that goes on, where the agent loop keeps it.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tagout_gateway::Clock;
use tagout_host::{Journal, JournalError, Said};
use tagout_llm::{Message, Role};
use tagout_store::{About, OpenSession, SessionError, SessionId, Sessions};

use super::entry::{Entry, Spoken};

/// Puts on record what passed between person, host and model; gives the record's number.
pub(crate) type Recorder = Box<dyn FnMut(&Said<'_>) -> Result<Option<u64>, JournalError> + Send>;

/// The longest title, in characters.
const TITLE: usize = 80;

/// A conversation that goes on. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Mutex<Inner>>);

struct Inner {
    /// Where it is kept; nowhere if the configuration does not want it.
    sessions: Option<Sessions>,
    session: Option<OpenSession>,
    model: String,
    clock: Clock,
    recorder: Option<Recorder>,
}

/// What a conversation has cost so far, as far as its providers counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Tokens read.
    pub(crate) input_tokens: u64,
    /// Tokens written.
    pub(crate) output_tokens: u64,
}

impl Spent {
    /// The sum of what was kept.
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut spent = Self::default();
        for entry in entries {
            if let Entry::Said { said: Spoken { tokens: Some([read, written]), .. }, .. } = entry {
                spent.input_tokens = spent.input_tokens.saturating_add(*read);
                spent.output_tokens = spent.output_tokens.saturating_add(*written);
            }
        }
        spent
    }
}

impl Kept {
    /// Kept nowhere; what is said goes on record all the same.
    pub(super) fn nowhere(clock: Clock, recorder: Option<Recorder>) -> Self {
        let model = String::new();
        Self::with(Inner { sessions: None, session: None, model, clock, recorder })
    }

    /// Kept in the store: `session` goes on, or another begins.
    pub(super) fn in_store(
        sessions: Sessions,
        session: Option<OpenSession>,
        (model, clock): (&str, Clock),
        recorder: Option<Recorder>,
    ) -> Self {
        let (sessions, model) = (Some(sessions), model.to_owned());
        Self::with(Inner { sessions, session, model, clock, recorder })
    }

    fn with(inner: Inner) -> Self {
        Self(Arc::new(Mutex::new(inner)))
    }

    /// A thread that panicked has left a session that is as it was stored.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its identifier, once something of it is kept.
    pub(crate) fn id(&self) -> Option<SessionId> {
        let inner = self.lock();
        inner.session.as_ref().filter(|session| session.turns() > 0).map(|s| s.id().clone())
    }

    /// The name by which others know it, also before anything of it is kept: its identifier, where
    /// it is to be kept.
    pub(crate) fn name(&self) -> Result<String, JournalError> {
        let mut inner = self.lock();
        let now = inner.clock.now();
        let Inner { sessions, session, .. } = &mut *inner;
        let Some(sessions) = sessions else {
            let mut name = [0; 16];
            getrandom::fill(&mut name).map_err(|error| JournalError {
                code: "state-unavailable",
                message: format!("there is no randomness: {error}"),
            })?;
            return Ok(hex::encode(name));
        };
        let session = match session {
            Some(session) => session,
            none => none.insert(sessions.begin(About::default(), now).map_err(|e| not_kept(&e))?),
        };
        Ok(session.id().to_string())
    }

    /// Puts on record what is said, with `recorder` from now on.
    pub(crate) fn record_with(&self, recorder: Recorder) {
        self.lock().recorder = Some(recorder);
    }

    /// Puts nothing on record any more.
    pub(crate) fn record_no_more(&self) {
        self.lock().recorder = None;
    }

    /// Another model answers from now on.
    pub(crate) fn answered_by(&self, model: &str) {
        model.clone_into(&mut self.lock().model);
    }
}

impl Journal for Kept {
    fn keep(&mut self, message: &Message) -> Result<(), JournalError> {
        self.lock().keep(message)
    }

    fn record(&mut self, said: &Said<'_>) -> Result<Option<u64>, JournalError> {
        let mut inner = self.lock();
        let record = inner.recorder.as_mut().map(|record| record(said)).transpose()?.flatten();
        inner.note(Spoken::of(said, record))?;
        Ok(record)
    }
}

impl Inner {
    fn keep(&mut self, message: &Message) -> Result<(), JournalError> {
        let title = (message.role == Role::User).then(|| titled(&message.joined_text()));
        let at = self.clock.now();
        self.append(&Entry::Message { at, message: message.clone() }, |about| {
            about.messages += 1;
            if let Some(title) = title.filter(|_| about.title.is_empty()) {
                about.title = title;
            }
        })
    }

    fn note(&mut self, said: Spoken) -> Result<(), JournalError> {
        let at = self.clock.now();
        self.append(&Entry::Said { at, said }, |_| {})
    }

    fn append(
        &mut self,
        entry: &Entry,
        change: impl FnOnce(&mut About),
    ) -> Result<(), JournalError> {
        let Some(sessions) = &self.sessions else { return Ok(()) };
        let now = self.clock.now();
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(sessions.begin(About::default(), now).map_err(|e| not_kept(&e))?),
        };
        let mut about = session.about().clone();
        about.model.clone_from(&self.model);
        change(&mut about);
        session.set_about(about);
        let turn = entry.written().ok_or_else(|| JournalError {
            code: "session-not-valid",
            message: "a message cannot be written".to_owned(),
        })?;
        sessions.append(session, &turn, now).map_err(|error| not_kept(&error))
    }
}

/// The first line of what was asked first.
fn titled(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(TITLE).collect()
}

fn not_kept(error: &SessionError) -> JournalError {
    JournalError { code: error.code(), message: format!("{error}; {}", error.help()) }
}

#[cfg(test)]
mod tests;
