//! The sessions of clients that shake hands, from before their servers start until they end.
use std::sync::Arc;

use super::{Front, locked, replay::Streams};
use crate::{keys::Caller, refusal::Refusal, session::Session};

/// A session and what its streams said.
pub(super) struct HttpSession {
    pub(super) session: Arc<Session>,
    pub(super) streams: Streams,
}

impl HttpSession {
    pub(super) fn end(&self) {
        self.session.news.set_outlet(None);
        self.session.end();
    }
}

/// A session that has its place among the others, and ends with this unless it is kept.
pub(super) struct Opening {
    front: Arc<Front>,
    id: Option<String>,
    pub(super) session: Arc<Session>,
}

impl Opening {
    /// Its name; nobody knows it yet.
    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// Lets it stay until its client or the gateway ends it.
    pub(super) fn keep(mut self) {
        self.id = None;
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let Some(id) = &self.id else { return };
        let session = locked(&self.front.sessions).remove(id);
        // Whoever took it out ends it.
        if let Some(session) = session {
            session.end();
        }
    }
}

/// A session for one refusal.
pub(super) struct Stranger(pub(super) Arc<Session>);

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A name that nobody guesses.
fn unguessable() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

impl Front {
    /// The session `id` of this caller; another's is as if it did not exist, also of another key
    /// that is called the same.
    pub(super) fn session(&self, caller: &Caller, id: &str) -> Option<Arc<HttpSession>> {
        let session = locked(&self.sessions).get(id).cloned()?;
        let (owner, principal) = (session.session.principal(), &caller.principal);
        let same = session.session.key() == Some(&caller.key)
            && owner.user == principal.user
            && owner.authenticated_by == principal.authenticated_by
            && owner.groups == principal.groups;
        if same {
            session.session.touch();
        }
        same.then_some(session)
    }

    /// A new session under a name of its own, with its place reserved.
    ///
    /// # Errors
    /// [`Refusal::TooMany`].
    pub(super) fn opening(self: &Arc<Self>, caller: &Caller) -> Result<Opening, Refusal> {
        let id = unguessable().ok_or(Refusal::TooMany { what: "sessions" })?;
        let mut sessions = locked(&self.sessions);
        let user = &caller.principal.user;
        let own = sessions.values().filter(|other| other.session.principal().user == *user);
        if own.count() >= self.gateway.config.listen.sessions {
            return Err(Refusal::TooMany { what: "sessions" });
        }
        let session = self.clients.session_of(caller);
        let kept = HttpSession { session: Arc::clone(&session), streams: Streams::default() };
        sessions.insert(id.clone(), Arc::new(kept));
        Ok(Opening { front: Arc::clone(self), id: Some(id), session })
    }

    /// Ends sessions that are idle, or whose key is no longer good.
    pub(super) async fn sweep(&self) {
        if let Err(error) = self.keys.look_again().await {
            // What was last seen still counts, and nobody new gets in.
            tracing::debug!(%error, "the keys cannot be looked at");
        }
        let over = |session: &Session| {
            let lives = session.key().is_none_or(|key| self.keys.is_live(key));
            !lives || session.idle() >= self.idle
        };
        self.clients.forget(over);
        locked(&self.sessions).retain(|_, session| {
            let ends = over(&session.session);
            if ends {
                session.end();
            } else {
                session.streams.tidy();
            }
            !ends
        });
    }
}
