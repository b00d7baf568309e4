//! `tools`: what there is, and calling it.
use std::{collections::BTreeSet, process::ExitCode, sync::Arc};

use serde_json::{Map, Value};
use tagout_gateway::{
    Gateway,
    inventory::{Inventory, ToolState},
};
use tagout_host::{Nobody, Options, Outcome};
use tagout_llm::Planner;
use tagout_proto::{Document, Limits};
use tagout_terminal::printable;

use crate::{
    cli::Tools,
    command::{CONNECT, in_runtime, pin::unified, with_session},
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::Setup,
};

/// Lists, shows or calls tools.
pub(crate) fn tools(places: &Places, tools: Tools, json: bool) -> Result<ExitCode, Failure> {
    match tools {
        Tools::Ls => list(places, json),
        Tools::Inspect { name } => inspect(places, &name, json),
        Tools::Call { name, arguments, conversation } => {
            call(places, (&name, &arguments), conversation, json)
        }
    }
}

fn inventory(places: &Places) -> Result<(Arc<Gateway>, Inventory), Failure> {
    let gateway = Setup::read(places)?.open(places)?;
    let inventory = in_runtime(async { Ok(gateway.inventory().await) })?;
    Ok((gateway, inventory))
}

fn list(places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let (_, inventory) = inventory(places)?;
    let mut rows = Vec::new();
    for tool in &inventory.tools {
        if json {
            output::json(tool)?;
            continue;
        }
        let says = match &tool.problem {
            Some(_) => "refused".to_owned(),
            None => tool.verdict.to_string(),
        };
        let title: String = printable(&tool.title).chars().take(60).collect();
        rows.push(vec![tool.name.clone(), says, effects(tool), tool.standing.to_owned(), title]);
    }
    if !rows.is_empty() {
        let header = ["TOOL", "POLICY", "EFFECTS", "STANDING", "TITLE"].map(str::to_owned).to_vec();
        rows.insert(0, header);
        output::line(output::table(&rows))?;
    }
    for (server, finding) in &inventory.findings {
        let finding = format!(
            "{server} offers what cannot be taken: {}",
            tagout_inspect::characters::one_line(finding)
        );
        if json {
            output::json(&serde_json::json!({"server": server, "finding": finding}))?;
        } else {
            output::line(finding)?;
        }
    }
    match inventory.failed.first_key_value() {
        None => Ok(Ended::Done.into()),
        Some((server, error)) => {
            Err(Failure::new(Ended::Failed, error.code(), format!("server `{server}`: {error}"))
                .with_help("the other servers' tools are listed; `-vv` shows what it complains"))
        }
    }
}

fn effects(tool: &ToolState) -> String {
    let effects: Vec<_> = tool.effects.iter().map(|effect| effect.as_str()).collect();
    effects.join(",")
}

fn inspect(places: &Places, name: &str, json: bool) -> Result<ExitCode, Failure> {
    let (gateway, inventory) = inventory(places)?;
    let Some(tool) = inventory.tools.iter().find(|tool| tool.name == name) else {
        let help = "see `tagout tools ls`";
        return Err(Failure::usage("tool-unknown", format!("there is no tool `{name}`"), help));
    };
    if json {
        output::json(tool)?;
        return Ok(Ended::Done.into());
    }
    let mut rows = vec![
        vec!["tool".to_owned(), tool.tool.to_string()],
        vec!["server".to_owned(), tool.server.to_string()],
        vec!["effects".to_owned(), effects(tool)],
        vec!["standing".to_owned(), tool.standing.to_owned()],
        vec!["policy".to_owned(), format!("{} by `{}`", tool.verdict, tool.rule)],
        vec!["digest".to_owned(), tool.digest.to_string()],
    ];
    rows.extend(reviewed(tool));
    let code = tool.quarantine.map(|code| format!(" [{code}]")).unwrap_or_default();
    let problem = tool.problem.iter().map(|problem| printable(problem) + &code);
    rows.extend(problem.map(|problem| vec!["refused".to_owned(), problem]));
    output::line(output::table(&rows))?;
    if let Some(pinned) = tool.pinned {
        output::line(format_args!("\n{}", unified(&gateway, pinned, &tool.canonical)))?;
    }
    let definition: Value = serde_json::from_str(tool.definition.get())
        .map_err(|error| Failure::of(&error, "tool-unknown", ""))?;
    let definition = serde_json::to_string_pretty(&definition)
        .map_err(|error| Failure::of(&error, "tool-unknown", ""))?;
    output::line(format_args!("\n{}", printable(&definition)))?;
    Ok(Ended::Done.into())
}

/// What the review says of a tool beside its effects.
fn reviewed(tool: &ToolState) -> Vec<Vec<String>> {
    let labels = &tool.labels;
    let words = [
        ("untrusted", labels.untrusted),
        ("sensitive", labels.sensitive),
        ("may leave", labels.may_leave),
    ];
    let words: Vec<_> = words.iter().filter(|(_, holds)| *holds).map(|(word, _)| *word).collect();
    let names = |names: &BTreeSet<String>| {
        names.iter().map(|name| printable(name)).collect::<Vec<_>>().join(", ")
    };
    let rows = [
        ("labels", words.join(", ")),
        ("destinations", names(&labels.destinations)),
        ("payloads", names(&labels.payloads)),
        (
            "arguments",
            tool.arguments.as_ref().map(|s| printable(&s.to_string())).unwrap_or_default(),
        ),
    ];
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
    rows.map(|(key, value)| vec![key.to_owned(), value]).collect()
}

fn call(
    places: &Places,
    (name, arguments): (&str, &[String]),
    conversation: Option<String>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let arguments = parsed(arguments)?;
    let named = conversation.is_some();
    let options = |stop| {
        let provider = std::sync::Arc::new(Planner::new());
        Options { stop, connect_timeout: CONNECT, conversation, ..Options::new(provider) }
    };
    let outcome = in_runtime(with_session(places, options, async |session| {
        Ok(session.call(name, arguments, &mut Nobody).await)
    }))?;
    if json {
        output::json(&outcome)?;
    } else {
        show(&outcome)?;
        if let Outcome::Refused(refused) = &outcome
            && refused.message.contains("is still open")
            && !named
        {
            output::line(
                "for a later answer, call with `--conversation NAME`, and again with the same",
            )?;
        }
    }
    Ok(ended(&outcome).into())
}

/// How a command ends whose one call came to this.
pub(crate) fn ended(outcome: &Outcome) -> Ended {
    match outcome {
        Outcome::Returned(returned) if returned.is_error => Ended::Failed,
        Outcome::Returned(_) => Ended::Done,
        Outcome::Refused(refused) => Ended::refused(&refused.code),
        Outcome::Failed(_) => Ended::Failed,
    }
}

fn show(outcome: &Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Returned(returned) => {
            for block in &returned.content {
                match block.get("text").and_then(Value::as_str) {
                    Some(text) => output::line(printable(text))?,
                    None => {
                        let kind = block.get("type").and_then(Value::as_str).unwrap_or("content");
                        output::line(format_args!("({})", printable(kind)))?;
                    }
                }
            }
            if let (true, Some(structured)) = (returned.content.is_empty(), &returned.structured) {
                output::line(printable(&structured.to_string()))?;
            }
        }
        Outcome::Refused(refused) => {
            output::line(format_args!("refused: {}", printable(&refused.to_string())))?;
        }
        Outcome::Failed(failed) => {
            output::line(format_args!("no answer: {}", printable(&failed.to_string())))?;
        }
    }
    if let Some(record) = outcome.decision().record {
        output::line(format_args!("record {record}"))?;
    }
    Ok(())
}

/// One JSON object, or NAME=VALUE each.
fn parsed(arguments: &[String]) -> Result<Map<String, Value>, Failure> {
    let help = "write one JSON object, or NAME=VALUE for each argument";
    let unreadable = |message: String| Failure::usage("arguments-unreadable", message, help);
    if let [one] = arguments
        && one.trim_start().starts_with('{')
    {
        let Value::Object(arguments) = held(one).map_err(unreadable)? else {
            return Err(unreadable("it is no object".to_owned()));
        };
        return Ok(arguments);
    }
    let mut parsed = Map::new();
    for pair in arguments {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| unreadable(format!("`{pair}` has no `=`")))?;
        let json = serde_json::from_str::<&serde_json::value::RawValue>(value).is_ok();
        let value = if json { held(value).map_err(unreadable)? } else { Value::from(value) };
        if parsed.insert(name.to_owned(), value).is_some() {
            return Err(unreadable(format!("`{name}` stands twice")));
        }
    }
    Ok(parsed)
}

/// A JSON text as a tree, if a tree can hold it: the gateway would refuse a key that stands twice or
/// a number that nothing holds exactly, and here they would get lost before that.
fn held(json: &str) -> Result<Value, String> {
    let document = Document::read(json.as_bytes(), Limits::default()).map_err(|e| e.to_string())?;
    document.root().to_tree().map_err(|error| error.to_string())
}
