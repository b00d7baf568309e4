//! How a call ended, as it goes on record; and what was taken out of it.
use jiff::Timestamp;
use tagout_audit::{End, Outcome};

use super::{Begun, Reply};
use crate::{
    refusal::Refusal,
    secrets::{Place, Secrets},
};

impl Begun {
    /// Puts on record which secrets were taken out of what came.
    pub(crate) fn caught(&self, secrets: &Secrets) {
        let (principal, server) = (Some(&self.known.principal), self.known.server.as_ref());
        let place = Place { what: "arguments", principal, server, record: self.number() };
        secrets.caught(&self.log, &self.known.caught, place);
    }
}

/// The facts of a call's last record.
pub(super) fn ended(at: Timestamp, outcome: &Result<Reply, Refusal>) -> End<'_> {
    match outcome {
        Ok(reply) => {
            let outcome = if reply.is_error() { Outcome::Error } else { Outcome::Ok };
            let mut end = End::new(at, outcome);
            end.result = reply.digest();
            end.result_bytes = reply.bytes();
            end.screened = reply.screened();
            end.secrets = reply.secrets();
            end
        }
        Err(refusal) => {
            let outcome = if matches!(refusal, Refusal::Cancelled) {
                Outcome::Cancelled
            } else if matches!(refusal, Refusal::Upstream { .. }) {
                Outcome::Error
            } else {
                Outcome::Refused
            };
            let mut end = End::new(at, outcome);
            end.refusal = Some(refusal.code());
            end.rule = refusal.rule();
            end.approval = refusal.asked();
            end
        }
    }
}
