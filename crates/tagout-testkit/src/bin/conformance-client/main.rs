//! What the conformance suite starts as the client under test: a gateway in front of the suite's
//! server, and a client that does through the gateway what the scenario asks. So what the suite
//! sees is the gateway's side towards servers.
//!
//! The server's URL is the last argument. `TAGOUT` names the gateway's program; the suite says by
//! `MCP_CONFORMANCE_PROTOCOL_VERSION` and `MCP_CONFORMANCE_CONTEXT` what it wants.

mod answer;
mod session;

use std::{
    env, fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use serde_json::{Value, json};

use crate::{
    answer::sample,
    session::{Failure, Session},
};

const USAGE: &str = "usage: TAGOUT=PROGRAM conformance-client URL";

/// Everything is let through: what is tested is how, not whether.
const POLICY: &str = "@id(\"all\")\npermit (principal, action, resource);\n";

/// More pages of a list than this are not asked for.
const PAGES: usize = 16;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("conformance-client: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let url = env::args().next_back().filter(|it| it.starts_with("http://"));
    let (Some(url), Some(tagout)) = (url, env::var_os("TAGOUT")) else {
        return Err(Failure::Usage(USAGE));
    };
    let folder = tempfile::tempdir()?;
    prepare(folder.path(), &url)?;
    let revision = env::var("MCP_CONFORMANCE_PROTOCOL_VERSION");
    let revision = revision.unwrap_or_else(|_| "2025-11-25".to_owned());
    let mut session = Session::open(tagout.as_ref(), folder.path(), &revision)?;
    let tools = all(&mut session, "tools/list", "tools")?;
    for (name, arguments) in calls(&tools) {
        let result = session.ask("tools/call", json!({"name": name, "arguments": arguments}))?;
        note(&format!("{name}: {result}"));
    }
    offers(&mut session)?;
    session.close()
}

/// The calls that the scenario asks for, or else one of every tool.
fn calls(tools: &[Value]) -> Vec<(String, Value)> {
    let context = env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
    let context: Value = serde_json::from_str(&context).unwrap_or_default();
    let asked = context.get("toolCalls").and_then(Value::as_array);
    let asked = asked.into_iter().flatten().map(|call| {
        let mut arguments = call.get("arguments").cloned().unwrap_or_else(|| json!({}));
        if let Some(arguments) = arguments.as_object_mut() {
            // The suite passes `null` for a parameter whose schema wants a truth value, which the
            // gateway refuses; it takes an omission for the same.
            arguments.retain(|_, value| !value.is_null());
        }
        (named(call), arguments)
    });
    let asked: Vec<_> = asked.collect();
    if !asked.is_empty() {
        return asked;
    }
    let schema = |tool: &Value| tool.get("inputSchema").cloned().unwrap_or_default();
    tools.iter().map(|tool| (named(tool), sample(&schema(tool)))).collect()
}

/// Reads what else there is: all resources and prompts.
fn offers(session: &mut Session) -> Result<(), Failure> {
    for resource in all(session, "resources/list", "resources")? {
        let uri = resource.get("uri").cloned().unwrap_or_default();
        let result = session.ask("resources/read", json!({"uri": uri}))?;
        note(&format!("{uri}: {result}"));
    }
    for prompt in all(session, "prompts/list", "prompts")? {
        let arguments = prompt.get("arguments").and_then(Value::as_array);
        let arguments = arguments.into_iter().flatten().map(|it| (named(it), json!("text")));
        let arguments: serde_json::Map<_, _> = arguments.collect();
        let name = named(&prompt);
        let result = session.ask("prompts/get", json!({"name": name, "arguments": arguments}))?;
        note(&format!("{name}: {result}"));
    }
    Ok(())
}

/// All pages of a list. A server need not have this list; then it is empty.
fn all(session: &mut Session, method: &str, key: &str) -> Result<Vec<Value>, Failure> {
    let (mut items, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES {
        let params = cursor.take().map_or(json!({}), |cursor: Value| json!({"cursor": cursor}));
        let answer = session.ask(method, params)?;
        let Some(result) = answer.get("result") else {
            note(&format!("{method}: {answer}"));
            break;
        };
        let page = result.get(key).and_then(Value::as_array);
        items.extend(page.into_iter().flatten().cloned());
        cursor = result.get("nextCursor").filter(|it| it.is_string()).cloned();
        if cursor.is_none() {
            break;
        }
    }
    Ok(items)
}

fn named(item: &Value) -> String {
    item.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A configuration with the one server, and rules.
fn prepare(folder: &Path, url: &str) -> io::Result<()> {
    fs::create_dir(folder.join("policies"))?;
    fs::write(folder.join("policies/all.cedar"), POLICY)?;
    // The suite knows its tools by their own names.
    let server = format!(
        "[consent]\nagreed = [\"fixture\"]\n\n[server.fixture]\nurl = {}\nprefix = \"\"\n",
        json!(url)
    );
    let config = format!("profile = \"none\"\npolicies = \"policies\"\n\n{server}");
    fs::write(folder.join("tagout.toml"), config)
}

/// For whoever looks at why a scenario failed.
fn note(text: &str) {
    // Without standard error there is nobody to tell.
    writeln!(io::stderr(), "{text}").ok();
}
