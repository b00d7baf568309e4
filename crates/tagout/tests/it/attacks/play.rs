//! Playing an attack.
use std::{collections::BTreeMap, thread, time::Duration};

use serde_json::{Value, json};
use tagout_testkit::Pty;

use super::file::{Attack, Step, json};
use crate::{
    mcp_client::Client,
    place::{LIMIT, Place, reading},
    terminal::seat,
};

/// The id of frames that stand in a step.
const SENT: u64 = 900;

/// In place of what a client answers to forms: it comes without a handshake.
const WITHOUT: &str = "(no handshake)";

/// Where an attack has got to.
struct Stage {
    place: Place,
    sessions: BTreeMap<String, Party>,
    kept: BTreeMap<String, String>,
}

/// A client, and how its user answers forms.
struct Party {
    client: Client,
    elicits: String,
    /// The form that came last.
    card: String,
    /// Answers that came before they were waited for.
    early: BTreeMap<u64, Value>,
}

pub(super) fn play(attack: &Attack) -> Result<(), String> {
    let place = Place::new();
    place.configure(&attack.config);
    for (name, script) in &attack.servers {
        place.scripted(name, json(script)?);
    }
    for (path, text) in &attack.files {
        place.write(&place.path("config/tagout").join(path), text);
    }
    let mut stage = Stage { place, sessions: BTreeMap::new(), kept: BTreeMap::new() };
    for (n, step) in attack.steps.iter().enumerate() {
        stage.take(step).map_err(|why| format!("step {}: {why}", n + 1))?;
    }
    for (_, party) in std::mem::take(&mut stage.sessions) {
        party.client.leave();
    }
    for (tool, times) in &attack.reached {
        let (server, name) = tool.split_once('/').ok_or("`reached` wants `server/tool`")?;
        let calls = stage.place.calls(server, name);
        if calls != *times {
            return Err(format!("{tool} was called {calls} times, not {times}"));
        }
    }
    let verified = stage.place.run(&["audit", "verify"]);
    if verified.code == 0 { Ok(()) } else { Err(format!("the log: {verified:?}")) }
}

impl Stage {
    fn take(&mut self, step: &Step) -> Result<(), String> {
        if !step.write.is_empty() {
            let path = self.place.path("config/tagout").join(&step.write);
            self.place.write(&path, &step.text);
        }
        if !step.script.is_empty() {
            self.place.script(&step.server, json(&step.script)?);
        }
        if step.waits_ms > 0 {
            thread::sleep(Duration::from_millis(step.waits_ms));
        }
        if !step.sql.is_empty() {
            return self.writes_the_state(&step.sql);
        }
        if !step.run.is_empty() {
            let ran = self.place.run(&self.filled(&step.run));
            let said = format!("{}{}", ran.stdout, ran.stderr);
            return came_out(step, ran.code, &said);
        }
        if !step.at_terminal.is_empty() {
            return self.at_terminal(step);
        }
        if !step.elicits.is_empty() {
            self.session(&step.session, &step.elicits);
        }
        if !step.race.is_empty() {
            return self.race(step);
        }
        if !step.leaves.is_empty() {
            let party = self.sessions.remove(&step.leaves).ok_or("there is no such session")?;
            party.client.leave();
            return Ok(());
        }
        if let Some(expected) = &step.lists {
            return self.lists(&step.session, expected);
        }
        if step.calls.is_empty() && step.sends.is_empty() {
            return Ok(());
        }
        let id = self.send(&step.session, step)?;
        let frame = self.heard(&step.session, id)?;
        let card = &self.session(&step.session, "").card;
        if let Some(missing) = step.card_shows.iter().find(|text| !card.contains(*text)) {
            return Err(format!("the card does not show `{missing}`: {card}"));
        }
        self.judge(step, &frame)
    }

    fn filled(&self, args: &[String]) -> Vec<String> {
        let fill = |arg: &String| {
            self.kept
                .iter()
                .fold(arg.clone(), |arg, (name, value)| arg.replace(&format!("${name}"), value))
        };
        args.iter().map(fill).collect()
    }

    fn writes_the_state(&self, statements: &[String]) -> Result<(), String> {
        let path = self.place.path("state/tagout/state.sqlite");
        let state = rusqlite::Connection::open(path).map_err(|e| e.to_string())?;
        self.filled(statements).iter().try_for_each(|statement| {
            let wrong = |e: rusqlite::Error| format!("{e}: {statement}");
            state.busy_timeout(LIMIT).map_err(wrong)?;
            state.execute(statement, []).map_err(wrong).map(drop)
        })
    }

    fn at_terminal(&self, step: &Step) -> Result<(), String> {
        let args = self.filled(&step.at_terminal);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let mut pty = Pty::spawn(&seat(&self.place, &args)).map_err(|e| e.to_string())?;
        let (stdout, stderr) =
            (reading(pty.stdout.take().unwrap()), reading(pty.stderr.take().unwrap()));
        for [prompt, line] in &step.types {
            pty.expect(prompt, LIMIT).map_err(|e| e.to_string())?;
            pty.send(&format!("{line}\n")).map_err(|e| e.to_string())?;
        }
        let status = pty.wait(LIMIT).map_err(|e| e.to_string())?;
        let said = format!("{}{}{}", pty.screen(), stdout.join().unwrap(), stderr.join().unwrap());
        came_out(step, status.code().unwrap_or(-1), &said)
    }

    fn session(&mut self, name: &str, elicits: &str) -> &mut Party {
        let place = &self.place;
        let party = self.sessions.entry(name.to_owned()).or_insert_with(|| {
            let mut client = Client::start(place);
            if elicits == WITHOUT {
                return Party {
                    client,
                    elicits: String::new(),
                    card: String::new(),
                    early: BTreeMap::new(),
                };
            }
            let capabilities =
                if elicits.is_empty() { json!({}) } else { json!({"elicitation": {}}) };
            client.frames.result(
                "initialize",
                &json!({
                    "protocolVersion": "2025-11-25",
                    "capabilities": capabilities,
                    "clientInfo": {"name": "attacker", "version": "1"}
                }),
            );
            client.frames.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
            Party {
                client,
                elicits: elicits.to_owned(),
                card: String::new(),
                early: BTreeMap::new(),
            }
        });
        if !elicits.is_empty() && elicits != WITHOUT {
            elicits.clone_into(&mut party.elicits);
        }
        party
    }

    fn send(&mut self, session: &str, step: &Step) -> Result<u64, String> {
        let arguments = if step.arguments.is_empty() { "{}" } else { &step.arguments };
        let modern = !step.conversation.is_empty();
        let party = self.session(session, if modern { WITHOUT } else { "" });
        let frames = &mut party.client.frames;
        if !step.sends.is_empty() {
            frames.line(step.sends.trim());
            return Ok(SENT);
        }
        let mut params = json!({"name": step.calls, "arguments": json(arguments)?});
        if modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "attacker", "version": "1"},
                "tagout/conversation": step.conversation,
            });
        }
        Ok(frames.ask("tools/call", &params))
    }

    /// The answer to `id`; forms that come before it are answered.
    fn heard(&mut self, session: &str, id: u64) -> Result<Value, String> {
        let party = self.session(session, "");
        if let Some(frame) = party.early.remove(&id) {
            return Ok(frame);
        }
        loop {
            let frame = party.client.frames.next().ok_or("the gateway ends")?;
            let asked = frame.get("method").and_then(Value::as_str);
            if asked == Some("elicitation/create") {
                let message = frame["params"]["message"].as_str().unwrap_or_default();
                message.clone_into(&mut party.card);
                let content = json!({"decision": party.elicits});
                let result = json!({"action": "accept", "content": content});
                let answer = json!({"jsonrpc": "2.0", "id": frame["id"], "result": result});
                party.client.frames.line(&answer.to_string());
            } else if asked.is_none() && (frame["id"] == id || frame["id"].is_null()) {
                return Ok(frame);
            } else if let (None, Some(other)) = (asked, frame["id"].as_u64()) {
                party.early.insert(other, frame);
            }
        }
    }

    fn race(&mut self, step: &Step) -> Result<(), String> {
        let mut sent = Vec::new();
        for session in &step.race {
            sent.push((session, self.send(session, step)?));
        }
        let mut through = 0;
        for (session, id) in sent {
            let frame = self.heard(session, id)?;
            match code(&frame) {
                None => through += 1,
                Some(code) if code == step.code => {}
                Some(_) => return Err(format!("not `{}`: {frame}", step.code)),
            }
        }
        if through == 1 { Ok(()) } else { Err(format!("{through} got through")) }
    }

    fn lists(&mut self, session: &str, expected: &[String]) -> Result<(), String> {
        let result = self.session(session, "").client.frames.result("tools/list", &json!({}));
        let tools = result["tools"].as_array().ok_or("no list")?;
        let mut names: Vec<_> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
        names.sort_unstable();
        if names == *expected { Ok(()) } else { Err(format!("listed: {names:?}")) }
    }

    fn judge(&mut self, step: &Step, frame: &Value) -> Result<(), String> {
        let got = code(frame).unwrap_or_default();
        if got != step.code {
            return Err(format!("`{}` expected: {frame}", step.code));
        }
        let data = &frame["error"]["data"];
        for (name, key) in &step.keeps {
            let said = &frame["result"]["_meta"][format!("tagout/{key}")];
            let value = match (&data[key], said) {
                (Value::String(text), _) => text.clone(),
                (Value::Number(number), _) | (_, Value::Number(number)) => number.to_string(),
                (_, _) => return Err(format!("no `{key}`: {frame}")),
            };
            self.kept.insert(name.clone(), value);
        }
        for (key, value) in &step.holds {
            let at = if frame["error"].is_null() { &frame["result"] } else { data };
            if !at[key].to_string().contains(value) {
                return Err(format!("`{key}` does not hold `{value}`: {frame}"));
            }
        }
        Ok(())
    }
}

/// The gateway's code in a refusal; nothing where it is none.
fn code(frame: &Value) -> Option<String> {
    let error = frame.get("error")?;
    let said = error["data"]["code"].as_str().map(ToOwned::to_owned);
    Some(said.unwrap_or_else(|| error.to_string()))
}

fn came_out(step: &Step, code: i32, said: &str) -> Result<(), String> {
    if code != step.exit {
        return Err(format!("it ended with {code}: {said}"));
    }
    if said.contains(&step.says) { Ok(()) } else { Err(format!("no `{}` in: {said}", step.says)) }
}
