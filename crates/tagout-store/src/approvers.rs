//! People who may answer questions: what is known of them. Their private keys are nowhere here.
use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{TransactionBehavior, params};

use crate::{
    KeyGroups, KeyName, Store, StoreError,
    store::{stored, timestamp},
};

/// Most approvers that one file holds, revoked ones among them.
pub const MOST_APPROVERS: u32 = 256;

/// A person who may answer questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredApprover {
    /// The name; nobody else ever has it.
    pub name: KeyName,
    /// Whose word it is: a person's calls are not approved by that person.
    pub user: String,
    /// The groups that this person approves for.
    pub groups: BTreeSet<String>,
    /// The public key: `ed25519:` and hexadecimal digits.
    pub public: String,
    /// Whether the webhook may bring this person's word.
    pub webhook: bool,
    /// Who enrolled this person: the name of an approver, of this one for who came first.
    pub enrolled_by: String,
    /// That approver's signature over the above.
    pub signature: String,
    /// When.
    pub enrolled_at: Timestamp,
    /// From when on this person's word counts no more.
    pub revoked_at: Option<Timestamp>,
}

/// What came of enrolling somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// It counts.
    Kept,
    /// Somebody has or had the name.
    NameTaken,
    /// Somebody came first in the meantime.
    NotFirst,
    /// There are too many.
    Full,
}

impl Store {
    /// Enrols somebody; who enrolled themselves only as long as there is nobody else, unless
    /// `listed` says that the configuration decides who counts.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn enrol(&self, new: &StoredApprover, listed: bool) -> Result<Enrolled, StoreError> {
        let groups = KeyGroups::new(new.groups.iter().cloned())
            .map_err(|_| StoreError::Damaged { what: "group" })?;
        let mut connection = self.lock_durable()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let count: u32 =
            transaction.query_row("SELECT count(*) FROM approver", [], |row| row.get(0))?;
        if count >= MOST_APPROVERS {
            return Ok(Enrolled::Full);
        }
        if new.enrolled_by == new.name.as_str() && count > 0 && !listed {
            return Ok(Enrolled::NotFirst);
        }
        let rows = transaction.execute(
            "INSERT OR IGNORE INTO approver (name, user, groups, public, webhook, enrolled_by,
             signature, enrolled_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                new.name.as_str(),
                new.user,
                groups.written(),
                new.public,
                new.webhook,
                new.enrolled_by,
                new.signature,
                stored(new.enrolled_at),
            ],
        )?;
        transaction.commit()?;
        Ok(if rows == 1 { Enrolled::Kept } else { Enrolled::NameTaken })
    }

    /// Everybody who was ever enrolled, in that order.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn approvers(&self) -> Result<Vec<StoredApprover>, StoreError> {
        let connection = self.lock()?;
        let mut query = connection.prepare_cached(
            "SELECT name, user, groups, public, webhook, enrolled_by, signature, enrolled_at,
             revoked_at FROM approver ORDER BY number LIMIT 256",
        )?;
        let mut rows = query.query([])?;
        let mut approvers = Vec::new();
        while let Some(row) = rows.next()? {
            approvers.push(read(row)?);
        }
        Ok(approvers)
    }

    /// Lets `name`'s word count no more; gives `false` if it did not.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn revoke_approver(&self, name: &KeyName, now: Timestamp) -> Result<bool, StoreError> {
        let rows = self.lock_durable()?.execute(
            "UPDATE approver SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL",
            params![name.as_str(), stored(now)],
        )?;
        Ok(rows == 1)
    }
}

fn read(row: &rusqlite::Row<'_>) -> Result<StoredApprover, StoreError> {
    let text = |column: usize| row.get::<_, String>(column);
    let revoked_at: Option<String> = row.get(8)?;
    let groups = text(2)?;
    Ok(StoredApprover {
        name: text(0)?.parse().map_err(|_| StoreError::Damaged { what: "approver's name" })?,
        user: text(1)?,
        groups: groups.lines().map(ToOwned::to_owned).collect(),
        public: text(3)?,
        webhook: row.get(4)?,
        enrolled_by: text(5)?,
        signature: text(6)?,
        enrolled_at: timestamp(&text(7)?)?,
        revoked_at: revoked_at.as_deref().map(timestamp).transpose()?,
    })
}
