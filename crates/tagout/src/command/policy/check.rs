//! `policy check`: whether rules are right, and what they were held against.
use std::process::ExitCode;

use super::RuleSet;
use crate::{
    failure::{Ended, Failure},
    output,
};

/// Says what was checked: whoever comes here has rules that are right.
pub(super) fn check(rules: &RuleSet, json: bool) -> Result<ExitCode, Failure> {
    let policy = rules.policy();
    let pinned = rules.setup.rules.pinned(&rules.setup.lockfile)?;
    let surface = pinned.surface();
    let untyped: Vec<_> = pinned
        .names()
        .filter(|name| !surface.tools.iter().any(|tool| tool.qualified == **name))
        .collect();
    let place = |id: &str| policy.rule_place(id).map(|(file, line)| format!("{file}:{line}"));
    if json {
        let rule = |id| serde_json::json!({ "id": id, "place": place(id) });
        let tools: Vec<_> = surface.tools.iter().map(|tool| &tool.qualified).collect();
        output::json(&serde_json::json!({
            "profile": rules.profile,
            "policy_version": policy.version(),
            "rules": policy.rule_ids().map(rule).collect::<Vec<_>>(),
            "tools": tools,
            "servers": surface.servers,
            "without_types": untyped,
        }))?;
        return Ok(Ended::Done.into());
    }
    let header = ["RULE", "PLACE"].map(str::to_owned).to_vec();
    let row = |id: &str| vec![id.to_owned(), place(id).unwrap_or_default()];
    let rows: Vec<_> = std::iter::once(header).chain(policy.rule_ids().map(row)).collect();
    output::line(output::table(&rows))?;
    output::line(format_args!(
        "\nchecked against {} pinned tools of {} servers; version {}",
        surface.tools.len(),
        surface.servers.len(),
        policy.version()
    ))?;
    if surface.tools.is_empty() {
        output::line("rules about single tools need them pinned: see `tagout pin`")?;
    }
    if !untyped.is_empty() {
        output::line(format_args!(
            "pinned without the types of their arguments, so no rule can speak of these: {}; pin them again",
            untyped.join(", ")
        ))?;
    }
    output::line("all is well")?;
    Ok(Ended::Done.into())
}
