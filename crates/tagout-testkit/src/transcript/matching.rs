//! Comparing what came with what was expected.
use std::collections::BTreeMap;

use serde_json::{Map, Value};

const ANY: &str = "<any>";
const OTHERS: &str = "...";

/// Values that were given a name with `"<as NAME>"`.
pub(crate) type Names = BTreeMap<String, Value>;

/// How `actual` differs from `expected`, each with the place; empty when it matches. Knows the
/// stand-ins of [transcripts](crate::transcript), but not those with a name.
#[must_use]
pub fn differences(expected: &Value, actual: &Value) -> Vec<String> {
    compare(expected, actual, &mut Names::new())
}

/// As [`differences`], and gives names to values.
pub(crate) fn compare(expected: &Value, actual: &Value, names: &mut Names) -> Vec<String> {
    let mut comparison = Comparison { names, found: Vec::new(), members: Members::Exact };
    comparison.value("", expected, actual);
    comparison.found
}

/// As [`differences`], where every object may have more members than expected.
pub(crate) fn lacking(expected: &Value, actual: &Value) -> Vec<String> {
    let names = &mut Names::new();
    let mut comparison = Comparison { names, found: Vec::new(), members: Members::AtLeast };
    comparison.value("", expected, actual);
    comparison.found
}

/// Replaces every `"<as NAME>"` in a line that is to be sent.
pub(crate) fn fill(line: &[u8], names: &Names) -> Vec<u8> {
    // A line that is no text has no place for names.
    let Ok(text) = std::str::from_utf8(line) else { return line.to_owned() };
    let filled = names.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("\"<as {name}>\""), &value.to_string())
    });
    filled.into_bytes()
}

#[derive(Clone, Copy, PartialEq)]
enum Members {
    Exact,
    AtLeast,
}

struct Comparison<'a> {
    names: &'a mut Names,
    found: Vec<String>,
    members: Members,
}

impl Comparison<'_> {
    fn value(&mut self, place: &str, expected: &Value, actual: &Value) {
        match (expected, actual) {
            (Value::String(pattern), _) => self.pattern(place, pattern, actual),
            (Value::Object(expected), Value::Object(actual)) => {
                self.object(place, expected, actual);
            }
            (Value::Array(expected), Value::Array(actual)) => self.array(place, expected, actual),
            _ if expected == actual => {}
            _ => self.differs(place, expected, actual),
        }
    }

    fn pattern(&mut self, place: &str, pattern: &str, actual: &Value) {
        let name = pattern.strip_prefix("<as ").and_then(|rest| rest.strip_suffix('>'));
        let matches = match (name, actual) {
            (Some(name), _) => {
                self.names.entry(name.to_owned()).or_insert_with(|| actual.clone()) == actual
            }
            (None, Value::String(text)) => fits(pattern, text),
            (None, _) => pattern == ANY,
        };
        if !matches {
            self.differs(place, &Value::from(pattern), actual);
        }
    }

    fn object(&mut self, place: &str, expected: &Map<String, Value>, actual: &Map<String, Value>) {
        let open = self.members == Members::AtLeast || expected.contains_key(OTHERS);
        for (name, value) in expected.iter().filter(|(name, _)| *name != OTHERS) {
            match actual.get(name) {
                Some(actual) => self.value(&format!("{place}/{name}"), value, actual),
                None => self.found.push(format!("at {place}/{name}: missing, expected {value}")),
            }
        }
        for (name, value) in actual.iter().filter(|(name, _)| !expected.contains_key(*name)) {
            if !open {
                self.found.push(format!("at {place}/{name}: unexpected {value}"));
            }
        }
    }

    fn array(&mut self, place: &str, expected: &[Value], actual: &[Value]) {
        if expected.len() != actual.len() {
            let (wanted, got) = (expected.len(), actual.len());
            self.found.push(format!("at {place}: expected {wanted} elements, got {got}"));
        }
        for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
            self.value(&format!("{place}/{index}"), expected, actual);
        }
    }

    fn differs(&mut self, place: &str, expected: &Value, actual: &Value) {
        self.found.push(format!("at {place}: expected {expected}, got {actual}"));
    }
}

/// Whether `text` is `pattern` with something in the place of every `<any>`.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split(ANY);
    let Some(mut rest) = pieces.next().and_then(|start| text.strip_prefix(start)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_name_their_place() {
        let expected = json!({"a": [1, {"b": "x"}], "c": "<any>", "d": "no <any>."});
        assert_eq!(
            differences(&expected, &json!({"d": "no 17.", "c": null, "a": [1, {"b": "x"}]})),
            Vec::<String>::new()
        );
        assert_eq!(
            differences(&expected, &json!({"a": [1, {"b": "y"}], "d": "no 17", "e": 5})),
            [
                "at /a/1/b: expected \"x\", got \"y\"",
                "at /c: missing, expected \"<any>\"",
                "at /d: expected \"no <any>.\", got \"no 17\"",
                "at /e: unexpected 5",
            ]
        );
        assert_eq!(differences(&json!([1]), &json!([1, 2])), ["at : expected 1 elements, got 2"]);
        assert_eq!(differences(&json!({"...": 0, "a": 1}), &json!({"a": 1, "b": 2})).len(), 0);
        assert_eq!(lacking(&json!({"a": {}}), &json!({"a": {"b": 1}, "c": 2})).len(), 0);
    }

    #[test]
    fn a_name_stands_for_one_value() {
        let mut names = Names::new();
        assert_eq!(compare(&json!({"id": "<as q>"}), &json!({"id": 7}), &mut names).len(), 0);
        assert_eq!(compare(&json!("<as q>"), &json!(7), &mut names).len(), 0);
        assert_eq!(compare(&json!("<as q>"), &json!(8), &mut names).len(), 1);
        assert_eq!(fill(br#"{"id":"<as q>"}"#, &names), br#"{"id":7}"#);
    }

    #[test]
    fn any_stands_for_anything_in_between() {
        for text in ["ab", "a-b", "a-b-b"] {
            assert!(fits("a<any>b", text), "{text}");
        }
        assert!(fits("<any>b<any>", "abc"));
        for text in ["", "a", "b", "a-bc"] {
            assert!(!fits("a<any>b", text), "{text}");
        }
    }
}
