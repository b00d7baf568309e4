//! What cannot pass across eras, as `conformance/across-eras.toml` lists it.
use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::{
    checks::{Outcome, Outcomes},
    suite::Suite,
};
use crate::{root, tree::text};

const FILE: &str = "conformance/across-eras.toml";

/// The checks that fail, by scenario, and why.
pub(super) struct Exceptions {
    suite: Suite,
    scenarios: BTreeMap<String, Exception>,
}

#[derive(Default)]
pub(super) struct Exception {
    checks: BTreeSet<String>,
    pub(super) sentence: String,
    pub(super) source: String,
}

impl Exceptions {
    /// Those of one suite through the gateway to a server of the other era.
    pub(super) fn read(suite: Suite) -> Result<Self, String> {
        let text = text(&root().join(FILE))?.ok_or_else(|| format!("{FILE}: too large"))?;
        Self::parse(suite, &text).map_err(|why| format!("{FILE}: {why}"))
    }

    fn parse(suite: Suite, text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error| format!("{error}"))?;
        let known = Suite::ALL.map(section);
        if let Some(unknown) = table.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("`{unknown}` is none of {}", known.join(", ")));
        }
        let mut scenarios = BTreeMap::new();
        let listed = table.get(section(suite)).map(Value::as_array).unwrap_or_default();
        for entry in listed.into_iter().flatten() {
            let (name, exception) = Exception::parse(entry)?;
            if scenarios.insert(name.clone(), exception).is_some() {
                return Err(format!("`{name}` is listed twice"));
            }
        }
        Ok(Self { suite, scenarios })
    }

    pub(super) fn get(&self, scenario: &str) -> Option<&Exception> {
        self.scenarios.get(scenario)
    }

    /// What fails and is not listed, or is listed and does not fail. Only a `whole` run says that
    /// something was not run at all.
    pub(super) fn judge(&self, outcomes: &Outcomes, whole: bool) -> Vec<String> {
        let suite = self.suite.revision();
        let mut problems = Vec::new();
        for (name, outcome) in outcomes {
            let judged = self.judge_one(name, outcome);
            problems.extend(judged.map(|why| format!("across, {suite}: {name}: {why}")));
        }
        let unknown = self.scenarios.keys().filter(|name| whole && !outcomes.contains_key(*name));
        problems.extend(unknown.map(|name| format!("{FILE}: there is no scenario `{name}`")));
        problems
    }

    fn judge_one(&self, name: &str, outcome: &Outcome) -> Option<String> {
        let Some(exception) = self.scenarios.get(name) else {
            return (!outcome.is_clean()).then(|| outcome.problems());
        };
        let bad: BTreeSet<_> = outcome.bad().map(ToOwned::to_owned).collect();
        let unlisted: Vec<_> = bad.difference(&exception.checks).map(String::as_str).collect();
        let stale: Vec<_> = exception.checks.difference(&bad).map(String::as_str).collect();
        match (unlisted.is_empty(), stale.is_empty()) {
            (true, true) => None,
            (false, _) => Some(outcome.problems()),
            (true, false) => Some(format!("listed, and passes: {}", stale.join(", "))),
        }
    }
}

impl Exception {
    fn parse(entry: &Value) -> Result<(String, Self), String> {
        let entry = entry.as_table().ok_or("an entry is no table")?;
        let mut name = None;
        let mut exception = Self::default();
        for (key, value) in entry {
            let word = || value.as_str().map(ToOwned::to_owned);
            let wrong = || format!("`{key}` is not what it should be");
            match key.as_str() {
                "scenario" => name = Some(word().ok_or_else(wrong)?),
                "sentence" => exception.sentence = word().ok_or_else(wrong)?,
                "source" => exception.source = word().ok_or_else(wrong)?,
                "checks" => {
                    let checks = value.as_array().ok_or_else(wrong)?.iter();
                    let checks = checks.map(|it| it.as_str().map(ToOwned::to_owned));
                    exception.checks = checks.collect::<Option<_>>().ok_or_else(wrong)?;
                }
                key => return Err(format!("`{key}` is no key of an entry")),
            }
        }
        let name = name.ok_or("an entry without `scenario`")?;
        let empty = exception.checks.is_empty() || exception.sentence.is_empty();
        if empty || exception.source.is_empty() {
            return Err(format!("`{name}` needs `checks`, `sentence` and `source`"));
        }
        Ok((name, exception))
    }
}

fn section(suite: Suite) -> &'static str {
    match suite {
        Suite::Modern => "modern-client",
        Suite::Legacy => "legacy-client",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
        [[modern-client]]
        scenario = "a"
        checks = ["x"]
        sentence = "It cannot."
        source = "somewhere"
    "#;

    #[test]
    fn what_is_listed_and_passes_is_stale() {
        let exceptions = Exceptions::parse(Suite::Modern, LIST).unwrap();
        let outcomes = Outcomes::from([("a".to_owned(), Outcome::default())]);
        let problems = exceptions.judge(&outcomes, true);
        assert!(problems.iter().any(|it| it.contains("listed, and passes: x")), "{problems:?}");
        assert!(
            exceptions.judge(&Outcomes::new(), true).iter().any(|it| it.contains("no scenario"))
        );
        assert!(exceptions.get("a").is_some());
    }

    #[test]
    fn the_committed_list_is_read() {
        for suite in Suite::ALL {
            Exceptions::read(suite).unwrap();
        }
    }

    #[test]
    fn an_entry_without_its_sentence_is_refused() {
        let text = "[[legacy-client]]\nscenario = \"a\"\nchecks = [\"x\"]";
        assert!(Exceptions::parse(Suite::Legacy, text).is_err());
    }
}
