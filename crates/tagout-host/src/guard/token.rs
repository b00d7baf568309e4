//! A token that must not get out, found in whatever form it is written.
use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use tagout_proto::Digest;
use unicode_normalization::{UnicodeNormalization as _, is_nfkc};

/// Letters and digits of a token.
const LENGTH: usize = 24;
/// So many in a row are as good as all of it…
const PART: usize = LENGTH / 2;
/// …which are so many digits of hex…
const PART_HEX: usize = PART * 2;
/// …and at least so many of base64, wherever in three bytes they begin.
const PART_BASE64: usize = 15;
/// …which are so many of base64 in base64, at least.
const PART_TWICE: usize = 18;
/// So many letters stand for one where others are put between them.
const STRIDES: [usize; 2] = [2, 3];
/// How often one escape may hide in another.
const ROUNDS: usize = 3;

/// A token, and every form of it that is looked for.
pub(crate) struct Token {
    text: String,
    plain: Pieces,
    hex: Pieces,
    base64: Pieces,
    twice: Pieces,
}

/// Every run of some length in texts.
struct Pieces {
    length: usize,
    all: HashSet<Vec<u8>>,
}

impl Pieces {
    fn of(length: usize, texts: &[String]) -> Self {
        let runs = texts.iter().flat_map(|text| text.as_bytes().windows(length));
        Self { length, all: runs.map(<[u8]>::to_vec).collect() }
    }

    fn are_in(&self, text: &[u8]) -> bool {
        text.windows(self.length).any(|run| self.all.contains(run))
    }
}

impl Token {
    /// The token called `name` that `seed` makes. It cannot be guessed without the seed.
    pub(crate) fn new(name: &str, seed: &[u8; 32]) -> Self {
        let digest = Digest::of_parts([name.as_bytes(), seed.as_slice()]).hex();
        let text = digest.get(..LENGTH).unwrap_or_default().to_owned();
        let reversed: String = text.chars().rev().collect();
        let plain = [text.clone(), reversed];
        let spelled: Vec<_> =
            plain.iter().flat_map(|text| [text.clone(), text.to_ascii_uppercase()]).collect();
        let hex: Vec<_> = spelled.iter().map(|text| in_hex(text)).collect();
        let base64: Vec<_> = spelled.iter().flat_map(|text| in_base64(text)).collect();
        let twice: Vec<_> = base64.iter().flat_map(|text| in_base64(text)).collect();
        Self {
            plain: Pieces::of(PART, &plain),
            hex: Pieces::of(PART_HEX, &hex),
            base64: Pieces::of(PART_BASE64, &base64),
            twice: Pieces::of(PART_TWICE, &twice),
            text,
        }
    }

    /// The token.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `text` carries half of it or more: as it is, in another case, backwards, in letters
    /// that are the same to Unicode (NFKC), split by whatever is no letter or digit or by one or two
    /// others after each letter, in hex, in base64 or that in base64 again, as codes of its letters
    /// in decimal, hexadecimal or octal, behind the escapes of URLs or JSON.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let mut text = if is_nfkc(text) { text.to_owned() } else { text.nfkc().collect() };
        for _ in 0..=ROUNDS {
            if self.is_plainly_in(&text) {
                return true;
            }
            let next = unescaped(&text);
            if next == text {
                return false;
            }
            text = next;
        }
        false
    }

    fn is_plainly_in(&self, text: &str) -> bool {
        let bare: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).collect();
        // Neither base64 of letters and digits has anything but letters and digits.
        if self.base64.are_in(&bare) || self.twice.are_in(&bare) {
            return true;
        }
        let lower = bare.to_ascii_lowercase();
        let digits = text.to_ascii_lowercase().replace("0x", "");
        let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
        [&lower, &digits]
            .into_iter()
            .any(|row| self.plain.are_in(row) || self.hex.are_in(row) || self.is_between(row))
            || [10, 8].into_iter().any(|radix| self.plain.are_in(&coded(text, radix)))
    }

    /// Whether other letters stand between its own.
    fn is_between(&self, row: &[u8]) -> bool {
        STRIDES.into_iter().any(|stride| {
            (0..stride).any(|first| {
                let every: Vec<u8> = row.iter().copied().skip(first).step_by(stride).collect();
                self.plain.are_in(&every)
            })
        })
    }
}

/// The letters that the numbers in `text` are codes of, in lower case.
fn coded(text: &str, radix: u32) -> Vec<u8> {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
    let codes = numbers.filter_map(|number| u8::from_str_radix(number, radix).ok());
    codes.map(|code| code.to_ascii_lowercase()).collect()
}

fn in_hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// In base64, beginning at the first, second and third of three bytes; what depends on the
/// neighbours is left out.
fn in_base64(text: &str) -> Vec<String> {
    let at = |(before, cut): (usize, usize)| {
        let bytes = [vec![0; before], text.as_bytes().to_vec()].concat();
        let mut encoded = STANDARD_NO_PAD.encode(bytes);
        encoded.pop();
        encoded.get(cut..).unwrap_or_default().to_owned()
    };
    [(0, 0), (1, 2), (2, 3)].map(at).to_vec()
}

/// `text` with `%41`, `\u0041` and `\x41` as what they stand for.
fn unescaped(text: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['%', '\\']) {
        let (before, from) = rest.split_at(at);
        out.extend(before.as_bytes());
        let (digits, skip) = match from.as_bytes() {
            [b'%', ..] => (from.get(1..3), 3),
            [b'\\', b'u', ..] => (from.get(2..6), 6),
            [b'\\', b'x', ..] => (from.get(2..4), 4),
            _ => (None, 0),
        };
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if let Some(code) = code {
            let c = char::from_u32(code).unwrap_or(' ');
            out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = from.get(skip..).unwrap_or_default();
        } else {
            out.extend(from.as_bytes().first());
            rest = from.get(1..).unwrap_or_default();
        }
    }
    out.extend(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// `text` with `instead` wherever `token` stood, in whatever case.
pub(crate) fn without(text: &str, token: &str, instead: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in lower.match_indices(token) {
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push_str(instead);
        from = at + found.len();
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    fn split(text: &str, by: &str) -> String {
        text.chars().map(|c| format!("{c}{by}")).collect()
    }

    fn codes(text: &str, code: fn(u8) -> String) -> String {
        text.bytes().map(|byte| code(byte) + ", ").collect()
    }

    fn wide(text: &str) -> String {
        text.chars().filter_map(|c| char::from_u32(u32::from(c) + 0xfee0)).collect()
    }

    #[test]
    fn it_is_found_in_whatever_form() {
        let token = Token::new("canary", &[7; 32]);
        let t = token.as_str();
        assert_eq!(t.len(), LENGTH);
        let half = t.get(5..5 + PART).unwrap();
        let backwards: String = t.chars().rev().collect();
        let percent: String = t.bytes().map(|b| format!("%{b:02X}")).collect();
        let json: String = t.bytes().map(|b| format!("\\u{b:04x}")).collect();
        let twice = percent.replace('%', "%25");
        let forms = [
            ("as it is", t.to_owned()),
            ("upper case", t.to_ascii_uppercase()),
            ("backwards", backwards.clone()),
            ("blanks", split(t, " ")),
            ("dashes", split(t, "-")),
            ("zero width", split(t, "\u{200b}")),
            ("line ends", split(t, "\n")),
            ("percent", percent.clone()),
            ("percent of percent", twice),
            ("json", json),
            ("hex", in_hex(t)),
            ("hex of upper case", in_hex(&t.to_ascii_uppercase()).to_uppercase()),
            ("hex with prefixes", t.bytes().map(|b| format!("0x{b:02x}, ")).collect()),
            ("hex escapes", t.bytes().map(|b| format!("\\x{b:02x}")).collect()),
            ("base64", STANDARD.encode(t)),
            ("base64, one byte in", STANDARD.encode(format!("x{t}yz"))),
            ("base64, two bytes in", URL_SAFE.encode(format!("xy{t}"))),
            ("base64 of upper case", STANDARD.encode(t.to_ascii_uppercase())),
            ("base64 backwards", STANDARD.encode(&backwards)),
            ("base64 in lines", split(&STANDARD.encode(format!("ab{t}")), "\r\n")),
            ("base64, escaped", STANDARD.encode(format!("k={t}")).replace('=', "%3D")),
            ("half", half.to_owned()),
            ("half in hex", in_hex(half)),
            ("half in base64", STANDARD.encode(half)),
            ("half in base64, one byte in", STANDARD.encode(format!("-{half}--"))),
            ("half in base64, two bytes in", STANDARD.encode(format!("--{half}-"))),
            ("base64 twice", STANDARD.encode(STANDARD.encode(t))),
            ("base64 twice, one byte in", URL_SAFE.encode(format!("x{}", STANDARD.encode(t)))),
            ("half in base64 twice", STANDARD.encode(STANDARD.encode(format!("-{half}--")))),
            ("half in base64 twice, in", STANDARD.encode(format!("-{}", STANDARD.encode(half)))),
            ("wide letters", wide(t)),
            ("a letter between", split(t, "x")),
            ("a digit between", split(t, "1")),
            ("two letters between", split(t, "be")),
            ("decimal", codes(t, |byte| format!("{byte}"))),
            ("decimal of upper case", codes(&t.to_ascii_uppercase(), |byte| format!("{byte:03}"))),
            ("octal", codes(half, |byte| format!("{byte:o}"))),
            ("entities", codes(t, |byte| format!("&#{byte};"))),
            ("entities in hex", codes(t, |byte| format!("&#x{byte:x};"))),
        ];
        for (what, form) in forms {
            assert!(token.is_in(&format!("https://x.example/?q={form}&r=1")), "{what}: {form}");
        }
    }

    #[test]
    fn nothing_else_is_it() {
        let token = Token::new("canary", &[7; 32]);
        let other = Token::new("canary", &[8; 32]);
        let fewer = token.as_str().get(..PART - 1).unwrap();
        for text in ["", "%", "\\u12", "100 % \\x", other.as_str(), fewer, &"ab".repeat(10_000)] {
            assert!(!token.is_in(text), "{text}");
        }
        assert!(!other.is_in(token.as_str()));
    }

    #[test]
    fn it_is_taken_out_in_whatever_case() {
        assert_eq!(without("a KEY b key", "key", "[x]"), "a [x] b [x]");
        assert_eq!(without("äkeyö", "key", "-"), "ä-ö");
        assert_eq!(without("nothing", "key", "-"), "nothing");
    }
}
