//! The examples of configuration, lockfile and rules in the documentation, put to `tagout check`.
use std::{fs, path::Path};

use crate::{
    root,
    tree::{Text, Tree, command},
};

/// Checks every example with the binary at `binary`.
pub(crate) fn examples(binary: &str) -> Result<String, String> {
    let binary = std::path::absolute(binary).map_err(|error| error.to_string())?;
    let tree = Tree::read(root())?;
    let mut checked = 0;
    let mut problems = String::new();
    for file in tree.ending(".md") {
        for example in of(file) {
            checked += 1;
            if let Err(problem) = check(&binary, &example) {
                problems.push_str(&format!("error: {}: {problem}\n{example:#?}\n", file.path));
            }
        }
    }
    if problems.is_empty() { Ok(format!("{checked} examples, all is well")) } else { Err(problems) }
}

/// What is put into a folder of configuration.
#[derive(Debug, PartialEq, Eq)]
enum Example {
    Config(String),
    Lockfile(String),
    /// With the lockfiles of the page, which pin what the rules speak of.
    Rules(String, String),
}

/// The examples of a page: rules together, as they would stand in one file, beside its last
/// lockfile.
fn of(file: &Text) -> Vec<Example> {
    let mut examples = Vec::new();
    let (mut rules, mut pinned) = (String::new(), String::new());
    let mut open: Option<(&str, String)> = None;
    for line in file.text.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some((language, String::new())),
            (Some(_), Some(("cedar", text))) => rules.push_str(&text),
            (Some(_), Some(("toml", text))) if text.starts_with("version") => {
                pinned.clone_from(&text);
                examples.push(Example::Lockfile(text));
            }
            // Cases of `tagout policy test`.
            (Some(_), Some(("toml", text))) if text.starts_with("[[case]]") => {}
            (Some(_), Some(("toml", text))) => examples.push(Example::Config(text)),
            (Some(_), Some(_)) | (None, None) => {}
            (None, Some((language, text))) => open = Some((language, text + line + "\n")),
        }
    }
    if !rules.is_empty() {
        examples.push(Example::Rules(rules, pinned));
    }
    examples
}

/// What is pinned where a page does not say.
const PINNED: &str = r#"version = 2

[server.files.tool."write_file"]
definition = "sha256:0074a16be22f98393479625ae28b74688c56985d581aa37e1ff61f7fbd37d11d"
effects = ["write"]
arguments = "{ content: String, path: String }"
reviewed = true

[server.archive]
"#;

fn check(binary: &Path, example: &Example) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let folder = scratch.path().join("tagout");
    let (file, text) = match example {
        Example::Config(text) => ("tagout.toml", text),
        Example::Lockfile(text) => ("tagout.lock", text),
        Example::Rules(text, _) => ("policies/example.cedar", text),
    };
    let failed = |error: std::io::Error| format!("{file}: {error}");
    fs::create_dir_all(folder.join("policies")).map_err(failed)?;
    // Without a configuration file no rules are read.
    fs::write(folder.join("tagout.toml"), "").map_err(failed)?;
    fs::write(folder.join(file), text).map_err(failed)?;
    match example {
        Example::Rules(_, pinned) => {
            let pinned = if pinned.is_empty() { PINNED } else { pinned };
            fs::write(folder.join("tagout.lock"), pinned).map_err(failed)?;
        }
        Example::Config(text) => {
            let folders = text.lines().filter_map(|line| line.strip_prefix("policies = \""));
            for named in folders.map(|rest| rest.trim_end_matches('"')) {
                fs::create_dir_all(folder.join(named)).map_err(failed)?;
            }
        }
        Example::Lockfile(_) => {}
    }
    let mut run = command(binary);
    run.arg("check");
    for variable in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
        run.env(variable, scratch.path());
    }
    let out = run.output().map_err(failed)?;
    if out.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&out.stderr).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_found() {
        let text = "```toml\na = 1\n```\ntext\n```cedar\nx;\n```\n```toml\nversion = 1\n```\n\
                    ```console\n$ no\n```\n```cedar\ny;\n```\n";
        let file = Text { path: "a.md".to_owned(), text: text.to_owned() };
        let expected = [
            Example::Config("a = 1\n".to_owned()),
            Example::Lockfile("version = 1\n".to_owned()),
            Example::Rules("x;\ny;\n".to_owned(), "version = 1\n".to_owned()),
        ];
        assert_eq!(of(&file), expected);
    }
}
