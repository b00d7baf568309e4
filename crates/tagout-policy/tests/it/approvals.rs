//! What approvals rules demand.
use serde_json::json;
use tagout_policy::{Decision, Given, Profile};

use crate::call::{Call, policy};

/// A condition of a permit, and the least that meets it.
const DEMANDS: &[(&str, &str)] = &[
    ("context.approved", "the caller's own user"),
    ("context.approval.own", "the caller's own user"),
    (
        "context.approved && context.approval.outside",
        "the caller's own user, not by way of the client",
    ),
    ("context.approval.people >= 1", "1 other person"),
    ("context.approval.people > 1", "2 other people"),
    ("context.approval.people >= 3", "3 other people"),
    (
        "context.approval.people >= 2 && context.approval.outside",
        "2 other people, not by way of the client",
    ),
    (r#"context.approval.groups.contains("ops")"#, "1 other person in `ops`"),
    (
        r#"context.approval.people >= 2 && context.approval.groups.contains("ops")"#,
        "2 other people in `ops`",
    ),
    (
        r#"context.approval.groups.containsAll(["ops", "night"])"#,
        "1 other person in `night` and `ops`",
    ),
    (r#"context.approval.groups.containsAny(["ops", "night"])"#, "1 other person in `night`"),
    ("context.approval.groups.containsAny(principal.groups)", "1 other person in `operators`"),
    (
        "context.approval.own && context.approval.people >= 1",
        "the caller's own user and 1 other person",
    ),
];

#[test]
fn the_least_that_is_enough_is_demanded() {
    for (condition, expected) in DEMANDS {
        let rule =
            format!("@id(\"x\") permit (principal, action, resource) when {{ {condition} }};");
        let policy = policy(Profile::None, &rule);
        for arguments in [Some(json!({})), None] {
            let call = Call { arguments, ..Call::with(json!({})) };
            let verdict = call.decided(&policy);
            assert_eq!(verdict.decision, Decision::Ask, "{condition}");
            let demand = verdict.demand.unwrap();
            assert_eq!(demand.to_string(), *expected, "{condition}");
            call.judged(|facts| {
                assert_eq!(policy.allows(facts, &demand).decision, Decision::Allow);
                assert_eq!(policy.allows(facts, &Given::NONE).decision, Decision::Deny);
            });
        }
    }
}

#[test]
fn forbids_name_themselves_as_what_asks() {
    let rules = r#"@id("all") permit (principal, action, resource);
        @id("two-people") forbid (principal, action, resource) unless { context.approval.people >= 2 };"#;
    let policy = policy(Profile::None, rules);
    let call = Call::with(json!({}));
    assert_eq!(call.verdict(&policy), "ask by two-people");
    call.judged(|facts| {
        let own = Given { own: true, outside: true, ..Given::NONE };
        assert_eq!(policy.allows(facts, &own).rule, "two-people");
        assert_eq!(policy.allows(facts, &Given { people: 2, ..Given::NONE }).rule, "all");
    });
}

#[test]
fn what_no_approval_opens_says_what_is_in_the_way() {
    let rules = r#"@id("asks") permit (principal, action, resource) when { context.approved };
        @id("a-unless") forbid (principal, action, resource) unless { context.approved };
        @id("never") forbid (principal, action, resource in Server::"files");"#;
    assert_eq!(Call::with(json!({})).verdict(&policy(Profile::None, rules)), "deny by never");
}

/// A rule that fails once somebody approved denies, although another approval could do.
#[test]
fn a_rule_that_fails_on_the_way_denies() {
    let rules = r#"@id("asks") permit (principal, action, resource) when { context.approval.people >= 1 };
        @id("fails") forbid (principal, action, resource)
        when { context.approval.own && context.history.calls + 9223372036854775807 > 0 };"#;
    let call = Call {
        history: tagout_policy::History { calls: 1, ..Default::default() },
        ..Call::with(json!({}))
    };
    assert_eq!(call.verdict(&policy(Profile::None, rules)), "deny by fails");
}
