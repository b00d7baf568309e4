//! Live secrets are found in every form, and nothing else is.
use proptest::prelude::*;
use tagout_inspect::live::{LEAST_BYTES, Live};
use tagout_proto::{Document, Limits};

/// The corpus: a name, the value, and texts; `+` must lose the value, `-` must stay as it is.
const CORPUS: &str = include_str!("live/corpus.txt");

fn one(value: &str) -> Live {
    Live::new([("api-key", value)])
}

#[test]
fn the_corpus_is_cleaned() {
    let (mut value, mut hits, mut misses) = (String::new(), 0, 0);
    for (number, line) in CORPUS.lines().enumerate() {
        let number = number + 1;
        let Some((mark, written)) = line.split_at_checked(2) else { continue };
        let text = if mark == "= " {
            serde_json::from_str(&format!("\"{}\"", written.replace('"', "\\\""))).unwrap()
        } else {
            written.to_owned()
        };
        let live = one(&value);
        match mark {
            "# " => {}
            "= " => value = text,
            "+ " => {
                let cleaned = live.cleaned(&text);
                let cleaned = cleaned.unwrap_or_else(|| panic!("line {number}: {text}"));
                assert!(cleaned.text.contains("[secret api-key]"), "line {number}: {cleaned:?}");
                assert!(live.cleaned(&cleaned.text).is_none(), "line {number}: {cleaned:?}");
                hits += 1;
            }
            "- " => {
                assert_eq!(live.clean(&text), text, "line {number}");
                misses += 1;
            }
            other => panic!("line {number}: {other}"),
        }
    }
    assert!(hits >= 40 && misses >= 10, "{hits} {misses}");
}

#[test]
fn nothing_is_looked_for_that_turns_up_by_chance() {
    assert!(one("1234567").is_empty() && Live::default().is_empty());
    assert!(!one("12345678").is_empty());
    assert_eq!(LEAST_BYTES, 8);
}

#[test]
fn what_stands_in_its_place_never_holds_a_value() {
    let live = Live::new([("password", "password")]);
    assert_eq!(live.clean("the password!"), "the [secret]!");
    let live = Live::new([("x-secret", "x-secret"), ("y", "[secret]")]);
    assert_eq!(live.clean("an x-secret"), "an [***]");
    assert_eq!(format!("{live:?}"), "Live(2 values)");
}

#[test]
fn values_that_overlap_leave_nothing_of_either() {
    let live = Live::new([("one", "abcdefgh"), ("two", "efghijkl")]);
    assert_eq!(live.clean("<abcdefghijkl>"), "<[secret one]>");
    assert_eq!(live.clean("<abcdefgh efghijkl>"), "<[secret one] [secret two]>");
}

#[test]
fn a_key_of_many_lines_is_found_by_each_of_them() {
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqir\nVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n";
    let live = one(key);
    assert_eq!(live.clean(key), "[secret api-key]");
    assert_eq!(live.clean("only Vv9mWG9q"), "only Vv9mWG9q", "a part of a line");
    let line = "> MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqir";
    assert_eq!(live.clean(line), "> [secret api-key]");
    assert_eq!(live.clean("-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
}

fn cleaned(live: &Live, json: &str) -> Option<(String, u32)> {
    let document = Document::read(json.as_bytes(), Limits::default()).unwrap();
    let cleaned = live.cleaned_json(document.root())?;
    Document::read(cleaned.text.as_bytes(), Limits::default()).unwrap();
    Some((cleaned.text, cleaned.caught.count))
}

#[test]
fn json_stays_json() {
    let live = Live::new([("key", "hunter2\"x"), ("pin", "987654321"), ("pair", r#"{"a":"bc"}"#)]);
    for (json, clean, count) in [
        (r#"{"a":"hunter2\"x"}"#, r#"{"a":"[secret key]"}"#, 1),
        (r#"{"a":"h\u0075nter2\u0022x"}"#, r#"{"a":"[secret key]"}"#, 1),
        (r#"{"hunter2\"x":1}"#, r#"{"[secret key]":1}"#, 1),
        (r#"{"n":[987654321,1]}"#, r#"{"n":["[secret pin]",1]}"#, 1),
        (r#"{"n":1987654321.5}"#, r#"{"n":"[secret pin]"}"#, 1),
        (r#"{"inner":{"a":"bc"},"b":2}"#, r#"{"inner":"[secret pair]","b":2}"#, 1),
        (r#"{"a":"bc"}"#, r#"{"secret":"[secret pair]"}"#, 1),
        (r#"["{\"t\":\"hunter2\\\"x\"}"]"#, r#"["{\"t\":\"[secret key]\"}"]"#, 1),
        (r#"["hunter2\"x","hunter2%22x"]"#, r#"["[secret key]","[secret key]"]"#, 2),
    ] {
        assert_eq!(cleaned(&live, json), Some((clean.to_owned(), count)), "{json}");
    }
    assert_eq!(cleaned(&live, r#"{"a":["hunter2", 98765432, null, true]}"#), None);
}

#[test]
fn a_definition_keeps_its_names_and_loses_its_texts() {
    let live = Live::new([("key", "password"), ("pin", "987654321")]);
    let definition = r#"{"name":"login","description":"knows password","inputSchema":{"properties":{"password":{"default":"password","maximum":987654321}},"required":["password"]}}"#;
    let document = Document::read(definition.as_bytes(), Limits::default()).unwrap();
    let cleaned = live.cleaned_texts(document.root()).unwrap();
    let [name] = cleaned.caught.names.iter().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((&**name, cleaned.caught.count), ("key", 2));
    assert_eq!(
        cleaned.text,
        definition
            .replace("knows password", "knows [secret key]")
            .replace(r#""default":"password""#, r#""default":"[secret key]""#,)
    );
    let document = Document::read(br#"{"password":1}"#, Limits::default()).unwrap();
    assert_eq!(live.cleaned_texts(document.root()), None);
}

#[test]
fn what_is_cut_is_cut_beside_a_value() {
    let live = one("hunter2hunter2");
    let text = b"a hunter2hunter2 b hunter2";
    for (most, at) in [(0, 0), (2, 2), (3, 2), (15, 2), (16, 16), (17, 17), (99, text.len())] {
        assert_eq!(live.cut(text, most), at, "{most}");
    }
    let escaped = b"a h%75nter2hunter2 b";
    assert_eq!(live.cut(escaped, 5), 2);
}

fn base64(bytes: &[u8]) -> String {
    let letters: Vec<char> =
        ('A'..='Z').chain('a'..='z').chain('0'..='9').chain("+/".chars()).collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for n in 0..=chunk.len() {
            let six = usize::try_from(group >> (18 - 6 * n) & 63).unwrap();
            text.extend(letters.get(six));
        }
        text.push_str(&"=".repeat(3 - chunk.len()));
    }
    text
}

proptest! {
    /// Whatever stands around it, and whatever it is made of.
    #[test]
    fn no_form_gets_through(
        value in "[ -~\u{e4}\u{20ac}]{8,40}", before in "[a-z0-9 ]{0,7}", after in "[a-z0-9 ]{0,7}",
    ) {
        let live = one(&value);
        let around = format!("{before}{value}{after}");
        let upper: String = around.bytes().map(|byte| format!("{byte:02X}")).collect();
        let percent: String = around.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let units: String = around.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let json = serde_json::to_string(&around).unwrap();
        let twice = serde_json::to_string(&json).unwrap();
        let url = base64(around.as_bytes()).replace('+', "-").replace('/', "_");
        let forms = [
            around.clone(), upper.to_lowercase(), upper, percent, units, json, twice,
            base64(around.as_bytes()), url,
        ];
        for form in forms {
            prop_assert!(live.cleaned(&form).is_some(), "{form}");
        }
    }

    #[test]
    fn what_has_no_secret_is_as_it_was(text: String) {
        let live = one("a value that no text of theirs has");
        prop_assert!(live.clean(&text) == text.as_str());
    }

    /// Nothing panics, and nothing of it is left, at whatever depth and however it is mixed.
    #[test]
    fn mixed_escapes_are_seen_through(text in "(h|\\\\u0068|%68)(u|\\\\x75|%75)(n|%6E)ter22") {
        let live = one("hunter22");
        let cleaned = live.clean(&text).into_owned();
        prop_assert_eq!(cleaned, "[secret api-key]");
    }
}
