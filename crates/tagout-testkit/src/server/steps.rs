//! What each step does.
use std::{
    io::{self, Write},
    sync::Arc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Request, Server, Steps, process};
use crate::script::Step;

const MIB: usize = 1 << 20;

impl Server {
    /// Takes the steps that go on by themselves here, and passes the others on.
    pub(super) fn run(self: &Arc<Self>, request: Request, mut steps: Steps) -> io::Result<()> {
        while let Some(step) = steps.pop_front() {
            if let Step::WaitMs(time) = step {
                let server = Arc::clone(self);
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(time));
                    // A client that left meanwhile needs no answer.
                    server.run(request, steps).ok();
                });
                return Ok(());
            }
            if let Step::Ask { id, method, params } = &step {
                let question = frame(Some(id), method, params);
                self.state().waiting.insert(id.to_string(), (request, steps));
                return self.line(&question);
            }
            self.act(&request, step)?;
        }
        Ok(())
    }

    fn act(&self, request: &Request, step: Step) -> io::Result<()> {
        match step {
            Step::Initialize => self.reply(request, &self.initialized(request)),
            Step::List => {
                let tools = self.state().tools.clone();
                self.reply(request, &json!({"tools": tools}))
            }
            Step::Echo => {
                let call = request.call();
                self.reply(request, &text(call.arguments.map_or("", |a| a.get())))
            }
            Step::Environment => self.reply(request, &structured(process::environment()?)),
            Step::Daemon => self.reply(request, &structured(json!({"pid": process::daemon()?}))),
            Step::Answer => self.reply(request, &text(request.answer.as_deref().unwrap_or(""))),
            Step::Reply(result) => self.reply(request, &result),
            Step::Text(content) => self.reply(request, &text(&content)),
            Step::Error { code, message } => {
                let error = json!({"code": code, "message": message});
                self.answer(request.id(), "error", &error.to_string())
            }
            Step::ReplyAs { id, result } => {
                self.answer(&id.to_string(), "result", &result.to_string())
            }
            Step::ReplyForAnother(result) => {
                let other = self.state().open.iter().find(|&id| id != request.id()).cloned();
                let id = other.unwrap_or_else(|| String::from("\"nobody\""));
                self.answer(&id, "result", &result.to_string())
            }
            Step::Nested(depth) => {
                let nested = ["[".repeat(depth), "]".repeat(depth)].concat();
                self.answer(request.id(), "result", &format!(r#"{{"nested":{nested}}}"#))
            }
            Step::Raw(line) => self.line(&line.replace("$id", request.id())),
            Step::Fragment(part) => self.write(part.replace("$id", request.id()).as_bytes()),
            Step::Bytes(bytes) => self.write(&latin1(&bytes)),
            Step::Repeat { line, times } => (0..times).try_for_each(|_| self.line(&line)),
            Step::FloodMib(count) => {
                let mib = vec![b'x'; MIB];
                (0..count).try_for_each(|_| self.write(&mib))
            }
            Step::StderrMib(count) => {
                let mib = "it is all going wrong\n".repeat(MIB / 22 + 1);
                (0..count).try_for_each(|_| io::stderr().write_all(mib.as_bytes()))
            }
            Step::Notify { method, params } => self.line(&frame(None, &method, &params)),
            Step::SetTools(tools) => {
                self.state().tools = tools;
                Ok(())
            }
            Step::AddTool(tool) => {
                self.state().tools.push(tool);
                Ok(())
            }
            Step::Hang => process::hang(),
            Step::Exit(code) => std::process::exit(code),
            Step::Kill => process::kill_self(),
            Step::WaitMs(_) | Step::Ask { .. } => Ok(()),
        }
    }

    fn reply(&self, request: &Request, result: &Value) -> io::Result<()> {
        self.answer(request.id(), "result", &result.to_string())
    }

    fn answer(&self, id: &str, kind: &str, body: &str) -> io::Result<()> {
        self.state().open.retain(|open| open != id);
        self.line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"{kind}":{body}}}"#))
    }
}

/// What a server sends on its own account. Parameters that are null are left out.
fn frame(id: Option<&Value>, method: &str, params: &Value) -> String {
    let id = id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
    let method = Value::from(method);
    let params = if params.is_null() { String::new() } else { format!(r#","params":{params}"#) };
    format!(r#"{{"jsonrpc":"2.0",{id}"method":{method}{params}}}"#)
}

fn text(content: &str) -> Value {
    json!({"content": [{"type": "text", "text": content}]})
}

fn structured(content: Value) -> Value {
    let text = content.to_string();
    json!({"content": [{"type": "text", "text": text}], "structuredContent": content})
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}
