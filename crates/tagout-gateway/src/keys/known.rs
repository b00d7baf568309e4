//! What is known in this process: the stored keys, which of them were shown to be right, and who
//! guesses.
use std::{collections::HashMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq as _;
use tagout_proto::Principal;
use tagout_store::StoredKey;

use super::KeyError;

/// A keyed digest of a presented key.
pub(super) type Tag = [u8; 32];

/// Wrong keys under one identifier within [`WINDOW`], after which nothing more is hashed for it
/// during another one.
const WRONG: u32 = 10;
const WINDOW: SignedDuration = SignedDuration::from_secs(60);

/// The stored keys as they were last read, and what was learnt since.
#[derive(Default)]
pub(super) struct Known {
    /// The number of changes that `keys` goes with, once they were read.
    pub(super) changes: Option<i64>,
    /// By identifier.
    keys: HashMap<String, Arc<StoredKey>>,
    /// Keys that were right; no more than there are keys.
    right: HashMap<String, Right>,
    /// Identifiers that somebody guesses for; no more than there are keys.
    guessed: HashMap<String, Guesses>,
}

struct Right {
    tag: Tag,
    principal: Principal,
    key: Arc<StoredKey>,
    /// The day of Unix time on which its use was last noted.
    day: i64,
}

struct Guesses {
    since: Timestamp,
    wrong: u32,
}

/// A key that was right, and whether its use on this day is news.
pub(super) struct Hit {
    pub(super) principal: Principal,
    pub(super) first_today: bool,
}

impl Known {
    /// Takes what is stored now. What was right stays so only where nothing about it changed.
    pub(super) fn take(&mut self, changes: i64, keys: Vec<StoredKey>) {
        self.keys = keys.into_iter().map(|key| (key.id.clone(), Arc::new(key))).collect();
        let keys = &self.keys;
        self.right.retain(|id, right| {
            keys.get(id)
                .filter(|key| same(key, &right.key))
                .map(|key| right.key = Arc::clone(key))
                .is_some()
        });
        self.guessed.retain(|id, _| keys.contains_key(id));
        self.changes = Some(changes);
    }

    /// The key `id` if `tag` is of one that was right before.
    pub(super) fn hit(
        &mut self,
        id: &str,
        tag: &Tag,
        now: Timestamp,
    ) -> Result<Option<Hit>, KeyError> {
        let Some(right) = self.right.get_mut(id) else { return Ok(None) };
        if !bool::from(right.tag.ct_eq(tag)) {
            return Ok(None);
        }
        live(&right.key, now)?;
        let day = day(now);
        let first_today = std::mem::replace(&mut right.day, day) != day;
        Ok(Some(Hit { principal: right.principal.clone(), first_today }))
    }

    /// Whether the key `id` is there, and neither revoked nor expired.
    pub(super) fn is_live(&self, id: &str, now: Timestamp) -> bool {
        self.keys.get(id).is_some_and(|key| live(key, now).is_ok())
    }

    /// The key `id`, if it is worth a hash.
    pub(super) fn worth_hashing(
        &mut self,
        id: &str,
        now: Timestamp,
    ) -> Result<Arc<StoredKey>, KeyError> {
        let key = self.keys.get(id).ok_or(KeyError::Unknown)?;
        live(key, now)?;
        if let Some(guesses) = self.guessed.get(id) {
            let age = now.duration_since(guesses.since);
            // A clock that was set back starts anew.
            if age >= WINDOW || age < SignedDuration::ZERO {
                self.guessed.remove(id);
            } else if guesses.wrong >= WRONG {
                return Err(KeyError::Guessed);
            }
        }
        Ok(Arc::clone(key))
    }

    /// The key `id`, to be hashed now. It counts as a wrong one until it turns out to be right, so
    /// that those under way at once count, too.
    pub(super) fn hashing(&mut self, id: &str, now: Timestamp) -> Result<Arc<StoredKey>, KeyError> {
        let key = self.worth_hashing(id, now)?;
        let guesses = self.guessed.entry(id.to_owned()).or_insert(Guesses { since: now, wrong: 0 });
        guesses.wrong = guesses.wrong.saturating_add(1);
        if guesses.wrong == WRONG {
            // From here on it is the time for which nothing is hashed.
            guesses.since = now;
        }
        Ok(key)
    }

    /// Notes that the key whose hash was `hashed` is right, if it still is what it was.
    pub(super) fn right(
        &mut self,
        hashed: &StoredKey,
        tag: Tag,
        now: Timestamp,
    ) -> Result<Hit, KeyError> {
        let key = self.keys.get(&hashed.id).ok_or(KeyError::Unknown)?;
        live(key, now)?;
        if !same(key, hashed) {
            return Err(KeyError::Unknown);
        }
        let principal = Principal {
            user: key.name.as_str().into(),
            groups: key.groups.as_set().clone(),
            authenticated_by: "api-key".into(),
        };
        let day = day(now);
        let noted = self.right.get(&hashed.id).map(|right| right.day);
        let right = Right { tag, principal: principal.clone(), key: Arc::clone(key), day };
        self.guessed.remove(&hashed.id);
        self.right.insert(hashed.id.clone(), right);
        Ok(Hit { principal, first_today: noted != Some(day) })
    }
}

fn live(key: &StoredKey, now: Timestamp) -> Result<(), KeyError> {
    match key.revoked_at {
        Some(_) => Err(KeyError::Revoked),
        None if !key.is_live(now) => Err(KeyError::Expired),
        None => Ok(()),
    }
}

/// Whether two readings of one key let the same people in as the same principal.
fn same(one: &StoredKey, other: &StoredKey) -> bool {
    one.hash.expose() == other.hash.expose()
        && one.name == other.name
        && one.groups == other.groups
        && one.expires_at == other.expires_at
        && one.revoked_at == other.revoked_at
}

fn day(now: Timestamp) -> i64 {
    now.as_second().div_euclid(24 * 60 * 60)
}
