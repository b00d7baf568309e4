//! Asking people.
//!
//! A call that policy wants approved is put to its own user by the client's form or on the
//! terminal, where that user's word is enough, and as a question in the store to enrolled people,
//! who answer it by `tagout approve` or through the webhook. Whatever they say, policy has the last
//! word about whether it is enough.
mod by;
mod card;
pub(crate) mod demand;
pub(crate) mod desk;
mod diff;
mod elicit;
mod enrol;
mod granted;
mod key;
mod people;
mod seal;
mod spent;
mod terminal;
mod votes;
pub(crate) mod webhook;

use std::{future::Future, pin::Pin, time::Duration};

use tagout_store::Scope;

pub use self::{
    by::{in_words as people_in_words, stored_in_words},
    card::{Card, readable},
    desk::{AnswerTrouble, Answered, Asked, Heard, NewAnswer},
    enrol::{EnrolTrouble, NewApprover},
    key::{ApproverKey, ApproverSigner, KeyFileTrouble, SHORTEST as SHORTEST_PASSPHRASE, key_file},
    people::{Approver as Enrolled, Standing},
    terminal::Terminal,
};
pub(crate) use self::{
    by::{stored as stored_people, users_in},
    desk::{Denial, only_reads},
    diff::{Compared, last_and_now},
    elicit::elicited,
    key::is_public_key,
    seal::SealKey,
    spent::Spent,
    votes::{Word, sums},
};

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go ahead, this once.
    Allow,
    /// Go ahead, and with the same call again.
    AllowFor(Scope),
    /// Stop.
    Deny,
    /// There is nobody to ask.
    Nobody,
    /// Nobody answered in time.
    TimedOut,
}

/// An answer that takes its time.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// A way to ask the user of this machine.
pub trait Approver: Send + Sync {
    /// Asks, and waits at most `limit`. Dropping the future withdraws the question.
    fn ask<'a>(&'a self, card: &'a Card, limit: Duration) -> Asking<'a>;

    /// The way's name in records: `terminal`, `none`.
    fn channel(&self) -> &'static str;
}

/// Nobody: every question is answered by no.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Approver for Nobody {
    fn ask<'a>(&'a self, _card: &'a Card, _limit: Duration) -> Asking<'a> {
        Box::pin(std::future::ready(Answer::Nobody))
    }

    fn channel(&self) -> &'static str {
        "none"
    }
}
