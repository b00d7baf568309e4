//! What is done with rules beside deciding calls: decisions on record, cases of a test, replays,
//! and rules learnt from traffic. None of it needs a running gateway.
pub mod cases;
pub mod learn;
pub mod pinned;
pub mod recorded;
pub mod replay;

pub use pinned::Pinned;
pub use recorded::{Case, Doubts, Unusable};
