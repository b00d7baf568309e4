//! A call gets a caller and a conversation.
use std::sync::Arc;

use tagout_proto::{Conversation, Method, Origin, Principal};

use super::receive::Call;
use crate::{
    lane::Lane,
    limits::Permit,
    refusal::Refusal,
    session::Session,
    told::{BadTold, Told},
};

/// A call by someone we know, in a conversation of theirs.
#[derive(Debug)]
pub struct Identified {
    call: Call,
    session: Arc<Session>,
    lane: Lane,
    origin: Origin,
    conversation: Option<Conversation>,
    /// What the client says about the call, or that it cannot be relied on.
    told: Result<Told, BadTold>,
    /// What it holds of its principal's and its client's shares.
    permit: Permit,
}

/// Binds `call` to the principal whom the transport vouches for and to the session's conversation.
///
/// # Errors
/// [`Refusal::Handshake`]: there is no conversation yet, or there is one already;
/// [`Refusal::Method`]: the revision that the client speaks has no such method;
/// [`Refusal::Limit`]: the principal or the client has had its share.
pub(crate) fn identify(call: Call, lane: Lane) -> Result<Identified, Refusal> {
    let session = Arc::clone(lane.session());
    let opened = session.opened();
    let (origin, conversation) = match (call.method(), opened) {
        (method, Some(opened)) if !method.is_spoken(opened.revision) => {
            return Err(Refusal::Method { method: method.to_string() });
        }
        (Method::Initialize, Some(_)) => {
            return Err(Refusal::Handshake("this session is initialised already"));
        }
        (Method::Initialize, None) => {
            let info = call.params().and_then(|params| params.get("clientInfo"));
            (session.origin_of(info), None)
        }
        // The one request that the standard allows before, and taking one back.
        (Method::Ping | Method::Cancelled, None) => (session.origin_unknown(), None),
        (_, None) => return Err(Refusal::Handshake("send `initialize` first")),
        (_, Some(opened)) => (opened.origin.clone(), Some(opened.conversation.clone())),
    };
    let origin = Origin { address: call.address(), ..origin };
    // What makes less of what is under way is done whatever there is left.
    let taken_back = call.takes_back().and_then(|id| session.under_way(id));
    let urgent = taken_back.is_some_and(|withdrawn| !withdrawn.is_cancelled());
    let limits = &lane.gateway().limits;
    let permit = limits.admit((session.principal(), &origin), &call, urgent)?;
    let told = Told::of(&call);
    Ok(Identified { call, session, lane, origin, conversation, told, permit })
}

impl Identified {
    /// The call.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// Who calls.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        self.session.principal()
    }

    /// From where.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// In which conversation; nothing while it is being opened.
    #[must_use]
    pub const fn conversation(&self) -> Option<&Conversation> {
        self.conversation.as_ref()
    }

    /// What the client says about the call.
    ///
    /// # Errors
    /// It cannot be relied on.
    pub(crate) fn told(&self) -> Result<&Told, BadTold> {
        self.told.as_ref().map_err(|bad| *bad)
    }

    /// What it holds of its principal's and its client's shares.
    pub(crate) const fn permit(&self) -> &Permit {
        &self.permit
    }

    pub(crate) const fn lane(&self) -> &Lane {
        &self.lane
    }

    pub(crate) const fn session(&self) -> &Arc<Session> {
        &self.session
    }
}
