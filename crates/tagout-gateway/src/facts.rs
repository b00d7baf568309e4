//! What policy is told of a call, by whoever asks it.
use tagout_policy::{Arguments, Facts, History, Policy, Subject};
use tagout_proto::{Method, Origin, Principal};

use crate::{Clock, session::Session};

/// Who calls, from where, and what they did before.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) origin: Option<&'a Origin>,
    pub(crate) history: &'a History,
    pub(crate) now_ms: i64,
}

impl Caller<'_> {
    /// Hands the caller of `session`, who came from `origin`, to `judge`; what happened before is
    /// looked up only if `policy` asks about it.
    pub(crate) fn of<T>(
        from: (&Session, Option<&Origin>),
        clock: &Clock,
        policy: &Policy,
        judge: impl FnOnce(Caller<'_>) -> T,
    ) -> T {
        let ((session, origin), now) = (from, clock.now());
        let history = policy.asks_about_history();
        let history = if history { session.history(now, None) } else { History::default() };
        judge(Caller {
            principal: session.principal(),
            origin,
            history: &history,
            now_ms: now.as_millisecond(),
        })
    }
}

impl<'a> Caller<'a> {
    /// The facts of a call of `method`.
    pub(crate) fn calls(
        self,
        method: Method,
        subject: Option<Subject<'a>>,
        arguments: Arguments<'a>,
    ) -> Facts<'a> {
        Facts {
            principal: self.principal,
            client: self.origin.map_or("unnamed", |origin| &origin.client),
            transport: self.origin.map_or("", |origin| &origin.transport),
            address: self.origin.and_then(|origin| origin.address),
            action: method.classify(),
            method: method.as_str(),
            subject,
            arguments,
            history: self.history,
            now_ms: self.now_ms,
        }
    }
}
