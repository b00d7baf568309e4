use tagout_policy::{Effect, Policy, Profile, Surface};

use crate::call::{Call, policy};

/// Effects, whether they are reviewed, and what read-only, ask-before-writes, strict and none say.
const PROFILES: &[(&[Effect], bool, [&str; 4])] = &[
    (
        &[Effect::Read],
        true,
        [
            "allow by read-freely",
            "allow by read-freely",
            "ask by ask-always",
            "deny by tagout:default-deny",
        ],
    ),
    (
        &[Effect::Read],
        false,
        [
            "deny by tagout:default-deny",
            "ask by ask-before-writes",
            "deny by never-unreviewed",
            "deny by tagout:default-deny",
        ],
    ),
    (
        &[Effect::Read, Effect::Write],
        true,
        [
            "deny by tagout:default-deny",
            "ask by ask-before-writes",
            "ask by ask-always",
            "deny by tagout:default-deny",
        ],
    ),
    (
        &[Effect::Destructive],
        true,
        [
            "deny by tagout:default-deny",
            "ask by ask-before-writes",
            "deny by never-destroy-or-execute",
            "deny by tagout:default-deny",
        ],
    ),
    (
        &[Effect::Exec],
        false,
        [
            "deny by tagout:default-deny",
            "ask by ask-before-writes",
            "deny by never-destroy-or-execute",
            "deny by tagout:default-deny",
        ],
    ),
    (
        &[],
        true,
        [
            "deny by tagout:default-deny",
            "ask by ask-before-writes",
            "ask by ask-always",
            "deny by tagout:default-deny",
        ],
    ),
];

#[test]
fn profiles() {
    let profiles = [Profile::ReadOnly, Profile::AskBeforeWrites, Profile::Strict, Profile::None];
    for (effects, reviewed, expected) in PROFILES {
        for (profile, expected) in profiles.into_iter().zip(expected) {
            let call = Call::with_effects(effects, *reviewed);
            for call in [call.clone(), call.unpinned()] {
                let said = call.verdict(&policy(profile, ""));
                assert_eq!(said, *expected, "{effects:?} reviewed={reviewed} under {profile}");
            }
        }
    }
}

#[test]
fn profiles_load_where_nothing_is_pinned() {
    for profile in [Profile::ReadOnly, Profile::AskBeforeWrites, Profile::Strict, Profile::None] {
        Policy::load(profile, &[], &Surface::default()).unwrap();
    }
}
