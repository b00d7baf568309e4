//! One question, one answer.
use std::{
    io::{self, IsTerminal as _, Read as _},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tagout_host::{Answer, Status, Ui};
use tagout_llm::Provider as _;
use tagout_terminal::printable;

use super::{
    input,
    kept::Conversation,
    lines::Lines,
    live,
    painter::Painter,
    person::Person,
    start::{self, Start},
};
use crate::{
    cli::{How, Output},
    command::{in_runtime, stop_on_signals, tools, with_gateway},
    failure::{Ended, Failure},
    models, output,
    places::Places,
};

/// A question on standard input is at most so long, in bytes.
const QUESTION: u64 = 1 << 20;

/// Asks, shows what happens on the way, and ends as the last call did.
pub(crate) fn once(
    places: &Places,
    question: Option<&str>,
    how: &How,
    json: bool,
) -> Result<ExitCode, Failure> {
    let output = how.output.unwrap_or(if json { Output::Json } else { Output::Text });
    let question = match question {
        Some(question) => question.to_owned(),
        None => on_input()?,
    };
    // Only what is named as such: the words of a question may be anybody's.
    let attached =
        how.attach.iter().map(|named| attachment(named)).collect::<Result<Vec<_>, _>>()?;
    let start = Start::new(places, how, output == Output::Text)?;
    let conversation = Conversation::open(places, &start, how)?;
    // A model's words are worth showing as they come; what is rule-based comes at once.
    let streams = output == Output::Text
        && io::stdout().is_terminal()
        && start.model.metered.describe().language_model;
    let mut lines = Lines::new(output, start.pictures.clone());
    let painter = Arc::new(Painter::new(live::screen(&start), start.pictures.clone()));
    let mut person = Person::new(Arc::clone(&painter), Duration::ZERO, start::others(places));
    let answer = in_runtime(async {
        let stop = stop_on_signals()?;
        let options = start.options(stop.clone(), Some(conversation.name()), false);
        with_gateway(places, options, stop, async |session, gateway| {
            conversation.go_on(session, gateway)?;
            let mut asked = tagout_host::Question::from(&question);
            for (server, uri) in &attached {
                let resource = session.attach(server, uri).await;
                let resource = resource.map_err(|error| Failure::of(&error, error.code(), ""))?;
                asked.attached.push(resource);
            }
            let ui: &mut dyn Ui = if streams { &mut person } else { &mut lines };
            let answer = session.ask(asked, ui).await;
            conversation.rest(session);
            painter.rest();
            answer.map_err(|error| Failure::of(&error, error.code(), ""))
        })
        .await
    })?;
    if let Some(failure) = lines.failure() {
        return Err(failure);
    }
    told(&start, &lines, (&question, &answer), output)?;
    Ok(ended(&answer).into())
}

/// Server and URI of `SERVER:URI`.
fn attachment(named: &str) -> Result<(String, String), Failure> {
    input::attachment(&format!("@{}", named.trim_start_matches('@'))).ok_or_else(|| {
        let message = format!("`{}` names no resource", printable(named));
        Failure::usage("usage-invalid", message, "write SERVER:URI, as in /resources of a chat")
    })
}

fn on_input() -> Result<String, Failure> {
    let mut question = String::new();
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    let read = io::stdin().lock().take(QUESTION + 1).read_to_string(&mut question);
    let read = read.map_err(|error| Failure::io(std::path::Path::new("standard input"), error))?;
    if u64::try_from(read).is_ok_and(|read| read > QUESTION) {
        let message = format!("the question is longer than {QUESTION} bytes");
        return Err(Failure::usage("question-too-long", message, "attach what is long"));
    }
    if question.trim().is_empty() {
        let message = "there is no question on standard input";
        return Err(Failure::usage("question-missing", message, "write one after `-p`"));
    }
    Ok(question.trim().to_owned())
}

/// What there is to say at the end.
fn told(
    start: &Start,
    lines: &Lines,
    (question, answer): (&str, &Answer),
    output: Output,
) -> Result<(), Failure> {
    let total = start.model.metered.total();
    for note in &total.notes {
        output::aside(printable(note));
    }
    match output {
        Output::Text => {
            let Some(usage) = total.usage else { return Ok(()) };
            let (read, written) = (usage.input_tokens, usage.output_tokens);
            let cost = models::cost(start.model.metered.as_ref(), start.model.facts, total.usage);
            output::line(format_args!("\nCost       {cost} ({read} tokens in, {written} out)"))
        }
        Output::Json => output::json(&lines.whole(question, answer)),
        Output::StreamJson => Ok(()),
    }
}

fn ended(answer: &Answer) -> Ended {
    match answer.status {
        Status::Complete => answer.calls.last().map_or(Ended::Done, |c| tools::ended(&c.outcome)),
        Status::NoToolFits
        | Status::NeedsInput
        | Status::NeedsChoice
        | Status::RoundLimit
        | Status::CallLimit
        | Status::TokenLimit
        | Status::CostLimit
        | Status::TimeLimit
        | Status::Repeating
        | Status::CanaryFound
        | Status::CutShort
        | Status::Declined
        | Status::Cancelled => Ended::Failed,
    }
}
