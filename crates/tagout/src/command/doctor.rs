//! `doctor`: what this machine has to isolate servers with, and what each server gets of it.
use std::{collections::BTreeSet, path::Path, process::ExitCode};

use serde_json::{Value, json};
use tagout_gateway::config::{Config, Isolated, Start};
use tagout_sandbox::{Found, Jailer, Part, Survey, survey};

use crate::{
    failure::{Ended, Failure},
    output,
    places::Places,
    setup,
};

/// Looks at the machine and at every server's entry.
pub(crate) fn doctor(places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let config = setup::config(places)?;
    let found = survey(&Jailer::this_program());
    let found = found.map_err(|error| Failure::io(Path::new("/proc/self/exe"), error))?;
    let missing: BTreeSet<Part> = found.missing().into_iter().collect();
    let servers: Vec<_> = servers(&config, &missing);
    if json {
        output::json(&as_json(&found, &servers))?;
    } else {
        print(&found, &servers)?;
    }
    let all_start = servers.iter().all(|server| server.lacks.is_empty());
    Ok(if all_start { Ended::Done } else { Ended::Failed }.into())
}

/// What a server gets.
struct Standing {
    name: String,
    kind: &'static str,
    /// What it would start without, as its entry accepts.
    without: Vec<Part>,
    /// What it does not start without.
    lacks: Vec<Part>,
}

fn servers(config: &Config, missing: &BTreeSet<Part>) -> Vec<Standing> {
    let standing = |name: String, kind| Standing { name, kind, without: vec![], lacks: vec![] };
    let entries = config.servers.iter().map(|(name, server)| {
        let name = name.to_string();
        if matches!(server.start, Start::Remote(_)) {
            return standing(name, "elsewhere");
        }
        match &server.isolated {
            Isolated::Not => standing(name, "not isolated"),
            Isolated::Fully(sandbox) => {
                let accepted = |part: &&Part| sandbox.accepted.contains(part);
                let (without, lacks) = missing.iter().partition::<Vec<&Part>, _>(accepted);
                let owned = |parts: Vec<&Part>| parts.into_iter().copied().collect();
                Standing { name, kind: "isolated", without: owned(without), lacks: owned(lacks) }
            }
        }
    });
    entries.collect()
}

fn names(parts: &[Part]) -> Vec<&'static str> {
    parts.iter().map(|part| part.as_str()).collect()
}

fn as_json(found: &Survey, servers: &[Standing]) -> Value {
    let part = |(part, found): (&Part, &Found)| match found {
        Found::Present(how) => json!({ "part": part.as_str(), "present": true, "how": how }),
        Found::Missing { why, remedy } => {
            json!({ "part": part.as_str(), "present": false, "why": why, "remedy": remedy })
        }
    };
    let server = |server: &Standing| {
        json!({
            "server": server.name,
            "isolation": server.kind,
            "starts": server.lacks.is_empty(),
            "lacks": names(&server.lacks),
            "without": names(&server.without),
        })
    };
    json!({
        "isolation": found.parts.iter().map(part).collect::<Vec<_>>(),
        "servers": servers.iter().map(server).collect::<Vec<_>>(),
    })
}

fn print(found: &Survey, servers: &[Standing]) -> Result<(), Failure> {
    output::line("Isolation of servers on this machine:")?;
    let rows = found.parts.iter().map(|(part, found)| {
        let (there, how) = match found {
            Found::Present(how) => ("yes", how.clone()),
            Found::Missing { why, remedy } => ("NO", format!("{why}; {remedy}")),
        };
        vec![format!("  {part}"), there.to_owned(), how]
    });
    output::line(output::table(&rows.collect::<Vec<_>>()))?;
    output::line("\nServers:")?;
    let rows = servers.iter().map(|server| {
        let said = match (server.lacks.as_slice(), server.without.as_slice()) {
            ([], []) => match server.kind {
                "not isolated" => {
                    "NOT ISOLATED, as its entry says: it may do whatever you may".to_owned()
                }
                "elsewhere" => "runs elsewhere; nothing is started here".to_owned(),
                kind => kind.to_owned(),
            },
            ([], without) => {
                format!("isolated without {}, as its entry accepts", names(without).join(", "))
            }
            (lacks, _) => {
                let quoted: Vec<_> =
                    names(lacks).iter().map(|name| format!("\"{name}\"")).collect();
                format!(
                    "DOES NOT START: the machine lacks {}; mend that, or accept it with \
                     `allow_degraded = [{}]` in [server.{}.sandbox]",
                    names(lacks).join(", "),
                    quoted.join(", "),
                    server.name,
                )
            }
        };
        vec![format!("  {}", server.name), said]
    });
    output::line(output::table(&rows.collect::<Vec<_>>()))
}
