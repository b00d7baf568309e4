//! `models`: which there are, and whether one works.
mod pin;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tagout_host::HostError;
use tagout_llm::{Facts, Message, Part, Provider, Role, ToolSpec, Turn, TurnRequest};
use tagout_terminal::printable;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::Models,
    command::in_runtime,
    failure::{Ended, Failure},
    models::{self, Metered, Standing},
    output,
    places::Places,
};

/// Lists models, or tries one.
pub(crate) fn models(places: &Places, models: &Models, json: bool) -> Result<ExitCode, Failure> {
    match models {
        Models::Ls { provider: None } => list(places, json),
        Models::Ls { provider: Some(provider) } => ask_for_list(places, provider, json),
        Models::Check { model, seconds } => check(places, model, *seconds, json),
        Models::Pin { model } => pin::pin(places, model, json),
    }
}

fn list(places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let providers = models::providers(places)?;
    let mut rows = vec![["PROVIDER", "WIRE", "HOST", "KEY"].map(str::to_owned).to_vec()];
    let mut suffixes = Vec::new();
    for row in providers.rows() {
        let standing = models::standing(places, row);
        let wire = serde_json::to_value(row.wire).unwrap_or_default();
        let reference = row.key.as_ref().map(ToString::to_string);
        if json {
            output::json(&json!({
                "provider": row.name, "wire": wire, "url": row.url, "key": reference,
                "standing": standing, "configured": row.configured, "suffix": row.settings.suffix,
            }))?;
            continue;
        }
        let key = match (standing, reference) {
            (Standing::There, Some(reference)) => format!("{reference}, is there"),
            (Standing::Missing, Some(reference)) => format!("{reference}, missing"),
            (Standing::NotNeeded | Standing::There | Standing::Missing, _) => "none".to_owned(),
        };
        let wire = wire.as_str().unwrap_or_default().to_owned();
        rows.push(vec![row.name.clone(), wire, row.host().to_owned(), printable(&key)]);
        if let Some(suffix) = &row.settings.suffix {
            let suffix = printable(suffix);
            suffixes.push(format!("instructions for `{}` end in: {suffix}", row.name));
        }
    }
    let catalogue = &providers.catalogue;
    let header = ["MODEL", "CONTEXT", "USD/M IN", "USD/M OUT", "TOOLS", "IMAGES"];
    let mut known = vec![header.map(str::to_owned).to_vec()];
    for entry in catalogue.models() {
        if json {
            output::json(&json!({"model": format!("{}:{}", entry.provider, entry.id),
                                 "as_of": catalogue.as_of, "facts": entry.facts}))?;
        } else {
            known.push(row(&format!("{}:{}", entry.provider, entry.id), entry.facts));
        }
    }
    if json {
        return Ok(Ended::Done.into());
    }
    output::line(output::table(&rows))?;
    suffixes.iter().try_for_each(output::line)?;
    output::line(format_args!("\n{}", output::table(&known)))?;
    output::line(format_args!(
        "\nKnown on {}; any other model of these providers can be used, at a cost that is not known.\n\
         Also `offline:planner` (no model), `local:FILE.gguf`, `script:FILE`, `record:DIR,PROVIDER:MODEL`, \
         `replay:DIR`.",
        catalogue.as_of
    ))?;
    Ok(Ended::Done.into())
}

fn ask_for_list(places: &Places, provider: &str, json: bool) -> Result<ExitCode, Failure> {
    let remote = models::provider(places, provider)?;
    let names = in_runtime(async {
        let listed = in_time(models::patience(&remote), remote.list()).await?;
        listed.map_err(|error| Failure::of(&error, error.code(), ""))
    })?;
    for name in names {
        let name = format!("{provider}:{name}");
        if json {
            output::json(&json!({ "model": name }))?;
        } else {
            output::line(printable(&name))?;
        }
    }
    Ok(Ended::Done.into())
}

/// What comes of `waited`, if it comes in time.
async fn in_time<T>(most: Duration, waited: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(most, waited).await.map_err(|_elapsed| {
        let error = HostError::ProviderTimeout { waited: most };
        Failure::of(&error, error.code(), "")
    })
}

fn row(name: &str, facts: Facts) -> Vec<String> {
    let unknown = || "?".to_owned();
    let dollars = |price: Option<f64>| price.map_or_else(unknown, |price| price.to_string());
    let yes = |fact: Option<bool>| match fact {
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
        None => unknown(),
    };
    let context = facts.context.map_or_else(unknown, |context| context.to_string());
    vec![
        printable(name),
        context,
        dollars(facts.input),
        dollars(facts.output),
        yes(facts.tools),
        yes(facts.vision),
    ]
}

/// A tool that nobody has; nothing is called.
fn probe() -> ToolSpec {
    ToolSpec {
        name: "tagout_probe".into(),
        title: None,
        description: Some(
            "Confirms that you can call tools. Call it once with word \"ready\".".into(),
        ),
        input_schema: json!({"type": "object", "required": ["word"], "additionalProperties": false,
                             "properties": {"word": {"type": "string", "enum": ["ready"]}}}),
        output_schema: None,
    }
}

fn check(
    places: &Places,
    model: &str,
    seconds: Option<u64>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let chosen = models::choose(places, model, &CancellationToken::new())?;
    let metered = Arc::new(Metered::new(chosen.provider));
    let messages =
        [Message::text(Role::User, "Call the tool `tagout_probe` with the word `ready`.")];
    let tools = [probe()];
    let most = seconds.map_or_else(|| models::patience(metered.as_ref()), Duration::from_secs);
    let began = Instant::now();
    let turn = in_runtime(async {
        let asked = metered.turn(TurnRequest::new(&messages, &tools));
        in_time(most, asked).await?.map_err(|error| Failure::of(&error, error.code(), ""))
    })?;
    let elapsed_ms = began.elapsed().as_millis();
    let calls = calls_it(&turn);
    let cost = models::cost(metered.as_ref(), chosen.facts, turn.usage);
    if json {
        output::json(&json!({
            "model": model, "answered": true, "calls_tools": calls, "elapsed_ms": elapsed_ms,
            "usage": turn.usage, "cost": cost, "notes": turn.notes,
            "note": metered.describe().note, "warning": chosen.warning,
        }))?;
    } else {
        let tokens = turn.usage.map_or("tokens unknown".to_owned(), |usage| {
            format!("{} tokens in, {} out", usage.input_tokens, usage.output_tokens)
        });
        let info = metered.describe();
        let says = if calls { "yes" } else { "no: it answered without the call it was asked for" };
        output::line(output::table(&[
            vec!["model".to_owned(), printable(&format!("{} ({})", info.name, info.note))],
            vec!["answers".to_owned(), format!("yes, in {elapsed_ms} ms")],
            vec!["calls tools".to_owned(), says.to_owned()],
            vec!["cost".to_owned(), format!("{cost} ({tokens})")],
        ]))?;
        for note in turn.notes.iter().chain(&chosen.warning) {
            output::line(format_args!("note: {}", printable(note)))?;
        }
    }
    Ok(if calls { Ended::Done } else { Ended::Failed }.into())
}

fn calls_it(turn: &Turn) -> bool {
    turn.parts.iter().any(|part| match part {
        Part::ToolCall(call) => {
            let arguments: serde_json::Value =
                serde_json::from_str(&call.arguments_raw).unwrap_or_default();
            call.name == "tagout_probe" && arguments == json!({"word": "ready"})
        }
        Part::Text { .. }
        | Part::Image(_)
        | Part::ToolResult(_)
        | Part::Attached { .. }
        | Part::Reasoning { .. }
        | Part::Refusal { .. } => false,
    })
}
