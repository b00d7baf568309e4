//! Markdown on a terminal. The corpus also runs in `tagout-terminal`'s tests, with the same checks.
#![no_main]

#[path = "../checks/markdown.rs"]
mod markdown;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| markdown::check(bytes));
