//! A loop that repeats itself.
use std::collections::{HashMap, HashSet};

use serde_json::Value;
use tagout_proto::Digest;

/// So often in a row the same call may come to the same, and a turn may say the same.
const SAME: usize = 3;

/// The calls of one question, and what came of them.
#[derive(Default)]
pub(crate) struct Repeats {
    calls: HashMap<Digest, Run>,
    /// Everything that came of any call.
    seen: HashSet<Digest>,
    /// The call that is being made.
    current: Option<Digest>,
    /// What was said in the last turns.
    said: Option<Digest>,
    turns: usize,
    /// Whether a call came to anything new since the last turn.
    news: bool,
}

/// What a call came to last, and how often in a row.
struct Run {
    result: Digest,
    length: usize,
}

impl Repeats {
    /// Whether a call came to the same thing again and again, however its arguments are spelled.
    /// One whose results change may go on.
    pub(crate) fn again(&mut self, tool: &str, arguments_raw: &str) -> bool {
        let mut arguments = String::new();
        match serde_json::from_str(arguments_raw) {
            Ok(value) => canonical(&value, &mut arguments),
            Err(_) => arguments_raw.clone_into(&mut arguments),
        }
        let call = Digest::of_parts([tool.as_bytes(), arguments.as_bytes()]);
        self.current = Some(call);
        self.calls.get(&call).is_some_and(|run| run.length >= SAME)
    }

    /// What the call came to that was asked about last.
    pub(crate) fn came_to(&mut self, result: Digest) {
        self.news |= self.seen.insert(result);
        let Some(call) = self.current.take() else { return };
        let run = self.calls.entry(call).or_insert(Run { result, length: 0 });
        run.length = if run.result == result { run.length + 1 } else { 1 };
        run.result = result;
    }

    /// Whether turn after turn says the same and no call comes to anything new.
    pub(crate) fn says_the_same(&mut self, text: &str) -> bool {
        let said = (!text.trim().is_empty()).then(|| Digest::of(text.trim().as_bytes()));
        let news = std::mem::take(&mut self.news);
        let same = said.is_some() && said == self.said && !news;
        self.turns = if same { self.turns + 1 } else { 1 };
        self.said = said;
        self.turns > SAME
    }
}

/// Writes a value in the one way that all of its spellings come to: members in order, and numbers
/// that are the same written the same.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in members {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for value in list {
                canonical(value, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // `1.0` is written as `1`, as whole numbers are.
            Some(number) => out.push_str(&number.to_string()),
            None => out.push_str(&number.to_string()),
        },
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays calls, a letter each with the result after it, until one is stopped.
    fn stopped_at(calls: &str) -> Option<usize> {
        let mut repeats = Repeats::default();
        calls.split_whitespace().position(|step| {
            let (call, result) = step.split_at(1);
            let again = repeats.again(call, "{}");
            repeats.came_to(Digest::of(result.as_bytes()));
            again
        })
    }

    #[test]
    fn the_same_call_with_the_same_result_is_stopped() {
        for (calls, expected) in [
            ("a1 a1 a1 a1", Some(3)),
            ("a1 a2 a3 a4 a5 a6 a7 a8", None),
            ("a1 a1 a1", None),
            ("a1 a1 a2 a2 a2 a2", Some(5)),
            ("a1 b1 a1 b1 a1 b1 a1 b1", Some(6)),
            ("a1 b1 c1 a1 b1 c1 a1 b1 c1 a1", Some(9)),
            ("a1 b1 a2 b2 a3 b3 a4 b4 a5 b5", None),
        ] {
            assert_eq!(stopped_at(calls), expected, "{calls}");
        }
    }

    #[test]
    fn arguments_are_the_same_however_they_are_spelled() {
        let spelled = [
            r#"{"a":1,"b":[2.50]}"#,
            r#"{"b": [25e-1], "a": 1.0}"#,
            r#"{"a":1e0,"b":[2.5]}"#,
            "{ \"\\u0061\":1,\"b\":[2.5]}",
        ];
        let mut repeats = Repeats::default();
        let again: Vec<_> = spelled
            .iter()
            .map(|raw| {
                let again = repeats.again("t", raw);
                repeats.came_to(Digest::of(b"x"));
                again
            })
            .collect();
        assert_eq!(again, [false, false, false, true]);
        assert!(!repeats.again("t", r#"{"a":1,"b":[2.6]}"#));
        assert!(!repeats.again("u", spelled[0]));
    }

    #[test]
    fn the_same_words_without_news_are_stopped() {
        for (turns, expected) in [
            ("wait:1 wait:1 wait:1 wait:1 wait:1", Some(4)),
            ("wait:1 wait:2 wait:3 wait:4 wait:5 wait:6", None),
            ("a:1 b:1 a:1 b:1 a:1 b:1", None),
            (":1 :1 :1 :1 :1", None),
        ] {
            let mut repeats = Repeats::default();
            let stopped = turns.split_whitespace().enumerate().position(|(at, turn)| {
                let (text, result) = turn.split_once(':').unwrap();
                let same = repeats.says_the_same(text);
                repeats.again("t", &at.to_string());
                repeats.came_to(Digest::of(result.as_bytes()));
                same
            });
            assert_eq!(stopped, expected, "{turns}");
        }
    }
}
