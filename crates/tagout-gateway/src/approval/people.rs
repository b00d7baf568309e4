//! Who may answer questions, and whether that can be shown.
use tagout_store::{Store, StoreError, StoredApprover};

use super::{
    key::{ApproverSigner, verifies},
    seal::{SealKey, message},
};
use crate::config::Listed;

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
    /// As they are in `store`; what does not bear the code that `seal` makes counts for nothing.
    /// Where the configuration lists keys, `listed`, no other counts; where it says whose they are,
    /// they are that person's.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn of(store: &Store, seal: &SealKey, listed: &[Listed]) -> Result<Self, StoreError> {
        Ok(Self::looked_at(store.approvers()?, seal, listed))
    }

    fn looked_at(all: Vec<StoredApprover>, seal: &SealKey, listed: &[Listed]) -> Self {
        let sealed: Vec<_> = all.iter().filter(|one| is_sealed(one, seal)).collect();
        let standings: Vec<_> = all.iter().map(|one| standing(one, &sealed, listed)).collect();
        let people = all.into_iter().zip(standings);
        let people = people.map(|(mut stored, standing)| {
            let said = listed.iter().find(|one| one.key == stored.public);
            if let Some(person) = said.and_then(|one| one.person.clone()) {
                (stored.user, stored.groups) = (person.user, person.groups);
            }
            Approver { stored, standing }
        });
        Self(people.collect())
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

/// What `one` is worth among those who bear the gateways' code.
fn standing(one: &StoredApprover, sealed: &[&StoredApprover], listed: &[Listed]) -> Standing {
    if one.revoked_at.is_some() {
        return Standing::Revoked;
    }
    if !listed.is_empty() && !is_listed(one, listed) {
        return Standing::NotListed;
    }
    if !sealed.contains(&one) || !is_alone(one, sealed) {
        return Standing::NotShown;
    }
    let shown = if listed.is_empty() {
        leads_to_the_first(one, sealed)
    } else {
        let by = called(&one.enrolled_by, sealed);
        by.is_some_and(|by| is_listed(by, listed) && enrolled(one, by))
    };
    if shown { Standing::Counts } else { Standing::NotShown }
}

fn is_listed(one: &StoredApprover, listed: &[Listed]) -> bool {
    listed.iter().any(|other| other.key == one.public)
}

/// Whether nobody else has the name or the key: who could be two people is nobody.
fn is_alone(one: &StoredApprover, sealed: &[&StoredApprover]) -> bool {
    let same = |other: &&&StoredApprover| other.name == one.name || other.public == one.public;
    sealed.iter().filter(same).count() == 1
}

fn called<'a>(name: &str, sealed: &[&'a StoredApprover]) -> Option<&'a StoredApprover> {
    sealed.iter().find(|one| one.name.as_str() == name).copied()
}

/// Whether whoever enrolled this one was enrolled, and so on, up to the one who came first.
fn leads_to_the_first(one: &StoredApprover, sealed: &[&StoredApprover]) -> bool {
    let mut one = one;
    for _ in 0..DEPTH {
        let Some(by) = called(&one.enrolled_by, sealed) else { return false };
        // Who was revoked could enrol nobody any more.
        let in_time = by.revoked_at.is_none_or(|end| one.enrolled_at < end);
        if !in_time && by.name != one.name || !enrolled(one, by) {
            return false;
        }
        if by.name == one.name {
            return one.number == 1;
        }
        one = by;
    }
    false
}

fn enrolled(one: &StoredApprover, by: &StoredApprover) -> bool {
    verifies(&by.public, &enrolment(one), &one.signature)
}

/// Whether a gateway has put `one` there as it is, and left it so.
pub(super) fn is_sealed(one: &StoredApprover, seal: &SealKey) -> bool {
    let parts = sealed_parts(one);
    one.number >= 1 && seal.holds(ROW, &parts.each_ref().map(|part| part.as_bytes()), &one.seal)
}

/// The gateways' code over `one`.
pub(super) fn seal_of_approver(one: &StoredApprover, seal: &SealKey) -> String {
    seal.code(ROW, &sealed_parts(one).each_ref().map(|part| part.as_bytes()))
}

const ROW: &str = "tagout-approver-1";

fn sealed_parts(one: &StoredApprover) -> [String; 10] {
    let groups: Vec<_> = one.groups.iter().map(String::as_str).collect();
    [
        one.number.to_string(),
        one.name.to_string(),
        one.user.clone(),
        groups.join("\n"),
        one.public.clone(),
        one.webhook.to_string(),
        one.enrolled_by.clone(),
        one.signature.clone(),
        one.enrolled_at.to_string(),
        one.revoked_at.map(|at| at.to_string()).unwrap_or_default(),
    ]
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
    use crate::{approval::key::ApproverKey, config::ListedPerson};

    fn signer(name: &str) -> ApproverSigner {
        let passphrase = Secret::new("correct horse".to_owned());
        ApproverKey::make(&name.parse().unwrap(), &passphrase).unwrap().1
    }

    fn enrolled_by(who: &ApproverSigner, by: &ApproverSigner, second: i64) -> StoredApprover {
        let mut one = StoredApprover {
            number: if who.name() == by.name() { 1 } else { 2 },
            name: who.name().clone(),
            user: who.name().to_string(),
            groups: ["a".to_owned()].into(),
            public: who.public(),
            webhook: false,
            enrolled_by: String::new(),
            signature: String::new(),
            enrolled_at: jiff::Timestamp::from_second(second).unwrap(),
            revoked_at: None,
            seal: String::new(),
        };
        sign_enrolment(&mut one, by);
        sealed(one)
    }

    fn keys(of: &[&ApproverSigner]) -> Vec<Listed> {
        of.iter().map(|one| Listed { key: one.public(), person: None }).collect()
    }

    fn sealed(one: StoredApprover) -> StoredApprover {
        let seal = seal_of_approver(&one, &SealKey::of_seed(b"a"));
        StoredApprover { seal, ..one }
    }

    fn standings(all: &[StoredApprover], listed: &[Listed]) -> Vec<Standing> {
        let people = People::looked_at(all.to_vec(), &SealKey::of_seed(b"a"), listed);
        people.into_all().into_iter().map(|one| one.standing).collect()
    }

    #[test]
    fn only_who_is_enrolled_by_somebody_who_counts_counts() {
        let (ann, bob, eve) = (signer("ann"), signer("bob"), signer("eve"));
        let all = [enrolled_by(&ann, &ann, 1), enrolled_by(&bob, &ann, 2)];
        assert_eq!(standings(&all, &[]), [Standing::Counts; 2]);
        // A row that was changed.
        for change in [
            |one: &mut StoredApprover| one.user = "somebody".to_owned(),
            |one: &mut StoredApprover| one.webhook = true,
            |one: &mut StoredApprover| one.groups.clear(),
            |one: &mut StoredApprover| one.enrolled_at = jiff::Timestamp::UNIX_EPOCH,
            |one: &mut StoredApprover| one.number = 3,
        ] {
            let mut changed = all.clone();
            change(&mut changed[1]);
            assert_eq!(standings(&changed, &[]), [Standing::Counts, Standing::NotShown]);
        }
        // Who was revoked enrols nobody, but those from before stay.
        let end = jiff::Timestamp::from_second(5).unwrap();
        let gone = sealed(StoredApprover { revoked_at: Some(end), ..all[0].clone() });
        let revoked = [gone, all[1].clone(), enrolled_by(&eve, &ann, 9)];
        let expected = [Standing::Revoked, Standing::Counts, Standing::NotShown];
        assert_eq!(standings(&revoked, &[]), expected);
        // Nor is anybody put back whose entry says that they are gone.
        let mut back = revoked;
        back[0].revoked_at = None;
        assert_eq!(standings(&back, &[]), [Standing::NotShown; 3]);
    }

    /// Who writes the state has no code for it, whatever number the row has.
    #[test]
    fn whoever_puts_a_row_there_is_nobody() {
        let (ann, bob, eve) = (signer("ann"), signer("bob"), signer("eve"));
        let all = [enrolled_by(&ann, &ann, 1), enrolled_by(&bob, &ann, 2)];
        let unsealed = StoredApprover { seal: String::new(), ..enrolled_by(&eve, &eve, 0) };
        let borrowed = StoredApprover { seal: all[0].seal.clone(), ..unsealed.clone() };
        for row in [unsealed, borrowed] {
            for number in [-1, 0, 1] {
                let first = StoredApprover { number, ..row.clone() };
                let with = [[first].as_slice(), &all].concat();
                let expected = [Standing::NotShown, Standing::Counts, Standing::Counts];
                assert_eq!(standings(&with, &[]), expected);
                let listed = keys(&[&ann, &bob, &eve]);
                assert_eq!(standings(&with, &listed), expected);
            }
        }
        // Nor is a key that was revoked good for an enrolment of earlier.
        let end = jiff::Timestamp::from_second(5).unwrap();
        let gone = sealed(StoredApprover { revoked_at: Some(end), ..all[0].clone() });
        let dated = StoredApprover { seal: all[1].seal.clone(), ..enrolled_by(&eve, &ann, 3) };
        let expected = [Standing::Revoked, Standing::Counts, Standing::NotShown];
        assert_eq!(standings(&[gone, all[1].clone(), dated], &[]), expected);
    }

    #[test]
    fn one_key_is_one_person() {
        let (ann, bob) = (signer("ann"), signer("bob"));
        let first = enrolled_by(&ann, &ann, 1);
        let twice = sealed(StoredApprover {
            name: "two".parse().unwrap(),
            public: bob.public(),
            ..enrolled_by(&bob, &ann, 2)
        });
        let all = [first, enrolled_by(&bob, &ann, 2), twice];
        let expected = [Standing::Counts, Standing::NotShown, Standing::NotShown];
        assert_eq!(standings(&all, &[]), expected);
        assert_eq!(standings(&all, &keys(&[&ann, &bob])), expected);
    }

    #[test]
    fn a_list_of_keys_has_the_say() {
        let (ann, bob) = (signer("ann"), signer("bob"));
        let all = [enrolled_by(&ann, &ann, 1), enrolled_by(&bob, &bob, 2)];
        let (only_bob, both) = (keys(&[&bob]), keys(&[&ann, &bob]));
        assert_eq!(standings(&all, &only_bob), [Standing::NotListed, Standing::Counts]);
        assert_eq!(standings(&all, &both), [Standing::Counts; 2]);
    }

    #[test]
    fn the_list_says_whose_a_key_is() {
        let (ann, bob) = (signer("ann"), signer("bob"));
        let all = [enrolled_by(&ann, &ann, 1), enrolled_by(&bob, &bob, 2)];
        let mut listed = keys(&[&ann, &bob]);
        let person = ListedPerson { user: "ann".to_owned(), groups: ["night".to_owned()].into() };
        listed[1].person = Some(person.clone());
        let people = People::looked_at(all.to_vec(), &SealKey::of_seed(b"a"), &listed);
        let bob = people.counts("bob").unwrap();
        assert_eq!((&bob.user, &bob.groups), (&person.user, &person.groups));
    }
}
