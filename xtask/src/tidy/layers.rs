//! Who may depend on whom: the table of `ARCHITECTURE.md`, as data.
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::Path,
};

use serde_json::Value;

use crate::tree::command;

/// A crate, and every crate of the workspace that it may name under `[dependencies]`.
/// Dependencies of tests are free.
pub(super) const LAYERS: &[(&str, &[&str])] = &[
    // Ring 0: pure.
    ("tagout-proto", &[]),
    ("tagout-policy", &["tagout-proto"]),
    ("tagout-inspect", &["tagout-proto"]),
    ("tagout-assertion", &["tagout-proto"]),
    // Ring 1: one kind of input and output each.
    ("tagout-audit", &["tagout-proto"]),
    ("tagout-store", &["tagout-proto"]),
    ("tagout-secrets", &["tagout-proto"]),
    ("tagout-sandbox", &[]),
    ("tagout-wire", &["tagout-proto"]),
    ("tagout-llm", &["tagout-proto"]),
    ("tagout-supply", &["tagout-proto"]),
    ("tagout-terminal", &[]),
    // Ring 2: composition.
    (
        "tagout-gateway",
        &[
            "tagout-proto",
            "tagout-policy",
            "tagout-inspect",
            "tagout-assertion",
            "tagout-audit",
            "tagout-store",
            "tagout-secrets",
            "tagout-sandbox",
            "tagout-supply",
            "tagout-wire",
        ],
    ),
    ("tagout-host", &["tagout-proto", "tagout-inspect", "tagout-llm"]),
    ("tagout-grid", &["tagout-proto"]),
    // Ring 3: the binary.
    (
        "tagout",
        &[
            "tagout-proto",
            "tagout-policy",
            "tagout-inspect",
            "tagout-assertion",
            "tagout-audit",
            "tagout-store",
            "tagout-secrets",
            "tagout-sandbox",
            "tagout-supply",
            "tagout-wire",
            "tagout-llm",
            "tagout-terminal",
            "tagout-gateway",
            "tagout-host",
            "tagout-grid",
        ],
    ),
    // Development.
    ("tagout-testkit", &["tagout-assertion", "tagout-proto"]),
    ("xtask", &[]),
];

/// What a crate must not reach, also through others.
pub(super) struct Ban {
    pub(super) crates: &'static [&'static str],
    pub(super) banned: &'static [&'static str],
    pub(super) because: &'static str,
}

pub(super) const BANS: &[Ban] = &[
    Ban {
        crates: &["tagout-proto", "tagout-policy", "tagout-inspect", "tagout-assertion"],
        banned: &["tokio", "mio", "socket2", "hyper", "reqwest", "async-std", "smol", "rusqlite"],
        because: "ring 0 is pure: no runtime, no sockets, no files",
    },
    Ban {
        crates: &[
            "tagout-audit",
            "tagout-store",
            "tagout-secrets",
            "tagout-sandbox",
            "tagout-terminal",
        ],
        banned: &["tokio", "mio", "socket2", "hyper", "reqwest", "async-std", "smol"],
        because: "it is synchronous and has no network",
    },
    Ban {
        crates: &["tagout"],
        banned: &["tagout-testkit", "tagout-lab", "xtask"],
        because: "nothing of a default build is made of test peers or vulnerable servers",
    },
];

/// What cargo knows of this workspace on this platform.
pub(super) fn metadata(root: &Path) -> Result<Value, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let failed = |error: std::io::Error| format!("cargo metadata: {error}");
    let out = command(cargo)
        .current_dir(root)
        .args(["metadata", "--locked", "--format-version=1", "--filter-platform", &host()?])
        .output()
        .map_err(failed)?;
    if !out.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&out.stderr)));
    }
    serde_json::from_slice(&out.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// This machine's target, so that no crate of another platform has to be fetched.
fn host() -> Result<String, String> {
    let out = command("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(ToOwned::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

/// What in `metadata` is against `layers` and `bans`.
pub(super) fn check(metadata: &Value, layers: &[(&str, &[&str])], bans: &[Ban]) -> Vec<String> {
    let graph = Graph::of(metadata);
    let mut problems = Vec::new();
    let allowed: BTreeMap<_, _> = layers.iter().copied().collect();
    for member in &graph.members {
        let Some(allowed) = allowed.get(member) else {
            problems.push(format!("`{member}` has no line in xtask/src/tidy/layers.rs"));
            continue;
        };
        let used = graph.uses.get(member).into_iter().flatten();
        for used in used.filter(|used| graph.members.contains(*used) && !allowed.contains(used)) {
            problems.push(format!("`{member}` must not depend on `{used}` (layers)"));
        }
    }
    for (gone, _) in layers.iter().filter(|(name, _)| !graph.members.contains(name)) {
        problems.push(format!("`{gone}` has a line in the layers and is no crate"));
    }
    for ban in bans {
        for name in ban.crates {
            for reached in graph.reached(name).intersection(&ban.banned.iter().copied().collect()) {
                let because = ban.because;
                problems.push(format!("`{name}` must not reach `{reached}`: {because}"));
            }
        }
    }
    problems
}

/// Normal dependencies, by name.
struct Graph<'a> {
    members: BTreeSet<&'a str>,
    uses: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Graph<'a> {
    fn of(metadata: &'a Value) -> Self {
        let packages = list(metadata, "/packages").iter();
        let names: BTreeMap<_, _> = packages.map(|p| (text(p, "/id"), text(p, "/name"))).collect();
        let name = |id: &'a str| names.get(id).copied().unwrap_or(id);
        let mut uses = BTreeMap::<_, BTreeSet<_>>::new();
        for node in list(metadata, "/resolve/nodes") {
            let normal = list(node, "/deps").iter().filter(|dependency| {
                let mut kinds = list(dependency, "/dep_kinds").iter();
                kinds.any(|kind| kind.pointer("/kind").is_some_and(Value::is_null))
            });
            let used = normal.map(|dependency| name(text(dependency, "/pkg")));
            uses.entry(name(text(node, "/id"))).or_default().extend(used);
        }
        let members = list(metadata, "/workspace_members").iter();
        Self { members: members.map(|member| name(text(member, ""))).collect(), uses }
    }

    fn reached(&self, from: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(next) = waiting.pop() {
            let used = self.uses.get(next).into_iter().flatten();
            waiting.extend(used.filter(|used| reached.insert(**used)));
        }
        reached
    }
}

fn list<'a>(value: &'a Value, at: &str) -> &'a [Value] {
    value.pointer(at).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A crate, and what it uses, with the kind of use.
    type Uses<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

    fn metadata_of(edges: &[Uses<'_>], members: &[&str]) -> Value {
        let packages: Vec<_> = edges.iter().map(|(n, _)| json!({"id": n, "name": n})).collect();
        let nodes: Vec<_> = edges
            .iter()
            .map(|(name, uses)| {
                let deps: Vec<_> = uses
                    .iter()
                    .map(|(to, kind)| json!({"pkg": to, "dep_kinds": [{"kind": kind}]}))
                    .collect();
                json!({"id": name, "deps": deps})
            })
            .collect();
        json!({"packages": packages, "workspace_members": members, "resolve": {"nodes": nodes}})
    }

    const TABLE: &[(&str, &[&str])] = &[("low", &[]), ("high", &["low"])];

    fn problems(edges: &[Uses<'_>], members: &[&str]) -> Vec<String> {
        let bans = [Ban { crates: &["low"], banned: &["tokio"], because: "it is pure" }];
        check(&metadata_of(edges, members), TABLE, &bans)
    }

    #[test]
    fn what_points_inward_passes() {
        let edges: &[Uses<'_>] = &[
            ("low", &[("high", Some("dev")), ("tokio", Some("dev"))]),
            ("high", &[("low", None), ("tokio", None)]),
            ("tokio", &[]),
        ];
        assert!(problems(edges, &["low", "high"]).is_empty());
    }

    #[test]
    fn what_points_outward_is_found() {
        let edges: &[Uses<'_>] = &[("low", &[("high", None)]), ("high", &[])];
        let found = problems(edges, &["low", "high"]);
        assert_eq!(found, ["`low` must not depend on `high` (layers)"]);
    }

    #[test]
    fn what_is_banned_is_found_behind_others() {
        let edges: &[Uses<'_>] =
            &[("low", &[("a", None)]), ("high", &[]), ("a", &[("tokio", None)]), ("tokio", &[])];
        let found = problems(edges, &["low", "high"]);
        assert_eq!(found, ["`low` must not reach `tokio`: it is pure"]);
    }

    #[test]
    fn a_crate_without_a_line_and_a_line_without_a_crate_are_found() {
        let found = problems(&[("low", &[]), ("new", &[])], &["low", "new"]);
        let expected = [
            "`new` has no line in xtask/src/tidy/layers.rs",
            "`high` has a line in the layers and is no crate",
        ];
        assert_eq!(found, expected);
    }
}
