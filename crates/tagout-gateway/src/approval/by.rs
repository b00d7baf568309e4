//! Who said yes, for records and for people: users, each with the name of the key that answered.
use tagout_assertion::ApprovedBy;
use tagout_proto::quoted;

/// `people` in one line that is read in one way only: users as they are, in quotation marks where a
/// name could be taken for more than one, and in brackets the approver's name.
#[must_use]
pub fn in_words(people: &[ApprovedBy]) -> String {
    let each = people.iter().map(|one| {
        let user = if is_plain(&one.user) { one.user.clone() } else { quoted(&one.user) };
        one.approver.as_ref().map_or_else(|| user.clone(), |name| format!("{user} ({name})"))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The users in such a line, as far as it is one.
pub(crate) fn users_in(line: &str) -> Vec<String> {
    let (mut users, mut rest) = (Vec::new(), line);
    while !rest.is_empty() {
        let after = if rest.starts_with('"') {
            let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let Some(Ok(user)) = texts.next() else { break };
            users.push(user);
            rest.get(texts.byte_offset()..).unwrap_or_default()
        } else {
            let end = rest.find([',', ' ']).unwrap_or(rest.len());
            let (user, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            users.push(user.to_owned());
            after
        };
        rest = after.split_once(", ").map_or("", |(_, rest)| rest);
    }
    users
}

/// The people that a grant names, as they were stored; none where that is none of it.
pub(crate) fn stored(text: &str) -> Vec<ApprovedBy> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The same for people to read.
#[must_use]
pub fn stored_in_words(text: &str) -> String {
    in_words(&stored(text))
}

fn is_plain(user: &str) -> bool {
    let plain = |letter: char| letter.is_alphanumeric() || "._@+-".contains(letter);
    !user.is_empty() && user.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(user: &str, approver: Option<&str>) -> ApprovedBy {
        ApprovedBy {
            user: user.to_owned(),
            approver: approver.map(str::to_owned),
            channel: "command".to_owned(),
        }
    }

    #[test]
    fn a_line_names_just_the_users_that_it_was_made_of() {
        for people in [
            vec![],
            vec![person("ann", None)],
            vec![person("ann", Some("ann-laptop")), person("ben", Some("ann"))],
            vec![person("ann, ben", None), person("x\" (y), cem", Some("z"))],
            vec![person("", Some("z")), person("a b", None), person("Jörg@x.org", Some("j"))],
        ] {
            let users: Vec<_> = people.iter().map(|one| one.user.clone()).collect();
            assert_eq!(users_in(&in_words(&people)), users, "{}", in_words(&people));
        }
        assert_eq!(in_words(&[person("ann, ben", Some("k"))]), "\"ann, ben\" (k)");
        assert_eq!(users_in("\"torn"), Vec::<String>::new());
    }
}
