//! Questions that wait for people, and what people answer.
use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tagout_proto::{Conversation, Digest, Principal};

use crate::{
    Store, StoreError,
    store::{stored, timestamp},
};

/// Questions of one principal that may be open at once.
pub const MOST_QUESTIONS_OF_ONE: u32 = 64;
/// Questions that may be open at once.
pub const MOST_QUESTIONS: u32 = 1024;
/// What questions of one principal may take together, in bytes, the expired among them.
const MOST_BYTES_OF_ONE: u32 = 4 << 20;
/// What questions may take together, in bytes, the expired among them.
const MOST_BYTES: u32 = 64 << 20;
/// How long a question is kept once it has expired, so that it can be told what became of it.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// Letters of an identifier.
const ID_LETTERS: usize = 10;
/// Crockford's digits: none looks like another.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What a question is called: ten digits in base 32 that nobody can guess and anybody can type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(String);

/// Why a text is no [`QuestionId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a question is called by ten letters and digits")]
pub struct BadQuestionId;

impl QuestionId {
    /// An identifier that nobody has.
    ///
    /// # Errors
    /// [`StoreError::Random`].
    pub fn new() -> Result<Self, StoreError> {
        let mut bytes = [0; ID_LETTERS];
        getrandom::fill(&mut bytes).map_err(StoreError::Random)?;
        let digit = |byte: u8| DIGITS.get(usize::from(byte % 32)).copied().unwrap_or(b'0');
        Ok(Self(bytes.into_iter().map(|byte| char::from(digit(byte))).collect()))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for QuestionId {
    type Err = BadQuestionId;

    /// As a person may type it: in any case, `o` for `0`, `i` and `l` for `1`.
    fn from_str(text: &str) -> Result<Self, BadQuestionId> {
        let meant = text.chars().map(|letter| match letter.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        });
        let id: String = meant.take(ID_LETTERS + 1).collect();
        let sound = id.len() == ID_LETTERS && id.bytes().all(|byte| DIGITS.contains(&byte));
        if sound { Ok(Self(id)) } else { Err(BadQuestionId) }
    }
}

/// What a person answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go ahead.
    Allow,
    /// Stop.
    Deny,
}

/// For how much an approval is meant; the less comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One call.
    #[default]
    Once,
    /// The same call again, in the same conversation.
    Conversation,
    /// The same call again, in any conversation of the same user.
    Always,
}

/// By which way a vote came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteChannel {
    /// The command line, with the approver's own key.
    Command,
    /// The webhook.
    Webhook,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was approved, and a call has used that.
    Used,
    /// Somebody said no.
    Denied,
}

macro_rules! words {
    ($kind:ident, $what:literal, $($variant:ident = $word:literal),+) => {
        impl $kind {
            /// The word for it in records and in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What `word` stands for; nothing if it is none.
            #[must_use]
            pub fn of_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }

            pub(crate) fn read(word: &str) -> Result<Self, StoreError> {
                Self::of_word(word).ok_or(StoreError::Damaged { what: $what })
            }
        }
    };
}
words!(Answer, "answer", Allow = "allow", Deny = "deny");
words!(Scope, "scope", Once = "once", Conversation = "conversation", Always = "always");
words!(VoteChannel, "channel", Command = "command", Webhook = "webhook");
words!(Settled, "standing", Used = "used", Denied = "denied");

/// A question about one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What it is called.
    pub id: QuestionId,
    /// Digest of everything that an approval of the call binds to.
    pub binding: Digest,
    /// The same without the conversation.
    pub standing: Digest,
    /// In which conversation.
    pub conversation: Conversation,
    /// On whose behalf: the user,
    pub user: String,
    /// and how that is known.
    pub authenticated_by: String,
    /// The process that asked first.
    pub gateway_pid: u32,
    /// What people are shown, as JSON.
    pub card: String,
    /// Whose approval is wanted, as JSON.
    pub demand: String,
    /// The gateway's code over what is asked, and what became of it.
    pub seal: String,
    /// When it was asked.
    pub opened_at: Timestamp,
    /// Until when a call waits for it.
    pub waited_until: Timestamp,
    /// Until when it can be answered and used.
    pub expires_at: Timestamp,
    /// What became of it.
    pub settled: Option<Settled>,
}

/// What came of opening a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is open.
    Opened,
    /// Too many are.
    TooMany,
}

impl Store {
    /// Opens a question.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn ask(&self, new: &Question) -> Result<Asked, StoreError> {
        let mut connection = self.lock()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let now = stored(new.opened_at);
        let gone = new.opened_at.checked_sub(KEPT).map(stored).unwrap_or_default();
        transaction.execute("DELETE FROM question WHERE expires_at < ?1", params![gone])?;
        let open = |query: &str, of: &[&str]| -> Result<u32, StoreError> {
            let mut values: Vec<&str> = vec![&now];
            values.extend(of);
            Ok(transaction
                .query_row(query, rusqlite::params_from_iter(values), |row| row.get(0))?)
        };
        let all = "SELECT count(*) FROM question WHERE settled IS NULL AND expires_at > ?1";
        let own = "SELECT count(*) FROM question WHERE settled IS NULL AND expires_at > ?1
                   AND user = ?2 AND authenticated_by = ?3";
        if open(all, &[])? >= MOST_QUESTIONS
            || open(own, &[&new.user, &new.authenticated_by])? >= MOST_QUESTIONS_OF_ONE
            || takes_too_much(&transaction, new)?
        {
            return Ok(Asked::TooMany);
        }
        insert(&transaction, new)?;
        transaction.commit()?;
        Ok(Asked::Opened)
    }

    /// The question called `id`, open or not.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn question(&self, id: &QuestionId) -> Result<Option<Question>, StoreError> {
        let query = format!("{COLUMNS} WHERE id = ?1");
        let connection = self.lock_reader()?;
        let mut statement = connection.prepare_cached(&query)?;
        let mut rows = statement.query(params![id.as_str()])?;
        rows.next()?.map(read_question).transpose()
    }

    /// Every question that can be answered at `now`, oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn open_questions(&self, now: Timestamp) -> Result<Vec<Question>, StoreError> {
        let query = format!(
            "{COLUMNS} WHERE settled IS NULL AND expires_at > ?1 ORDER BY opened_at, id LIMIT {MOST_QUESTIONS}"
        );
        self.questions(&query, &[&stored(now)])
    }

    /// The questions about `binding` that are open, or whose no nobody was told yet; oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn questions_about(
        &self,
        binding: Digest,
        now: Timestamp,
    ) -> Result<Vec<Question>, StoreError> {
        let query = format!(
            "{COLUMNS} WHERE binding = ?2 AND (settled IS NULL OR (settled = 'denied' AND told = 0)) AND expires_at > ?1 ORDER BY opened_at, id LIMIT {MOST_QUESTIONS_OF_ONE}"
        );
        self.questions(&query, &[&stored(now), &binding.to_string()])
    }

    fn questions(&self, query: &str, values: &[&str]) -> Result<Vec<Question>, StoreError> {
        let connection = self.lock_reader()?;
        let mut statement = connection.prepare_cached(query)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut questions = Vec::new();
        while let Some(row) = rows.next()? {
            questions.push(read_question(row)?);
        }
        Ok(questions)
    }

    /// Takes up an open question that no call waits for any more; `true` for exactly one caller, of
    /// any process. From then on a call waits for it until `until`.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn wait_again(
        &self,
        id: &QuestionId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let rows = self.lock()?.execute(
            "UPDATE question SET waited_until = ?3 WHERE id = ?1 AND settled IS NULL
             AND waited_until <= ?2 AND expires_at > ?2",
            params![id.as_str(), stored(now), stored(until)],
        )?;
        Ok(rows == 1)
    }

    /// Notes that no call waits for the question any more.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn wait_no_more(&self, id: &QuestionId, now: Timestamp) -> Result<(), StoreError> {
        self.lock()?.execute(
            "UPDATE question SET waited_until = min(waited_until, ?2) WHERE id = ?1",
            params![id.as_str(), stored(now)],
        )?;
        Ok(())
    }

    /// Puts the question as it has `ended` in place of the open one that had the code `before`: `true`
    /// for exactly one caller, of any process, and only while it is open. It is on disk before this
    /// returns.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn settle(
        &self,
        ended: &Question,
        before: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // A power failure must not give back what was used.
        settle(&*self.lock_durable()?, ended, before, now)
    }

    /// Notes that a call was refused for the question's no, so that the next such call asks anew.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn told(&self, id: &QuestionId) -> Result<(), StoreError> {
        self.lock()?.execute("UPDATE question SET told = 1 WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    /// Forgets what was asked for `principal`, what was granted and what was last approved; gives
    /// how many things that were.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn erase_approvals(&self, principal: &Principal) -> Result<u64, StoreError> {
        let mut connection = self.lock_durable()?;
        let transaction = connection.transaction()?;
        let mut rows = 0;
        for table in ["question", "\"grant\"", "approved_call"] {
            let query = format!("DELETE FROM {table} WHERE user = ?1 AND authenticated_by = ?2");
            let whose = params![&*principal.user, &*principal.authenticated_by];
            rows += u64::try_from(transaction.execute(&query, whose)?).unwrap_or_default();
        }
        transaction.commit()?;
        Ok(rows)
    }
}

const COLUMNS: &str = "SELECT id, binding, standing, conversation, user, authenticated_by, gateway_pid, card, demand, seal, opened_at, waited_until, expires_at, settled FROM question";

pub(crate) fn settle(
    connection: &Connection,
    ended: &Question,
    before: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let rows = connection.execute(
        "UPDATE question SET settled = ?3, settled_at = ?4, seal = ?5 WHERE id = ?1 AND seal = ?2
         AND settled IS NULL AND expires_at > ?4",
        params![
            ended.id.as_str(),
            before,
            ended.settled.map(Settled::as_str),
            stored(now),
            ended.seal
        ],
    )?;
    Ok(rows == 1)
}

/// Whether what questions hold would be more than they may, with `new` among them.
fn takes_too_much(transaction: &Transaction<'_>, new: &Question) -> Result<bool, StoreError> {
    let (all, own): (i64, i64) = transaction.query_row(
        "SELECT coalesce(sum(length(CAST(card AS BLOB))), 0),
         coalesce(sum(iif(user = ?1 AND authenticated_by = ?2, length(CAST(card AS BLOB)), 0)), 0) FROM question",
        params![new.user, new.authenticated_by],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let card = i64::try_from(new.card.len()).unwrap_or(i64::MAX);
    let over = |held: i64, most: u32| held.saturating_add(card) > i64::from(most);
    Ok(over(all, MOST_BYTES) || over(own, MOST_BYTES_OF_ONE))
}

fn insert(transaction: &Transaction<'_>, new: &Question) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO question (id, binding, standing, conversation, user, authenticated_by,
         gateway_pid, card, demand, seal, opened_at, waited_until, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            new.id.as_str(),
            new.binding.to_string(),
            new.standing.to_string(),
            new.conversation.as_str(),
            new.user,
            new.authenticated_by,
            new.gateway_pid,
            new.card,
            new.demand,
            new.seal,
            stored(new.opened_at),
            stored(new.waited_until),
            stored(new.expires_at),
        ],
    )?;
    Ok(())
}

fn read_question(row: &rusqlite::Row<'_>) -> Result<Question, StoreError> {
    let text = |column: usize| row.get::<_, String>(column);
    let digest = |column: usize| -> Result<Digest, StoreError> {
        text(column)?.parse().map_err(|_| StoreError::Damaged { what: "digest" })
    };
    let settled: Option<String> = row.get(13)?;
    Ok(Question {
        id: text(0)?.parse().map_err(|_| StoreError::Damaged { what: "question" })?,
        binding: digest(1)?,
        standing: digest(2)?,
        conversation: Conversation::new(&text(3)?),
        user: text(4)?,
        authenticated_by: text(5)?,
        gateway_pid: row.get(6)?,
        card: text(7)?,
        demand: text(8)?,
        seal: text(9)?,
        opened_at: timestamp(&text(10)?)?,
        waited_until: timestamp(&text(11)?)?,
        expires_at: timestamp(&text(12)?)?,
        settled: settled.as_deref().map(Settled::read).transpose()?,
    })
}
