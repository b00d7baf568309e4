use proptest::prelude::*;
use serde_json::Value;
use tagout_llm::ToolCall;

use super::*;

fn call(id: &str) -> Part {
    Part::ToolCall(ToolCall::new(id, "grid__forecast", "{}"))
}

fn answer(id: &str, text: &str) -> Part {
    Part::ToolResult(ToolResult {
        call_id: id.into(),
        parts: vec![Part::text(text)],
        structured: None,
        is_error: false,
    })
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts }
}

/// A conversation in short: `u` a question, `a(1 2)` calls, `t(1 2)` results, `-` no result.
fn short(messages: &[Message]) -> String {
    let part = |part: &Part| match part {
        Part::ToolCall(call) => call.id.clone(),
        Part::ToolResult(result) => {
            let lost = result.parts.iter().any(super::super::origin::is_by_host);
            format!("{}{}", result.call_id, if lost { "-" } else { "" })
        }
        Part::Text { text, .. } => text.clone(),
        Part::Image(_) | Part::Attached { .. } | Part::Reasoning { .. } | Part::Refusal { .. } => {
            "?".into()
        }
    };
    let one = |message: &Message| {
        let role = match message.role {
            Role::System => 's',
            Role::User => 'u',
            Role::Assistant => 'a',
            Role::Tool => 't',
        };
        let parts: Vec<_> = message.parts.iter().map(part).collect();
        format!("{role}({})", parts.join(" "))
    };
    messages.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_out_of_order_is_put_in_order() {
    use Role::{Assistant as A, System as S, Tool as T, User as U};
    let text = |text: &str| vec![Part::text(text)];
    let calls = |ids: &[&str]| ids.iter().map(|id| call(id)).collect::<Vec<_>>();
    let answers = |ids: &[&str]| ids.iter().map(|id| answer(id, "x")).collect::<Vec<_>>();
    for (name, messages, expected, added) in [
        (
            "nothing to do",
            vec![
                (U, text("q")),
                (A, calls(&["1", "2"])),
                (T, answers(&["1", "2"])),
                (A, text("ok")),
            ],
            "u(q) a(1 2) t(1 2) a(ok)",
            "",
        ),
        ("a call at the end", vec![(U, text("q")), (A, calls(&["1"]))], "u(q) a(1) t(1-)", "t(1-)"),
        (
            "one of two",
            vec![(U, text("q")), (A, calls(&["1", "2"])), (T, answers(&["2"]))],
            "u(q) a(1 2) t(1- 2)",
            "t(1-)",
        ),
        (
            "one message each",
            vec![(A, calls(&["1", "2"])), (T, answers(&["1"])), (T, answers(&["2"]))],
            "a(1 2) t(1 2)",
            "",
        ),
        (
            "in another order, with something between",
            vec![(A, calls(&["1", "2"])), (U, text("q")), (T, answers(&["2", "1"]))],
            "a(1 2) t(1 2) u(q)",
            "",
        ),
        (
            "no call, a second result, and one that came before its call",
            vec![(T, answers(&["1", "9"])), (A, calls(&["1"])), (T, answers(&["1", "1"]))],
            "a(1) t(1)",
            "",
        ),
        (
            "an identifier twice",
            vec![(A, calls(&["1", "1"])), (T, answers(&["1"])), (A, calls(&["1"]))],
            "a(1) t(1)",
            "",
        ),
        (
            "nothing in it, and what does not belong there",
            vec![
                (S, text("obey")),
                (U, vec![]),
                (A, text(" ")),
                (T, text("obey")),
                (U, vec![call("1"), answer("1", "x"), Part::text("q")]),
            ],
            "u(q)",
            "",
        ),
        (
            "a question at the end",
            vec![(A, calls(&["1"])), (U, text("and now?"))],
            "a(1) t(1-) u(and now?)",
            "t(1-)",
        ),
    ] {
        let mut repaired: Vec<_> =
            messages.into_iter().map(|(role, parts)| message(role, parts)).collect();
        let new = repair(&mut repaired);
        assert_eq!((short(&repaired).as_str(), short(&new).as_str()), (expected, added), "{name}");
    }
}

fn part() -> impl Strategy<Value = Part> {
    let id = || prop::sample::select(vec!["1", "2", "3", "4"]);
    prop_oneof![
        3 => id().prop_map(call),
        3 => (id(), "[a-z]{0,3}").prop_map(|(id, text)| answer(id, &text)),
        2 => "[a-z ]{0,3}".prop_map(Part::text),
        1 => "[a-z]{0,2}".prop_map(|text| Part::Refusal { text }),
        1 => Just(Part::Attached { uri: "a://b".into(), parts: vec![Part::text("x")] }),
    ]
}

pub(super) fn conversation() -> impl Strategy<Value = Vec<Message>> {
    let role = prop::sample::select(vec![
        Role::System,
        Role::User,
        Role::User,
        Role::Assistant,
        Role::Assistant,
        Role::Tool,
        Role::Tool,
    ]);
    let one = (role, prop::collection::vec(part(), 0..4));
    let one = one.prop_map(|(role, parts)| message(role, parts));
    prop::collection::vec(one, 0..10)
}

/// Every call is answered once, right after its turn and in order; nothing else is a result.
fn assert_in_order(messages: &[Message]) {
    let mut seen = HashSet::new();
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        assert!(!message.parts.is_empty());
        if message.role == Role::Tool {
            let ids: Vec<_> = message
                .parts
                .iter()
                .map(|part| match part {
                    Part::ToolResult(result) => result.call_id.clone(),
                    other @ (Part::Text { .. }
                    | Part::Image(_)
                    | Part::ToolCall(_)
                    | Part::Attached { .. }
                    | Part::Reasoning { .. }
                    | Part::Refusal { .. }) => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(ids, open);
            open.clear();
            continue;
        }
        assert!(open.is_empty() && message.role != Role::System);
        for id in calls(message) {
            assert!(message.role == Role::Assistant && seen.insert(id.to_owned()));
            open.push(id.to_owned());
        }
    }
    assert!(open.is_empty());
}

proptest! {
    #[test]
    fn whatever_it_was_it_is_in_order_and_stays_so(before in conversation()) {
        let mut messages = before.clone();
        repair(&mut messages);
        assert_in_order(&messages);
        let once = messages.clone();
        prop_assert!(repair(&mut messages).is_empty());
        prop_assert_eq!(&messages, &once);
        // What the person said last is still there.
        if let Some(Message { role: Role::User, parts }) = before.last()
            && parts.iter().any(|part| matches!(part, Part::Text { text, .. } if !text.trim().is_empty()))
        {
            prop_assert_eq!(messages.last().map(|message| message.role), Some(Role::User));
        }
    }

    /// What is added comes to the same when it is kept after everything else and all is read again.
    #[test]
    fn what_is_added_can_be_kept_at_the_end(before in conversation()) {
        let mut live = before.clone();
        let mut kept = before;
        kept.extend(repair(&mut live));
        repair(&mut kept);
        prop_assert_eq!(kept, live);
    }
}

/// A conversation that was kept is read as it was written, marks and all.
#[test]
fn what_the_host_said_is_known_after_it_was_kept() {
    let mut messages = vec![message(Role::Assistant, vec![call("1")])];
    repair(&mut messages);
    let kept: Value = serde_json::to_value(&messages).unwrap();
    let mut again: Vec<Message> = serde_json::from_value(kept).unwrap();
    assert_eq!(short(&again), "a(1) t(1-)");
    assert!(repair(&mut again).is_empty());
}
