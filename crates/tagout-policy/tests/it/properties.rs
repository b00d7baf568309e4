use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tagout_policy::{Decision, Effect, Given, History, Policy, Profile};

use crate::call::{Call, counts, policy};

const CONDITIONS: &[&str] = &[
    "resource.reviewed || context.approved",
    "context.approved",
    "context.approval.own",
    "context.approval.people >= 2",
    "context.approval.outside && context.approval.groups.contains(\"ops\")",
    "!context.approved",
    "resource.reviewed",
    "resource.labels.contains(\"sensitive\")",
    "context.arguments has path && context.arguments.path like \"/tmp/*\"",
    "context.arguments has n && context.arguments.n + 9223372036854775807 > 0",
    "context.arguments has amount && context.arguments.amount has decimal && context.arguments.amount.decimal.greaterThan(decimal(\"1.5\"))",
    "context.arguments has tags && context.arguments.tags.length > 1",
    "context.undeclared != \"{}\"",
    "context.history.calls > 3",
    "context.history.this_tool + 9223372036854775805 > 5",
    "context.approval.own && context.history.this_tool + 9223372036854775805 > 5",
    "context.approval.people >= 1 && context.history.this_tool + 9223372036854775805 > 5",
    "context.history has denied_s && context.history.denied_s < 60",
    "context.now.toTime() < duration(\"12h\")",
    "context has address && context.address.isLoopback()",
    "principal in Group::\"operators\"",
    "principal in Group::\"nobody\"",
];

#[derive(Clone, Debug)]
struct Rule {
    permits: bool,
    condition: usize,
    when: bool,
}

fn rules(most: usize) -> impl Strategy<Value = Vec<Rule>> {
    let rule = (any::<bool>(), 0..CONDITIONS.len(), any::<bool>());
    let rule = rule.prop_map(|(permits, condition, when)| Rule { permits, condition, when });
    prop::collection::vec(rule, 1..most)
}

fn text(rules: &[Rule], skip: Option<usize>) -> String {
    let rules = rules.iter().enumerate().filter(|(n, _)| Some(*n) != skip);
    rules
        .map(|(n, rule)| {
            let effect = if rule.permits { "permit" } else { "forbid" };
            let clause = if rule.when { "when" } else { "unless" };
            let condition = CONDITIONS.get(rule.condition).copied().unwrap_or_default();
            let scope = "principal, action == Action::\"files__write_file\", resource";
            format!("@id(\"r{n}\") {effect} ({scope}) {clause} {{ {condition} }};\n")
        })
        .collect()
}

fn arguments() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"path": "/tmp/x"})),
        Just(json!({"path": "/etc/x", "n": 4, "more": [1]})),
        Just(json!({"n": -4, "amount": 2.25, "tags": ["a", "b"]})),
        Just(json!({"n": 9.5})),
        Just(json!({"amount": 0.000_01, "tags": []})),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let history = (0..6u64, prop::option::of(0..200_000i64));
    (arguments(), any::<[bool; 3]>(), history, 0..172_800_000i64).prop_map(
        |(arguments, [reviewed, sensitive, near], (calls, ago), now_ms)| {
            let mut call = Call::with(arguments);
            call.reviewed = reviewed;
            call.labels.sensitive = sensitive;
            call.address = near.then(|| "127.0.0.1".parse().unwrap());
            call.now_ms = now_ms;
            call.effects = [Effect::Read].into();
            call.history = History {
                calls,
                by_tool: counts(&[("files__write_file", calls)]),
                denied_ms: ago.map(|ago| now_ms - ago),
                ..History::default()
            };
            call
        },
    )
}

fn given() -> impl Strategy<Value = Given> {
    (any::<bool>(), 0..4u8, any::<bool>(), any::<bool>()).prop_map(|(own, people, outside, ops)| {
        let groups = if ops && people > 0 { ["ops".to_owned()].into() } else { [].into() };
        Given { own, people, outside, groups }
    })
}

fn loaded(rules: &[Rule], skip: Option<usize>) -> Policy {
    policy(Profile::None, &text(rules, skip))
}

/// Deny < ask < allow.
const fn openness(decision: Decision) -> usize {
    match decision {
        Decision::Deny => 0,
        Decision::Ask => 1,
        Decision::Allow => 2,
    }
}

/// Whether the rule `id` cannot be evaluated in this call with these approvals.
fn fails(policy: &Policy, call: &Call, given: &Given, id: &str) -> bool {
    let explanation = call.judged(|facts| policy.explain(facts, given));
    explanation.deciding.iter().any(|rule| rule.id == id && rule.error.is_some())
}

/// Whether the rule `id` cannot be evaluated in this call with any approvals.
fn fails_at_all(policy: &Policy, call: &Call, id: &str) -> bool {
    let every = (0..4u8).flat_map(|people| {
        [true, false].into_iter().map(move |own| Given { own, people, ..Given::NONE })
    });
    every.into_iter().any(|given| fails(policy, call, &given, id))
}

fn allows(policy: &Policy, call: &Call, given: &Given) -> bool {
    call.judged(|facts| policy.allows(facts, given)).decision == Decision::Allow
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// With any approvals, and in what is decided without any, a `forbid` more never allows more,
    /// failing or not, and a `permit` less never does, unless that very `permit` fails: a rule that
    /// fails denies, and taking the failing rule away takes that deny away.
    #[test]
    fn one_rule_less_or_more_only_moves_one_way(
        rules in rules(6),
        skip in any::<prop::sample::Index>(),
        call in call(),
        given in given(),
    ) {
        let skip = skip.index(rules.len());
        let (with, without) = (loaded(&rules, None), loaded(&rules, Some(skip)));
        let id = format!("r{skip}");
        let (less, more) = if rules[skip].permits { (&without, &with) } else { (&with, &without) };
        for given in [&given, &Given::NONE] {
            let failed = rules[skip].permits && fails(&with, &call, given, &id);
            prop_assert!(failed || !allows(less, &call, given) || allows(more, &call, given));
        }
        let (less, more) = (call.decided(less), call.decided(more));
        // What is asked for is what is enough without the forbid too; it may then ask for less.
        if let Some(demand) = less.demand.clone().filter(|_| !rules[skip].permits) {
            prop_assert!(allows(&without, &call, &demand));
        }
        let failed = rules[skip].permits && fails_at_all(&with, &call, &id);
        prop_assert!(
            failed || openness(less.decision) <= openness(more.decision),
            "{less:?} / {more:?}"
        );
    }

    /// A rule that fails denies, whatever else there is.
    #[test]
    fn a_rule_that_fails_denies(rules in rules(6), call in call(), given in given()) {
        let policy = loaded(&rules, None);
        let failing = (0..rules.len()).any(|n| fails(&policy, &call, &given, &format!("r{n}")));
        prop_assert!(!failing || !allows(&policy, &call, &given));
    }

    #[test]
    fn what_a_list_hides_no_call_opens(rules in rules(6), call in call()) {
        let policy = loaded(&rules, None);
        let listed = Call { arguments: None, ..call.clone() }.decided(&policy).decision;
        let called = call.decided(&policy).decision;
        prop_assert!(openness(listed) >= openness(called), "{listed} / {called}");
    }

    /// Whatever was asked before, and whether a rule looks at what varies or not: what is kept is
    /// what would be found anew.
    #[test]
    fn what_is_settled_is_what_would_be_said(
        rules in rules(6),
        calls in prop::collection::vec(call(), 1..6),
    ) {
        let kept = loaded(&rules, None);
        let never = "@id(\"zz\") forbid (principal, action == Action::\"files__write_file\", resource) \
            when { context.arguments has path && context.arguments.path == \"nowhere\" && context.history.calls < 0 };";
        let looks = policy(Profile::None, &format!("{}{never}", text(&rules, None)));
        for call in calls {
            let anew = loaded(&rules, None);
            prop_assert_eq!(call.decided(&kept), call.decided(&anew));
            prop_assert_eq!(call.decided(&kept), call.decided(&looks));
        }
    }

    /// One decision, however it is asked for.
    #[test]
    fn explanations_say_what_was_decided(rules in rules(6), call in call(), given in given()) {
        let policy = loaded(&rules, None);
        call.judged(|facts| {
            prop_assert_eq!(policy.explain(facts, &Given::NONE).verdict, policy.decide(facts));
            let said = policy.explain(facts, &given).verdict;
            if given == Given::NONE {
                prop_assert_eq!(said, policy.decide(facts));
            } else {
                prop_assert_eq!(said, policy.allows(facts, &given));
            }
            Ok(())
        })?;
    }

    /// What is asked for is enough, and without it there is no way.
    #[test]
    fn demands_are_enough(rules in rules(6), call in call()) {
        let policy = loaded(&rules, None);
        let verdict = call.decided(&policy);
        prop_assert_eq!(verdict.demand.is_some(), verdict.decision == Decision::Ask);
        prop_assert_eq!(allows(&policy, &call, &Given::NONE), verdict.decision == Decision::Allow);
        if let Some(demand) = &verdict.demand {
            prop_assert!(allows(&policy, &call, demand));
        }
    }

    /// Rules that do not ask about history decide without it as with it.
    #[test]
    fn history_matters_only_to_rules_that_ask(rules in rules(6), call in call()) {
        let policy = Arc::new(loaded(&rules, None));
        let forgotten = Call { history: History::default(), ..call.clone() };
        if !policy.asks_about_history() {
            prop_assert_eq!(call.decided(&policy), forgotten.decided(&policy));
        }
    }
}
