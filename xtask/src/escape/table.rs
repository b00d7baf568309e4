//! The table in `docs/sandbox.md`.
use serde_json::Value;

use super::{
    Role,
    rows::{Rows, field, listed},
};

const BEGIN: &str = "<!-- escape: begin -->";
const END: &str = "<!-- escape: end -->";

const HEAD: &str = "\
| attempt | what it tries | succeeds without layers | with all | one layer that stops it alone, started by root | by an ordinary user |
|---|---|---|---|---|---|
";

/// What several layers have in common is said once.
const GROUPS: [(&str, &[&str]); 2] = [
    (
        "any namespace",
        &[
            "user-namespace",
            "mount-namespace",
            "pid-namespace",
            "ipc-namespace",
            "uts-namespace",
            "network-namespace",
        ],
    ),
    ("any of Landlock", &["landlock-files", "landlock-network", "landlock-scopes"]),
];

/// The text with the table as it was seen.
pub(super) fn written(before: &str, rows: &Rows) -> Result<String, String> {
    let parts = before.split_once(BEGIN).and_then(|(head, rest)| {
        let (_, tail) = rest.split_once(END)?;
        Some((head, tail))
    });
    let (head, tail) = parts.ok_or_else(|| format!("there is no `{BEGIN}` … `{END}`"))?;
    let lines: String = rows.names().map(|name| line(name, rows)).collect();
    Ok(format!("{head}{BEGIN}\n{HEAD}{lines}{END}{tail}"))
}

/// Where names and verdicts of the table are not those that were seen. Which layers stop it may
/// differ from machine to machine.
pub(super) fn compared(before: &str, rows: &Rows) -> Vec<String> {
    let table = before.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let table = table.map(|(table, _)| table).unwrap_or_default();
    let cells = |line: &str| -> Vec<String> {
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let old: Vec<Vec<String>> = table.lines().skip(1).map(cells).skip(2).collect();
    let new: Vec<Vec<String>> = rows.names().map(|name| cells(&line(name, rows))).collect();
    let verdict = |row: &Vec<String>| -> Vec<String> {
        [1, 2, 4].into_iter().filter_map(|at| row.get(at).cloned()).collect()
    };
    if old.iter().map(verdict).eq(new.iter().map(verdict)) {
        return Vec::new();
    }
    let changed = new.iter().filter(|row| !old.iter().any(|it| verdict(it) == verdict(row)));
    let names: Vec<_> = changed.filter_map(|row| row.get(1).cloned()).collect();
    let names = if names.is_empty() { String::from("fewer attempts") } else { names.join(", ") };
    vec![format!("{}: {names}: run `cargo xtask escape --write`", super::TABLE)]
}

fn line(name: &str, rows: &Rows) -> String {
    let (root, user) = (rows.of(name, Role::Root), rows.of(name, Role::User));
    let any = root.or(user);
    let about = any.map(|row| field(row, "about")).unwrap_or_default();
    let bare: Vec<&str> = [("root", root), ("user", user)]
        .into_iter()
        .filter(|(_, row)| row.is_some_and(|row| field(row, "bare") == "succeeded"))
        .map(|(role, _)| role)
        .collect();
    let excuse = root.map(|row| field(row, "excuse")).filter(|it| !it.is_empty());
    let bare = match (bare.is_empty(), excuse) {
        (true, Some(excuse)) => format!("n/a here: {excuse}"),
        (true, None) => String::from("no"),
        (false, _) => bare.join(", "),
    };
    let all = any.map(|row| field(row, "all")).unwrap_or_default();
    let of = |row: Option<&Value>| row.map(layers).unwrap_or_default();
    format!("| `{name}` | {about} | {bare} | {all} | {} | {} |\n", of(root), of(user))
}

/// The layers of which each stops it alone; else those which stop it together.
pub(super) fn layers(row: &Value) -> String {
    let alone = row.get("alone").and_then(Value::as_object).into_iter().flatten();
    let mut stopping: Vec<&str> = alone
        .filter(|(_, verdict)| verdict.as_str() == Some("stopped"))
        .map(|(layer, _)| layer.as_str())
        .collect();
    // What every program gets is there with each of the others too.
    if stopping.contains(&"start") {
        return String::from("start");
    }
    let together = listed(row, "together");
    if stopping.is_empty() {
        return together.join(" with ");
    }
    let mut said = Vec::new();
    for (name, group) in GROUPS {
        if group.iter().all(|layer| stopping.contains(layer)) {
            stopping.retain(|layer| !group.contains(layer));
            said.push(name);
        }
    }
    said.extend(stopping);
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(bare: &str) -> Rows {
        let mut rows = Rows::default();
        for role in [Role::Root, Role::User] {
            let alone =
                json!({"start": "succeeded", "seccomp": "stopped", "privileges": "stopped"});
            rows.take(
                role,
                json!({"attempt": "bpf", "about": "a map", "as": role.name(), "bare": bare,
                       "all": "stopped", "alone": alone}),
            );
        }
        rows
    }

    #[test]
    fn what_was_written_compares_as_the_same() {
        let empty = format!("before\n\n{BEGIN}\n{END}\nafter\n");
        let text = written(&empty, &rows("succeeded")).unwrap();
        assert!(text.starts_with("before") && text.ends_with("after\n"), "{text}");
        assert!(text.contains("| `bpf` | a map | root, user | stopped | seccomp, privileges |"));
        assert_eq!(compared(&text, &rows("succeeded")), Vec::<String>::new());
        assert_eq!(compared(&empty, &rows("succeeded")).len(), 1);
        assert_eq!(written(&text, &rows("succeeded")), Ok(text));
    }

    #[test]
    fn what_is_common_is_said_once() {
        let row = json!({"alone": {"start": "stopped", "seccomp": "stopped"}});
        assert_eq!(layers(&row), "start");
        let landlock = ["landlock-files", "landlock-network", "landlock-scopes"];
        let alone: Value = landlock.iter().map(|it| ((*it).to_owned(), json!("stopped"))).collect();
        assert_eq!(layers(&json!({"alone": alone})), "any of Landlock");
        let row = json!({"alone": {"start": "succeeded"}, "together": ["a", "b"]});
        assert_eq!(layers(&row), "a with b");
    }
}
