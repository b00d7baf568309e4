//! The handles that clients carry between two requests of one call. The corpus also runs in
//! `tagout-gateway`'s tests, with the same checks.
#![no_main]

#[path = "../checks/state.rs"]
mod state;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| state::check(bytes));
