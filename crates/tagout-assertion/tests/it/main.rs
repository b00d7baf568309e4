//! What a server hears, and what it must not believe.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where it fails, also in what its tests share"
)]
mod arguments;
mod attacks;
mod corpus;
mod keys;
mod sample;
mod verify;
