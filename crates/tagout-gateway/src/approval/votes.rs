//! What people's answers come to.
use std::collections::BTreeSet;

use jiff::Timestamp;
use tagout_assertion::ApprovedBy;
use tagout_policy::Given;
use tagout_store::Scope;

/// More people than this are counted only all together; no rule asks for so many.
const MOST: usize = 8;

/// One person's yes, whose proof was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Whose.
    pub(crate) user: String,
    /// The name of the key that says so.
    pub(crate) by: String,
    /// By which way: `terminal`, `elicitation`, `command`, `webhook`.
    pub(crate) channel: &'static str,
    /// For how much.
    pub(crate) scope: Scope,
    /// The groups that this person approves for.
    pub(crate) groups: BTreeSet<String>,
    /// When.
    pub(crate) at: Timestamp,
}

impl Word {
    fn is_outside(&self) -> bool {
        matches!(self.channel, "command" | "webhook")
    }
}

/// What some of the answers come to, and which these are.
#[derive(Clone, Debug)]
pub(crate) struct Sum<'a> {
    pub(crate) given: Given,
    pub(crate) words: Vec<&'a Word>,
}

impl Sum<'_> {
    /// The least that anyone of them meant.
    pub(crate) fn scope(&self) -> Scope {
        self.words.iter().map(|word| word.scope).min().unwrap_or_default()
    }

    /// Who they are.
    pub(crate) fn by(&self) -> Vec<ApprovedBy> {
        let each = self.words.iter().map(|word| ApprovedBy {
            user: word.user.clone(),
            approver: Some(word.by.clone()),
            channel: word.channel.to_owned(),
        });
        each.collect()
    }

    /// When `user`, whose call it is, said so, if that is one of them.
    pub(crate) fn own_at(&self, user: &str) -> Option<Timestamp> {
        self.words.iter().filter(|word| word.user == user).map(|word| word.at).min()
    }

    /// By which ways they came, each once.
    pub(crate) fn channel(&self) -> String {
        let ways: BTreeSet<_> = self.words.iter().map(|word| word.channel).collect();
        ways.into_iter().collect::<Vec<_>>().join("+")
    }
}

/// What the answers to a call of `user` come to, the fewest people first. Somebody's yes may stand
/// in the way of what others' alone would do (of two people's groups only the common ones count),
/// so that each pair and each single one is a sum too.
pub(crate) fn sums<'a>(words: &'a [Word], user: &str) -> Vec<Sum<'a>> {
    let (own, others): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.user == user);
    let mut choices: Vec<Vec<&Word>> = vec![Vec::new()];
    if others.len() <= MOST {
        choices.extend(others.iter().map(|one| vec![*one]));
        for (n, one) in others.iter().enumerate() {
            choices.extend(others.iter().skip(n + 1).map(|other| vec![*one, *other]));
        }
    }
    if others.len() > 2 {
        choices.push(others);
    }
    let mut sums = Vec::new();
    for choice in choices {
        let with_own = own.iter().map(|own| [choice.as_slice(), &[*own]].concat());
        sums.extend(
            std::iter::once(choice.clone()).chain(with_own).filter_map(|words| sum(words, user)),
        );
    }
    sums
}

fn sum<'a>(words: Vec<&'a Word>, user: &str) -> Option<Sum<'a>> {
    if words.is_empty() {
        return None;
    }
    let others: Vec<_> = words.iter().filter(|word| word.user != user).collect();
    let people: BTreeSet<_> = others.iter().map(|word| &word.user).collect();
    let mut groups = others.first().map(|one| one.groups.clone()).unwrap_or_default();
    for other in &others {
        groups.retain(|group| other.groups.contains(group));
    }
    let given = Given {
        own: words.iter().any(|word| word.user == user),
        people: u8::try_from(people.len()).unwrap_or(u8::MAX),
        outside: words.iter().all(|word| word.is_outside()),
        groups,
    };
    Some(Sum { given, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(user: &str, channel: &'static str, groups: &[&str]) -> Word {
        Word {
            user: user.to_owned(),
            by: format!("{user}'s"),
            channel,
            scope: Scope::Once,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn reached(words: &[Word], want: impl Fn(&Given) -> bool) -> bool {
        sums(words, "ann").iter().any(|sum| want(&sum.given))
    }

    #[test]
    fn nobody_is_two_people() {
        let twice = [word("bob", "command", &[]), word("bob", "webhook", &[])];
        assert!(!reached(&twice, |given| given.people > 1));
        assert!(!reached(&[word("ann", "command", &[])], |given| given.people > 0));
        let two = [word("bob", "command", &[]), word("cid", "command", &[])];
        assert!(reached(&two, |given| given.people == 2 && given.outside && !given.own));
    }

    #[test]
    fn ones_own_word_stands_in_nobodys_way() {
        let words = [word("ann", "terminal", &[]), word("bob", "command", &["night"])];
        assert!(reached(&words, |given| given.own && given.people == 1 && !given.outside));
        assert!(reached(&words, |given| !given.own && given.people == 1 && given.outside));
        assert!(!reached(&words, |given| given.own && given.outside));
        let own_at = |sum: &Sum<'_>| sum.given.own == sum.own_at("ann").is_some();
        assert!(sums(&words, "ann").iter().all(own_at));
    }

    #[test]
    fn groups_are_those_that_all_are_in() {
        let words = [
            word("bob", "command", &["a", "b"]),
            word("cid", "command", &["b"]),
            word("dan", "webhook", &[]),
        ];
        let with = |people, group: &'static str| {
            reached(&words, move |given| given.people == people && given.groups.contains(group))
        };
        assert!(with(1, "a") && with(2, "b"));
        assert!(!with(2, "a") && !with(3, "b"));
        assert!(reached(&words, |given| given.people == 3));
        assert!(sums(&[], "ann").is_empty());
    }
}
