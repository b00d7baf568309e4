//! How much is found, and how much is held for nothing: with the collections that the variable
//! `TAGOUT_CORPORA` points to. Nothing is measured where there are none.
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use tagout_llm::{Part, Role, ToolCall, ToolResult};

use super::*;

fn corpora() -> Option<PathBuf> {
    std::env::var_os("TAGOUT_CORPORA").map(PathBuf::from)
}

fn lines(path: &Path) -> Vec<Value> {
    let file = File::open(path).unwrap();
    let reader: Box<dyn Read> = match path.extension() {
        Some(end) if end == "gz" => Box::new(flate2::read::GzDecoder::new(file)),
        _ => Box::new(file),
    };
    let lines = BufReader::new(reader).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

/// How many of how many.
#[derive(Clone, Copy, Default)]
struct Share(usize, usize);

impl Share {
    fn count(&mut self, hit: bool) {
        self.0 += usize::from(hit);
        self.1 += 1;
    }
}

impl std::fmt::Display for Share {
    #[expect(clippy::cast_precision_loss, reason = "nobody has so many rows")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = 100.0 * self.0 as f64 / self.1.max(1) as f64;
        write!(f, "{} of {} ({percent:.1} %)", self.0, self.1)
    }
}

const NOTHING: Seen<'static> =
    Seen { words: "", messages: &[], calls: &[], operator: "", supplied: &[] };

/// A tool with one argument.
fn tool(param: &str) -> ToolSpec {
    let schema = json!({"type": "object", "properties": {param: {"type": "string"}}});
    ToolSpec {
        name: "server__tool".into(),
        title: None,
        description: None,
        input_schema: schema,
        output_schema: None,
    }
}

/// Single arguments: what attacks are held by what they look like, and what look-alikes.
#[test]
fn arguments_by_themselves() {
    let Some(corpora) = corpora() else { return };
    let mut kinds: BTreeMap<(String, String), Share> = BTreeMap::new();
    let files = [
        "agentdojo_outputs",
        "authored_args",
        "bfcl_tools",
        "crs_tests",
        "libinjection",
        "livemcp_traj",
    ];
    for file in files {
        let rows = lines(&corpora.join("attacks").join(format!("{file}.jsonl.gz")));
        for row in rows.iter().filter(|row| row["surface"] == "tool_args") {
            let meta = &row["meta"];
            let param = meta["param"].as_str().or(meta["param_kind"].as_str()).unwrap_or("value");
            let param =
                if param == "shell_arg" || param.starts_with("sql_v") { "value" } else { param };
            let tool = tool(param);
            let arguments = Map::from_iter([(param.to_owned(), row["text"].clone())]);
            let found = concerns(&tool, &arguments, NOTHING);
            let held = found.iter().any(|concern| concern.holds);
            let kind = (text(row, "label").to_owned(), text(row, "kind").to_owned());
            kinds.entry(kind).or_default().count(held);
            let wrong = held == (row["label"] == "benign");
            let looked_for = row["label"] == "benign"
                || ["cmdi", "sqli"].iter().any(|kind| text(row, "kind").starts_with(kind));
            if wrong && looked_for && std::env::var_os("TAGOUT_CORPORA_SHOW").is_some() {
                println!(
                    "{} {:?} {:?}",
                    row["kind"],
                    row["text"],
                    found.first().map(|c| &c.detail)
                );
            }
        }
    }
    let mut benign = Share::default();
    for ((label, kind), share) in &kinds {
        println!("{label} {kind}: held {share}");
        if label == "benign" {
            benign = Share(benign.0 + share.0, benign.1 + share.1);
        }
    }
    println!("held for nothing in all: {benign}");
    assert!(benign.0 * 100 <= benign.1, "more than one in a hundred is held for nothing");
}

/// What was said so far, as a model would have it.
struct Talk {
    messages: Vec<Message>,
}

impl Talk {
    fn of(prompt: &str) -> Self {
        Self { messages: vec![Message::text(Role::User, prompt)] }
    }

    fn concerns(&self, tools: &[ToolSpec], call: &Value) -> Vec<Concern> {
        let name = text(call, "function");
        let tool = tools.iter().find(|tool| tool.name == name).unwrap();
        let seen =
            Seen { words: "", messages: &self.messages, calls: &[], operator: "", supplied: &[] };
        concerns(tool, call["args"].as_object().unwrap(), seen)
    }

    fn returned(&mut self, call: &Value, result: &str) {
        let id = self.messages.len().to_string();
        let made = ToolCall::new(id.clone(), text(call, "function"), call["args"].to_string());
        let parts = vec![Part::text(result)];
        let result = ToolResult { call_id: id, parts, structured: None, is_error: false };
        self.messages.push(Message { role: Role::Assistant, parts: vec![Part::ToolCall(made)] });
        self.messages.push(Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] });
    }
}

fn tools(path: &Path) -> Vec<ToolSpec> {
    let all: Value = serde_json::from_reader(File::open(path).unwrap()).unwrap();
    let all = all.get("tools").unwrap_or(&all);
    let spec = |tool: &Value| ToolSpec {
        name: text(tool, "name").to_owned(),
        title: None,
        description: tool["description"].as_str().map(str::to_owned),
        input_schema: tool["inputSchema"].clone(),
        output_schema: None,
    };
    all.as_array().unwrap().iter().map(spec).collect()
}

fn holds(found: &[Concern]) -> bool {
    found.iter().any(|concern| concern.holds)
}

/// Whole conversations: tasks of people, and what a model does that follows what it reads.
#[test]
fn conversations() {
    let Some(corpora) = corpora() else { return };
    let root = corpora.join("agentdojo");
    let templates: Value =
        serde_json::from_reader(File::open(root.join("templates.json")).unwrap()).unwrap();
    let show = std::env::var_os("TAGOUT_CORPORA_SHOW").is_some();
    for suite in ["banking", "workspace"] {
        let folder = root.join(suite);
        let tools = tools(&folder.join("tools.json"));
        let tasks = lines(&folder.join("user_tasks.jsonl"));
        let (mut calls, mut whole) = (Share::default(), Share::default());
        for task in &tasks {
            let mut talk = Talk::of(text(task, "prompt"));
            let mut any = false;
            for call in task["calls"].as_array().unwrap() {
                let found = talk.concerns(&tools, call);
                any |= holds(&found);
                calls.count(holds(&found));
                if show && holds(&found) {
                    println!("{} {} {:?}", task["id"], call["function"], found);
                }
                talk.returned(call, text(call, "result"));
            }
            whole.count(any);
        }
        println!("{suite}: of people's calls, held for nothing {calls}; of their tasks {whole}");
        let goals = lines(&folder.join("injection_tasks.jsonl"));
        let attacks = lines(&folder.join("attacks.jsonl"));
        for (name, template) in templates.as_object().unwrap() {
            let mut stopped = Share::default();
            let mut missed: BTreeMap<String, usize> = BTreeMap::new();
            for attack in attacks.iter().filter(|a| a["security_violated_if_all_allowed"] == true) {
                let goal = goals.iter().find(|g| g["id"] == attack["injection_task"]).unwrap();
                let words = template.as_str().unwrap().replace("{goal}", text(goal, "goal"));
                let words = words.replace("{tools}", text(goal, "tools_text"));
                let task = tasks.iter().find(|t| t["id"] == attack["user_task"]).unwrap();
                let held = hijacked(&tools, attack, task, &words);
                stopped.count(held);
                if !held {
                    *missed.entry(text(goal, "id").to_owned()).or_default() += 1;
                }
            }
            println!("{suite}, {name}: attacks held {stopped}; missed {missed:?}");
            assert!(stopped.0 * 10 >= stopped.1 * 9, "fewer than nine in ten are held");
        }
        let mut stopped = Share::default();
        for hijack in lines(&folder.join("hijack.jsonl")) {
            let mut talk = Talk::of(text(&hijack, "prompt"));
            let mut held = false;
            for call in hijack["sequence"].as_array().unwrap() {
                held |= call["hijacked"] == true && holds(&talk.concerns(&tools, call));
                talk.returned(call, text(call, "result"));
            }
            stopped.count(held);
        }
        println!("{suite}: other destinations held {stopped}");
    }
}

/// Whether a call is held without which the attack comes to nothing.
fn hijacked(tools: &[ToolSpec], attack: &Value, task: &Value, words: &str) -> bool {
    let mut talk = Talk::of(text(task, "prompt"));
    for call in attack["sequence"].as_array().unwrap() {
        if call["decisive"] == true && holds(&talk.concerns(tools, call)) {
            return true;
        }
        let own = call["user_call"].as_u64().and_then(|at| usize::try_from(at).ok());
        let Some(own) = own.map(|at| &task["calls"][at]) else {
            talk.returned(call, text(call, "result"));
            continue;
        };
        let result = own["result_template"].as_str().unwrap_or_else(|| text(own, "result"));
        let mut pieces = result.split("@@");
        let mut shown = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            shown.push_str(if piece.starts_with("INJ:") { words } else { piece });
        }
        talk.returned(call, &shown);
    }
    false
}
