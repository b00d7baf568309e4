//! A server over standard input and output that does nothing before it knows who calls: it verifies
//! each call's assertion and says who it is, or by which code it refuses.
use std::{
    error::Error,
    fs,
    io::{self, BufRead as _, Write as _},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tagout_assertion::{Call, META_KEY, PublicKey, SeenOnce, Verifier, digest_of_json};
use tagout_testkit::server;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // Without standard error there is nobody to tell.
            writeln!(io::stderr(), "whoami-server: {e}").ok();
            ExitCode::FAILURE
        }
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    id: Option<Value>,
    method: String,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Params<'a> {
    name: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(rename = "_meta")]
    meta: Option<Value>,
}

struct Server {
    verifier: Verifier,
    seen: SeenOnce,
}

fn run() -> Result<(), Box<dyn Error>> {
    server::linger_if_asked()?;
    let usage = "usage: whoami-server JWKS-FILE AUDIENCE";
    let mut args = std::env::args().skip(1);
    let keys = fs::read(args.next().ok_or(usage)?)?;
    let keys = PublicKey::set_of_jwks(&String::from_utf8(keys)?)?;
    let verifier = Verifier::new(keys, args.next().ok_or(usage)?);
    let mut server = Server { verifier, seen: SeenOnce::default() };
    let mut line = String::new();
    let mut input = io::stdin().lock();
    while input.read_line(&mut line)? > 0 {
        let frame: Frame<'_> = serde_json::from_str(&line)?;
        if let Some(id) = &frame.id {
            let answer = server.answer(&frame)?;
            let mut whole = json!({"jsonrpc": "2.0", "id": id});
            if let (Some(whole), Value::Object(answer)) = (whole.as_object_mut(), answer) {
                whole.extend(answer);
            }
            writeln!(io::stdout(), "{whole}")?;
        }
        line.clear();
    }
    Ok(())
}

impl Server {
    fn answer(&mut self, frame: &Frame<'_>) -> Result<Value, Box<dyn Error>> {
        let tool = |name: &str| {
            let text = json!({"type": "string"});
            json!({
                "name": name,
                "description": "Says who calls.",
                "inputSchema": {"type": "object", "properties": {"text": text, "n": {"type": "number"}}},
                "annotations": {"readOnlyHint": true}
            })
        };
        Ok(match frame.method.as_str() {
            "initialize" => json!({"result": {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}, "prompts": {}, "resources": {}},
                "serverInfo": {"name": "whoami", "version": "1"}
            }}),
            "ping" => json!({"result": {}}),
            "tools/list" => json!({"result": {"tools": [tool("whoami"), tool("again")]}}),
            "prompts/list" => json!({"result": {"prompts": [{"name": "who"}]}}),
            "resources/list" => {
                json!({"result": {"resources": [{"uri": "who://me", "name": "me"}]}})
            }
            "resources/templates/list" => json!({"result": {"resourceTemplates": []}}),
            "tools/call" | "prompts/get" | "resources/read" => self.say_who(frame)?,
            other => json!({"error": {"code": -32601, "message": other}}),
        })
    }

    fn say_who(&mut self, frame: &Frame<'_>) -> Result<Value, Box<dyn Error>> {
        let raw = frame.params.map_or("{}", RawValue::get);
        let params: Params<'_> = serde_json::from_str(raw)?;
        let is_tool = frame.method == "tools/call";
        let arguments = if is_tool {
            digest_of_json(params.arguments.map_or("{}", RawValue::get))?
        } else {
            let mut bare: Value = serde_json::from_str(raw)?;
            bare.as_object_mut().map(|bare| bare.remove("_meta"));
            digest_of_json(&bare.to_string())?
        };
        let tool = params.name.as_deref().filter(|_| is_tool);
        let call = Call { method: &frame.method, tool, arguments };
        let token = params.meta.as_ref().and_then(|meta| meta.get(META_KEY)?.as_str());
        let again = if tool == Some("again") { 2 } else { 1 };
        let mut said = Value::Null;
        for _ in 0..again {
            let claims =
                self.verifier.verify(token.unwrap_or_default(), &call, now()?, &mut self.seen);
            said = match claims {
                Ok(claims) => serde_json::to_value(claims)?,
                Err(error) => json!({"refused": error.code()}),
            };
        }
        let text = said.to_string();
        let content = json!({"type": "text", "text": text});
        Ok(json!({"result": match frame.method.as_str() {
            "prompts/get" => json!({"messages": [{"role": "user", "content": content}]}),
            "resources/read" => json!({"contents": [{"uri": "who://me", "text": text}]}),
            _ => json!({"content": [content]}),
        }}))
    }
}

fn now() -> Result<i64, Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "a server's own clock is what it verifies by")]
    let now = SystemTime::now();
    Ok(i64::try_from(now.duration_since(UNIX_EPOCH)?.as_secs())?)
}
