//! With the planner: the main job, what is missing, what does not fit.
use tagout_host::{Event, Options, Outcome, Status, Verdict};

use crate::{Recorder, gateway::session};

#[tokio::test]
async fn a_question_is_planned_called_decided_and_answered() {
    let (mut session, gateway, _serving) = session(Options::default()).await;
    let mut ui = Recorder::default();
    let answer = session.ask("What is the outage risk of A7 at 38 C?", &mut ui).await.unwrap();
    assert_eq!(ui.kinds(), "asked planned proposed decided finished answered");
    assert_eq!(answer.status, Status::Complete);
    assert!(answer.text.contains("risk score: 0.239"), "{}", answer.text);
    assert_eq!(answer.model.note, "no language model: rule-based planner");
    let call = &answer.calls[0];
    assert_eq!(call.tool, "grid__predict_outage_risk");
    assert_eq!(call.arguments.to_string(), r#"{"equipment_id":"A7","temp_c":38}"#);
    let Outcome::Returned(returned) = &call.outcome else { panic!("{:?}", call.outcome) };
    assert_eq!(returned.structured.as_ref().unwrap()["risk_score"], 0.239);
    assert_eq!(returned.meta.as_ref().unwrap()["tagout/rule"], "allow-reads");
    let decision = &returned.decision;
    assert_eq!(
        (decision.verdict, decision.rule.as_deref(), decision.record),
        (Some(Verdict::Allow), Some("allow-reads"), Some(1))
    );
    assert_eq!(gateway.calls.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_image_comes_through() {
    let (mut session, _gateway, _serving) = session(Options::default()).await;
    let mut ui = Recorder::default();
    let answer = session.ask("Draw a chart", &mut ui).await.unwrap();
    assert_eq!(answer.images.len(), 1);
    assert_eq!(answer.images[0].media_type, "image/png");
    assert_eq!(answer.text, "One week of hourly load\n[image: image/png, 8 bytes]");
}

#[tokio::test]
async fn a_missing_value_is_asked_for_or_said() {
    let (mut session, gateway, _serving) = session(Options::default()).await;
    let mut silent = Recorder::default();
    let answer = session.ask("What is the outage risk?", &mut silent).await.unwrap();
    assert_eq!(answer.status, Status::NeedsInput);
    assert_eq!(answer.missing[0].path, "equipment_id");
    assert!(answer.text.contains("`equipment_id`"), "{}", answer.text);
    assert_eq!(silent.kinds(), "asked planned filled answered");
    assert_eq!(gateway.calls.load(std::sync::atomic::Ordering::SeqCst), 0);

    let mut ui = Recorder { answers: vec!["B12".into()], ..Recorder::default() };
    let answer = session.ask("What is the outage risk?", &mut ui).await.unwrap();
    assert_eq!(answer.status, Status::Complete);
    assert_eq!(answer.calls[0].arguments["equipment_id"], "B12");
    assert_eq!(ui.kinds(), "asked planned filled planned proposed decided finished answered");
}

#[tokio::test]
async fn what_does_not_fit_is_not_called() {
    let (mut session, gateway, _serving) = session(Options::default()).await;
    let mut ui = Recorder::default();
    let answer = session.ask("Delete all records", &mut ui).await.unwrap();
    assert_eq!(answer.status, Status::NoToolFits);
    assert!(answer.text.contains("`grid__draw_chart`"), "{}", answer.text);
    assert_eq!(gateway.calls.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert!(matches!(ui.events.last(), Some(Event::Answered { .. })));
}
