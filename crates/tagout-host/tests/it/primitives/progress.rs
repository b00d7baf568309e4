//! Progress of calls, and what it does for their time.
use std::time::Duration;

use serde_json::{Map, Value, json};
use tagout_host::{Event, Failure, FormAnswer, Options, Outcome};

use super::asked::{Person, attended, every_kind};
use crate::frames::{Answers, method, notification, request, result_of, session};

#[tokio::test]
async fn progress_is_of_this_call_and_grows() {
    let tells: Answers = Box::new(|frame| match method(frame) {
        "tools/call" => {
            let token = frame["params"]["_meta"]["progressToken"].clone();
            let told = |token: &Value, progress: f64| {
                let params = json!({"progressToken": token, "progress": progress, "total": 4, "message": "on"});
                notification("notifications/progress", params)
            };
            let other = json!("somebody's");
            let mut frames = vec![told(&other, 9.0)];
            frames.extend([3.0, 1.0, 3.0].map(|done| told(&token, done)));
            frames.push(notification(
                "notifications/message",
                json!({"level": "info", "data": {"a": 1}}),
            ));
            // Progress is handed over by tasks of its own: a question comes after it.
            frames.push(request("q", "elicitation/create", every_kind()));
            frames
        }
        "" if frame["id"] == "q" => Vec::new(),
        _ => Vec::new(),
    });
    let options = Options { call_timeout: Duration::from_millis(200), ..attended() };
    let (mut session, _heard, _serving) = session(options, tells).await;
    let mut person = Person { form: Some(FormAnswer::Decline), ..Person::default() };
    session.call("grid__work", Map::new(), &mut person).await;
    let done: Vec<_> = person
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Progress { done, tool, .. } => Some((tool.as_str(), *done)),
            _ => None,
        })
        .collect();
    assert!(done.is_sorted_by(|a, b| a.1 < b.1), "{done:?}");
    assert_eq!(done.last(), Some(&("grid__work", 3.0)));
}

#[tokio::test]
async fn progress_keeps_no_call_alive_for_ever() {
    let (near, far) = tokio::io::duplex(1 << 16);
    tokio::spawn(never_done(far));
    let options = Options { call_timeout: Duration::from_millis(150), ..Options::default() };
    let mut session = tagout_host::Session::connect(near, options).await.unwrap();
    let mut person = Person::default();
    let outcome = session.call("grid__work", Map::new(), &mut person).await;
    let Outcome::Failed(failed) = outcome else { panic!("{outcome:?}") };
    assert_eq!((failed.code, failed.may_have_run), (Failure::Timeout, true));
    assert!(!person.events.is_empty());
}

/// Makes a little progress every 20 ms, and never answers.
async fn never_done(io: tokio::io::DuplexStream) {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let (read, mut write) = tokio::io::split(io);
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let frame: Value = serde_json::from_str(&line).unwrap();
        let answer = match method(&frame) {
            "initialize" => json!({"protocolVersion": "2025-11-25", "capabilities": {},
                                   "serverInfo": {"name": "n", "version": "1"}}),
            "tools/list" => json!({"tools": []}),
            "tools/call" => {
                let token = frame["params"]["_meta"]["progressToken"].clone();
                for done in 1..500 {
                    let params = json!({"progressToken": token, "progress": done});
                    let told = notification("notifications/progress", params);
                    if write.write_all(format!("{told}\n").as_bytes()).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                continue;
            }
            _ => continue,
        };
        let answer = result_of(&frame, answer);
        write.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
    }
}
