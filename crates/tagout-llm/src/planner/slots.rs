//! The arguments of a tool, one by one, read from its JSON Schema.
use serde_json::Value;

use super::{
    quantities::{Unit, unit_of},
    words::stems,
};
use crate::arguments::resolve;

/// How deep objects are followed, and how many arguments are looked at.
const DEPTH: usize = 4;
const SLOTS: usize = 64;

/// One argument that holds a value and not further arguments.
#[derive(Debug)]
pub(super) struct Slot<'s> {
    pub(super) path: Vec<&'s str>,
    pub(super) kind: Kind<'s>,
    /// Whether it is a list of such values.
    pub(super) many: bool,
    pub(super) description: Option<&'s str>,
    pub(super) unit: Option<&'static Unit>,
    /// Whether every call needs it.
    pub(super) required: bool,
    /// Whether a call needs it that has anything else of the same object.
    pub(super) required_in_parent: bool,
    /// The stems of its name, without the unit.
    pub(super) stems: Vec<String>,
}

/// What values an argument takes.
#[derive(Debug)]
pub(super) enum Kind<'s> {
    Number { integer: bool, least: Option<f64>, most: Option<f64> },
    Text { pattern: Option<&'s str> },
    Choice(Vec<&'s Value>),
    Flag,
    Date,
    DateTime,
    Constant(&'s Value),
    Other,
}

/// What a tool takes.
#[derive(Debug, Default)]
pub(super) struct Shape<'s> {
    pub(super) slots: Vec<Slot<'s>>,
    /// Objects that every call needs, even if empty.
    pub(super) objects: Vec<Vec<&'s str>>,
}

impl Slot<'_> {
    /// `weather_data.temp_c`.
    pub(super) fn dotted(&self) -> String {
        self.path.join(".")
    }

    pub(super) fn name(&self) -> &str {
        self.path.last().copied().unwrap_or_default()
    }

    pub(super) fn parent(&self) -> &[&str] {
        self.path.split_last().map_or(&[], |(_, parent)| parent)
    }

    /// Whether it holds a path of a file system, by its name or description.
    pub(super) fn is_path(&self) -> bool {
        let is = |text: &str| {
            stems(text).iter().any(|stem| {
                matches!(
                    stem.as_str(),
                    "path" | "file" | "filename" | "directory" | "dir" | "folder" | "repo"
                )
            })
        };
        is(self.name()) || self.description.is_some_and(is)
    }

    /// What it must look like, in words.
    pub(super) fn constraint(&self) -> String {
        let unit = self.unit.map_or(String::new(), |unit| format!(" in {}", unit.symbol));
        let one = match &self.kind {
            Kind::Number { integer, least, most } => {
                let what = if *integer { "a whole number" } else { "a number" };
                let range = match (least, most) {
                    (Some(least), Some(most)) => format!(" from {least} to {most}"),
                    (Some(least), None) => format!(" of at least {least}"),
                    (None, Some(most)) => format!(" of at most {most}"),
                    (None, None) => String::new(),
                };
                format!("{what}{range}{unit}")
            }
            Kind::Text { pattern: Some(pattern) } => format!("text of the form `{pattern}`"),
            Kind::Text { pattern: None } => "text".into(),
            Kind::Choice(values) => format!("one of {} values", values.len()),
            Kind::Flag => "yes or no".into(),
            Kind::Date => "a date, such as 2026-01-31".into(),
            Kind::DateTime => "a date and time, such as 2026-01-31T08:00:00Z".into(),
            Kind::Constant(value) => format!("{value}"),
            Kind::Other => "a JSON value".into(),
        };
        if self.many { format!("a list; each {one}") } else { one }
    }

    /// The values to choose from, if they are few.
    pub(super) fn allowed(&self) -> Vec<String> {
        match &self.kind {
            Kind::Choice(values) => values.iter().take(50).map(|value| plain(value)).collect(),
            Kind::Number { .. }
            | Kind::Text { .. }
            | Kind::Flag
            | Kind::Date
            | Kind::DateTime
            | Kind::Constant(_)
            | Kind::Other => Vec::new(),
        }
    }
}

/// A value as people write it.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A schema with what it refers to, outermost first: the outer description wins, the inner type is
/// found.
struct View<'s> {
    layers: Vec<&'s Value>,
}

impl<'s> View<'s> {
    fn of(root: &'s Value, schema: &'s Value) -> Self {
        let mut layers = vec![schema];
        let mut current = schema;
        // Eight steps are more than any generator writes and end a circle.
        for _ in 0..8 {
            let Some(inner) = inner(root, current) else { break };
            layers.push(inner);
            current = inner;
        }
        Self { layers }
    }

    fn get(&self, keyword: &str) -> Option<&'s Value> {
        self.layers.iter().find_map(|layer| layer.get(keyword))
    }

    fn text(&self, keyword: &str) -> Option<&'s str> {
        self.get(keyword).and_then(Value::as_str)
    }

    fn number(&self, keyword: &str) -> Option<f64> {
        self.get(keyword).and_then(Value::as_f64)
    }

    /// The type; of several, the first that is not `null`.
    fn kind(&self) -> Option<&'s str> {
        match self.get("type")? {
            Value::String(one) => Some(one),
            Value::Array(several) => {
                several.iter().filter_map(Value::as_str).find(|&kind| kind != "null")
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }

    /// `enum`, or `oneOf` of constants, which is how generators write enumerations with comments.
    fn choices(&self) -> Option<Vec<&'s Value>> {
        if let Some(values) = self.get("enum").and_then(Value::as_array) {
            return Some(values.iter().filter(|value| !value.is_null()).collect());
        }
        let options = ["oneOf", "anyOf"].iter().find_map(|&key| self.get(key)?.as_array())?;
        let consts: Vec<&Value> = options.iter().filter_map(|option| option.get("const")).collect();
        (!consts.is_empty() && consts.len() == options.len()).then_some(consts)
    }
}

/// One step inwards: a reference, the only member of `allOf`, or the only alternative to `null`.
fn inner<'s>(root: &'s Value, schema: &'s Value) -> Option<&'s Value> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return resolve(root, reference);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let members = schema.get(keyword).and_then(Value::as_array).into_iter().flatten();
        let is_null = |member: &&Value| member.get("type").and_then(Value::as_str) == Some("null");
        let mut members = members.filter(|member| !is_null(member));
        if let (Some(only), None) = (members.next(), members.next()) {
            return Some(only);
        }
    }
    None
}

/// The arguments of a tool.
pub(super) fn shape(schema: &Value) -> Shape<'_> {
    let mut shape = Shape::default();
    collect(&mut shape, schema, Place { schema, path: Vec::new(), required: true, depth: 0 });
    shape
}

struct Place<'s> {
    schema: &'s Value,
    path: Vec<&'s str>,
    required: bool,
    depth: usize,
}

fn collect<'s>(shape: &mut Shape<'s>, root: &'s Value, place: Place<'s>) {
    let view = View::of(root, place.schema);
    let Some(properties) = view.get("properties").and_then(Value::as_object) else { return };
    let required: Vec<&str> = view
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, schema) in properties {
        if shape.slots.len() >= SLOTS {
            return;
        }
        let mut path = place.path.clone();
        path.push(name);
        let here = required.contains(&name.as_str());
        let view = View::of(root, schema);
        if view.get("properties").is_some() && place.depth < DEPTH {
            let required = place.required && here;
            if required {
                shape.objects.push(path.clone());
            }
            collect(shape, root, Place { schema, path, required, depth: place.depth + 1 });
        } else {
            let slot = slot(root, &view, path);
            let required = place.required && here;
            shape.slots.push(Slot { required, required_in_parent: here, ..slot });
        }
    }
}

fn slot<'s>(root: &'s Value, view: &View<'s>, path: Vec<&'s str>) -> Slot<'s> {
    let items = view.get("items").filter(|_| view.kind() == Some("array"));
    let item = items.map(|items| View::of(root, items));
    let many = item.is_some();
    let description = view.text("description").or_else(|| item.as_ref()?.text("description"));
    let kind = kind(item.as_ref().unwrap_or(view));
    let name = path.last().copied().unwrap_or_default();
    let unit = matches!(kind, Kind::Number { .. })
        .then(|| unit_of(view.text("x-unit"), name, description.unwrap_or_default()))
        .flatten();
    let mut stems = stems(name);
    // The unit at the end of a name says nothing about what is measured.
    let ending = name.rsplit_once('_').map_or("", |(_, ending)| ending);
    if unit.is_some() && unit_of(Some(ending), "", "").is_some() {
        stems.pop();
    }
    Slot { path, kind, many, description, unit, required: false, required_in_parent: false, stems }
}

fn kind<'s>(view: &View<'s>) -> Kind<'s> {
    if let Some(constant) = view.get("const") {
        return Kind::Constant(constant);
    }
    if let Some(values) = view.choices() {
        return Kind::Choice(values);
    }
    match view.kind() {
        Some(kind @ ("number" | "integer")) => Kind::Number {
            integer: kind == "integer",
            least: view.number("minimum"),
            most: view.number("maximum"),
        },
        Some("boolean") => Kind::Flag,
        Some("string") => match view.text("format") {
            Some("date") => Kind::Date,
            Some("date-time") => Kind::DateTime,
            Some(_) | None => Kind::Text { pattern: view.text("pattern") },
        },
        Some(_) | None => Kind::Other,
    }
}
