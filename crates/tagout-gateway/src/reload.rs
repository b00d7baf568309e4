//! Rules that change while the gateway runs. What is not whole and right changes nothing.
use std::{collections::BTreeSet, sync::Arc, time::Duration};

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

impl Rejected {
    /// Whether that may pass while the files stay the same: they could not be read at all.
    fn may_pass(&self) -> bool {
        self.code == "file-unusable"
    }
}

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What is known of the files.
#[derive(Default)]
struct Seen {
    /// At the last look.
    last: String,
    /// When they were last understood, as right or as wrong.
    read: Option<String>,
    /// What was said of them as they are, so that it is not said at every look.
    told: BTreeSet<String>,
}

/// The most that is said of the same files.
const TOLD: usize = 16;

impl Seen {
    /// Whether the files are to be read: they are others than were read last, and the same as at
    /// the look before, since whoever saves a file may have written half of it.
    fn is_ripe(&mut self, stamp: String, asked: bool) -> bool {
        let settled = self.last == stamp;
        if asked || !settled {
            self.told.clear();
        }
        self.last = stamp;
        asked || (settled && self.read.as_ref() != Some(&self.last))
    }

    /// Whether `what` is still to be said.
    fn is_news(&self, what: &str) -> bool {
        self.told.len() < TOLD && !self.told.contains(what)
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
                    let understood = gateway.take(files.load(), &mut seen);
                    seen.read = understood.then(|| seen.last.clone());
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

    /// Lets rules hold that are others than those that hold. Whether that is all that there is to
    /// do about these files: what could not be read, or not be recorded, is to be tried again.
    fn take(&self, read: Result<Rules, Rejected>, seen: &mut Seen) -> bool {
        let Rules { policy, shadow } = match read {
            Ok(rules) => rules,
            Err(rejected) => return self.rejected(&rejected, "", seen),
        };
        let tried = match shadow {
            Ok(shadow) => self.take_shadow(shadow),
            Err(rejected) => self.rejected(&rejected, "on trial: ", seen),
        };
        if policy.version() == self.policies.now().version() {
            return tried;
        }
        let detail = format!("{} rules", policy.rule_ids().count());
        // Rules that hold and are not on record would be nobody's.
        let noted = self.noted("policy-loaded", &policy, &detail);
        if noted {
            tracing::info!(version = %policy.version(), "other rules hold");
            self.policies.replace(policy);
        }
        noted && tried
    }

    fn rejected(&self, rejected: &Rejected, which: &str, seen: &mut Seen) -> bool {
        let detail = format!("{which}{rejected}");
        if !seen.is_news(&detail) {
            return !rejected.may_pass();
        }
        tracing::error!(rejected = detail, "rules are not taken; those before still count");
        let mut note = Note::new(self.clock.now(), "policy-rejected");
        note.detail = Some(&detail);
        if let Err(error) = self.audit.note(&note, Durability::System) {
            tracing::error!(%error, "rejected rules are not on record");
            return false;
        }
        seen.told.insert(detail);
        !rejected.may_pass()
    }

    fn take_shadow(&self, shadow: Option<Policy>) -> bool {
        let before = self.shadow.now().map(|rules| rules.version());
        if before == shadow.as_ref().map(Policy::version) {
            return true;
        }
        let detail = "on trial";
        let noted = shadow.as_ref().is_none_or(|rules| self.noted("policy-loaded", rules, detail));
        if noted {
            self.shadow.replace(shadow);
        }
        noted
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
    use std::{path::Path, sync::Arc};

    use tagout_audit::{Reader, record::Event};
    use tagout_policy::{Policy, Profile, Surface};

    use super::{Rejected, Rules, Seen};
    use crate::{
        Clock, Gateway, Parts, approval::Nobody, config::Config, identity::os_user,
        lockfile::Lockfile,
    };

    fn gateway(state: &Path) -> Arc<Gateway> {
        let config = Config::parse("tagout.toml", "", state).unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let parts = Parts {
            policy: rules(Profile::default()).policy,
            lockfile: Lockfile::default(),
            shipped: Lockfile::default(),
            own_program: "/nowhere".into(),
            own_files: std::collections::BTreeSet::new(),
            principal: os_user(&config),
            approver: Arc::new(Nobody),
            clock: Clock::new(move || now),
            config,
        };
        Gateway::open(parts, state, &state.join("head.key")).unwrap()
    }

    fn rules(profile: Profile) -> Rules {
        let policy = Policy::load(profile, &[], &Surface::default()).unwrap();
        Rules { policy, shadow: Ok(None) }
    }

    fn rejected(code: &str) -> Rejected {
        Rejected { code: code.to_owned(), message: "no".to_owned() }
    }

    /// How many notes there are of `event`.
    fn notes(state: &Path, event: &str) -> usize {
        let mut count = 0;
        let audit = Reader::new(&state.join("audit"));
        let counted = audit.each(|line, _| {
            count += usize::from(matches!(&line.event, Event::Note(note) if note.event == event));
            true
        });
        counted.unwrap();
        count
    }

    #[test]
    fn what_cannot_be_read_is_tried_again_and_said_once() {
        let state = tempfile::TempDir::new().unwrap();
        let gateway = gateway(state.path());
        let mut seen = Seen::default();
        assert!(!seen.is_ripe("a".to_owned(), false));
        for _ in 0..3 {
            assert!(seen.is_ripe("a".to_owned(), false));
            assert!(!gateway.take(Err(rejected("file-unusable")), &mut seen));
        }
        assert_eq!(notes(state.path(), "policy-rejected"), 1);
        let trial = Rules { shadow: Err(rejected("file-unusable")), ..rules(Profile::Strict) };
        assert!(!gateway.take(Ok(trial), &mut seen), "those on trial are still to come");
        assert!(gateway.take(Ok(rules(Profile::Strict)), &mut seen));
        assert_eq!(notes(state.path(), "policy-loaded"), 1);
        // What is wrong in itself stays so until the files are others.
        assert!(gateway.take(Err(rejected("policy-invalid")), &mut seen));
        assert_eq!(notes(state.path(), "policy-rejected"), 3);
        // Who asks is told again.
        assert!(seen.is_ripe("a".to_owned(), true));
        assert!(!gateway.take(Err(rejected("file-unusable")), &mut seen));
        assert_eq!(notes(state.path(), "policy-rejected"), 4);
    }

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
