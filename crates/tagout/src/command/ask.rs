//! `ask`: one question to the assistant.
use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use base64::Engine as _;
use serde_json::{Value, json};
use tagout_host::{Answer, Asking, Event, Options, Outcome, Status, Ui, Verdict, printable};
use tagout_llm::{Candidate, Image, MissingSlot, Plan};

use crate::{
    cli::Ask,
    command::{CONNECT, in_runtime, tools, with_session},
    failure::{Ended, Failure},
    models::{self, Metered},
    output,
    places::Places,
};

/// Asks, shows what happens on the way, and ends as the last call did.
pub(crate) fn ask(places: &Places, ask: Ask, json: bool) -> Result<ExitCode, Failure> {
    let chosen = models::choose(places, &ask.model)?;
    if let Some(warning) = &chosen.warning {
        output::aside(printable(warning));
    }
    models::agreed(places, [&chosen], !json)?;
    let metered = Arc::new(Metered::new(chosen.provider));
    let provider = Arc::clone(&metered);
    let pictures = ask.pictures.unwrap_or_else(|| places.state.join("pictures"));
    let turn_timeout = models::patience(metered.as_ref());
    let options = |stop| {
        let options = Options::new(provider);
        Options { stop, connect_timeout: CONNECT, turn_timeout, ..options }
    };
    let question = ask.question;
    let mut shown = Shown { json, pictures, saved: Vec::new(), plans: Vec::new(), failure: None };
    let answer = in_runtime(with_session(places, options, async |session| {
        let answer = session.ask(&question, &mut shown).await;
        answer.map_err(|error| Failure::of(&error, error.code(), ""))
    }))?;
    if let Some(failure) = shown.failure.take() {
        return Err(failure);
    }
    let total = metered.total();
    for note in &total.notes {
        output::aside(printable(note));
    }
    if json {
        output::json(&shown.as_json(&question, &answer))?;
    } else if let Some(usage) = total.usage {
        let (read, written) = (usage.input_tokens, usage.output_tokens);
        let cost = models::cost(metered.as_ref(), chosen.facts, total.usage);
        output::line(format_args!("\nCost       {cost} ({read} tokens in, {written} out)"))?;
    }
    Ok(ended(&answer).into())
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

/// Shows events as they come.
struct Shown {
    json: bool,
    pictures: PathBuf,
    saved: Vec<PathBuf>,
    plans: Vec<Plan>,
    failure: Option<Failure>,
}

impl Ui for Shown {
    fn event(&mut self, event: &Event) {
        let shown = self.show(event);
        if let (Err(failure), None) = (shown, &self.failure) {
            self.failure = Some(failure);
        }
    }

    fn fill<'a>(&'a mut self, slot: &'a MissingSlot) -> Asking<'a, Option<String>> {
        let about = slot.description.as_deref().unwrap_or(&slot.constraint);
        let problem = slot.problem.as_deref().map(|p| format!(" ({p})")).unwrap_or_default();
        let question = format!("{} — {about}{problem}", slot.path);
        let allowed = slot.allowed.join(", ");
        let hint = if allowed.is_empty() { slot.constraint.clone() } else { allowed };
        Box::pin(std::future::ready(self.prompt(&question, &hint)))
    }

    fn choose<'a>(&'a mut self, candidates: &'a [Candidate]) -> Asking<'a, Option<usize>> {
        Box::pin(std::future::ready(self.chosen(candidates)))
    }
}

/// An answer to a question about a missing value is short.
const ANSWER_BYTES: u64 = 4096;

impl Shown {
    fn chosen(&self, candidates: &[Candidate]) -> Option<usize> {
        let options: Vec<_> = candidates
            .iter()
            .enumerate()
            .map(|(n, c)| format!("{} = {}", n + 1, c.title))
            .collect();
        let answer = self.prompt("Which do you mean?", &options.join(", "))?;
        let number: usize = answer.trim().parse().ok()?;
        number.checked_sub(1).filter(|index| *index < candidates.len())
    }

    /// Asks the person at the terminal; nothing where there is none.
    fn prompt(&self, question: &str, hint: &str) -> Option<String> {
        if self.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        let mut stderr = io::stderr();
        let question = printable(question);
        write!(stderr, "\n{question}\n  ({})\n> ", printable(hint)).ok()?;
        stderr.flush().ok()?;
        let mut line = String::new();
        io::Read::take(io::stdin().lock(), ANSWER_BYTES).read_line(&mut line).ok()?;
        Some(line.trim().to_owned()).filter(|line| !line.is_empty())
    }

    fn show(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::Planned { plan, .. } => self.plans.push(plan.clone()),
            Event::Finished { outcome, .. } => {
                for image in outcome.images() {
                    let record = outcome.decision().record;
                    let path = save(&self.pictures, record, self.saved.len(), &image)?;
                    self.saved.push(path);
                }
            }
            Event::Asked { .. }
            | Event::Said { .. }
            | Event::Filled { .. }
            | Event::Chosen { .. }
            | Event::Proposed { .. }
            | Event::Decided { .. }
            | Event::Streamed { .. }
            | Event::Turned { .. }
            | Event::Concerned { .. }
            | Event::Progress { .. }
            | Event::Logged { .. }
            | Event::Answered { .. } => {}
        }
        if self.json { Ok(()) } else { self.print(event) }
    }

    fn print(&self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::Asked { model, .. } => {
                let told = printable(&format!("{} ({})", model.name, model.note));
                output::line(format_args!("Assistant  {told}"))
            }
            Event::Planned { plan, .. } => print_plan(plan),
            Event::Said { text } => output::line(printable(text)),
            Event::Filled { .. }
            | Event::Chosen { .. }
            | Event::Streamed { .. }
            | Event::Turned { .. }
            | Event::Concerned { .. }
            | Event::Progress { .. }
            | Event::Logged { .. } => Ok(()),
            Event::Proposed { tool, arguments, .. } => {
                let arguments = serde_json::to_string_pretty(arguments).unwrap_or_default();
                output::line(format_args!("\nCall       {}", printable(tool)))?;
                output::line(indented(&printable(&arguments)))
            }
            Event::Decided { decision, .. } => {
                let verdict = match decision.verdict {
                    Some(Verdict::Allow) => "allowed",
                    Some(Verdict::Ask) => "approved by a person, as asked",
                    Some(Verdict::Deny) => "denied",
                    None => "no decision is known",
                };
                let rule = decision.rule.as_deref().map(|rule| format!(" by rule `{rule}`"));
                let rule = printable(&rule.unwrap_or_default());
                output::line(format_args!("\nGateway    {verdict}{rule}"))
            }
            Event::Finished { outcome, elapsed_ms, .. } => self.print_outcome(outcome, *elapsed_ms),
            Event::Answered { answer } => self.print_answer(answer),
        }
    }

    fn print_outcome(&self, outcome: &Outcome, elapsed_ms: u64) -> Result<(), Failure> {
        match outcome {
            Outcome::Returned(_) => {
                output::line(format_args!("Server     answered in {elapsed_ms} ms"))
            }
            Outcome::Refused(refused) => {
                output::line(format_args!("Refused    {}", printable(&refused.to_string())))
            }
            Outcome::Failed(failed) => {
                output::line(format_args!("No answer  {}", printable(&failed.to_string())))
            }
        }
    }

    fn print_answer(&self, answer: &Answer) -> Result<(), Failure> {
        output::line(format_args!("\nAnswer\n{}", printable(&answer.text)))?;
        for path in &self.saved {
            output::line(format_args!("\nPicture    {}", path.display()))?;
        }
        let records = answer.calls.iter().filter_map(|call| call.outcome.decision().record);
        for record in records {
            output::line(format_args!("\nRecord     {record} (see `tagout audit show {record}`)"))?;
        }
        Ok(())
    }

    fn as_json(&self, question: &str, answer: &Answer) -> Value {
        // Pictures are in files; their bytes would drown the rest.
        let mut answer = serde_json::to_value(answer).unwrap_or_default();
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("images");
            if let Some(Value::Array(calls)) = answer.get_mut("calls") {
                calls.iter_mut().for_each(without_pictures);
            }
        }
        let pictures: Vec<_> = self.saved.iter().map(|p| p.display().to_string()).collect();
        json!({"question": question, "plans": self.plans, "answer": answer, "pictures": pictures})
    }
}

fn without_pictures(call: &mut Value) {
    let content = call.pointer_mut("/outcome/content").and_then(Value::as_array_mut);
    for block in content.into_iter().flatten().filter_map(Value::as_object_mut) {
        if block.get("type").is_some_and(|kind| kind == "image") {
            block.remove("data");
        }
    }
}

fn print_plan(plan: &Plan) -> Result<(), Failure> {
    output::line(format_args!("\nPlan       {}", printable(&plan.summary)))?;
    let rows = plan.bindings.iter().map(|binding| {
        let converted = binding.conversion.as_deref().map(|c| format!(", {c}")).unwrap_or_default();
        let from = format!("from \"{}\"{converted}", binding.source.text);
        let value = binding.value.to_string();
        [binding.path.as_str(), value.as_str(), &from].map(printable).to_vec()
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        output::line(indented(&output::table(&rows)))?;
    }
    if !plan.left_out.is_empty() {
        let left_out = printable(&plan.left_out.join(", "));
        output::line(format_args!("           not given, so not sent: {left_out}"))?;
    }
    let unused: Vec<_> = plan.unused.iter().map(|source| source.text.as_str()).collect();
    if !unused.is_empty() {
        let unused = printable(&unused.join(", "));
        output::line(format_args!("           in the question, and not used: {unused}"))?;
    }
    Ok(())
}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| format!("           {line}")).collect();
    lines.join("\n")
}

/// Puts a picture into a file of its own, readable by its owner only.
fn save(
    folder: &Path,
    record: Option<u64>,
    number: usize,
    image: &Image,
) -> Result<PathBuf, Failure> {
    let extension = match image.media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/webp" => "webp",
        "image/gif" => "gif",
        _ => "bin",
    };
    let record = record.map_or_else(|| "unrecorded".to_owned(), |record| record.to_string());
    let path = folder.join(format!("record-{record}-{}.{extension}", number + 1));
    let failed = |error| Failure::io(&path, error);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(&image.base64)
        .map_err(|e| Failure::of(&e, "picture-unreadable", "the server sent no sound picture"))?;
    let mut open = OpenOptions::new();
    let mut file =
        open.write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    Ok(path)
}
