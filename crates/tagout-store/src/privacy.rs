//! What is held of a person, all of it, and forgetting it.
use std::collections::BTreeSet;

use rusqlite::{params, types::ValueRef};
use tagout_proto::Principal;

use crate::{Store, StoreError};

/// A row of a table that is about a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRow {
    /// The table's name, in the plural.
    pub table: &'static str,
    /// Columns and what they hold.
    pub columns: Vec<(String, HeldValue)>,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldValue {
    /// Nothing.
    Nothing,
    /// A whole number.
    Whole(i64),
    /// A text.
    Text(String),
}

/// How much was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Conversations whose clients' names are gone.
    pub conversations: u64,
    /// Questions, grants and approved calls.
    pub approvals: u64,
    /// Consents.
    pub consents: u64,
    /// Answers to questions about others' calls.
    pub answers: u64,
    /// Sessions of the assistant.
    pub sessions: u64,
}

/// What is held of a principal, table by table. The first parameter is the user, the second how
/// that is known. What a gateway seals rows with is nobody's data.
const HELD: &[(&str, &str)] = &[
    (
        "conversations",
        "SELECT id, transport, client, gateway_pid, opened_at, touched_at FROM conversation
         WHERE user = ?1 AND authenticated_by = ?2 ORDER BY opened_at, id",
    ),
    (
        "questions",
        "SELECT id, conversation, card, demand, opened_at, waited_until, expires_at, settled,
         settled_at FROM question WHERE user = ?1 AND authenticated_by = ?2 ORDER BY opened_at, id",
    ),
    (
        "votes",
        "SELECT vote.question, vote.user, vote.approver, vote.answer, vote.scope, vote.message,
         vote.channel, vote.at FROM vote JOIN question ON question.id = vote.question
         WHERE vote.user = ?1 OR (question.user = ?1 AND question.authenticated_by = ?2)
         ORDER BY vote.at, vote.question, vote.user",
    ),
    (
        "grants",
        "SELECT id, scope, conversation, what, given, by, channel, at, expires_at, revoked_at
         FROM \"grant\" WHERE user = ?1 AND authenticated_by = ?2 ORDER BY at, id",
    ),
    (
        "grants_given",
        "SELECT \"grant\".id, \"grant\".scope, \"grant\".what, \"grant\".by, \"grant\".at,
         \"grant\".expires_at, \"grant\".revoked_at FROM \"grant\",
         json_each(iif(json_valid(\"grant\".by), \"grant\".by, '[]')) AS person
         WHERE json_extract(person.value, '$.user') = ?1
         AND NOT (\"grant\".user = ?1 AND \"grant\".authenticated_by = ?2)
         ORDER BY \"grant\".at, \"grant\".id",
    ),
    (
        "approved_calls",
        "SELECT server, subject, arguments, at FROM approved_call
         WHERE user = ?1 AND authenticated_by = ?2 ORDER BY server, subject",
    ),
    (
        "consents",
        "SELECT kind, recipient, identity, agreed_at, by, channel, record, revoked_at FROM consent
         WHERE user = ?1 AND authenticated_by = ?2 ORDER BY kind, recipient",
    ),
    (
        "sessions",
        "SELECT id, updated_at, turns FROM session
         WHERE user = ?1 AND authenticated_by = ?2 ORDER BY updated_at, id",
    ),
    (
        "keys",
        "SELECT id, name, groups, created_at, expires_at, revoked_at, used_on FROM key
         WHERE name = ?1 AND ?2 = 'api-key' ORDER BY created_at, id",
    ),
    (
        "approvers",
        "SELECT name, user, groups, enrolled_by, enrolled_at, revoked_at FROM approver
         WHERE user = ?1 AND ?2 = ?2 ORDER BY number",
    ),
];

impl Store {
    /// The tables of which [`Store::each_held`] gives rows.
    #[must_use]
    pub fn tables_of_people() -> Vec<&'static str> {
        HELD.iter().map(|(table, _)| *table).collect()
    }

    /// Gives each row that is about `principal`, table by table.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn each_held(
        &self,
        principal: &Principal,
        mut visit: impl FnMut(HeldRow),
    ) -> Result<(), StoreError> {
        let connection = self.lock_reader()?;
        for (table, query) in HELD {
            let mut statement = connection.prepare(query)?;
            let names: Vec<_> = statement.column_names().map(str::to_owned).collect();
            let whose = params![&*principal.user, &*principal.authenticated_by];
            let mut rows = statement.query(whose)?;
            while let Some(row) = rows.next()? {
                let value = |column| match row.get_ref(column) {
                    Ok(ValueRef::Integer(number)) => HeldValue::Whole(number),
                    Ok(ValueRef::Text(text)) => {
                        HeldValue::Text(String::from_utf8_lossy(text).into_owned())
                    }
                    // The tables are strict, and have no columns of other kinds.
                    Ok(ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_)) | Err(_) => {
                        HeldValue::Nothing
                    }
                };
                let columns = names.iter().enumerate().map(|(n, name)| (name.clone(), value(n)));
                visit(HeldRow { table, columns: columns.collect() });
            }
        }
        Ok(())
    }

    /// Every way in which somebody called `user` is known here.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn ways_to_know(&self, user: &str) -> Result<BTreeSet<String>, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare(
            "SELECT authenticated_by FROM conversation WHERE user = ?1
             UNION SELECT authenticated_by FROM question WHERE user = ?1
             UNION SELECT authenticated_by FROM \"grant\" WHERE user = ?1
             UNION SELECT authenticated_by FROM approved_call WHERE user = ?1
             UNION SELECT authenticated_by FROM consent WHERE user = ?1
             UNION SELECT authenticated_by FROM session WHERE user = ?1
             UNION SELECT 'api-key' FROM key WHERE name = ?1",
        )?;
        let ways = query.query_map(params![user], |row| row.get(0))?;
        Ok(ways.collect::<Result<_, _>>()?)
    }

    /// Whether somebody called `user` answers, or has answered, questions about others' calls.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn is_approver(&self, user: &str) -> Result<bool, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare(
            "SELECT EXISTS (SELECT 1 FROM approver WHERE user = ?1)
             OR EXISTS (SELECT 1 FROM vote WHERE user = ?1)",
        )?;
        Ok(query.query_row(params![user], |row| row.get(0))?)
    }

    /// Forgets what is held of `principal` but for what keeps others safe: its keys, that it is or
    /// was an approver, and that a conversation was. What is forgotten is overwritten in the file,
    /// and on disk before this returns.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn forget(&self, principal: &Principal) -> Result<Forgotten, StoreError> {
        let approvals = self.erase_approvals(principal)?;
        let connection = self.lock_durable()?;
        let whose = params![&*principal.user, &*principal.authenticated_by];
        let conversations = connection.execute(
            "UPDATE conversation SET client = '' WHERE user = ?1 AND authenticated_by = ?2
             AND client <> ''",
            whose,
        )?;
        let consents = connection
            .execute("DELETE FROM consent WHERE user = ?1 AND authenticated_by = ?2", whose)?;
        let sessions = connection
            .execute("DELETE FROM session WHERE user = ?1 AND authenticated_by = ?2", whose)?;
        // Who answers is known by the user's name alone. A no has ended its question already.
        let answers =
            connection.execute("DELETE FROM vote WHERE user = ?1", params![&*principal.user])?;
        // What was there stands in the write-ahead log, too. Another process that reads may keep
        // that a while; whoever closes the file last removes it.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let count = |rows| u64::try_from(rows).unwrap_or_default();
        Ok(Forgotten {
            conversations: count(conversations),
            approvals,
            consents: count(consents),
            answers: count(answers),
            sessions: count(sessions),
        })
    }
}
