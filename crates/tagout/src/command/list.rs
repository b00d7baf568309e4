//! `list`: the configured servers.
use std::process::ExitCode;

use tagout_gateway::config::{Server, Start};
use tagout_inspect::characters::one_line;

use crate::{
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::Setup,
};

/// Lists the configured servers; starts none.
pub(crate) fn list(places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let setup = Setup::read(places)?;
    if setup.config.servers.is_empty() && !json {
        output::line("no servers; add one with `tagout add NAME -- COMMAND`")?;
    }
    let mut rows = Vec::new();
    for (name, server) in &setup.config.servers {
        let pinned = setup.lockfile.servers.get(name);
        let tools = pinned.map_or(0, |pinned| pinned.tools.len());
        let reviewed = pinned.map_or(0, |p| p.tools.values().filter(|tool| tool.reviewed).count());
        let command = command_of(server);
        if json {
            output::json(&serde_json::json!({
                "name": name, "command": command, "pinned_tools": tools, "reviewed_tools": reviewed,
                "built_in": matches!(server.start, Start::BuiltIn(_)),
                "url": url_of(server),
            }))?;
            continue;
        }
        let standing = match (&server.start, pinned) {
            (Start::BuiltIn(_), None) => "ships reviewed".to_owned(),
            (_, None) => "not pinned".to_owned(),
            (_, Some(_)) => format!("{reviewed} of {tools} tools reviewed"),
        };
        rows.push(vec![name.to_string(), standing, one_line(&command.join(" "))]);
    }
    if !rows.is_empty() {
        output::line(output::table(&rows))?;
    }
    Ok(Ended::Done.into())
}

fn url_of(server: &Server) -> Option<&str> {
    match &server.start {
        Start::Remote(remote) => Some(&remote.url),
        Start::BuiltIn(_) | Start::Command(_) => None,
    }
}

/// What is started; for a server that runs elsewhere, where it is.
fn command_of(server: &Server) -> Vec<String> {
    match &server.start {
        Start::BuiltIn(which) => vec!["tagout".to_owned(), which.subcommand().to_owned()],
        Start::Command(command) => {
            std::iter::once(&command.program).chain(&command.args).cloned().collect()
        }
        Start::Remote(remote) => vec![remote.url.clone()],
    }
}
