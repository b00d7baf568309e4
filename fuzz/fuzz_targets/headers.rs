//! Text in headers, and the names of hosts and origins, over arbitrary bytes. Its corpus also runs
//! in `tagout-wire`'s tests.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tagout_wire::{
    header_value::{decode, encode},
    http::{Access, HeaderValue},
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        if let Ok(text) = decode(&value) {
            assert_eq!(decode(&encode(&text)), Ok(text));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(decode(&encode(text)).as_deref(), Ok(text));
        let host = Access::new().with_host(text).is_ok();
        assert!(!host || Access::new().with_origin(text).is_err());
        assert_eq!(host, Access::new().with_origin(&format!("https://{text}")).is_ok());
    }
});
