//! The gateway, from outside: what must not compile, golden transcripts through the real binary, and
//! properties that hold whatever clients and servers do.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it fails, also in what its tests share"
)]
mod approval;
mod bench;
mod bombs;
mod bridges_transcripts;
mod client;
mod clients;
mod compile_fail;
mod consent;
mod corpus;
mod decisions;
mod egress;
mod http_bench;
mod http_isolation;
mod http_mends;
mod http_transcripts;
mod keys;
mod leftovers;
mod live_secrets;
mod privacy;
mod questions;
mod signatures;
mod transcripts;
mod upstream_asks;
mod upstream_eras;
mod upstream_http;
mod upstream_peer;
mod waiting;
mod webhook;
