//! Every crate takes the workspace's lints; the one that may hold unsafe code has a copy of them.
use toml::{Table, Value};

use crate::tree::Tree;

/// The one crate with a table of lints of its own.
const OWN_LINTS: &str = "crates/tagout-sandbox/Cargo.toml";

/// The one lint in which its table differs, and what it says there.
const DIFFERS: (&str, &str) = ("unsafe_code", "deny");

/// What is wrong with the manifests.
pub(super) fn check(tree: &Tree) -> Result<Vec<String>, String> {
    let workspace = parsed("Cargo.toml", tree.text("Cargo.toml")?)?;
    let mut problems = Vec::new();
    for manifest in tree.ending("Cargo.toml") {
        let path = manifest.path.as_str();
        if !(path.starts_with("crates/") || path.starts_with("xtask/")) {
            continue;
        }
        let manifest = parsed(path, &manifest.text)?;
        problems.extend(if path == OWN_LINTS {
            copied(path, &workspace, &manifest)
        } else {
            inherited(path, &manifest)
        });
    }
    Ok(problems)
}

fn parsed(path: &str, text: &str) -> Result<Table, String> {
    text.parse().map_err(|error| format!("{path}: {error}"))
}

fn inherited(path: &str, manifest: &Table) -> Vec<String> {
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if lints.and_then(Value::as_bool) == Some(true) {
        return Vec::new();
    }
    vec![format!("{path}: write `[lints]` `workspace = true`")]
}

fn copied(path: &str, workspace: &Table, manifest: &Table) -> Vec<String> {
    let ours = workspace.get("workspace").and_then(|workspace| workspace.get("lints"));
    let theirs = manifest.get("lints");
    let mut problems = Vec::new();
    for group in ["rust", "clippy"] {
        let table = |lints: Option<&Value>| {
            lints.and_then(|lints| lints.get(group)?.as_table()).cloned().unwrap_or_default()
        };
        let copy = table(theirs);
        for (lint, level) in table(ours) {
            let level = if lint == DIFFERS.0 { Value::String(DIFFERS.1.to_owned()) } else { level };
            if copy.get(&lint) != Some(&level) {
                problems.push(format!("{path}: `lints.{group}.{lint}` is to be {level}"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        parsed("test", text).unwrap()
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert_eq!(inherited("a", &table("[package]\nname = \"a\"")).len(), 1);
        assert_eq!(inherited("a", &table("[lints]\nworkspace = false")).len(), 1);
        assert!(inherited("a", &table("[lints]\nworkspace = true")).is_empty());
    }

    #[test]
    fn a_copy_that_differs_is_found() {
        let workspace = table(
            "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[workspace.lints.clippy]\npanic = \"deny\"",
        );
        let same = "[lints.rust]\nunsafe_code = \"deny\"\n[lints.clippy]\npanic = \"deny\"";
        assert!(copied("a", &workspace, &table(same)).is_empty());
        let weaker = same.replace("panic = \"deny\"", "panic = \"warn\"");
        assert_eq!(copied("a", &workspace, &table(&weaker)).len(), 1);
    }
}
