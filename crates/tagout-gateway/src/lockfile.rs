//! The lockfile: what has been reviewed. Written for review in a pull request.
use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, sync::Arc};

use miette::{Diagnostic, NamedSource, SourceSpan};
use tagout_inspect::definition::Hint;
use tagout_policy::{Effect, Effects};
use tagout_proto::{Digest, ServerName, ToolName};

use crate::config::Transport;

/// What has been pinned, by server.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockfile {
    version: Version,
    /// Servers by name.
    #[serde(default, rename = "server")]
    pub servers: BTreeMap<ServerName, PinnedServer>,
}

/// The format's version; there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "u32")]
struct Version;

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number == 1 {
            Ok(Self)
        } else {
            Err(format!("this Tagout reads version 1, not {number}"))
        }
    }
}

/// A server as it was pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedServer {
    /// The resolved program, then its arguments; nothing for a server that is built in.
    pub command: Option<Vec<String>>,
    /// Digest of the program's file.
    pub executable: Option<Digest>,
    /// Files among the arguments that are code, and their digests.
    #[serde(default)]
    pub files: Vec<PinnedFile>,
    /// The names of the variables that it gets.
    #[serde(default)]
    pub environment: Vec<String>,
    /// Its working directory.
    pub cwd: Option<PathBuf>,
    /// Where it is, for a server that runs elsewhere.
    pub url: Option<String>,
    /// How it is spoken with there.
    pub transport: Option<Transport>,
    /// The names of the headers that it is sent.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Whether a person has confirmed that its resources and prompts only read.
    #[serde(default)]
    pub offers_reviewed: bool,
    /// Its tools by name.
    #[serde(default, rename = "tool")]
    pub tools: BTreeMap<ToolName, PinnedTool>,
}

impl PinnedServer {
    /// Whether both are started by the same program in the same way, or are at the same URL.
    #[must_use]
    pub fn same_program(&self, other: &Self) -> bool {
        self.command == other.command
            && self.executable == other.executable
            && self.files == other.files
            && self.environment == other.environment
            && self.cwd == other.cwd
            && self.url == other.url
            && self.transport == other.transport
            && self.headers == other.headers
    }
}

/// A file as it was pinned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedFile {
    /// Where it was.
    pub path: PathBuf,
    /// Digest of its file.
    pub digest: Digest,
}

/// A tool as it was pinned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedTool {
    /// Digest of its canonical definition.
    pub definition: Digest,
    /// What it may do.
    pub effects: Effects,
    /// Whether a person has confirmed that.
    pub reviewed: bool,
}

/// What is wrong with a lockfile, and where.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{problem}")]
#[diagnostic(
    code("lockfile-invalid"),
    help("correct it, or move it away and write it anew with `tagout pin`")
)]
pub struct LockfileError {
    problem: String,
    #[source_code]
    file: NamedSource<Arc<str>>,
    #[label("here")]
    at: Option<SourceSpan>,
}

impl Lockfile {
    /// Reads `text`, the content of the file called `name`.
    ///
    /// # Errors
    /// The first thing wrong, with its place.
    pub fn parse(name: &str, text: &str) -> Result<Self, LockfileError> {
        toml::from_str(text).map_err(|e| LockfileError {
            problem: e.message().to_owned(),
            file: NamedSource::new(name, Arc::from(text)),
            at: e.span().map(SourceSpan::from),
        })
    }

    /// What was pinned of a tool.
    #[must_use]
    pub fn tool(&self, server: &ServerName, tool: &ToolName) -> Option<&PinnedTool> {
        self.servers.get(server)?.tools.get(tool)
    }

    /// The file's text; `hints` are the reasons for what is not reviewed yet.
    #[must_use]
    pub fn text(&self, hints: &BTreeMap<(ServerName, ToolName), Vec<Hint>>) -> String {
        let mut out = String::from(HEADER);
        for (name, server) in &self.servers {
            let written = write_server(&mut out, name, server, hints);
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
        out
    }
}

const HEADER: &str = "\
# What has been reviewed of the servers behind Tagout. Review it in a pull request like code.
#
# A tool runs by what is said here, not by what its server says of it. `effects` is what it may
# do: read, write, destructive, egress, exec. While `reviewed` is false it counts as exec, whatever
# stands there. A tool whose definition has another digest is refused. `offers_reviewed` says that
# a person has confirmed that the server's resources and prompts only read; until then they ask.
version = 1
";

fn write_server(
    out: &mut String,
    name: &ServerName,
    server: &PinnedServer,
    hints: &BTreeMap<(ServerName, ToolName), Vec<Hint>>,
) -> std::fmt::Result {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    writeln!(out, "\n[server.{name}]")?;
    if let Some(command) = &server.command {
        let command: Vec<_> = command.iter().map(|part| quoted(part)).collect();
        writeln!(out, "command = [{}]", command.join(", "))?;
    }
    if let Some(executable) = &server.executable {
        writeln!(out, "executable = \"{executable}\"")?;
    }
    let files = server.files.iter().map(|file| {
        let path = quoted(&file.path.to_string_lossy());
        format!("{{ path = {path}, digest = \"{}\" }}", file.digest)
    });
    let files: Vec<_> = files.collect();
    if !files.is_empty() {
        writeln!(out, "files = [{}]", files.join(", "))?;
    }
    if !server.environment.is_empty() {
        let names: Vec<_> = server.environment.iter().map(|name| quoted(name)).collect();
        writeln!(out, "environment = [{}]", names.join(", "))?;
    }
    if let Some(cwd) = &server.cwd {
        writeln!(out, "cwd = {}", quoted(&cwd.to_string_lossy()))?;
    }
    if let Some(url) = &server.url {
        writeln!(out, "url = {}", quoted(url))?;
    }
    if let Some(transport) = server.transport {
        writeln!(out, "transport = \"{}\"", transport.as_str())?;
    }
    if !server.headers.is_empty() {
        let names: Vec<_> = server.headers.iter().map(|name| quoted(name)).collect();
        writeln!(out, "headers = [{}]", names.join(", "))?;
    }
    let has_program = server.command.is_some() || server.url.is_some();
    if has_program || server.offers_reviewed {
        writeln!(out, "offers_reviewed = {}", server.offers_reviewed)?;
    }
    for (tool, pinned) in &server.tools {
        writeln!(out, "\n[server.{name}.tool.{}]", quoted(tool.as_str()))?;
        writeln!(out, "definition = \"{}\"", pinned.definition)?;
        for hint in hints.get(&(name.clone(), tool.clone())).into_iter().flatten() {
            writeln!(out, "# {}: {}", hint.effect, hint.reason)?;
        }
        let effects: Vec<_> = pinned.effects.iter().map(|e| format!("\"{e}\"")).collect();
        writeln!(out, "effects = [{}]", effects.join(", "))?;
        writeln!(out, "reviewed = {}", pinned.reviewed)?;
    }
    Ok(())
}

/// The effects that hints name.
#[must_use]
pub fn proposed(hints: &[Hint]) -> Effects {
    const ALL: [Effect; 5] =
        [Effect::Read, Effect::Write, Effect::Destructive, Effect::Egress, Effect::Exec];
    ALL.into_iter().filter(|effect| hints.iter().any(|h| h.effect == effect.as_str())).collect()
}
