//! What happens, line by line: for a terminal that is read later, a file, a program.
use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
};

use serde_json::{Value, json};
use tagout_host::{Answer, Asking, Event, Outcome, Ui, Verdict};
use tagout_llm::{Candidate, MissingSlot, Plan};
use tagout_terminal::printable;

use super::pictures::Pictures;
use crate::{cli::Output, failure::Failure, output};

/// Shows events as they come.
pub(crate) struct Lines {
    output: Output,
    pictures: Pictures,
    plans: Vec<Plan>,
    failure: Option<Failure>,
}

impl Ui for Lines {
    fn event(&mut self, event: &Event) {
        let shown = self.shown(event);
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

impl Lines {
    /// Shows events as `output` wants, and puts pictures into `folder`.
    pub(crate) const fn new(output: Output, folder: PathBuf) -> Self {
        Self { output, pictures: Pictures::new(folder), plans: Vec::new(), failure: None }
    }

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
        if self.output != Output::Text || !io::stdin().is_terminal() || !io::stderr().is_terminal()
        {
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

    fn shown(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::Planned { plan, .. } => self.plans.push(plan.clone()),
            Event::Finished { outcome, .. } => {
                for image in outcome.images() {
                    self.pictures.take(outcome.decision().record, &image)?;
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
        match self.output {
            Output::Text => self.print(event),
            Output::StreamJson => output::json(&as_json(event)),
            Output::Json => Ok(()),
        }
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
        for path in self.pictures.saved() {
            output::line(format_args!("\nPicture    {}", path.display()))?;
        }
        let records = answer.calls.iter().filter_map(|call| call.outcome.decision().record);
        for record in records {
            output::line(format_args!("\nRecord     {record} (see `tagout audit show {record}`)"))?;
        }
        Ok(())
    }

    /// All of it, for a program.
    pub(crate) fn whole(&self, question: &str, answer: &Answer) -> Value {
        let mut answer = serde_json::to_value(answer).unwrap_or_default();
        without_pictures(&mut answer);
        let pictures: Vec<_> =
            self.pictures.saved().iter().map(|path| path.display().to_string()).collect();
        json!({"question": question, "plans": self.plans, "answer": answer, "pictures": pictures})
    }

    /// What went wrong while something was shown.
    pub(crate) const fn failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }
}

/// An event for a program.
fn as_json(event: &Event) -> Value {
    let mut event = serde_json::to_value(event).unwrap_or_default();
    without_pictures(&mut event);
    event
}

/// Pictures are in files; their bytes would drown the rest.
fn without_pictures(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(without_pictures),
        Value::Object(map) => {
            if map.get("type").is_some_and(|kind| kind == "image") {
                map.remove("data");
            }
            if map.get("rounds").is_some_and(Value::is_number) {
                map.remove("images");
            }
            map.values_mut().for_each(without_pictures);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
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
