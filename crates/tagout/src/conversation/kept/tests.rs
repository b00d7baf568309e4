//! What the agent loop keeps comes back as it was.
use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use tagout_host::{SaidResult, What};
use tagout_llm::{Image, Part, ProviderState, ToolCall, ToolResult, Usage};
use tagout_proto::{Principal, Secret};
use tagout_store::{SessionKey, Store};

use super::*;

struct Home {
    root: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn sessions(&self) -> Sessions {
        let store = Store::open(&self.root.path().join("state/state.sqlite")).unwrap();
        let (user, by) = ("ann".into(), "os-user".into());
        let ann = Principal { user, groups: BTreeSet::new(), authenticated_by: by };
        store.sessions(&SessionKey::new(Secret::new([7; 32])), &ann).unwrap()
    }

    fn kept(&self, recorder: Option<Recorder>) -> Kept {
        Kept::in_store(self.sessions(), None, ("offline:planner", clock()), recorder)
    }

    /// What is in the session that was used last.
    fn entries(&self) -> (About, Vec<Entry>) {
        let sessions = self.sessions();
        let last = sessions.list().unwrap().remove(0);
        let loaded = sessions.load(&last.id).unwrap().unwrap();
        let entries = loaded.turns.iter().map(|turn| Entry::read(turn).unwrap()).collect();
        (loaded.session.about().clone(), entries)
    }

    fn messages(&self) -> Vec<Message> {
        self.entries().1.into_iter().filter_map(Entry::message).collect()
    }
}

fn clock() -> Clock {
    Clock::new(|| "2026-11-21T12:00:00Z".parse().unwrap())
}

fn said(what: What, results: &[SaidResult]) -> Said<'_> {
    let usage = Some(Usage { input_tokens: 10, output_tokens: 3, ..Usage::default() });
    let usage = usage.filter(|_| matches!(what, What::Response));
    let (cause, model, content) = (Some(1), Some("offline:planner"), "why");
    Said { what, cause, model, content, calls: &[], results, usage }
}

#[test]
fn a_conversation_is_kept_with_its_records() {
    let home = Home::new();
    let mut next = 40;
    let mut kept = home.kept(Some(Box::new(move |_| {
        next += 1;
        Ok(Some(next))
    })));
    assert_eq!(kept.id(), None);
    let results = [SaidResult { id: "c1".to_owned(), record: Some(12) }];
    assert_eq!(kept.record(&said(What::Prompt, &[])), Ok(Some(41)));
    let long = format!("\n\n  Outage risk {}\nmore", "of A7 ".repeat(40));
    kept.keep(&Message::text(Role::User, long.clone())).unwrap();
    kept.record(&said(What::Request, &results)).unwrap();
    kept.record(&said(What::Response, &[])).unwrap();
    kept.answered_by("ollama:qwen3");
    kept.keep(&Message::text(Role::User, "And B2?")).unwrap();
    kept.record(&said(What::Stopped, &[])).unwrap();

    let (about, entries) = home.entries();
    assert!(kept.id().is_some());
    assert_eq!((about.messages, about.model.as_str()), (2, "ollama:qwen3"));
    assert!(about.title.starts_with("Outage risk of A7") && about.title.chars().count() == 80);
    let spoken: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Said { said, .. } => Some((said.what.as_str(), said.record, said.why.clone())),
            Entry::Message { .. } => None,
        })
        .collect();
    let stopped = ("stopped", Some(44), Some("why".to_owned()));
    let expected =
        [("prompt", Some(41), None), ("request", Some(42), None), ("response", Some(43), None)];
    assert_eq!(spoken, [&expected[..], &[stopped]].concat());
    assert_eq!(Spent::of(&entries), Spent { input_tokens: 10, output_tokens: 3 });
    let asked = [long.as_str(), "And B2?"].map(|text| Message::text(Role::User, text));
    assert_eq!(home.messages(), asked);
}

#[test]
fn what_is_kept_nowhere_is_recorded_all_the_same() {
    let mut kept = Kept::nowhere(clock(), Some(Box::new(|_| Ok(Some(7)))));
    kept.keep(&Message::text(Role::User, "hello")).unwrap();
    assert_eq!(kept.record(&said(What::Prompt, &[])), Ok(Some(7)));
    assert_eq!(kept.id(), None);
}

#[test]
fn what_cannot_be_recorded_or_kept_is_an_error() {
    let home = Home::new();
    let error = JournalError { code: "audit-unavailable", message: "full".to_owned() };
    let told = error.clone();
    let mut kept = home.kept(Some(Box::new(move |_| Err(told.clone()))));
    assert_eq!(kept.record(&said(What::Prompt, &[])), Err(error));
    assert!(home.sessions().list().unwrap().is_empty());

    // Two that go on with one session.
    let (mut one, sessions) = (home.kept(None), home.sessions());
    one.keep(&Message::text(Role::User, "hello")).unwrap();
    let session = sessions.load(&one.id().unwrap()).unwrap().unwrap().session;
    let mut two = Kept::in_store(sessions, Some(session), ("offline:planner", clock()), None);
    two.keep(&Message::text(Role::User, "two")).unwrap();
    let error = one.keep(&Message::text(Role::User, "one")).unwrap_err();
    assert_eq!(error.code, "session-changed");
    assert_eq!(home.messages().len(), 2);

    // Nested deeper than anything is read.
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let result = ToolResult {
        call_id: "c1".to_owned(),
        parts: Vec::new(),
        structured: Some(deep),
        is_error: false,
    };
    let message = Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] };
    assert_eq!(two.keep(&message).unwrap_err().code, "session-not-valid");
    assert_eq!(home.messages().len(), 2);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,8}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn state() -> impl Strategy<Value = ProviderState> {
    ("[a-z]{1,8}", ".{0,12}", value()).prop_map(|(provider, model, value)| ProviderState {
        provider,
        model,
        value,
    })
}

fn part() -> impl Strategy<Value = Part> {
    let text = (".{0,40}", proptest::option::of(state()))
        .prop_map(|(text, state)| Part::Text { text, state });
    let image = (".{0,12}", "[A-Za-z0-9+/]{0,24}")
        .prop_map(|(media_type, base64)| Part::Image(Image { media_type, base64 }));
    let call = (".{0,8}", ".{0,8}", ".{0,40}", proptest::option::of(state())).prop_map(
        |(id, name, arguments_raw, state)| {
            Part::ToolCall(ToolCall { id, name, arguments_raw, state })
        },
    );
    let reasoning = (".{0,20}", state()).prop_map(|(text, state)| Part::Reasoning { text, state });
    let refusal = ".{0,20}".prop_map(|text| Part::Refusal { text });
    let leaf = prop_oneof![text, image, call, reasoning, refusal].boxed();
    let inner = proptest::collection::vec(leaf.clone(), 0..3);
    let result = (".{0,8}", inner.clone(), proptest::option::of(value()), any::<bool>()).prop_map(
        |(call_id, parts, structured, is_error)| {
            // What is there and null, and what is not there, are one.
            let structured = structured.filter(|value| !value.is_null());
            Part::ToolResult(ToolResult { call_id, parts, structured, is_error })
        },
    );
    let attached = (".{0,20}", inner).prop_map(|(uri, parts)| Part::Attached { uri, parts });
    prop_oneof![leaf, result, attached]
}

fn message() -> impl Strategy<Value = Message> {
    let role =
        prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant), Just(Role::Tool)];
    (role, proptest::collection::vec(part(), 0..4))
        .prop_map(|(role, parts)| Message { role, parts })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is said, with whatever a provider wants back.
    #[test]
    fn what_was_said_comes_back(messages in proptest::collection::vec(message(), 1..8)) {
        let home = Home::new();
        let mut kept = home.kept(None);
        for message in &messages {
            kept.keep(message).unwrap();
        }
        prop_assert_eq!(home.messages(), messages);
    }
}
