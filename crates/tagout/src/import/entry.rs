//! A server of another program as an entry of one's own.
use std::path::Path;

use tagout_gateway::decides_what_runs;

use super::{
    dialect::Source,
    value::{Text, is_name, is_secret, is_variable, read},
};
use crate::clients::tree::Tree;

/// An entry to be added.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) what: What,
    /// What a person has to know or to do.
    pub(crate) notes: Vec<String>,
}

/// What it is.
#[derive(Debug)]
pub(crate) enum What {
    Program {
        command: Vec<String>,
        env: Vec<(String, String)>,
        pass_env: Vec<String>,
        cwd: Option<String>,
    },
    Url {
        url: String,
        transport: Option<&'static str>,
        /// Names, and the variables that hold the values.
        headers: Vec<(String, String)>,
    },
}

/// What became of a server.
#[derive(Debug)]
pub(crate) enum Taken {
    Entry(Entry),
    /// Nothing, for this reason.
    Not(String),
    /// Nothing, because it is switched off where it comes from.
    Off,
}

/// Nobody writes more of them by hand.
const MOST_KEYS: usize = 256;

const COMMAND: [&str; 2] = ["command", "cmd"];
const ENV: [&str; 3] = ["env", "envs", "environment"];
const PASS: [&str; 2] = ["env_keys", "env_vars"];
const URL: [&str; 5] = ["url", "httpUrl", "serverUrl", "uri", "endpoint"];
const KIND: [&str; 4] = ["type", "transport", "transportType", "transport_type"];
const HEADERS: [&str; 2] = ["headers", "http_headers"];
/// Read elsewhere, or without a meaning here.
const OTHER: [&str; 12] = [
    "args",
    "cwd",
    "disabled",
    "enabled",
    "env_http_headers",
    "bearer_token_env_var",
    "name",
    "title",
    "description",
    "source",
    "display_name",
    "bundled",
];

/// Reads a server; `only` if it was asked for by name, also when it is switched off.
pub(crate) fn taken(source: &Source, only: bool) -> Taken {
    let inner = source.tree.get("command").map_or(0, |command| command.members().len());
    if source.tree.members().len().max(inner) > MOST_KEYS {
        return Taken::Not(format!("it has more than {MOST_KEYS} keys"));
    }
    let tree = &flattened(&source.tree);
    if !tree.is_map() {
        return Taken::Not("it is not written as a server is".to_owned());
    }
    if let Some(unfit) = source.unfit {
        return Taken::Not(unfit.to_owned());
    }
    let is = |key: &str, truth: bool| matches!(tree.get(key), Some(Tree::Bool(b)) if *b == truth);
    if !only && (is("disabled", true) || is("enabled", false)) {
        return Taken::Off;
    }
    let mut notes = Vec::new();
    let what = match (first(tree, &COMMAND), first(tree, &URL)) {
        (Some(_), Some(_)) => Err("it has both a program and a URL".to_owned()),
        (Some(command), None) => program(tree, command, &mut notes),
        (None, Some(url)) => remote(&source.name, tree, url, &mut notes),
        (None, None) => Err("it has neither a program nor a URL".to_owned()),
    };
    let unread = tree.members().iter().map(|(key, _)| key.as_str()).filter(|key| !is_read(key));
    let unread: Vec<_> = unread.map(|key| format!("`{key}`")).collect();
    if !unread.is_empty() {
        notes.push(format!("not taken over: {}", unread.join(", ")));
    }
    match what {
        Ok(what) => Taken::Entry(Entry { what, notes }),
        Err(why) => Taken::Not(why),
    }
}

fn is_read(key: &str) -> bool {
    let lists: [&[&str]; 7] = [&COMMAND, &ENV, &PASS, &URL, &KIND, &HEADERS, &OTHER];
    lists.iter().any(|list| list.contains(&key))
}

/// Zed once had `command: {path, args, env}`.
fn flattened(tree: &Tree) -> Tree {
    let Some(Tree::Map(inner)) = tree.get("command") else { return tree.clone() };
    let renamed = inner.iter().map(|(key, value)| {
        (if key == "path" { "command" } else { key.as_str() }.to_owned(), value.clone())
    });
    let outer = tree.members().iter().filter(|(key, _)| key != "command");
    let outer = outer.filter(|(key, _)| !inner.iter().any(|(other, _)| other == key));
    Tree::Map(renamed.chain(outer.cloned()).collect())
}

fn first<'a>(tree: &'a Tree, keys: &[&str]) -> Option<&'a Tree> {
    keys.iter().find_map(|key| tree.get(key)).filter(|value| !matches!(value, Tree::Null))
}

fn program(tree: &Tree, command: &Tree, notes: &mut Vec<String>) -> Result<What, String> {
    let mut words = match command {
        Tree::Text(program) => vec![program.clone()],
        Tree::List(words) => words.iter().map(word).collect::<Result<_, _>>()?,
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Map(_) => {
            return Err("its command is no text".to_owned());
        }
    };
    match tree.get("args") {
        None | Some(Tree::Null) => {}
        Some(Tree::List(args)) => {
            for arg in args {
                words.push(word(arg)?);
            }
        }
        Some(_) => return Err("its arguments are no list".to_owned()),
    }
    check_words(&words)?;
    let cwd = match tree.get("cwd") {
        None | Some(Tree::Null) => None,
        Some(Tree::Text(cwd)) if Path::new(cwd).is_absolute() && read(cwd) == Text::Plain => {
            Some(cwd.clone())
        }
        Some(_) => return Err("its working directory is no absolute path".to_owned()),
    };
    let (mut env, mut pass_env) = (Vec::new(), names(tree)?);
    for (name, value) in variables(tree)? {
        let own = Text::Variable { name: name.clone(), default: None };
        // What it is in one's own environment is one's own choice.
        if decides_what_runs(&name) && read(&value) != own {
            notes.push(format!(
                "`{name}` is left out: it decides what code runs, and no review would cover that"
            ));
            continue;
        }
        match kept(&name, &value, notes) {
            Some(value) => env.push((name, value)),
            None => pass_env.push(name),
        }
    }
    pass_env.sort();
    pass_env.dedup();
    let program = words.first().map(String::as_str).unwrap_or_default();
    notes.extend(pass_env.iter().map(|name| goes(name, &format!("the program `{program}`"))));
    Ok(What::Program { command: words, env, pass_env, cwd })
}

/// Nothing that is in one's environment leaves it without a word.
fn goes(variable: &str, to: &str) -> String {
    format!("`{variable}` of your environment goes to {to}")
}

fn word(tree: &Tree) -> Result<String, String> {
    match tree {
        Tree::Text(text) | Tree::Number(text) => Ok(text.clone()),
        Tree::Bool(truth) => Ok(truth.to_string()),
        Tree::Null | Tree::List(_) | Tree::Map(_) => Err("an argument of it is no text".to_owned()),
    }
}

/// A command line is shown, recorded and pinned, and nothing in it is replaced.
fn check_words(words: &[String]) -> Result<(), String> {
    let mut flag = "";
    for word in words {
        match read(word) {
            Text::Plain => {}
            Text::Variable { .. } | Text::Other(_) => {
                return Err(
                    "its command holds a variable, which nothing here replaces: write what \
                            it stands for, and add it by hand"
                        .to_owned(),
                );
            }
        }
        let (name, value) = word.split_once('=').unwrap_or((flag, word.as_str()));
        let is_flag = word.starts_with('-');
        if (!is_flag || word.contains('=')) && is_secret(name.trim_start_matches('-'), value) {
            return Err("its command holds what looks like a secret, which everybody on this \
                        machine could read: put it into the environment, and add it by hand"
                .to_owned());
        }
        flag = if is_flag { word } else { "" };
    }
    Ok(())
}

/// The variables that it is given as they are.
fn names(tree: &Tree) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for list in PASS.iter().filter_map(|key| tree.get(key)) {
        for element in list.elements() {
            let name = element.text().or(element.get("name").and_then(Tree::text));
            let name = name.filter(|name| is_variable(name));
            names.push(name.ok_or("a variable of it has no name")?.to_owned());
        }
    }
    Ok(names)
}

fn variables(tree: &Tree) -> Result<Vec<(String, String)>, String> {
    let Some(env) = first(tree, &ENV) else { return Ok(Vec::new()) };
    if !env.is_map() {
        return Err("its environment is no map".to_owned());
    }
    if env.members().iter().any(|(name, _)| !is_name(name)) {
        return Err("a variable of it has no name that a variable can have".to_owned());
    }
    let pairs = env.members().iter().map(|(name, value)| match value {
        Tree::Text(text) | Tree::Number(text) => Ok((name.clone(), text.clone())),
        Tree::Bool(truth) => Ok((name.clone(), truth.to_string())),
        Tree::Null | Tree::List(_) | Tree::Map(_) => Err("a variable of it is no text".to_owned()),
    });
    pairs.collect()
}

/// The value of a variable, if it is one that may stand in a file; else it is to come from the
/// environment of whoever starts Tagout, and a note says so.
fn kept(name: &str, value: &str, notes: &mut Vec<String>) -> Option<String> {
    match read(value) {
        Text::Plain if !is_secret(name, value) => return Some(value.to_owned()),
        Text::Plain => notes.push(format!(
            "`{name}` looks like a secret and is not copied: set it in the environment that Tagout \
             is started in"
        )),
        Text::Variable { name: other, default } => {
            if other != name {
                notes.push(format!("`{name}` was the variable `{other}`: set `{name}` itself"));
            }
            if default.is_some() {
                notes.push(format!("`{name}` had a default, which does not hold here: set it"));
            }
        }
        Text::Other(reference) => {
            notes
                .push(format!("`{name}` came from `{reference}`, which is not known here: set it"));
        }
    }
    None
}

fn remote(server: &str, tree: &Tree, url: &Tree, notes: &mut Vec<String>) -> Result<What, String> {
    let url = url.text().ok_or("its URL is no text")?;
    if read(url) != Text::Plain {
        return Err("its URL holds a variable, which nothing here replaces".to_owned());
    }
    if is_secret("url", url) {
        return Err("its URL holds what looks like a secret: use a header".to_owned());
    }
    let kind = first(tree, &KIND).and_then(Tree::text).unwrap_or_default();
    let transport = match kind {
        "sse" => Some("sse"),
        "streamable-http" | "streamableHttp" | "streamable_http" | "http" => {
            Some("streamable-http")
        }
        "" | "remote" => None,
        _ => return Err(format!("it is of the type `{kind}`, which is not known here")),
    };
    let mut headers = Vec::new();
    for (name, value) in HEADERS.iter().filter_map(|key| tree.get(key)).flat_map(Tree::members) {
        let value = value.text().ok_or("a header of it is no text")?;
        headers.push((name.clone(), held(server, name, &read(value), notes)));
    }
    for (name, variable) in tree.get("env_http_headers").map(Tree::members).unwrap_or_default() {
        let variable = variable.text().filter(|name| is_variable(name));
        headers.push((name.clone(), variable.ok_or("a header of it is no text")?.to_owned()));
    }
    if let Some(variable) = tree.get("bearer_token_env_var").and_then(Tree::text) {
        let value = Text::Other(format!("Bearer ${variable}"));
        headers.push(("Authorization".to_owned(), held(server, "Authorization", &value, notes)));
    }
    notes.extend(
        headers.iter().map(|(header, variable)| {
            goes(variable, &format!("`{url}`, as the header `{header}`"))
        }),
    );
    Ok(What::Url { url: url.to_owned(), transport, headers })
}

/// The variable that holds the value of a header: the file's own, or one to be set.
fn held(server: &str, header: &str, value: &Text, notes: &mut Vec<String>) -> String {
    if let Text::Variable { name, default: None } = value {
        return name.clone();
    }
    let upper = |text: &str| -> String {
        let upper = text.chars().map(|c| c.to_ascii_uppercase());
        upper.map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
    };
    let variable = format!("{}_{}", upper(server), upper(header));
    let from = match value {
        Text::Plain => "is not copied".to_owned(),
        Text::Variable { name, .. } => format!("was `{name}` or a default"),
        Text::Other(reference) => format!("was made of `{reference}`"),
    };
    notes.push(format!("the header `{header}` {from}: set `{variable}` to all of its value"));
    variable
}
