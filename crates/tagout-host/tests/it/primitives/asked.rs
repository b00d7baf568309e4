//! What servers, and the gateway, ask of the person.
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Map, Value, json};
use tagout_host::{
    ApprovalAnswer, ApprovalCard, ApprovalScope, Asking, Event, Form, FormAnswer, Nobody, Options,
    Outcome, Ui, Visit, VisitAnswer,
};

use crate::frames::{
    Answers, Heard, answer, asking, failed, method, notification, params, request, result_of, said,
    session,
};

/// Says what it was told to say, and remembers what it was asked.
#[derive(Default)]
pub(super) struct Person {
    pub(super) form: Option<FormAnswer>,
    pub(super) visit: Option<VisitAnswer>,
    pub(super) approval: Option<ApprovalAnswer>,
    /// Never answers; notes when the question is gone.
    pub(super) thinks: Option<Arc<Mutex<bool>>>,
    pub(super) forms: Vec<Form>,
    pub(super) visits: Vec<Visit>,
    pub(super) cards: Vec<ApprovalCard>,
    pub(super) events: Vec<Event>,
}

/// Notes that a question was withdrawn.
struct Gone(Arc<Mutex<bool>>);

impl Drop for Gone {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = true;
    }
}

fn at_once<'a, T: Send + 'a>(answer: T) -> Asking<'a, T> {
    Box::pin(std::future::ready(answer))
}

impl Ui for Person {
    fn event(&mut self, event: &Event) {
        self.events.push(event.clone());
    }

    fn form<'a>(&'a mut self, form: &'a Form) -> Asking<'a, FormAnswer> {
        self.forms.push(form.clone());
        if let Some(thinks) = self.thinks.clone() {
            let gone = Gone(thinks);
            return Box::pin(async move {
                std::future::pending::<()>().await;
                drop(gone);
                FormAnswer::Cancel
            });
        }
        at_once(self.form.clone().unwrap_or(FormAnswer::Cancel))
    }

    fn visit<'a>(&'a mut self, visit: &'a Visit) -> Asking<'a, VisitAnswer> {
        self.visits.push(visit.clone());
        at_once(self.visit.unwrap_or(VisitAnswer::Cancel))
    }

    fn approve<'a>(&'a mut self, card: &'a ApprovalCard) -> Asking<'a, ApprovalAnswer> {
        self.cards.push(card.clone());
        at_once(self.approval.clone().unwrap_or(ApprovalAnswer::Deny { message: None }))
    }
}

pub(super) fn attended() -> Options {
    Options { attended: true, ..Options::default() }
}

async fn asked(answers: Answers, person: &mut Person) -> (Outcome, Heard) {
    let (mut session, heard, _serving) = session(attended(), answers).await;
    let outcome = session.call("grid__work", Map::new(), person).await;
    (outcome, heard)
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn text(outcome: &Outcome) -> &str {
    let Outcome::Returned(returned) = outcome else { panic!("{outcome:?}") };
    returned.content[0]["text"].as_str().unwrap()
}

/// A form with a field of every kind.
pub(super) fn every_kind() -> Value {
    json!({"mode": "form", "message": "[grid] Tell me", "requestedSchema": {
        "type": "object", "required": ["zone", "hours"],
        "properties": {
            "zone": {"type": "string", "title": "Zone", "minLength": 2, "maxLength": 5},
            "hours": {"type": "integer", "minimum": 1, "maximum": 24, "default": 3},
            "share": {"type": "number", "maximum": 1.5},
            "mail": {"type": "string", "format": "email", "description": "Where to"},
            "sure": {"type": "boolean", "default": false},
            "kind": {"type": "string", "enum": ["a", "b"], "enumNames": ["Ah", "Be"]},
            "level": {"type": "string", "oneOf": [{"const": "l", "title": "Low"}, {"const": "h", "title": "High"}]},
            "days": {"type": "array", "maxItems": 2, "default": ["mo"],
                     "items": {"type": "string", "enum": ["mo", "tu", "we"]}},
        },
    }})
}

#[tokio::test]
async fn a_form_is_put_field_by_field_and_answered() {
    let content = object(json!({"zone": "north", "hours": 4, "days": ["mo", "we"]}));
    let form = Some(FormAnswer::Accept(content.clone()));
    let mut person = Person { form, ..Person::default() };
    let (outcome, heard) = asked(asking("elicitation/create", every_kind()), &mut person).await;
    assert_eq!(text(&outcome), "done");
    assert_eq!(answer(&heard), json!({"action": "accept", "content": content}));
    let form = &person.forms[0];
    assert_eq!(form.message, "[grid] Tell me");
    let fields = serde_json::to_value(&form.fields).unwrap();
    assert_eq!(
        fields,
        json!([
            {"name": "zone", "title": "Zone", "description": null, "required": true, "kind":
                {"kind": "text", "format": null, "least": 2, "most": 5, "default": null}},
            {"name": "hours", "title": null, "description": null, "required": true, "kind":
                {"kind": "number", "whole": true, "least": 1.0, "most": 24.0, "default": 3}},
            {"name": "share", "title": null, "description": null, "required": false, "kind":
                {"kind": "number", "whole": false, "least": null, "most": 1.5, "default": null}},
            {"name": "mail", "title": null, "description": "Where to", "required": false, "kind":
                {"kind": "text", "format": "email", "least": null, "most": null, "default": null}},
            {"name": "sure", "title": null, "description": null, "required": false, "kind":
                {"kind": "truth", "default": false}},
            {"name": "kind", "title": null, "description": null, "required": false, "kind":
                {"kind": "choice", "default": null, "options":
                    [{"value": "a", "title": "Ah"}, {"value": "b", "title": "Be"}]}},
            {"name": "level", "title": null, "description": null, "required": false, "kind":
                {"kind": "choice", "default": null, "options":
                    [{"value": "l", "title": "Low"}, {"value": "h", "title": "High"}]}},
            {"name": "days", "title": null, "description": null, "required": false, "kind":
                {"kind": "choices", "least": null, "most": 2, "default": ["mo"], "options":
                    [{"value": "mo", "title": "mo"}, {"value": "tu", "title": "tu"},
                     {"value": "we", "title": "we"}]}},
        ])
    );
}

#[tokio::test]
async fn what_is_typed_is_read_by_its_field() {
    let mut person = Person::default();
    asked(asking("elicitation/create", every_kind()), &mut person).await;
    let fields = &person.forms[0].fields;
    let field = |name: &str| fields.iter().find(|field| field.name == name).unwrap();
    for (name, typed, expected) in [
        ("zone", " north ", Ok(json!("north"))),
        ("zone", "", Err("zone: it is needed")),
        ("zone", "n", Err("zone: it needs 2 characters or more")),
        ("zone", "northern", Err("zone: it takes 5 characters at most")),
        ("hours", "24", Ok(json!(24))),
        ("hours", "25", Err("hours: it is more than 24")),
        ("hours", "0", Err("hours: it is less than 1")),
        ("hours", "2.5", Err("hours: `2.5` is not a whole number")),
        ("share", "0.25", Ok(json!(0.25))),
        ("share", "NaN", Err("share: `NaN` is not a number")),
        ("share", "", Ok(Value::Null)),
        ("mail", "a@b.example", Ok(json!("a@b.example"))),
        ("mail", "nobody", Err("mail: `nobody` is not an e-mail address")),
        ("sure", "Yes", Ok(json!(true))),
        ("sure", "perhaps", Err("sure: it is answered by yes or no")),
        ("kind", "be", Ok(json!("b"))),
        ("kind", "a", Ok(json!("a"))),
        ("kind", "c", Err("kind: there is no choice `c`")),
        ("level", "High", Ok(json!("h"))),
        ("days", "mo, we", Ok(json!(["mo", "we"]))),
        ("days", "mo,tu,we", Err("days: it takes 2 choices at most")),
        ("days", "su", Err("days: there is no choice `su`")),
    ] {
        let read = field(name).read(typed).map(Option::unwrap_or_default);
        let read = read.map_err(|problem| problem.to_string());
        assert_eq!(read, expected.map_err(str::to_owned), "{name} {typed}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_not_sent() {
    for (content, why) in [
        (json!({"zone": "north"}), "hours: it is needed"),
        (json!({"zone": "n", "hours": 1}), "zone: it needs 2 characters or more"),
        (json!({"zone": "north", "hours": "1"}), "hours: it is no number"),
        (json!({"zone": "north", "hours": 1.5}), "hours: it is not a whole number"),
        (json!({"zone": "north", "hours": 1, "more": 1}), "more: the form has no such field"),
        (
            json!({"zone": "north", "hours": 1, "days": ["su"]}),
            "days: \"su\" is none of the choices",
        ),
        (json!({"zone": "north", "hours": 1, "sure": "yes"}), "sure: it is neither true nor false"),
        (json!({"zone": {}, "hours": 1}), "zone: it is no text"),
    ] {
        let form = Some(FormAnswer::Accept(object(content)));
        let mut person = Person { form, ..Person::default() };
        let (_, heard) = asked(asking("elicitation/create", every_kind()), &mut person).await;
        assert_eq!(answer(&heard), json!({"action": "cancel"}));
        let told = person.events.iter().find_map(|event| match event {
            Event::Logged { lines, .. } => Some(lines.join("|")),
            _ => None,
        });
        assert_eq!(told.unwrap(), format!("the form was not sent: {why}"));
    }
}

#[tokio::test]
async fn declining_is_not_putting_away() {
    for (form, action) in [(FormAnswer::Decline, "decline"), (FormAnswer::Cancel, "cancel")] {
        let mut person = Person { form: Some(form), ..Person::default() };
        let (_, heard) = asked(asking("elicitation/create", every_kind()), &mut person).await;
        assert_eq!(answer(&heard), json!({"action": action}));
    }
}

#[tokio::test]
async fn forms_that_cannot_be_put_are_refused() {
    let with = |properties: Value| json!({"message": "m", "requestedSchema": {"type": "object", "properties": properties}});
    let many: Map<_, _> = (0..65).map(|n| (format!("f{n}"), json!({"type": "boolean"}))).collect();
    for (params, why) in [
        (
            with(json!({"a": {"type": "object", "properties": {}}})),
            "the form's field `a` is no text, number, truth value or choice",
        ),
        (
            with(json!({"a": {"type": "string", "format": "phone"}})),
            "the form's field `a` wants a format `phone` that is not known",
        ),
        (
            with(json!({"a": {"type": "array", "items": {"type": "string"}}})),
            "the form's field `a` is a list of anything",
        ),
        (
            with(json!({"a": {"type": "string", "enum": []}})),
            "the form's field `a` has nothing to choose from",
        ),
        (with(Value::Object(many)), "the form has more than 64 fields"),
        (json!({"message": "m", "requestedSchema": {"type": "object"}}), "the form has no fields"),
        (
            json!({"message": "m", "requestedSchema": {"type": "object", "properties": {}, "required": ["x"]}}),
            "the form needs `x` and has no such field",
        ),
        (json!({"message": "m", "mode": "dance"}), "its mode is not known"),
    ] {
        let mut person = Person::default();
        let (outcome, heard) = asked(asking("elicitation/create", params), &mut person).await;
        assert_eq!(text(&outcome), "done");
        assert_eq!(answer(&heard)["message"], format!("the user is not asked: {why}"));
        assert!(person.forms.is_empty());
    }
}

#[tokio::test]
async fn urls_are_agreed_to_and_never_opened() {
    let params = |url: &str| json!({"mode": "url", "message": "[pay] Sign in", "url": url, "elicitationId": "e"});
    for (visit, action) in [
        (VisitAnswer::Accept, "accept"),
        (VisitAnswer::Decline, "decline"),
        (VisitAnswer::Cancel, "cancel"),
    ] {
        let mut person = Person { visit: Some(visit), ..Person::default() };
        let url = params("https://p\u{430}y.example/in");
        let (_, heard) = asked(asking("elicitation/create", url), &mut person).await;
        assert_eq!(answer(&heard), json!({"action": action}));
        let visit = &person.visits[0];
        assert_eq!(visit.host, "xn--py-7kc.example");
        assert_eq!(visit.url, "https://xn--py-7kc.example/in");
        assert_eq!(visit.message, "[pay] Sign in");
    }
    let mut person = Person { visit: Some(VisitAnswer::Accept), ..Person::default() };
    let url = params("http://pay.example/in");
    let (_, heard) = asked(asking("elicitation/create", url), &mut person).await;
    assert_eq!(answer(&heard)["code"], -32602);
    assert!(person.visits.is_empty());
}

#[tokio::test]
async fn urls_that_an_error_names_are_put_too() {
    let fails: Answers = Box::new(|frame| {
        // The gateway names the server in them.
        let url = |url: &str| json!({"mode": "url", "message": "[grid] Sign in", "elicitationId": "1", "url": url});
        let mut long = url("https://pay.example/long");
        long["message"] = "x".repeat(5_000).into();
        let secret = url("https://pay.example/in?t=secret");
        let named = json!([secret, url("http://pay.example/"), {"mode": "form"}, long]);
        let error =
            json!({"code": -32042, "message": "sign in first", "data": {"elicitations": named}});
        if method(frame) == "tools/call" { vec![failed(frame, error)] } else { Vec::new() }
    });
    let mut person = Person { visit: Some(VisitAnswer::Accept), ..Person::default() };
    let (outcome, _) = asked(fails, &mut person).await;
    let visits: Vec<_> =
        person.visits.iter().map(|v| (v.message.as_str(), v.host.as_str())).collect();
    assert_eq!(visits, [("[grid] Sign in", "pay.example")]);
    let Outcome::Failed(failed) = outcome else { panic!("{outcome:?}") };
    // What such a URL carries is none of the model's business.
    assert_eq!(failed.message, "sign in first (code -32042)");
}

#[tokio::test]
async fn the_gateways_card_is_an_approval_and_no_form() {
    let card = json!({"tool": "work", "server": "grid", "digest": "d", "scopes": ["conversation", "week"]});
    let params = json!({
        "message": "May it?", "_meta": {"tagout/card": card},
        "requestedSchema": {"type": "object", "required": ["decision"], "properties":
            {"decision": {"type": "string", "enum": ["deny", "approve", "approve-conversation"]}}},
    });
    let conversation = ApprovalAnswer::For(ApprovalScope::Conversation);
    for (approval, decision) in [
        (ApprovalAnswer::Once, "approve"),
        (conversation, "approve-conversation"),
        // Not on the card.
        (ApprovalAnswer::For(ApprovalScope::Always), "deny"),
        (ApprovalAnswer::Deny { message: Some("not now".into()) }, "deny"),
    ] {
        let mut person = Person { approval: Some(approval), ..Person::default() };
        let (_, heard) = asked(asking("elicitation/create", params.clone()), &mut person).await;
        assert_eq!(answer(&heard), json!({"action": "accept", "content": {"decision": decision}}));
        let shown = &person.cards[0];
        assert_eq!(
            (shown.text.as_str(), shown.tool.as_str(), shown.digest.as_str()),
            ("May it?", "work", "d")
        );
        assert_eq!(shown.scopes, [ApprovalScope::Conversation]);
        assert!(person.forms.is_empty());
    }
}

#[tokio::test]
async fn where_nobody_is_nobody_is_asked() {
    // By the gateway, which was told so and asks all the same.
    let answers = asking("elicitation/create", every_kind());
    let (mut alone, heard, _serving) = session(Options::default(), answers).await;
    alone.call("grid__work", Map::new(), &mut Nobody).await;
    assert_eq!(params(&heard, "initialize")["capabilities"], json!({}));
    assert_eq!(answer(&heard)["code"], -32601);
    // Between calls.
    let mut first = true;
    let early: Answers = Box::new(move |frame| {
        let ask = method(frame) == "tools/list" && std::mem::take(&mut first);
        let list = || result_of(frame, json!({"tools": []}));
        if ask {
            vec![request("q", "elicitation/create", every_kind()), list()]
        } else {
            Vec::new()
        }
    });
    let (_session, heard, _serving) = session(attended(), early).await;
    for _ in 0..2_000 {
        if heard.lock().unwrap().iter().any(|frame| frame["id"] == "q") {
            assert_eq!(answer(&heard), json!({"action": "cancel"}));
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it was not answered");
}

#[tokio::test]
async fn a_question_that_is_taken_back_is_withdrawn() {
    let mut call = Value::Null;
    let takes_back: Answers = Box::new(move |frame| match method(frame) {
        "tools/call" => {
            call = frame.clone();
            vec![
                request("q", "elicitation/create", every_kind()),
                notification("notifications/cancelled", json!({"requestId": "q"})),
                // Shows that it is over; the call itself is answered after the second question.
                request(
                    "r",
                    "elicitation/create",
                    json!({"mode": "url", "message": "m", "url": "https://a.example"}),
                ),
            ]
        }
        "" if frame["id"] == "r" => vec![result_of(&call, said("done"))],
        _ => Vec::new(),
    });
    let gone = Arc::new(Mutex::new(false));
    let mut person = Person { thinks: Some(Arc::clone(&gone)), ..Person::default() };
    let (outcome, heard) = asked(takes_back, &mut person).await;
    assert_eq!(text(&outcome), "done");
    // Either it was never put, or it was withdrawn.
    assert_eq!(person.forms.len(), usize::from(*gone.lock().unwrap()));
    assert_eq!(person.visits.len(), 1);
    assert!(!heard.lock().unwrap().iter().any(|frame| frame["id"] == "q"));
}

#[tokio::test]
async fn an_answer_withdraws_what_is_still_asked() {
    let answers_first: Answers = Box::new(|frame| match method(frame) {
        "tools/call" => {
            let ask = request("q", "elicitation/create", every_kind());
            vec![ask, result_of(frame, said("without"))]
        }
        _ => Vec::new(),
    });
    let gone = Arc::new(Mutex::new(false));
    let mut person = Person { thinks: Some(Arc::clone(&gone)), ..Person::default() };
    let (outcome, _) = asked(answers_first, &mut person).await;
    assert_eq!(text(&outcome), "without");
    assert_eq!(person.forms.len(), usize::from(*gone.lock().unwrap()));
}

#[tokio::test]
async fn questions_wait_for_one_another_and_a_flood_gets_no() {
    const FLOOD: usize = 60;
    let (mut call, mut left) = (Value::Null, FLOOD);
    let flood: Answers = Box::new(move |frame| match method(frame) {
        "tools/call" => {
            call = frame.clone();
            (0..FLOOD)
                .map(|n| request(&format!("q{n}"), "elicitation/create", every_kind()))
                .collect()
        }
        "" => {
            left -= 1;
            if left == 0 { vec![result_of(&call, said("done"))] } else { Vec::new() }
        }
        _ => Vec::new(),
    });
    let mut person = Person { form: Some(FormAnswer::Decline), ..Person::default() };
    let (outcome, heard) = asked(flood, &mut person).await;
    assert_eq!(text(&outcome), "done");
    let heard = heard.lock().unwrap();
    let said = |action: &str| heard.iter().filter(|f| f["result"]["action"] == action).count();
    assert_eq!(said("decline"), person.forms.len());
    assert_eq!(said("decline") + said("cancel"), FLOOD);
}
