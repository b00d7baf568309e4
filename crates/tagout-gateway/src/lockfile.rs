//! The lockfile: what has been reviewed. Written for review in a pull request.
mod model;
mod program;
pub mod signature;
mod surface;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use miette::{Diagnostic, NamedSource, SourceSpan};
use tagout_inspect::definition::{Hint, Proposal};
use tagout_policy::{Effect, Effects, Labels, Shape};
use tagout_proto::{Digest, ServerName, ToolName};
use tagout_store::Offering;

pub use self::{
    model::{PinnedModel, with_model},
    program::with_program,
};
use crate::{config::Transport, upstream::Quarantine};

/// What has been pinned, by server.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockfile {
    version: Version,
    /// Servers by name.
    #[serde(default, rename = "server")]
    pub servers: BTreeMap<ServerName, PinnedServer>,
    /// The programs of servers of which no more has been pinned yet: what runs is held fast, and what
    /// it offers is as unreviewed as without.
    #[serde(default, rename = "program")]
    pub programs: BTreeMap<ServerName, PinnedServer>,
    /// Files of language models that run on this machine, by their absolute paths.
    #[serde(default, rename = "model")]
    pub models: BTreeMap<PathBuf, PinnedModel>,
}

/// The format's version. The first said nothing of arguments, output, prompts, templates and
/// instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "u32")]
enum Version {
    First,
    #[default]
    Second,
}

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        match number {
            1 => Ok(Self::First),
            2 => Ok(Self::Second),
            _ => Err(format!("this Tagout reads the versions 1 and 2, not {number}")),
        }
    }
}

/// A server as it was pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedServer {
    /// It stands in a lockfile of version 1, which knew only its program and its tools: of the rest
    /// nothing can be missing, new or changed.
    #[serde(skip)]
    pub of_first_version: bool,
    /// The resolved program, then its arguments; nothing for a server that is built in.
    pub command: Option<Vec<String>>,
    /// Digest of the program's file.
    pub executable: Option<Digest>,
    /// Files among the arguments that are code, and their digests.
    #[serde(default)]
    pub files: Vec<PinnedFile>,
    /// The package locks that stand with its code, and their digests.
    #[serde(default)]
    pub packages: Vec<PinnedFile>,
    /// The names of the variables that it gets, with a digest where the value decides what code runs.
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
    /// Digest of the file of certificates that its own must come from, where it is not the
    /// system's.
    pub issuer: Option<Digest>,
    /// Digest of what it says of how to use it, if it says anything.
    pub instructions: Option<Digest>,
    /// Whether a person has confirmed that its resources and prompts only read.
    #[serde(default)]
    pub offers_reviewed: bool,
    /// Its tools by name.
    #[serde(default, rename = "tool")]
    pub tools: BTreeMap<ToolName, PinnedTool>,
    /// Its prompts by name.
    #[serde(default, rename = "prompt")]
    pub prompts: BTreeMap<String, PinnedOffer>,
    /// Its resource templates, by the template.
    #[serde(default, rename = "template")]
    pub templates: BTreeMap<String, PinnedOffer>,
}

impl PinnedServer {
    /// Whether both are started by the same program in the same way, or are at the same URL.
    #[must_use]
    pub fn same_program(&self, other: &Self) -> bool {
        self.how_it_differs(other).is_none()
    }

    /// Its prompts or its templates.
    #[must_use]
    pub const fn offers(&self, kind: Offering) -> Option<&BTreeMap<String, PinnedOffer>> {
        match kind {
            Offering::Prompt => Some(&self.prompts),
            Offering::Template => Some(&self.templates),
            Offering::Tool | Offering::Instructions => None,
        }
    }

    /// How what it calls `name` stands.
    pub(crate) fn pin(&self, kind: Offering, name: &str) -> Option<PinnedOffer> {
        match kind {
            Offering::Tool => self.tools.get(name).map(PinnedTool::pin),
            Offering::Prompt | Offering::Template | Offering::Instructions => {
                self.offers(kind)?.get(name).copied()
            }
        }
    }

    pub(crate) const fn offers_mut(
        &mut self,
        kind: Offering,
    ) -> Option<&mut BTreeMap<String, PinnedOffer>> {
        match kind {
            Offering::Prompt => Some(&mut self.prompts),
            Offering::Template => Some(&mut self.templates),
            Offering::Tool | Offering::Instructions => None,
        }
    }

    /// Whether it was pinned with these variables. An older Tagout wrote down names alone.
    fn has_variables(&self, found: &[String]) -> bool {
        let was_pinned = |variable: &String| {
            let name = variable.split_once('=').map(|(name, _)| name);
            let pinned = |other: &String| other == variable || Some(other.as_str()) == name;
            self.environment.iter().any(pinned)
        };
        self.environment.len() == found.len() && found.iter().all(was_pinned)
    }

    /// What of `found`, which is there now, is not as it was pinned here.
    pub(crate) fn how_it_differs(&self, found: &Self) -> Option<&'static str> {
        let differences = [
            (self.command != found.command, "its command line differs"),
            (self.url != found.url, "its URL differs"),
            (
                self.transport != found.transport || self.headers != found.headers,
                "its transport, or which headers it is sent, differ",
            ),
            (self.executable != found.executable, "the program's file differs"),
            (self.files != found.files, "a file that it is started with differs"),
            (
                !self.has_variables(&found.environment) || self.cwd != found.cwd,
                "its environment or its working directory differs",
            ),
            (
                !self.of_first_version && self.packages != found.packages,
                "the lock of the packages that it is made of differs",
            ),
            (
                !self.of_first_version && self.issuer != found.issuer,
                "the certificates that its own must come from differ",
            ),
        ];
        differences.into_iter().find(|(differs, _)| *differs).map(|(_, what)| what)
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
    /// The types of its arguments.
    pub arguments: Option<Shape>,
    /// The arguments that say where something goes.
    #[serde(default)]
    pub destinations: BTreeSet<String>,
    /// The arguments that hold what goes there.
    #[serde(default)]
    pub payloads: BTreeSet<String>,
    /// What is to be thought of its output; nothing where nobody has said.
    pub output: Option<BTreeSet<Output>>,
    /// Whether what it is given may leave the organisation.
    #[serde(default)]
    pub may_leave: bool,
    /// See [`PinnedOffer`].
    #[serde(default)]
    pub held: bool,
    /// See [`PinnedOffer`].
    pub accepted: Option<Digest>,
    /// See [`PinnedOffer`].
    #[serde(default)]
    pub returned: u32,
    /// Whether a person has confirmed that.
    pub reviewed: bool,
}

/// What is to be thought of a tool's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Anybody may have written it.
    Untrusted,
    /// It is not for everybody.
    Sensitive,
}

impl Output {
    /// Its name in lockfiles.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Sensitive => "sensitive",
        }
    }
}

/// A prompt or a resource template as it was pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedOffer {
    /// Digest of its canonical definition.
    pub definition: Digest,
    /// Whether it was in quarantine when it was written down, and stays so until it is reviewed.
    #[serde(default)]
    pub held: bool,
    /// Digest of what stood there before, where that is held for being another.
    pub accepted: Option<Digest>,
    /// How often it was accepted again after it had been missing.
    #[serde(default)]
    pub returned: u32,
    /// Whether a person has looked at it.
    pub reviewed: bool,
}

impl PinnedOffer {
    /// Of this definition, of which nothing else is known.
    #[must_use]
    pub const fn new(definition: Digest, reviewed: bool) -> Self {
        Self { definition, held: false, accepted: None, returned: 0, reviewed }
    }

    /// Why it is in quarantine, as long as nobody has reviewed it.
    pub(crate) fn quarantine(&self) -> Option<Quarantine> {
        let why =
            self.accepted.map_or(Quarantine::New, |expected| Quarantine::Changed { expected });
        (self.held && !self.reviewed).then_some(why)
    }
}

impl PinnedTool {
    /// How it stands, without what it is like.
    #[must_use]
    pub const fn pin(&self) -> PinnedOffer {
        let Self { definition, held, accepted, returned, reviewed, .. } = *self;
        PinnedOffer { definition, held, accepted, returned, reviewed }
    }

    /// The same, which stands so.
    #[must_use]
    pub fn pinned(self, pin: PinnedOffer) -> Self {
        let PinnedOffer { definition, held, accepted, returned, reviewed } = pin;
        Self { definition, held, accepted, returned, reviewed, ..self }
    }

    /// A tool with these effects, of which nothing else is known.
    #[must_use]
    pub fn new(definition: Digest, effects: Effects, reviewed: bool) -> Self {
        let (destinations, payloads) = Default::default();
        Self {
            definition,
            effects,
            arguments: None,
            destinations,
            payloads,
            output: None,
            may_leave: false,
            held: false,
            accepted: None,
            returned: 0,
            reviewed,
        }
    }

    /// A tool that nobody has reviewed, as its definition and its wording propose.
    #[must_use]
    pub fn proposed(definition: Digest, proposal: &Proposal, arguments: Option<Shape>) -> Self {
        let values =
            |hints: &[Hint]| hints.iter().map(|hint| hint.value.clone()).collect::<BTreeSet<_>>();
        let says = |word: &str| proposal.output.iter().any(|hint| hint.value == word);
        let output = [Output::Untrusted, Output::Sensitive];
        Self {
            arguments,
            destinations: values(&proposal.destinations),
            payloads: values(&proposal.payloads),
            output: Some(output.into_iter().filter(|one| says(one.as_str())).collect()),
            ..Self::new(definition, proposed(&proposal.effects), false)
        }
    }

    /// What rules may go by beside the effects: only what a person has confirmed relaxes anything.
    #[must_use]
    pub fn labels(&self) -> Labels {
        let says = |label| self.output.as_ref().is_none_or(|output| output.contains(&label));
        Labels {
            untrusted: !self.reviewed || says(Output::Untrusted),
            sensitive: !self.reviewed || says(Output::Sensitive),
            may_leave: self.reviewed && self.may_leave,
            destinations: self.destinations.clone(),
            payloads: self.payloads.clone(),
        }
    }
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
        let mut lockfile: Self = toml::from_str(text).map_err(|e| LockfileError {
            problem: e.message().to_owned(),
            file: NamedSource::new(name, Arc::from(text)),
            at: e.span().map(SourceSpan::from),
        })?;
        let of_first_version = lockfile.is_of_first_version();
        for server in lockfile.servers.values_mut() {
            server.of_first_version = of_first_version;
        }
        Ok(lockfile)
    }

    /// What was pinned of a tool.
    #[must_use]
    pub fn tool(&self, server: &ServerName, tool: &ToolName) -> Option<&PinnedTool> {
        self.servers.get(server)?.tools.get(tool)
    }

    /// Whether it is of an older version, which says less.
    #[must_use]
    pub fn is_of_first_version(&self) -> bool {
        self.version == Version::First
    }
}

/// The reasons for what is proposed of what nobody has reviewed.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Of tools.
    pub tools: BTreeMap<(ServerName, ToolName), Proposal>,
    /// What speaks against a tool, a prompt or a template, by server, kind and name.
    pub warnings: BTreeMap<(ServerName, Offering, String), String>,
}

/// The effects that hints name.
#[must_use]
pub fn proposed(hints: &[Hint]) -> Effects {
    const ALL: [Effect; 5] =
        [Effect::Read, Effect::Write, Effect::Destructive, Effect::Egress, Effect::Exec];
    ALL.into_iter().filter(|effect| hints.iter().any(|h| h.value == effect.as_str())).collect()
}
