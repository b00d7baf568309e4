//! Durable state shared by every gateway on one machine, in one SQLite file.
//!
//! Synchronous: each call is one short transaction. Several processes may use one file at once,
//! and any of them may die at any moment. Times come from the caller.

mod approvals;
mod conversations;
mod definitions;
mod error;
mod keys;
mod quarantine;
mod store;

pub use approvals::{Answer, Approval};
pub use conversations::OpenedConversation;
pub use error::StoreError;
pub use keys::{
    BadKeyName, KeyAdded, KeyGroups, KeyName, KeyPlace, MOST_GROUPS, MOST_KEYS, StoredKey,
};
pub use quarantine::Quarantined;
pub use store::Store;
