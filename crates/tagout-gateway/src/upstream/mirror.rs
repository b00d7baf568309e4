//! Arguments that HTTP headers repeat: `x-mcp-header` in input schemas (SEP-2243).
use std::collections::BTreeSet;

use tagout_proto::{Kind, Value};

use crate::config::is_token;

/// An argument that a header repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirror {
    /// The end of the header's name: `Mcp-Param-{end}`.
    end: String,
    /// Names of properties, from the arguments inward.
    path: Vec<String>,
}

const ANNOTATION: &str = "x-mcp-header";
/// Types whose values a header can repeat; numbers that need not be whole are not among them.
const TYPES: &[&str] = &["string", "integer", "boolean"];
/// Keywords whose values are no schemas, so that what stands there annotates nothing.
const DATA: &[&str] = &["default", "const", "enum", "examples"];
/// The most arguments that are repeated.
const MOST: usize = 64;
/// The longest end of a header's name, in bytes.
const END_BYTES: usize = 128;

/// The arguments that headers repeat, by the annotations in `schema`.
///
/// # Errors
/// An annotation that the standard forbids: the tool that has it is to be left out.
pub(super) fn mirrors(schema: Value<'_>) -> Result<Vec<Mirror>, String> {
    if schema.get(ANNOTATION).is_some() {
        return Err(format!("`{ANNOTATION}` stands at the schema's root"));
    }
    let mut found = Vec::new();
    reachable(schema, &mut Vec::new(), &mut found)?;
    if annotations(schema) != found.len() {
        return Err(format!("`{ANNOTATION}` stands where no single argument does"));
    }
    if found.len() > MOST {
        return Err(format!("more than {MOST} arguments have `{ANNOTATION}`"));
    }
    let mut ends = BTreeSet::new();
    match found.iter().find(|mirror| !ends.insert(mirror.end.to_ascii_lowercase())) {
        Some(twice) => Err(format!("`{ANNOTATION}` names {:?} twice", twice.end)),
        None => Ok(found),
    }
}

/// The ends of the names of headers that repeat arguments.
pub(super) fn names(mirrors: &[Mirror]) -> impl Iterator<Item = &str> {
    mirrors.iter().map(|mirror| mirror.end.as_str())
}

/// What of `arguments` headers repeat: the ends of their names, and the values.
pub(super) fn mirrored(mirrors: &[Mirror], arguments: Value<'_>) -> Vec<(String, String)> {
    let values = mirrors.iter().filter_map(|mirror| {
        let value = mirror.path.iter().try_fold(arguments, |value, key| value.get(key))?;
        let text = match value.kind() {
            Kind::String | Kind::Escaped => value.text()?.into_owned(),
            Kind::Number | Kind::True | Kind::False => value.raw().to_owned(),
            Kind::Object | Kind::Array | Kind::Null => return None,
        };
        Some((mirror.end.clone(), text))
    });
    values.collect()
}

/// Annotations of properties that nothing but `properties` leads to.
fn reachable<'a>(
    schema: Value<'a>,
    path: &mut Vec<String>,
    found: &mut Vec<Mirror>,
) -> Result<(), String> {
    let Some(properties) = schema.get("properties") else { return Ok(()) };
    for (name, property) in properties.members() {
        path.push(name.into_owned());
        if let Some(annotation) = property.get(ANNOTATION) {
            found.push(Mirror { end: end(annotation, property)?, path: path.clone() });
        }
        reachable(property, path, found)?;
        path.pop();
    }
    Ok(())
}

fn end(annotation: Value<'_>, property: Value<'_>) -> Result<String, String> {
    let text = annotation.text().ok_or_else(|| format!("`{ANNOTATION}` is no text"))?;
    if !is_token(&text) || text.len() > END_BYTES {
        return Err(format!("`{ANNOTATION}` cannot be part of a header's name"));
    }
    let kind = property.get("type").and_then(|kind| kind.text());
    if !kind.is_some_and(|kind| TYPES.contains(&&*kind)) {
        return Err(format!("`{ANNOTATION}` is for text, whole numbers and truth values only"));
    }
    Ok(text.into_owned())
}

/// How many annotations there are anywhere in a schema.
fn annotations(schema: Value<'_>) -> usize {
    let inside = |value: Value<'_>| match value.kind() {
        Kind::Object => annotations(value),
        Kind::Array => value.elements().map(annotations).sum(),
        Kind::String | Kind::Escaped | Kind::Number | Kind::True | Kind::False | Kind::Null => 0,
    };
    let members = schema.members().map(|(key, value)| match &*key {
        ANNOTATION => 1,
        // Its keys are names of arguments, which may be called anything.
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            value.members().map(|(_, schema)| inside(schema)).sum()
        }
        key if DATA.contains(&key) => 0,
        _ => inside(value),
    });
    members.sum()
}

#[cfg(test)]
mod tests {
    use tagout_proto::{Document, Limits};

    use super::*;

    fn read(text: &str) -> Document {
        Document::read(text.as_bytes(), Limits::default()).unwrap()
    }

    fn fits(properties: &str) -> bool {
        let schema = read(&format!(r#"{{"type":"object","properties":{{{properties}}}}}"#));
        mirrors(schema.root()).is_ok()
    }

    #[test]
    fn annotations_are_held_to_the_rules() {
        for (properties, ok) in [
            (r#""a":{"type":"string","x-mcp-header":"Region"}"#, true),
            (
                r#""a":{"type":"integer","x-mcp-header":"N"},"b":{"type":"boolean","x-mcp-header":"B"}"#,
                true,
            ),
            (
                r#""a":{"type":"object","properties":{"b":{"type":"string","x-mcp-header":"B"}}}"#,
                true,
            ),
            (r#""x-mcp-header":{"type":"string"}"#, true),
            (r#""a":{"type":"string","default":{"x-mcp-header":""}}"#, true),
            (r#""a":{"type":"string","x-mcp-header":""}"#, false),
            (r#""a":{"type":"string","x-mcp-header":7}"#, false),
            (r#""a":{"type":"string","x-mcp-header":"My Region"}"#, false),
            (r#""a":{"type":"string","x-mcp-header":"A:B"}"#, false),
            (r#""a":{"type":"string","x-mcp-header":"R\u00e9gion"}"#, false),
            (r#""a":{"type":"string","x-mcp-header":"A\r\nX-Evil"}"#, false),
            (r#""a":{"type":"number","x-mcp-header":"N"}"#, false),
            (r#""a":{"type":"null","x-mcp-header":"N"}"#, false),
            (r#""a":{"type":["string","null"],"x-mcp-header":"N"}"#, false),
            (r#""a":{"x-mcp-header":"N"}"#, false),
            (r#""a":{"type":"object","x-mcp-header":"N"}"#, false),
            (r#""a":{"type":"array","items":{"type":"string","x-mcp-header":"N"}}"#, false),
            (r#""a":{"anyOf":[{"type":"string","x-mcp-header":"N"}]}"#, false),
            (
                r#""a":{"type":"string","x-mcp-header":"N"},"b":{"type":"string","x-mcp-header":"n"}"#,
                false,
            ),
        ] {
            assert_eq!(fits(properties), ok, "{properties}");
        }
        assert!(mirrors(read(r#"{"x-mcp-header":"N"}"#).root()).is_err());
        let hidden = r#"{"$defs":{"x":{"type":"string","x-mcp-header":"N"}}}"#;
        assert!(mirrors(read(hidden).root()).is_err());
    }

    #[test]
    fn arguments_are_repeated_as_they_are() {
        let schema = read(
            r#"{"properties":{
                "a":{"type":"string","x-mcp-header":"A"},
                "b":{"type":"object","properties":{"c":{"type":"integer","x-mcp-header":"C"}}},
                "d":{"type":"boolean","x-mcp-header":"D"},
                "e":{"type":"string","x-mcp-header":"E"}}}"#,
        );
        let mirrors = mirrors(schema.root()).unwrap();
        let arguments = read(r#"{"a":"x\ny","b":{"c":42},"d":false,"e":null,"f":"not"}"#);
        let got = mirrored(&mirrors, arguments.root());
        let expected = [("A", "x\ny"), ("C", "42"), ("D", "false")];
        assert_eq!(got, expected.map(|(end, value)| (end.to_owned(), value.to_owned())));
    }
}
