//! The types of tools' arguments, as they stand in lockfiles and as they are found in schemas. The
//! corpus also runs in `tagout-policy`'s tests, with the same checks.
#![no_main]

#[path = "../checks/shape.rs"]
mod shape;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    shape::check(bytes);
});
