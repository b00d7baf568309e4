//! The assistant as a client sees it, over an in-memory connection.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail a test in the same way as tests do"
)]

mod chart;
mod data;
mod golden;
mod properties;
mod session;
mod surface;
mod tools;
