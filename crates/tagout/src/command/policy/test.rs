//! `policy test`: cases.
use std::{path::Path, process::ExitCode};

use tagout_gateway::policy_tools::cases;
use tagout_inspect::characters::one_line;

use super::RuleSet;
use crate::{
    failure::{Ended, Failure},
    output,
    setup::read,
};

/// Puts every case of `file` to the rules.
pub(super) fn test(file: &Path, rules: &RuleSet, json: bool) -> Result<ExitCode, Failure> {
    let gone = || {
        let message = format!("there is no file `{}`", file.display());
        Failure::new(Ended::Failed, "file-unusable", message)
            .with_help("name a file of cases, such as `cases.toml`")
    };
    let text = read(file)?.ok_or_else(gone)?;
    let pinned = rules.setup.rules.pinned(&rules.setup.lockfile)?;
    let name = file.display().to_string();
    let cases = cases::read(&name, &text, &pinned).map_err(Failure::at_place)?;
    let mut failed = 0;
    for case in &cases {
        let came = case.put(rules.policy());
        if !came.passed {
            failed += 1;
        }
        if json {
            output::json(&came)?;
            continue;
        }
        let says = format!("{} by `{}`", came.verdict.decision, came.verdict.rule);
        let name = one_line(&came.name);
        if came.passed {
            output::line(format_args!("ok      {name}: {says}"))?;
        } else {
            output::line(format_args!("FAILED  {name}: {}", one_line(&came.problems.join("; "))))?;
            output::line(format_args!("        {says}: {}", one_line(&came.verdict.reason)))?;
        }
    }
    if json {
        let passed = cases.len() - failed;
        output::json(
            &serde_json::json!({ "cases": cases.len(), "passed": passed, "failed": failed }),
        )?;
    } else {
        output::line(format_args!("\n{} of {} cases passed", cases.len() - failed, cases.len()))?;
    }
    Ok(if failed == 0 { Ended::Done } else { Ended::Failed }.into())
}
