//! People who may answer questions: what is known of them. Their private keys are nowhere here.
use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Transaction, TransactionBehavior, params};

use crate::{
    KeyGroups, KeyName, Store, StoreError,
    store::{stored, timestamp},
};

/// Most approvers that one file holds, revoked ones among them.
pub const MOST_APPROVERS: u32 = 256;

/// A person who may answer questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredApprover {
    /// The place in the order of enrolments; the first is 1.
    pub number: i64,
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
    /// The gateway's code over all of the above.
    pub seal: String,
}

/// What came of enrolling somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// It counts.
    Kept,
    /// Somebody has or had the name.
    NameTaken,
    /// Somebody has or had the key.
    KeyTaken,
    /// Somebody came first in the meantime.
    NotFirst,
    /// There are too many.
    Full,
}

impl Store {
    /// Enrols somebody; who enrolled themselves only as long as there is nobody else, unless
    /// `listed` says that the configuration decides who counts. The number is given here, and
    /// `seal` makes the code over all of it.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn enrol(
        &self,
        mut new: StoredApprover,
        listed: bool,
        seal: impl FnOnce(&StoredApprover) -> String,
    ) -> Result<Enrolled, StoreError> {
        let groups = KeyGroups::new(new.groups.iter().cloned())
            .map_err(|_| StoreError::Damaged { what: "group" })?;
        let mut connection = self.lock_durable()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (count, last): (u32, i64) = transaction.query_row(
            "SELECT count(*), coalesce(max(number), 0) FROM approver",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if count >= MOST_APPROVERS {
            return Ok(Enrolled::Full);
        }
        if new.enrolled_by == new.name.as_str() && count > 0 && !listed {
            return Ok(Enrolled::NotFirst);
        }
        let key_is_taken = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM approver WHERE public = ?1 AND name <> ?2)",
            params![new.public, new.name.as_str()],
            |row| row.get(0),
        )?;
        if key_is_taken {
            return Ok(Enrolled::KeyTaken);
        }
        new.number = last.max(0).checked_add(1).ok_or(StoreError::Damaged { what: "number" })?;
        new.seal = seal(&new);
        let kept = insert(&transaction, &new, &groups)?;
        transaction.commit()?;
        Ok(if kept { Enrolled::Kept } else { Enrolled::NameTaken })
    }

    /// Everybody who was ever enrolled, in that order.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn approvers(&self) -> Result<Vec<StoredApprover>, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare_cached(
            "SELECT name, user, groups, public, webhook, enrolled_by, signature, enrolled_at,
             revoked_at, number, seal FROM approver ORDER BY number LIMIT 256",
        )?;
        let mut rows = query.query([])?;
        let mut approvers = Vec::new();
        while let Some(row) = rows.next()? {
            approvers.push(read(row)?);
        }
        Ok(approvers)
    }

    /// Puts `revoked`, whose word counts no more, in place of the entry that had the code `before`;
    /// gives `false` if there is none such.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn revoke_approver(
        &self,
        revoked: &StoredApprover,
        before: &str,
    ) -> Result<bool, StoreError> {
        let rows = self.lock_durable()?.execute(
            "UPDATE approver SET revoked_at = ?3, seal = ?4
             WHERE name = ?1 AND seal = ?2 AND revoked_at IS NULL",
            params![revoked.name.as_str(), before, revoked.revoked_at.map(stored), revoked.seal],
        )?;
        Ok(rows == 1)
    }
}

fn insert(
    transaction: &Transaction<'_>,
    new: &StoredApprover,
    groups: &KeyGroups,
) -> Result<bool, StoreError> {
    let rows = transaction.execute(
        "INSERT OR IGNORE INTO approver (number, name, user, groups, public, webhook, enrolled_by,
         signature, enrolled_at, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            new.number,
            new.name.as_str(),
            new.user,
            groups.written(),
            new.public,
            new.webhook,
            new.enrolled_by,
            new.signature,
            stored(new.enrolled_at),
            new.seal,
        ],
    )?;
    Ok(rows == 1)
}

fn read(row: &rusqlite::Row<'_>) -> Result<StoredApprover, StoreError> {
    let text = |column: usize| row.get::<_, String>(column);
    let revoked_at: Option<String> = row.get(8)?;
    let groups = text(2)?;
    Ok(StoredApprover {
        number: row.get(9)?,
        name: text(0)?.parse().map_err(|_| StoreError::Damaged { what: "approver's name" })?,
        user: text(1)?,
        groups: groups.lines().map(ToOwned::to_owned).collect(),
        public: text(3)?,
        webhook: row.get(4)?,
        enrolled_by: text(5)?,
        signature: text(6)?,
        enrolled_at: timestamp(&text(7)?)?,
        revoked_at: revoked_at.as_deref().map(timestamp).transpose()?,
        seal: text(10)?,
    })
}
