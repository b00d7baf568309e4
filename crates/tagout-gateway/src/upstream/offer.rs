//! Resources, templates and prompts, as their servers define them.
use tagout_inspect::definition;
use tagout_proto::Digest;
use tagout_store::Offering;

use super::{Quarantine, Standing, Upstream, composed};

/// A resource, a template or a prompt.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The URI, the URI template, or the prompt's name for clients.
    pub key: String,
    /// The prompt's name at its server; for others as `key`.
    pub name: String,
    /// The definition, as it came.
    pub text: String,
    /// The definition's canonical form; nothing of a resource, which is data and not pinned.
    pub canonical: String,
    /// The digest of that.
    pub digest: Option<Digest>,
    /// How it stands with the lockfile.
    pub standing: Standing,
}

impl Offer {
    /// What is defined by `text`, whose name or URI is its member `key`.
    pub(super) fn of(text: String, key: &str) -> Option<Self> {
        let document = composed(&text).ok()?;
        let name = document.root().get(key)?.text()?.into_owned();
        let standing = Standing::Unreviewed;
        Some(Self {
            key: name.clone(),
            name,
            text,
            canonical: String::new(),
            digest: None,
            standing,
        })
    }

    /// The same, of a resource: it is data, and stands with its server.
    pub(super) fn unpinned(self, upstream: &Upstream) -> Self {
        Self { standing: free(upstream), ..self }
    }

    /// The same, of a prompt or a template, held against the lockfile.
    pub(super) fn held_against(self, upstream: &Upstream, kind: Offering) -> Self {
        let confirmed = upstream.offers_are_reviewed();
        let canonical = composed(&self.text).map(|one| definition::canonical(one.root()));
        let canonical = canonical.unwrap_or_default();
        let digest = Digest::of(canonical.as_bytes());
        let standing = match upstream.pinned_for_offers() {
            None => free(upstream),
            Some(pinned) => match pinned.offers(kind).and_then(|all| all.get(&self.name)) {
                None => Standing::Quarantined(Quarantine::New),
                Some(pinned) if pinned.definition != digest => {
                    Standing::Quarantined(Quarantine::Changed { expected: pinned.definition })
                }
                Some(pinned) => match pinned.quarantine() {
                    Some(why) => Standing::Quarantined(why),
                    None if pinned.reviewed || confirmed => Standing::Reviewed,
                    None => Standing::Unreviewed,
                },
            },
        };
        Self { canonical, digest: Some(digest), standing, ..self }
    }
}

fn free(upstream: &Upstream) -> Standing {
    if upstream.offers_are_reviewed() { Standing::Reviewed } else { Standing::Unreviewed }
}
