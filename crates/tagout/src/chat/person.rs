//! Questions to the person at the terminal.
use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tagout_host::{
    Another, ApprovalAnswer, ApprovalCard, ApprovalScope, Asking, Event, Form, FormAnswer, Sampled,
    Sampling, SamplingAnswer, Ui, Visit, VisitAnswer,
};
use tagout_llm::{Candidate, MissingSlot};
use tagout_terminal::{Answered, Asked, Card, Tone, ask_line, rows, withdrawal};

use super::{form, painter::Painter};
use crate::failure::Failure;

/// Finds a model by its name, if the person has agreed to it.
pub(crate) type Models = Box<dyn Fn(&str) -> Found + Send + Sync>;
type Found = Asking<'static, Result<Another, Failure>>;

/// The person at the terminal: is shown what happens, and asked.
pub(crate) struct Person {
    painter: Arc<Painter>,
    limit: Duration,
    models: Models,
}

/// How often a model is asked for until there is one of that name.
const TRIES: usize = 3;

/// The terminal is the question's, and nobody else's.
struct Turn {
    painter: Arc<Painter>,
    answered: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.painter.asked(self.answered);
    }
}

impl Person {
    pub(crate) const fn new(painter: Arc<Painter>, limit: Duration, models: Models) -> Self {
        Self { painter, limit, models }
    }

    /// Shows `card`, and waits for a line.
    async fn on_card(&self, card: Card, prompt: &str) -> Option<String> {
        self.painter.card(&card);
        self.line(String::new(), prompt.to_owned()).await
    }

    /// Shows `text` and waits for a line; nothing if there is none. What was typed before the
    /// question stood there is no answer to it.
    pub(crate) async fn line(&self, text: String, prompt: String) -> Option<String> {
        // The one before may have been withdrawn a moment ago.
        let device = self.painter.device().await;
        self.painter.asks();
        let mut turn = Turn { painter: Arc::clone(&self.painter), answered: false };
        // Whoever stops waiting for an answer takes the question back.
        let (_waiting, withdrawn) = withdrawal().ok()?;
        let limit = self.limit;
        let screen = self.painter.screen();
        let asked = tokio::task::spawn_blocking(move || {
            let _device = device;
            let mut lines = rows(&text, Tone::Plain, &screen);
            lines.retain(|_| !text.is_empty());
            lines.push(prompt);
            let question = lines.join("\n");
            ask_line(&Asked { question: &question, limit, withdrawn: &withdrawn, screen: &screen })
        });
        let asked = asked.await;
        turn.answered = true;
        drop(turn);
        match asked {
            Ok(Ok(Answered::Line(line))) => Some(line),
            Ok(
                Ok(Answered::End | Answered::TimedOut | Answered::Withdrawn | Answered::Background)
                | Err(_),
            )
            | Err(_) => None,
        }
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
            let text = format!("{} — {about}{problem}\n  ({hint})", slot.path);
            self.line(text, "> ".to_owned()).await
        })
    }

    fn choose<'a>(&'a mut self, candidates: &'a [Candidate]) -> Asking<'a, Option<usize>> {
        Box::pin(async move {
            let options = candidates.iter().enumerate();
            let options = options.map(|(n, c)| format!("  {} = {}", n + 1, c.title));
            let options: Vec<_> = options.collect();
            let text = format!("Which do you mean?\n{}", options.join("\n"));
            let answer = self.line(text, "> ".to_owned()).await?;
            let number: usize = answer.trim().parse().ok()?;
            number.checked_sub(1).filter(|index| *index < candidates.len())
        })
    }

    fn approve<'a>(&'a mut self, card: &'a ApprovalCard) -> Asking<'a, ApprovalAnswer> {
        Box::pin(async move {
            let no = |message| ApprovalAnswer::Deny { message };
            let Some(code) = code() else { return no(None) };
            let (title, rest) = card.text.split_once('\n').unwrap_or((card.text.as_str(), ""));
            let mut how = format!("Type {code} to approve this call, once.");
            for scope in &card.scopes {
                let (word, meaning) = word_of(*scope);
                how.push_str(&format!("\n{code} {word} approves just these arguments {meaning}."));
            }
            how.push_str("\nAnything else denies it; a sentence is told to the model.");
            let shown = Card::new(title, Tone::Warning).exact(rest.trim_end());
            let shown = shown.text("", Tone::Plain).text(&how, Tone::Strong);
            let Some(line) = self.on_card(shown, "> ").await else { return no(None) };
            meant(&line, &code, &card.scopes)
        })
    }

    fn form<'a>(&'a mut self, form: &'a Form) -> Asking<'a, FormAnswer> {
        Box::pin(async move { form::asked(self, form).await })
    }

    fn visit<'a>(&'a mut self, visit: &'a Visit) -> Asking<'a, VisitAnswer> {
        Box::pin(async move {
            let Visit { message, url, host } = visit;
            let card = Card::new("A server wants you to go to a URL", Tone::Warning)
                .text(message, Tone::Plain)
                .field("host", host)
                .field("URL", url)
                .text(
                    "Nothing was opened. Type nothing there that you would not tell that host.",
                    Tone::Strong,
                );
            let answer = self.on_card(card, "Do you go there? [y/N]").await;
            match answer.as_deref().map(is_yes) {
                Some(true) => VisitAnswer::Accept,
                Some(false) => VisitAnswer::Decline,
                None => VisitAnswer::Cancel,
            }
        })
    }

    fn sample<'a>(&'a mut self, sampling: &'a Sampling) -> Asking<'a, SamplingAnswer> {
        Box::pin(async move {
            let Sampling { model, tokens, .. } = sampling;
            let mut line = self.on_card(sampling_card(sampling), "Let it ask?").await;
            let mut provider = None;
            for _ in 0..TRIES {
                match line.as_deref().map_or(Chosen::Refuse, chosen) {
                    Chosen::Refuse => return SamplingAnswer::Deny,
                    Chosen::Tokens(most) => {
                        let tokens = most.map_or(*tokens, |most| most.min(*tokens));
                        return SamplingAnswer::Allow { tokens, provider };
                    }
                    Chosen::Model(name) => {
                        let told = match (self.models)(&name).await {
                            Ok(found) => {
                                provider = Some(found);
                                format!("`{name}` would answer, not `{model}`.")
                            }
                            Err(failure) => told_of(&failure),
                        };
                        line =
                            self.line(told, "Let it ask? y, or how many tokens:".to_owned()).await;
                    }
                }
            }
            SamplingAnswer::Deny
        })
    }

    fn sampled<'a>(&'a mut self, sampled: &'a Sampled) -> Asking<'a, bool> {
        Box::pin(async move {
            let Sampled { model, text } = sampled;
            let card = Card::new(&format!("`{model}` says"), Tone::Warning).exact(text);
            let answer = self.on_card(card, "Does the server get that? [y/N]").await;
            answer.as_deref().is_some_and(is_yes)
        })
    }
}

pub(super) fn is_yes(line: &str) -> bool {
    matches!(line.trim(), "y" | "Y" | "yes" | "Yes")
}

fn told_of(failure: &Failure) -> String {
    let help = failure.help().map(|help| format!("\n{help}")).unwrap_or_default();
    format!("{} [{}]{help}", failure.message(), failure.code())
}

/// All that a server wants to ask a model.
fn sampling_card(sampling: &Sampling) -> Card {
    let Sampling { server, system, messages, tokens, hints, model } = sampling;
    let who = if server.is_empty() { "A server".to_owned() } else { format!("`{server}`") };
    let title = format!("{who} wants a model's answer. All that it asks:");
    let mut card = Card::new(&title, Tone::Warning);
    if let Some(system) = system {
        card = card.text("instructions", Tone::Quiet).exact(&indented(system));
    }
    for (who, said) in messages {
        card = card.text(who, Tone::Quiet).exact(&indented(said));
    }
    if !hints.is_empty() {
        card = card.text(&format!("It would like {}.", hints.join(", ")), Tone::Quiet);
    }
    let answers = format!("`{model}` would answer, with {tokens} tokens at most.");
    let how = "y lets it ask; a number, with so many tokens at most; PROVIDER:NAME has another model \
               answer. Anything else refuses.";
    card.text(&answers, Tone::Plain).text(how, Tone::Strong)
}

/// What a person says to that.
#[derive(Debug, PartialEq, Eq)]
enum Chosen {
    Refuse,
    /// So many at most, where that was said.
    Tokens(Option<u32>),
    Model(String),
}

fn chosen(line: &str) -> Chosen {
    let line = line.trim();
    if is_yes(line) {
        return Chosen::Tokens(None);
    }
    match line.parse::<u32>() {
        Ok(0) => Chosen::Refuse,
        Ok(most) => Chosen::Tokens(Some(most)),
        Err(_) if line.contains(':') && !line.contains(char::is_whitespace) => {
            Chosen::Model(line.to_owned())
        }
        Err(_) => Chosen::Refuse,
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
    fn a_server_gets_an_answer_only_if_the_person_says_so() {
        for (line, expected) in [
            ("y", Chosen::Tokens(None)),
            (" 50 ", Chosen::Tokens(Some(50))),
            ("0", Chosen::Refuse),
            ("", Chosen::Refuse),
            ("no: not now", Chosen::Refuse),
            ("offline:planner", Chosen::Model("offline:planner".into())),
        ] {
            assert_eq!(chosen(line), expected, "{line}");
        }
    }

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
