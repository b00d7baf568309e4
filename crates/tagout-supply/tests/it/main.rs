//! Tests of the supply chain's parts.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "shared steps of tests fail like tests"
)]
mod attestations;
mod installs;
mod launches;
mod pythons;
mod trees;
