use super::*;
use crate::upstream::composed;

fn read(meta: &str) -> Result<Told, BadTold> {
    Told::read(composed(meta).unwrap().root())
}

#[track_caller]
fn refused(meta: &str, key: &str, problem: &str) {
    let bad = read(meta).unwrap_err();
    assert_eq!((bad.key, bad.problem.contains(problem)), (key, true), "{meta}: {bad:?}");
}

fn allowed() -> Verdict {
    Verdict {
        decision: Decision::Allow,
        rule: "read-freely".to_owned(),
        reason: String::new(),
        remedy: String::new(),
        demand: None,
    }
}

const ODD: &str =
    r#"{"path":"a.b","code":"url-carries-data","detail":"a\u001b[2J\nb","holds":true}"#;

#[test]
fn all_that_may_be_said_is_read() {
    let meta = format!(
        r#"{{"tagout/user-words":"write\nit","tagout/model":"a:b","tagout/cause":{{"record":7,"call":"c1"}},"tagout/concerns":[{ODD}],"other":1}}"#
    );
    let told = read(&meta).unwrap();
    assert_eq!((told.words(), told.model()), (Some("write\nit"), Some("a:b")));
    assert_eq!(told.cause(), Some(&ToldCause { record: 7, call: "c1".into() }));
    let lines = told.lines();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| !line.contains(['\n', '\u{1b}'])), "{lines:?}");
    assert!(lines[1].contains("write<U+000A>it"), "{lines:?}");
    assert!(lines[2].starts_with("noticed !"), "{lines:?}");
    assert!(read("{}").unwrap().is_nothing());
}

#[test]
fn what_nobody_can_rely_on_is_refused() {
    refused(r#"{"tagout/user-words":7}"#, WORDS, "no string");
    let long = "é".repeat(2049);
    refused(&format!(r#"{{"tagout/user-words":"{long}"}}"#), WORDS, "too long");
    assert!(read(&format!(r#"{{"tagout/user-words":"{}"}}"#, "x".repeat(4096))).is_ok());
    for model in ["\"\"", "\"planner\"", "\":x\"", "\"x:\"", "null", "[\"a:b\"]"] {
        let bad = read(&format!(r#"{{"tagout/model":{model}}}"#)).unwrap_err();
        assert_eq!(bad.key, MODEL, "{model}");
    }
    for cause in [
        "7",
        "{}",
        r#"{"record":7}"#,
        r#"{"record":"7","call":"c"}"#,
        r#"{"record":-1,"call":"c"}"#,
        r#"{"record":1.5,"call":"c"}"#,
        r#"{"record":7,"call":""}"#,
        r#"{"record":7,"call":"c","approved":true}"#,
        r#"{"record":99999999999999999999,"call":"c"}"#,
    ] {
        let bad = read(&format!(r#"{{"tagout/cause":{cause}}}"#)).unwrap_err();
        assert_eq!(bad.key, CAUSE, "{cause}");
    }
}

#[test]
fn a_concern_that_is_not_plain_is_refused_and_not_left_out() {
    for concern in [
        "7",
        "{}",
        r#"{"path":"a","code":"x","detail":"d"}"#,
        r#"{"path":"a","code":"x","detail":"d","holds":"true"}"#,
        r#"{"path":"a","code":"x","detail":"d","holds":1}"#,
        r#"{"path":"a","code":"X y","detail":"d","holds":true}"#,
        r#"{"path":"a","code":"","detail":"d","holds":true}"#,
        r#"{"path":7,"code":"x","detail":"d","holds":true}"#,
        r#"{"path":"a","code":"x","detail":"d","holds":true,"also":1}"#,
    ] {
        let bad = read(&format!(r#"{{"tagout/concerns":[{concern}]}}"#)).unwrap_err();
        assert_eq!(bad.key, CONCERNS, "{concern}");
    }
    let many = vec![ODD; 17].join(",");
    refused(&format!(r#"{{"tagout/concerns":[{many}]}}"#), CONCERNS, "more than 16");
    refused(r#"{"tagout/concerns":{}}"#, CONCERNS, "no array");
}

#[test]
fn a_concern_only_ever_makes_things_stricter() {
    let odd = read(&format!(r#"{{"tagout/concerns":[{ODD}]}}"#)).unwrap();
    let asked = odd.asked_too(allowed());
    assert_eq!((asked.decision, asked.rule.as_str()), (Decision::Ask, RULE));
    assert_eq!(asked.reason, "the client finds it odd: a.b: url-carries-data");
    assert_eq!(asked.demand, Some(Given { own: true, ..Given::NONE }));
    for decision in [Decision::Ask, Decision::Deny] {
        let demand = Some(Given { people: 2, ..Given::NONE });
        let stricter = Verdict { decision, demand: demand.clone(), ..allowed() };
        let kept = odd.asked_too(stricter);
        assert_eq!(
            (kept.decision, kept.demand, kept.rule),
            (decision, demand, "read-freely".to_owned())
        );
    }
    let mild = ODD.replace("true", "false");
    let mild = read(&format!(r#"{{"tagout/concerns":[{mild}]}}"#)).unwrap();
    assert_eq!(mild.asked_too(allowed()).decision, Decision::Allow);
    assert_eq!((mild.bound(), mild.lines().len()), (String::new(), 1));
}

/// In whatever order and however often; but not as another.
#[test]
fn an_approval_binds_to_what_holds_the_call() {
    let of = |path: &str, code: &str, detail: &str| {
        format!(r#"{{"path":"{path}","code":"{code}","detail":"{detail}","holds":true}}"#)
    };
    let bound = |concerns: &[String]| {
        read(&format!(r#"{{"tagout/concerns":[{}]}}"#, concerns.join(","))).unwrap().bound()
    };
    let (one, other) = (of("a", "x", "1"), of("b", "y", "2"));
    assert_eq!(
        bound(&[one.clone(), other.clone()]),
        bound(&[other.clone(), one.clone(), one.clone()])
    );
    let alone = bound(std::slice::from_ref(&one));
    assert_ne!(alone, bound(&[of("a", "x", "put otherwise")]));
    assert_ne!(alone, bound(&[one, other]));
    assert_ne!(alone, bound(&[of("c", "x", "1")]));
    assert_ne!(bound(&[of("a b", "x", "")]), bound(&[of("b", "x", ""), of("a", "x", "")]));
    assert_ne!(alone, "");
}

/// A client chooses how much it says, and a person has to find the arguments all the same.
#[test]
fn what_a_client_says_takes_little_room_on_a_card() {
    let concern = |path: &str, holds: bool| {
        let detail = format!("{}\\u001b\\n", "long ".repeat(180));
        format!(
            r#"{{"path":"{path}","code":"{}","detail":"{detail}","holds":{holds}}}"#,
            "c".repeat(64)
        )
    };
    let concerns: Vec<_> = (0..16).map(|n| concern(&"\u{202e}".repeat(n), n > 12)).collect();
    let words = "\u{200b}".repeat(1365);
    let told = read(&format!(
        r#"{{"tagout/user-words":"{words}","tagout/model":"a:{}","tagout/concerns":[{}]}}"#,
        "b".repeat(254),
        concerns.join(",")
    ))
    .unwrap();
    let lines = told.lines();
    assert_eq!(lines.len(), 18);
    let held: Vec<_> = lines.iter().map(|line| line.starts_with("noticed !")).collect();
    assert_eq!(held.iter().position(|held| *held), Some(2), "first what holds it: {lines:?}");
    assert_eq!(held.iter().rposition(|held| *held), Some(4), "{lines:?}");
    let longest = lines.iter().map(|line| line.chars().count());
    assert!(longest.clone().skip(2).all(|chars| chars <= 11 + 60 + 64 + 160 + 4), "{lines:?}");
    assert!(longest.max().is_some_and(|chars| chars < 700), "{lines:?}");
    assert!(lines[2].ends_with('…'), "{lines:?}");
    let reason = told.asked_too(allowed()).reason;
    assert!(!reason.contains("long") && reason.chars().count() <= 230, "{reason}");
}
