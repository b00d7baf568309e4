//! Definitions of tools and prompts: their digest, and what they seem to do.
use tagout_proto::{Digest, Value};

/// The digest of a definition's canonical form: name, title, description, schemas, annotations
/// and whatever else it holds, but `_meta`, which no model is shown.
#[must_use]
pub fn digest(definition: Value<'_>) -> Digest {
    Digest::of(canonical(definition).as_bytes())
}

/// The text that [`digest`] is made over.
#[must_use]
pub fn canonical(definition: Value<'_>) -> String {
    if definition.get("_meta").is_none() {
        return definition.canonical();
    }
    let without = definition.with(&[("_meta", None)]);
    let limits = tagout_proto::Limits { frame_bytes: without.len(), ..Default::default() };
    // A document without one of its members is a document.
    tagout_proto::Document::read(without.as_bytes(), limits)
        .map_or(without, |document| document.root().canonical())
}

/// An effect that a tool seems to have, for a reviewer to confirm; never trusted by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// `read`, `write`, `destructive`, `egress` or `exec`.
    pub effect: &'static str,
    /// What makes it seem so.
    pub reason: String,
}

/// Words in a tool's name or description, and the effect that they hint at.
const WORDS: &[(&str, &[&str])] = &[
    ("exec", &["exec", "execute", "eval", "shell", "spawn", "command", "script", "subprocess"]),
    (
        "destructive",
        &[
            "delete",
            "remove",
            "drop",
            "truncate",
            "destroy",
            "erase",
            "overwrite",
            "purge",
            "wipe",
            "reset",
        ],
    ),
    (
        "write",
        &[
            "write", "create", "update", "edit", "insert", "set", "add", "move", "rename",
            "commit", "checkout", "append", "modify", "patch", "save", "upload", "stage",
        ],
    ),
    (
        "egress",
        &[
            "send", "post", "publish", "email", "notify", "fetch", "download", "http", "url",
            "webhook", "push",
        ],
    ),
    (
        "read",
        &[
            "read",
            "get",
            "list",
            "search",
            "find",
            "show",
            "view",
            "query",
            "analyze",
            "predict",
            "status",
            "log",
            "diff",
            "describe",
            "calculate",
            "compute",
            "tree",
            "info",
            "generate",
        ],
    ),
];

/// What the tool seems to do, by its annotations and its wording.
#[must_use]
pub fn hints(definition: Value<'_>) -> Vec<Hint> {
    let mut hints: Vec<Hint> = Vec::new();
    let mut add = |effect: &'static str, reason: String| {
        if !hints.iter().any(|hint| hint.effect == effect) {
            hints.push(Hint { effect, reason });
        }
    };
    let annotation = |name| definition.get("annotations")?.get(name)?.boolean();
    let name = definition.get("name").and_then(|n| n.text()).unwrap_or_default();
    let in_name = words(&name);
    for (effect, listed) in WORDS {
        if let Some(word) = in_name.iter().find(|word| listed.contains(&word.as_str())) {
            add(effect, format!("its name says `{word}`"));
        }
    }
    if annotation("readOnlyHint") == Some(true) {
        add("read", "its annotation says readOnlyHint".to_owned());
    }
    if annotation("readOnlyHint") == Some(false) {
        add("write", "its annotation says that it is not read-only".to_owned());
    }
    // The protocol's default: what is not read-only is destructive unless it says otherwise.
    let destructive = annotation("destructiveHint");
    if destructive.is_none() && annotation("readOnlyHint") == Some(false) {
        add("destructive", "its annotations do not say that it is not destructive".to_owned());
    }
    if destructive == Some(true) {
        add("destructive", "its annotation says destructiveHint".to_owned());
    }
    if annotation("openWorldHint") == Some(true) {
        add("egress", "its annotation says openWorldHint".to_owned());
    }
    if hints.is_empty() {
        let reason = "nothing says what it does".to_owned();
        hints.push(Hint { effect: "exec", reason });
    }
    hints
}

/// The words of an identifier, in lower case: `readFile`, `read_file` and `read-file` have two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_was_lower = false;
    for c in name.chars() {
        let starts = c.is_uppercase() && before_was_lower;
        if !c.is_alphanumeric() || starts {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        before_was_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}
