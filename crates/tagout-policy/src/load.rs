//! Reading rules.
use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use cedar_policy::{Authorizer, Policy as CedarPolicy, PolicyId, PolicySet};
use miette::{Diagnostic, NamedSource, SourceSpan};
use tagout_proto::Digest;

use crate::{
    asks::Asks, check::Checker, known::Known, prepared::Prepared, profile::Profile, schema::schema,
    surface::Surface,
};

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
    /// The text that it stands in, and its line there, counted from one.
    place: (Arc<str>, usize),
}

/// A set of rules, ready to decide.
pub struct Policy {
    pub(crate) set: PolicySet,
    /// The same rules, for calls.
    pub(crate) prepared: Prepared,
    pub(crate) rules: BTreeMap<PolicyId, Rule>,
    pub(crate) authorizer: Authorizer,
    pub(crate) known: Known,
    pub(crate) asks: Asks,
    pub(crate) checker: Checker,
    schema: Box<str>,
    version: Digest,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} rules, {})", self.rules.len(), self.version)
    }
}

impl Policy {
    /// Reads a profile's rules and one's own, and checks them against what is pinned: every
    /// condition must have a type, and every rule a call that it could be about.
    ///
    /// # Errors
    /// The first thing wrong, with its place: not Cedar, a template, a rule without an `@id`, an
    /// `@id` that stands twice, a tool, server or action that there is not, an attribute or an
    /// argument that there is not, types that do not fit, a rule that can never match.
    pub fn load(profile: Profile, own: &[Source], surface: &Surface) -> Result<Self, PolicyError> {
        let shipped =
            Source { name: format!("profile {profile}"), text: profile.rules().to_owned() };
        let (schema, text) = schema(surface).map_err(|problem| PolicyError {
            problem: format!("the pinned tools make no schema: {problem}").into(),
            help: Some("pin them again with `tagout pin`".into()),
            file: file(&shipped),
            at: None,
        })?;
        let mut rules = Rules {
            set: PolicySet::new(),
            about: BTreeMap::new(),
            asks: Asks::default(),
            checker: Checker::new(schema, surface),
        };
        for source in std::iter::once(&shipped).chain(own) {
            rules.add(source)?;
        }
        let texts: Vec<_> =
            std::iter::once(&shipped).chain(own).map(|s| s.text.as_bytes()).collect();
        let prepared = Prepared::of(&rules.set)
            .map_err(|error| PolicyError::at(&shipped, &error.to_string(), None, None))?;
        Ok(Self {
            set: rules.set,
            prepared,
            rules: rules.about,
            authorizer: Authorizer::new(),
            known: Known::default(),
            asks: rules.asks,
            checker: rules.checker,
            schema: text.into(),
            version: Digest::of_parts(texts),
        })
    }

    /// The digest of all rules: another policy has another.
    #[must_use]
    pub const fn version(&self) -> Digest {
        self.version
    }

    /// Whether any rule looks at what happened before in the conversation.
    #[must_use]
    pub fn asks_about_history(&self) -> bool {
        self.asks.about("history")
    }

    /// The rules' ids, sorted.
    pub fn rule_ids(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(AsRef::as_ref)
    }

    /// The name of the text that a rule stands in, and its line there, counted from one.
    #[must_use]
    pub fn rule_place(&self, id: &str) -> Option<(&str, usize)> {
        let rule = self.rules.get(&PolicyId::new(id))?;
        Some((&*rule.place.0, rule.place.1))
    }

    /// What rules may speak of, as a Cedar schema.
    #[must_use]
    pub fn schema_text(&self) -> &str {
        &self.schema
    }
}

/// Rules as they are read.
struct Rules {
    set: PolicySet,
    about: BTreeMap<PolicyId, Rule>,
    asks: Asks,
    checker: Checker,
}

impl Rules {
    fn add(&mut self, source: &Source) -> Result<(), PolicyError> {
        let parsed = parse(source)?;
        if let Some(template) = parsed.templates().next() {
            let help = "write the principal or resource out: nothing links templates here";
            let problem = format!("`{}` is a template", template.id());
            return Err(PolicyError::at(source, &problem, Some(help), None));
        }
        let mut of_source = PolicySet::new();
        let name: Arc<str> = source.name.as_str().into();
        for policy in parsed.policies() {
            let id = self.id(policy, source)?;
            let renamed = policy.new_id(id.clone());
            match renamed.to_json() {
                Ok(json) => self.asks.add(&json),
                Err(_) => self.asks.add_everything(),
            }
            // The id is new, so neither fails.
            for set in [&mut self.set, &mut of_source] {
                set.add(renamed.clone()).map_err(|error| {
                    PolicyError::at(source, &error.to_string(), None, span(policy))
                })?;
            }
            self.about.insert(id, rule(policy, source, &name));
        }
        self.checker.check(&of_source, source)
    }

    fn id(&self, policy: &CedarPolicy, source: &Source) -> Result<PolicyId, PolicyError> {
        let wrong =
            |problem: &str, help| PolicyError::at(source, problem, Some(help), span(policy));
        let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
            let help = "write `@id(\"a-name\")` before it: verdicts and records name the rule";
            return Err(wrong("a rule has no `@id`", help));
        };
        if id.starts_with("tagout:") {
            let help = "ids that start with `tagout:` are built in";
            return Err(wrong(&format!("the rule id `{id}` is taken"), help));
        }
        let id = PolicyId::new(id);
        if self.about.contains_key(&id) {
            let help = "give each rule a name of its own, also against the profile's";
            return Err(wrong(&format!("the rule id `{id}` stands twice"), help));
        }
        Ok(id)
    }
}

fn parse(source: &Source) -> Result<PolicySet, PolicyError> {
    PolicySet::from_str(&source.text).map_err(|errors| {
        let first = errors.iter().next();
        let at = first.and_then(|e| e.labels()).and_then(|mut labels| labels.next());
        PolicyError {
            problem: first.map_or_else(|| errors.to_string(), ToString::to_string).into(),
            help: first.and_then(Diagnostic::help).map(|help| help.to_string().into()),
            file: file(source),
            at: at.map(|label| *label.inner()),
        }
    })
}

fn rule(policy: &CedarPolicy, source: &Source, name: &Arc<str>) -> Rule {
    let note = |key| policy.annotation(key).unwrap_or_default().to_owned();
    let before = span(policy).and_then(|span| source.text.get(..span.offset()));
    let line = before.unwrap_or_default().matches('\n').count() + 1;
    Rule {
        reason: note("reason"),
        remedy: note("remedy"),
        forbids: policy.effect() == cedar_policy::Effect::Forbid,
        place: (Arc::clone(name), line),
    }
}

/// Where a rule stands in its text.
pub(crate) fn span(policy: &CedarPolicy) -> Option<SourceSpan> {
    let syntax: &_ = policy.as_ref();
    syntax.loc().map(|loc| loc.span)
}

impl PolicyError {
    pub(crate) fn at(
        source: &Source,
        problem: &str,
        help: Option<&str>,
        at: Option<SourceSpan>,
    ) -> Self {
        Self { problem: problem.into(), help: help.map(Into::into), file: file(source), at }
    }
}

fn file(source: &Source) -> NamedSource<Arc<str>> {
    NamedSource::new(&source.name, Arc::from(source.text.as_str()))
}
