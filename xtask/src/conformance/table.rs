//! The table of `docs/conformance.md`.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::Value;

use super::{
    across::Exceptions,
    checks::{Outcome, Outcomes},
    suite::Suite,
};
use crate::{root, tree::text};

const PACKAGE: &str = "conformance/package.json";

/// All that was seen.
#[derive(Default)]
pub(super) struct Results {
    pub(super) direct: BTreeMap<Suite, Outcomes>,
    pub(super) same_era: BTreeMap<Suite, Outcomes>,
    pub(super) across: BTreeMap<Suite, Outcomes>,
    pub(super) client: BTreeMap<Suite, Outcomes>,
}

impl Results {
    /// Where the gateway makes a difference.
    pub(super) fn differences(&self, suite: Suite, through: &Outcomes) -> Vec<String> {
        let direct = self.direct.get(&suite).into_iter().flatten();
        let differs = direct.filter_map(|(name, direct)| {
            let why = direct.difference(through.get(name)?)?;
            Some(format!("same-era, {}: {name}: directly and through: {why}", suite.revision()))
        });
        differs.collect()
    }

    /// One line a run.
    pub(super) fn summary(&self) -> String {
        let parts = [
            ("direct", &self.direct),
            ("same-era", &self.same_era),
            ("across", &self.across),
            ("client", &self.client),
        ];
        let mut said = String::new();
        for (part, suites) in parts {
            for (suite, outcomes) in suites {
                let clean = outcomes.values().filter(|outcome| outcome.is_clean()).count();
                let counts = outcomes.values().map(Outcome::counts);
                let (passed, all) = counts.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
                let (revision, scenarios) = (suite.revision(), outcomes.len());
                said.push_str(&format!(
                    "{part}, {revision}: {clean} of {scenarios} scenarios, {passed} of {all} checks\n"
                ));
            }
        }
        said
    }

    pub(super) fn table(&self) -> Result<String, String> {
        let mut page = format!(
            "# Conformance\n\n\
             What the public MCP conformance suite says, checks passed of checks made. Written by\n\
             `cargo xtask conformance`, which fails on any warning, on any difference between the\n\
             first two columns, and on anything across eras that is not listed with its reason in\n\
             `conformance/across-eras.toml`. Suite: {}.\n\n\
             - *Direct*: the suite against the test server, `fixture-server`.\n\
             - *Gateway*: the suite against `tagout run --http` in front of a test server of the same era.\n\
             - *Across*: the same with a test server of the other era.\n",
            version()?
        );
        for suite in Suite::ALL {
            self.server_table(suite, &mut page)?;
        }
        for suite in Suite::ALL {
            self.client_table(suite, &mut page)?;
        }
        Ok(page)
    }

    fn server_table(&self, suite: Suite, page: &mut String) -> Result<(), String> {
        let none = Outcomes::new();
        let of = |all: &'_ BTreeMap<Suite, Outcomes>| all.get(&suite).map(cells);
        let columns = [of(&self.direct), of(&self.same_era), of(&self.across)];
        let (revision, other) = (suite.revision(), suite.other().era());
        write!(page, "\n## Server, {revision}\n\n| scenario | direct | gateway | to {other} |\n")
            .and_then(|()| writeln!(page, "|---|---|---|---|"))
            .map_err(|error| error.to_string())?;
        let exceptions = Exceptions::read(suite)?;
        let mut notes = String::new();
        let names: BTreeSet<_> = self.direct.get(&suite).unwrap_or(&none).keys().collect();
        for name in names {
            let cell = |n: usize| columns.get(n)?.as_ref()?.get(name).cloned();
            let [direct, gateway, mut across] = [0, 1, 2].map(|n| cell(n).unwrap_or_default());
            if let Some(exception) = exceptions.get(name) {
                across.push_str(" *");
                let (why, source) = (&exception.sentence, &exception.source);
                notes.push_str(&format!("- `{name}`: “{why}” ({source})\n"));
            }
            page.push_str(&format!("| {name} | {direct} | {gateway} | {across} |\n"));
        }
        if !notes.is_empty() {
            page.push_str(&format!("\n\\* What prevents the rest:\n\n{notes}"));
        }
        Ok(())
    }

    fn client_table(&self, suite: Suite, page: &mut String) -> Result<(), String> {
        let revision = suite.revision();
        write!(page, "\n## Client, {revision}\n\n| scenario | gateway |\n|---|---|\n")
            .map_err(|error| error.to_string())?;
        for (name, outcome) in self.client.get(&suite).into_iter().flatten() {
            page.push_str(&format!("| {name} | {} |\n", outcome.cell()));
        }
        Ok(())
    }
}

fn cells(outcomes: &Outcomes) -> BTreeMap<String, String> {
    outcomes.iter().map(|(name, outcome)| (name.clone(), outcome.cell())).collect()
}

/// The suite's name and version, as its package file pins it.
fn version() -> Result<String, String> {
    let text = text(&root().join(PACKAGE))?.unwrap_or_default();
    let package: Value = serde_json::from_str(&text).map_err(|it| format!("{PACKAGE}: {it}"))?;
    let name = "@modelcontextprotocol/conformance";
    let version = package.get("dependencies").and_then(|it| it.get(name)?.as_str());
    let version = version.ok_or_else(|| format!("{PACKAGE}: no version of {name}"))?;
    Ok(format!("`{name}` {version}"))
}
