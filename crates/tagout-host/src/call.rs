//! One call to the gateway, and what comes in meanwhile.
#![expect(deprecated, reason = "sampling, roots and logging stay as long as servers use them")]
use rmcp::{
    RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, CancelledNotificationParam, ClientRequest,
        RequestId, ServerResult,
    },
    service::{PeerRequestOptions, ServiceError},
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{
    ApprovalAnswer, Event, Failure, Outcome, Session, Ui,
    client::Incoming,
    dispatch::{Checked, Done},
    primitives::asked,
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
        let stop = self.options.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                Done::of(Outcome::lost(Failure::Cancelled, "the call was cancelled"))
            }
            done = self.sent(call, ui) => done,
        }
    }

    async fn sent(&mut self, call: Checked, ui: &mut dyn Ui) -> Done {
        let (tool, arguments, meta) = call.into_parts();
        let params = CallToolRequestParams::new(tool.clone()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let mut limit = PeerRequestOptions::with_timeout(self.options.call_timeout);
        if !meta.is_empty() {
            limit = limit.with_meta(meta.into());
        }
        let busy = self.inbox.open();
        let peer = self.client.peer().clone();
        let handle = match peer.send_request_with_option(request, limit).await {
            Ok(handle) => handle,
            Err(error) => return Done::of(failure(error)),
        };
        let mut cancel = CancelOnDrop { peer, id: Some(handle.id.clone()) };
        let mut done = Done::of(Outcome::lost(Failure::Malformed, "there is no answer"));
        let answer = handle.await_response();
        let mut answer = std::pin::pin!(answer);
        let answer = loop {
            let incoming = tokio::select! {
                biased;
                answer = &mut answer => break answer,
                Some(incoming) = self.inbox.from.recv() => incoming,
            };
            // An answer that comes first withdraws the question.
            let began = Instant::now();
            let answered = tokio::select! {
                biased;
                answer = &mut answer => Err(answer),
                denied = self.take_in(incoming, &tool, ui) => Ok(denied),
            };
            done.thought += began.elapsed();
            match answered {
                Ok(denied) => done.denied = denied.or(done.denied),
                Err(answer) => break answer,
            }
        };
        cancel.id = None;
        drop(busy);
        done.outcome = answer.map_or_else(failure, outcome);
        done
    }

    /// Shows news, and puts a question to the person; gives what the model is to be told of a
    /// denial.
    async fn take_in(&mut self, incoming: Incoming, tool: &str, ui: &mut dyn Ui) -> Option<String> {
        match incoming {
            Incoming::Approve(card, to) => {
                let answer = ui.approve(&card).await;
                let denied = match &answer {
                    ApprovalAnswer::Deny { message } => message.clone(),
                    ApprovalAnswer::Once | ApprovalAnswer::For(_) => None,
                };
                // Whoever asked may be gone; then nobody needs the answer.
                drop(to.send(answer));
                return denied;
            }
            Incoming::Form(form, to) => drop(to.send(asked::form(&form, ui).await)),
            Incoming::Visit(visit, to) => drop(to.send(ui.visit(&visit).await)),
            Incoming::Sample(sampling, to) => drop(to.send(self.sample(&sampling, ui).await)),
            Incoming::Progress(progress) => ui.event(&Event::Progress {
                tool: tool.to_owned(),
                done: progress.progress,
                total: progress.total,
                message: progress.message,
            }),
            Incoming::Log(log) => ui.event(&Event::Logged {
                level: serde_json::to_value(log.level)
                    .ok()
                    .and_then(|level| level.as_str().map(str::to_owned))
                    .unwrap_or_default(),
                from: log.logger,
                text: log.data.as_str().map_or_else(|| log.data.to_string(), str::to_owned),
            }),
            Incoming::ToolsChanged => self.stale.tools = true,
            Incoming::PromptsChanged => self.stale.prompts = true,
            Incoming::ResourcesChanged => self.stale.resources = true,
        }
        None
    }

    /// Takes in what came while nobody worked on anything.
    pub(crate) fn take_news(&mut self) {
        while let Ok(incoming) = self.inbox.from.try_recv() {
            match incoming {
                Incoming::ToolsChanged => self.stale.tools = true,
                Incoming::PromptsChanged => self.stale.prompts = true,
                Incoming::ResourcesChanged => self.stale.resources = true,
                // Dropped with the way to answer them, so whoever asked gets a no.
                Incoming::Approve(..)
                | Incoming::Form(..)
                | Incoming::Visit(..)
                | Incoming::Sample(..)
                | Incoming::Progress(_)
                | Incoming::Log(_) => {}
            }
        }
    }
}

/// Tells the gateway that nobody waits any more.
struct CancelOnDrop {
    peer: rmcp::Peer<RoleClient>,
    id: Option<RequestId>,
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

fn failure(error: ServiceError) -> Outcome {
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
