//! `policy`: rules, looked at, tested, tried out and learnt.
mod check;
mod explain;
mod learn;
mod replay;
mod test;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use tagout_audit::{
    AuditError, Line, Reader,
    record::{Call, Payload},
};
use tagout_policy::{Policy as Loaded, Profile, Source};

use crate::{
    cli::{Policy, ProfileName},
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::Setup,
};

/// Looks at rules, tests them, tries them out, or learns some.
pub(crate) fn policy(places: &Places, policy: &Policy, json: bool) -> Result<ExitCode, Failure> {
    let setup = Setup::read(places)?;
    match policy {
        Policy::Check(candidate) => {
            let rules = RuleSet::of(setup, candidate.folder.as_deref(), candidate.profile)?;
            check::check(&rules, json)
        }
        Policy::Explain { record } => {
            explain::explain(places, &RuleSet::of_setup(setup)?, *record, json)
        }
        Policy::Test { file, rules } => {
            let rules = RuleSet::of(setup, rules.folder.as_deref(), rules.profile)?;
            test::test(file, &rules, json)
        }
        Policy::Replay(options) => {
            let profile = options.profile.map_or(setup.config.profile, Profile::from);
            let (candidate, _) =
                setup.rules.of_folder(&options.candidate, profile, &setup.lockfile)?;
            let log = log(places, options.log.as_ref())?;
            replay::replay(&log, &setup.policy, &candidate, json)
        }
        Policy::Learn { log: folder } => {
            let log = log(places, folder.as_ref())?;
            let pinned = setup.rules.pinned(&setup.lockfile)?;
            learn::learn(&log, &pinned.surface(), json)
        }
        Policy::Schema => {
            output::line(setup.policy.schema_text().trim_end())?;
            Ok(Ended::Done.into())
        }
    }
}

/// The least that an operator can do so that a call like `call` is let through under the rules of
/// today; nothing where it already is, or that cannot be told.
pub(super) fn least_remedy(places: &Places, call: &Call) -> Option<String> {
    let rules = RuleSet::of_setup(Setup::read(places).ok()?).ok()?;
    explain::least_remedy(&rules, call)
}

/// Rules with their texts.
struct RuleSet {
    setup: Setup,
    /// Other rules than those that hold.
    other: Option<Loaded>,
    own: Vec<Source>,
    profile: Profile,
}

impl RuleSet {
    fn of_setup(setup: Setup) -> Result<Self, Failure> {
        let (own, profile) = (setup.rules.sources()?, setup.config.profile);
        Ok(Self { setup, other: None, own, profile })
    }

    /// Those of `folder`, or else those that hold, with those of `profile`.
    fn of(
        setup: Setup,
        folder: Option<&Path>,
        profile: Option<ProfileName>,
    ) -> Result<Self, Failure> {
        let named = profile.map(Profile::from);
        let profile = named.unwrap_or(setup.config.profile);
        let (other, own) = match (folder, named) {
            (None, None) => return Self::of_setup(setup),
            (None, Some(_)) => {
                let own = setup.rules.sources()?;
                let surface = setup.rules.pinned(&setup.lockfile)?.surface();
                let policy = Loaded::load(profile, &own, &surface).map_err(Failure::at_place)?;
                (policy, own)
            }
            (Some(folder), _) => setup.rules.of_folder(folder, profile, &setup.lockfile)?,
        };
        Ok(Self { setup, other: Some(other), own, profile })
    }

    fn policy(&self) -> &Loaded {
        self.other.as_ref().unwrap_or(&self.setup.policy)
    }

    /// The text of a rule, and where it stands.
    fn text(&self, id: &str) -> Option<(String, String)> {
        let (file, line) = self.policy().rule_place(id)?;
        let own = self.own.iter().find(|source| source.name == file);
        let text = own.map_or_else(|| self.profile.rules(), |source| &source.text);
        let mut rule = Vec::new();
        for text in text.lines().skip(line.saturating_sub(1)) {
            rule.push(text);
            if text.trim_end().ends_with(';') {
                break;
            }
        }
        Some((format!("{file}:{line}"), rule.join("\n")))
    }
}

/// The folder of a log: one that was named must be there.
fn log(places: &Places, named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    let folder = named.cloned().unwrap_or_else(|| places.audit());
    if folder.is_dir() {
        return Ok(folder);
    }
    let message = format!("there is no log in `{}`", folder.display());
    Err(Failure::usage("log-missing", message, "name the folder with `log-000001.jsonl` in it"))
}

/// Hands every line of a log to `visit`.
fn each_line(log: &Path, mut visit: impl FnMut(&Line, &Payload)) -> Result<(), Failure> {
    let failed = |error: AuditError| Failure::of(&error, error.code(), error.help());
    Reader::new(log)
        .each(|line, payload| {
            visit(&line, &payload);
            true
        })
        .map_err(failed)
}
