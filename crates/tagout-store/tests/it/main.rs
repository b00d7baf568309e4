//! The state as its callers see it.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops where it fails, also in what its tests share"
)]
mod keys;
mod people;
mod private;
mod processes;
mod quarantine;
mod questions;
mod sample;
mod sessions;
mod sessions_listed;
mod sessions_processes;
mod tables;
