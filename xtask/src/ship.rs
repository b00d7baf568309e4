//! The lockfile that ships in the binary: the tools of the built-in servers, as reviewed.
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use toml::Table;

use crate::{
    root,
    tree::{command, text},
};

const FILE: &str = "crates/tagout/shipped.lock";

const HEADER: &str = "\
# The tools of the servers inside Tagout, as reviewed by its developers. Written by `cargo xtask ship`
# from what the servers say; a test holds it against them.
version = 2
";

/// What the command line says.
pub(crate) struct Options {
    check: bool,
    binary: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { check: false, binary: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--check" => options.check = true,
                "--binary" => options.binary = words.next().map(PathBuf::from),
                word => return Err(format!("`{word}` is neither `--check` nor `--binary FILE`")),
            }
        }
        Ok(options)
    }
}

/// Writes the lockfile, or says how it differs.
pub(crate) fn ship(options: &Options) -> Result<String, String> {
    let path = root().join(FILE);
    let before = text(&path)?.unwrap_or_default();
    let binary = match &options.binary {
        Some(binary) => std::path::absolute(binary).map_err(|error| error.to_string())?,
        None => built()?,
    };
    let after = lockfile(&before, &tools(&binary)?)?;
    if before == after {
        return Ok(format!("{FILE} is up to date"));
    }
    if options.check {
        return Err(format!(
            "{FILE} is not what the built-in servers say; run `cargo xtask ship`, and review:\n{after}"
        ));
    }
    fs::write(&path, after).map_err(|error| format!("{FILE}: {error}"))?;
    Ok(format!("wrote {FILE}; review what changed, then build again"))
}

fn built() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = command(cargo);
    build.current_dir(root()).args(["build", "--locked", "--package=tagout"]);
    build.arg("--message-format=json-render-diagnostics");
    let out = build.stderr(std::process::Stdio::inherit()).output();
    let out = out.map_err(|error| format!("cargo: {error}"))?;
    let messages = String::from_utf8_lossy(&out.stdout);
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back();
    executable.filter(|_| out.status.success()).ok_or_else(|| "the build failed".to_owned())
}

/// The rows of `tagout tools ls --json` on built-in defaults, without anything of this machine's
/// own configuration.
fn tools(binary: &Path) -> Result<Vec<Value>, String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut run = command(binary);
    run.args(["tools", "ls", "--json"]);
    for variable in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
        run.env(variable, scratch.path().join(variable));
    }
    let out = run.output().map_err(|error| format!("{}: {error}", binary.display()))?;
    if !out.status.success() {
        return Err(format!("tools ls: {}", String::from_utf8_lossy(&out.stderr)));
    }
    let rows = String::from_utf8_lossy(&out.stdout);
    let rows: Result<Vec<_>, _> = rows.lines().map(serde_json::from_str).collect();
    rows.map_err(|error| format!("tools ls: {error}"))
}

/// The lockfile's text for these tools. What a person wrote down before stays, but for the digest and
/// the types of the arguments; the effects of a new tool are what the gateway takes it for, until a
/// person writes down better.
fn lockfile(before: &str, tools: &[Value]) -> Result<String, String> {
    let before: Table = before.parse().map_err(|error| format!("{FILE}: {error}"))?;
    let text = |value: &Value, key: &str| {
        let text = value.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        text.ok_or_else(|| format!("tools ls: a row has no `{key}`"))
    };
    let mut servers = BTreeMap::<String, String>::new();
    for row in tools {
        let (server, tool) = (text(row, "server")?, text(row, "tool")?);
        let known = before.get("server").and_then(|s| s.get(&server)?.get("tool")?.get(&tool));
        let kept = |key: &str, otherwise: String| {
            known.and_then(|known| known.get(key)).map_or(otherwise, ToString::to_string)
        };
        let section =
            servers.entry(server.clone()).or_insert_with(|| format!("\n[server.{server}]\n"));
        let none = || "[]".to_owned();
        let written = write!(
            section,
            "\n[server.{server}.tool.\"{tool}\"]\ndefinition = \"{}\"\neffects = {}\narguments = {}\n\
             destinations = {}\npayloads = {}\noutput = {}\nmay_leave = {}\nreviewed = true\n",
            text(row, "digest")?,
            kept("effects", effects_of(row)),
            toml::Value::from(text(row, "arguments")?),
            kept("destinations", none()),
            kept("payloads", none()),
            kept("output", none()),
            kept("may_leave", "false".to_owned()),
        );
        written.map_err(|error| error.to_string())?;
    }
    Ok(servers.into_values().fold(HEADER.to_owned(), |all, section| all + &section))
}

fn effects_of(row: &Value) -> String {
    let effects = row.get("effects").and_then(Value::as_array).cloned().unwrap_or_default();
    let effects: Vec<_> = effects.iter().map(Value::to_string).collect();
    format!("[{}]", effects.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn effects_stay_and_definitions_follow() {
        let row = |tool: &str, digest: &str| json!({"server": "grid", "tool": tool, "digest": digest, "arguments": "{ a: String }", "effects": ["exec", "write"]});
        let first = lockfile("", &[row("a", "sha256:1")]).unwrap();
        assert!(first.contains("effects = [\"exec\", \"write\"]"), "{first}");
        let reviewed = first.replace("\"exec\", \"write\"", "\"read\"");
        let second = lockfile(&reviewed, &[row("a", "sha256:2"), row("b", "sha256:3")]).unwrap();
        assert!(second.contains("sha256:2\"\neffects = [\"read\"]"), "{second}");
        assert!(second.contains("[server.grid.tool.\"b\"]"), "{second}");
    }

    #[test]
    fn options_are_read() {
        let options = Options::parse(&["--check", "--binary", "tagout"]).unwrap();
        assert!(options.check && options.binary.is_some());
        assert!(Options::parse(&["--chekc"]).is_err());
    }
}
