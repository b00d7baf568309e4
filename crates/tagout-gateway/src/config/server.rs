//! The tables `[server.NAME]`.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tagout_inspect::schema::Undeclared;
use tagout_proto::{Secret, ServerName};
use toml::Spanned;

use super::{
    ConfigError, Isolated, Reader, Remote, Source, Transport,
    sandbox::{Level, Profiles, WrittenSandbox},
};

/// One upstream server.
#[derive(Debug)]
pub struct Server {
    /// What it is.
    pub start: Start,
    /// Which era of the protocol is spoken with it.
    pub era: EraChoice,
    /// How long a call may take.
    pub timeout: Duration,
    /// How long it may take to start and shake hands.
    pub start_timeout: Duration,
    /// Whether its tools take arguments that their schemas do not declare.
    pub undeclared: Undeclared,
    /// Whether one process, or one session with it, serves all clients.
    pub stateless: bool,
    /// Whether clients see its tools by the names that it uses.
    pub bare: bool,
    /// The keys of `_meta` that are passed on to it beside those of the protocol and of tracing.
    pub meta: BTreeSet<String>,
    /// To whom it is stated who calls, where its entry asks for that: its name, or another.
    pub assertion: Option<Arc<str>>,
    /// How far it is isolated, where it is started here.
    pub isolated: Isolated,
}

/// How a server is reached.
#[derive(Debug)]
pub enum Start {
    /// A server inside this program, run as a process of its own.
    BuiltIn(BuiltIn),
    /// A program that speaks MCP on its standard streams.
    Command(Command),
    /// A server that runs elsewhere and speaks MCP over HTTP.
    Remote(Remote),
}

/// Servers inside this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BuiltIn {
    /// The Grid Operations Assistant.
    Grid,
}

impl BuiltIn {
    /// The subcommand that runs it.
    #[must_use]
    pub const fn subcommand(self) -> &'static str {
        match self {
            Self::Grid => "grid",
        }
    }
}

/// Which era of the protocol is spoken with a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EraChoice {
    /// The one that it turns out to speak; the newer of both.
    #[default]
    Auto,
    /// A handshake first: 2025-11-25 and earlier.
    Legacy,
    /// Each request for itself: 2026-07-28 and later.
    Modern,
}

/// A program to start.
#[derive(Debug)]
pub struct Command {
    /// The program: a whole path, or a name that is looked for in `PATH`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables of its environment, which is empty otherwise.
    pub env: BTreeMap<String, Secret<String>>,
    /// Variables of its environment whose values are secrets, and where these are.
    pub secret_env: BTreeMap<String, Source>,
    /// Files that it alone sees, by their names, and where their contents are.
    pub secret_files: BTreeMap<String, Source>,
    /// Variables that it gets as the gateway has them.
    pub pass_env: BTreeSet<String>,
    /// Its working directory.
    pub cwd: Option<PathBuf>,
}

/// A path in its place: what it names must not depend on where Tagout is started.
fn placed(program: &str, folder: &Path) -> String {
    if !program.contains('/') || program.starts_with('/') {
        return program.to_owned();
    }
    let whole: PathBuf = folder.join(program).components().collect();
    whole.to_str().map_or_else(|| program.to_owned(), str::to_owned)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenServer {
    command: Option<Spanned<Vec<String>>>,
    builtin: Option<Spanned<BuiltIn>>,
    pub(super) url: Option<Spanned<String>>,
    #[serde(default)]
    env: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    secret_files: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    pass_env: Vec<Spanned<String>>,
    cwd: Option<Spanned<PathBuf>>,
    pub(super) transport: Option<Spanned<Transport>>,
    #[serde(default)]
    pub(super) headers: BTreeMap<Spanned<String>, Spanned<String>>,
    pub(super) ca: Option<Spanned<PathBuf>>,
    pub(super) allow_plain_http: Option<Spanned<bool>>,
    pub(super) allow_private_network: Option<Spanned<bool>>,
    #[serde(default)]
    era: EraChoice,
    #[serde(default)]
    stateless: bool,
    #[serde(default)]
    meta: Vec<String>,
    prefix: Option<Spanned<String>>,
    timeout_s: Option<Spanned<u64>>,
    start_timeout_s: Option<Spanned<u64>>,
    #[serde(default)]
    undeclared_arguments: Undeclared,
    #[serde(default)]
    pub(super) assertion: bool,
    pub(super) audience: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) limits: super::limits::WrittenServerLimits,
    isolation: Option<Spanned<Level>>,
    sandbox: Option<Spanned<WrittenSandbox>>,
}

/// What variables hold, and where it is of those whose values are references.
type Variables = (BTreeMap<String, Secret<String>>, BTreeMap<String, Source>);

/// Keys that only programs have.
const SURROUNDINGS: &str = "`env`, `pass_env`, `secret_files` or `cwd`";
const TIMEOUT: Duration = Duration::from_secs(60);
const START_TIMEOUT: Duration = Duration::from_secs(20);

impl Server {
    /// A server with what holds where nothing else is written.
    pub(super) fn of(start: Start) -> Self {
        Self {
            start,
            era: EraChoice::Auto,
            timeout: TIMEOUT,
            start_timeout: START_TIMEOUT,
            undeclared: Undeclared::Refuse,
            stateless: false,
            bare: false,
            meta: BTreeSet::new(),
            assertion: None,
            isolated: Isolated::Fully(Box::default()),
        }
    }
}

impl WrittenServer {
    /// A key that only URL servers have, and where it stands.
    fn of_url_only(&self) -> Option<(&'static str, std::ops::Range<usize>)> {
        let header = self.headers.keys().next().map(|name| ("headers", name.span()));
        let ca = self.ca.as_ref().map(|ca| ("ca", ca.span()));
        let plain = self.allow_plain_http.as_ref().map(|one| ("allow_plain_http", one.span()));
        let transport = self.transport.as_ref().map(|one| ("transport", one.span()));
        let private = self.allow_private_network.as_ref();
        let private = private.map(|one| ("allow_private_network", one.span()));
        header.or(ca).or(plain).or(private).or(transport)
    }

    /// Where it says something about its isolation.
    fn isolation_at(&self) -> Option<std::ops::Range<usize>> {
        let level = self.isolation.as_ref().map(Spanned::span);
        level.or_else(|| self.sandbox.as_ref().map(Spanned::span))
    }

    /// Whether it has keys that only programs have.
    fn is_given_surroundings(&self) -> bool {
        let more = !self.secret_files.is_empty() || self.cwd.is_some();
        more || !self.env.is_empty() || !self.pass_env.is_empty()
    }
}

impl Reader<'_> {
    pub(super) fn server(
        &self,
        name: &Spanned<String>,
        mut w: WrittenServer,
        profiles: &Profiles,
    ) -> Result<Server, ConfigError> {
        let timeout = self.within("timeout_s", w.timeout_s.as_ref(), 1..=3600)?;
        let start = self.within("start_timeout_s", w.start_timeout_s.as_ref(), 1..=600)?;
        if let Some(prefix) = w.prefix.as_ref().filter(|prefix| !prefix.get_ref().is_empty()) {
            let problem = format!("`prefix` is {:?}", prefix.get_ref());
            let help = "leave it out, so that tools are called `NAME__TOOL`; or write \"\" where \
                        there is one server only";
            return Err(self.error(problem, Some(help.to_owned()), Some(prefix.span())));
        }
        if let (Some(url), Some(at)) = (&w.url, w.isolation_at()) {
            let problem = format!("`{}` is not started here, so it is not isolated", url.get_ref());
            let help = "leave out `isolation` and `sandbox`".to_owned();
            return Err(self.error(problem, Some(help), Some(at)));
        }
        let private = w.secret_files.keys().next().map(Spanned::span);
        let server = Server {
            isolated: self.isolated(w.isolation.take(), w.sandbox.take(), profiles)?,
            timeout: timeout.map_or(TIMEOUT, Duration::from_secs),
            start_timeout: start.map_or(START_TIMEOUT, Duration::from_secs),
            undeclared: w.undeclared_arguments,
            era: w.era,
            stateless: w.stateless,
            bare: w.prefix.is_some(),
            meta: w.meta.iter().cloned().collect(),
            assertion: self.audience(name, &w)?,
            start: self.start(name, w)?,
        };
        match (private, &server.isolated) {
            (Some(at), Isolated::Not) => {
                let problem = "only an isolated server has files of its own".to_owned();
                let help = "leave out `isolation = \"none\"`, or use `env`".to_owned();
                Err(self.error(problem, Some(help), Some(at)))
            }
            (_, _) => Ok(server),
        }
    }

    /// Names without a prefix tell servers apart only where there is one.
    pub(super) fn bare_alone(
        &self,
        servers: &BTreeMap<ServerName, Arc<Server>>,
    ) -> Result<(), ConfigError> {
        let bare = servers.iter().find(|(_, server)| server.bare).filter(|_| servers.len() > 1);
        let Some((name, _)) = bare else { return Ok(()) };
        let problem = format!("server `{name}` has an empty `prefix` and is not the only server");
        let help = "leave `prefix` out, or keep one server".to_owned();
        Err(self.error(problem, Some(help), None))
    }

    fn start(&self, name: &Spanned<String>, w: WrittenServer) -> Result<Start, ConfigError> {
        let refused = |problem: &str, at| Err(self.error(problem.to_owned(), None, Some(at)));
        if let (None, Some((key, at))) = (&w.url, w.of_url_only()) {
            return refused(&format!("`{key}` is for servers with a `url`"), at);
        }
        match (&w.command, &w.builtin, &w.url) {
            (Some(_), None, None) => self.command(name, w),
            (None, Some(builtin), None) if w.is_given_surroundings() => {
                refused(&format!("a built-in server takes no {SURROUNDINGS}"), builtin.span())
            }
            (None, Some(builtin), None) => Ok(Start::BuiltIn(*builtin.get_ref())),
            (None, None, Some(url)) if w.is_given_surroundings() => {
                refused(&format!("a server with a `url` takes no {SURROUNDINGS}"), url.span())
            }
            (None, None, Some(_)) => self.remote(w).map(Start::Remote),
            (None, None, None) => {
                let name_text = name.get_ref();
                let problem =
                    format!("server `{name_text}` has neither `command` nor `builtin` nor `url`");
                let help = "write `command = [\"/usr/bin/server\", \"--stdio\"]` or \
                            `url = \"https://example.com/mcp\"`";
                Err(self.error(problem, Some(help.to_owned()), Some(name.span())))
            }
            (_, Some(other), _) => {
                refused("a server has one of `command`, `builtin` and `url`", other.span())
            }
            (_, _, Some(other)) => {
                refused("a server has one of `command`, `builtin` and `url`", other.span())
            }
        }
    }

    fn command(&self, name: &Spanned<String>, w: WrittenServer) -> Result<Start, ConfigError> {
        let command = w.command.unwrap_or_else(|| Spanned::new(name.span(), Vec::new()));
        let Some((program, args)) = command.get_ref().split_first().filter(|(p, _)| !p.is_empty())
        else {
            let help = "write the program first: `command = [\"/usr/bin/server\", \"--stdio\"]`";
            let problem = format!("server `{}` has an empty command", name.get_ref());
            return Err(self.error(problem, Some(help.to_owned()), Some(command.span())));
        };
        let (env, secret_env) = self.env(w.env)?;
        let cwd = w.cwd.map(|cwd| self.folder.join(cwd.into_inner()));
        Ok(Start::Command(Command {
            program: placed(program, cwd.as_deref().unwrap_or(self.folder)),
            args: args.to_vec(),
            env,
            secret_env,
            secret_files: self.secret_files(w.secret_files)?,
            pass_env: self.pass_env(w.pass_env)?,
            cwd,
        }))
    }

    /// Variables with what they hold, and those whose values are references.
    fn env(
        &self,
        written: BTreeMap<Spanned<String>, Spanned<String>>,
    ) -> Result<Variables, ConfigError> {
        let (mut plain, mut secret) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in written {
            let name = self.variable(name)?;
            match self.source_or_text(&format!("the variable `{name}`"), &value)? {
                Some(source) => drop(secret.insert(name, source)),
                None => drop(plain.insert(name, Secret::new(value.into_inner()))),
            }
        }
        Ok((plain, secret))
    }

    fn secret_files(
        &self,
        written: BTreeMap<Spanned<String>, Spanned<String>>,
    ) -> Result<BTreeMap<String, Source>, ConfigError> {
        let checked = written.into_iter().map(|(name, value)| {
            let text = name.get_ref().as_str();
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            let dots = text.bytes().all(|b| b == b'.');
            if dots || text.len() > 128 || !text.bytes().all(fits) {
                let problem = format!("{text:?} is no file's name");
                let help = "it is called so in `/run/secrets`: letters, digits, `.`, `-`, `_`";
                return Err(self.error(problem, Some(help.to_owned()), Some(name.span())));
            }
            let source = self.source(&format!("the file `{text}`"), &value)?;
            Ok((name.into_inner(), source))
        });
        checked.collect()
    }

    fn pass_env(&self, written: Vec<Spanned<String>>) -> Result<BTreeSet<String>, ConfigError> {
        written.into_iter().map(|name| self.variable(name)).collect()
    }

    fn variable(&self, name: Spanned<String>) -> Result<String, ConfigError> {
        let text = name.get_ref();
        if text.is_empty() || text.contains(['=', '\0']) {
            let problem = format!("{text:?} cannot name an environment variable");
            return Err(self.error(problem, None, Some(name.span())));
        }
        Ok(name.into_inner())
    }
}
