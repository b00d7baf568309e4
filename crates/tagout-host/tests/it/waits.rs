//! While a person is asked: stopping withdraws the question, and thinking takes no time.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tagout_host::{
    ApprovalAnswer, ApprovalCard, Asking, Event, Failure, Limits, Options, Outcome, Status, Ui,
};
use tokio_util::sync::CancellationToken;

use crate::{
    frames::{Answers, asking, session},
    guard::{Model, calls, one_result_each},
};

/// Somebody who takes their time.
#[derive(Default)]
struct Slow {
    /// Stopped as soon as they are asked.
    stop: CancellationToken,
    /// For so long; for ever if there is no such time.
    thinks: Option<Duration>,
    withdrawn: Arc<AtomicBool>,
}

/// Notes that a question was withdrawn.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Ui for Slow {
    fn event(&mut self, _: &Event) {}

    fn approve<'a>(&'a mut self, _: &'a ApprovalCard) -> Asking<'a, ApprovalAnswer> {
        let gone = Gone(Arc::clone(&self.withdrawn));
        self.stop.cancel();
        Box::pin(async move {
            match self.thinks {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
            drop(gone);
            ApprovalAnswer::Once
        })
    }
}

fn card() -> Answers {
    let card = json!({"tool": "work", "server": "grid", "digest": "d", "scopes": []});
    let schema = json!({"type": "object", "required": ["decision"], "properties":
        {"decision": {"type": "string", "enum": ["deny", "approve"]}}});
    let asks =
        json!({"message": "May it?", "_meta": {"tagout/card": card}, "requestedSchema": schema});
    asking("elicitation/create", asks)
}

fn options() -> Options {
    let model = Model::plays(vec![calls(&[
        ("1", "grid__work", json!({})),
        ("2", "grid__work", json!({})),
    ])]);
    Options { attended: true, ..Options::new(model) }
}

#[tokio::test]
async fn stopping_withdraws_the_question_and_every_call_has_its_result() {
    let options = options();
    let mut person = Slow { stop: options.stop.clone(), ..Slow::default() };
    let (mut session, _, _serving) = session(options, card()).await;
    let answer = session.ask("Do it twice", &mut person).await.unwrap();
    assert_eq!(answer.status, Status::Cancelled);
    assert!(person.withdrawn.load(Ordering::SeqCst));
    for call in &answer.calls {
        let Outcome::Failed(failed) = &call.outcome else { panic!("{call:?}") };
        assert_eq!(failed.code, Failure::Cancelled);
    }
    assert_eq!(one_result_each(session.conversation()), 2);
}

#[tokio::test]
async fn a_dropped_question_withdraws_what_it_asked() {
    let mut person = Slow::default();
    let (stop, withdrawn) = (person.stop.clone(), Arc::clone(&person.withdrawn));
    let (mut session, _, _serving) = session(options(), card()).await;
    {
        let asked = session.ask("Do it twice", &mut person);
        tokio::select! { _ = asked => panic!("nobody answers"), () = stop.cancelled() => {} }
    }
    assert!(withdrawn.load(Ordering::SeqCst));
    session.ask("Never mind", &mut tagout_host::Nobody).await.unwrap();
    assert_eq!(one_result_each(session.conversation()), 2);
}

#[tokio::test]
async fn thinking_takes_none_of_the_questions_time() {
    let limits = Limits { time: Duration::from_millis(400), ..Limits::default() };
    let options = Options { limits, ..options() };
    let thinks = Some(Duration::from_millis(500));
    let mut person = Slow { thinks, ..Slow::default() };
    let (mut session, _, _serving) = session(options, card()).await;
    let answer = session.ask("Do it twice", &mut person).await.unwrap();
    assert_eq!(answer.status, Status::Complete);
    assert!(answer.calls.iter().all(|call| matches!(call.outcome, Outcome::Returned(_))));
}
