//! Whose approval a call takes, in words, and whether it can be had.
use std::collections::BTreeSet;

use tagout_inspect::characters::one_line;
use tagout_policy::Given;

/// Whether the caller's own word, given in the client, is enough.
pub(crate) const fn own_word_does(demand: &Given) -> bool {
    demand.people == 0 && !demand.outside
}

/// What `demand` asks for, of a call by `user`.
#[must_use]
pub(crate) fn in_words(demand: &Given, user: &str) -> String {
    let user = one_line(user);
    let people = match demand.people {
        0 => String::new(),
        1 => format!("one person other than {user}"),
        2 => format!("two people other than {user}"),
        more => format!("{more} people other than {user}"),
    };
    let mut words = match (demand.own, people.is_empty()) {
        (_, true) => user,
        (true, false) => format!("{user} and {people}"),
        (false, false) => people,
    };
    words.push_str(&in_groups(&demand.groups));
    if demand.outside {
        words.push_str(", outside the client");
    }
    words
}

fn in_groups(groups: &BTreeSet<String>) -> String {
    let names: Vec<_> = groups.iter().map(|group| one_line(group)).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!(", in group {one}"),
        more => format!(", in groups {}", more.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_read_as_people_say_them() {
        let given = |own, people, outside, groups: &[&str]| Given {
            own,
            people,
            outside,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        for (demand, words) in [
            (given(true, 0, false, &[]), "ann"),
            (given(true, 0, true, &[]), "ann, outside the client"),
            (given(false, 1, false, &[]), "one person other than ann"),
            (
                given(false, 2, true, &["supervisors"]),
                "two people other than ann, in group supervisors, outside the client",
            ),
            (
                given(true, 3, false, &["a", "b"]),
                "ann and 3 people other than ann, in groups a and b",
            ),
        ] {
            assert_eq!(in_words(&demand, "ann"), words);
        }
    }
}
