//! The test peers behave as they are told.
#![expect(clippy::unwrap_used, clippy::panic, reason = "shared steps of tests fail like tests")]
mod fixture;
mod pty;
mod server;
