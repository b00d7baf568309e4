//! The `[host]` part: which model answers, and what the assistant may do of itself. For the
//! assistant: no call depends on it.
use std::{path::PathBuf, time::Duration};

use toml::Spanned;

use super::{ConfigError, Reader};

/// What the assistant is and may do.
#[derive(Clone, Debug)]
pub struct Host {
    /// Which model answers, `PROVIDER:NAME`.
    pub model: String,
    /// The operator's own system prompt.
    pub instructions: Option<Instructions>,
    /// Names of the tools that it may see and call, `*` in them standing for anything.
    pub tools: Vec<String>,
    /// Bounds on one question.
    pub bounds: QuestionBounds,
    /// Folders that servers are told of as roots.
    pub roots: Vec<PathBuf>,
    /// How pictures are shown.
    pub pictures: Pictures,
}

/// Where the operator's own system prompt is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// Here.
    Text(String),
    /// In a file.
    File(PathBuf),
}

/// Bounds on the work for one question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuestionBounds {
    /// Turns of the model.
    pub rounds: usize,
    /// Calls.
    pub calls: usize,
    /// Calls of one turn.
    pub calls_per_round: usize,
    /// Tokens, read and written.
    pub tokens: u64,
    /// What the model may cost, in US dollars, where that is bounded.
    pub cost_usd: Option<f64>,
    /// How long it may take, the person's own time not among it.
    pub time: Duration,
}

/// How pictures are shown on a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pictures {
    /// As the terminal can.
    #[default]
    Auto,
    /// By kitty's protocol.
    Kitty,
    /// By iTerm2's.
    Iterm2,
    /// As sixels.
    Sixel,
    /// As half blocks.
    Blocks,
    /// Not at all: by the path of a file.
    Path,
}

/// What answers where nothing is said: rule-based, and needs nothing.
const MODEL: &str = "offline:planner";
/// The longest name of a model, in bytes.
const MODEL_BYTES: usize = 600;
/// The longest system prompt that stands in the file, in bytes.
const INSTRUCTIONS_BYTES: usize = 64 << 10;
/// The most patterns, and the longest one, in bytes.
const MOST_TOOLS: usize = 256;
const TOOL_BYTES: usize = 256;
/// The most folders.
const MOST_ROOTS: usize = 64;
/// The dearest question, in US dollars.
const MOST_USD: f64 = 10_000.0;

impl Default for QuestionBounds {
    fn default() -> Self {
        Self {
            rounds: 8,
            calls: 32,
            calls_per_round: 8,
            tokens: 200_000,
            cost_usd: None,
            time: Duration::from_secs(900),
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self {
            model: MODEL.to_owned(),
            instructions: None,
            tools: vec!["*".to_owned()],
            bounds: QuestionBounds::default(),
            roots: Vec::new(),
            pictures: Pictures::Auto,
        }
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenHost {
    model: Option<Spanned<String>>,
    instructions: Option<Spanned<String>>,
    tools: Option<Spanned<Vec<Spanned<String>>>>,
    rounds: Option<Spanned<u64>>,
    calls: Option<Spanned<u64>>,
    calls_per_round: Option<Spanned<u64>>,
    tokens: Option<Spanned<u64>>,
    cost_usd: Option<Spanned<f64>>,
    seconds: Option<Spanned<u64>>,
    roots: Option<Spanned<Vec<PathBuf>>>,
    #[serde(default)]
    pictures: Pictures,
}

impl Reader<'_> {
    pub(super) fn host(&self, written: WrittenHost) -> Result<Host, ConfigError> {
        let bounds = self.bounds(&written)?;
        let mut host = Host { bounds, pictures: written.pictures, ..Host::default() };
        if let Some(model) = written.model {
            host.model = self.model(&model)?;
        }
        host.instructions =
            written.instructions.map(|text| self.instructions(&text)).transpose()?;
        if let Some(tools) = written.tools {
            host.tools = self.tools(tools)?;
        }
        if let Some(roots) = written.roots {
            let at = roots.span();
            let roots = roots.into_inner();
            if roots.len() > MOST_ROOTS || roots.iter().any(|root| root.as_os_str().is_empty()) {
                let problem = format!("`roots` is no list of up to {MOST_ROOTS} folders");
                return Err(self.error(problem, None, Some(at)));
            }
            host.roots = roots.into_iter().map(|root| self.folder.join(root)).collect();
        }
        Ok(host)
    }

    fn bounds(&self, written: &WrittenHost) -> Result<QuestionBounds, ConfigError> {
        let mut bounds = QuestionBounds::default();
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        if let Some(n) = self.within("rounds", written.rounds.as_ref(), 1..=256)? {
            bounds.rounds = count(n);
        }
        if let Some(n) = self.within("calls", written.calls.as_ref(), 1..=4096)? {
            bounds.calls = count(n);
        }
        let per_round = written.calls_per_round.as_ref();
        if let Some(n) = self.within("calls_per_round", per_round, 1..=256)? {
            bounds.calls_per_round = count(n);
        }
        let tokens = written.tokens.as_ref();
        if let Some(n) = self.within("tokens", tokens, 1_000..=1_000_000_000)? {
            bounds.tokens = n;
        }
        if let Some(n) = self.within("seconds", written.seconds.as_ref(), 1..=86_400)? {
            bounds.time = Duration::from_secs(n);
        }
        if let Some(cost) = &written.cost_usd {
            let usd = *cost.get_ref();
            // What is no number is in no range.
            if !(0.0..=MOST_USD).contains(&usd) {
                let help = format!("use 0 to {MOST_USD}");
                let problem = format!("cost_usd is {usd}");
                return Err(self.error(problem, Some(help), Some(cost.span())));
            }
            bounds.cost_usd = Some(usd);
        }
        Ok(bounds)
    }

    fn model(&self, written: &Spanned<String>) -> Result<String, ConfigError> {
        let text = written.get_ref();
        let named = text.split_once(':').is_some_and(|(provider, name)| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let seen = |c: char| !c.is_whitespace() && !c.is_control();
            !provider.is_empty()
                && provider.bytes().all(plain)
                && !name.is_empty()
                && name.chars().all(seen)
        });
        if named && text.len() <= MODEL_BYTES {
            return Ok(text.clone());
        }
        let help = format!("write PROVIDER:NAME, for instance `model = \"{MODEL}\"`");
        Err(self.error("this names no model".to_owned(), Some(help), Some(written.span())))
    }

    fn instructions(&self, written: &Spanned<String>) -> Result<Instructions, ConfigError> {
        let text = written.get_ref();
        let wrong = |problem: &str, help: &str| {
            Err(self.error(problem.to_owned(), Some(help.to_owned()), Some(written.span())))
        };
        if let Some(path) = text.strip_prefix("file://") {
            if path.is_empty() || path.contains('\0') {
                return wrong("`instructions` names no file", "write `file:///PATH`");
            }
            return Ok(Instructions::File(self.folder.join(path)));
        }
        if text.trim().is_empty() {
            return wrong("`instructions` is empty", "leave it out, or write what holds");
        }
        if text.len() > INSTRUCTIONS_BYTES {
            return wrong(
                "`instructions` is longer than 64 KiB",
                "put it into a file: `file:///PATH`",
            );
        }
        Ok(Instructions::Text(text.clone()))
    }

    fn tools(&self, written: Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, ConfigError> {
        let at = written.span();
        let written = written.into_inner();
        if written.len() > MOST_TOOLS {
            let problem = format!("`tools` has more than {MOST_TOOLS} names");
            return Err(self.error(problem, None, Some(at)));
        }
        let known = |b: u8| b.is_ascii_alphanumeric() || b"_-./*".contains(&b);
        let checked = written.into_iter().map(|name| {
            let text = name.get_ref();
            if (1..=TOOL_BYTES).contains(&text.len()) && text.bytes().all(known) {
                return Ok(text.clone());
            }
            let help = "names of tools, `SERVER__TOOL`, with `*` for anything: \"grid__*\"";
            let problem = "this is no name of a tool".to_owned();
            Err(self.error(problem, Some(help.to_owned()), Some(name.span())))
        });
        checked.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parsed(text: &str) -> Result<Host, String> {
        let config = Config::parse("tagout.toml", text, Path::new("/etc/tagout"));
        config.map(|config| config.host).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_word_it_is_careful() {
        let host = parsed("").unwrap();
        assert_eq!((host.model.as_str(), host.tools), ("offline:planner", vec!["*".to_owned()]));
        assert_eq!((host.instructions, host.bounds), (None, QuestionBounds::default()));
        assert_eq!((host.roots.len(), host.pictures), (0, Pictures::Auto));
    }

    #[test]
    fn every_key_is_read() {
        let host = parsed(
            "[host]\nmodel = \"ollama:qwen3:8b\"\ninstructions = \"file://prompt.md\"\n\
             tools = [\"grid__*\", \"files__read\"]\nrounds = 3\ncalls = 4\ncalls_per_round = 2\n\
             tokens = 5000\ncost_usd = 0\nseconds = 60\nroots = [\"/data\", \"here\"]\n\
             pictures = \"iterm2\"",
        );
        // A whole number is a cost, too.
        let host = host.unwrap();
        assert_eq!(host.model, "ollama:qwen3:8b");
        let file = Instructions::File("/etc/tagout/prompt.md".into());
        assert_eq!(host.instructions, Some(file));
        assert_eq!(host.tools, ["grid__*", "files__read"]);
        let bounds = QuestionBounds {
            rounds: 3,
            calls: 4,
            calls_per_round: 2,
            tokens: 5000,
            cost_usd: Some(0.0),
            time: Duration::from_secs(60),
        };
        assert_eq!(host.bounds, bounds);
        assert_eq!(host.roots, [Path::new("/data"), Path::new("/etc/tagout/here")]);
        assert_eq!(host.pictures, Pictures::Iterm2);
        assert!(parsed("[host]\ntools = []").unwrap().tools.is_empty());
        let text = parsed("[host]\ninstructions = \"Answer in Dutch.\"").unwrap().instructions;
        assert_eq!(text, Some(Instructions::Text("Answer in Dutch.".to_owned())));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            "modell = \"a:b\"",
            "model = \"planner\"",
            "model = \":x\"",
            "model = \"openai:\"",
            "model = \"openai:a b\"",
            "model = 1",
            "instructions = \"\"",
            "instructions = \"file://\"",
            "tools = \"grid__*\"",
            "tools = [\"\"]",
            "tools = [\"grid *\"]",
            "rounds = 0",
            "calls = 0",
            "calls = 5000",
            "calls_per_round = 257",
            "tokens = 1",
            "cost_usd = -1",
            "cost_usd = nan",
            "cost_usd = inf",
            "cost_usd = \"1\"",
            "seconds = 0",
            "seconds = 90000",
            "roots = [\"\"]",
            "roots = \"/data\"",
            "pictures = \"ascii\"",
        ] {
            assert!(parsed(&format!("[host]\n{wrong}")).is_err(), "{wrong}");
        }
    }
}
