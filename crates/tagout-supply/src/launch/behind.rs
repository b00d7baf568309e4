//! Programs that may start a launcher: shells, interpreters, and all that are not known.
use std::path::Path;

use super::{Launch, Unfit, called, fetches};

/// Programs whose arguments are a command line, or have one within a word.
const SHELLS: [&str; 41] = [
    "env",
    "sh",
    "bash",
    "dash",
    "zsh",
    "ash",
    "ksh",
    "mksh",
    "fish",
    "nu",
    "busybox",
    "toybox",
    "cmd",
    "powershell",
    "pwsh",
    "sudo",
    "doas",
    "su",
    "runuser",
    "nice",
    "nohup",
    "timeout",
    "xargs",
    "setsid",
    "stdbuf",
    "script",
    "flock",
    "watch",
    "unshare",
    "nsenter",
    "chroot",
    "parallel",
    "find",
    "ssh",
    "perl",
    "ruby",
    "php",
    "lua",
    "awk",
    "expect",
    "make",
];

pub(super) fn is_shell(name: &str) -> bool {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    SHELLS.contains(&plain)
}

/// A program that runs what its arguments say, in a way that is not looked into any further.
pub(super) fn shell(name: &str, args: &[String]) -> Result<Launch, Unfit> {
    let separators = |c: char| c.is_whitespace() || ";&|()'\"`$={}<>,[]".contains(c);
    let words = args.iter().flat_map(|argument| argument.split(separators));
    none_fetches(name, words.filter(|word| !word.is_empty()))
}

/// A program of which nothing is known may start what its arguments name.
pub(super) fn unknown(name: &str, args: &[String]) -> Result<Launch, Unfit> {
    // A folder may have any name.
    let is_data = |word: &str| word.starts_with('/') && Path::new(word).is_dir();
    none_fetches(name, args.iter().map(String::as_str).filter(|word| !is_data(word)))
}

fn none_fetches<'a>(name: &str, mut words: impl Iterator<Item = &'a str>) -> Result<Launch, Unfit> {
    let found = words
        .find(|word| fetches(called(word)) || word.starts_with("npm:") || word.starts_with("jsr:"));
    match found {
        Some(word) => Err(Unfit::Behind { program: name.to_owned(), launcher: word.to_owned() }),
        None => Ok(Launch::Local),
    }
}
