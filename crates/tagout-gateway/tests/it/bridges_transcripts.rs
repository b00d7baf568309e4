//! Clients of one era in front of servers of the other, and of the same: `tests/http/`.

/// The folders that are played here.
pub(crate) const TOPICS: [&str; 0] = [];
