//! Conversations with the assistant that outlive it: kept in the store, resumed, shown, exported.
//!
//! [`Conversations`] are one person's; [`Kept`] is one of them that goes on, where the agent loop
//! keeps every message before anything is done with it.
mod album;
mod document;
mod entry;
mod kept;
mod key;
mod records;
mod words;

use std::{fmt, str::FromStr};

use tagout_gateway::{
    Clock,
    config::{Config, KeptSessions},
    identity::os_user,
    secrets::{Secrets, StorePlaces},
};
use tagout_llm::Message;
use tagout_proto::Principal;
use tagout_store::{
    Listed, Loaded, Named, SessionError, SessionId, SessionKey, SessionPrefix, Sessions, Store,
    StoreError,
};
use tagout_terminal::printable;

use crate::{
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::clock,
};

use self::key::Missing;
pub(crate) use self::{
    album::{Album, Forgotten},
    document::Document,
    entry::Entry,
    kept::{Kept, Recorder, Spent},
    records::{Decisions, decisions},
    words::{Sentence, Words},
};

/// Which conversation to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that was used last.
    Last,
    /// The one whose identifier begins so.
    Named(String),
}

impl FromStr for Which {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "last" { Self::Last } else { Self::Named(text.to_owned()) })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("last"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// One person's conversations.
pub(crate) struct Conversations<'a> {
    places: &'a Places,
    kept: KeptSessions,
    secrets: Secrets,
    store: Store,
    principal: Principal,
    clock: Clock,
}

/// A conversation that can be gone on with.
pub(crate) struct Resumed {
    /// Where it goes on.
    pub(crate) kept: Kept,
    /// What was said so far, in order.
    pub(crate) messages: Vec<Message>,
    /// What it has cost so far.
    pub(crate) spent: Spent,
}

/// A conversation, whole.
pub(crate) struct Whole {
    pub(crate) session: tagout_store::OpenSession,
    pub(crate) entries: Vec<Entry>,
}

impl<'a> Conversations<'a> {
    /// Those of the operating system's user. What is older than the configuration wants is removed,
    /// and that is said; where it wants none, those that there are stay until somebody asks.
    pub(crate) fn open(places: &'a Places, config: &Config) -> Result<Self, Failure> {
        let own = Self::of(places, config, os_user(config))?;
        let days = own.keep_days();
        // Without the key none of them are this configuration's to remove.
        let gone = if days == 0 || own.ids()?.is_empty() || own.key(Missing::IsAnError).is_err() {
            0
        } else {
            own.expire()?
        };
        let days_of = format!("for {days} days (`keep_days`)");
        if gone > 0 {
            output::aside(format_args!("removed {} not used {days_of}", counted(gone, "session")));
        }
        // A picture that stays is in nobody's way.
        match if days == 0 { Ok(0) } else { own.expire_pictures() } {
            Ok(0) => {}
            Ok(gone) => {
                output::aside(format_args!("removed {} kept {days_of}", counted(gone, "picture")));
            }
            Err(failure) => output::aside(printable(failure.message())),
        }
        Ok(own)
    }

    /// Those of `principal`. Nothing is removed.
    pub(crate) fn of(
        places: &'a Places,
        config: &Config,
        principal: Principal,
    ) -> Result<Self, Failure> {
        let path = places.state.join("state.sqlite");
        let store = Store::open(&path).map_err(|error| of_store(&error))?;
        let at = StorePlaces::beside(&places.head_key);
        let secrets = Secrets::new(config.secrets.clone(), at, clock());
        let kept = config.sessions.clone();
        Ok(Self { places, kept, secrets, store, principal, clock: clock() })
    }

    /// Removes what is older than the configuration wants, of this principal under this key; gives
    /// how many.
    pub(crate) fn expire(&self) -> Result<u64, Failure> {
        if self.ids()?.is_empty() {
            return Ok(0);
        }
        let before = self.kept.expired_before(self.clock.now());
        let sessions = self.sessions(&self.key(Missing::IsAnError)?)?;
        sessions.expire(before).map_err(|error| of_store(&error))
    }

    /// Removes the pictures that tools returned, as far as they are older than the configuration
    /// wants; gives how many.
    pub(crate) fn expire_pictures(&self) -> Result<u64, Failure> {
        Album::kept(self.places).expire(self.kept.expired_before(self.clock.now()))
    }

    /// A new conversation, answered by `model`. It is kept from its first message on, if the
    /// configuration wants that; what is said is put on record with `recorder`, if there is one.
    pub(crate) fn begin(&self, model: &str, recorder: Option<Recorder>) -> Result<Kept, Failure> {
        if self.kept.keep_days == 0 {
            return Ok(Kept::nowhere(self.clock.clone(), recorder));
        }
        let sessions = self.sessions(&self.key_to_seal()?)?;
        Ok(Kept::in_store(sessions, None, (model, self.clock.clone()), recorder))
    }

    /// A new conversation that is kept nowhere.
    pub(crate) fn nowhere(&self) -> Kept {
        Kept::nowhere(self.clock.clone(), None)
    }

    /// An earlier conversation, to be gone on with, answered by `model` from now on.
    pub(crate) fn resume(
        &self,
        which: &Which,
        model: &str,
        recorder: Option<Recorder>,
    ) -> Result<Resumed, Failure> {
        let Whole { session, entries } = self.whole(&self.find(which)?)?;
        let sessions = self.sessions(&self.key(Missing::IsAnError)?)?;
        let clock = self.clock.clone();
        let spent = Spent::of(&entries);
        let kept = Kept::in_store(sessions, Some(session), (model, clock), recorder);
        let messages = entries.into_iter().filter_map(Entry::message).collect();
        Ok(Resumed { kept, messages, spent })
    }

    /// Which one is meant.
    pub(crate) fn find(&self, which: &Which) -> Result<SessionId, Failure> {
        let name = match which {
            Which::Last => {
                let last = self.store.last_session(&self.principal);
                let last = last.map_err(|error| of_store(&error))?;
                return last.ok_or_else(|| self.unknown("there is no session".to_owned()));
            }
            Which::Named(name) => name,
        };
        let named = format!("there is no session `{}`", printable(name));
        let Ok(prefix) = name.parse::<SessionPrefix>() else { return Err(self.unknown(named)) };
        let found = self.store.named_session(&self.principal, &prefix);
        match found.map_err(|error| of_store(&error))? {
            Named::One(id) => Ok(id),
            Named::None => Err(self.unknown(named)),
            Named::Several => {
                let message = format!("more than one session begins with `{}`", prefix.as_str());
                Err(Failure::usage("session-ambiguous", message, "write more of its digits"))
            }
        }
    }

    fn unknown(&self, message: String) -> Failure {
        let help = if self.kept.keep_days == 0 {
            "sessions are not kept: `keep_days = 0` stands under `[sessions]`"
        } else {
            "see `tagout sessions ls`"
        };
        Failure::usage("session-unknown", message, help)
    }

    /// A conversation, whole and verified.
    pub(crate) fn whole(&self, id: &SessionId) -> Result<Whole, Failure> {
        let sessions = self.sessions(&self.key(Missing::IsAnError)?)?;
        let loaded = sessions.load(id).map_err(|error| of_session(&error))?;
        // Removed since it was looked for.
        let gone = || self.unknown(format!("there is no session `{id}`"));
        let Loaded { session, turns } = loaded.ok_or_else(gone)?;
        let entries: Option<_> = turns.iter().map(|turn| Entry::read(turn)).collect();
        let entries =
            entries.ok_or_else(|| of_session(&SessionError::NotValid { id: id.clone() }))?;
        Ok(Whole { session, entries })
    }

    /// All of them, the one that was used last first; without the key, what can be known without.
    pub(crate) fn list(&self) -> Result<Vec<Listed>, Failure> {
        let listed = self.store.unopened_sessions(&self.principal);
        let listed = listed.map_err(|error| of_store(&error))?;
        match self.key(Missing::IsAnError) {
            Ok(key) if !listed.is_empty() => {
                self.sessions(&key)?.list().map_err(|error| of_store(&error))
            }
            Ok(_) | Err(_) => Ok(listed),
        }
    }

    /// Why there is no key; nothing if there is one.
    pub(crate) fn key_trouble(&self) -> Option<Failure> {
        self.key(Missing::IsAnError).err()
    }

    /// The identifiers of all, whatever they are sealed under.
    pub(crate) fn ids(&self) -> Result<Vec<SessionId>, Failure> {
        self.store.session_ids(&self.principal).map_err(|error| of_store(&error))
    }

    /// Removes one; gives `false` if it is gone already.
    pub(crate) fn remove(&self, id: &SessionId) -> Result<bool, Failure> {
        self.store.delete_session(&self.principal, id).map_err(|error| of_store(&error))
    }

    /// How many days one is kept after it was last used.
    pub(crate) const fn keep_days(&self) -> u16 {
        self.kept.keep_days
    }

    fn sessions(&self, key: &SessionKey) -> Result<Sessions, Failure> {
        self.store.sessions(key, &self.principal).map_err(|error| of_store(&error))
    }

    /// The key for a new session. One that is made where there are sessions opens none of those,
    /// and whoever lost a key should not learn that later.
    fn key_to_seal(&self) -> Result<SessionKey, Failure> {
        let path = key::own_path(self.places);
        let made = self.kept.key.is_none() && !path.exists();
        let key = self.key(Missing::IsMade)?;
        let others = if made { self.ids()?.len() as u64 } else { 0 };
        if others > 0 {
            output::aside(format_args!(
                "there was no key in `{}`, and a new one was made; it does not open the {} from \
                 before: put their key back instead, or remove them (`tagout sessions ls`)",
                printable(&path.display().to_string()),
                counted(others, "session"),
            ));
        }
        Ok(key)
    }

    fn key(&self, missing: Missing) -> Result<SessionKey, Failure> {
        key::session_key(self.places, (&self.secrets, self.kept.key.as_ref()), missing)
    }
}

/// So many of them, in words.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn of_store(error: &StoreError) -> Failure {
    Failure::of(error, error.code(), error.help())
}

/// A session that was changed is no failure of the machine: what is refused is to use it.
fn of_session(error: &SessionError) -> Failure {
    match error {
        SessionError::NotValid { .. } => {
            Failure::new(Ended::Refused, error.code(), error).with_help(error.help())
        }
        SessionError::Store(_)
        | SessionError::Key { .. }
        | SessionError::Changed { .. }
        | SessionError::Full { .. } => Failure::of(error, error.code(), error.help()),
    }
}
