//! One file, two steps: what was written, then what it means.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use miette::{Diagnostic, NamedSource, SourceSpan};
use tagout_policy::Profile;
use tagout_proto::ServerName;
use toml::Spanned;

use crate::lockfile::signature::PublicKey;

mod approval;
mod assertion;
mod audit;
mod consent;
mod host;
mod limits;
mod listen;
mod lockfile;
mod masked;
mod remote;
mod sandbox;
mod server;
mod sessions;
mod shadow;
mod source;

use approval::WrittenApproval;
pub use approval::{Approval, Listed, ListedPerson, Webhook};
use audit::WrittenAudit;
pub use audit::{Audit, Conversations};
pub use consent::ConsentForAll;
use consent::WrittenConsent;
use host::WrittenHost;
pub use host::{Host, Instructions, Pictures, QuestionBounds};
pub(crate) use limits::WALL;
use limits::WrittenLimits;
pub use limits::{Bounds, CallLimits, Each, Quotas, Rate, ServerBounds, Shares, ToolBounds, Unit};
pub use listen::Listen;
use listen::WrittenListen;
use lockfile::WrittenLockfile;
use masked::without_values;
pub(crate) use remote::is_token;
pub use remote::{Remote, Transport};
use sandbox::WrittenSandbox;
pub use sandbox::{Isolated, Sandbox};
use server::WrittenServer;
pub use server::{BuiltIn, Command, EraChoice, Server, Start};
pub use sessions::KeptSessions;
use sessions::WrittenSessions;
pub use shadow::Shadow;
use shadow::WrittenShadow;
pub use source::{Keeper, SecretSettings, Source};
use source::{WrittenAws, WrittenSecrets, WrittenVault};

/// A configuration that makes sense. There is no other way to get one than [`Config::parse`] and
/// [`Config::built_in`].
#[derive(Debug)]
pub struct Config {
    /// The rules that ship with Tagout and apply here.
    pub profile: Profile,
    /// The folder of one's own rules; files in it end in `.cedar`.
    pub policies: Option<PathBuf>,
    /// Groups by user: who belongs to what.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// Bounds.
    pub limits: CallLimits,
    /// Everybody's share.
    pub shares: Shares,
    /// Where clients are served over HTTP.
    pub listen: Listen,
    /// Rules on trial, where there are any.
    pub shadow: Option<Shadow>,
    /// How approvals are asked for beyond the conversation.
    pub approval: Approval,
    /// What goes on record of what is said.
    pub audit: Audit,
    /// What the operator has agreed to for everybody.
    pub consent: ConsentForAll,
    /// What the assistant is and may do.
    pub host: Host,
    /// What the assistant keeps of what was said.
    pub sessions: KeptSessions,
    /// The keys that the lockfile has to be signed by, one of them; none where it need not be.
    pub signed_by: Vec<PublicKey>,
    /// Profiles of isolation by name, for programs that are no servers of the configuration.
    pub sandboxes: BTreeMap<String, Sandbox>,
    /// How secrets are read.
    pub secrets: SecretSettings,
    /// Servers by name.
    pub servers: BTreeMap<ServerName, Arc<Server>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    profile: Profile,
    policies: Option<PathBuf>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    limits: WrittenLimits,
    #[serde(default)]
    lockfile: WrittenLockfile,
    #[serde(default)]
    http: WrittenListen,
    #[serde(default)]
    consent: WrittenConsent,
    shadow: Option<WrittenShadow>,
    #[serde(default)]
    audit: WrittenAudit,
    #[serde(default)]
    approval: WrittenApproval,
    #[serde(default)]
    host: WrittenHost,
    #[serde(default)]
    sessions: WrittenSessions,
    #[serde(default)]
    secrets: WrittenSecrets,
    vault: Option<WrittenVault>,
    aws: Option<WrittenAws>,
    #[serde(default)]
    sandbox: BTreeMap<Spanned<String>, WrittenSandbox>,
    #[serde(default)]
    server: BTreeMap<Spanned<String>, WrittenServer>,
    /// Models' providers: for the assistant, which reads them itself. No call depends on them.
    #[serde(default, rename = "provider")]
    _provider: serde::de::IgnoredAny,
}

/// What is wrong with a configuration file, and where.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{problem}")]
#[diagnostic(code("config-invalid"))]
pub struct ConfigError {
    problem: Box<str>,
    #[help]
    help: Option<Box<str>>,
    #[source_code]
    file: NamedSource<Arc<str>>,
    #[label("here")]
    at: Option<SourceSpan>,
}

impl Config {
    /// What holds without a configuration file: the Grid Operations Assistant under the default
    /// profile.
    #[must_use]
    pub fn built_in() -> Self {
        let grid = Server::of(Start::BuiltIn(BuiltIn::Grid));
        Self {
            profile: Profile::default(),
            policies: None,
            groups: BTreeMap::new(),
            limits: CallLimits::default(),
            shares: Shares::default(),
            signed_by: Vec::new(),
            listen: Listen::default(),
            consent: ConsentForAll::default(),
            shadow: None,
            approval: Approval::default(),
            audit: Audit::default(),
            host: Host::default(),
            sessions: KeptSessions::default(),
            secrets: SecretSettings::default(),
            sandboxes: BTreeMap::new(),
            servers: ServerName::try_from("grid")
                .map(|name| (name, Arc::new(grid)))
                .into_iter()
                .collect(),
        }
    }

    /// Reads `text`, the content of the file called `name`, which stands in `folder`: relative
    /// paths are relative to that.
    ///
    /// # Errors
    /// The first thing wrong, with its line and what was meant.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Self, ConfigError> {
        let reader = Reader { name, text, folder };
        let written: Written = toml::from_str(text).map_err(|e| {
            // The message of a value that is no string would hold the value.
            let shown = e.span().and_then(|span| without_values(text).get(span).map(str::to_owned));
            let masked = shown.is_some_and(|shown| shown.starts_with('*'));
            let message = if masked {
                "a value of `env`, `headers` or `sessions` is not of its type"
            } else {
                e.message()
            };
            reader.error(message.to_owned(), hint(message), e.span())
        })?;
        let sandboxes = reader.profiles(written.sandbox)?;
        let limits = reader.limits(&written.limits)?;
        let mut shares = reader.shares(written.limits)?;
        let mut servers = BTreeMap::new();
        for (name, mut server) in written.server {
            let checked = ServerName::try_from(name.get_ref().as_str())
                .map_err(|e| reader.error(e.to_string(), None, Some(name.span())))?;
            let own = reader.server_bounds(std::mem::take(&mut server.limits), &shares.server)?;
            shares.servers.insert(checked.clone(), Arc::new(own));
            servers.insert(checked, Arc::new(reader.server(&name, server, &sandboxes)?));
        }
        reader.bare_alone(&servers)?;
        let policies = written.policies.unwrap_or_else(|| "policies".into());
        Ok(Self {
            profile: written.profile,
            policies: Some(folder.join(policies)),
            groups: written
                .groups
                .into_iter()
                .map(|(user, groups)| (user, groups.into_iter().collect()))
                .collect(),
            limits,
            shares,
            signed_by: reader.signed_by(written.lockfile)?,
            listen: reader.listen(written.http)?,
            consent: reader.consent(&written.consent, &servers)?,
            shadow: written.shadow.map(|shadow| reader.shadow(shadow, written.profile)),
            approval: reader.approval(written.approval)?,
            audit: reader.audit(&written.audit)?,
            host: reader.host(written.host)?,
            sessions: reader.sessions(&written.sessions)?,
            secrets: reader.secrets(&written.secrets, (written.vault, written.aws))?,
            sandboxes,
            servers,
        })
    }
}

/// What was probably meant by a key that is not known.
fn hint(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (wrong, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2);
    let nearest = known.min_by_key(|known| distance(wrong, known))?;
    (distance(wrong, nearest) <= 3).then(|| format!("did you mean `{nearest}`?"))
}

/// The edit distance of Levenshtein.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(row.first_mut().unwrap_or(&mut 0), i + 1);
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(b.chars()) {
            let cost = (diagonal + usize::from(ca != cb)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, cost);
            left = cost;
        }
    }
    row.last().copied().unwrap_or_default()
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    folder: &'a Path,
}

impl Reader<'_> {
    fn error(
        &self,
        problem: String,
        help: Option<String>,
        at: Option<std::ops::Range<usize>>,
    ) -> ConfigError {
        ConfigError {
            problem: problem.into(),
            help: help.map(Into::into),
            file: NamedSource::new(self.name, Arc::from(without_values(self.text))),
            at: at.map(SourceSpan::from),
        }
    }

    fn within(
        &self,
        what: &str,
        written: Option<&Spanned<u64>>,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, ConfigError> {
        let Some(value) = written else { return Ok(None) };
        if range.contains(value.get_ref()) {
            return Ok(Some(*value.get_ref()));
        }
        let problem = format!("{what} is {}", value.get_ref());
        let help = format!("use {} to {}", range.start(), range.end());
        Err(self.error(problem, Some(help), Some(value.span())))
    }
}
