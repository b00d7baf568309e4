//! What stands on a terminal in the end, and what is read there.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that meets something else than it expects should panic, helpers included"
)]
mod glass;

mod cards;
mod corpus;
mod hostile;
mod markdown;
mod pictures;
mod screens;
mod typing;
