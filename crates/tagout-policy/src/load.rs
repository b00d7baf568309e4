//! Reading rules.
use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use cedar_policy::{Authorizer, PolicyId, PolicySet};
use miette::{Diagnostic, NamedSource, SourceSpan};
use tagout_proto::Digest;

use crate::{known::Known, surface::Surface};

/// Rules that ship with Tagout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Only what is reviewed as reading.
    ReadOnly,
    /// What is reviewed as reading runs; everything else asks.
    #[default]
    AskBeforeWrites,
    /// Everything asks; what is not reviewed, destroys or executes is denied.
    Strict,
    /// No rules but one's own.
    None,
}

impl Profile {
    /// The profile's name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::AskBeforeWrites => "ask-before-writes",
            Self::Strict => "strict",
            Self::None => "none",
        }
    }

    /// The rules, as Cedar text.
    #[must_use]
    pub const fn rules(self) -> &'static str {
        match self {
            Self::ReadOnly => include_str!("../profiles/read-only.cedar"),
            Self::AskBeforeWrites => include_str!("../profiles/ask-before-writes.cedar"),
            Self::Strict => include_str!("../profiles/strict.cedar"),
            Self::None => "",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text of rules.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file's name, for errors.
    pub name: String,
    /// Cedar policies, each with an `@id`.
    pub text: String,
}

/// What is wrong with a text of rules, and where.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{problem}")]
#[diagnostic(code("policy-invalid"))]
pub struct PolicyError {
    problem: Box<str>,
    #[help]
    help: Option<Box<str>>,
    #[source_code]
    file: NamedSource<Arc<str>>,
    #[label("here")]
    at: Option<SourceSpan>,
}

/// What a rule says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rule {
    pub(crate) reason: String,
    pub(crate) remedy: String,
    /// Whether it is a `forbid`.
    pub(crate) forbids: bool,
}

/// A set of rules, ready to decide.
pub struct Policy {
    pub(crate) set: PolicySet,
    pub(crate) rules: BTreeMap<PolicyId, Rule>,
    pub(crate) authorizer: Authorizer,
    pub(crate) known: Known,
    version: Digest,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} rules, {})", self.rules.len(), self.version)
    }
}

impl Policy {
    /// Reads a profile's rules and one's own.
    ///
    /// # Errors
    /// The first thing wrong, with its place: not Cedar, a template, a rule without an `@id`, an
    /// `@id` that stands twice.
    pub fn load(
        profile: Profile,
        own: &[Source],
        _surface: &Surface,
    ) -> Result<Self, PolicyError> {
        let shipped =
            Source { name: format!("profile {profile}"), text: profile.rules().to_owned() };
        let mut set = PolicySet::new();
        let mut rules = BTreeMap::new();
        for source in std::iter::once(&shipped).chain(own) {
            add(source, &mut set, &mut rules)?;
        }
        let texts: Vec<_> =
            std::iter::once(&shipped).chain(own).map(|s| s.text.as_bytes()).collect();
        let (authorizer, known) = (Authorizer::new(), Known::default());
        Ok(Self { set, rules, authorizer, known, version: Digest::of_parts(texts) })
    }

    /// The digest of all rules: another policy has another.
    #[must_use]
    pub const fn version(&self) -> Digest {
        self.version
    }

    /// Whether any rule looks at what happened before in the conversation.
    #[must_use]
    pub const fn asks_about_history(&self) -> bool {
        true
    }

    /// The rules' ids, sorted.
    pub fn rule_ids(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(AsRef::as_ref)
    }
}

fn add(
    source: &Source,
    set: &mut PolicySet,
    rules: &mut BTreeMap<PolicyId, Rule>,
) -> Result<(), PolicyError> {
    let parsed = PolicySet::from_str(&source.text).map_err(|errors| {
        let first = errors.iter().next();
        let at = first.and_then(|e| e.labels()).and_then(|mut labels| labels.next());
        PolicyError {
            problem: first.map_or_else(|| errors.to_string(), ToString::to_string).into(),
            help: first.and_then(Diagnostic::help).map(|help| help.to_string().into()),
            file: file(source),
            at: at.map(|label| *label.inner()),
        }
    })?;
    let wrong = |problem: String, help: &str, at: Option<&str>| PolicyError {
        problem: problem.into(),
        help: Some(help.into()),
        file: file(source),
        at: at.and_then(|text| Some(SourceSpan::from((source.text.find(text)?, text.len())))),
    };
    if let Some(template) = parsed.templates().next() {
        let help = "write the principal or resource out: nothing links templates here";
        return Err(wrong(format!("`{}` is a template", template.id()), help, None));
    }
    for policy in parsed.policies() {
        let text = policy.to_string();
        let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
            let help = "write `@id(\"a-name\")` before it: verdicts and records name the rule";
            return Err(wrong("a rule has no `@id`".to_owned(), help, Some(&text)));
        };
        let note = |key| policy.annotation(key).unwrap_or_default().to_owned();
        let rule = Rule {
            reason: note("reason"),
            remedy: note("remedy"),
            forbids: policy.effect() == cedar_policy::Effect::Forbid,
        };
        let id = PolicyId::new(id);
        if set.add(policy.new_id(id.clone())).is_err() {
            let help = "give each rule a name of its own, also against the profile's";
            return Err(wrong(format!("the rule id `{id}` stands twice"), help, Some(&text)));
        }
        rules.insert(id, rule);
    }
    Ok(())
}

fn file(source: &Source) -> NamedSource<Arc<str>> {
    NamedSource::new(&source.name, Arc::from(source.text.as_str()))
}
