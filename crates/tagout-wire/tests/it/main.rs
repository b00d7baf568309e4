//! How frames travel: lines, HTTP on both sides, event streams.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]
mod access;
mod client;
mod corpus;
mod egress;
mod header_value;
mod lines;
mod malformed;
mod overload;
mod peers;
mod pool;
mod server;
mod sse;
mod tls;
