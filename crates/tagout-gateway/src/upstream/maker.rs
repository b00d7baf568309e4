//! Tools made of their definitions: read, held against the lockfile, compiled; once for all
//! sessions.
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tagout_inspect::{
    definition,
    schema::{ArgumentSchema, BadSchema, Undeclared},
};
use tagout_inspect::{lookalike::looks, shadowing::Said};
use tagout_policy::{Effect, Effects, Labels, Shape};
use tagout_proto::{Digest, ServerName, ToolName, Value, qualified};

use super::{
    Connection, Quarantine, Standing, Tool, Upstream, composed,
    mirror::{self, Mirror},
    neighbours::Neighbours,
    shared::Known,
};
use crate::lockfile::PinnedServer;

/// What tools are made with.
pub(super) struct Maker {
    server: ServerName,
    pinned: Option<Arc<PinnedServer>>,
    undeclared: Undeclared,
    bare: bool,
    /// Whether annotations for headers mean something.
    mirrors: bool,
    known: Arc<Known>,
    neighbours: Arc<Neighbours>,
}

/// What was wrong: an event and its detail.
pub(super) type Finding = (&'static str, String);

/// Tools that were made, by all that they were made of. The lockfile and the configuration are the
/// same for as long as the gateway runs.
#[derive(Default)]
pub(super) struct Made(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    tools: HashMap<Key, Result<Arc<Tool>, Finding>>,
    /// Bytes of the definitions.
    bytes: usize,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    server: ServerName,
    /// Of the definition, byte for byte.
    text: Digest,
    pinned: bool,
    mirrors: bool,
}

/// How many bytes of definitions are kept; then the shelf is cleared, and filled again by use.
const SHELF_BYTES: usize = 64 << 20;
/// What an entry counts beside its definition, in bytes.
const ENTRY_BYTES: usize = 1 << 10;

impl Made {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // The guarded sections do not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &Key) -> Option<Result<Arc<Tool>, Finding>> {
        self.shelf().tools.get(key).cloned()
    }

    fn keep(&self, key: Key, tool: &Result<Arc<Tool>, Finding>, bytes: usize) {
        let mut shelf = self.shelf();
        if shelf.bytes > SHELF_BYTES {
            *shelf = Shelf::default();
        }
        shelf.bytes += bytes + ENTRY_BYTES;
        shelf.tools.insert(key, tool.clone());
    }
}

impl Maker {
    pub(super) fn of(upstream: &Upstream, connection: &Connection) -> Self {
        Self {
            server: upstream.name.clone(),
            pinned: upstream.pinned.clone(),
            undeclared: upstream.server.undeclared,
            bare: upstream.server.bare,
            mirrors: connection.revision().is_modern(),
            known: Arc::clone(&upstream.known),
            neighbours: Arc::clone(&upstream.neighbours),
        }
    }

    fn key(&self, text: &str) -> Key {
        Key {
            server: self.server.clone(),
            text: Digest::of(text.as_bytes()),
            pinned: self.pinned.is_some(),
            mirrors: self.mirrors,
        }
    }

    /// Whether all of them were made before.
    pub(super) fn knows(&self, texts: &[String]) -> bool {
        texts.iter().all(|text| self.known.made.get(&self.key(text)).is_some())
    }

    /// Tools of their definitions, without those that nobody could call for certain.
    pub(super) fn tools(&self, texts: Vec<String>) -> (Vec<Arc<Tool>>, Vec<Finding>) {
        let (mut tools, mut findings) = (Vec::<Arc<Tool>>::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for text in texts {
            match self.tool(text) {
                Ok(tool) if !seen.insert(tool.name.clone()) => {
                    let detail = format!("`{}` is defined twice", tool.name);
                    findings.push(("tool-defined-twice", detail));
                    tools.retain(|other| other.name != tool.name);
                }
                Ok(tool) => tools.push(tool),
                Err(finding) => findings.push(finding),
            }
        }
        (tools, findings)
    }

    fn tool(&self, text: String) -> Result<Arc<Tool>, Finding> {
        let key = self.key(&text);
        if let Some(made) = self.known.made.get(&key) {
            return made;
        }
        let bytes = text.len();
        let made = self.made(text).map(Arc::new);
        self.known.made.keep(key, &made, bytes);
        made
    }

    fn made(&self, text: String) -> Result<Tool, Finding> {
        let malformed = |why: String| ("tool-definition-malformed", why);
        let document = composed(&text).map_err(|e| malformed(e.to_string()))?;
        let root = document.root();
        let name = root.get("name").and_then(|name| name.text()).unwrap_or_default();
        let name = ToolName::try_from(&*name).map_err(|e| malformed(e.to_string()))?;
        let mirrors = self.mirrors(root);
        let mirrors = mirrors.map_err(|why| ("tool-header-invalid", format!("`{name}`: {why}")))?;
        let canonical = definition::canonical(root);
        let digest = Digest::of(canonical.as_bytes());
        let review = self.review(&name, digest);
        let said = root.members().filter(|(key, _)| key != "name").flat_map(|(_, v)| v.strings());
        let suspects = self.neighbours.suspects(&self.server, name.as_str(), &Said::of(said));
        let bare = name.as_str().to_owned();
        Ok(Tool {
            server: self.server.clone(),
            qualified: if self.bare { bare } else { qualified(&self.server, name.as_str()) },
            schema: self.schema(root).map(Arc::new),
            looks: looks(name.as_str()),
            suspects,
            name,
            canonical,
            digest,
            standing: review.standing,
            effects: review.effects,
            labels: review.labels,
            shape: review.shape,
            mirrors,
            text,
        })
    }

    fn review(&self, name: &ToolName, digest: Digest) -> Review {
        let unreviewed = |standing| Review {
            standing,
            effects: Effects::from([Effect::Exec]),
            labels: unreviewed(),
            shape: None,
        };
        let Some(server) = &self.pinned else { return unreviewed(Standing::Unreviewed) };
        match server.tools.get(name) {
            None if server.of_first_version => unreviewed(Standing::Unreviewed),
            None => unreviewed(Standing::Quarantined(Quarantine::New)),
            Some(pinned) if pinned.definition != digest => {
                let expected = pinned.definition;
                unreviewed(Standing::Quarantined(Quarantine::Changed { expected }))
            }
            Some(pinned) if pinned.reviewed => Review {
                standing: Standing::Reviewed,
                effects: pinned.effects.clone(),
                labels: pinned.labels(),
                shape: pinned.arguments.clone(),
            },
            Some(pinned) => match pinned.pin().quarantine() {
                Some(why) => unreviewed(Standing::Quarantined(why)),
                None => Review {
                    labels: pinned.labels(),
                    shape: pinned.arguments.clone(),
                    ..unreviewed(Standing::Unreviewed)
                },
            },
        }
    }

    fn mirrors(&self, definition: Value<'_>) -> Result<Vec<Mirror>, String> {
        let mirrors = definition.get("inputSchema").map_or_else(|| Ok(Vec::new()), mirror::mirrors);
        // Where the server's revision knows nothing of headers, what stands there means nothing.
        if self.mirrors { mirrors } else { Ok(mirrors.unwrap_or_default()) }
    }

    fn schema(&self, definition: Value<'_>) -> Result<ArgumentSchema, BadSchema> {
        let schema = definition.get("inputSchema");
        let tree = schema.map_or_else(|| Ok(serde_json::Value::Null), |schema| schema.to_tree());
        // A bound that cannot be held exactly cannot be checked.
        let tree = tree.map_err(|e| BadSchema::new(e.to_string()))?;
        ArgumentSchema::compile(&tree, self.undeclared)
    }
}

/// What the lockfile says of a tool.
struct Review {
    standing: Standing,
    effects: Effects,
    labels: Labels,
    shape: Option<Shape>,
}

/// What is to be thought of a tool that nobody has reviewed.
pub(super) fn unreviewed() -> Labels {
    Labels { untrusted: true, sensitive: true, ..Labels::default() }
}
