//! The Cedar schema that rules are checked against, made from what is pinned.
use cedar_policy::{Schema, SchemaFragment};
use serde_json::{Map, Value, json};

use crate::{
    effects::Effect,
    names::{self, CALL_TOOL, OTHERS, UNPINNED, tool_action},
    shape::Shape,
    surface::Surface,
};

/// The schema, and its text for people.
pub(crate) fn schema(surface: &Surface) -> Result<(Schema, String), String> {
    let json = json!({ "": {
        "commonTypes": common(surface),
        "entityTypes": entities(),
        "actions": actions(surface),
    }});
    let fragment = SchemaFragment::from_json_value(json).map_err(|error| error.to_string())?;
    let text = fragment.to_cedarschema().map_err(|error| error.to_string())?;
    // Nothing here is called as Cedar's own types are.
    let text = text.replace(": __cedar::", ": ").replace("Set<__cedar::", "Set<");
    let schema = fragment.try_into().map_err(|error: cedar_policy::SchemaError| error.to_string());
    Ok((schema?, text))
}

fn kind(name: &str) -> Value {
    json!({ "type": name })
}

fn set_of_texts() -> Value {
    json!({ "type": "Set", "element": { "type": "String" } })
}

fn extension(name: &str) -> Value {
    json!({ "type": "Extension", "name": name })
}

/// A record of `members`: names, types, and whether they are always there.
fn record(members: impl IntoIterator<Item = (String, Value, bool)>) -> Value {
    let attributes: Map<String, Value> = members
        .into_iter()
        .map(|(name, mut kind, required)| {
            if let Some(members) = kind.as_object_mut() {
                members.insert("required".to_owned(), required.into());
            }
            (name, kind)
        })
        .collect();
    json!({ "type": "Record", "attributes": attributes })
}

fn always<const N: usize>(members: [(&str, Value); N]) -> Value {
    record(members.map(|(name, kind)| (name.to_owned(), kind, true)))
}

fn common(surface: &Surface) -> Value {
    let long = || kind("Long");
    let counts =
        |names: Vec<&str>| record(names.into_iter().map(|name| (name.to_owned(), long(), false)));
    let tools = surface.tools.iter().map(|tool| tool.qualified.as_str()).collect();
    let effects = Effect::ALL.iter().map(|effect| (effect.as_str().to_owned(), long(), true));
    let mut history = vec![
        ("tools".to_owned(), counts(tools), true),
        ("servers".to_owned(), counts(surface.server_names().collect()), true),
        ("effects".to_owned(), record(effects), true),
    ];
    for name in ["calls", "denials", "last_minute", "this_tool", "this_server"] {
        history.push((name.to_owned(), long(), true));
    }
    for name in ["approved_s", "denied_s"] {
        history.push((name.to_owned(), long(), false));
    }
    json!({
        "Approval": always([
            ("own", kind("Boolean")),
            ("people", long()),
            ("outside", kind("Boolean")),
            ("groups", set_of_texts()),
        ]),
        "Number": record([
            ("text".to_owned(), kind("String"), true),
            ("decimal".to_owned(), extension("decimal"), false),
        ]),
        "History": record(history),
    })
}

fn entities() -> Value {
    let user = always([("authenticated_by", kind("String")), ("groups", set_of_texts())]);
    let thing = || {
        let shape = always([
            ("server", kind("String")),
            ("name", kind("String")),
            ("effects", set_of_texts()),
            ("reviewed", kind("Boolean")),
            ("labels", set_of_texts()),
            ("destinations", set_of_texts()),
            ("payloads", set_of_texts()),
        ]);
        json!({ "memberOfTypes": ["Server"], "shape": shape })
    };
    json!({
        "Group": {},
        "User": { "memberOfTypes": ["Group"], "shape": user },
        "Server": {},
        "Tool": thing(),
        "Resource": thing(),
        "Prompt": thing(),
        "Task": thing(),
        "Question": thing(),
    })
}

fn actions(surface: &Surface) -> Value {
    let mut actions = Map::new();
    let tool = |shape: &Shape| {
        let applies = applies(&["Tool"], shape);
        json!({ "memberOf": [{ "id": CALL_TOOL }], "appliesTo": applies })
    };
    actions.insert(CALL_TOOL.to_owned(), json!({}));
    actions.insert(UNPINNED.to_owned(), tool(&Shape::NOTHING));
    for pinned in &surface.tools {
        actions.insert(tool_action(&pinned.qualified).into_owned(), tool(&pinned.shape));
    }
    for (action, resources) in OTHERS {
        let applies = applies(resources, names::fixed(action));
        actions.insert(action.as_str().to_owned(), json!({ "appliesTo": applies }));
    }
    Value::Object(actions)
}

fn applies(resources: &[&str], arguments: &Shape) -> Value {
    let context = record([
        ("approved".to_owned(), kind("Boolean"), true),
        ("approval".to_owned(), kind("Approval"), true),
        ("client".to_owned(), kind("String"), true),
        ("transport".to_owned(), kind("String"), true),
        ("method".to_owned(), kind("String"), true),
        ("address".to_owned(), extension("ipaddr"), false),
        ("arguments".to_owned(), type_of(arguments), true),
        ("undeclared".to_owned(), kind("String"), true),
        ("now".to_owned(), extension("datetime"), true),
        ("history".to_owned(), kind("History"), true),
    ]);
    json!({ "principalTypes": ["User"], "resourceTypes": resources, "context": context })
}

fn type_of(shape: &Shape) -> Value {
    match shape {
        Shape::Text => kind("String"),
        Shape::Whole => kind("Long"),
        Shape::Truth => kind("Boolean"),
        Shape::Number => kind("Number"),
        Shape::Json => always([("json", kind("String"))]),
        Shape::List(elements) => always([
            ("elements", json!({ "type": "Set", "element": type_of(elements) })),
            ("length", kind("Long")),
            ("json", kind("String")),
        ]),
        Shape::Nullable(shape) => record([("value".to_owned(), type_of(shape), false)]),
        Shape::Record(fields) => record(
            fields
                .iter()
                .map(|(name, field)| (name.clone(), type_of(&field.shape), field.required)),
        ),
    }
}
