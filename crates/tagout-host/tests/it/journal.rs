//! What is kept, in which order, and that nothing is done that was not kept first.
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tagout_host::{
    Event, Failure, HostError, Journal, JournalError, Nobody, Options, Outcome, Said, Status, Ui,
    What,
};
use tagout_llm::{Message, Part, ProviderState, Role, Stop, Turn};

use crate::{
    Recorder,
    desk::session,
    guard::{Model, calls, canary, one_result_each},
};

/// Writes down what it is told, and fails when it is told so.
#[derive(Clone, Default)]
struct Book {
    lines: Arc<Mutex<Vec<String>>>,
    kept: Arc<Mutex<Vec<Message>>>,
    /// What was put on record, in words.
    said: Arc<Mutex<Vec<(What, String)>>>,
    fails_at: Option<usize>,
    asked: Arc<AtomicUsize>,
}

impl Book {
    fn write(&self, line: String) -> Result<u64, JournalError> {
        let at = self.asked.fetch_add(1, Ordering::SeqCst);
        if self.fails_at == Some(at) {
            return Err(JournalError { code: "disk-full", message: "no".into() });
        }
        let mut lines = self.lines.lock().unwrap();
        lines.push(line);
        Ok(u64::try_from(lines.len()).unwrap())
    }

    fn count(&self, what: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.starts_with(what)).count()
    }
}

impl Journal for Book {
    fn keep(&mut self, message: &Message) -> Result<(), JournalError> {
        let part = |part: &Part| match part {
            Part::ToolCall(call) => format!("call {}", call.id),
            Part::ToolResult(result) => format!("result {}", result.call_id),
            _ => "text".into(),
        };
        let parts: Vec<_> = message.parts.iter().map(part).collect();
        self.write(format!("keep {}", parts.join(", ")))?;
        self.kept.lock().unwrap().push(message.clone());
        Ok(())
    }

    fn record(&mut self, said: &Said<'_>) -> Result<Option<u64>, JournalError> {
        self.said.lock().unwrap().push((said.what, said.content.to_owned()));
        let mut line = format!("{:?}", said.what).to_lowercase();
        if let Some(cause) = said.cause {
            line.push_str(&format!(" of {cause}"));
        }
        for result in said.results {
            line.push_str(&format!(", {}={:?}", result.id, result.record));
        }
        for call in said.calls {
            line.push_str(&format!(", {} {}", call.id, call.tool));
        }
        if said.what == What::Prompt {
            assert_eq!(said.content, "What is new?");
        }
        self.write(line).map(Some)
    }
}

fn two_rounds() -> Arc<Model> {
    Model::plays(vec![calls(&[
        ("1", "web__page", json!({})),
        ("2", "no__tool", json!({})),
        ("3", "web__page", json!({})),
    ])])
}

#[tokio::test]
async fn the_chain_leads_from_the_question_to_the_answer() {
    let book = Book::default();
    let (mut session, desk) = session(Options::new(two_rounds())).await;
    session.keep_with(Box::new(book.clone()));
    session.ask("What is new?", &mut Nobody).await.unwrap();
    assert_eq!(
        *book.lines.lock().unwrap(),
        [
            "prompt",
            "keep text",
            "request of 1",
            "response of 3, 1 web__page, 2 no__tool, 3 web__page",
            "keep call 1, call 2, call 3",
            "keep result 1",
            "keep result 2",
            "keep result 3",
            "request of 4, 1=Some(1), 2=None, 3=Some(2)",
            "response of 9",
            "keep text",
        ]
    );
    let calls = desk.calls.lock().unwrap();
    assert_eq!(calls[1].2["tagout/cause"], json!({"record": 4, "call": "3"}));
    // What was kept is what there is, once it is in order.
    let kept = book.kept.lock().unwrap().clone();
    let live = session.conversation().to_vec();
    drop(calls);
    session.resume(kept);
    assert_eq!(session.conversation(), live);
}

/// Wherever it fails: no model is asked and no call made that is not written down, and the next
/// question goes on in order.
#[tokio::test]
async fn nothing_is_done_that_was_not_kept() {
    for fails_at in 0..11 {
        let book = Book { fails_at: Some(fails_at), ..Book::default() };
        let model = two_rounds();
        let options = Options::new(Arc::<Model>::clone(&model));
        let (mut session, desk) = session(options).await;
        session.keep_with(Box::new(book.clone()));
        let error = session.ask("What is new?", &mut Nobody).await.unwrap_err();
        assert!(matches!(error, HostError::Journal(_)), "at {fails_at}: {error}");
        assert_eq!(error.code(), "disk-full");
        let (asked, called) = (model.seen.lock().unwrap().len(), desk.calls.lock().unwrap().len());
        assert!(asked <= book.count("request"), "at {fails_at}: {asked} requests");
        assert!(called == 0 || book.count("keep call") == 1, "at {fails_at}: {called} calls");
        assert!(called <= book.count("keep result") + 1, "at {fails_at}: {called} calls");

        let next = Book::default();
        session.keep_with(Box::new(next.clone()));
        let answer = session.ask("What is new?", &mut Nobody).await.unwrap();
        assert_eq!(answer.status, Status::Complete, "at {fails_at}");
        one_result_each(session.conversation());
        // Both journals together are the conversation.
        let mut kept = book.kept.lock().unwrap().clone();
        kept.extend(next.kept.lock().unwrap().clone());
        let live = session.conversation().to_vec();
        session.resume(kept);
        assert_eq!(session.conversation(), live, "at {fails_at}");
    }
}

/// Stops the question at an event.
struct Stopper {
    at: &'static str,
    stop: tokio_util::sync::CancellationToken,
}

impl Ui for Stopper {
    fn event(&mut self, event: &Event) {
        if serde_json::to_value(event).unwrap()["event"] == self.at {
            self.stop.cancel();
        }
    }
}

#[tokio::test]
async fn whenever_it_is_stopped_every_call_has_its_result() {
    for (at, sent) in [("asked", 0), ("turned", 0), ("proposed", 0), ("finished", 1)] {
        let options = Options::new(two_rounds());
        let stop = options.stop.clone();
        let (mut session, desk) = session(options).await;
        let book = Book::default();
        session.keep_with(Box::new(book.clone()));
        let answer = session.ask("What is new?", &mut Stopper { at, stop }).await.unwrap();
        assert_eq!(answer.status, Status::Cancelled, "at {at}");
        assert_eq!(desk.calls.lock().unwrap().len(), sent, "at {at}");
        let calls = one_result_each(session.conversation());
        assert_eq!(calls, if at == "asked" { 0 } else { 3 });
        for call in answer.calls.iter().skip(sent) {
            match &call.outcome {
                Outcome::Failed(failed) => assert_eq!(failed.code, Failure::Cancelled),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(book.count("keep result"), calls);
        assert_eq!(book.count("stopped"), 1, "{:?}", book.lines.lock().unwrap());
    }
}

/// A question that is dropped while its second call is under way keeps what the first came to.
#[tokio::test]
async fn what_is_known_when_a_question_is_dropped_is_kept() {
    let model = Model::plays(vec![calls(&[
        ("1", "web__page", json!({})),
        ("2", "web__hang", json!({})),
        ("3", "web__page", json!({})),
    ])]);
    let (mut session, desk) = session(Options::new(model)).await;
    let book = Book::default();
    session.keep_with(Box::new(book.clone()));
    let under_way = async {
        while desk.calls.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let mut ui = Recorder::default();
    {
        let asked = session.ask("What is new?", &mut ui);
        tokio::select! { _ = asked => panic!("it hangs"), () = under_way => {} }
    }
    assert_eq!(book.count("keep result 1"), 1);
    session.ask("What is new?", &mut Nobody).await.unwrap();
    assert_eq!(book.count("keep result 2, result 3"), 1);
    assert_eq!(one_result_each(session.conversation()), 3);
    let results: Vec<_> = session
        .conversation()
        .iter()
        .filter(|message| message.role == Role::Tool)
        .map(|message| serde_json::to_string(message).unwrap())
        .collect();
    assert_eq!(results.len(), 1);
    assert!(results[0].contains("Opening hours") && results[0].contains("the session ended"));
}

/// A provider gets back what it sent, to the byte; nobody else gets the mark of the instructions, and
/// what is kept is what is on record.
#[tokio::test]
async fn what_is_kept_and_on_record_is_without_the_mark_and_the_same() {
    let thought = |text: String| Part::Reasoning {
        text: "hm".into(),
        state: ProviderState {
            provider: "anthropic".into(),
            model: "m".into(),
            value: json!({"thinking": text, "signature": "abc"}),
        },
    };
    let model = Model::new(move |round, messages, _| {
        let mark = canary(messages);
        let secret = thought(format!("the mark {mark} is for nobody"));
        let plain = thought("I look it up".into());
        let mut turn = match round {
            0 => calls(&[("1", "web__page", json!({}))]),
            _ => Turn::new(vec![Part::text(format!("not {mark}"))], Stop::Complete),
        };
        turn.parts.splice(0..0, [secret, plain]);
        turn
    });
    let book = Book::default();
    let (mut session, _desk) = session(Options::new(Arc::<Model>::clone(&model))).await;
    session.keep_with(Box::new(book.clone()));
    session.ask("What is new?", &mut Nobody).await.unwrap();

    let seen = model.seen.lock().unwrap();
    let mark = canary(&seen[0]);
    let back = serde_json::to_string(&seen[1][2]).unwrap();
    assert!(back.contains(&format!("the mark {mark} is for nobody")), "{back}");

    let kept = book.kept.lock().unwrap();
    let said = book.said.lock().unwrap();
    let all = format!("{}{said:?}", serde_json::to_string(&*kept).unwrap());
    assert!(!all.contains(&mark) && all.contains("I look it up"), "{all}");
    let answers = kept.iter().filter(|message| message.role == Role::Assistant);
    let answers: Vec<_> =
        answers.map(|message| serde_json::to_string(&message.parts).unwrap()).collect();
    let on_record = said.iter().filter(|(what, _)| *what == What::Response);
    assert_eq!(answers, on_record.map(|(_, content)| content.clone()).collect::<Vec<_>>());
    assert_eq!(answers.len(), 2);
}
