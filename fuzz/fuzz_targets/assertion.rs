//! The statements by which servers know who is calling. The corpus also runs in
//! `tagout-assertion`'s tests, with the same checks.
#![no_main]

#[path = "../checks/assertion.rs"]
mod assertion;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assertion::check(bytes);
});
