//! Text in headers.
use proptest::prelude::*;
use tagout_wire::{
    header_value::{HeaderValueError as Bad, decode, encode},
    http::HeaderValue,
};

#[test]
fn values_travel_as_the_standard_says() {
    let cases = [
        ("us-west1", "us-west1"),
        ("", ""),
        ("us west 1", "us west 1"),
        (" us-west1 ", "=?base64?IHVzLXdlc3QxIA==?="),
        ("\tindented", "=?base64?CWluZGVudGVk?="),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("line1\r\nline2", "=?base64?bGluZTENCmxpbmUy?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("https://example.com/resource?id=123", "https://example.com/resource?id=123"),
    ];
    for (text, value) in cases {
        assert_eq!(encode(text), value, "{text:?}");
        assert_eq!(decode(&HeaderValue::from_static(value)).unwrap(), text);
    }
}

#[test]
fn values_are_read_strictly() {
    let cases: &[(&[u8], Result<&str, Bad>)] = &[
        (b"a\tb c", Ok("a\tb c")),
        (b"=?base64??=", Ok("")),
        // Without both markers, in lower case, it stands for itself.
        (b"SGVsbG8=", Ok("SGVsbG8=")),
        (b"=?base64?SGVsbG8=", Ok("=?base64?SGVsbG8=")),
        (b"SGVsbG8=?=", Ok("SGVsbG8=?=")),
        (b"=?base64?=", Ok("=?base64?=")),
        (b"=?BASE64?SGVsbG8=?=", Ok("=?BASE64?SGVsbG8=?=")),
        (b"=?base64?SGVsbG8?=", Err(Bad::NotBase64)),
        (b"=?base64?SGVsbG9=?=", Err(Bad::NotBase64)),
        (b"=?base64?SGVs bG8=?=", Err(Bad::NotBase64)),
        (b"=?base64?%%%?=", Err(Bad::NotBase64)),
        (b"=?base64?_-8=?=", Err(Bad::NotBase64)),
        (b"=?base64?//4=?=", Err(Bad::NotUtf8)),
        (b"caf\xc3\xa9", Err(Bad::NotPrintable)),
        (b" a", Err(Bad::NotPrintable)),
        (b"a\t", Err(Bad::NotPrintable)),
    ];
    for (value, expected) in cases {
        let expected = expected.map(ToOwned::to_owned);
        assert_eq!(decode(&HeaderValue::from_bytes(value).unwrap()), expected, "{value:?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_encoded_comes_back(text in any::<String>()) {
        prop_assert_eq!(decode(&encode(&text)).unwrap(), text);
    }

    #[test]
    fn look_alikes_come_back(text in "[ \t]?(=\\?)?[bB]ase64[?]?[ -~]{0,6}(\\?=)?[ \t]?") {
        let value = encode(&text);
        prop_assert_eq!(decode(&value).unwrap(), text);
    }
}
