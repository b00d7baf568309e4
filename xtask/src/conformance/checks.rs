//! What the suite says of a scenario: its file of checks.
use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::tree::text;

/// Outcomes, by scenario.
pub(super) type Outcomes = BTreeMap<String, Outcome>;

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Status {
    Success,
    Skipped,
    /// Says something, for instance that the server need not have what the check is about.
    Info,
    Warning,
    Failure,
}

impl Status {
    fn parse(word: &str) -> Result<Self, String> {
        match word {
            "SUCCESS" => Ok(Self::Success),
            "SKIPPED" => Ok(Self::Skipped),
            "WARNING" => Ok(Self::Warning),
            "FAILURE" => Ok(Self::Failure),
            "INFO" => Ok(Self::Info),
            word => Err(format!("`{word}` is no status of a check")),
        }
    }

    /// Whether it says how well something is done.
    fn counts(self) -> bool {
        match self {
            Self::Success | Self::Warning | Self::Failure => true,
            Self::Skipped | Self::Info => false,
        }
    }

    pub(super) fn is_bad(self) -> bool {
        matches!(self, Self::Warning | Self::Failure)
    }
}

/// How a scenario ended. Without any check it was not run.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// By identifier, which a scenario may use more than once.
    checks: BTreeMap<String, Vec<Status>>,
    /// What was said of the bad ones.
    said: BTreeMap<String, String>,
}

impl Outcome {
    /// All that a run left in `folder`. A scenario that was run twice counts as it ended last.
    pub(super) fn read_all(folder: &Path, prefix: &str) -> Result<Outcomes, String> {
        let failed = |error| format!("{}: {error}", folder.display());
        let mut runs = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            runs.push(entry.map_err(failed)?.path());
        }
        runs.sort();
        let mut outcomes = Outcomes::new();
        for run in runs {
            let name = run.file_name().map(|name| name.to_string_lossy().into_owned());
            let Some(name) = name.as_deref().and_then(|name| scenario(name, prefix)) else {
                continue;
            };
            let file = run.join("checks.json");
            let text = text(&file)?.ok_or_else(|| format!("{}: too large", file.display()))?;
            let outcome = Self::read(&text).map_err(|why| format!("{}: {why}", file.display()))?;
            outcomes.insert(name.to_owned(), outcome);
        }
        Ok(outcomes)
    }

    fn read(text: &str) -> Result<Self, String> {
        let checks: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut outcome = Self::default();
        for check in &checks {
            let word = |key| check.get(key).and_then(Value::as_str);
            let id = word("id").ok_or("a check without `id`")?;
            let status = Status::parse(word("status").ok_or("a check without `status`")?)?;
            if status.is_bad() {
                let said = word("errorMessage").or(word("description")).unwrap_or_default();
                outcome.said.insert(id.to_owned(), said.to_owned());
            }
            outcome.checks.entry(id.to_owned()).or_default().push(status);
        }
        outcome.checks.values_mut().for_each(|statuses| statuses.sort_unstable());
        Ok(outcome)
    }

    /// Whether it was run, and nothing failed or was warned of.
    pub(super) fn is_clean(&self) -> bool {
        !self.checks.is_empty() && self.bad().next().is_none()
    }

    /// The checks that did not pass.
    pub(super) fn bad(&self) -> impl Iterator<Item = &str> {
        let bad = self.checks.iter().filter(|(_, all)| all.iter().any(|status| status.is_bad()));
        bad.map(|(id, _)| id.as_str())
    }

    /// What is wrong with it, in one line.
    pub(super) fn problems(&self) -> String {
        if self.checks.is_empty() {
            return "was not run".to_owned();
        }
        let said = |id: &str| self.said.get(id).map(|it| it.replace('\n', " ")).unwrap_or_default();
        let bad: Vec<_> = self.bad().map(|id| format!("{id} ({})", said(id))).collect();
        bad.join("; ")
    }

    /// How it differs from another run of the same scenario, apart from what only informs.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let ids = self.checks.keys().chain(other.checks.keys());
        let of = |it: &Self, id: &str| it.checks.get(id).cloned().unwrap_or_default();
        let informs = |it: &Vec<Status>| it.iter().all(|status| *status == Status::Info);
        let differs = |id: &&String| {
            let (own, others) = (of(self, id), of(other, id));
            // A check that only informs on the other side found nothing there to hold anything
            // against: what it is about is left to the server.
            let left_open = !others.is_empty() && informs(&others);
            own != others && !left_open && !(informs(&own) && informs(&others))
        };
        ids.into_iter()
            .find(differs)
            .map(|id| format!("{id} is {:?} and {:?}", of(self, id), of(other, id)))
    }

    /// `passed/all`, without what was skipped or only informs.
    pub(super) fn cell(&self) -> String {
        let (passed, all) = self.counts();
        match (passed, all) {
            _ if self.checks.is_empty() => "not run".to_owned(),
            (_, 0) => "skipped".to_owned(),
            _ => format!("{passed}/{all}"),
        }
    }

    /// How many passed, of how many.
    pub(super) fn counts(&self) -> (usize, usize) {
        let all = || self.checks.values().flatten().filter(|status| status.counts());
        (all().filter(|status| **status == Status::Success).count(), all().count())
    }
}

/// The scenario's name in that of a folder: `PREFIX` NAME `-2026-11-21T14-11-24-483Z`.
fn scenario<'a>(folder: &'a str, prefix: &str) -> Option<&'a str> {
    const STAMP: &str = "-0000-00-00T00-00-00-000Z";
    let rest = folder.strip_prefix(prefix)?;
    let (name, stamp) = rest.split_at_checked(rest.len().checked_sub(STAMP.len())?)?;
    let fits = stamp.chars().zip(STAMP.chars()).all(|(c, like)| match like {
        '0' => c.is_ascii_digit(),
        like => c == like,
    });
    (fits && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_name_their_scenarios() {
        let named = scenario("server-server-stateless-2026-11-21T14-11-24-483Z", "server-");
        assert_eq!(named, Some("server-stateless"));
        assert_eq!(scenario("tools_call-2026-11-21T14-11-24-483Z", ""), Some("tools_call"));
        assert_eq!(scenario("tools_call", ""), None);
    }

    #[test]
    fn warnings_count_and_information_does_not() {
        let check = |status: &str| format!(r#"{{"id":"a","status":"{status}"}}"#);
        let read = |words: &[&str]| {
            let checks: Vec<_> = words.iter().map(|word| check(word)).collect();
            Outcome::read(&format!("[{}]", checks.join(",")))
        };
        let clean = read(&["SUCCESS", "INFO", "SKIPPED"]).unwrap();
        assert!(clean.is_clean());
        assert_eq!(clean.cell(), "1/1");
        let warned = read(&["WARNING", "SUCCESS"]).unwrap();
        assert!(!warned.is_clean());
        assert_eq!(warned.cell(), "1/2");
        assert!(clean.difference(&warned).is_some());
        assert!(!read(&[]).unwrap().is_clean());
        assert!(read(&["FINE"]).is_err());
    }
}
