//! What was let through is let through again, and little else.
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use tagout_audit::{
    Line, Verdict as OnRecord,
    record::{Approved, Decided, Event},
};
use tagout_policy::{Decision, Given, Policy, Profile, Shape, Source, Surface, SurfaceTool};
use tagout_proto::Digest;

use super::{Learner, Learnt, Relaxed};
use crate::policy_tools::{
    Case,
    recorded::tests::{case, on_record, surface},
};

/// A learner that has seen these calls, each approved by a person or not.
fn seen(calls: &[(Case, bool, bool)]) -> Learner {
    let mut learner = Learner::default();
    let digest = Digest::of(b"");
    for (n, (case, whole, asked)) in (1_u64..).zip(calls) {
        let (begin, payload) = on_record(case, true, *whole);
        let approval = asked.then(|| Approved {
            how: "terminal".to_owned(),
            by: None,
            decision: "allow".to_owned(),
            ..serde_json::from_value(json!({"how": "terminal", "decision": "allow"})).unwrap()
        });
        let decided = Decided {
            of: 2 * n,
            at: Timestamp::UNIX_EPOCH,
            verdict: if *asked { OnRecord::Ask } else { OnRecord::Allow },
            rule: None,
            approval,
            policy: None,
            shadow: None,
        };
        for (n, event) in
            [(2 * n, Event::Begin(Box::new(begin))), (2 * n + 1, Event::Decision(decided))]
        {
            let line = Line { n, at: Timestamp::UNIX_EPOCH, event, prev: digest, hash: digest };
            learner.line(&line, &payload);
        }
    }
    learner
}

fn loaded(learnt: &Learnt) -> Policy {
    loaded_for(learnt, &surface())
}

fn loaded_for(learnt: &Learnt, surface: &Surface) -> Policy {
    let source = Source { name: "learnt.cedar".to_owned(), text: learnt.text.clone() };
    Policy::load(Profile::None, &[source], surface).map_err(miette::Report::new).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn all_that_was_let_through_is_let_through_again(
        calls in prop::collection::vec((case(), any::<bool>()), 1..24),
    ) {
        let calls: Vec<_> =
            calls.into_iter().map(|((case, whole), asked)| (case, whole, asked)).collect();
        let learnt = seen(&calls).learnt(&surface()).map_err(miette::Report::new).unwrap();
        prop_assert_eq!(&learnt.uncovered, &[], "{}", learnt.text);
        // What has no types is held as a whole, as long as there is little of it.
        let whole = |relaxed: &Relaxed| relaxed.condition == "context.undeclared == \"{}\"";
        prop_assert!(learnt.relaxed.iter().all(whole), "{:?}\n{}", learnt.relaxed, learnt.text);
        prop_assert_eq!(learnt.calls, u64::try_from(calls.len()).unwrap());
        let policy = loaded(&learnt);
        for (case, _, asked) in &calls {
            let verdict = policy.decide(&case.facts());
            let through = verdict.decision == Decision::Allow || (*asked && verdict.decision == Decision::Ask);
            prop_assert!(through, "{case:?}\n{}", learnt.text);
            let given = Given { own: true, ..Given::NONE };
            prop_assert_eq!(policy.allows(&case.facts(), &given).decision, Decision::Allow);
        }
    }
}

fn write(arguments: Value) -> Case {
    let principal = json!({"user": "ann", "groups": [], "authenticated_by": "os-user"});
    Case {
        principal: serde_json::from_value(principal).unwrap(),
        client: "c".to_owned(),
        transport: "stdio".to_owned(),
        address: None,
        method: tagout_proto::Method::ToolsCall,
        kind: tagout_policy::SubjectKind::Tool,
        server: "files".try_into().unwrap(),
        name: "write".to_owned(),
        qualified: "files__write".to_owned(),
        effects: [tagout_policy::Effect::Write].into(),
        reviewed: true,
        labels: tagout_policy::Labels::none().clone(),
        shape: surface().tools.first().map(|tool| tool.shape.clone()),
        arguments,
        history: tagout_policy::History::default(),
        now_ms: 1_750_000_000_000,
    }
}

#[test]
fn nothing_else_is_let_through() {
    let calls: Vec<_> = (0..20)
        .map(|n| (write(json!({"path": format!("/srv/notes/{n}"), "n": n})), false, false))
        .collect();
    let learnt = seen(&calls).learnt(&surface()).unwrap();
    insta::assert_snapshot!(learnt.text, @r#"
    // Learnt from traffic on record: what was let through, and nothing else. Read it before it holds:
    // what was recorded need not have been right.

    // 20 calls: records 2, 4, 6, 8, 10, 12 and 14 more
    @id("learnt files__write")
    permit (principal == User::"ann", action == Action::"files__write", resource)
    when {
      resource.reviewed &&
      !(context.arguments has amount) &&
      context.arguments has n &&
      context.arguments.n >= 0 &&
      context.arguments.n <= 19 &&
      context.arguments has path &&
      context.arguments.path like "/srv/notes/*" &&
      !(context.arguments.path like "*..*") &&
      !(context.arguments has rest) &&
      !(context.arguments has tags) &&
      context.undeclared == "{}"
    };
    "#);
    let policy = loaded(&learnt);
    let decided = |case: &Case| policy.decide(&case.facts()).decision;
    assert_eq!(decided(&write(json!({"path": "/srv/notes/new", "n": 7}))), Decision::Allow);
    for other in [
        json!({"path": "/srv/notes/../../etc/passwd", "n": 7}),
        json!({"path": "/srv/other", "n": 7}),
        json!({"path": "/srv/notes/new", "n": 20}),
        json!({"path": "/srv/notes/new"}),
        json!({"path": "/srv/notes/new", "n": 7, "more": 1}),
        json!({"path": "/srv/notes/new", "n": 7, "tags": ["a"]}),
    ] {
        assert_eq!(decided(&write(other.clone())), Decision::Deny, "{other}");
    }
    let mut bob = write(json!({"path": "/srv/notes/new", "n": 7}));
    bob.principal.user = "bob".into();
    assert_eq!(decided(&bob), Decision::Deny);
    let unreviewed = Case { reviewed: false, ..write(json!({"path": "/srv/notes/new", "n": 7})) };
    assert_eq!(decided(&unreviewed), Decision::Deny);
}

#[test]
fn the_approvals_that_calls_had_are_what_is_wanted() {
    let calls: Vec<_> =
        (0..2).map(|n| (write(json!({"path": "/srv/notes/a", "n": n})), false, true)).collect();
    let given = |people, groups: &[&str]| Given {
        own: false,
        people,
        outside: true,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    let mut learner = seen(&calls);
    learner.seen[0].given = Some(given(3, &["reviewers", "staff"]));
    learner.seen[1].given = Some(given(2, &["reviewers"]));
    let learnt = learner.learnt(&surface()).unwrap();
    assert_eq!((learnt.uncovered.len(), learnt.relaxed.len()), (0, 0), "{}", learnt.text);
    let asked = "context.approval.people >= 2 &&\n  context.approval.outside &&\n  \
        context.approval.groups.containsAll([\"reviewers\"]) &&\n  resource.reviewed &&";
    assert!(learnt.text.contains(asked), "{}", learnt.text);
    let policy = loaded(&learnt);
    for (given, expected) in [
        (given(2, &["reviewers"]), Decision::Allow),
        (given(1, &["reviewers"]), Decision::Deny),
        (given(2, &["staff"]), Decision::Deny),
        (Given { outside: false, ..given(2, &["reviewers"]) }, Decision::Deny),
        (Given { own: true, ..Given::NONE }, Decision::Deny),
    ] {
        assert_eq!(policy.allows(&calls[0].0.facts(), &given).decision, expected, "{given}");
    }
    // One's own word, and what is not known to have been anybody else's, are rules of their own.
    learner.seen[0].given = Some(Given { own: true, ..Given::NONE });
    learner.seen[1].given = None;
    let learnt = learner.learnt(&surface()).unwrap();
    assert_eq!((learnt.rules.len(), learnt.uncovered.len()), (2, 0), "{}", learnt.text);
    assert!(learnt.text.contains("\n  context.approval.own &&\n  resource.reviewed"));
    assert!(learnt.text.contains("\n  context.approved &&\n  resource.reviewed"));
}

#[test]
fn approvals_come_back_from_the_record_as_they_were_given() {
    let own = Given { own: true, ..Given::NONE };
    let groups = ["a", "b"].map(str::to_owned).into();
    for given in [own, Given { own: false, people: 2, outside: true, groups }, Given::NONE] {
        let on_record = crate::policy_tools::recorded::given(&given);
        let approval = tagout_audit::Approval {
            given: Some(&on_record),
            ..tagout_audit::Approval::new("command", "allow")
        };
        let text = serde_json::to_string(&approval).unwrap();
        let back: Approved = serde_json::from_str(&text).unwrap();
        let back = crate::policy_tools::recorded::given_on_record(&back);
        assert_eq!(back, Some(given), "{text}");
    }
    let older: Approved = serde_json::from_str(r#"{"how":"terminal","decision":"allow"}"#).unwrap();
    assert_eq!(crate::policy_tools::recorded::given_on_record(&older), None);
}

/// A tool whose arguments have these types, and calls of it.
fn called(shape: &str, arguments: &[Value]) -> (Surface, Vec<(Case, bool, bool)>) {
    let shape: Shape = shape.parse().unwrap();
    let tool = SurfaceTool {
        qualified: "files__write".to_owned(),
        server: "files".to_owned(),
        shape: shape.clone(),
    };
    let surface = Surface { tools: vec![tool], ..Surface::default() };
    let call = |arguments: &Value| Case { shape: Some(shape.clone()), ..write(arguments.clone()) };
    (surface, arguments.iter().map(|arguments| (call(arguments), false, false)).collect())
}

#[test]
fn what_is_not_declared_deep_down_is_named() {
    let odd = json!({"path": "/srv/notes/b", "opts": {"b": 1}});
    let (surface, calls) =
        called("{ opts?: { a?: String }, path: String }", &[json!({"path": "/srv/notes/a"}), odd]);
    let learnt = seen(&calls).learnt(&surface).unwrap();
    insta::assert_snapshot!(learnt.text, @r#"
    // Learnt from traffic on record: what was let through, and nothing else. Read it before it holds:
    // what was recorded need not have been right.

    // 2 calls: records 2, 4
    @id("learnt files__write")
    permit (principal == User::"ann", action == Action::"files__write", resource)
    when {
      resource.reviewed &&
      (if context.arguments has opts then !(context.arguments.opts has a) else true) &&
      ["/srv/notes/a", "/srv/notes/b"].contains(context.arguments.path) &&
      ["{\"opts\":{\"b\":1}}", "{}"].contains(context.undeclared)
    };
    "#);
    assert_eq!(learnt.relaxed, []);
    assert_eq!(learnt.uncovered, []);
    let policy = loaded_for(&learnt, &surface);
    let decided = |arguments: Value| {
        policy.decide(&Case { arguments, ..calls[0].0.clone() }.facts()).decision
    };
    assert_eq!(decided(json!({"path": "/srv/notes/a"})), Decision::Allow);
    assert_eq!(decided(json!({"path": "/etc/passwd"})), Decision::Deny);
    assert_eq!(decided(json!({"path": "/srv/notes/a", "opts": {"b": 2}})), Decision::Deny);
}

#[test]
fn too_much_to_name_takes_its_own_condition_out_and_is_said() {
    let calls: Vec<_> =
        (0..12).map(|n| json!({"path": "/srv/notes/a", "opts": {"b": n}})).collect();
    let (surface, calls) = called("{ opts?: { a?: String }, path: String }", &calls);
    let learnt = seen(&calls).learnt(&surface).unwrap();
    insta::assert_snapshot!(learnt.text, @r#"
    // Learnt from traffic on record: what was let through, and nothing else. Read it before it holds:
    // what was recorded need not have been right.

    // 12 calls: records 2, 4, 6, 8, 10, 12 and 6 more
    @id("learnt files__write")
    permit (principal == User::"ann", action == Action::"files__write", resource)
    when {
      resource.reviewed &&
      context.arguments has opts &&
      !(context.arguments.opts has a) &&
      context.arguments.path == "/srv/notes/a"
    };
    "#);
    insta::assert_debug_snapshot!(learnt.relaxed, @r#"
    [
        Relaxed {
            rule: "learnt files__write",
            condition: "context.undeclared == \"{}\"",
            record: 2,
        },
    ]
    "#);
    assert_eq!(learnt.uncovered, []);
}

#[test]
fn a_condition_that_a_call_fails_goes_with_what_it_guards_and_nothing_else() {
    // A double has no digit so far behind: its text says something else than four places do.
    let (surface, calls) = called(
        "{ amount: Number, path: String }",
        &[json!({"path": "/srv/notes/a", "amount": 800_000_000_000_000.1})],
    );
    let learnt = seen(&calls).learnt(&surface).unwrap();
    insta::assert_snapshot!(learnt.text, @r#"
    // Learnt from traffic on record: what was let through, and nothing else. Read it before it holds:
    // what was recorded need not have been right.

    // 1 call: record 2
    @id("learnt files__write")
    permit (principal == User::"ann", action == Action::"files__write", resource)
    when {
      resource.reviewed &&
      context.arguments.amount has decimal &&
      context.arguments.amount.decimal.lessThanOrEqual(decimal("800000000000000.1250")) &&
      context.arguments.path == "/srv/notes/a" &&
      context.undeclared == "{}"
    };
    "#);
    insta::assert_debug_snapshot!(learnt.relaxed, @r#"
    [
        Relaxed {
            rule: "learnt files__write",
            condition: "context.arguments.amount.decimal.greaterThanOrEqual(decimal(\"800000000000000.1250\"))",
            record: 2,
        },
    ]
    "#);
    assert_eq!(learnt.uncovered, []);
}

#[test]
fn calls_that_do_not_fit_or_are_not_whole_on_record_open_nothing() {
    let (surface, mut calls) = called(
        "{ n?: Long, path: String }",
        &[json!({"path": "/srv/notes/a"}), json!({"path": "/srv/notes/b", "n": "<redacted>"})],
    );
    let learnt = seen(&calls).learnt(&surface).unwrap();
    insta::assert_snapshot!(learnt.text, @r#"
    // Learnt from traffic on record: what was let through, and nothing else. Read it before it holds:
    // what was recorded need not have been right.

    // 1 call: record 2
    @id("learnt files__write")
    permit (principal == User::"ann", action == Action::"files__write", resource)
    when {
      resource.reviewed &&
      !(context.arguments has n) &&
      context.arguments.path == "/srv/notes/a" &&
      context.undeclared == "{}"
    };
    "#);
    insta::assert_debug_snapshot!(learnt.uncovered, @r#"
    [
        (
            4,
            "the argument `n` does not fit its type `Long`",
        ),
    ]
    "#);
    // A server that is gone cannot be spoken of.
    let mut gone = calls.clone();
    gone[0].0.server = "gone".try_into().unwrap();
    let why = seen(&gone).learnt(&surface).unwrap().uncovered;
    assert_eq!(why[0], (2, "there is no such server any more".to_owned()));
    // The types of today count, not those of the record.
    calls[1].0.shape = None;
    assert_eq!(seen(&calls).learnt(&surface).unwrap().uncovered, learnt.uncovered);

    let mut learner = seen(&calls[..1]);
    learner.seen[0].redacted = true;
    let learnt = learner.learnt(&surface).unwrap();
    assert_eq!(learnt.rules, Vec::<String>::new());
    assert_eq!(learnt.uncovered, [(2, "a secret was taken out of its arguments".to_owned())]);
}
