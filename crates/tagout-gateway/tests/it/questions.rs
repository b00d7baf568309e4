//! Approvals that outlive their question: by enrolled people, through the binary.
use std::{
    collections::BTreeMap,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tagout_gateway::{
    Clock, Gateway, Parts,
    approval::{ApproverKey, ApproverSigner, NewAnswer, NewApprover, Nobody},
    config::Config,
    identity::os_user,
    lockfile::Lockfile,
};
use tagout_policy::{Policy, Profile, Surface};
use tagout_proto::Secret;
use tagout_store::{Answer, KeyGroups, Scope};
use tagout_testkit::{
    Pty, Script,
    pty::{Seat, Streams},
};

use crate::{
    bench::{Bench, PATIENCE, Plan, Running},
    client::{Client, refusal},
};

const PASSPHRASE: &str = "correct horse battery";

/// One other person than the caller has to approve what writes, outside the client.
pub(crate) const ONE_OTHER: &str = r#"@id("one-other") forbid (principal, action == Action::"s__write", resource) unless { context.approval.people >= 1 && context.approval.outside };"#;
/// Two others.
const TWO_OTHERS: &str = r#"@id("two-others") forbid (principal, action == Action::"s__write", resource) unless { context.approval.people >= 2 };"#;

pub(crate) fn plan(rules: &[&str], more: &[&str]) -> Plan {
    let text = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    let tool = |name: &str| json!({"name": name, "inputSchema": text});
    let script: Script = serde_json::from_value(json!({
        "tools": [tool("write"), tool("read")],
        "calls": {"write": [["echo"]], "read": [["echo"]]},
    }))
    .unwrap();
    let reviewed = |tool: &str, effect: &str| (format!("s/{tool}"), vec![effect.to_owned()]);
    let limits = ["approval_s = 2"].iter().chain(more).map(|line| (*line).to_owned()).collect();
    Plan {
        servers: [("s".to_owned(), script)].into(),
        reviewed: vec![reviewed("write", "write"), reviewed("read", "read")],
        rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        limits,
        ..Plan::default()
    }
}

/// People beside a bench, who answer by the same library as the command line does.
pub(crate) struct Desk {
    pub(crate) gateway: Arc<Gateway>,
    people: BTreeMap<String, ApproverSigner>,
}

impl Desk {
    fn at(bench: &Bench) -> Self {
        let config = Config::built_in();
        #[expect(clippy::disallowed_methods, reason = "the binary goes by the same clock")]
        let clock = Clock::new(jiff::Timestamp::now);
        let parts = Parts {
            principal: os_user(&config),
            policy: Policy::load(Profile::None, &[], &Surface::default()).unwrap(),
            config,
            lockfile: Lockfile::default(),
            shipped: Lockfile::default(),
            own_program: "/bin/true".into(),
            own_files: std::collections::BTreeSet::new(),
            approver: Arc::new(Nobody),
            clock,
        };
        let key = bench.path("data/tagout/keys/audit-head.key");
        let gateway = Gateway::open(parts, &bench.path("state/tagout"), &key).unwrap();
        Self { gateway, people: BTreeMap::new() }
    }

    /// Enrols `names`, each as its own user but `me`, who is the caller's.
    pub(crate) fn with(bench: &Bench, names: &[&str]) -> Self {
        let mut desk = Self::at(bench);
        for name in names {
            let passphrase = Secret::new(PASSPHRASE.to_owned());
            let (key, signer) = ApproverKey::make(&name.parse().unwrap(), &passphrase).unwrap();
            let user = if *name == "me" { desk.gateway.user() } else { name };
            let new = NewApprover {
                name: name.parse().unwrap(),
                user: user.to_owned(),
                groups: KeyGroups::default(),
                webhook: *name == "hook",
                public: key.public().to_owned(),
            };
            let by = desk.people.values().next().unwrap_or(&signer);
            desk.gateway.enrol(&new, by).unwrap();
            key.save(&bench.path(&format!("data/tagout/keys/approver-{name}.key"))).unwrap();
            desk.people.insert((*name).to_owned(), signer);
        }
        desk
    }

    /// The only open question, once it is there.
    pub(crate) fn question(&self) -> String {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let [one] = self.gateway.asked().unwrap().as_slice() {
                return one.question.id.to_string();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("there is no question: {:?}", self.gateway.asked())
    }

    pub(crate) fn says(&self, name: &str, id: &str, answer: Answer, scope: Scope) {
        let asked = self.gateway.asked_as(id).unwrap();
        let new = NewAnswer { answer, scope, message: "a \u{202e}word".to_owned() };
        self.gateway.answer_signed(&asked, new, &self.people[name]).unwrap();
    }

    fn allows(&self, name: &str, id: &str) {
        self.says(name, id, Answer::Allow, Scope::Once);
    }
}

/// A client that goes on with the conversation `named`.
pub(crate) fn client(bench: &Bench, named: &str) -> (Client, Running) {
    let mut gateway = bench.run();
    let (input, output) = (gateway.0.stdin.take().unwrap(), gateway.0.stdout.take().unwrap());
    let mut client = Client::new(input, output);
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}},
        "clientInfo": {"name": "test", "version": "1"}, "_meta": {"tagout/conversation": named},
    });
    let answer = client.ask("initialize", &hello);
    assert!(answer.get("result").is_some(), "{answer}\n{}", bench.complaints());
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    (client, gateway)
}

pub(crate) fn write(client: &mut Client, id: u32, text: &str) -> Value {
    client.call(id, "s__write", &json!({"text": text}));
    client.answer(id)
}

#[track_caller]
pub(crate) fn made(answer: &Value) -> bool {
    if answer.get("result").is_some() {
        assert_eq!(answer["result"]["_meta"]["tagout/verdict"], "ask", "{answer}");
        return true;
    }
    assert_eq!(refusal(answer), "approval-expired", "{answer}");
    false
}

/// The question that an expired call has left open.
pub(crate) fn left_open(answer: &Value) -> String {
    assert!(!made(answer));
    answer["error"]["data"]["approval"].as_str().unwrap().to_owned()
}

pub(crate) fn calls(bench: &Bench) -> usize {
    bench.saw("s").iter().filter(|frame| frame.contains(r#""name":"write""#)).count()
}

#[test]
fn an_approval_outlives_its_gateway_and_goes_to_one_of_two() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &[]));
    let desk = Desk::with(&bench, &["bob"]);
    let (mut first, running) = client(&bench, "night shift");
    let question = left_open(&write(&mut first, 1, "hello"));
    assert_eq!(desk.question(), question);
    drop((first, running));
    desk.allows("bob", &question);

    let (mut one, _one) = client(&bench, "night shift");
    let (mut other, _other) = client(&bench, "night shift");
    one.call(1, "s__write", &json!({"text": "hello"}));
    other.call(1, "s__write", &json!({"text": "hello"}));
    let answers = [one.answer(1), other.answer(1)];
    assert_eq!(answers.iter().filter(|answer| made(answer)).count(), 1, "{answers:?}");
    assert_eq!(calls(&bench), 1);
    // Used is used.
    assert_ne!(left_open(&write(&mut one, 2, "hello")), question);
    assert_eq!(calls(&bench), 1);
    drop((one, other));
    let records = bench.records().unwrap();
    let approval = records.iter().map(|r| &r["decision"]["approval"]).find(|a| a.is_object());
    let approval = approval.unwrap();
    assert_eq!(approval["how"], "command", "{approval}");
    assert_eq!((&approval["by"], &approval["question"]), (&json!("bob (bob)"), &json!(question)));
    let said = |event: &str| records.iter().any(|record| record["event"]["event"] == event);
    assert!(said("approver-enrolled") && said("approval-answered"), "{records:?}");
}

#[test]
fn an_approval_is_for_just_that_call_under_just_those_rules() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &[]));
    let desk = Desk::with(&bench, &["bob"]);
    let (mut here, running) = client(&bench, "here");
    let question = left_open(&write(&mut here, 1, "hello"));
    desk.allows("bob", &question);
    assert!(!made(&write(&mut here, 2, "hello ")), "other arguments");
    let (mut elsewhere, _running) = client(&bench, "elsewhere");
    assert!(!made(&write(&mut elsewhere, 1, "hello")), "another conversation");
    drop((here, running));

    let rules = bench.path("config/policies/own.cedar");
    let before = String::from_utf8(fs::read(&rules).unwrap()).unwrap();
    fs::write(
        &rules,
        format!(
            "{before}\n@id(\"more\") permit (principal, action == Action::\"complete\", resource);"
        ),
    )
    .unwrap();
    let (mut changed, running) = client(&bench, "here");
    assert!(!made(&write(&mut changed, 1, "hello")), "another policy");
    drop((changed, running));
    fs::write(&rules, before).unwrap();
    let (mut again, _running) = client(&bench, "here");
    assert!(made(&write(&mut again, 1, "hello")), "it is still there for what it was given for");
    assert_eq!(calls(&bench), 1);
}

/// People said yes to what they were shown, and the client's words were among it. To a no, other
/// words make no difference.
#[test]
fn a_yes_is_for_what_the_client_said_of_the_call_and_a_no_for_whatever_it_says() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &[]));
    let desk = Desk::with(&bench, &["bob"]);
    let (mut client, _running) = client(&bench, "here");
    let mut told = |id: u32, text: &str, key: &str, said: Value| {
        let params = json!({"name": "s__write", "arguments": {"text": text}, "_meta": {key: said}});
        client.request(id, "tools/call", &params);
        client.answer(id)
    };
    let words = "tagout/user-words";
    let question = left_open(&told(1, "a", words, json!("tell them")));
    desk.allows("bob", &question);
    assert_ne!(left_open(&told(2, "a", words, json!("wipe it"))), question, "other words");
    assert!(!made(&told(3, "a", "tagout/model", json!("other:model"))), "another model");
    let odd = json!([{"path": "text", "code": "odd", "detail": "d", "holds": false}]);
    assert!(!made(&told(4, "a", "tagout/concerns", odd)), "what looks odd");
    assert!(made(&told(5, "a", words, json!("tell them"))), "what bob was shown");
    let question = left_open(&told(6, "b", words, json!("tell them")));
    desk.says("bob", &question, Answer::Deny, Scope::Once);
    assert_eq!(refusal(&told(7, "b", words, json!("please"))), "approval-denied");
    assert_eq!(calls(&bench), 1);
}

/// What a client says in each request where it never shakes hands.
pub(crate) fn of_itself() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    })
}

#[test]
fn a_client_without_a_handshake_goes_on_with_its_conversation() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &[]));
    let desk = Desk::with(&bench, &["bob"]);
    let called = |meta: Value| {
        let mut gateway = bench.run();
        let (input, output) = (gateway.0.stdin.take().unwrap(), gateway.0.stdout.take().unwrap());
        let mut client = Client::new(input, output);
        let params = json!({"name": "s__write", "arguments": {"text": "a"}, "_meta": meta});
        client.ask("tools/call", &params)
    };
    let question = left_open(&called(of_itself()));
    desk.allows("bob", &question);
    let mut other = of_itself();
    other["io.modelcontextprotocol/clientInfo"]["name"] = "other".into();
    assert!(!made(&called(other)), "another client");
    let mut named = of_itself();
    named["tagout/conversation"] = "another".into();
    assert!(!made(&called(named)), "a conversation of its own");
    let mut unnamed = of_itself();
    unnamed["tagout/conversation"] = 7.into();
    assert_eq!(refusal(&called(unnamed)), "meta-missing");
    assert!(made(&called(of_itself())), "the client is back");
    assert_eq!(calls(&bench), 1);
}

#[test]
fn two_people_are_two_and_neither_is_the_caller() {
    let bench = Bench::new(&plan(&[TWO_OTHERS], &["[approval]", "keep_s = 600"]));
    let desk = Desk::with(&bench, &["me", "bob", "cid"]);
    let (mut client, _running) = client(&bench, "c");
    client.call(1, "s__write", &json!({"text": "a"}));
    let question = desk.question();
    desk.allows("me", &question);
    desk.allows("bob", &question);
    desk.allows("bob", &question);
    assert_eq!(left_open(&client.answer(1)), question);
    // Nobody waits for it any more; a third word, and the same call goes through.
    desk.allows("cid", &question);
    assert!(made(&write(&mut client, 2, "a")));
    // One no is a no, whoever says yes.
    client.call(3, "s__write", &json!({"text": "b"}));
    let question = desk.question();
    desk.allows("bob", &question);
    desk.says("cid", &question, Answer::Deny, Scope::Once);
    let answer = client.answer(3);
    assert_eq!(refusal(&answer), "approval-denied");
    assert_eq!(answer["error"]["data"]["said"], "a <U+202E>word");
    assert_eq!(calls(&bench), 1);
}

#[test]
fn who_cannot_be_had_is_not_waited_for() {
    let bench = Bench::new(&plan(&[TWO_OTHERS], &[]));
    let desk = Desk::with(&bench, &["me", "bob"]);
    let (mut client, _running) = client(&bench, "c");
    assert_eq!(refusal(&write(&mut client, 1, "a")), "approval-unavailable");
    desk.gateway.revoke_approver(&"bob".parse().unwrap()).unwrap();
    assert_eq!(refusal(&write(&mut client, 2, "a")), "approval-unavailable");
}

/// A client that says yes to whatever it is asked is not asked.
#[test]
fn a_client_cannot_answer_where_the_rule_wants_somebody_outside() {
    let outside = r#"@id("outside") forbid (principal, action == Action::"s__write", resource) unless { context.approval.own && context.approval.outside };"#;
    let bench = Bench::new(&plan(&[outside], &[]));
    let (mut client, _running) = client(&bench, "c");
    assert_eq!(refusal(&write(&mut client, 1, "a")), "approval-unavailable");
    let desk = Desk::with(&bench, &["me"]);
    client.call(2, "s__write", &json!({"text": "a"}));
    let question = desk.question();
    let accept = json!({"action": "accept", "content": {"decision": "approve"}});
    for id in 1..4 {
        client.send(&json!({"jsonrpc": "2.0", "id": id, "result": accept}));
    }
    assert_eq!(left_open(&client.answer(2)), question);
    desk.allows("me", &question);
    assert!(made(&write(&mut client, 3, "a")));
    assert!(client.close().iter().all(|frame| frame["method"] != "elicitation/create"));
}

/// What somebody gave for a conversation ends with their being an approver.
#[test]
fn a_grant_ends_with_whoever_gave_it() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &["[approval]", "keep_s = 600"]));
    let desk = Desk::with(&bench, &["bob", "cid"]);
    let (mut client, _running) = client(&bench, "c");
    let question = left_open(&write(&mut client, 1, "a"));
    desk.says("cid", &question, Answer::Allow, Scope::Conversation);
    assert!(made(&write(&mut client, 2, "a")) && made(&write(&mut client, 3, "a")));
    desk.gateway.revoke_approver(&"cid".parse().unwrap()).unwrap();
    assert!(!made(&write(&mut client, 4, "a")));
    assert_eq!(calls(&bench), 2);
}

/// A no ends the question at once; the next such call hears of it, and the one after asks anew.
#[test]
fn a_no_stands_whatever_becomes_of_it_in_the_state() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &["[approval]", "keep_s = 600"]));
    let desk = Desk::with(&bench, &["bob", "cid"]);
    let (mut client, _running) = client(&bench, "c");
    let question = left_open(&write(&mut client, 1, "a"));
    desk.allows("bob", &question);
    desk.says("cid", &question, Answer::Deny, Scope::Once);
    assert_eq!(refusal(&write(&mut client, 2, "a")), "approval-denied");
    let state = rusqlite::Connection::open(bench.path("state/tagout/state.sqlite")).unwrap();
    for forged in [
        "DELETE FROM vote WHERE answer = 'deny'",
        "UPDATE question SET settled = NULL, settled_at = NULL, told = 0",
    ] {
        state.execute(forged, []).unwrap();
    }
    assert_ne!(left_open(&write(&mut client, 3, "a")), question);
    assert_eq!(calls(&bench), 0);
}

/// Nobody waits for the caller's own word where the caller has no key to give it with.
#[test]
fn ones_own_word_outside_takes_a_key_of_ones_own() {
    let outside = r#"@id("outside") forbid (principal, action == Action::"s__write", resource) unless { context.approval.own && context.approval.outside };"#;
    let bench = Bench::new(&plan(&[outside], &[]));
    let _desk = Desk::with(&bench, &["bob"]);
    let (mut client, _running) = client(&bench, "c");
    assert_eq!(refusal(&write(&mut client, 1, "a")), "approval-unavailable");
}

fn at_a_terminal(bench: &Bench, args: &[&str]) -> Pty {
    let mut seat = Seat::new(Bench::program());
    seat.args = bench.args(args);
    seat.env.extend(bench.env().into_iter().map(|(name, path)| (name.into(), path.into())));
    seat.streams = Streams::Terminal;
    Pty::spawn(&seat).unwrap()
}

/// It has no terminal; or it makes one for itself, and has no passphrase; or it writes the state.
#[test]
fn a_model_with_a_shell_approves_nothing() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &["[approval]", "keep_s = 600"]));
    let desk = Desk::with(&bench, &["bob"]);
    let (mut client, _running) = client(&bench, "c");
    let question = left_open(&write(&mut client, 1, "a"));
    let without = bench.tagout(&["approve", "allow", &question]);
    assert_eq!(without.status.code(), Some(4), "{without:?}");
    assert!(String::from_utf8_lossy(&without.stderr).contains("[approver-terminal]"));

    let mut guess = at_a_terminal(&bench, &["approve", "allow", &question]);
    let card = guess.expect("Passphrase of bob: ", PATIENCE).unwrap();
    assert!(card.contains("\"text\": \"a\"") && card.contains("one person other than"), "{card}");
    guess.send("hunter2 hunter2\n").unwrap();
    assert_eq!(guess.wait(PATIENCE).unwrap().code(), Some(3));
    assert!(!guess.screen().contains("hunter2"), "it does not show: {}", guess.screen());

    let mut enrol = at_a_terminal(&bench, &["approver", "add", "eve", "--user", "eve"]);
    for prompt in ["New passphrase for eve: ", "The same again: ", "Passphrase of bob"] {
        enrol.expect(prompt, PATIENCE).unwrap();
        enrol.send("eves own passphrase\n").unwrap();
    }
    assert_eq!(enrol.wait(PATIENCE).unwrap().code(), Some(3), "{}", enrol.screen());
    assert!(!bench.path("data/tagout/keys/approver-eve.key").exists());

    let state = rusqlite::Connection::open(bench.path("state/tagout/state.sqlite")).unwrap();
    let forged =
        "INSERT INTO vote VALUES (?1, 'bob', 'bob', 'allow', 'once', '', 'command', '00', ?2)";
    state.execute(forged, [&question, &jiff_now()]).unwrap();
    assert!(!made(&write(&mut client, 2, "a")));
    let pretty = "UPDATE question SET card = replace(card, '\\\"a\\\"', '\\\"b\\\"') WHERE id = ?1";
    assert_eq!(state.execute(pretty, [&question]).unwrap(), 1);
    let shown = bench.tagout(&["approve", "show", &question]);
    assert!(String::from_utf8_lossy(&shown.stderr).contains("[approval-forged]"), "{shown:?}");
    assert_eq!(calls(&bench), 0);
    drop(desk);
}

fn jiff_now() -> String {
    #[expect(clippy::disallowed_methods, reason = "the binary goes by the same clock")]
    let now = jiff::Timestamp::now();
    format!("{now:.9}")
}

/// The whole way of a person: enrolled, asked, shown, answering, at a terminal.
#[test]
fn a_person_answers_at_a_terminal() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &["[approval]", "keep_s = 600"]));
    let mut enrol = at_a_terminal(&bench, &["approver", "add", "bob", "--user", "bob"]);
    for prompt in ["New passphrase for bob: ", "The same again: "] {
        enrol.expect(prompt, PATIENCE).unwrap();
        enrol.send("Bobs eigenes Paßwort\n").unwrap();
    }
    assert!(enrol.wait(PATIENCE).unwrap().success(), "{}", enrol.screen());
    let (mut client, _running) = client(&bench, "c");
    let question = left_open(&write(&mut client, 1, "a"));
    let listed = bench.tagout(&["approve", "ls"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for part in [&question, "write on s", "one person other than", "none"] {
        assert!(listed.contains(part), "{part} is not in\n{listed}");
    }
    let args = ["approve", "allow", &question, "--scope", "conversation", "--message", "fine"];
    let mut answer = at_a_terminal(&bench, &args);
    answer.expect("Passphrase of bob: ", PATIENCE).unwrap();
    // A slip is mended as on any terminal.
    answer.send("Bobs eigenes Paßwortß\x7f\n").unwrap();
    assert!(answer.wait(PATIENCE).unwrap().success(), "{}", answer.screen());
    let text = ["a", "a", "b"];
    let came: Vec<_> =
        text.iter().zip(2..).map(|(text, id)| made(&write(&mut client, id, text))).collect();
    assert_eq!(came, [true, true, false], "the same call again, and no other");
    let granted = bench.tagout(&["approve", "ls", "--grants"]);
    assert!(String::from_utf8_lossy(&granted.stdout).contains(&question), "{granted:?}");
    assert!(bench.tagout(&["approve", "revoke", &question]).status.success());
    assert!(!made(&write(&mut client, 9, "a")), "it was taken back");
    assert_eq!(calls(&bench), 2);
    let shown = bench.tagout(&["approve", "ls", "--json"]);
    let last: Value =
        serde_json::from_slice(shown.stdout.split(|b| *b == b'\n').nth(1).unwrap()).unwrap();
    let id = last["id"].as_str().unwrap();
    let card = bench.tagout(&["approve", "show", id]);
    let card = String::from_utf8_lossy(&card.stdout).into_owned();
    assert!(card.contains("nothing has changed"), "compared with the last approved call:\n{card}");
}
