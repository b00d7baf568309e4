//! What a started program gets, what it does not get, and how it ends.
#![expect(clippy::unwrap_used, clippy::panic, reason = "shared steps of tests fail like tests")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]
mod bench;
mod ends;
mod escape;
mod inheritance;
mod isolation;
mod limits;
mod observe;
mod refusals;
