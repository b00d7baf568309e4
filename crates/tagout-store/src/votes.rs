//! What people answer to questions.
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::{
    Answer, Question, QuestionId, Scope, Store, StoreError, VoteChannel,
    questions::settle,
    store::{stored, timestamp},
};

/// What one person answered to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The question.
    pub question: QuestionId,
    /// Who: the approver's user,
    pub user: String,
    /// and the approver's name.
    pub approver: String,
    /// The answer.
    pub answer: Answer,
    /// For how much.
    pub scope: Scope,
    /// A word to whoever asked.
    pub message: String,
    /// By which way.
    pub channel: VoteChannel,
    /// A signature by the approver's key, or a code of the gateway.
    pub proof: String,
    /// When.
    pub at: Timestamp,
}

/// What came of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voted {
    /// It counts.
    Kept,
    /// There is no such question.
    Unknown,
    /// It has expired, or was settled.
    Closed,
    /// The message that brought it was taken before.
    Again,
}

/// A webhook message that brings a vote.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its identifier, which is taken once.
    pub id: &'a str,
    /// What came before this is forgotten: it would be too old by itself.
    pub since: Timestamp,
}

impl Store {
    /// Keeps a vote on `question`, in place of an earlier one of the same person. A no comes with the
    /// question as it has `ended`, and ends it in the same transaction; the message that brought the
    /// vote is taken in it too, and only then.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn vote(
        &self,
        vote: &Vote,
        question: &Question,
        ended: Option<&Question>,
        message: Option<Message<'_>>,
    ) -> Result<Voted, StoreError> {
        let mut connection = self.lock_durable()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let open: Option<bool> = transaction
            .query_row(
                "SELECT settled IS NULL AND expires_at > ?2 AND seal = ?3 FROM question
                 WHERE id = ?1",
                params![vote.question.as_str(), stored(vote.at), question.seal],
                |row| row.get(0),
            )
            .optional()?;
        match open {
            None => return Ok(Voted::Unknown),
            Some(false) => return Ok(Voted::Closed),
            Some(true) => {}
        }
        if let Some(message) = message
            && !take(&transaction, message, vote.at)?
        {
            return Ok(Voted::Again);
        }
        keep(&transaction, vote)?;
        if let Some(ended) = ended {
            settle(&transaction, ended, &question.seal, vote.at)?;
        }
        transaction.commit()?;
        Ok(Voted::Kept)
    }

    /// What people answered to a question, in the order in which they did.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn votes(&self, id: &QuestionId) -> Result<Vec<Vote>, StoreError> {
        let connection = self.lock_reader()?;
        let mut query = connection.prepare_cached(
            "SELECT user, approver, answer, scope, message, channel, proof, at FROM vote
             WHERE question = ?1 ORDER BY at, user LIMIT 1024",
        )?;
        let mut rows = query.query(params![id.as_str()])?;
        let mut votes = Vec::new();
        while let Some(row) = rows.next()? {
            votes.push(Vote {
                question: id.clone(),
                user: row.get(0)?,
                approver: row.get(1)?,
                answer: Answer::read(&row.get::<_, String>(2)?)?,
                scope: Scope::read(&row.get::<_, String>(3)?)?,
                message: row.get(4)?,
                channel: VoteChannel::read(&row.get::<_, String>(5)?)?,
                proof: row.get(6)?,
                at: timestamp(&row.get::<_, String>(7)?)?,
            });
        }
        Ok(votes)
    }

    /// Whether the webhook message called `id` was taken.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn is_taken(&self, id: &str) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM webhook_message WHERE id = ?1)";
        Ok(self.lock()?.query_row(query, [id], |row| row.get(0))?)
    }
}

fn take(
    transaction: &Transaction<'_>,
    message: Message<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let since = stored(message.since);
    transaction.execute("DELETE FROM webhook_message WHERE at < ?1", params![since])?;
    let rows = transaction.execute(
        "INSERT OR IGNORE INTO webhook_message (id, at) VALUES (?1, ?2)",
        params![message.id, stored(now)],
    )?;
    Ok(rows == 1)
}

fn keep(transaction: &Transaction<'_>, vote: &Vote) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT OR REPLACE INTO vote (question, user, approver, answer, scope, message, channel,
         proof, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            vote.question.as_str(),
            vote.user,
            vote.approver,
            vote.answer.as_str(),
            vote.scope.as_str(),
            vote.message,
            vote.channel.as_str(),
            vote.proof,
            stored(vote.at),
        ],
    )?;
    Ok(())
}
