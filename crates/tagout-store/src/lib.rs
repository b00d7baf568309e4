//! Durable state shared by every gateway on one machine, in one SQLite file.
//!
//! Synchronous: each call is one short transaction. Several processes may use one file at once,
//! and any of them may die at any moment. Times come from the caller.

mod approvals;
mod approvers;
mod consents;
mod conversations;
mod definitions;
mod error;
mod history;
mod keys;
mod privacy;
mod quarantine;
mod questions;
mod sessions;
mod store;
mod votes;

pub use approvals::{ApprovedCall, Grant};
pub use approvers::{Enrolled, MOST_APPROVERS, StoredApprover};
pub use consents::{Consent, Recipient, RecipientKind};
pub use conversations::OpenedConversation;
pub use error::StoreError;
pub use keys::{
    BadKeyName, KeyAdded, KeyGroups, KeyName, KeyPlace, MOST_GROUPS, MOST_KEYS, StoredKey,
};
pub use privacy::{Forgotten, HeldRow, HeldValue};
pub use quarantine::{Offering, Quarantined};
pub use questions::{
    Answer, Asked, BadQuestionId, MOST_QUESTIONS, MOST_QUESTIONS_OF_ONE, Question, QuestionId,
    Scope, Settled, VoteChannel,
};
pub use sessions::{
    About, BadSessionId, Listed, Loaded, MOST_SESSIONS, MOST_TURNS, Named, OpenSession,
    SESSION_BYTES, SessionError, SessionId, SessionKey, SessionPrefix, Sessions, Standing,
};
pub use store::Store;
pub use votes::{Message, Vote, Voted};
