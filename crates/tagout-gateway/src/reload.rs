//! Rules that change while the gateway runs. What is not whole and right changes nothing.
use std::{sync::Arc, time::Duration};

use tagout_audit::{Durability, Note};
use tagout_policy::Policy;
use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::Gateway;

/// Where rules come from.
pub trait RuleFiles: Send + Sync + 'static {
    /// What is different as soon as one of the files is; costs little.
    fn stamp(&self) -> String;

    /// The rules as the files have them now.
    ///
    /// # Errors
    /// What is wrong with them: nothing changes.
    fn load(&self) -> Result<Rules, Rejected>;
}

/// Rules, whole.
#[derive(Debug)]
pub struct Rules {
    /// Those that are to hold.
    pub policy: Policy,
    /// Those that are to be on trial; if they are not right, the others hold all the same.
    pub shadow: Result<Option<Policy>, Rejected>,
}

/// Why rules were not taken.
#[derive(Debug, thiserror::Error)]
#[error("{message} [{code}]")]
pub struct Rejected {
    /// A stable code: `policy-invalid`, `lockfile-invalid`, `file-unusable`.
    pub code: String,
    /// What is wrong, with its file.
    pub message: String,
}

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What is known of the files.
#[derive(Default)]
struct Seen {
    /// At the last look.
    last: String,
    /// When they were read last, for good or bad.
    read: Option<String>,
}

impl Seen {
    /// Whether the files are to be read: they are others than were read last, and the same as at
    /// the look before, since whoever saves a file may have written half of it.
    fn is_ripe(&mut self, stamp: String, asked: bool) -> bool {
        let settled = self.last == stamp;
        self.last = stamp;
        asked || (settled && self.read.as_ref() != Some(&self.last))
    }
}

impl Gateway {
    /// Puts `rules` on trial, or none.
    pub fn try_out(&self, rules: Option<Policy>) {
        self.shadow.replace(rules);
    }

    /// Calls that were put to rules on trial so far, and how many of them came out otherwise.
    #[must_use]
    pub fn tried_out(&self) -> (u64, u64) {
        self.shadow.counts()
    }

    /// Follows the files that rules come from until `stop` is cancelled: every second, and when
    /// `asked` tells. They are read off the threads that serve.
    ///
    /// Cancel safe: between two looks nothing is under way.
    pub async fn follow_rules(
        self: Arc<Self>,
        files: Arc<dyn RuleFiles>,
        asked: Arc<Notify>,
        stop: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = Seen::default();
        loop {
            let now = tokio::select! {
                () = stop.cancelled() => return,
                () = asked.notified() => true,
                _ = ticks.tick() => false,
            };
            let (gateway, files) = (Arc::clone(&self), Arc::clone(&files));
            let looking = tokio::task::spawn_blocking(move || {
                if seen.is_ripe(files.stamp(), now) {
                    seen.read = Some(seen.last.clone());
                    gateway.take(files.load());
                }
                seen
            });
            match looking.await {
                Ok(looked) => seen = looked,
                Err(error) => {
                    return tracing::error!(%error, "rules are not followed any more");
                }
            }
        }
    }

    /// Lets rules hold that are others than those that hold.
    fn take(&self, read: Result<Rules, Rejected>) {
        let Rules { policy, shadow } = match read {
            Ok(rules) => rules,
            Err(rejected) => return self.rejected(&rejected, ""),
        };
        match shadow {
            Ok(shadow) => self.take_shadow(shadow),
            Err(rejected) => self.rejected(&rejected, "on trial: "),
        }
        if policy.version() == self.policies.now().version() {
            return;
        }
        let detail = format!("{} rules", policy.rule_ids().count());
        // Rules that hold and are not on record would be nobody's.
        if self.noted("policy-loaded", &policy, &detail) {
            tracing::info!(version = %policy.version(), "other rules hold");
            self.policies.replace(policy);
        }
    }

    fn rejected(&self, rejected: &Rejected, which: &str) {
        let detail = format!("{which}{rejected}");
        tracing::error!(rejected = detail, "rules are not taken; those before still count");
        let mut note = Note::new(self.clock.now(), "policy-rejected");
        note.detail = Some(&detail);
        if let Err(error) = self.audit.note(&note, Durability::System) {
            tracing::error!(%error, "rejected rules are not on record");
        }
    }

    fn take_shadow(&self, shadow: Option<Policy>) {
        let before = self.shadow.now().map(|rules| rules.version());
        if before == shadow.as_ref().map(Policy::version) {
            return;
        }
        let detail = "on trial";
        let noted = shadow.as_ref().is_none_or(|rules| self.noted("policy-loaded", rules, detail));
        if noted {
            self.shadow.replace(shadow);
        }
    }

    fn noted(&self, event: &str, policy: &Policy, detail: &str) -> bool {
        let mut note = Note::new(self.clock.now(), event);
        note.digest = Some(policy.version());
        note.detail = Some(detail);
        let noted = self.audit.note(&note, Durability::Disk);
        if let Err(error) = &noted {
            tracing::error!(%error, "rules are not taken: that cannot be recorded");
        }
        noted.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn files_are_read_once_they_have_settled_and_not_again() {
        let mut seen = Seen::default();
        let mut look = |stamp: &str, asked| {
            let ripe = seen.is_ripe(stamp.to_owned(), asked);
            if ripe {
                seen.read = Some(stamp.to_owned());
            }
            ripe
        };
        assert!(!look("a", false), "it may be half written");
        assert!(look("a", false));
        assert!(!look("a", false));
        assert!(!look("b", false));
        assert!(!look("c", false));
        assert!(look("c", false));
        assert!(look("d", true), "who asks is not kept waiting");
        assert!(!look("d", false));
    }
}
