//! The approvals that could open a call, from the least to the most.
use std::collections::BTreeSet;

use crate::{asks::Asks, facts::Given};

/// The most that are tried.
const MOST: usize = 64;

/// What to try, in order. Approvals that no rule tells apart are tried once.
pub(crate) fn ladder(asks: &Asks, principal_groups: &BTreeSet<String>) -> Vec<Given> {
    if !asks.about_approvals() {
        return Vec::new();
    }
    let own = Given { own: true, ..Given::NONE };
    let mut steps = vec![own.clone()];
    let outside = asks.about_approval("outside");
    let push = |steps: &mut Vec<Given>, given: Given| {
        steps.push(given.clone());
        if outside {
            steps.push(Given { outside: true, ..given });
        }
    };
    if outside {
        steps.push(Given { outside: true, ..own });
    }
    let others = ["people", "groups", "own"].iter().any(|what| asks.about_approval(what));
    if !others {
        return steps;
    }
    let groups = groups(asks, principal_groups);
    let every: BTreeSet<String> = groups.iter().flatten().cloned().collect();
    let people = people(asks);
    for people in &people {
        let some = Given { people: *people, ..Given::NONE };
        push(&mut steps, some.clone());
        for groups in &groups {
            push(&mut steps, Given { groups: groups.clone(), ..some.clone() });
        }
    }
    for people in people {
        let all = Given { own: true, people, ..Given::NONE };
        push(&mut steps, all.clone());
        if !every.is_empty() {
            push(&mut steps, Given { groups: every.clone(), ..all });
        }
    }
    steps.truncate(MOST);
    steps
}

/// Small sets first.
fn groups(asks: &Asks, principal_groups: &BTreeSet<String>) -> Vec<BTreeSet<String>> {
    let mut groups = asks.groups.clone();
    if asks.groups_of_principal {
        groups.extend(principal_groups.iter().map(|group| BTreeSet::from([group.clone()])));
    }
    let every: BTreeSet<String> = groups.iter().flatten().cloned().collect();
    if !every.is_empty() {
        groups.insert(every);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(BTreeSet::len);
    groups
}

fn people(asks: &Asks) -> BTreeSet<u8> {
    let mut people = BTreeSet::from([1]);
    if asks.about_approval("people") {
        people.insert(2);
        people.extend(&asks.people);
    }
    people
}
