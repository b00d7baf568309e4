//! `compare`: one question to several models.
use std::{process::ExitCode, sync::Arc, time::Instant};

use serde_json::{Value, json};
use tagout_host::{Answer, Event, HostError, Ui};
use tagout_llm::Provider as _;
use tagout_terminal::printable;
use tokio_util::sync::CancellationToken;

use crate::{
    chat::{Conversation, Model, Start},
    cli::Compare,
    command::{in_runtime, stop_on_signals, with_gateway},
    failure::{Ended, Failure},
    models, output,
    places::Places,
    setup,
};

/// Asks every model in turn, each in a conversation of its own, and shows what came of it side by
/// side. Calls go through the gateway as always.
pub(crate) fn compare(places: &Places, compare: &Compare, json: bool) -> Result<ExitCode, Failure> {
    // All are looked at before the first is asked.
    let stop = CancellationToken::new();
    let choose = |model| models::choose(places, model, &stop);
    let chosen = compare.model.iter().map(|model| Ok((model, choose(model)?)));
    let mut chosen = chosen.collect::<Result<Vec<_>, Failure>>()?;
    models::agreed(places, chosen.iter_mut().map(|(_, chosen)| chosen), !json)?;
    let mut rows = Vec::new();
    let mut failed = false;
    for (model, chosen) in chosen {
        let (facts, warning) = (chosen.facts, chosen.warning.clone());
        let chosen = Model::of(model, chosen);
        let metered = Arc::clone(&chosen.metered);
        // All under the same instructions, with the same tools and limits.
        let config = setup::config(places)?;
        let start = Start::of(config, chosen, &[], places.state.join("pictures"))?;
        let began = Instant::now();
        let mut counting = Counting::default();
        let asked = asked(places, &start, &compare.question, &mut counting)?;
        let elapsed_ms = began.elapsed().as_millis();
        failed |= asked.is_err();
        let total = metered.total();
        let cost = models::cost(metered.as_ref(), facts, total.usage);
        let note = metered.describe().note;
        let answer = asked.as_ref().map_err(|error| (error.code(), error.to_string()));
        if json {
            output::json(&json!({
                "model": model, "question": compare.question, "elapsed_ms": elapsed_ms,
                "answer": answer.as_ref().ok().map(|answer| as_json(answer)),
                "error": answer.as_ref().err().map(|(code, said)| json!({"code": code, "message": said})),
                "usage": total.usage, "cost": cost, "turns": total.turns, "calls": counting.calls,
                "notes": total.notes, "note": note, "warning": warning,
            }))?;
            continue;
        }
        output::line(format_args!("{}\n", printable(&format!("== {model} ({note})"))))?;
        match &answer {
            Ok(answer) => output::line(printable(&told(answer)))?,
            Err((code, said)) => output::line(printable(&format!("{said} [{code}]")))?,
        }
        for note in total.notes.iter().chain(&warning) {
            output::line(format_args!("note: {}", printable(note)))?;
        }
        output::line("")?;
        let calls = counting.calls;
        let tokens = total.usage.map_or("?".to_owned(), |usage| {
            format!("{}/{}", usage.input_tokens, usage.output_tokens)
        });
        let time = format!("{elapsed_ms} ms");
        rows.push(vec![printable(model), calls.to_string(), time, tokens, cost]);
    }
    if !json {
        let header = ["MODEL", "CALLS", "TIME", "TOKENS IN/OUT", "COST"].map(str::to_owned);
        rows.insert(0, header.to_vec());
        output::line(output::table(&rows))?;
    }
    Ok(if failed { Ended::Failed } else { Ended::Done }.into())
}

/// Puts the question in a conversation of its own, which is kept nowhere and on record all the
/// same.
fn asked(
    places: &Places,
    start: &Start,
    question: &str,
    counting: &mut Counting,
) -> Result<Result<Answer, HostError>, Failure> {
    let conversation = Conversation::unkept(places, start)?;
    in_runtime(async {
        let stop = stop_on_signals()?;
        let options = start.options(stop.clone(), Some(conversation.name()), false);
        with_gateway(places, options, stop, async |session, gateway| {
            conversation.go_on(session, gateway)?;
            let asked = session.ask(question, counting).await;
            conversation.rest(session);
            Ok(asked)
        })
        .await
    })
}

/// What was called and what was said.
fn told(answer: &Answer) -> String {
    let calls = answer.calls.iter().map(|call| format!("{} {}", call.tool, call.arguments));
    calls.chain([answer.text.clone()]).collect::<Vec<_>>().join("\n")
}

fn as_json(answer: &Answer) -> Value {
    let calls: Vec<_> = answer
        .calls
        .iter()
        .map(|call| {
            json!({"tool": call.tool, "arguments": call.arguments,
                   "record": call.outcome.decision().record})
        })
        .collect();
    json!({"status": answer.status, "text": answer.text, "calls": calls})
}

/// Shows nothing, and has nothing to add. Counts calls, those of a question that failed too.
#[derive(Default)]
struct Counting {
    calls: usize,
}

impl Ui for Counting {
    fn event(&mut self, event: &Event) {
        self.calls += usize::from(matches!(event, Event::Finished { .. }));
    }
}
