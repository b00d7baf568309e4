//! The words of `tagout sandbox`.
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Sandbox {
    /// Run a program isolated as a server would be, on this terminal's streams.
    Run(SandboxRun),
}

#[derive(Debug, Args)]
pub(crate) struct SandboxRun {
    /// What it may see and do: a table `[sandbox.NAME]` of the configuration, or a server's entry.
    /// Without it, the default: the program's own files and nothing else.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Let it read everything and change nothing, note what it tries, and propose a profile.
    #[arg(long)]
    pub(crate) learn: bool,
    /// A variable for its environment, which is empty otherwise.
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// A variable that it gets as it is here, such as PATH.
    #[arg(long, value_name = "NAME")]
    pub(crate) pass_env: Vec<String>,
    /// The program and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}
