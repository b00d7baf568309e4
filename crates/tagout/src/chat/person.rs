//! Questions to the person at the terminal.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Map, Value};
use tagout_host::{ApprovalAnswer, ApprovalCard, ApprovalScope, Asking, Event, Form, FormAnswer, Sampled, Sampling, SamplingAnswer, Ui, Visit, VisitAnswer};
use tagout_llm::{Candidate, MissingSlot};
use tagout_terminal::{Answered, Asked, ask_line, printable};

use super::{form, painter::Painter};

/// The person at the terminal: is shown what happens, and asked.
pub(crate) struct Person {
    painter: Arc<Painter>,
    limit: Duration,
}

/// Whoever stops waiting for an answer takes the question back.
struct Withdrawn(Arc<AtomicBool>);

impl Drop for Withdrawn {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The terminal is the question's, and nobody else's.
struct Turn(Arc<Painter>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.asked();
    }
}

impl Person {
    pub(crate) const fn new(painter: Arc<Painter>, limit: Duration) -> Self {
        Self { painter, limit }
    }

    /// Shows `text`, clean already, and waits for a line; nothing if there is none. What was typed
    /// before the question stood there is no answer to it.
    pub(crate) async fn line(&self, text: String, prompt: String) -> Option<String> {
        let _turn = Turn(Arc::clone(&self.painter));
        self.painter.asks();
        let withdrawn = Withdrawn(Arc::new(AtomicBool::new(false)));
        let flag = Arc::clone(&withdrawn.0);
        let limit = self.limit;
        let screen = self.painter.screen();
        let asked = tokio::task::spawn_blocking(move || {
            let question = format!("{text}\n{prompt}");
            ask_line(&Asked { question: &question, limit, withdrawn: &flag, screen: &screen })
        });
        match asked.await {
            Ok(Ok(Answered::Line(line))) => Some(line),
            Ok(
                Ok(Answered::End | Answered::TimedOut | Answered::Withdrawn | Answered::Background)
                | Err(_),
            )
            | Err(_) => None,
        }
    }

    async fn yes(&self, text: String, question: &str) -> bool {
        let answer = self.line(text, format!("{question} [y/N] ")).await;
        answer.is_some_and(|line| matches!(line.trim(), "y" | "Y" | "yes" | "Yes"))
    }
}

/// Something to type that cannot be meant for another card: what stands there may have changed a
/// moment ago.
fn code() -> Option<String> {
    // Without letters that look like digits.
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz";
    let mut random = [0; 4];
    getrandom::fill(&mut random).ok()?;
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied().map(char::from);
    random.into_iter().map(letter).collect()
}

impl Ui for Person {
    fn event(&mut self, event: &Event) {
        self.painter.event(event);
    }

    fn fill<'a>(&'a mut self, slot: &'a MissingSlot) -> Asking<'a, Option<String>> {
        Box::pin(async move {
            let about = slot.description.as_deref().unwrap_or(&slot.constraint);
            let problem = slot.problem.as_deref().map(|p| format!(" ({p})")).unwrap_or_default();
            let allowed = slot.allowed.join(", ");
            let hint = if allowed.is_empty() { slot.constraint.clone() } else { allowed };
            let text = printable(&format!("\n{} — {about}{problem}\n  ({hint})", slot.path));
            self.line(text, "> ".to_owned()).await
        })
    }

    fn choose<'a>(&'a mut self, candidates: &'a [Candidate]) -> Asking<'a, Option<usize>> {
        Box::pin(async move {
            let options = candidates.iter().enumerate();
            let options = options.map(|(n, c)| format!("  {} = {}", n + 1, c.title));
            let options: Vec<_> = options.collect();
            let text = printable(&format!("\nWhich do you mean?\n{}", options.join("\n")));
            let answer = self.line(text, "> ".to_owned()).await?;
            let number: usize = answer.trim().parse().ok()?;
            number.checked_sub(1).filter(|index| *index < candidates.len())
        })
    }

    fn approve<'a>(&'a mut self, card: &'a ApprovalCard) -> Asking<'a, ApprovalAnswer> {
        Box::pin(async move {
            let no = |message| ApprovalAnswer::Deny { message };
            let Some(code) = code() else { return no(None) };
            let mut how = format!("\nType {code} to approve this call, once.");
            for scope in &card.scopes {
                let (word, meaning) = word_of(*scope);
                how.push_str(&format!("\n{code} {word} approves just these arguments {meaning}."));
            }
            how.push_str("\nAnything else denies it; what you type is told to the model.\n");
            let text = format!("\n{}\n{how}", card.text);
            let Some(line) = self.line(text, "> ".to_owned()).await else { return no(None) };
            meant(&line, &code, &card.scopes)
        })
    }

    fn form<'a>(&'a mut self, form: &'a Form) -> Asking<'a, FormAnswer> {
        Box::pin(async move { form::asked(self, form).await })
    }

    fn visit<'a>(&'a mut self, visit: &'a Visit) -> Asking<'a, VisitAnswer> {
        Box::pin(async move {
            let Visit { message, url, host } = visit;
            let text = format!(
                "\n{message}\n\n  host  {host}\n  URL   {url}\n\n\
                 Nothing was opened. Type nothing there that you would not tell that host."
            );
            let answer = self.line(printable(&text), "Do you go there? [y/N] ".to_owned()).await;
            match answer.as_deref().map(str::trim) {
                Some("y" | "Y" | "yes") => VisitAnswer::Accept,
                Some(_) => VisitAnswer::Decline,
                None => VisitAnswer::Cancel,
            }
        })
    }

    fn sample<'a>(&'a mut self, sampling: &'a Sampling) -> Asking<'a, SamplingAnswer> {
        Box::pin(async move {
            let mut text = "\nA server wants a model's answer. All that it asks:\n".to_owned();
            if let Some(system) = &sampling.system {
                text.push_str(&format!("\n  instructions\n{}\n", indented(system)));
            }
            for (who, said) in &sampling.messages {
                text.push_str(&format!("\n  {who}\n{}\n", indented(said)));
            }
            if !sampling.hints.is_empty() {
                text.push_str(&format!("\nIt would like {}.", sampling.hints.join(", ")));
            }
            let Sampling { model, tokens, .. } = sampling;
            text.push_str(&format!("\n`{model}` would answer, with {tokens} tokens at most.\n"));
            let prompt = "Let it? y, or how many tokens; anything else refuses: ".to_owned();
            let Some(line) = self.line(printable(&text), prompt).await else {
                return SamplingAnswer::Deny;
            };
            match line.trim() {
                "y" | "Y" | "yes" => SamplingAnswer::Allow { tokens: *tokens, provider: None },
                number => match number.parse::<u32>() {
                    Ok(fewer) if fewer > 0 => {
                        SamplingAnswer::Allow { tokens: fewer.min(*tokens), provider: None }
                    }
                    Ok(_) | Err(_) => SamplingAnswer::Deny,
                },
            }
        })
    }

    fn sampled<'a>(&'a mut self, sampled: &'a Sampled) -> Asking<'a, bool> {
        Box::pin(async move {
            let Sampled { model, text } = sampled;
            let text = printable(&format!("\n`{model}` says:\n{}\n", indented(text)));
            self.yes(text, "Does the server get that?").await
        })
    }
}

const fn word_of(scope: ApprovalScope) -> (&'static str, &'static str) {
    match scope {
        ApprovalScope::Conversation => ("conversation", "for this conversation"),
        ApprovalScope::Always => ("always", "always"),
    }
}

/// What is typed means what the card offers, or no.
fn meant(line: &str, code: &str, scopes: &[ApprovalScope]) -> ApprovalAnswer {
    let mut words = line.split_whitespace();
    let coded = words.next().is_some_and(|word| word.eq_ignore_ascii_case(code));
    let scope = words.next();
    let offered = |word: &str| {
        let is = |scope: &&ApprovalScope| word_of(**scope).0.eq_ignore_ascii_case(word);
        scopes.iter().find(is).copied()
    };
    let answer = match (coded, scope, words.next()) {
        (true, None, None) => Some(ApprovalAnswer::Once),
        (true, Some(word), None) => offered(word).map(ApprovalAnswer::For),
        (true, _, Some(_)) | (false, _, _) => None,
    };
    let said = Some(line.trim().to_owned()).filter(|said| !coded && said.contains(' '));
    answer.unwrap_or(ApprovalAnswer::Deny { message: said })
}

pub(crate) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// What a form's field means, as it is sent.
pub(crate) type Content = Map<String, Value>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_approves() {
        let offered = [ApprovalScope::Conversation];
        let deny =
            |message: Option<&str>| ApprovalAnswer::Deny { message: message.map(Into::into) };
        for (line, expected) in [
            ("abcd", ApprovalAnswer::Once),
            (" ABCD ", ApprovalAnswer::Once),
            ("abcd conversation", ApprovalAnswer::For(ApprovalScope::Conversation)),
            ("abcd always", deny(None)),
            ("abcd conversation x", deny(None)),
            ("y", deny(None)),
            ("", deny(None)),
            ("abc", deny(None)),
            ("use the other region", deny(Some("use the other region"))),
        ] {
            assert_eq!(meant(line, "abcd", &offered), expected, "{line}");
        }
    }
}
