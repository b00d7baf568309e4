//! What a tool seems to do, for a reviewer to confirm; never trusted by itself.
use tagout_proto::Value;

/// One thing that a definition seems to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// What: an effect, an argument, or `untrusted` or `sensitive` output.
    pub value: String,
    /// What makes it seem so.
    pub reason: String,
}

/// What a tool seems to do, by its annotations and its wording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// `read`, `write`, `destructive`, `egress`, `exec`.
    pub effects: Vec<Hint>,
    /// Arguments that seem to say where something goes; those inside of others with a dot.
    pub destinations: Vec<Hint>,
    /// Arguments that seem to hold what goes there.
    pub payloads: Vec<Hint>,
    /// `untrusted`, `sensitive`.
    pub output: Vec<Hint>,
}

/// Words in a tool's name, and the effect that they hint at.
const IN_NAME: &[(&str, &[&str])] = &[
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

/// Words in a tool's description that hint at an effect that its name may keep to itself. Only
/// what is seldom said of a tool that does not do it; reading is not among them.
const IN_DESCRIPTION: &[(&str, &[&str])] = &[
    ("exec", &["execute", "executes", "eval", "evaluates", "shell", "subprocess"]),
    (
        "destructive",
        &[
            "delete",
            "deletes",
            "erase",
            "erases",
            "destroy",
            "destroys",
            "overwrite",
            "overwrites",
            "purge",
            "purges",
            "wipe",
            "wipes",
            "irreversible",
            "irreversibly",
        ],
    ),
    ("write", &["write", "writes", "create", "creates", "modify", "modifies", "upload", "uploads"]),
    (
        "egress",
        &[
            "send",
            "sends",
            "post",
            "posts",
            "publish",
            "publishes",
            "email",
            "emails",
            "mails",
            "fetches",
            "downloads",
            "webhook",
        ],
    ),
];

/// Words in an argument's name that hint at where something goes, or comes from.
const DESTINATIONS: &[&str] = &[
    "to",
    "cc",
    "bcc",
    "recipient",
    "recipients",
    "url",
    "uri",
    "href",
    "link",
    "host",
    "hostname",
    "endpoint",
    "address",
    "email",
    "channel",
    "webhook",
    "path",
    "paths",
    "file",
    "filename",
    "filepath",
    "dir",
    "directory",
    "folder",
    "destination",
    "dest",
    "target",
    "bucket",
    "repo",
    "repository",
    "branch",
    "topic",
    "server",
    "domain",
    "phone",
    "remote",
];

/// Words in an argument's name that hint at what goes there.
const PAYLOADS: &[&str] = &[
    "body",
    "content",
    "contents",
    "message",
    "messages",
    "data",
    "text",
    "payload",
    "subject",
    "attachment",
    "attachments",
    "html",
    "markdown",
    "value",
    "values",
    "comment",
    "note",
    "blob",
    "document",
    "input",
];

/// Words that hint at output that anybody may have written.
const UNTRUSTED: &[&str] = &[
    "fetch",
    "fetches",
    "http",
    "https",
    "web",
    "website",
    "webpage",
    "url",
    "browse",
    "browser",
    "crawl",
    "scrape",
    "download",
    "downloads",
    "email",
    "emails",
    "mail",
    "mails",
    "inbox",
    "chat",
    "issue",
    "issues",
    "comments",
    "feed",
    "rss",
    "internet",
    "message",
    "messages",
    "tweet",
    "ticket",
    "tickets",
];

/// Words that hint at output that is not for everybody.
const SENSITIVE: &[&str] = &[
    "secret",
    "secrets",
    "password",
    "passwords",
    "credential",
    "credentials",
    "token",
    "tokens",
    "personal",
    "private",
    "confidential",
    "customer",
    "customers",
    "patient",
    "patients",
    "medical",
    "salary",
    "salaries",
    "payroll",
    "pii",
    "ssn",
    "employee",
    "employees",
    "contacts",
    "payment",
    "payments",
];

/// The most arguments that are looked at, and how deep.
const ARGUMENTS: usize = 1000;
const DEPTH: usize = 4;

impl Proposal {
    /// What `definition` seems to say.
    #[must_use]
    pub fn of(definition: Value<'_>) -> Self {
        let mut proposal = Self { effects: effects(definition), ..Self::default() };
        if let Some(schema) = definition.get("inputSchema") {
            proposal.arguments(schema, "", DEPTH);
        }
        proposal.output = output(definition);
        proposal
    }

    fn arguments(&mut self, schema: Value<'_>, within: &str, depth: usize) {
        let Some(properties) = schema.get("properties").filter(|_| depth > 0) else { return };
        for (name, argument) in properties.members() {
            if self.destinations.len() + self.payloads.len() > ARGUMENTS {
                return;
            }
            let path =
                if within.is_empty() { name.to_string() } else { format!("{within}.{name}") };
            let said = words(&name);
            // What it is stands last: `file_content` is content.
            let listed = |word: &&String| {
                DESTINATIONS.contains(&word.as_str()) || PAYLOADS.contains(&word.as_str())
            };
            let word = said.iter().rev().find(listed);
            let format = argument.get("format").and_then(|format| format.text());
            let format = format.filter(|format| matches!(&**format, "uri" | "email" | "hostname"));
            let reason = word.map(|word| format!("its name says `{word}`"));
            let is_payload = word.is_some_and(|word| PAYLOADS.contains(&word.as_str()));
            let reason = reason.or_else(|| Some(format!("its format is `{}`", format?)));
            if let Some(reason) = reason {
                let hints = if is_payload { &mut self.payloads } else { &mut self.destinations };
                hints.push(Hint { value: path.clone(), reason });
            }
            self.arguments(argument, &path, depth - 1);
            if let Some(items) = argument.get("items") {
                self.arguments(items, &path, depth - 1);
            }
        }
    }
}

fn effects(definition: Value<'_>) -> Vec<Hint> {
    let mut hints: Vec<Hint> = Vec::new();
    let mut add = |effect: &'static str, reason: String| {
        if !hints.iter().any(|hint| hint.value == effect) {
            hints.push(Hint { value: effect.to_owned(), reason });
        }
    };
    let annotation = |name| definition.get("annotations")?.get(name)?.boolean();
    let in_name = words(&text(definition, "name"));
    for (effect, word) in said(IN_NAME, &in_name) {
        add(effect, format!("its name says `{word}`"));
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
    let described = text(definition, "description");
    // Names of tools are no words.
    let apart = |c: char| !(c.is_alphanumeric() || c == '_');
    let described: Vec<_> = described.split(apart).collect();
    let described: Vec<_> = described.into_iter().map(str::to_lowercase).collect();
    for (effect, word) in said(IN_DESCRIPTION, &described) {
        add(effect, format!("its description says `{word}`"));
    }
    if hints.is_empty() {
        let reason = "nothing says what it does".to_owned();
        hints.push(Hint { value: "exec".to_owned(), reason });
    }
    hints
}

/// The first listed word of each effect that is among `words`.
fn said<'a>(
    listed: &'static [(&'static str, &'static [&'static str])],
    words: &'a [String],
) -> impl Iterator<Item = (&'static str, &'a str)> {
    listed.iter().filter_map(|(effect, listed)| {
        let word = words.iter().find(|word| listed.contains(&word.as_str()))?;
        Some((*effect, word.as_str()))
    })
}

fn output(definition: Value<'_>) -> Vec<Hint> {
    let mut all = words(&text(definition, "name"));
    for key in ["title", "description"] {
        let text = text(definition, key);
        let described = text.split(|c: char| !c.is_alphanumeric());
        all.extend(described.map(str::to_lowercase));
    }
    let mut hints = Vec::new();
    let open = definition.get("annotations").and_then(|all| all.get("openWorldHint"));
    if open.and_then(|open| open.boolean()) == Some(true) {
        let reason = "its annotation says openWorldHint".to_owned();
        hints.push(Hint { value: "untrusted".to_owned(), reason });
    }
    for (label, listed) in [("untrusted", UNTRUSTED), ("sensitive", SENSITIVE)] {
        let word = all.iter().find(|word| listed.contains(&word.as_str()));
        let known = hints.iter().any(|hint: &Hint| hint.value == label);
        if let (Some(word), false) = (word, known) {
            let reason = format!("its name or description says `{word}`");
            hints.push(Hint { value: label.to_owned(), reason });
        }
    }
    hints
}

fn text(definition: Value<'_>, key: &str) -> String {
    definition.get(key).and_then(|text| text.text()).unwrap_or_default().into_owned()
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
