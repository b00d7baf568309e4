//! The way back to a client while one of its requests is under way.
use tagout_proto::{Method, frame};
use tokio::sync::{mpsc, oneshot};

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
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    asides: mpsc::Sender<Aside>,
}

/// Asides of one request that wait to be passed on.
const ASIDES: usize = 64;

impl Lane {
    /// A lane and its other end.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Aside>) {
        let (asides, other_end) = mpsc::channel(ASIDES);
        (Self { asides }, other_end)
    }

    /// Passes a notification on; `params` is a JSON text. What finds no room is lost, as
    /// notifications may be.
    pub(crate) fn tell(&self, method: Method, params: &str) {
        let told = Aside::Tell(frame::notification(method.as_str(), params));
        drop(self.asides.try_send(told));
    }

    /// Asks the client and waits for its answer: a result or an error object, as JSON texts.
    /// Nothing where the client, or its request, is gone.
    pub(crate) async fn ask(
        &self,
        method: Method,
        params: String,
    ) -> Option<Result<String, String>> {
        let (answer, answered) = oneshot::channel();
        let question = Question { method, params, answer };
        self.asides.send(Aside::Ask(question)).await.ok()?;
        answered.await.ok()
    }

    /// When the client no longer takes anything.
    pub(crate) async fn closed(&self) {
        self.asides.closed().await;
    }
}
