//! What a person attaches to a question.
use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tagout_host::{Attached, HostError, Options, Question, Reference, Session};
use tagout_llm::{Message, Part, Role};

use crate::{
    Recorder,
    frames::{Answers, failed, method, notification, params, result_of, session},
    script::{Script, done},
};

fn text_of(message: &Message) -> String {
    let texts = message.parts.iter().map(|part| match part {
        Part::Text { text, .. } => text.clone(),
        Part::Image(image) => format!("<{}>", image.media_type),
        Part::Attached { uri, parts } => {
            let role = Role::User;
            format!("@{uri}({})", text_of(&Message { role, parts: parts.clone() }))
        }
        other => panic!("{other:?}"),
    });
    texts.collect::<Vec<_>>().join("|")
}

/// Prompts on two pages, resources of two servers, and completion.
fn offering() -> Answers {
    Box::new(|frame| {
        let of = |pointer: &str| frame.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let result = match (method(frame), of("/params/cursor"), of("/params/name")) {
            ("prompts/list", "", _) => json!({"nextCursor": "2", "prompts": [{
                "name": "grid__brief", "title": "Brief", "description": null, "arguments": [
                    {"name": "region", "required": true}, {"name": "day", "description": "Which"},
                ],
            }]}),
            ("prompts/list", ..) => {
                json!({"prompts": [{"name": "files__plain"}, {"name": "grid__odd"}, {"name": "grid__ends"},
                    {"nameless": 1}]})
            }
            ("prompts/get", _, "grid__brief") => json!({"messages": [
                {"role": "user", "content": {"type": "text", "text": "Brief me"}},
                {"role": "assistant", "content": {"type": "image", "mimeType": "image/png", "data": "aGk="}},
                {"role": "user", "content": {"type": "resource", "resource":
                    {"uri": "grid://load/north", "text": "7 MW"}}},
                {"role": "user", "content": {"type": "audio", "mimeType": "audio/wav", "data": "aGk="}},
                {"role": "user", "content": {"type": "resource_link", "uri": "grid://x", "name": "x"}},
                {"role": "user", "content": {"type": "hologram", "size": 3}},
            ]}),
            ("prompts/get", _, "grid__ends") => json!({"messages": [
                {"role": "user", "content": {"type": "text", "text": "May I pay?"}},
                {"role": "assistant", "content": {"type": "text", "text": "Sure, at once:"}},
                {"role": "user", "content": {"type": "text", "text": " "}},
            ]}),
            ("prompts/get", _, "grid__odd") => json!({"messages": [
                {"role": "system", "content": {"type": "text", "text": "Obey"}},
            ]}),
            ("resources/list", ..) => json!({"resources": [
                {"uri": "grid://load/north", "name": "n", "_meta": {"tagout/server": "grid"}},
                {"uri": "file:///notes", "name": "notes", "_meta": {"tagout/server": "files"}},
            ]}),
            ("resources/templates/list", ..) => json!({"resourceTemplates": [
                {"uriTemplate": "grid://load/{region}", "name": "load",
                 "_meta": {"tagout/server": "grid"}},
            ]}),
            ("resources/read", ..) => return vec![read(frame, of("/params/uri"))],
            ("completion/complete", ..) => {
                let many = (0..200).map(|n| format!("value {n}"));
                let values: Vec<_> = std::iter::once("two\nlines".to_owned()).chain(many).collect();
                json!({"completion": {"values": values}})
            }
            _ => return Vec::new(),
        };
        vec![result_of(frame, result)]
    })
}

fn read(frame: &Value, uri: &str) -> Value {
    let contents = match uri {
        "grid://load/north" => json!([{"uri": uri, "text": "7 MW"}]),
        "grid://load/picture" => json!([{"uri": uri, "mimeType": "image/png", "blob": "aGk="}]),
        "grid://load/several" => json!([
            {"uri": "grid://load/a", "text": "A"},
            {"uri": "grid://load/b", "mimeType": "application/pdf", "blob": "aGkhIQ=="},
        ]),
        "grid://load/large" => json!([{"uri": uri, "text": "x".repeat(600 << 10)}]),
        "grid://load/none" => json!("none"),
        _ => {
            return failed(
                frame,
                json!({"code": -32003, "message": "not allowed", "data": {"by": "tagout",
                       "code": "policy-denied", "rule": "no-notes", "record": 41}}),
            );
        }
    };
    result_of(frame, json!({"contents": contents}))
}

fn arguments(given: &[(&str, &str)]) -> BTreeMap<String, String> {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn failure(session: &mut Session, server: &str, uri: &str) -> HostError {
    session.attach(server, uri).await.unwrap_err()
}

#[tokio::test]
async fn prompts_are_listed_once_and_again_when_they_changed() {
    let mut lists = 0;
    let (mut session, heard, _serving) = session(
        Options::default(),
        Box::new(move |frame| match method(frame) {
            "prompts/list" => {
                lists += 1;
                let name = format!("grid__p{lists}");
                vec![result_of(frame, json!({"prompts": [{"name": name}]}))]
            }
            "tools/call" => vec![
                notification("notifications/prompts/list_changed", json!({})),
                result_of(frame, json!({"content": []})),
            ],
            _ => Vec::new(),
        }),
    )
    .await;
    for _ in 0..2 {
        assert_eq!(session.prompts().await.unwrap()[0].name, "grid__p1");
    }
    session.call("grid__work", serde_json::Map::new(), &mut Recorder::default()).await;
    // What was said before the answer is taken in by a task of its own.
    for _ in 0..2_000 {
        if session.prompts().await.unwrap()[0].name == "grid__p2" {
            assert_eq!(
                heard.lock().unwrap().iter().filter(|f| method(f) == "prompts/list").count(),
                2
            );
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("it was not listed again");
}

#[tokio::test]
async fn who_offers_nothing_has_empty_lists() {
    let (mut session, _heard, _serving) =
        session(Options::default(), Box::new(|_| Vec::new())).await;
    assert!(session.prompts().await.unwrap().is_empty());
    assert!(session.resources().await.unwrap().is_empty());
    assert!(session.templates().await.unwrap().is_empty());
    let context = BTreeMap::new();
    let values = session.complete(Reference::Prompt("x"), "a", "", &context).await.unwrap();
    assert!(values.is_empty());
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    let endless: Answers = Box::new(|frame| match method(frame) {
        "resources/list" => {
            vec![result_of(frame, json!({"resources": [], "nextCursor": "again"}))]
        }
        _ => Vec::new(),
    });
    let (mut session, _heard, _serving) = session(Options::default(), endless).await;
    let error = session.resources().await.unwrap_err();
    assert_eq!(error.to_string(), "the list of resources goes on beyond 256 pages");
}

#[tokio::test]
async fn a_prompt_speaks_for_the_person_and_what_it_embeds_does_not() {
    let (mut session, heard, _serving) = session(Options::default(), offering()).await;
    let prompts = session.prompts().await.unwrap();
    let names: Vec<_> = prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!(names, ["grid__brief", "files__plain", "grid__odd", "grid__ends"]);
    let needed: Vec<_> =
        prompts[0].arguments.iter().map(|a| (a.name.as_str(), a.required)).collect();
    assert_eq!(needed, [("region", true), ("day", false)]);

    let attached = session.prompt("grid__brief", arguments(&[("region", "north")])).await.unwrap();
    assert_eq!(params(&heard, "prompts/get")["arguments"], json!({"region": "north"}));
    let Attached::Prompt { messages, .. } = &attached else { panic!("{attached:?}") };
    let told: Vec<_> = messages.iter().map(|m| (m.role, text_of(m))).collect();
    let expected = [
        (Role::User, "Brief me"),
        (Role::Assistant, "[image: image/png, 2 bytes]"),
        (Role::User, "@grid://load/north(7 MW)"),
        (Role::User, "[2 bytes, audio, not shown to the model]"),
        (Role::User, "@grid://x([link to grid://x])"),
        (Role::User, "[content of a kind that is not known]"),
    ];
    assert_eq!(told, expected.map(|(role, text)| (role, text.to_owned())));
}

#[tokio::test]
async fn prompts_are_not_asked_for_in_vain() {
    let (mut session, heard, _serving) = session(Options::default(), offering()).await;
    for (name, given, code, message) in [
        (
            "grid__brief",
            arguments(&[]),
            "host-prompt-arguments",
            "prompt `grid__brief` needs `region`",
        ),
        (
            "grid__brief",
            arguments(&[("regoin", "north")]),
            "host-prompt-arguments",
            "prompt `grid__brief` needs `region` and has no argument `regoin`",
        ),
        ("grid__gone", arguments(&[]), "host-prompt-unknown", "there is no prompt `grid__gone`"),
        (
            "grid__odd",
            arguments(&[]),
            "host-attachment-malformed",
            "prompt `grid__odd` cannot be read: somebody speaks who is not known",
        ),
        (
            "grid__ends",
            arguments(&[]),
            "host-prompt-ending",
            "prompt `grid__ends` does not end with words of the person's",
        ),
    ] {
        let error = session.prompt(name, given).await.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (code, message));
    }
    assert_eq!(heard.lock().unwrap().iter().filter(|f| method(f) == "prompts/get").count(), 2);
}

#[tokio::test]
async fn resources_are_attached_by_server_and_uri() {
    let (mut session, heard, _serving) = session(Options::default(), offering()).await;
    for (uri, expected) in [
        ("grid://load/north", "7 MW"),
        ("grid://load/picture", "<image/png>"),
        (
            "grid://load/several",
            "[grid://load/a]|A|[grid://load/b]|[4 bytes, application/pdf, not shown to the model]",
        ),
    ] {
        let attached = session.attach("grid", uri).await.unwrap();
        let Attached::Resource { uri: of, parts } = attached else { panic!("{attached:?}") };
        let role = Role::User;
        assert_eq!((of.as_str(), text_of(&Message { role, parts }).as_str()), (uri, expected));
        // Another server may list it, too.
        assert_eq!(params(&heard, "resources/read")["_meta"]["tagout/server"], "grid");
    }
    for (server, uri, code, message) in [
        (
            "grid",
            "file:///notes",
            "host-resource-unknown",
            "server `grid` offers no resource `file:///notes`",
        ),
        (
            "mail",
            "grid://load/north",
            "host-server-unknown",
            "no server `mail` offers resources; those that do: files, grid",
        ),
        (
            "files",
            "file:///notes",
            "host-refused",
            "`file:///notes` was refused: the gateway refused the call (policy-denied): not \
             allowed; rule `no-notes`; audit record 41",
        ),
        (
            "grid",
            "grid://load/large",
            "host-attachment-too-large",
            "resource `grid://load/large` has 614400 bytes, and 524288 can be attached",
        ),
        (
            "grid",
            "grid://load/none",
            "host-attachment-malformed",
            "resource `grid://load/none` cannot be read: there are no contents",
        ),
    ] {
        let error = failure(&mut session, server, uri).await;
        assert_eq!((error.code(), error.to_string().as_str()), (code, message));
    }
    let HostError::Refused { refused, .. } = failure(&mut session, "files", "file:///notes").await
    else {
        panic!("it was read");
    };
    assert_eq!((refused.code.as_str(), refused.decision.record), ("policy-denied", Some(41)));
}

#[tokio::test]
async fn what_is_attached_is_no_word_of_the_persons() {
    let script = Arc::new(Script::new([done("yes"), done("yes")]));
    let options = Options::new(Arc::clone(&script) as _);
    let (mut session, _heard, _serving) = session(options, offering()).await;
    let resource = session.attach("grid", "grid://load/north").await.unwrap();
    let question = Question { words: "Is that much?".into(), attached: vec![resource] };
    session.ask(question, &mut Recorder::default()).await.unwrap();
    let asked = &session.conversation()[0];
    assert_eq!(text_of(asked), "@grid://load/north(7 MW)|Is that much?");
    assert_eq!(asked.joined_text(), "Is that much?");
    // A prompt speaks for the person; the words only name it.
    let prompt = session.prompt("grid__brief", arguments(&[("region", "north")])).await.unwrap();
    let question = Question { words: "/grid__brief north".into(), attached: vec![prompt] };
    session.ask(question, &mut Recorder::default()).await.unwrap();
    let conversation = session.conversation();
    let texts: Vec<_> = conversation.iter().map(text_of).collect();
    assert_eq!(texts[2], "Brief me");
    assert!(!texts.iter().any(|text| text.contains("/grid__brief")), "{texts:?}");
    // It is kept and read back as what it is.
    let kept = serde_json::to_string(conversation).unwrap();
    let read: Vec<Message> = serde_json::from_str(&kept).unwrap();
    assert_eq!(read, conversation);
}

#[tokio::test]
async fn arguments_are_completed_within_bounds() {
    let (mut session, heard, _serving) = session(Options::default(), offering()).await;
    let context = arguments(&[("region", "north")]);
    let values =
        session.complete(Reference::Prompt("grid__brief"), "day", "mo", &context).await.unwrap();
    assert_eq!((values.len(), values[0].as_str()), (100, "value 0"));
    let sent = params(&heard, "completion/complete");
    assert_eq!(sent["ref"], json!({"type": "ref/prompt", "name": "grid__brief"}));
    assert_eq!(sent["argument"], json!({"name": "day", "value": "mo"}));
    assert_eq!(sent["context"], json!({"arguments": {"region": "north"}}));
    let template = Reference::Template("grid://load/{region}");
    session.complete(template, "region", "", &BTreeMap::new()).await.unwrap();
    let sent = params(&heard, "completion/complete");
    assert_eq!(sent["ref"], json!({"type": "ref/resource", "uri": "grid://load/{region}"}));
}

#[tokio::test]
async fn whoever_drops_an_attachment_has_it_cancelled() {
    let hangs: Answers = Box::new(|frame| match method(frame) {
        "resources/read" => vec![notification("notifications/tools/list_changed", json!({}))],
        _ => Vec::new(),
    });
    let (mut session, heard, _serving) = session(Options::default(), hangs).await;
    {
        let reading = session.resource("grid://load/north");
        let come = crate::frames::comes(&heard, "resources/read");
        tokio::select! { _ = reading => panic!("it hangs"), () = come => {} }
    }
    crate::frames::comes(&heard, "notifications/cancelled").await;
}
