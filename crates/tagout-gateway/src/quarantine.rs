//! What is not as it was reviewed goes on record, once.
use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use tagout_audit::{Durability, Log, Note};
use tagout_inspect::lookalike::spelled;
use tagout_proto::{Digest, Principal};
use tagout_store::{Offering, Quarantined, Store};

use crate::{
    Gateway,
    config::Start,
    upstream::{Catalogue, Quarantine},
};

/// The most that is held back at once and still goes on record one by one.
const ONE_BY_ONE: usize = 64;
/// How many names stand in the record of more.
const NAMED: usize = 8;
/// How many are kept in one transaction: others wait for the store meanwhile.
const AT_ONCE: usize = 256;

/// Something that is held back, and what is to be said of it.
struct News<'a> {
    found: Quarantined,
    detail: String,
    /// The definition's canonical text.
    text: &'a str,
}

impl News<'_> {
    const fn event(&self) -> &'static str {
        match self.found.kind {
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
    ///
    /// Cancel safe: what was begun is done nevertheless.
    pub(crate) async fn announce_changes(&self, catalogue: &Arc<Catalogue>) {
        let announcer = Announcer {
            store: self.store.clone(),
            audit: self.audit.clone(),
            principal: self.principal.clone(),
            now: self.clock.now(),
            catalogue: Arc::clone(catalogue),
            instructions: self.pinned_instructions(catalogue),
        };
        if !announcer.instructions_differ() && !catalogue.holds_back() {
            return;
        }
        if let Err(error) = tokio::task::spawn_blocking(move || announcer.announce()).await {
            tracing::error!(%error, "a quarantine is not on record");
        }
    }

    /// What a server should say of how to use it, if the lockfile says so.
    fn pinned_instructions(&self, catalogue: &Catalogue) -> Option<Option<Digest>> {
        let here = self.config.servers.get(&catalogue.server);
        let built_in = here.is_some_and(|one| matches!(one.start, Start::BuiltIn(_)));
        let pinned = self.lockfile.servers.get(&catalogue.server).filter(|_| !built_in);
        pinned.filter(|pinned| !pinned.of_first_version).map(|pinned| pinned.instructions)
    }
}

/// Says what one list shows. Blocks: it writes the store and the log.
struct Announcer {
    store: Store,
    audit: Log,
    principal: Principal,
    now: Timestamp,
    catalogue: Arc<Catalogue>,
    instructions: Option<Option<Digest>>,
}

impl Announcer {
    fn instructions_differ(&self) -> bool {
        let text = self.catalogue.instructions.as_deref();
        let says = text.map(|text| Digest::of(text.as_bytes()));
        self.instructions.is_some_and(|pinned| pinned != says)
    }

    fn announce(&self) {
        let news = self.news();
        let mut said = Vec::new();
        for some in news.chunks(AT_ONCE) {
            let found: Vec<_> = some.iter().map(|news| (news.found.clone(), news.text)).collect();
            match self.store.quarantine(&found) {
                Ok(says) => {
                    let says = some.iter().zip(says);
                    said.extend(says.filter_map(|(news, unsaid)| Some((news, unsaid?))));
                }
                // What is not kept is said each time.
                Err(error) => {
                    tracing::error!(%error, "a quarantine is not stored");
                    said.extend(some.iter().map(|news| (news, 0)));
                }
            }
        }
        if said.len() > ONE_BY_ONE {
            return self.say_of_many(&said);
        }
        for (news, unsaid) in said {
            self.say(news, unsaid);
        }
    }

    fn news(&self) -> Vec<News<'_>> {
        let tools = self.catalogue.tools.iter().filter_map(|tool| {
            let why = tool.standing.quarantine()?;
            Some(self.held(Offering::Tool, tool.name.as_str(), why, &tool.canonical))
        });
        let offers = self.catalogue.pinned_offers().filter_map(|(kind, offer)| {
            let why = offer.standing.quarantine()?;
            Some(self.held(kind, &offer.name, why, &offer.canonical))
        });
        let mut news: Vec<_> = tools.chain(offers).collect();
        if self.instructions_differ() {
            let text = self.catalogue.instructions.as_deref().unwrap_or_default();
            let expected = self.instructions.flatten();
            let reason = ("instructions-changed", expected);
            news.push(News {
                found: self.quarantined(Offering::Instructions, "", reason, text),
                detail: "they are passed on to nobody".to_owned(),
                text,
            });
        }
        news
    }

    fn held<'a>(&self, kind: Offering, name: &str, why: &Quarantine, text: &'a str) -> News<'a> {
        let found = self.quarantined(kind, name, (why.code(), why.expected()), text);
        News { found, detail: why.detail(), text }
    }

    fn quarantined(
        &self,
        kind: Offering,
        name: &str,
        (reason, expected): (&str, Option<Digest>),
        text: &str,
    ) -> Quarantined {
        Quarantined {
            server: self.catalogue.server.clone(),
            kind,
            name: name.to_owned(),
            reason: reason.to_owned(),
            expected,
            got: Digest::of(text.as_bytes()),
            at: self.now,
        }
    }

    fn say(&self, news: &News<'_>, unsaid: u32) {
        let News { found, detail, .. } = news;
        tracing::warn!(
            server = %found.server,
            kind = found.kind.as_str(),
            name = %spelled(&found.name),
            reason = found.reason,
            "is not as it was reviewed; see `tagout pin --diff`"
        );
        let mut detail = format!("{}: {detail}", found.reason);
        if unsaid > 0 {
            detail.push_str(&format!("; it showed {unsaid} definitions since that was last said"));
        }
        let mut note = self.note(news.event(), &detail);
        note.subject = Some(found.name.as_str()).filter(|name| !name.is_empty());
        note.digest = Some(found.got);
        self.put(&note);
    }

    fn say_of_many(&self, said: &[(&News<'_>, u32)]) {
        let mut reasons = BTreeMap::<&str, usize>::new();
        for (news, _) in said {
            *reasons.entry(news.found.reason.as_str()).or_default() += 1;
        }
        let reasons: Vec<_> = reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
        let names = said.iter().take(NAMED).map(|(news, _)| spelled(&news.found.name));
        let names: Vec<_> = names.map(|name| name.chars().take(128).collect::<String>()).collect();
        let (server, reasons) = (&self.catalogue.server, reasons.join(", "));
        tracing::warn!(%server, "{reasons}: not as it was reviewed; see `tagout pin --diff`");
        let detail = format!("{reasons}; among them: {}", names.join(", "));
        self.put(&self.note("many-quarantined", &detail));
    }

    fn note<'a>(&'a self, event: &'a str, detail: &'a str) -> Note<'a> {
        let mut note = Note::new(self.now, event);
        note.principal = Some(&self.principal);
        note.server = Some(&self.catalogue.server);
        note.detail = Some(detail);
        note
    }

    fn put(&self, note: &Note<'_>) {
        if let Err(error) = self.audit.note(note, Durability::System) {
            tracing::error!(%error, "a quarantine is not on record");
        }
    }
}
