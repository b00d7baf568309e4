//! `policy learn`: rules from traffic.
use std::{path::Path, process::ExitCode};

use tagout_gateway::policy_tools::learn::Learner;
use tagout_inspect::characters::one_line;
use tagout_policy::Surface;

use super::each_line;
use crate::{
    failure::{Ended, Failure},
    output,
};

/// Conditions and calls that are named one by one.
const MOST: usize = 10;

/// Prints the least rules that the calls on record need.
pub(super) fn learn(log: &Path, surface: &Surface, json: bool) -> Result<ExitCode, Failure> {
    let mut learner = Learner::default();
    each_line(log, |line, payload| learner.line(line, payload))?;
    let learnt = learner.learnt(surface).map_err(Failure::at_place)?;
    if json {
        output::json(&learnt)?;
    } else {
        output::line(learnt.text.trim_end())?;
    }
    output::aside(format_args!(
        "{} calls, {} rules; save them as a file in a folder of its own, try them with \
         `tagout policy replay --candidate DIR`, and use them with `profile = \"none\"`",
        learnt.calls,
        learnt.rules.len()
    ));
    if learnt.left_out > 0 {
        output::aside(format_args!(
            "{} calls were let through and could not be learnt from: no facts on record",
            learnt.left_out
        ));
    }
    for relaxed in learnt.relaxed.iter().take(MOST) {
        output::aside(format_args!(
            "relaxed: `{}` does without `{}`, which record {} does not meet",
            one_line(&relaxed.rule),
            one_line(&relaxed.condition),
            relaxed.record
        ));
    }
    if learnt.relaxed.len() > MOST {
        output::aside(format_args!(
            "relaxed: {} conditions in all; `--json` names each",
            learnt.relaxed.len()
        ));
    }
    for (record, why) in learnt.uncovered.iter().take(MOST) {
        output::aside(format_args!("not covered: record {record}: {}", one_line(why)));
    }
    if learnt.uncovered.is_empty() {
        return Ok(Ended::Done.into());
    }
    let (uncovered, calls) = (learnt.uncovered.len(), learnt.calls);
    let message = format!("{uncovered} of {calls} calls on record are not covered");
    Err(Failure::new(Ended::Failed, "learnt-partly", message)
        .with_help("pin the tools again, or write rules for those calls by hand"))
}
