//! From a record back to the question that led to it, and forward to all that came of it.
use std::{collections::BTreeMap, fs};

use tagout_audit::{
    Cause, DoubtKind, Durability, Log, Note, Reader, Said, SaidCall, SaidResult, Trace, Uncompared,
    What,
};
use tagout_proto::{Conversation, Digest};

use crate::{
    said::said,
    sample::{Sample, allow, at, ok},
};

/// A log in which a question is asked and answered.
struct Story {
    sample: Sample,
    log: Log,
}

impl Story {
    fn new() -> Self {
        let sample = Sample::new();
        let log = sample.open();
        Self { sample, log }
    }

    fn say(&self, what: What, cause: Option<u64>) -> u64 {
        self.say_with(&Said { cause, ..said(&self.sample, what) })
    }

    fn say_with(&self, said: &Said<'_>) -> u64 {
        self.log.say(said, Durability::System).unwrap()
    }

    /// A response that proposes the call `id` of `tool`.
    fn proposes(&self, cause: u64, id: &str, tool: &str) -> u64 {
        let calls = [SaidCall { id: id.into(), tool: tool.into() }];
        let (cause, beside) = (Some(cause), format!(r#"{{"proposed":["{}"]}}"#, arguments()));
        let payload = Some(beside.as_str());
        self.say_with(&Said { cause, calls: &calls, payload, ..said(&self.sample, What::Response) })
    }

    /// A request that brings back the result of the call `id`.
    fn brings(&self, cause: u64, id: &str, record: u64) -> u64 {
        let results = [SaidResult { id: id.into(), record: Some(record) }];
        let cause = Some(cause);
        self.say_with(&Said { cause, results: &results, ..said(&self.sample, What::Request) })
    }

    fn call(&self, cause: Option<&Cause>) -> u64 {
        self.call_with(cause, arguments())
    }

    fn call_with(&self, cause: Option<&Cause>, arguments: Digest) -> u64 {
        let beside = format!(r#"{{"proposed":"{arguments}"}}"#);
        let begin = tagout_audit::Begin { cause, ..self.sample.begin(20, Some(&beside)) };
        let entry = self.log.begin_decided(&begin, &allow(20), Durability::System).unwrap();
        entry.end(&ok(21), Durability::System).unwrap()
    }

    fn trace(&self, n: u64) -> Trace {
        Reader::new(&self.sample.dir()).trace(n).unwrap().unwrap()
    }
}

fn arguments() -> Digest {
    Digest::of(b"arguments")
}

fn cause(record: u64, call: &str) -> Cause {
    Cause { record, call: call.into() }
}

fn numbers(trace: &Trace) -> Vec<u64> {
    trace.steps.iter().map(|step| step.record.n).collect()
}

fn doubts(trace: &Trace) -> Vec<(u64, DoubtKind)> {
    trace.doubts.iter().map(|doubt| (doubt.n, doubt.kind)).collect()
}

#[test]
fn a_call_leads_back_to_its_question_and_on_to_its_answer() {
    let story = Story::new();
    let prompt = story.say(What::Prompt, None);
    let request = story.say(What::Request, Some(prompt));
    let response = story.proposes(request, "c1", "read");
    let call = story.call(Some(&cause(response, "c1")));
    let next = story.brings(response, "c1", call);
    let answer = story.say(What::Response, Some(next));
    // Another question of the same conversation, and a call of which nobody says why.
    let other = story.say(What::Prompt, None);
    let foreign = story.call(None);
    let whole = [prompt, request, response, call, next, answer];
    for n in [call, call + 1, call + 2, prompt, answer, response] {
        let trace = story.trace(n);
        assert_eq!(numbers(&trace), whole, "of {n}");
        assert_eq!(doubts(&trace), [], "of {n}");
        assert_eq!(trace.left_out, 0);
    }
    let trace = story.trace(call);
    let parts: Vec<_> =
        trace.steps.iter().map(|step| serde_json::to_value(step.part).unwrap()).collect();
    assert_eq!(parts, ["led-to", "led-to", "led-to", "asked", "came-of", "came-of"]);
    assert_eq!(numbers(&story.trace(other)), [other]);
    assert_eq!(numbers(&story.trace(foreign)), [foreign]);
    // The first line of a log has no story.
    assert_eq!(numbers(&story.trace(0)), [0]);
    assert!(Reader::new(&story.sample.dir()).trace(999).unwrap().is_none());
}

#[test]
fn what_a_client_claims_is_held_against_the_record() {
    let story = Story::new();
    let prompt = story.say(What::Prompt, None);
    let request = story.say(What::Request, Some(prompt));
    let response = story.proposes(request, "c1", "read");
    let other_tool = story.proposes(request, "c2", "write");
    let elsewhere = {
        let conversation = Conversation::new("ffffffffffffffffffffffffffffffff");
        let words = Said { conversation: &conversation, ..said(&story.sample, What::Response) };
        story.say_with(&words)
    };
    let note = story.log.note(&Note::new(at(11), "server-started"), Durability::System).unwrap();
    for (claim, kind) in [
        (cause(9999, "c1"), DoubtKind::CauseMissing),
        (cause(note, "c1"), DoubtKind::CauseUnfit),
        (cause(request, "c1"), DoubtKind::CauseUnfit),
        (cause(elsewhere, "c1"), DoubtKind::CauseForeign),
        (cause(response, "c9"), DoubtKind::CallNotProposed),
        (cause(other_tool, "c2"), DoubtKind::ToolDiffers),
    ] {
        let n = story.call(Some(&claim));
        assert_eq!(doubts(&story.trace(n)), [(n, kind)], "{claim:?}");
    }
    let once = story.call(Some(&cause(response, "c1")));
    assert_eq!(doubts(&story.trace(once)), []);
    let twice = story.call(Some(&cause(response, "c1")));
    assert!(doubts(&story.trace(twice)).contains(&(twice, DoubtKind::CallTwice)));
    // What is another's is not shown as what led here.
    let forged = story.call(Some(&cause(elsewhere, "c1")));
    assert_eq!(numbers(&story.trace(forged)), [forged]);
    assert!(story.sample.verify().ok);
}

/// Also by nobody who guesses: what tells it goes with what it tells it of.
#[test]
fn arguments_are_compared_until_they_are_erased() {
    let story = Story::new();
    let response = story.proposes(story.say(What::Request, None), "c1", "read");
    let same = story.call(Some(&cause(response, "c1")));
    let trace = story.trace(same);
    assert_eq!((doubts(&trace), trace.uncompared.len()), (vec![], 0));
    let other = story.call_with(Some(&cause(response, "c1")), Digest::of(b"others"));
    assert!(doubts(&story.trace(other)).contains(&(other, DoubtKind::ArgumentsDiffer)));
    let erased = |n: u64| assert!(story.log.erase_payload(n, at(40)).unwrap());
    erased(other);
    let trace = story.trace(other);
    assert!(!doubts(&trace).contains(&(other, DoubtKind::ArgumentsDiffer)));
    assert_eq!(trace.uncompared, BTreeMap::from([(other, Uncompared::Erased)]));
    erased(response);
    assert_eq!(story.trace(same).uncompared.get(&same), Some(&Uncompared::Erased));
    erased(same);
    for file in ["log-000001.jsonl", "payloads-000001.jsonl"] {
        let text = String::from_utf8(fs::read(story.sample.dir().join(file)).unwrap()).unwrap();
        for digest in [arguments(), Digest::of(b"others")] {
            assert!(!text.contains(&digest.to_string()), "{file}");
        }
    }
    // Where nothing stands beside either, nobody can tell, and nothing was erased.
    let calls = [SaidCall { id: "c1".into(), tool: "read".into() }];
    let bare = Said { calls: &calls, ..said(&story.sample, What::Response) };
    let call = story.call(Some(&cause(story.say_with(&bare), "c1")));
    assert_eq!(story.trace(call).uncompared.get(&call), Some(&Uncompared::Unrecorded));
    assert!(story.sample.verify().ok);
}

#[test]
fn the_model_that_is_claimed_is_the_one_that_answered() {
    let story = Story::new();
    let response = story.proposes(story.say(What::Request, None), "c1", "read");
    let cause = cause(response, "c1");
    let begin = tagout_audit::Begin {
        cause: Some(&cause),
        model: Some("anthropic:other"),
        ..story.sample.begin(20, None)
    };
    let n = story.log.begin(&begin, Durability::System).unwrap().number();
    assert_eq!(doubts(&story.trace(n)), [(n, DoubtKind::ModelDiffers)]);
}

#[test]
fn numbers_in_a_circle_end() {
    let story = Story::new();
    // Two calls that name what comes after them, and each other's.
    let first = story.call(Some(&cause(4, "a")));
    let second = story.call(Some(&cause(first, "b")));
    assert_eq!((first, second), (1, 4));
    let itself = story.say(What::Request, Some(7));
    assert_eq!(itself, 7);
    let trace = story.trace(first);
    assert_eq!(numbers(&trace), [first], "no call comes of another");
    let found = doubts(&trace);
    assert_eq!(found, [(first, DoubtKind::CauseLater), (first, DoubtKind::CauseUnfit)]);
    // Requests that name each other.
    let one = story.say(What::Request, Some(9));
    let other = story.say(What::Request, Some(one));
    assert_eq!((one, other), (8, 9));
    assert_eq!(numbers(&story.trace(one)), [one, other]);
    assert!(doubts(&story.trace(one)).contains(&(one, DoubtKind::CauseLater)));
    assert!(doubts(&story.trace(itself)).contains(&(itself, DoubtKind::CauseLater)));
}

#[test]
fn results_are_those_of_the_records_that_are_named() {
    let story = Story::new();
    let response = story.proposes(story.say(What::Request, None), "c1", "read");
    let call = story.call(Some(&cause(response, "c1")));
    let wrong = story.brings(response, "c2", call);
    let missing = story.brings(response, "c1", 9999);
    let no_call = story.brings(response, "c1", response);
    let found = doubts(&story.trace(response));
    for n in [wrong, missing, no_call] {
        assert!(found.contains(&(n, DoubtKind::ResultUnfit)), "{n} in {found:?}");
    }
}

#[test]
fn a_long_story_is_cut_and_says_so() {
    let story = Story::new();
    let mut last = story.say(What::Prompt, None);
    for _ in 0..200 {
        let request = story.say(What::Request, Some(last));
        last = story.say(What::Response, Some(request));
    }
    let trace = story.trace(last);
    assert_eq!(trace.steps.len(), 300);
    assert!(trace.left_out > 0);
    assert_eq!(trace.steps.last().unwrap().record.n, last);
}

#[test]
fn what_others_answered_to_a_calls_question_is_among_it() {
    let story = Story::new();
    let entry = story.log.begin(&story.sample.begin(20, None), Durability::System).unwrap();
    let detail = "allow, once, by `bea` (bea), through command, question 7h2kq0v9xm";
    let mut note = Note::new(at(22), "approval-answered");
    note.detail = Some(detail);
    let answered = story.log.note(&note, Durability::System).unwrap();
    let approval = tagout_audit::Approval {
        question: Some("7h2kq0v9xm"),
        ..tagout_audit::Approval::new("command", "allow")
    };
    let decision = tagout_audit::Decision { approval: Some(approval), ..allow(23) };
    entry.decided(&decision, Durability::System).unwrap();
    let call = entry.end(&ok(24), Durability::System).unwrap();
    let trace = story.trace(call);
    assert_eq!(trace.steps[0].answers[0].n, answered);
    assert_eq!(trace.steps[0].answers[0].detail, detail);
}
