//! The streams of language models, on all five wires. The corpus also runs in `tagout-llm`'s tests,
//! with the same checks.
#![no_main]

#[path = "../checks/models.rs"]
mod models;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _a_turn = models::check(bytes);
});
