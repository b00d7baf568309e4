//! The escape suite: a hostile program against the isolation of servers.
//!
//! The program, and what it attacks, is `crates/tagout-sandbox/src/bin/escapee`. This runs it as root
//! and as an ordinary user, and the real gateway against it, and keeps the table in
//! `docs/sandbox.md`.
mod real;
mod rows;
mod table;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;

use crate::{
    conformance::programs::build,
    root,
    tree::{command, text},
};
use rows::Rows;

const TABLE: &str = "docs/sandbox.md";

/// Whose servers are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Those of a gateway that root started.
    Root,
    /// Those of an ordinary user's.
    User,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::User => "user",
        }
    }
}

/// What the command line says.
#[derive(Default)]
pub(crate) struct Options {
    json: bool,
    write: bool,
    check: bool,
    only: Option<String>,
    role: Option<Role>,
    binary: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--json" => options.json = true,
                "--write" => options.write = true,
                "--check" => options.check = true,
                "--only" => options.only = words.next().map(ToString::to_string),
                "--binary" => options.binary = words.next().map(PathBuf::from),
                "--as" => {
                    options.role = Some(match words.next().copied() {
                        Some("root") => Role::Root,
                        Some("user") => Role::User,
                        _ => return Err("`--as` takes `root` or `user`".to_owned()),
                    });
                }
                word => return Err(format!("`{word}` is no option of this")),
            }
        }
        Ok(options)
    }

    /// The roles that this user can play, of those that are asked for.
    fn roles(&self, is_root: bool) -> Result<Vec<Role>, String> {
        match (self.role, is_root) {
            (Some(Role::Root), false) => Err("only root can be root".to_owned()),
            (Some(role), _) => Ok(vec![role]),
            (None, true) => Ok(vec![Role::Root, Role::User]),
            (None, false) => Ok(vec![Role::User]),
        }
    }
}

/// Runs what is asked for, and says what does not hold.
pub(crate) fn escape(options: &Options) -> Result<String, String> {
    let escapee = build("tagout-sandbox", "escapee", false)?;
    let is_root = is_root()?;
    let mut rows = Rows::default();
    let roles = options.roles(is_root)?;
    for role in &roles {
        say(&format!("as {} …", role.name()));
        run(&escapee, *role, is_root, options, &mut rows)?;
    }
    if options.only.as_deref().is_none_or(|only| only.starts_with("real-")) {
        say("through the gateway …");
        let tagout = match &options.binary {
            Some(path) => std::path::absolute(path).map_err(|error| error.to_string())?,
            None => build("tagout", "tagout", false)?,
        };
        real::run((&tagout, &escapee), &roles, is_root, options.only.as_deref(), &mut rows)?;
    }
    if options.json {
        rows.lines().for_each(say_out);
    }
    let mut problems = rows.problems();
    if options.only.is_none() && roles.len() == 2 {
        problems.extend(keep(&rows, options)?);
    }
    let listed: String = problems.iter().map(|it| format!("error: {it}\n")).collect();
    let said = if options.json { String::new() } else { rows.summary() };
    if problems.is_empty() {
        let only_user = if is_root { "" } else { "; as root was not tried, which takes root" };
        Ok(format!("{said}escape: {} attempts, all held{only_user}", rows.count()))
    } else {
        Err(format!("{said}{listed}escape: {} problems", problems.len()))
    }
}

/// While it runs, where it does not stand in the way of what is asked for.
fn say(what: &str) {
    writeln!(std::io::stderr(), "escape: {what}").ok();
}

fn say_out(line: &Value) {
    writeln!(std::io::stdout(), "{line}").ok();
}

fn is_root() -> Result<bool, String> {
    let out = command("id").arg("-u").output().map_err(|error| format!("id: {error}"))?;
    Ok(String::from_utf8_lossy(&out.stdout).trim() == "0")
}

/// One run of the suite in one role.
fn run(
    escapee: &Path,
    role: Role,
    is_root: bool,
    options: &Options,
    rows: &mut Rows,
) -> Result<(), String> {
    if options.only.as_deref().is_some_and(|only| only.starts_with("real-")) {
        return Ok(());
    }
    let mut suite = command(escapee);
    suite.arg("suite").args((role == Role::User && is_root).then_some("--as-user"));
    suite.args(options.only.iter().flat_map(|only| ["--only", only]));
    suite.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut suite = suite.spawn().map_err(|error| format!("{}: {error}", escapee.display()))?;
    let stdout = suite.stdout.take().ok_or("the suite has no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(|error| format!("the suite: {error}"))?;
        match serde_json::from_str(&line) {
            Ok(value) => rows.take(role, value),
            Err(error) => return Err(format!("the suite said `{line}`: {error}")),
        }
    }
    // How it ended says no more than its lines do.
    suite.wait().map_err(|error| format!("the suite: {error}"))?;
    Ok(())
}

/// Writes the table where that is asked for, or says where it is not what was seen.
fn keep(rows: &Rows, options: &Options) -> Result<Vec<String>, String> {
    let path = root().join(TABLE);
    let before = text(&path)?.unwrap_or_default();
    if options.write {
        let after = table::written(&before, rows)?;
        std::fs::write(&path, after).map_err(|error| format!("{TABLE}: {error}"))?;
    } else if options.check {
        return Ok(table::compared(&before, rows));
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_user_plays_no_root() {
        let options = |role| Options { role, ..Options::default() };
        assert!(options(Some(Role::Root)).roles(false).is_err());
        assert_eq!(options(None).roles(false), Ok(vec![Role::User]));
        assert_eq!(options(None).roles(true), Ok(vec![Role::Root, Role::User]));
        assert_eq!(options(Some(Role::User)).roles(true), Ok(vec![Role::User]));
    }
}
