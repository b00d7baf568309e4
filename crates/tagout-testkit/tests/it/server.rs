//! The scripted server, played against with transcripts.
use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tagout_testkit::{Script, Transcript, transcript::Mismatch};

const PATIENCE: Duration = Duration::from_secs(30);

fn start(script: &str) -> (Child, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("script.json");
    let script: Script = serde_json::from_str(script).unwrap();
    script.save(&path).unwrap();
    assert_eq!(Script::load(&path).unwrap(), script, "a script is saved as it is");
    #[expect(clippy::disallowed_methods, reason = "a test starts its peer")]
    let child = Command::new(env!("CARGO_BIN_EXE_scripted-server"))
        .arg(path)
        .env_clear()
        .env("ONLY", "this")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (child, dir)
}

fn try_play(script: &str, transcript: &str) -> Result<Vec<String>, Mismatch> {
    let (mut child, _dir) = start(script);
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let played = Transcript::parse(transcript).unwrap().play(input, output, PATIENCE);
    child.kill().unwrap();
    child.wait().unwrap();
    played
}

#[track_caller]
fn play(script: &str, transcript: &str) -> Vec<String> {
    try_play(script, transcript).unwrap_or_else(|mismatch| panic!("{mismatch}"))
}

fn call(id: u32, tool: &str) -> String {
    format!(
        r#"> {{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#
    )
}

#[test]
fn it_behaves_unless_told_otherwise() {
    play(
        r#"{"tools": [{"name": "echo"}]}"#,
        r#"
> {"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-06-18"}}
< {"jsonrpc":"2.0","id":"a","result":{"...":0,"protocolVersion":"2025-06-18","serverInfo":{"name":"scripted","version":"<any>"}}}
> {"jsonrpc":"2.0","id":"b","method":"initialize","params":{"protocolVersion":"1999-01-01"}}
< {"jsonrpc":"2.0","id":"b","result":{"...":0,"protocolVersion":"2025-11-25"}}
> {"jsonrpc":"2.0","method":"notifications/initialized"}
> {"jsonrpc":"2.0","id":2,"method":"tools/list"}
> {"jsonrpc":"2.0","id":3,"method":"no/such"}
< {"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"<any>"}}
< {"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"echo"}]}}
> {"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"echo","arguments":{"n": 1.50, "a":[]}}}
< {"jsonrpc":"2.0","id":4,"result":{"content":[{"type":"text","text":"{\"n\": 1.50, \"a\":[]}"}]}}
>> {"jsonrpc":"2.0","id":5,"met\xff\n
< {"jsonrpc":"2.0","id":null,"error":"<any>"}
close
end
"#,
    );
}

#[test]
fn it_answers_wrongly_when_told() {
    let script = r#"{"calls": {
        "twice": [[{"text": "a"}, {"text": "b"}]],
        "wrong": [[{"reply_as": {"id": 99, "result": {}}}]],
        "silent": [[]],
        "late": [[{"wait_ms": 50}, {"text": "late"}]],
        "mixed": [[{"reply_for_another": {"stolen": true}}]],
        "broken": [[{"raw": "{\"id\":$id,\"id\":$id"}, {"bytes": "\"\u00ff\"\n"}, {"nested": 3}]],
        "changing": [[{"text": "1"}, {"add_tool": {"name": "new"}},
                      {"notify": {"method": "notifications/tools/list_changed"}}], [{"text": "2"}]]
    }}"#;
    let lines = [
        call(1, "twice"),
        r#"< {"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a"}]}}"#.into(),
        r#"< {"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"b"}]}}"#.into(),
        call(2, "wrong"),
        r#"< {"jsonrpc":"2.0","id":99,"result":{}}"#.into(),
        call(3, "silent"),
        call(4, "mixed"),
        r#"< {"jsonrpc":"2.0","id":2,"result":{"stolen":true}}"#.into(),
        call(5, "mixed"),
        r#"< {"jsonrpc":"2.0","id":3,"result":{"stolen":true}}"#.into(),
        call(6, "late"),
        call(7, "changing"),
        call(8, "changing"),
        r#"< {"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"1"}]}}"#.into(),
        r#"< {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#.into(),
        r#"< {"jsonrpc":"2.0","id":8,"result":{"content":[{"type":"text","text":"2"}]}}"#.into(),
        r#"< {"jsonrpc":"2.0","id":6,"result":{"content":[{"type":"text","text":"late"}]}}"#.into(),
        r#"> {"jsonrpc":"2.0","id":9,"method":"tools/list"}"#.into(),
        r#"< {"jsonrpc":"2.0","id":9,"result":{"tools":[{"name":"new"}]}}"#.into(),
    ];
    play(script, &lines.join("\n"));

    let error = try_play(script, &[call(1, "broken"), "! a note\n< {}".into()].join("\n"));
    let error = error.unwrap_err();
    assert_eq!((error.line, error.note.as_deref()), (3, Some("a note")));
    assert_eq!(error.got, r#"{"id":1,"id":1"#);
}

#[test]
fn it_asks_the_client() {
    play(
        r#"{"calls": {"ask": [[{"ask": {"id": "q1", "method": "sampling/createMessage"}}, "answer"]]}}"#,
        &[
            call(1, "ask"),
            r#"< {"jsonrpc":"2.0","id":"<as q>","method":"sampling/createMessage"}"#.into(),
            r#"> {"jsonrpc":"2.0","id":"<as q>","result":"no"}"#.into(),
            r#"< {"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"jsonrpc\":\"2.0\",\"id\":\"q1\",\"result\":\"no\"}"}]}}"#.into(),
        ]
        .join("\n"),
    );
}

#[test]
fn it_dies_and_hangs_when_told() {
    let script = r#"{"calls": {
        "cut": [[{"fragment": "{\"id\":$id"}, "kill"]], "exit": [[{"exit": 3}]], "hang": [["hang"]]
    }}"#;
    let cut = try_play(script, &(call(7, "cut") + "\n< {}")).unwrap_err();
    assert_eq!(cut.got, r#"{"id":7"#);
    play(script, &(call(1, "exit") + "\nend"));

    let (mut child, _dir) = start(script);
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let transcript = Transcript::parse(&(call(1, "hang") + "\nclose\nend")).unwrap();
    let hung = transcript.play(input, output, Duration::from_millis(200)).unwrap_err();
    assert_eq!(hung.got, "");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn it_floods_when_told() {
    let script = r#"{"before_handshake": [
        {"stderr_mib": 2}, {"repeat": {"line": "{}", "times": 2}}, {"flood_mib": 3}, {"raw": ""}
    ]}"#;
    let flood = try_play(script, "< {}\n< {}\n< {}").unwrap_err();
    assert_eq!((flood.line, flood.got.len()), (3, 3 << 20));
}

#[test]
fn it_shows_what_it_inherited_and_starts_daemons() {
    let transcript = [
        call(1, "environment"),
        r#"< {"jsonrpc":"2.0","id":1,"result":{"...":0,"structuredContent":{"...":0,"env":{"ONLY":"this"}}}}"#.into(),
        call(2, "daemon"),
        r#"< {"jsonrpc":"2.0","id":2,"result":{"...":0,"structuredContent":{"pid":"<any>"}}}"#.into(),
        "close".into(),
    ];
    let frames = play(r#"{"calls": {"daemon": [["daemon"]]}}"#, &transcript.join("\n"));
    let reply: Value = serde_json::from_str(frames.last().unwrap()).unwrap();
    let pid = reply.pointer("/result/structuredContent/pid").unwrap().as_i64().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn it_records_what_it_received() {
    let (mut child, dir) = start(r#"{"record": "/dev/null"}"#);
    child.kill().unwrap();
    child.wait().unwrap();
    let record = dir.path().join("record");
    let script = format!(r#"{{"record": {record:?}}}"#);
    play(&script, ">> not JSON\\n{\"half\n\n< {\"...\":0}\nclose\n");
    let written = fs::read(&record).unwrap();
    assert!(written.starts_with(b"not JSON\n"));
}

#[test]
fn a_script_with_a_typo_is_refused() {
    for typo in [r#"{"tool": []}"#, r#"{"calls": {"x": [["dye"]]}}"#] {
        assert!(serde_json::from_str::<Script>(typo).is_err(), "{typo}");
    }
}
