//! Tests of the supply chain's parts.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod attestations;
mod launches;
mod trees;
