//! Event streams over arbitrary bytes. Its corpus also runs in `tagout-wire`'s tests.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tagout_wire::sse::{Decoder, Event, SseError, encode};

const LIMIT: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let whole = decoded(&[bytes]);
    for size in [1, 2, 7] {
        let cut: Vec<_> = bytes.chunks(size).collect();
        assert_eq!(decoded(&cut), whole);
    }
    for event in whole.into_iter().flatten() {
        assert_eq!(decoded(&[&encode(&event)]), [Ok(event)]);
    }
});

fn decoded(chunks: &[&[u8]]) -> Vec<Result<Event, SseError>> {
    let mut decoder = Decoder::new(LIMIT);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(event) = decoder.next() {
            events.push(event);
        }
    }
    events
}
