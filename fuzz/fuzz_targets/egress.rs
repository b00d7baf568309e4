//! Heads of requests to the proxy, greetings of TLS, hosts and lists, over arbitrary bytes. Its
//! corpus also runs in `tagout-wire`'s tests.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/egress.rs"]
mod checks;

fuzz_target!(|bytes: &[u8]| {
    checks::check(bytes);
});
