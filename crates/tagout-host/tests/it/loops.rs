//! With providers that misbehave and a gateway that refuses, hangs and dies.
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tagout_host::{Answer, Event, Failure, HostError, Options, Outcome, Session, Status, Verdict};
use tagout_llm::{Message, Part, Stop};

use crate::{
    Recorder,
    gateway::session,
    script::{Script, call, done, turn},
};

fn options(script: Script) -> Options {
    Options::new(Arc::new(script))
}

/// How many results each proposed call has; every call must have one.
fn results(conversation: &[Message]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for part in conversation.iter().flat_map(|message| &message.parts) {
        match part {
            Part::ToolCall(call) => *counts.entry(call.id.clone()).or_insert(0) += 0,
            Part::ToolResult(result) => *counts.entry(result.call_id.clone()).or_insert(0) += 1,
            _ => {}
        }
    }
    counts
}

fn one_result_each(session: &Session, calls: usize) {
    let counts = results(session.conversation());
    assert_eq!(counts.len(), calls, "{counts:?}");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

fn failure(answer: &Answer, index: usize) -> (Failure, bool) {
    match &answer.calls[index].outcome {
        Outcome::Failed(failed) => (failed.code, failed.may_have_run),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_is_a_result_with_rule_and_record() {
    let script = Script::new([
        turn(vec![call("1", "grid__secret", "{}")], Stop::ToolCalls),
        done("it was refused"),
    ]);
    let (mut session, _gateway, _serving) = session(options(script)).await;
    let mut ui = Recorder::default();
    let answer = session.ask("q", &mut ui).await.unwrap();
    let refused = answer.refusal().unwrap();
    assert_eq!((refused.code.as_str(), refused.rpc_code), ("policy-denied", -32_003));
    assert_eq!(refused.decision.verdict, Some(Verdict::Deny));
    assert_eq!(refused.decision.rule.as_deref(), Some("deny-by-default"));
    assert_eq!(refused.decision.record, Some(12));
    assert_eq!(
        refused.to_string(),
        "the gateway refused the call (policy-denied): not allowed; rule `deny-by-default`; audit record 12"
    );
    assert_eq!(ui.kinds(), "asked proposed decided finished answered");
    one_result_each(&session, 1);
}

#[tokio::test]
async fn unknown_tools_and_bad_arguments_never_leave() {
    let script = Script::new([
        turn(
            vec![
                call("1", "grid__delete_everything", "{}"),
                call("2", "grid__predict_outage_risk", r#"{"equipment_id":"a7"}"#),
                call("3", "grid__predict_outage_risk", r#"{"equipment_id":"#),
                call("4", "grid__predict_outage_risk", "[]"),
                call("5", "grid__predict_outage_risk", r#"{"equipment_id":"A7"}"#),
            ],
            Stop::ToolCalls,
        ),
        done("done"),
    ]);
    let (mut session, gateway, _serving) = session(options(script)).await;
    let answer = session.ask("q", &mut Recorder::default()).await.unwrap();
    assert_eq!(failure(&answer, 0), (Failure::UnknownTool, false));
    for index in 1..=3 {
        assert_eq!(failure(&answer, index), (Failure::ArgumentsInvalid, false));
    }
    assert!(matches!(answer.calls[4].outcome, Outcome::Returned(_)));
    assert_eq!(gateway.calls.load(Ordering::SeqCst), 1);
    one_result_each(&session, 5);
}

#[tokio::test]
async fn rounds_and_calls_are_limited() {
    let chart = |n: usize| {
        let arguments = format!(r#"{{"equipment_id":"A{n}"}}"#);
        call(&n.to_string(), "grid__predict_outage_risk", &arguments)
    };
    let rounds = (0..9).map(|n| turn(vec![chart(n)], Stop::ToolCalls));
    let (mut session, gateway, _serving) = session(options(Script::new(rounds))).await;
    let answer = session.ask("q", &mut Recorder::default()).await.unwrap();
    assert_eq!((answer.status, answer.rounds), (Status::RoundLimit, 8));
    assert_eq!(gateway.calls.load(Ordering::SeqCst), 8);
    one_result_each(&session, 8);

    let many = (0..10).map(chart).collect();
    let script = Script::new([turn(many, Stop::ToolCalls), done("done")]);
    let (mut session, gateway, _serving) = crate::gateway::session(options(script)).await;
    let answer = session.ask("q", &mut Recorder::default()).await.unwrap();
    assert_eq!(failure(&answer, 9), (Failure::NotDispatched, false));
    assert_eq!(gateway.calls.load(Ordering::SeqCst), 8);
    one_result_each(&session, 10);
}

#[tokio::test]
async fn the_same_call_again_and_again_is_stopped() {
    let chart = || call("c", "grid__draw_chart", "{}");
    let forever = Script::forever(turn(vec![chart()], Stop::ToolCalls));
    let (mut session, gateway, _serving) = session(options(forever)).await;
    let answer = session.ask("q", &mut Recorder::default()).await.unwrap();
    assert_eq!((answer.status, answer.rounds), (Status::Repeating, 4));
    assert_eq!(gateway.calls.load(Ordering::SeqCst), 3);
    assert_eq!(failure(&answer, 3), (Failure::Repeated, false));
    one_result_each(&session, 4);
}

#[tokio::test]
async fn a_cut_turn_dispatches_nothing() {
    let cut = turn(vec![call("1", "grid__draw_chart", "{}")], Stop::Length);
    let (mut session, gateway, _serving) = session(options(Script::new([cut]))).await;
    let answer = session.ask("q", &mut Recorder::default()).await.unwrap();
    assert_eq!(answer.status, Status::CutShort);
    assert_eq!(failure(&answer, 0), (Failure::NotDispatched, false));
    assert_eq!(gateway.calls.load(Ordering::SeqCst), 0);
    one_result_each(&session, 1);
}

#[tokio::test]
async fn two_calls_of_one_id_are_no_turn() {
    let twice = vec![call("1", "grid__draw_chart", "{}"), call("1", "grid__draw_chart", "{}")];
    let script = Script::new([turn(twice, Stop::ToolCalls)]);
    let (mut session, gateway, _serving) = session(options(script)).await;
    let error = session.ask("q", &mut Recorder::default()).await.unwrap_err();
    assert!(matches!(error, HostError::Provider(_)));
    assert_eq!(error.code(), "provider-malformed");
    assert_eq!(gateway.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_connection_that_dies_in_mid_call_is_a_result() {
    let script = Script::new([
        turn(
            vec![call("1", "grid__die", "{}"), call("2", "grid__draw_chart", "{}")],
            Stop::ToolCalls,
        ),
        done("lost"),
    ]);
    let (near, far) = tokio::io::duplex(1 << 16);
    let gateway = crate::gateway::Gateway::default();
    let calls = gateway.calls.clone();
    // The bytes go through a relay that stops as soon as the call has arrived.
    let (inner, server) = tokio::io::duplex(1 << 16);
    let serving = tokio::spawn(async move {
        let running = rmcp::service::serve_server(gateway, server).await.unwrap();
        running.waiting().await.unwrap();
    });
    tokio::spawn(async move {
        let (mut far, mut inner) = (far, inner);
        let relay = tokio::io::copy_bidirectional(&mut far, &mut inner);
        let dies = async {
            while calls.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! { _ = relay => {}, () = dies => {} }
    });
    let mut session = Session::connect(near, options(script)).await.unwrap();
    let mut ui = Recorder::default();
    let asked = session.ask("q", &mut ui);
    let answer = tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap().unwrap();
    assert_eq!(answer.status, Status::Complete);
    assert_eq!(failure(&answer, 0), (Failure::Disconnected, true));
    assert_eq!(failure(&answer, 1).0, Failure::Disconnected);
    one_result_each(&session, 2);
    serving.abort();
}

#[tokio::test]
async fn a_call_that_hangs_times_out_and_is_cancelled() {
    let script =
        Script::new([turn(vec![call("1", "grid__hang", "{}")], Stop::ToolCalls), done("slow")]);
    let mut options = options(script);
    options.call_timeout = Duration::from_millis(50);
    let (mut session, gateway, _serving) = session(options).await;
    let answer = session.ask("q", &mut Recorder::default()).await.unwrap();
    assert_eq!(failure(&answer, 0), (Failure::Timeout, true));
    wait_for(&gateway.cancelled).await;
    one_result_each(&session, 1);
}

#[tokio::test]
async fn stopping_cancels_the_call_and_keeps_the_conversation_whole() {
    let script = Script::new([turn(vec![call("1", "grid__hang", "{}")], Stop::ToolCalls)]);
    let options = options(script);
    let stop = options.stop.clone();
    let (mut session, gateway, _serving) = session(options).await;
    let calls = gateway.calls.clone();
    tokio::spawn(async move {
        wait_for(&calls).await;
        stop.cancel();
    });
    let answer = session.ask("q", &mut Recorder::default()).await.unwrap();
    assert_eq!(answer.status, Status::Cancelled);
    assert_eq!(failure(&answer, 0), (Failure::Cancelled, true));
    wait_for(&gateway.cancelled).await;
    one_result_each(&session, 1);
}

#[tokio::test]
async fn a_dropped_question_is_repaired_by_the_next() {
    let script = Script::new([
        turn(vec![call("1", "grid__hang", "{}")], Stop::ToolCalls),
        done("second answer"),
    ]);
    let (mut session, gateway, _serving) = session(options(script)).await;
    let mut ui = Recorder::default();
    {
        let asked = session.ask("first", &mut ui);
        tokio::select! { _ = asked => panic!("it hangs"), () = wait_for(&gateway.calls) => {} }
    }
    let answer = session.ask("second", &mut Recorder::default()).await.unwrap();
    assert_eq!(answer.text, "second answer");
    wait_for(&gateway.cancelled).await;
    one_result_each(&session, 1);
}

#[tokio::test]
async fn a_server_that_died_behind_the_gateway_is_no_refusal() {
    let script =
        Script::new([turn(vec![call("1", "grid__gone", "{}")], Stop::ToolCalls), done("gone")]);
    let (mut session, _gateway, _serving) = session(options(script)).await;
    let answer = session.ask("q", &mut Recorder::default()).await.unwrap();
    assert_eq!(failure(&answer, 0), (Failure::ServerError, true));
    let Outcome::Failed(failed) = &answer.calls[0].outcome else { panic!() };
    assert_eq!(
        (failed.gateway_code.as_deref(), failed.decision.record),
        (Some("server-died"), Some(13))
    );
    assert_eq!(
        failed.to_string(),
        "server `grid`: it ended; the tool may have run; audit record 13"
    );
}

#[tokio::test]
async fn a_protocol_error_is_no_refusal() {
    let script =
        Script::new([turn(vec![call("1", "grid__broken", "")], Stop::ToolCalls), done("broken")]);
    let (mut session, _gateway, _serving) = session(options(script)).await;
    let mut ui = Recorder::default();
    let answer = session.ask("q", &mut ui).await.unwrap();
    assert_eq!(failure(&answer, 0), (Failure::ServerError, true));
    assert!(answer.refusal().is_none());
    assert!(!ui.events.iter().any(|event| matches!(event, Event::Decided { .. })));
}

#[tokio::test]
async fn a_question_may_run_on_any_thread() {
    let (mut session, _gateway, _serving) = session(options(Script::new([done("yes")]))).await;
    let asked = tokio::spawn(async move {
        session.ask("q", &mut Recorder::default()).await.map(|answer| answer.text)
    });
    assert_eq!(asked.await.unwrap().unwrap(), "yes");
}

async fn wait_for(count: &std::sync::atomic::AtomicUsize) {
    for _ in 0..2_000 {
        if count.load(Ordering::SeqCst) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never happened");
}
