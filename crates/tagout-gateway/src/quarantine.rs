//! What is not as it was reviewed goes on record, once.
use tagout_audit::{Durability, Note};
use tagout_proto::{Digest, ServerName};
use tagout_store::{Offering, Quarantined};

use crate::{Gateway, config::Start, upstream::Catalogue};

/// Something that is held back, and what is to be said of it.
struct News<'a> {
    server: &'a ServerName,
    kind: Offering,
    name: &'a str,
    reason: &'a str,
    detail: String,
    expected: Option<Digest>,
    /// The definition's canonical text.
    text: &'a str,
}

impl News<'_> {
    const fn event(&self) -> &'static str {
        match self.kind {
            Offering::Tool => "tool-quarantined",
            Offering::Prompt => "prompt-quarantined",
            Offering::Template => "template-quarantined",
            Offering::Instructions => "instructions-changed",
        }
    }
}

impl Gateway {
    /// Puts on record, once in all processes, what is in quarantine, and instructions of a server
    /// that are not those that were pinned.
    pub(crate) fn announce_changes(&self, catalogue: &Catalogue) {
        let server = &catalogue.server;
        for tool in &catalogue.tools {
            let Some(why) = tool.standing.quarantine() else { continue };
            self.announce(&News {
                server,
                kind: Offering::Tool,
                name: tool.name.as_str(),
                reason: why.code(),
                detail: why.detail(),
                expected: why.expected(),
                text: &tool.canonical,
            });
        }
        for (kind, offer) in catalogue.pinned_offers() {
            let Some(why) = offer.standing.quarantine() else { continue };
            self.announce(&News {
                server,
                kind,
                name: &offer.name,
                reason: why.code(),
                detail: why.detail(),
                expected: why.expected(),
                text: &offer.canonical,
            });
        }
        self.announce_instructions(catalogue);
    }

    fn announce_instructions(&self, catalogue: &Catalogue) {
        let server = &catalogue.server;
        let here = self.config.servers.get(server);
        let built_in = here.is_some_and(|one| matches!(one.start, Start::BuiltIn(_)));
        let pinned = self.lockfile.servers.get(server).filter(|pinned| !pinned.of_first_version);
        let Some(pinned) = pinned.filter(|_| !built_in) else { return };
        let text = catalogue.instructions.as_deref();
        if pinned.instructions == text.map(|text| Digest::of(text.as_bytes())) {
            return;
        }
        self.announce(&News {
            server,
            kind: Offering::Instructions,
            name: "",
            reason: "instructions-changed",
            detail: "they are passed on to nobody".to_owned(),
            expected: pinned.instructions,
            text: text.unwrap_or_default(),
        });
    }

    fn announce(&self, news: &News<'_>) {
        let now = self.clock.now();
        let got = Digest::of(news.text.as_bytes());
        let found = Quarantined {
            server: news.server.clone(),
            kind: news.kind,
            name: news.name.to_owned(),
            reason: news.reason.to_owned(),
            expected: news.expected,
            got,
            at: now,
        };
        match self.store.quarantine(&found) {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => tracing::error!(%error, "a quarantine is not stored"),
        }
        tracing::warn!(
            server = %news.server,
            kind = news.kind.as_str(),
            name = %tagout_inspect::lookalike::spelled(news.name),
            reason = news.reason,
            "is not as it was reviewed; see `tagout pin --diff`"
        );
        let detail = format!("{}: {}", news.reason, news.detail);
        let mut note = Note::new(now, news.event());
        note.principal = Some(&self.principal);
        note.server = Some(news.server);
        note.subject = Some(news.name).filter(|name| !name.is_empty());
        note.digest = Some(got);
        note.detail = Some(&detail);
        if let Err(error) = self.audit.note(&note, Durability::System) {
            tracing::error!(%error, "a quarantine is not on record");
        }
        if let Err(error) = self.store.remember_definition(got, news.text) {
            tracing::error!(%error, "a changed definition is not stored");
        }
    }
}
