//! What a server is, as one digest: what approvals bind to, and what people agree to send things to.
use std::sync::{Mutex, PoisonError};

use tagout_proto::Digest;

use super::Upstream;
use crate::lockfile::PinnedServer;

/// The digest of what a server is, as it was last started.
#[derive(Debug, Default)]
pub(super) struct Identity(Mutex<Option<Digest>>);

impl Upstream {
    /// A digest of the program with all files that the lockfile would name, or of the URL, as it was
    /// found when it was last started and held against what is pinned.
    pub(crate) fn identity(&self) -> Digest {
        let mut kept = self.identity.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept.get_or_insert_with(nobodys)
    }

    /// It is started as `found`; nothing where that could not be read.
    pub(super) fn is_started_as(&self, found: Option<&PinnedServer>) {
        let mut kept = self.identity.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(found.map_or_else(nobodys, digest_of));
    }
}

/// What cannot be read is started all the same; nobody's earlier word is about it.
fn nobodys() -> Digest {
    let mut random = [0; 32];
    // Without randomness it is no digest of anything, all the same.
    if getrandom::fill(&mut random).is_err() {
        return Digest::of(b"nobody's");
    }
    Digest::of(&random)
}

/// The identity of a server that the lockfile would describe so.
pub(crate) fn digest_of(server: &PinnedServer) -> Digest {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut list = |name: &str, items: Vec<String>| {
        parts.push(name.as_bytes().to_vec());
        parts.push(u64::try_from(items.len()).unwrap_or(u64::MAX).to_be_bytes().to_vec());
        parts.extend(items.into_iter().map(String::into_bytes));
    };
    list("command", server.command.clone().unwrap_or_default());
    list("executable", server.executable.iter().map(ToString::to_string).collect());
    let files = server.files.iter();
    let files = files.flat_map(|f| [f.path.to_string_lossy().into_owned(), f.digest.to_string()]);
    list("files", files.collect());
    list("environment", server.environment.clone());
    list("cwd", server.cwd.iter().map(|cwd| cwd.to_string_lossy().into_owned()).collect());
    list("url", server.url.iter().cloned().collect());
    list("transport", server.transport.iter().map(|t| t.as_str().to_owned()).collect());
    list("headers", server.headers.clone());
    Digest::of_parts(parts.iter().map(Vec::as_slice))
}
