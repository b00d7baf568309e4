use proptest::prelude::*;
use serde_json::{Value, json};
use tagout_policy::{Arguments, Effect, Profile};

use crate::{policy, verdict};

const CONDITIONS: &[&str] = &[
    "true",
    "context.approved",
    "resource.reviewed",
    "context.arguments has path && context.arguments.path like \"/tmp/*\"",
    "context.arguments.n > 3",
    "principal in Group::\"operators\"",
    "principal in Group::\"nobody\"",
];

fn rule() -> impl Strategy<Value = (bool, usize, bool)> {
    (any::<bool>(), 0..CONDITIONS.len(), any::<bool>())
}

fn text(rules: &[(bool, usize, bool)], skip: Option<usize>) -> String {
    let rules = rules.iter().enumerate().filter(|(n, _)| Some(*n) != skip);
    rules
        .map(|(n, (permits, condition, when))| {
            let effect = if *permits { "permit" } else { "forbid" };
            let clause = if *when { "when" } else { "unless" };
            let condition = CONDITIONS.get(*condition).copied().unwrap_or_default();
            format!(
                "@id(\"r{n}\") {effect} (principal, action, resource) {clause} {{ {condition} }};\n"
            )
        })
        .collect()
}

fn arguments() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"path": "/tmp/x"})),
        Just(json!({"path": "/etc/x", "n": 4})),
        Just(json!({"n": "text"})),
        Just(json!({"n": 9.5})),
    ]
}

/// Deny < ask < allow.
fn openness(said: &str) -> usize {
    ["deny", "ask", "allow"].iter().position(|word| said.starts_with(word)).unwrap()
}

proptest! {
    #[test]
    fn one_rule_less_or_more_only_moves_one_way(
        rules in prop::collection::vec(rule(), 1..6),
        skip in any::<prop::sample::Index>(),
        arguments in arguments(),
        reviewed in any::<bool>(),
    ) {
        let skip = skip.index(rules.len());
        let say = |rules: &str| {
            verdict(&policy(Profile::None, rules), &[Effect::Read], reviewed, Arguments::Known(&arguments))
        };
        let (with, without) = (say(&text(&rules, None)), say(&text(&rules, Some(skip))));
        if rules[skip].0 {
            // A permit that fails makes a deny of everything, so only one that holds can be judged.
            let fails = with.ends_with(&format!("by r{skip}")) && with.starts_with("deny");
            prop_assert!(fails || openness(&without) <= openness(&with), "{with} / {without}");
        } else {
            prop_assert!(openness(&without) >= openness(&with), "{with} / {without}");
        }
    }

    #[test]
    fn what_a_list_hides_no_call_opens(
        rules in prop::collection::vec(rule(), 0..6),
        arguments in arguments(),
        reviewed in any::<bool>(),
    ) {
        let policy = policy(Profile::None, &text(&rules, None));
        let listed = verdict(&policy, &[Effect::Read], reviewed, Arguments::Unknown);
        let called = verdict(&policy, &[Effect::Read], reviewed, Arguments::Known(&arguments));
        prop_assert!(openness(&listed) >= openness(&called), "{listed} / {called}");
    }

    /// A rule that looks at the arguments and never applies keeps the verdict from being settled
    /// without them; it is the same all the same, whatever was asked before.
    #[test]
    fn what_is_settled_without_arguments_is_what_they_would_have_said(
        rules in prop::collection::vec(rule(), 0..6),
        asked in prop::collection::vec((arguments(), any::<bool>()), 1..4),
    ) {
        let rules = text(&rules, None);
        let never = "@id(\"zz\") forbid (principal, action, resource) when { context.arguments has nothing_has_it };";
        let settles = policy(Profile::None, &rules);
        let looks = policy(Profile::None, &format!("{rules}{never}"));
        for (arguments, reviewed) in asked {
            let say = |policy| verdict(policy, &[Effect::Read], reviewed, Arguments::Known(&arguments));
            prop_assert_eq!(say(&settles), say(&looks));
        }
    }
}
