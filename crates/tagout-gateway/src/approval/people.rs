//! Who may answer questions, and whether that can be shown.
use tagout_store::{Store, StoreError, StoredApprover};

use super::{
    key::{ApproverSigner, verifies},
    seal::message,
};

/// How far back enrolments are followed.
const DEPTH: usize = 32;

/// Whether somebody's word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Counts,
    /// It was revoked.
    Revoked,
    /// The configuration lists whose word counts, and this one's is not among them.
    NotListed,
    /// Nobody whose word counts has enrolled this one, or the entry was changed since.
    NotShown,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Revoked => "revoked",
            Self::NotListed => "not listed",
            Self::NotShown => "not shown",
        }
    }
}

/// Somebody who was enrolled.
#[derive(Clone, Debug)]
pub struct Approver {
    /// What is stored.
    pub stored: StoredApprover,
    /// What it is worth.
    pub standing: Standing,
}

/// Everybody who was ever enrolled, looked at.
#[derive(Debug)]
pub(crate) struct People(Vec<Approver>);

impl People {
    /// As they are in `store`; where the configuration lists keys, `listed`, no other counts.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn of(store: &Store, listed: &[String]) -> Result<Self, StoreError> {
        Ok(Self::looked_at(store.approvers()?, listed))
    }

    fn looked_at(all: Vec<StoredApprover>, listed: &[String]) -> Self {
        let standings: Vec<_> = all.iter().map(|one| standing(one, &all, listed)).collect();
        let people = all.into_iter().zip(standings);
        Self(people.map(|(stored, standing)| Approver { stored, standing }).collect())
    }

    /// All of them.
    pub(crate) fn into_all(self) -> Vec<Approver> {
        self.0
    }

    /// Those whose word counts.
    pub(crate) fn counting(&self) -> impl Iterator<Item = &StoredApprover> {
        self.0.iter().filter(|one| one.standing == Standing::Counts).map(|one| &one.stored)
    }

    /// The one called `name`, if that one's word counts.
    pub(crate) fn counts(&self, name: &str) -> Option<&StoredApprover> {
        self.counting().find(|one| one.name.as_str() == name)
    }
}

fn standing(one: &StoredApprover, all: &[StoredApprover], listed: &[String]) -> Standing {
    if one.revoked_at.is_some() {
        return Standing::Revoked;
    }
    if !listed.is_empty() {
        if !listed.contains(&one.public) {
            return Standing::NotListed;
        }
        let by = all.iter().find(|by| by.name.as_str() == one.enrolled_by);
        let shown = by.is_some_and(|by| listed.contains(&by.public) && enrolled(one, by));
        return if shown { Standing::Counts } else { Standing::NotShown };
    }
    if leads_to_the_first(one, all) { Standing::Counts } else { Standing::NotShown }
}

/// Whether whoever enrolled this one was enrolled, and so on, up to the one who came first.
fn leads_to_the_first(one: &StoredApprover, all: &[StoredApprover]) -> bool {
    let mut one = one;
    for _ in 0..DEPTH {
        let Some(by) = all.iter().find(|by| by.name.as_str() == one.enrolled_by) else {
            return false;
        };
        // Who was revoked could enrol nobody any more.
        let in_time = by.revoked_at.is_none_or(|end| one.enrolled_at < end);
        if !in_time && by.name != one.name || !enrolled(one, by) {
            return false;
        }
        if by.name == one.name {
            return all.first().is_some_and(|first| first.name == one.name);
        }
        one = by;
    }
    false
}

fn enrolled(one: &StoredApprover, by: &StoredApprover) -> bool {
    verifies(&by.public, &enrolment(one), &one.signature)
}

/// Signs that `one` is enrolled, by the one whose key signs.
pub(super) fn sign_enrolment(one: &mut StoredApprover, signer: &ApproverSigner) {
    one.enrolled_by = signer.name().to_string();
    one.signature = signer.sign(&enrolment(one));
}

/// What an enrolment's signature is over.
fn enrolment(one: &StoredApprover) -> Vec<u8> {
    let groups: Vec<_> = one.groups.iter().map(String::as_str).collect();
    let (groups, at) = (groups.join("\n"), one.enrolled_at.to_string());
    let webhook = if one.webhook { "webhook" } else { "" };
    let parts =
        [one.name.as_str(), &one.user, &groups, &one.public, webhook, &one.enrolled_by, &at];
    message("tagout-enrolment-1", &parts.map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use tagout_proto::Secret;

    use super::*;
    use crate::approval::key::ApproverKey;

    fn signer(name: &str) -> ApproverSigner {
        let passphrase = Secret::new("correct horse".to_owned());
        ApproverKey::make(&name.parse().unwrap(), &passphrase).unwrap().1
    }

    fn enrolled_by(who: &ApproverSigner, by: &ApproverSigner, second: i64) -> StoredApprover {
        let mut one = StoredApprover {
            name: who.name().clone(),
            user: who.name().to_string(),
            groups: ["a".to_owned()].into(),
            public: who.public(),
            webhook: false,
            enrolled_by: String::new(),
            signature: String::new(),
            enrolled_at: jiff::Timestamp::from_second(second).unwrap(),
            revoked_at: None,
        };
        sign_enrolment(&mut one, by);
        one
    }

    fn standings(all: &[StoredApprover], listed: &[String]) -> Vec<Standing> {
        let people = People::looked_at(all.to_vec(), listed);
        people.into_all().into_iter().map(|one| one.standing).collect()
    }

    #[test]
    fn only_who_is_enrolled_by_somebody_who_counts_counts() {
        let (ann, bob, eve) = (signer("ann"), signer("bob"), signer("eve"));
        let all = [enrolled_by(&ann, &ann, 1), enrolled_by(&bob, &ann, 2)];
        assert_eq!(standings(&all, &[]), [Standing::Counts; 2]);
        // A row that was put there, enrolled by nobody else.
        let with_eve = [all.as_slice(), &[enrolled_by(&eve, &eve, 3)]].concat();
        assert_eq!(standings(&with_eve, &[]).last(), Some(&Standing::NotShown));
        // A row that was changed.
        for change in [
            |one: &mut StoredApprover| one.user = "somebody".to_owned(),
            |one: &mut StoredApprover| one.webhook = true,
            |one: &mut StoredApprover| one.groups.clear(),
            |one: &mut StoredApprover| one.enrolled_at = jiff::Timestamp::UNIX_EPOCH,
        ] {
            let mut changed = all.clone();
            change(&mut changed[1]);
            assert_eq!(standings(&changed, &[])[1], Standing::NotShown);
        }
        // Who was revoked enrols nobody, but those from before stay.
        let mut revoked = with_eve;
        revoked[0].revoked_at = Some(jiff::Timestamp::from_second(5).unwrap());
        revoked[2] = enrolled_by(&eve, &ann, 9);
        let expected = [Standing::Revoked, Standing::Counts, Standing::NotShown];
        assert_eq!(standings(&revoked, &[]), expected);
    }

    #[test]
    fn a_list_of_keys_has_the_say() {
        let (ann, bob) = (signer("ann"), signer("bob"));
        let all = [enrolled_by(&ann, &ann, 1), enrolled_by(&bob, &bob, 2)];
        let (only_bob, both) = ([bob.public()], [ann.public(), bob.public()]);
        assert_eq!(standings(&all, &only_bob), [Standing::NotListed, Standing::Counts]);
        assert_eq!(standings(&all, &both), [Standing::Counts; 2]);
    }
}
