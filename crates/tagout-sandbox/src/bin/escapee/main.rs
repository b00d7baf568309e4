//! A hostile program, and the suite that lets it loose.
//!
//! As `escapee NAME key=value…` it tries the one thing of that name and prints what came of it. As
//! `escapee suite` it sets up what there is to attack, and starts itself against that again and
//! again: with nothing in its way, with every layer of the sandbox, and with each layer alone. In
//! between stands `escapee gateway`, which starts it as the gateway would, and is attacked itself.
//! As `escapee serve` it is an MCP server, for the real gateway.
//!
//! It is no part of Tagout: `cargo xtask escape` and the tests build it.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]
mod attempt;
mod bombs;
mod controls;
mod files;
mod gateway;
mod kernel;
mod layers;
mod network;
mod others;
mod outside;
mod planted;
mod raw;
mod report;
mod round;
mod scene;
mod seen;
mod serve;
mod services;
mod stage;
mod suite;
mod terminal;

use std::{process::ExitCode, thread, time::Duration};

use attempt::{Attempt, Facts, Tried};

/// Everything that is tried, in the order of the table.
fn attempts() -> impl Iterator<Item = &'static Attempt> {
    let groups = [
        controls::ALL,
        files::ALL,
        outside::ALL,
        others::ALL,
        network::ALL,
        kernel::ALL,
        bombs::ALL,
    ];
    groups.into_iter().flatten()
}

fn main() -> ExitCode {
    if let Some(code) = tagout_sandbox::jail_if_asked() {
        return code;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((role, rest)) = words.split_first() else { return ExitCode::FAILURE };
    let done = match role.as_str() {
        "suite" => stage::run(rest),
        "gateway" => gateway::run(rest),
        "serve" => serve::run(rest),
        "who" => {
            println!("user {}", rustix::process::geteuid().as_raw());
            Ok(ExitCode::SUCCESS)
        }
        "stay" => {
            println!("here");
            thread::sleep(Duration::from_secs(30));
            Ok(ExitCode::SUCCESS)
        }
        name => attempt(name, &Facts::parse(rest)),
    };
    done.unwrap_or_else(|error| {
        println!("{}", report::failed(&error));
        ExitCode::FAILURE
    })
}

fn attempt(name: &str, facts: &Facts) -> Result<ExitCode, String> {
    let found = attempts().find(|attempt| attempt.name == name);
    let attempt = found.ok_or_else(|| format!("`{name}` is nothing that this tries"))?;
    // What is stopped before it can begin was not stopped by a layer.
    println!("{}", report::began(name));
    let tried = Tried::from((attempt.run)(facts));
    println!("{}", report::ended(name, &tried));
    if facts.text("stay").is_ok() {
        thread::sleep(Duration::from_secs(5));
    }
    Ok(ExitCode::SUCCESS)
}
