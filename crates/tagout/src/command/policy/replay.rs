//! `policy replay`: recorded traffic under other rules.
use std::{path::Path, process::ExitCode};

use tagout_gateway::policy_tools::replay::{Change, Replay, Summary};
use tagout_inspect::characters::one_line;
use tagout_policy::Policy;

use super::each_line;
use crate::{
    failure::{Ended, Failure},
    output,
};

/// Puts what is on record to both sets of rules.
pub(super) fn replay(
    log: &Path,
    current: &Policy,
    candidate: &Policy,
    json: bool,
) -> Result<ExitCode, Failure> {
    let mut replay = Replay::new(current, candidate);
    each_line(log, |line, payload| replay.line(line, payload))?;
    let summary = replay.summary();
    if json {
        output::json(&summary)?;
    } else {
        show(&summary)?;
    }
    Ok(Ended::Done.into())
}

fn show(summary: &Summary) -> Result<(), Failure> {
    let differ = summary.decided - summary.same;
    output::line(format_args!(
        "{} calls decided again, {differ} of them otherwise",
        summary.decided
    ))?;
    table(&summary.changes)?;
    for left_out in &summary.left_out {
        output::line(format_args!(
            "not decided again, {}: {} (records {})",
            left_out.count,
            left_out.why,
            numbers(&left_out.records, left_out.count)
        ))?;
    }
    if !summary.shadow.is_empty() {
        output::line("\nwhat rules on trial said otherwise when the calls were made:")?;
        table(&summary.shadow)?;
    }
    Ok(())
}

fn table(changes: &[Change]) -> Result<(), Failure> {
    if changes.is_empty() {
        return Ok(());
    }
    let header = ["", "CALLS", "WHAT", "BY", "CANDIDATE BY", "RECORDS"].map(str::to_owned).to_vec();
    let rows = changes.iter().map(|change| {
        vec![
            format!("{} -> {}", change.from, change.to),
            change.count.to_string(),
            one_line(&change.subject),
            one_line(&change.rule),
            one_line(&change.candidate),
            numbers(&change.records, change.count),
        ]
    });
    output::line(output::table(&std::iter::once(header).chain(rows).collect::<Vec<_>>()))
}

fn numbers(records: &[u64], count: u64) -> String {
    let shown: Vec<_> = records.iter().map(ToString::to_string).collect();
    let all = u64::try_from(records.len()).is_ok_and(|shown| shown == count);
    format!("{}{}", shown.join(", "), if all { "" } else { ", …" })
}
