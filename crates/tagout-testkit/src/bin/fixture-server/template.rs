//! Texts with places that arguments and answers are put into: `Hello, {user.content.name}!`.
use serde_json::{Map, Value};

/// What may stand between braces.
fn names(path: &str) -> bool {
    !path.is_empty() && path.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// The text with every place filled from `data`. What `data` does not have is `-`; a text stands
/// for itself, anything else as JSON.
pub(crate) fn fill(text: &str, data: &Value) -> String {
    let mut parts = text.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((path, rest)) if names(path) => {
                filled.push_str(&shown(at(data, path)));
                filled.push_str(rest);
            }
            _ => {
                filled.push('{');
                filled.push_str(part);
            }
        }
    }
    filled
}

/// The same for every text in `template`.
pub(crate) fn fill_all(template: &Value, data: &Value) -> Value {
    match template {
        Value::String(text) => Value::String(fill(text, data)),
        Value::Array(items) => items.iter().map(|item| fill_all(item, data)).collect(),
        Value::Object(members) => {
            let filled = members.iter().map(|(key, value)| (key.clone(), fill_all(value, data)));
            Value::Object(filled.collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

fn at<'a>(data: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(data, |value, name| value.get(name))
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_filled_and_other_braces_stay() {
        let data = json!({"id": "7", "user": {"content": {"n": 1}}});
        assert_eq!(fill(r#"{"id":"{id}"}"#, &data), r#"{"id":"7"}"#);
        assert_eq!(fill("{user.content} {user.no}", &data), r#"{"n":1} -"#);
        assert_eq!(fill("{ {id", &data), "{ {id");
    }
}
