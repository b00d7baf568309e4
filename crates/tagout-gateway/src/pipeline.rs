//! The one way a call travels.
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    Gateway, consent,
    lane::Lane,
    refusal::Refusal,
    session::Session,
    stage::{
        approve,
        decide::{self, Decided},
        forward, identify,
        inspect::{self, Inspected},
        receive::{Call, Unreceived},
        record::{self, Begun, Known, Recorded},
        screen::{self, Reply},
    },
};

impl Gateway {
    /// Takes what was received from a client and gives back a reply that is on record.
    ///
    /// When `withdrawn` is cancelled, so is the call, wherever it is.
    #[tracing::instrument(name = "call", skip_all, fields(method, code))]
    pub(crate) async fn handle(
        &self,
        received: Result<Box<Call>, Unreceived>,
        lane: Lane,
        withdrawn: &CancellationToken,
    ) -> Recorded {
        let session = Arc::clone(lane.session());
        let (id, method) = match &received {
            Ok(call) => (call.id().map(ToOwned::to_owned), Some(call.method())),
            Err(unreceived) => (unreceived.id.clone().map(Into::into), unreceived.method),
        };
        let mut known = Known::new(session.principal().clone(), id, method);
        let preparing = prepare(received, lane, &mut known);
        let prepared = withdrawn.run_until_cancelled(preparing).await;
        let prepared = prepared.unwrap_or(Err(Refusal::Cancelled));
        let decided = prepared.and_then(|inspected| decide::decide(inspected, self, &mut known));
        if let Some(over) = decided.as_ref().err().and_then(Refusal::over) {
            return record::counted(&self.limits.counted, known, over);
        }
        let begun = match record::begin(&self.audit, &self.clock, known, decided.as_ref().ok()) {
            Ok(begun) => begun,
            Err(refused) => return record::unrecorded(*refused),
        };
        begun.caught(&self.secrets);
        let outcome = match decided {
            Ok(decided) => {
                let carried_out = self.carry_out(&session, decided, &begun);
                let outcome = withdrawn.run_until_cancelled(carried_out).await;
                outcome.unwrap_or(Err(Refusal::Cancelled))
            }
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = &outcome {
            tracing::Span::current().record("code", refusal.code());
            tracing::info!(code = refusal.code(), %refusal, "refused");
            if refusal.is_a_no() {
                session.note(|happened| happened.denied(self.clock.now()));
            }
        }
        begun.end(outcome)
    }

    /// From what is decided about a call to what may be said of it. Nothing before this has an
    /// effect, and nothing in it has one before the call is on record.
    async fn carry_out(
        &self,
        session: &Session,
        decided: Decided,
        begun: &Begun,
    ) -> Result<Reply, Refusal> {
        let limit = self.config.limits.approval;
        let approving = approve::approve(decided, self, limit);
        // Nobody approves for a client that has gone.
        let approved = session.while_client_is_there(approving).await;
        let authorised = approved.unwrap_or(Err(Refusal::Cancelled))?;
        // What nobody was asked about waits for nobody's turn.
        if authorised.approval().is_some() {
            self.turns.wait_for(|| consent::agreed_by_approving(&authorised, self)).await?;
        }
        let cleared = begun.decided(authorised)?;
        let answer = forward::forward(cleared, self).await?;
        screen::screen(answer).await
    }
}

/// From bytes to a call of somebody's about something, with content that was looked at.
async fn prepare(
    received: Result<Box<Call>, Unreceived>,
    lane: Lane,
    known: &mut Known,
) -> Result<Inspected, Refusal> {
    let (limits, principal) = (&lane.gateway().limits, lane.session().principal());
    let refusing = |unreceived: Unreceived| limits.refusing(principal, unreceived.refusal);
    let call = received.map_err(refusing).inspect_err(|refusal| {
        if let Refusal::Method { method } = refusal {
            known.unknown_method(method);
        }
    })?;
    tracing::Span::current().record("method", call.method().as_str());
    let identified = identify::identify(*call, lane)?;
    known.identified(&identified);
    inspect::inspect(identified, known).await
}
