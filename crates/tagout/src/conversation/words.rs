//! What was said, word by word, by the numbers that it has in the audit log.
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use jiff::Timestamp;
use tagout_gateway::identity::os_user;
use tagout_store::Standing;

use super::{Conversations, Entry, entry::Spoken};
use crate::{places::Places, setup::Setup};

/// Most sessions that are looked through for one record.
const MOST: usize = 64;

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// As it was put on record.
    pub(crate) content: String,
    /// For people.
    pub(crate) shown: String,
}

/// Looks words up in one's own sessions, where they are sealed; those that cannot be opened have
/// none.
pub(crate) struct Words<'a> {
    places: &'a Places,
    found: RefCell<BTreeMap<u64, Sentence>>,
    /// Sessions that were opened.
    opened: Cell<usize>,
    seen: RefCell<Vec<String>>,
}

impl<'a> Words<'a> {
    pub(crate) const fn of(places: &'a Places) -> Self {
        let found = RefCell::new(BTreeMap::new());
        Self { places, found, opened: Cell::new(0), seen: RefCell::new(Vec::new()) }
    }

    /// What was said under record `n`, at `at`.
    pub(crate) fn under(&self, n: u64, at: Timestamp) -> Option<Sentence> {
        let found = self.found.borrow().get(&n).cloned();
        found.or_else(|| {
            self.open(at);
            self.found.borrow().get(&n).cloned()
        })
    }

    /// Opens the sessions that went on at `at`.
    fn open(&self, at: Timestamp) {
        let Ok(Setup { config, .. }) = Setup::read(self.places) else { return };
        let Ok(own) = Conversations::of(self.places, &config, os_user(&config)) else { return };
        for listed in own.list().unwrap_or_default() {
            let Standing::Sealed { started_at, .. } = listed.standing else { continue };
            let went_on = started_at <= at && listed.updated_at.is_none_or(|last| at <= last);
            let id = listed.id.to_string();
            if !went_on || self.seen.borrow().contains(&id) || self.opened.get() >= MOST {
                continue;
            }
            self.opened.set(self.opened.get() + 1);
            self.seen.borrow_mut().push(id);
            if let Ok(whole) = own.whole(&listed.id) {
                self.found.borrow_mut().extend(sentences(&whole.entries));
            }
        }
    }
}

/// What was said in a session, by record.
fn sentences(entries: &[Entry]) -> BTreeMap<u64, Sentence> {
    let mut found = BTreeMap::new();
    let mut answers = None;
    for entry in entries {
        match entry {
            Entry::Said { said: Spoken { what, record: Some(n), words, .. }, .. } => {
                answers = (what == "response").then_some(*n);
                if let Some(words) = words {
                    let sentence = Sentence { content: words.clone(), shown: words.clone() };
                    found.insert(*n, sentence);
                }
            }
            Entry::Message { message, .. } => {
                let Some(n) = answers.take() else { continue };
                if let Ok(content) = serde_json::to_string(&message.parts) {
                    found.insert(n, Sentence { content, shown: message.joined_text() });
                }
            }
            Entry::Said { .. } => {}
        }
    }
    found
}
