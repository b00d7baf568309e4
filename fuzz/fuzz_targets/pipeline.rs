//! What a client sends, through the whole gateway, against another reader of the protocol. The
//! corpus also runs in `tagout-gateway`'s tests, with the same checks.
#![no_main]

#[path = "../checks/pipeline.rs"]
mod pipeline;
#[path = "../checks/stand_in.rs"]
mod stand_in;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _passed_on = pipeline::check(bytes);
});
