//! What a log says of conversations, told again.
use jiff::Timestamp;
use serde_json::json;
use tagout_audit::{
    Line,
    record::{Begun, Event, Payload},
};
use tagout_policy::{Policy, Profile, Source, Surface};
use tagout_proto::Digest;

use super::{Replay, Summary};

/// A log of calls, each in a conversation and with how it ended: `ok`, or a refusal's code.
struct Log {
    lines: Vec<(Line, Payload)>,
    now_ms: i64,
}

impl Log {
    fn new() -> Self {
        Self { lines: Vec::new(), now_ms: 1_750_000_000_000 }
    }

    fn line(&mut self, event: Event, payload: Payload) -> u64 {
        let n = self.lines.len() as u64;
        let at = Timestamp::from_millisecond(self.now_ms).unwrap();
        let digest = Digest::of(b"");
        self.lines.push((Line { n, at, event, prev: digest, hash: digest }, payload));
        n
    }

    fn call(&mut self, conversation: &str, ended: &str, arguments: &str) {
        self.now_ms += 1000;
        let begin: Begun = serde_json::from_value(json!({
            "method": "tools/call", "server": "s", "subject": "s__t", "conversation": conversation,
            "definition": Digest::of(b""),
            "principal": {"user": "ann", "groups": [], "authenticated_by": "os-user"},
        }))
        .unwrap();
        let redacted = arguments.contains("<redacted>");
        let facts = json!({
            "effects": ["read"], "reviewed": true, "now_ms": self.now_ms, "redacted": redacted,
        });
        let payload = format!(r#"{{"salt":"00","arguments":{arguments},"facts":{facts}}}"#);
        let n = self.line(Event::Begin(Box::new(begin)), Payload::Present(payload));
        let at = Timestamp::from_millisecond(self.now_ms).unwrap();
        let refused = ended != "ok";
        if !refused {
            let decided = json!({"of": n, "at": at, "verdict": "allow", "rule": "r"});
            self.line(Event::Decision(serde_json::from_value(decided).unwrap()), Payload::None);
        }
        let outcome = if refused { "refused" } else { "ok" };
        let refusal = refused.then_some(ended);
        let end = json!({"of": n, "at": at, "outcome": outcome, "refusal": refusal});
        self.line(Event::End(serde_json::from_value(end).unwrap()), Payload::None);
    }

    fn under(&self, candidate: &str) -> Summary {
        let all = r#"@id("all") permit (principal, action, resource);"#;
        let (current, candidate) = (policy(all), policy(&format!("{all}{candidate}")));
        let mut replay = Replay::new(&current, &candidate);
        self.lines.iter().for_each(|(line, payload)| replay.line(line, payload));
        replay.summary()
    }
}

fn policy(text: &str) -> Policy {
    let source = Source { name: "own.cedar".to_owned(), text: text.to_owned() };
    Policy::load(Profile::None, &[source], &Surface::default())
        .map_err(miette::Report::new)
        .unwrap()
}

#[test]
fn history_that_no_rule_asked_for_is_made_up_from_the_log() {
    let mut log = Log::new();
    for (conversation, ended) in [
        ("a", "ok"),
        ("b", "ok"),
        ("a", "ok"),
        ("a", "ok"),
        ("b", "policy-denied"),
        ("b", "ok"),
        ("a", "arguments-invalid"),
    ] {
        log.call(conversation, ended, "{}");
    }
    let third = r#"@id("few") forbid (principal, action, resource)
        when { context.history.calls >= 2 };"#;
    let summary = log.under(third);
    let [change] = summary.changes.as_slice() else { panic!("{summary:?}") };
    // The third and the fourth of `a`; the calls of `b` that were made are two.
    assert_eq!((change.count, change.candidate.as_str()), (2, "few"));
    let denied = r#"@id("once") forbid (principal, action, resource)
        when { context.history.denials > 0 };"#;
    let summary = log.under(denied);
    assert_eq!(summary.changes.iter().map(|change| change.count).sum::<u64>(), 1);
    let tool = r#"@id("tool") forbid (principal, action, resource)
        when { context.history.this_tool >= 3 || context.history.last_minute >= 3 };"#;
    assert_eq!(log.under(tool).changes.iter().map(|change| change.count).sum::<u64>(), 1);
}

#[test]
fn what_is_not_known_is_named_and_not_guessed() {
    let mut log = Log::new();
    log.call("a", "ok", r#"{"key":"<redacted>"}"#);
    let looks = r#"@id("looks") forbid (principal, action, resource)
        when { context.undeclared like "*secret*" };"#;
    let summary = log.under(looks);
    assert_eq!((summary.decided, summary.left_out.len()), (0, 1), "{summary:?}");
    assert_eq!(summary.left_out[0].records, [0]);
    // Rules that do not look there decide it.
    let other = r#"@id("other") forbid (principal == User::"ann", action, resource);"#;
    assert_eq!(log.under(other).changes.len(), 1);
}
