//! Lockout/tagout for AI agents: the one binary.
mod chat;
mod cli;
mod clients;
mod command;
mod conversation;
mod failure;
mod import;
mod log;
mod models;
mod output;
mod passphrase;
mod places;
mod rules;
mod setup;
mod signed;
mod streams;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Before any thread: this may be the jailer of a server, started again under another name.
    if let Some(code) = tagout_sandbox::jail_if_asked() {
        return code;
    }
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error),
    };
    trace(cli.verbose);
    let json = cli.json;
    match command::run(cli) {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}

/// What was asked for was help, or cannot be understood. Programs are told as programs.
fn misunderstood(error: &clap::Error) -> ExitCode {
    let mut options = std::env::args_os().take_while(|argument| argument != "--");
    if !error.use_stderr() || !options.any(|argument| argument == "--json") {
        error.exit();
    }
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first).trim();
    failure::Failure::usage("usage-invalid", message, "see `tagout --help`").report(true)
}

/// Diagnostics go to standard error; standard output belongs to answers and to the protocol.
fn trace(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::ERROR,
        1 => tracing::Level::WARN,
        2 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| log::Clean)
        .with_target(false)
        .without_time()
        .init();
}
