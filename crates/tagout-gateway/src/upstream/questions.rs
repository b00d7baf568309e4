//! What servers ask of clients while a call is under way.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tagout_proto::{Id, Method, Value, frame};
use tokio_util::sync::CancellationToken;

use super::{Connection, calls::UnderWay, composed};

/// Questions of one server that are open, by the server's own ids.
#[derive(Default)]
pub(super) struct Questions(Mutex<HashMap<String, CancellationToken>>);

/// Questions of one server that may be open at once.
const OPEN: usize = 8;

const NOTHING_OFFERED: &str =
    r#"{"code":-32601,"message":"this client offers nothing to servers"}"#;
const TOO_MANY: &str = r#"{"code":-32000,"message":"too many questions are open"}"#;

impl Questions {
    fn open(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        // The guarded sections do not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a question; nothing if there are too many, or one of that id.
    fn begin(&self, id: &str) -> Option<CancellationToken> {
        let mut open = self.open();
        if open.len() >= OPEN || open.contains_key(id) {
            return None;
        }
        let token = CancellationToken::new();
        open.insert(id.to_owned(), token.clone());
        Some(token)
    }

    fn end(&self, id: &str) {
        self.open().remove(id);
    }

    /// The server takes the question back.
    pub(super) fn drop_one(&self, id: &str) {
        if let Some(token) = self.open().get(id) {
            token.cancel();
        }
    }
}

impl Connection {
    /// The server asks; `false` when no more is to be read from it.
    pub(super) fn asked(
        &self,
        id: Id<'_>,
        (method, params): (Value<'_>, Option<Value<'_>>),
        of: Option<&Arc<UnderWay>>,
    ) -> bool {
        let text = method.text().unwrap_or_default();
        let known = Method::parse(&text).filter(|method| method.direction().server_asks());
        let modern = self.revision().is_modern();
        if let (Some(Method::Ping), false) = (known, modern) {
            return self.link.offer(self.settled(), frame::result(id.raw(), "{}"));
        }
        if let (Some(method), false) = (known, modern)
            && self.declared(method)
            && let Some(call) = self.call_for(of)
        {
            let params = params.map_or("{}", |params| params.raw()).to_owned();
            return self.put(id.raw().to_owned(), (method, params), call);
        }
        let sent = self.link.offer(self.settled(), frame::error(id.raw(), NOTHING_OFFERED));
        self.wrong("server-request-refused", format!("it asked for `{text}`")) && sent
    }

    /// Whether clients were said to answer such questions.
    fn declared(&self, method: Method) -> bool {
        const NEEDS: [(Method, &str); 3] = [
            (Method::ElicitationCreate, "elicitation"),
            (Method::SamplingCreateMessage, "sampling"),
            (Method::RootsList, "roots"),
        ];
        let needed = NEEDS.iter().find(|(asked, _)| *asked == method);
        let Some((_, capability)) = needed else { return false };
        let capabilities = composed(&self.about.capabilities);
        capabilities.is_ok_and(|declared| declared.root().get(capability).is_some())
    }

    /// The call that a question belongs to: the one on whose stream it came. Where there is none,
    /// the oldest, if all calls are one client's.
    fn call_for(&self, of: Option<&Arc<UnderWay>>) -> Option<Arc<UnderWay>> {
        match of {
            Some(call) => Some(Arc::clone(call)).filter(|call| call.lane.is_some()),
            None if self.about.shared => None,
            None => self.calls.oldest_with_lane(),
        }
    }

    fn put(&self, id: String, question: (Method, String), call: Arc<UnderWay>) -> bool {
        let Some(dropped) = self.questions.begin(&id) else {
            let sent = self.link.offer(self.settled(), frame::error(&id, TOO_MANY));
            return self.wrong("server-questions-too-many", format!("question {id}")) && sent;
        };
        let (me, ended) = (self.me.clone(), self.ended.clone());
        tokio::spawn(async move {
            let asking = call.asks();
            let answering = answer(&call, question);
            let answered = dropped.run_until_cancelled(ended.run_until_cancelled(answering)).await;
            drop(asking);
            let Some(connection) = me.upgrade() else { return };
            connection.questions.end(&id);
            let frame = match answered.flatten() {
                Some(Ok(result)) => frame::result(&id, &result),
                Some(Err(error)) => frame::error(&id, &error),
                // Taken back, or there is nobody to tell.
                None => return,
            };
            connection.link.tell(connection.settled(), frame).await;
        });
        true
    }
}

/// What the client answers, a result or an error object.
async fn answer(call: &UnderWay, (method, params): (Method, String)) -> Result<String, String> {
    match &call.lane {
        Some(lane) => lane.ask(method, params).await,
        None => Err(NOTHING_OFFERED.to_owned()),
    }
}
