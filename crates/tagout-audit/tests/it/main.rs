//! The log as its callers see it: written, read, tampered with, torn and shared.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it fails, also in what its tests share"
)]
mod crash;
mod payloads;
mod processes;
mod round_trip;
mod said;
mod sample;
mod segments;
mod tamper;
mod trace;
