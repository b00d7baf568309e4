use proptest::prelude::*;
use tagout_assertion::{digest_of, digest_of_json, in_canonical_form};

#[test]
fn the_canonical_form_is_that_of_rfc_8785() {
    for (text, canonical) in [
        (r#"{"b":1,"a":[true,null]}"#, r#"{"a":[true,null],"b":1}"#),
        (" { } ", "{}"),
        (r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/""#, r#""€$\u000f\nA'B\"\\\\\"/""#),
        // By UTF-16 code units: the surrogates of U+1F600 come before U+FB33.
        ("{\"\u{fb33}\":1,\"\u{1f600}\":2,\"1\":3}", "{\"1\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.0", "1"),
        ("1E30", "1e+30"),
        ("4.50", "4.5"),
        ("2e-3", "0.002"),
        ("333333333.33333329", "333333333.3333333"),
        ("0.000000000000000000000000001", "1e-27"),
        ("1e21", "1e+21"),
        ("1e20", "100000000000000000000"),
        ("123.456e3", "123456"),
        ("-1.5", "-1.5"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("295147905179352830000.0", "295147905179352830000"),
        ("1234567.125", "1234567.125"),
        // Here it differs: all digits, where RFC 8785 would round.
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        assert_eq!(in_canonical_form(text).as_deref(), Ok(canonical), "{text}");
    }
}

#[test]
fn equal_arguments_have_one_digest_and_others_another() {
    let of = |text| digest_of_json(text).unwrap();
    assert_eq!(of(r#"{"a":1.0,"b":"x"}"#), of(r#"{ "b": "\u0078", "a": 1 }"#));
    assert_ne!(of(r#"{"a":9007199254740992}"#), of(r#"{"a":9007199254740993}"#));
    assert_ne!(of(r#"{"a":"1"}"#), of(r#"{"a":1}"#));
    assert_eq!(digest_of(None), of("{}"));
    assert!(digest_of_json(r#"{"a":1,"a":2}"#).is_err());
}

proptest! {
    #[test]
    fn the_canonical_form_is_its_own(number in any::<f64>(), whole in any::<i64>(), text in ".*") {
        prop_assume!(number.is_finite());
        let text = serde_json::json!({ "n": number, "w": whole, "t": text, "": [number] });
        let once = in_canonical_form(&text.to_string()).unwrap();
        prop_assert_eq!(in_canonical_form(&once).unwrap(), once.clone());
        let back: serde_json::Value = serde_json::from_str(&once).unwrap();
        prop_assert_eq!(back["n"].as_f64(), Some(number));
        prop_assert_eq!(&back["w"], &text["w"]);
        prop_assert_eq!(&back["t"], &text["t"]);
    }
}
