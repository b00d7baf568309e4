//! The public conformance suite: against the test server itself, through the gateway, across the
//! eras of the protocol, and with the gateway as the client.
mod across;
mod checks;
mod gateway;
pub(crate) mod programs;
mod suite;
mod table;

use std::{fs, path::PathBuf};

use crate::{root, tree::text};
use across::Exceptions;
use checks::{Outcome, Outcomes};
use gateway::Gateway;
use programs::{Programs, Running};
use suite::{Side, Suite, Tool};
use table::Results;

/// Where it all happens, relative to the repository.
const PLACE: &str = "target/conformance";
const TABLE: &str = "docs/conformance.md";

/// What is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The suite against the test server.
    Direct,
    /// With the gateway between them, all of one era.
    SameEra,
    /// The same with a server of the other era.
    Across,
    /// The gateway's upstream side against the suite's servers.
    Client,
}

impl Part {
    const ALL: [Self; 4] = [Self::Direct, Self::SameEra, Self::Across, Self::Client];

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::SameEra => "same-era",
            Self::Across => "across",
            Self::Client => "client",
        }
    }
}

/// What the command line says.
#[derive(Default)]
pub(crate) struct Options {
    only: Option<Part>,
    scenario: Option<String>,
    check: bool,
    binary: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--check" => options.check = true,
                "--binary" => options.binary = words.next().map(PathBuf::from),
                "--scenario" => options.scenario = words.next().map(ToString::to_string),
                "--only" => {
                    let named = words.next().copied().unwrap_or_default();
                    let part = Part::ALL.into_iter().find(|part| part.name() == named);
                    let wrong = format!("`{named}` is none of direct, same-era, across, client");
                    options.only = Some(part.ok_or(wrong)?);
                }
                word => return Err(format!("`{word}` is no option of this")),
            }
        }
        Ok(options)
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    /// Whether there is all that the table shows.
    fn is_whole(&self) -> bool {
        self.only.is_none() && self.scenario.is_none()
    }
}

/// Runs what is asked for, and says what does not hold.
pub(crate) fn conformance(options: &Options) -> Result<String, String> {
    let place = root().join(PLACE);
    let tool = Tool::install(&place)?;
    let with_gateway = Part::ALL.into_iter().any(|it| it != Part::Direct && options.wants(it));
    let programs = Programs::build(options.binary.as_deref(), with_gateway)?;
    let bench = Bench { tool, programs, place, scenario: options.scenario.clone() };
    let mut results = Results::default();
    let mut problems = Vec::new();
    for suite in Suite::ALL {
        // What goes through the gateway is held against what goes there directly.
        if options.wants(Part::Direct) || options.wants(Part::SameEra) {
            let outcomes = bench.direct(suite)?;
            problems.extend(unclean(Part::Direct, suite, &outcomes));
            results.direct.insert(suite, outcomes);
        }
        if options.wants(Part::SameEra) {
            let outcomes = bench.through(suite, suite)?;
            problems.extend(unclean(Part::SameEra, suite, &outcomes));
            problems.extend(results.differences(suite, &outcomes));
            results.same_era.insert(suite, outcomes);
        }
        if options.wants(Part::Across) {
            let outcomes = bench.through(suite, suite.other())?;
            let exceptions = Exceptions::read(suite)?;
            problems.extend(exceptions.judge(&outcomes, options.scenario.is_none()));
            results.across.insert(suite, outcomes);
        }
        if options.wants(Part::Client) {
            let outcomes = bench.client(suite)?;
            problems.extend(unclean(Part::Client, suite, &outcomes));
            results.client.insert(suite, outcomes);
        }
    }
    if options.is_whole() {
        problems.extend(keep(&results, options.check)?);
    }
    let said = results.summary();
    if problems.is_empty() {
        Ok(format!("{said}conformance: all is well"))
    } else {
        let listed: String = problems.iter().map(|it| format!("error: {it}\n")).collect();
        Err(format!("{said}{listed}conformance: {} problems", problems.len()))
    }
}

/// Writes the table, or says that it is not what it would be.
fn keep(results: &Results, check: bool) -> Result<Option<String>, String> {
    let path = root().join(TABLE);
    let before = if path.exists() { text(&path)? } else { None };
    let after = results.table()?;
    if before.as_ref() == Some(&after) {
        return Ok(None);
    }
    if check {
        return Ok(Some(format!("{TABLE} is not what was seen; run `cargo xtask conformance`")));
    }
    fs::write(&path, after).map_err(|error| format!("{TABLE}: {error}"))?;
    Ok(None)
}

fn unclean(part: Part, suite: Suite, outcomes: &Outcomes) -> Vec<String> {
    let (part, suite) = (part.name(), suite.revision());
    let bad = outcomes.iter().filter(|(_, outcome)| !outcome.is_clean());
    bad.map(|(name, outcome)| format!("{part}, {suite}: {name}: {}", outcome.problems())).collect()
}

/// All that a run needs.
struct Bench {
    tool: Tool,
    programs: Programs,
    place: PathBuf,
    /// One scenario in place of all.
    scenario: Option<String>,
}

impl Bench {
    fn direct(&self, suite: Suite) -> Result<Outcomes, String> {
        let (fixture, url) = self.fixture(suite)?;
        let outcomes = self.server_suite(suite, &url, &format!("direct-{}", suite.revision()));
        drop(fixture);
        outcomes
    }

    /// The suite of one era through the gateway to a server of one era.
    fn through(&self, suite: Suite, server: Suite) -> Result<Outcomes, String> {
        let name = format!("{}-to-{}", suite.era(), server.era());
        let (fixture, upstream) = self.fixture(server)?;
        let folder = self.place.join(format!("gateway-{name}"));
        let gateway = Gateway::start(&self.programs, &folder, &upstream)?;
        let outcomes = self.server_suite(suite, &gateway.url, &name);
        drop((gateway, fixture));
        outcomes
    }

    fn fixture(&self, suite: Suite) -> Result<(Running, String), String> {
        let mut fixture = crate::tree::command(&self.programs.fixture);
        fixture.args(["--http", "127.0.0.1:0", "--era", suite.era()]);
        Running::start_and_read(fixture, &self.place.join("fixture-server.err"))
    }

    fn server_suite(&self, suite: Suite, url: &str, name: &str) -> Result<Outcomes, String> {
        let out = self.empty(name)?;
        let mut names = suite.extra().to_vec();
        match &self.scenario {
            Some(scenario) => names = vec![scenario.as_str()],
            None => {
                let arguments = ["server", "--url", url, "--requirements", suite.revision()];
                self.tool.run(&arguments, &out, None)?;
            }
        }
        for scenario in names {
            if suite.has(&self.tool, Side::Server, scenario)? {
                let revision = suite.revision();
                let arguments = ["server", "--url", url, "--scenario", scenario];
                let arguments = [&arguments[..], &["--spec-version", revision, "--force"]].concat();
                self.tool.run(&arguments, &out, None)?;
            }
        }
        self.complete(suite, Side::Server, Outcome::read_all(&out, "server-")?)
    }

    /// The gateway as the client of the suite's servers.
    fn client(&self, suite: Suite) -> Result<Outcomes, String> {
        let name = format!("client-{}", suite.revision());
        let out = self.empty(&name)?;
        let driver = self.programs.client.display().to_string();
        for scenario in suite.client_scenarios() {
            if self.scenario.as_deref().is_some_and(|only| only != *scenario) {
                continue;
            }
            let arguments = ["client", "--command", &driver, "--scenario", scenario];
            let arguments = [&arguments[..], &["--spec-version", suite.revision()]].concat();
            self.tool.run(&arguments, &out, Some(&self.programs.tagout))?;
        }
        self.complete(suite, Side::Client, Outcome::read_all(&out, "")?)
    }

    /// What was seen, and an empty outcome for what should have been and was not.
    fn complete(
        &self,
        suite: Suite,
        side: Side,
        mut outcomes: Outcomes,
    ) -> Result<Outcomes, String> {
        if self.scenario.is_none() {
            for name in suite.expected(&self.tool, side)? {
                outcomes.entry(name).or_default();
            }
        }
        Ok(outcomes)
    }

    /// An empty folder for what a run leaves.
    fn empty(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.place.join(name);
        let failed = |error| format!("{}: {error}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(failed)?;
        }
        fs::create_dir_all(&folder).map_err(failed)?;
        Ok(folder)
    }
}
