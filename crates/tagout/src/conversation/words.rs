//! What was said, word by word, by the numbers that it has in the audit log.
use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;
use tagout_gateway::identity::os_user;
use tagout_store::{Listed, SessionId, Standing};

use super::{Conversations, Entry, entry::Spoken};
use crate::{places::Places, setup};

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
    /// Read once, when it is first asked: a log has many lines, and there may be many sessions.
    own: OnceCell<Option<Own<'a>>>,
    found: RefCell<BTreeMap<u64, Sentence>>,
    /// Sessions that were opened.
    opened: Cell<usize>,
    seen: RefCell<BTreeSet<SessionId>>,
}

/// One's own sessions.
struct Own<'a> {
    conversations: Conversations<'a>,
    listed: Vec<Listed>,
}

impl<'a> Words<'a> {
    pub(crate) const fn of(places: &'a Places) -> Self {
        Self {
            places,
            own: OnceCell::new(),
            found: RefCell::new(BTreeMap::new()),
            opened: Cell::new(0),
            seen: RefCell::new(BTreeSet::new()),
        }
    }

    /// What was said under record `n`, at `at`.
    pub(crate) fn under(&self, n: u64, at: Timestamp) -> Option<Sentence> {
        let found = self.found.borrow().get(&n).cloned();
        found.or_else(|| {
            self.open(at);
            self.found.borrow().get(&n).cloned()
        })
    }

    fn own(&self) -> Option<Own<'a>> {
        let config = setup::config(self.places).ok()?;
        let conversations = Conversations::of(self.places, &config, os_user(&config)).ok()?;
        let listed = conversations.list().ok()?;
        Some(Own { conversations, listed })
    }

    /// Opens the sessions that went on at `at`.
    fn open(&self, at: Timestamp) {
        let Some(own) = self.own.get_or_init(|| self.own()) else { return };
        for listed in &own.listed {
            let Standing::Sealed { started_at, .. } = &listed.standing else { continue };
            let went_on = *started_at <= at && listed.updated_at.is_none_or(|last| at <= last);
            if !went_on || self.opened.get() >= MOST {
                continue;
            }
            if !self.seen.borrow_mut().insert(listed.id.clone()) {
                continue;
            }
            self.opened.set(self.opened.get() + 1);
            if let Ok(whole) = own.conversations.whole(&listed.id) {
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
