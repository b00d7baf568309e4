//! The way back to a client while one of its requests is under way.
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tagout_proto::{Method, ServerName, frame};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Gateway,
    session::Session,
    stage::{
        ask,
        receive::{Call, LOG_LEVEL},
    },
};

/// What passes the request's answer on its way: notifications, and what a server asks.
#[derive(Debug)]
pub(crate) enum Aside {
    /// A notification: its frame.
    Tell(String),
    /// The client is to answer this.
    Ask(Question),
}

/// What the client is asked while its own request waits.
#[derive(Debug)]
pub(crate) struct Question {
    /// What: `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub(crate) method: Method,
    /// An object, as JSON text.
    pub(crate) params: String,
    /// Takes the result, or the error object: JSON texts.
    pub(crate) answer: oneshot::Sender<Result<String, String>>,
}

/// The sending end of a request's asides.
#[derive(Clone)]
pub(crate) struct Lane {
    asides: mpsc::Sender<Aside>,
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    /// Whose asides they are.
    speaker: Option<Speaker>,
    /// Whether log messages are wanted: without a session, only where the request says so.
    hears_logs: bool,
    /// How often servers may still ask, in this request.
    questions: Arc<AtomicU32>,
}

/// A server that speaks on a lane.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    pub(crate) server: ServerName,
    /// Whether a person has reviewed what is called.
    pub(crate) reviewed: bool,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lane({:?})", self.speaker)
    }
}

/// Asides of one request that wait to be passed on.
const ASIDES: usize = 64;
/// Questions of servers within one request.
const QUESTIONS: u32 = 32;

impl Lane {
    /// A lane and its other end.
    pub(crate) fn new(
        gateway: &Arc<Gateway>,
        session: &Arc<Session>,
    ) -> (Self, mpsc::Receiver<Aside>) {
        let (asides, other_end) = mpsc::channel(ASIDES);
        let (gateway, session) = (Arc::clone(gateway), Arc::clone(session));
        let questions = Arc::new(AtomicU32::new(QUESTIONS));
        let speaker = None;
        (Self { asides, gateway, session, speaker, hears_logs: true, questions }, other_end)
    }

    /// Notes whether `call`, whose lane this is, wants log messages.
    pub(crate) fn hears_logs_of(&mut self, call: &Call) {
        let modern = self.session.revision().is_modern();
        self.hears_logs = !modern || call.meta(LOG_LEVEL).is_some();
    }

    /// The same lane, for what `speaker` has to say.
    pub(crate) fn of(&self, speaker: Speaker) -> Self {
        Self { speaker: Some(speaker), ..self.clone() }
    }

    pub(crate) const fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) const fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    pub(crate) const fn speaker(&self) -> Option<&Speaker> {
        self.speaker.as_ref()
    }

    /// Passes a notification on; `params` is a JSON text. What finds no room is lost, as
    /// notifications may be.
    pub(crate) fn tell(&self, method: Method, params: &str) {
        if method == Method::LogMessage && !self.hears_logs {
            return;
        }
        if let Some(params) = self.session.fit_to_hear(method, params) {
            let told = Aside::Tell(frame::notification(method.as_str(), &params));
            drop(self.asides.try_send(told));
        }
    }

    /// What the server asks, put to the client once inspection and policy let it, and its answer:
    /// a result or an error object, as JSON texts, for the server.
    pub(crate) async fn ask(&self, method: Method, params: String) -> Result<String, String> {
        ask::ask(self, method, params).await
    }

    /// Whether one more question may be asked; counts it.
    pub(crate) fn may_ask(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        self.questions.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_ok()
    }

    /// Puts a question to the client. Nothing where the client, or its request, is gone.
    pub(crate) async fn put(
        &self,
        method: Method,
        params: String,
    ) -> Option<Result<String, String>> {
        let (answer, answered) = oneshot::channel();
        let question = Question { method, params, answer };
        self.asides.send(Aside::Ask(question)).await.ok()?;
        answered.await.ok()
    }
}
