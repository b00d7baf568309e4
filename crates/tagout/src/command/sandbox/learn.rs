//! `sandbox run --learn`: what a program would have to be allowed.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tagout_gateway::config::{Isolated, Sandbox};
use tagout_sandbox::{Observed, Proposal};
use tagout_wire::egress::{Allow, AllowError, Connection};

use crate::command::add::toml_string;

/// What a program that is observed is let to: what is public, by the protocols of the web.
const PUBLIC: [&str; 2] = ["*:80", "*:443"];

/// The same profile, with a way out to all that is public.
pub(super) fn let_out(isolated: Isolated) -> Result<Isolated, AllowError> {
    let mut sandbox = match isolated {
        Isolated::Fully(sandbox) => sandbox,
        Isolated::Not => Box::default(),
    };
    sandbox.reach.extend(PUBLIC.map(str::to_owned));
    sandbox.allow = Allow::parse(&sandbox.reach)?;
    Ok(Isolated::Fully(sandbox))
}

/// Where a program went by the proxy.
#[derive(Default)]
pub(super) struct Places(Mutex<BTreeMap<String, bool>>);

impl Places {
    /// Takes note of a connection; nothing of it has to be on record.
    pub(super) fn noted(self: &Arc<Self>) -> impl Fn(&Connection) -> bool + Send + Sync + 'static {
        let places = Arc::clone(self);
        move |connection| {
            let mut places = places.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(subject) = connection.subject.clone().filter(|_| places.len() < MOST) {
                let reached = connection.refused.is_none();
                places.entry(subject).and_modify(|before| *before |= reached).or_insert(reached);
            }
            true
        }
    }

    fn all(&self) -> BTreeMap<String, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Places that are remembered.
const MOST: usize = 1000;

/// The table to put into a configuration, and what is not in it.
pub(super) fn proposed(
    observed: &Observed,
    proposal: &Proposal,
    (places, given): (&Places, &Sandbox),
) -> String {
    let mut out = String::from("\n# What it tried, as a profile; read it before you use it.\n");
    out.push_str("[sandbox.NAME]\n");
    let mut list = |key: &str, all: Vec<String>| {
        if all.is_empty() {
            return;
        }
        let quoted: Vec<_> = all.iter().map(|one| format!("  {},\n", toml_string(one))).collect();
        // Writing to a text does not fail.
        let _written = write!(out, "{key} = [\n{}]\n", quoted.concat());
    };
    let texts = |base: &BTreeSet<PathBuf>, more: &BTreeSet<PathBuf>| {
        base.union(more).map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    list("read", texts(&given.read, &proposal.read));
    list("write", texts(&given.write, &proposal.write));
    let went = places.all();
    let own = given.reach.iter().filter(|place| !PUBLIC.contains(&place.as_str()));
    let reach: BTreeSet<String> = own.chain(went.keys()).cloned().collect();
    list("reach", reach.into_iter().collect());
    for (path, why) in &proposal.withheld {
        let _written = writeln!(out, "# tried, not proposed: {} ({why})", shown(path));
    }
    for (place, _) in went.iter().filter(|(_, reached)| !**reached) {
        let _written = writeln!(out, "# tried, and not reached now: {}", line(place));
    }
    let own_way = observed.connect.iter().filter(|to| !to.starts_with("unix:"));
    for to in own_way {
        let to = line(to);
        let _written = writeln!(
            out,
            "# tried, past the proxy: {to}; a program gets out only by HTTP_PROXY and HTTPS_PROXY"
        );
    }
    for (call, times) in &observed.refused {
        let _written =
            writeln!(out, "# refused, whatever the profile says: {call} ({times} times)");
    }
    if observed.incomplete {
        out.push_str("# there was more than was noted\n");
    }
    out
}

fn shown(path: &std::path::Path) -> String {
    line(&path.to_string_lossy())
}

/// A text of the program's own, on one line.
fn line(text: &str) -> String {
    tagout_terminal::printable(&text.replace('\n', "\\n"))
}
