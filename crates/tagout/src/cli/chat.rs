//! The command line of the assistant.
use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The question.
    pub(crate) question: String,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Chat {
    /// Answer one question and end; without it here, the question is read from standard input.
    #[arg(short, long, value_name = "QUESTION", num_args = 0..=1)]
    pub(crate) print: Option<Option<String>>,
    #[command(flatten)]
    pub(crate) how: How,
}

/// What answers, with what, and how that is shown.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// What answers, of `tagout models ls` [default: `host.model` of the configuration, or
    /// `offline:planner`, which is rule-based and needs nothing].
    #[arg(long, value_name = "PROVIDER:NAME")]
    pub(crate) model: Option<String>,
    /// Go on with the last session.
    #[arg(long = "continue", conflicts_with = "resume")]
    pub(crate) goes_on: bool,
    /// Go on with this session of `tagout sessions ls`.
    #[arg(long, value_name = "ID")]
    pub(crate) resume: Option<String>,
    /// Do not keep the session.
    #[arg(long)]
    pub(crate) no_keep: bool,
    /// Show and allow only tools whose name this matches, `*` in it standing for anything; may be
    /// given more than once [default: `host.tools` of the configuration, or all].
    #[arg(long = "tool", value_name = "PATTERN")]
    pub(crate) tools: Vec<String>,
    /// A resource of a server that goes along with one question; may be given more than once.
    #[arg(long, value_name = "SERVER:URI")]
    pub(crate) attach: Vec<String>,
    /// How one question's answer is printed; `--json` is `--output json`.
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) output: Option<Output>,
    /// Where pictures are put, to stay [default: `tagout/pictures` under `$XDG_STATE_HOME`, as long
    /// as sessions are kept; where they are not, a folder for what does not stay].
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON object, at the end.
    Json,
    /// One JSON object a line, as things happen.
    StreamJson,
}
