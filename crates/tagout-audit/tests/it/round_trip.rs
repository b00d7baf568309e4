//! Whatever is written is what is read, and stays on its line.
use proptest::prelude::*;
use tagout_audit::{
    Begin, Decision, Durability, End, Outcome, Reader, Shadow, Verdict,
    record::{Payload, Subject},
};
use tagout_proto::{Digest, Origin, Principal};

use crate::sample::{Sample, at};

/// Texts that try to end a line, hide, or turn around.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "\n",
        "\r\n",
        "\u{2028}",
        "\u{2029}",
        "\u{85}",
        "\0",
        "\u{7f}",
        "\u{1b}[2J",
        "\u{202e}",
        "\u{feff}",
        "\u{200b}",
        "\u{10ffff}",
        "é",
        "\"",
        "\\",
        "\"}\n{\"n\":1,",
        "sha256:",
        " ",
    ]);
    let any = prop_oneof![pieces.prop_map(str::to_owned), any::<char>().prop_map(String::from)];
    prop::collection::vec(any, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(
        texts in prop::collection::vec(hostile(), 8),
        seconds in 0..1_000_000_i64,
        size in any::<u64>(),
    ) {
        let sample = Sample::new();
        let log = sample.open();
        let principal = Principal {
            user: texts[0].as_str().into(),
            groups: [texts[1].clone()].into(),
            authenticated_by: texts[2].as_str().into(),
        };
        let origin = Origin { transport: "stdio".into(), client: texts[3].as_str().into(), address: None, gateway_pid: 1 };
        let begin = Begin {
            principal: Some(&principal),
            origin: Some(&origin),
            subject: Some(&texts[4]),
            payload: Some(&texts[5]),
            ..Begin::new(at(seconds), &texts[6])
        };
        let decision = Decision {
            at: at(seconds),
            verdict: Verdict::Deny,
            rule: Some(&texts[7]),
            approval: None,
            policy: Some(Digest::of(texts[1].as_bytes())),
            shadow: Some(Shadow { verdict: Verdict::Allow, rule: &texts[3] }),
        };
        let shadow = Some(Shadow { verdict: Verdict::Ask, rule: &texts[0] });
        let end = End { result_bytes: Some(size), shadow, ..End::new(at(seconds), Outcome::Refused) };
        let n = log.begin_decided(&begin, &decision, Durability::System).unwrap()
            .end(&end, Durability::System).unwrap();

        let lines = sample.lines();
        prop_assert_eq!(lines.len(), 4);
        prop_assert!(lines.concat().iter().all(|b| *b == b'\n' || (0x20..0x7f).contains(b)));
        let record = Reader::new(&sample.dir()).show(n).unwrap().unwrap();
        prop_assert_eq!(record.at, at(seconds));
        let Subject::Call(call) = record.subject else { panic!("no call") };
        prop_assert_eq!(call.begin.principal.as_ref(), Some(&principal));
        prop_assert_eq!(call.begin.origin.as_ref(), Some(&origin));
        prop_assert_eq!(call.begin.subject.as_ref(), Some(&texts[4]));
        prop_assert_eq!(&call.begin.method, &texts[6]);
        prop_assert_eq!(&call.payload, &Payload::Present(texts[5].clone()));
        prop_assert_eq!(call.policy(), Some(Digest::of(texts[1].as_bytes())));
        let shadow = call.shadow().unwrap();
        prop_assert_eq!((shadow.verdict, &shadow.rule), (Verdict::Allow, &texts[3]));
        prop_assert_eq!(&call.end.as_ref().unwrap().shadow.as_ref().unwrap().rule, &texts[0]);
        prop_assert_eq!(call.decision.unwrap().rule, Some(texts[7].clone()));
        prop_assert_eq!(call.end.unwrap().result_bytes, Some(size));
        let report = sample.verify();
        prop_assert!(report.ok, "{report}");
        let mut kept = Vec::new();
        Reader::new(&sample.dir()).each(|line, payload| {
            kept.push((line.n, payload));
            true
        }).unwrap();
        let numbers: Vec<_> = kept.iter().map(|(n, _)| *n).collect();
        prop_assert_eq!(numbers, vec![0, 1, 2, 3]);
        prop_assert_eq!(&kept[1].1, &Payload::Present(texts[5].clone()));
        prop_assert_eq!(&kept[2].1, &Payload::None);
    }
}

#[test]
fn a_text_that_is_too_long_is_cut_and_says_so() {
    let sample = Sample::new();
    let log = sample.open();
    let long = "é".repeat(5000);
    let begin = Begin { subject: Some(&long), ..Begin::new(at(1), "resources/read") };
    let n = log.begin(&begin, Durability::System).unwrap().number();
    let record = Reader::new(&sample.dir()).show(n).unwrap().unwrap();
    let Subject::Call(call) = record.subject else { panic!("no call") };
    assert!(call.begin.subject.unwrap().ends_with("[cut: 5904 bytes more]"));
}

#[test]
fn a_record_that_is_too_long_is_refused() {
    let sample = Sample::new();
    let log = sample.open();
    let mut principal = sample.principal.clone();
    principal.groups = (0..10_000).map(|i| format!("group-{i}")).collect();
    let begin = Begin { principal: Some(&principal), ..Begin::new(at(1), "tools/call") };
    let error = log.begin(&begin, Durability::System).unwrap_err();
    assert_eq!(error.code(), "audit-record-too-large");
    let large = "x".repeat((16 << 20) + 1);
    let begin = Begin { payload: Some(&large), ..Begin::new(at(1), "tools/call") };
    let error = log.begin(&begin, Durability::System).unwrap_err();
    assert_eq!(error.code(), "audit-record-too-large");
    assert!(sample.verify().ok);
}
