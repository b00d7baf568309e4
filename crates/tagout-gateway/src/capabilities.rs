//! What a client declares that it can do for servers.
use tagout_proto::{Revision, Value};

/// What servers may be told that their client can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// What is passed on of it: a JSON object.
    text: Option<Box<str>>,
    /// Its user fills in forms.
    pub(crate) elicits_in_forms: bool,
    /// Its user can be sent to URLs.
    pub(crate) elicits_at_urls: bool,
    /// Its model can be asked.
    pub(crate) samples: bool,
    /// It has folders.
    pub(crate) has_roots: bool,
    /// It follows tasks.
    pub(crate) follows_tasks: bool,
}

/// What the gateway can carry between a client and a server.
const CARRIED: &[&str] = &["elicitation", "sampling", "roots", "extensions"];
/// Extensions that it can carry, and whether they need the newest revision.
const EXTENSIONS: &[(&str, bool)] =
    &[(EXTENSION_TASKS, true), ("io.modelcontextprotocol/ui", false), (EXTENSION_SKILLS, true)];
pub(crate) const EXTENSION_TASKS: &str = "io.modelcontextprotocol/tasks";
pub(crate) const EXTENSION_SKILLS: &str = "io.modelcontextprotocol/skills";

impl Capabilities {
    /// What is carried of what a client declares.
    pub(crate) fn of(declared: Option<Value<'_>>, revision: Revision) -> Self {
        let Some(declared) = declared else { return Self::default() };
        let has = |key: &str| declared.get(key).is_some_and(|v| v.members().count() < 100);
        let elicitation = declared.get("elicitation");
        let mode = |key: &str| elicitation.is_some_and(|modes| modes.get(key).is_some());
        let extensions = declared.get("extensions");
        let extensions = extensions.map(|extensions| only_known(extensions, revision));
        let others: Vec<_> = declared
            .members()
            .map(|(key, _)| key)
            .filter(|key| !CARRIED.contains(&key.as_ref()))
            .collect();
        let follows_tasks = declared.get("extensions").and_then(|e| e.get(EXTENSION_TASKS));
        let follows_tasks = follows_tasks.is_some() && revision.is_modern();
        let mut changes: Vec<(&str, Option<&str>)> =
            others.iter().map(|key| (key.as_ref(), None)).collect();
        if let Some(extensions) = &extensions {
            changes.push(("extensions", (extensions != "{}").then_some(extensions)));
        }
        Self {
            text: Some(declared.with(&changes).into()),
            // An empty object means forms, as before there were URLs.
            elicits_in_forms: mode("form") || (elicitation.is_some() && !mode("url")),
            elicits_at_urls: mode("url"),
            samples: has("sampling"),
            has_roots: has("roots"),
            follows_tasks,
        }
    }

    /// A JSON object, for servers.
    pub(crate) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or("{}")
    }
}

/// The extensions that are carried for a client of `revision`, out of those that are declared.
pub(crate) fn only_known(extensions: Value<'_>, revision: Revision) -> String {
    let carried = |key: &str| {
        EXTENSIONS.iter().any(|(one, modern)| *one == key && (!modern || revision.is_modern()))
    };
    let unknown: Vec<_> =
        extensions.members().map(|(key, _)| key).filter(|key| !carried(key)).collect();
    let changes: Vec<_> = unknown.iter().map(|key| (key.as_ref(), None)).collect();
    extensions.with(&changes)
}
