//! Explanations.
use serde_json::json;
use tagout_policy::{Alteration, Effect, Explanation, Given, Policy, Profile};

use crate::call::{Call, policy};

fn shown(title: &str, explanation: &Explanation) -> String {
    let verdict = &explanation.verdict;
    let mut out = format!("--- {title}\n{} by {}\n", verdict.decision, verdict.rule);
    for rule in &explanation.deciding {
        // Where a profile's rules stand in its text is no matter here.
        let own = rule.place.as_ref().filter(|(file, _)| file == "test.cedar");
        let place = own.map(|(file, line)| format!("{file}:{line}"));
        out.push_str(&format!(
            "  {} {:?} satisfied={} decided={} {} {}\n",
            rule.id,
            rule.effect,
            rule.satisfied,
            rule.decided,
            place.unwrap_or_default(),
            rule.error.as_deref().unwrap_or_default(),
        ));
    }
    for change in &explanation.changes {
        let what = change.what.to_string().replace('\n', "\n        ");
        out.push_str(&format!("  > {what}\n        then {} by {}\n", change.then, change.by));
    }
    out
}

const RULES: &str = r#"
@id("operators-write")
permit (principal in Group::"operators", action == Action::"files__write_file", resource);
@id("two-for-etc")
forbid (principal, action == Action::"files__write_file", resource)
when { context.arguments has path && context.arguments.path like "/etc/*" }
unless { context.approval.people >= 2 };
@id("nothing-destroys")
forbid (principal, action, resource)
when { resource.effects.contains("destructive") }
unless { principal in Group::"admins" };
@id("careful")
forbid (principal, action == Action::"files__write_file", resource)
when { context.arguments has n && context.arguments.n + 9223372036854775807 == 0 };
"#;

fn explained(policy: &Policy, call: &Call, given: &Given) -> Explanation {
    call.judged(|facts| policy.explain(facts, given))
}

#[test]
fn explanations_name_rules_and_the_smallest_changes() {
    let own = policy(Profile::None, RULES);
    let shipped = policy(Profile::AskBeforeWrites, "");
    let etc = Call::with(json!({"path": "/etc/x"}));
    let none = Given::NONE;
    let approved = Given { people: 2, ..Given::NONE };
    let stranger = |mut call: Call| {
        call.principal.groups.clear();
        call
    };
    let destroys = Call::with_effects(&[Effect::Write, Effect::Destructive], true);
    let unreviewed = Call::with_effects(&[Effect::Exec], false);
    let cases = [
        ("allowed", &own, Call::with(json!({"path": "/tmp/x"})), &none),
        ("two people wanted", &own, etc.clone(), &none),
        ("two people approved", &own, etc.clone(), &approved),
        ("not in the group", &own, stranger(etc), &none),
        ("destroys", &own, destroys, &none),
        ("a rule fails", &own, Call::with(json!({"n": 1})), &none),
        ("unfit", &own, Call::with(json!({"n": 1.5})), &none),
        ("unreviewed", &shipped, unreviewed.clone(), &none),
        ("unpinned", &own, unreviewed.unpinned(), &none),
    ];
    let out: String = cases
        .iter()
        .map(|(title, policy, call, given)| shown(title, &explained(policy, call, given)))
        .collect();
    insta::assert_snapshot!(out);
}

/// The rule that an explanation proposes does what it says, once it is written down.
#[test]
fn proposed_rules_load_and_permit() {
    for call in [Call::with(json!({})), Call::with(json!({"a": [1]})).unpinned()] {
        let denied = policy(Profile::None, "");
        let explanation = explained(&denied, &call, &Given::NONE);
        let proposed = explanation.changes.iter().find_map(|change| {
            if let Alteration::Permit(text) = &change.what { Some(text.clone()) } else { None }
        });
        let with = policy(Profile::None, &proposed.unwrap());
        assert_eq!(call.decided(&with).decision.to_string(), "allow");
    }
}
