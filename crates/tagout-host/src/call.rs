//! One call to the gateway, and what comes in meanwhile.
use rmcp::{
    RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, CancelledNotificationParam, ClientRequest,
        RequestId, ServerResult,
    },
    service::{PeerRequestOptions, RequestHandle, ServiceError},
};
use serde_json::{Map, Value};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    ApprovalAnswer, Failure, Outcome, Session, Ui, Visit,
    client::Question,
    dispatch::{Checked, Done},
    primitives::{elicit, sample, visit},
    under_way::UnderWay,
};

impl Session {
    /// Sends one call to the gateway, as a person and not a model asks for it. The arguments are
    /// not checked here: the gateway does that for everybody.
    ///
    /// Dropped in the middle, the gateway is told that the call is cancelled; whether the tool ran
    /// is then for its audit log to say.
    pub async fn call(
        &mut self,
        tool: &str,
        arguments: Map<String, Value>,
        ui: &mut dyn Ui,
    ) -> Outcome {
        self.send(Checked::by_person(tool, arguments), ui).await.outcome
    }

    /// Makes a call. The only way to do so.
    pub(crate) async fn send(&mut self, call: Checked, ui: &mut dyn Ui) -> Done {
        let (tool, arguments, meta) = call.into_parts();
        let params = CallToolRequestParams::new(tool.clone()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let Heard { answer, denied } = self.converse(request, (&tool, meta), ui).await;
        if let Err(ServiceError::McpError(error)) = &answer {
            self.visits(visit::named_by(error), ui).await;
        }
        Done { denied, ..Done::of(answer.map_or_else(failure, outcome)) }
    }

    /// Sends a request that the person may be asked about while it is under way. `about` is what it
    /// names, and `meta` goes along with it.
    ///
    /// Cancel safe: the gateway is told that nobody waits any more, and what was asked is withdrawn.
    pub(crate) async fn converse(
        &mut self,
        request: ClientRequest,
        (about, meta): (&str, Map<String, Value>),
        ui: &mut dyn Ui,
    ) -> Heard {
        let stop = self.options.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                let reason = Some("the person stopped it".to_owned());
                Heard::of(Err(ServiceError::Cancelled { reason }))
            }
            heard = self.conversed(request, (about, meta), ui) => heard,
        }
    }

    async fn conversed(
        &mut self,
        request: ClientRequest,
        (about, meta): (&str, Map<String, Value>),
        ui: &mut dyn Ui,
    ) -> Heard {
        let cause = meta.get("tagout/cause").and_then(|cause| cause.get("record")?.as_u64());
        let server = meta.get("tagout/server").and_then(|server| Some(server.as_str()?.to_owned()));
        let mut options = PeerRequestOptions::no_options();
        if !meta.is_empty() {
            options = options.with_meta(meta.into());
        }
        let peer = self.client.peer().clone();
        let busy = self.inbox.open();
        let handle = match peer.send_request_with_option(request, options).await {
            Ok(handle) => handle,
            Err(error) => return Heard::of(Err(error)),
        };
        let mut cancel = CancelOnDrop::of(peer, handle.id.clone());
        let limit = self.options.call_timeout;
        let mut under = UnderWay::new(about, handle.progress_token.clone(), limit);
        under.cause = cause;
        if let Some(server) = server {
            under.server = server;
        }
        let answer = self.awaited(handle, &mut under, ui).await;
        if !matches!(&answer, Err(ServiceError::Timeout { .. })) {
            cancel.disarm();
        }
        while let Ok(news) = self.inbox.news.try_recv() {
            under.show(news, ui);
        }
        under.over(ui);
        self.inbox.close(busy);
        Heard { answer, denied: under.denied }
    }

    /// Waits for the answer, and sees to what comes in meanwhile.
    async fn awaited(
        &mut self,
        handle: RequestHandle<RoleClient>,
        under: &mut UnderWay,
        ui: &mut dyn Ui,
    ) -> Result<ServerResult, ServiceError> {
        let answer = handle.await_response();
        let mut answer = std::pin::pin!(answer);
        loop {
            let question = tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = sleep_until(under.until) => return Err(under.too_late()),
                Some(question) = self.inbox.questions.recv() => question,
                Some(news) = self.inbox.news.recv() => {
                    under.show(news, ui);
                    continue;
                }
            };
            let began = Instant::now();
            // An answer that comes first withdraws the question; so does the end of the time.
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = sleep_until(under.until) => return Err(under.too_late()),
                () = self.put(question, under, ui) => {}
            }
            under.goes_on(began.elapsed());
        }
    }

    /// Puts a question to the person, for as long as anybody waits for the answer.
    async fn put(&mut self, question: Question, under: &mut UnderWay, ui: &mut dyn Ui) {
        match question {
            Question::Approve(card, to) => {
                let answer = while_wanted(to, ui.approve(&card)).await;
                if let Some(ApprovalAnswer::Deny { message }) = answer {
                    under.denied = message.or(under.denied.take());
                }
            }
            Question::Form(form, to) => drop(while_wanted(to, elicit::form(&form, ui)).await),
            Question::Visit(visit, to) => drop(while_wanted(to, ui.visit(&visit)).await),
            Question::Sample(mut asks, to) => {
                under.samplings += 1;
                if under.samplings > SAMPLINGS {
                    drop(to.send(Err(sample::too_many())));
                    return;
                }
                asks.shown.server.clone_from(&under.server);
                let sampling = self.sample(&mut asks, under.cause, ui);
                drop(while_wanted(to, sampling).await);
            }
        }
    }

    /// Asks the person about URLs that a server wants visited before it can be called. The model
    /// is told what the server says, and may call again.
    async fn visits(&mut self, visits: Vec<Visit>, ui: &mut dyn Ui) {
        let asking = async {
            for visit in visits {
                ui.visit(&visit).await;
            }
        };
        let limited = timeout(self.options.call_timeout, asking);
        let stop = self.options.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            // Whoever does not answer in time may still go there.
            _ = limited => {}
        }
    }

    /// Takes note of what has changed.
    pub(crate) fn take_news(&mut self) {
        let [tools, prompts, resources] = self.inbox.changed();
        self.stale.tools |= tools;
        self.stale.prompts |= prompts;
        self.stale.resources |= resources;
    }
}

/// What came of a request, and what happened meanwhile.
pub(crate) struct Heard {
    pub(crate) answer: Result<ServerResult, ServiceError>,
    /// What a person who said no wants the model to know.
    denied: Option<String>,
}

impl Heard {
    const fn of(answer: Result<ServerResult, ServiceError>) -> Self {
        Self { answer, denied: None }
    }
}

/// How often servers may ask a model within one call.
const SAMPLINGS: usize = 4;
/// The answer, sent on; `None` if nobody waits for it any more, and then the question is withdrawn.
async fn while_wanted<T: Clone>(
    mut to: oneshot::Sender<T>,
    asking: impl Future<Output = T>,
) -> Option<T> {
    let answer = tokio::select! {
        biased;
        () = to.closed() => return None,
        answer = asking => answer,
    };
    // Whoever asked may be gone by now; then nobody needs the answer.
    drop(to.send(answer.clone()));
    Some(answer)
}

/// Tells the gateway that nobody waits any more.
pub(crate) struct CancelOnDrop {
    peer: rmcp::Peer<RoleClient>,
    id: Option<RequestId>,
}

impl CancelOnDrop {
    pub(crate) const fn of(peer: rmcp::Peer<RoleClient>, id: RequestId) -> Self {
        Self { peer, id: Some(id) }
    }

    /// There is an answer.
    pub(crate) fn disarm(&mut self) {
        self.id = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let cancelled = CancelledNotificationParam::new(Some(id), Some("stopped".into()));
            // The connection may be gone; then there is nobody left to tell.
            drop(peer.notify_cancelled(cancelled).await);
        });
    }
}

/// The SDK sorts results by shape: one with content of a kind that it does not know comes as a
/// custom result, which is a tool result all the same.
fn outcome(result: ServerResult) -> Outcome {
    serde_json::to_value(result).map_or_else(
        |error| Outcome::lost(Failure::Malformed, error.to_string()),
        Outcome::from_result,
    )
}

pub(crate) fn failure(error: ServiceError) -> Outcome {
    match error {
        ServiceError::McpError(error) => {
            Outcome::from_rpc_error(error.code.0, error.message.into_owned(), error.data.as_ref())
        }
        ServiceError::Timeout { timeout } => Outcome::lost(
            Failure::Timeout,
            format!("there was no answer in {} s", timeout.as_secs()),
        ),
        ServiceError::Cancelled { .. } => {
            Outcome::lost(Failure::Cancelled, "the call was cancelled")
        }
        ServiceError::TransportClosed | ServiceError::TransportSend(_) => Outcome::lost(
            Failure::Disconnected,
            "the connection to the gateway ended before the answer came",
        ),
        // The SDK may add causes; whatever they are, there is no answer.
        other @ (ServiceError::UnexpectedResponse
        | ServiceError::SubscriptionLagged { .. }
        | ServiceError::InputRequiredRoundsExceeded { .. }
        | _) => Outcome::lost(Failure::Malformed, other.to_string()),
    }
}
