//! Questions that outlive the call that asked them: opened, answered, used.
use jiff::Timestamp;
use serde::Serialize;
use tagout_audit::{Durability, Note};
use tagout_policy::{Effect, Effects, Given};
use tagout_proto::Digest;
use tagout_store::{
    Answer, BadQuestionId, Message, Question, QuestionId, Scope, Settled, StoreError,
    StoredApprover, Vote, VoteChannel, Voted,
};

use super::{
    Card,
    key::{ApproverSigner, verifies},
    people::People,
    seal::message,
    votes::Word,
};
use crate::Gateway;

/// The longest word to whoever asked, in characters.
pub(crate) const MESSAGE: usize = 500;

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerTrouble {
    /// It names no question.
    #[error(transparent)]
    Id(#[from] BadQuestionId),
    /// There is none of that name.
    #[error("there is no question `{0}`")]
    Unknown(QuestionId),
    /// It has expired, or a call has used or been refused by its answers.
    #[error("the question `{0}` is closed")]
    Closed(QuestionId),
    /// What is stored of it is not what a gateway put there.
    #[error("the question `{0}` is not as a gateway asked it")]
    Forged(QuestionId),
    /// Nobody of that name may answer this way.
    #[error("`{0}` is nobody whose answer counts here")]
    Approver(String),
    /// The tool may do more than read, or nobody has reviewed it.
    #[error("`always` is for tools that are reviewed as reading, and nothing else")]
    Scope,
    /// The message is too long.
    #[error("a message has at most {MESSAGE} characters")]
    Message,
    /// The webhook message was taken before.
    #[error("this message was taken before")]
    Again,
    /// The state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What happens cannot be put on record, so it does not happen.
    #[error(transparent)]
    Audit(#[from] tagout_audit::AuditError),
}

impl AnswerTrouble {
    /// The stable codes that are this one's alone.
    pub const CODES: &[&str] = &[
        "approval-closed",
        "approval-forged",
        "approval-message",
        "approval-scope",
        "approval-unknown",
        "approver-unknown",
        "webhook-again",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Id(_) | Self::Unknown(_) => "approval-unknown",
            Self::Closed(_) => "approval-closed",
            Self::Forged(_) => "approval-forged",
            Self::Approver(_) => "approver-unknown",
            Self::Scope => "approval-scope",
            Self::Message => "approval-message",
            Self::Again => "webhook-again",
            Self::Store(error) => error.code(),
            Self::Audit(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Id(_) | Self::Unknown(_) => "see `tagout approve ls`",
            Self::Closed(_) => "when the call is made again, it is asked anew",
            Self::Forged(_) => {
                "find out who can write the state; deny nothing and allow nothing here"
            }
            Self::Approver(_) => "see `tagout approver list`",
            Self::Scope => "use `--scope conversation`, or leave it out",
            Self::Message => "say it shorter",
            Self::Again => "each message has an identifier of its own",
            Self::Store(error) => error.help(),
            Self::Audit(error) => error.help(),
        }
    }
}

/// A question as people are shown it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is stored.
    pub question: Question,
    /// What it shows.
    pub card: Card,
    /// Whose approval it takes.
    pub demand: Given,
    /// What people answered so far.
    pub votes: Vec<Heard>,
}

/// An answer as it is stored, and whether it counts.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The answer.
    pub vote: Vote,
    /// Whether its proof holds, and its approver's word counts.
    pub counts: bool,
}

impl Asked {
    /// Whether it can be answered at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.question.settled.is_none() && now < self.question.expires_at
    }

    /// Whether just that could be answered, whoever says it.
    ///
    /// # Errors
    /// [`AnswerTrouble::Scope`], [`AnswerTrouble::Message`].
    pub fn takes(&self, new: &NewAnswer) -> Result<(), AnswerTrouble> {
        if new.scope == Scope::Always && !only_reads(&self.card.effects, self.card.reviewed) {
            return Err(AnswerTrouble::Scope);
        }
        if new.message.chars().count() > MESSAGE {
            return Err(AnswerTrouble::Message);
        }
        Ok(())
    }
}

/// What somebody answers.
#[derive(Clone, Debug)]
pub struct NewAnswer {
    /// The answer.
    pub answer: Answer,
    /// For how much.
    pub scope: Scope,
    /// A word to whoever asked.
    pub message: String,
}

/// An answer that was taken.
#[derive(Clone, Debug, Serialize)]
pub struct Answered {
    /// The question.
    pub id: String,
    /// `allow` or `deny`.
    pub answer: &'static str,
    /// `once`, `conversation` or `always`.
    pub scope: &'static str,
    /// Whose it was.
    pub by: String,
}

/// Whether `always` can be said of a tool.
pub(crate) fn only_reads(effects: &Effects, reviewed: bool) -> bool {
    reviewed && effects.iter().eq([&Effect::Read])
}

/// How an answer shows whose it is.
pub(crate) enum Voter<'a> {
    Signs(&'a ApproverSigner),
    Webhook(&'a str, Message<'a>),
}

impl Gateway {
    /// Who may answer.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn people(&self) -> Result<People, StoreError> {
        People::of(&self.store, &self.seal, &self.config.approval.approvers)
    }

    /// Every question that is open, oldest first; those that are not as a gateway asked them are
    /// left out.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn asked(&self) -> Result<Vec<Asked>, AnswerTrouble> {
        let mut all = Vec::new();
        for question in self.store.open_questions(self.clock.now())? {
            match self.shown(question) {
                Ok(asked) => all.push(asked),
                Err(AnswerTrouble::Forged(id)) => {
                    tracing::error!(%id, "a question is not as a gateway asked it");
                }
                Err(other) => return Err(other),
            }
        }
        Ok(all)
    }

    /// The question called `id`, open or not.
    ///
    /// # Errors
    /// [`AnswerTrouble::Id`], [`AnswerTrouble::Unknown`], [`AnswerTrouble::Forged`].
    pub fn asked_as(&self, id: &str) -> Result<Asked, AnswerTrouble> {
        let id: QuestionId = id.parse()?;
        let question = self.store.question(&id)?.ok_or(AnswerTrouble::Unknown(id))?;
        self.shown(question)
    }

    fn shown(&self, question: Question) -> Result<Asked, AnswerTrouble> {
        let forged = || AnswerTrouble::Forged(question.id.clone());
        if !self.is_genuine(&question) {
            return Err(forged());
        }
        let card = serde_json::from_str(&question.card).map_err(|_| forged())?;
        let demand = serde_json::from_str(&question.demand).map_err(|_| forged())?;
        let (people, votes) = (self.people()?, self.store.votes(&question.id)?);
        let votes = votes.into_iter().map(|vote| {
            let approver = people.counts(&vote.approver);
            let counts = approver.is_some_and(|one| self.holds(&vote, &question, one));
            Heard { vote, counts }
        });
        let votes = votes.collect();
        Ok(Asked { question, card, demand, votes })
    }

    /// The gateways' code over a question.
    pub(crate) fn seal_of(&self, question: &Question) -> String {
        self.seal.code(QUESTION, &parts(question).each_ref().map(|part| part.as_bytes()))
    }

    /// `question` as it has ended, with the gateways' code over that.
    pub(crate) fn ended(&self, question: &Question, settled: Settled) -> Question {
        let mut ended = Question { settled: Some(settled), ..question.clone() };
        ended.seal = self.seal_of(&ended);
        ended
    }

    /// Ends a question whose code was looked at; `true` for exactly one caller, and only where it is
    /// still as it was then.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn settle(&self, question: &Question, settled: Settled) -> Result<bool, StoreError> {
        let now = self.clock.now();
        if settled == Settled::Used && self.is_spent(question, now) {
            return Ok(false);
        }
        self.store.settle(&self.ended(question, settled), &question.seal, now)
    }

    /// Whether the log has the question as used or denied, whatever the state says; also where the
    /// log cannot be read.
    fn is_spent(&self, question: &Question, now: Timestamp) -> bool {
        let spent = self.spent.is_closed(&question.id, question.opened_at, now);
        let spent = spent.unwrap_or_else(|error| {
            tracing::error!(%error, "whether an approval was used cannot be looked up");
            true
        });
        if spent {
            tracing::error!(id = %question.id, "a question that has ended is open again");
        }
        spent
    }

    /// Ends a question with a no that a call is refused for now.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn settle_denied(&self, question: &Question) -> Result<(), StoreError> {
        // Whoever said no has ended it, but for the client's own user.
        self.settle(question, Settled::Denied)?;
        self.store.told(&question.id)
    }

    /// Whether a gateway has put the question there as it is, and as it has ended.
    pub(crate) fn is_genuine(&self, question: &Question) -> bool {
        let parts = parts(question);
        self.seal.holds(QUESTION, &parts.each_ref().map(|part| part.as_bytes()), &question.seal)
    }

    /// Takes an answer that was signed with an approver's key.
    ///
    /// # Errors
    /// See [`AnswerTrouble`].
    pub fn answer_signed(
        &self,
        asked: &Asked,
        new: NewAnswer,
        signer: &ApproverSigner,
    ) -> Result<Answered, AnswerTrouble> {
        self.answer(asked, new, &Voter::Signs(signer))
    }

    pub(crate) fn answer(
        &self,
        asked: &Asked,
        new: NewAnswer,
        voter: &Voter<'_>,
    ) -> Result<Answered, AnswerTrouble> {
        let id = asked.question.id.clone();
        let people = self.people()?;
        let nobody = |name: &str| AnswerTrouble::Approver(name.to_owned());
        let (approver, channel) = match voter {
            Voter::Signs(signer) => {
                let name = signer.name().as_str();
                let one = people.counts(name).filter(|one| one.public == signer.public());
                (one.ok_or_else(|| nobody(name))?, VoteChannel::Command)
            }
            Voter::Webhook(name, _) => {
                let one = people.counts(name).filter(|one| one.webhook);
                (one.ok_or_else(|| nobody(name))?, VoteChannel::Webhook)
            }
        };
        asked.takes(&new)?;
        let mut vote = Vote {
            question: id.clone(),
            user: approver.user.clone(),
            approver: approver.name.to_string(),
            answer: new.answer,
            scope: new.scope,
            message: new.message,
            channel,
            proof: String::new(),
            at: self.clock.now(),
        };
        vote.proof = match voter {
            Voter::Signs(signer) => signer.sign(&said(&vote, &asked.question)),
            Voter::Webhook(..) => self.seal.code(VOTE, &[&said(&vote, &asked.question)]),
        };
        if !asked.is_open(vote.at) {
            return Err(AnswerTrouble::Closed(id));
        }
        self.note_vote(&vote, asked)?;
        let ended =
            (vote.answer == Answer::Deny).then(|| self.ended(&asked.question, Settled::Denied));
        let message = match voter {
            Voter::Signs(_) => None,
            Voter::Webhook(_, message) => Some(*message),
        };
        match self.store.vote(&vote, &asked.question, ended.as_ref(), message)? {
            Voted::Kept => Ok(Answered {
                id: id.to_string(),
                answer: vote.answer.as_str(),
                scope: vote.scope.as_str(),
                by: vote.approver,
            }),
            Voted::Unknown => Err(AnswerTrouble::Unknown(id)),
            Voted::Closed => Err(AnswerTrouble::Closed(id)),
            Voted::Again => Err(AnswerTrouble::Again),
        }
    }

    fn note_vote(&self, vote: &Vote, asked: &Asked) -> Result<(), AnswerTrouble> {
        let (answer, by) = (vote.answer.as_str(), &vote.approver);
        let detail = format!(
            "{answer}, {}, by `{by}` ({}), through {}, question {}",
            vote.scope.as_str(),
            vote.user,
            vote.channel.as_str(),
            vote.question
        );
        let mut note = Note::new(vote.at, "approval-answered");
        let server = asked.card.server.parse().ok();
        note.server = server.as_ref();
        note.subject = Some(&asked.card.subject);
        note.detail = Some(&detail);
        self.audit.note(&note, Durability::Disk)?;
        Ok(())
    }

    /// What was answered to a question, as far as its proofs hold now: everybody's yes, and the
    /// first no.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn heard(
        &self,
        question: &Question,
        votes: &[Vote],
    ) -> Result<(Vec<Word>, Option<Denial>), StoreError> {
        let people = self.people()?;
        let (mut words, mut denial) = (Vec::new(), None);
        for vote in votes {
            let Some(approver) = people.counts(&vote.approver) else { continue };
            if !self.holds(vote, question, approver) {
                tracing::error!(question = %question.id, by = %vote.approver, "an answer without proof");
                continue;
            }
            match vote.answer {
                Answer::Allow => words.push(Word {
                    user: approver.user.clone(),
                    by: approver.name.to_string(),
                    channel: vote.channel.as_str(),
                    scope: vote.scope,
                    groups: approver.groups.clone(),
                    at: vote.at,
                }),
                Answer::Deny => {
                    denial.get_or_insert_with(|| Denial {
                        by: approver.name.to_string(),
                        channel: vote.channel.as_str(),
                        message: vote.message.clone(),
                    });
                }
            }
        }
        Ok((words, denial))
    }

    fn holds(&self, vote: &Vote, question: &Question, approver: &StoredApprover) -> bool {
        let in_time = question.opened_at <= vote.at && vote.at < question.expires_at;
        let message = said(vote, question);
        let proven = match vote.channel {
            VoteChannel::Command => verifies(&approver.public, &message, &vote.proof),
            VoteChannel::Webhook => {
                approver.webhook && self.seal.holds(VOTE, &[&message], &vote.proof)
            }
        };
        in_time && proven && vote.user == approver.user
    }
}

const QUESTION: &str = "tagout-question-1";
const VOTE: &str = "tagout-webhook-vote-1";

/// Somebody's no.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    pub(crate) by: String,
    pub(crate) channel: &'static str,
    pub(crate) message: String,
}

fn parts(question: &Question) -> [String; 11] {
    [
        question.id.to_string(),
        question.binding.to_string(),
        question.standing.to_string(),
        question.conversation.to_string(),
        question.user.clone(),
        question.authenticated_by.clone(),
        question.card.clone(),
        question.demand.clone(),
        written(question.opened_at),
        written(question.expires_at),
        question.settled.map_or("", Settled::as_str).to_owned(),
    ]
}

pub(super) fn written(at: Timestamp) -> String {
    at.as_nanosecond().to_string()
}

/// What a vote's proof is over: the question, all that was shown, and the answer.
fn said(vote: &Vote, question: &Question) -> Vec<u8> {
    let at = written(vote.at);
    let card = Digest::of(question.card.as_bytes());
    let parts: [&[u8]; 9] = [
        vote.question.as_str().as_bytes(),
        question.binding.as_bytes(),
        card.as_bytes(),
        vote.answer.as_str().as_bytes(),
        vote.scope.as_str().as_bytes(),
        vote.message.as_bytes(),
        vote.approver.as_bytes(),
        vote.user.as_bytes(),
        at.as_bytes(),
    ];
    message("tagout-vote-1", &parts)
}
