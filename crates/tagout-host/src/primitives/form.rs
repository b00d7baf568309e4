//! Forms of servers: a flat schema, its fields as a person is asked for them, and what is held
//! against them before it is sent.
use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::formats::{TextFormat, fits};

/// The most fields that a person is asked for.
const FIELDS: usize = 64;
/// The most choices of one field.
const CHOICES: usize = 1_000;
/// The longest text that is sent for one field, in characters, where the server names no limit.
const TEXT: usize = 65_536;

/// One field of a form. All its words are the server's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// Its name in the answer.
    pub name: String,
    /// A short name for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether the form cannot be sent without it.
    pub required: bool,
    /// What it takes.
    pub kind: FieldKind,
}

/// What a field takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FieldKind {
    /// A text.
    Text {
        /// What it has to look like.
        format: Option<TextFormat>,
        /// The fewest characters.
        least: Option<u64>,
        /// The most characters.
        most: Option<u64>,
        /// What the server proposes.
        default: Option<String>,
    },
    /// A number.
    Number {
        /// Whether it has to be whole.
        whole: bool,
        /// The least.
        least: Option<f64>,
        /// The most.
        most: Option<f64>,
        /// What the server proposes.
        default: Option<Number>,
    },
    /// Yes or no.
    Truth {
        /// What the server proposes.
        default: Option<bool>,
    },
    /// One of several.
    Choice {
        /// Which there are.
        options: Vec<FieldOption>,
        /// What the server proposes.
        default: Option<String>,
    },
    /// Some of several.
    Choices {
        /// Which there are.
        options: Vec<FieldOption>,
        /// The fewest.
        least: Option<u64>,
        /// The most.
        most: Option<u64>,
        /// What the server proposes.
        default: Vec<String>,
    },
}

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldOption {
    /// What is sent.
    pub value: String,
    /// What people are shown; the value itself where the server gives it no other name.
    pub title: String,
}

/// What is wrong with one field of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldProblem {
    /// The field's name.
    pub field: String,
    /// What is wrong, in words.
    pub problem: String,
}

impl Field {
    /// The value that a typed text stands for; `None` for nothing typed where nothing is needed.
    /// Options are named by their values or titles, several of them with commas between.
    ///
    /// # Errors
    /// [`FieldProblem`]: what the person should type instead.
    pub fn read(&self, typed: &str) -> Result<Option<Value>, FieldProblem> {
        let typed = typed.trim();
        if typed.is_empty() && !self.takes_nothing() {
            return if self.required { Err(self.problem("it is needed")) } else { Ok(None) };
        }
        let value = match &self.kind {
            FieldKind::Text { .. } => Value::from(typed),
            FieldKind::Number { whole, .. } => {
                let number = typed.parse::<i64>().map(Number::from).ok().or_else(|| {
                    let number = typed.parse::<f64>().ok().filter(|_| !*whole);
                    number.and_then(Number::from_f64)
                });
                let what = if *whole { "a whole number" } else { "a number" };
                let not = || self.problem(format!("`{typed}` is not {what}"));
                Value::Number(number.ok_or_else(not)?)
            }
            FieldKind::Truth { .. } => match typed.to_lowercase().as_str() {
                "y" | "yes" | "true" => Value::Bool(true),
                "n" | "no" | "false" => Value::Bool(false),
                _ => return Err(self.problem("it is answered by yes or no")),
            },
            FieldKind::Choice { options, .. } => self.option(options, typed)?,
            FieldKind::Choices { options, .. } => {
                let named = typed.split(',').map(str::trim).filter(|one| !one.is_empty());
                Value::Array(named.map(|one| self.option(options, one)).collect::<Result<_, _>>()?)
            }
        };
        self.check(&value)?;
        Ok(Some(value))
    }

    /// Whether an empty line is an answer of its own.
    const fn takes_nothing(&self) -> bool {
        match &self.kind {
            FieldKind::Choices { .. } => self.required,
            FieldKind::Text { .. }
            | FieldKind::Number { .. }
            | FieldKind::Truth { .. }
            | FieldKind::Choice { .. } => false,
        }
    }

    fn option(&self, options: &[FieldOption], typed: &str) -> Result<Value, FieldProblem> {
        let by_value = options.iter().find(|option| option.value == typed);
        let mut titled = options.iter().filter(|option| option.title.eq_ignore_ascii_case(typed));
        let found = by_value.or_else(|| titled.next().filter(|_| titled.next().is_none()));
        let not = || self.problem(format!("there is no choice `{typed}`"));
        Ok(Value::from(found.ok_or_else(not)?.value.as_str()))
    }

    fn problem(&self, problem: impl Into<String>) -> FieldProblem {
        FieldProblem { field: self.name.clone(), problem: problem.into() }
    }

    /// Whether the value is one that the field takes.
    ///
    /// # Errors
    /// [`FieldProblem`].
    pub fn check(&self, value: &Value) -> Result<(), FieldProblem> {
        let bad = |problem: String| Err(self.problem(problem));
        match (&self.kind, value) {
            (FieldKind::Text { format, least, most, .. }, Value::String(text)) => {
                let size = text.chars().count();
                if self.required && text.is_empty() && least.is_none() && format.is_none() {
                    return bad("it is needed".into());
                }
                let most = most.unwrap_or(u64::MAX).min(TEXT as u64);
                within(size as u64, *least, Some(most), "characters").or_else(bad)?;
                match format.filter(|format| !fits(*format, text)) {
                    Some(format) => bad(format!("`{text}` is not {format}")),
                    None => Ok(()),
                }
            }
            (FieldKind::Number { whole, least, most, .. }, Value::Number(number)) => {
                let value = number.as_f64().filter(|value| value.is_finite());
                let Some(value) = value else { return bad("it is no number".into()) };
                if *whole && value.fract() != 0.0 {
                    return bad("it is not a whole number".into());
                }
                match (least, most) {
                    (Some(least), _) if value < *least => bad(format!("it is less than {least}")),
                    (_, Some(most)) if value > *most => bad(format!("it is more than {most}")),
                    _ => Ok(()),
                }
            }
            (FieldKind::Truth { .. }, Value::Bool(_)) => Ok(()),
            (FieldKind::Choice { options, .. }, Value::String(_)) => self.is_one(options, value),
            (FieldKind::Choices { options, least, most, .. }, Value::Array(chosen)) => {
                chosen.iter().try_for_each(|one| self.is_one(options, one))?;
                within(chosen.len() as u64, *least, *most, "choices").or_else(bad)
            }
            (FieldKind::Text { .. }, _) => bad("it is no text".into()),
            (FieldKind::Number { .. }, _) => bad("it is no number".into()),
            (FieldKind::Truth { .. }, _) => bad("it is neither true nor false".into()),
            (FieldKind::Choice { .. } | FieldKind::Choices { .. }, _) => {
                bad("it is no choice".into())
            }
        }
    }

    fn is_one(&self, options: &[FieldOption], value: &Value) -> Result<(), FieldProblem> {
        let known = options.iter().any(|option| value == option.value.as_str());
        if known { Ok(()) } else { Err(self.problem(format!("{value} is none of the choices"))) }
    }
}

fn within(
    count: u64,
    least: Option<u64>,
    most: Option<u64>,
    what: &'static str,
) -> Result<(), String> {
    match (least, most) {
        (Some(least), _) if count < least => Err(format!("it needs {least} {what} or more")),
        (_, Some(most)) if count > most => Err(format!("it takes {most} {what} at most")),
        _ => Ok(()),
    }
}

/// Whether an answer fits a form: every field, and none that the form does not have.
///
/// # Errors
/// What is wrong, field by field.
pub(crate) fn check(
    fields: &[Field],
    answer: &Map<String, Value>,
) -> Result<(), Vec<FieldProblem>> {
    let mut problems = Vec::new();
    for field in fields {
        match answer.get(&field.name) {
            Some(value) => problems.extend(field.check(value).err()),
            None if field.required => problems.push(field.problem("it is needed")),
            None => {}
        }
    }
    for name in answer.keys().filter(|name| !fields.iter().any(|field| field.name == **name)) {
        let problem = "the form has no such field".to_owned();
        problems.push(FieldProblem { field: name.clone(), problem });
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The fields of a server's schema, in its order.
///
/// # Errors
/// Why it is not put to a person, in words.
pub(crate) fn fields(schema: &Value) -> Result<Vec<Field>, String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("the form's schema is no object's".to_owned());
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.ok_or("the form has no fields")?;
    if properties.len() > FIELDS {
        return Err(format!("the form has more than {FIELDS} fields"));
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    if let Some(missing) = required.iter().find(|name| !properties.contains_key(**name)) {
        return Err(format!("the form needs `{missing}` and has no such field"));
    }
    let field = |(name, schema): (&String, &Value)| {
        let kind =
            kind(schema).map_err(|problem| format!("the form's field `{name}` {problem}"))?;
        let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
        let (title, description) = (text("title"), text("description"));
        let required = required.contains(&name.as_str());
        Ok(Field { name: name.clone(), title, description, required, kind })
    };
    properties.iter().map(field).collect()
}

fn kind(schema: &Value) -> Result<FieldKind, String> {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let count = |key: &str| schema.get(key).and_then(Value::as_u64);
    let default = schema.get("default");
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    Ok(match kind {
        "string" => match options(schema)? {
            Some(options) => FieldKind::Choice { options, default: text(default) },
            None => FieldKind::Text {
                format: schema.get("format").map(TextFormat::read).transpose()?,
                least: count("minLength"),
                most: count("maxLength"),
                default: text(default),
            },
        },
        "number" | "integer" => FieldKind::Number {
            whole: kind == "integer",
            least: number("minimum"),
            most: number("maximum"),
            default: default.and_then(Value::as_number).cloned(),
        },
        "boolean" => FieldKind::Truth { default: default.and_then(Value::as_bool) },
        "array" => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            let default = default.and_then(Value::as_array).into_iter().flatten();
            FieldKind::Choices {
                options: options(items)?.ok_or("is a list of anything")?,
                least: count("minItems"),
                most: count("maxItems"),
                default: default.filter_map(Value::as_str).map(str::to_owned).collect(),
            }
        }
        _ => return Err("is no text, number, truth value or choice".to_owned()),
    })
}

/// The choices of a schema: `enum`, with `enumNames` beside it, or `oneOf`/`anyOf` with titles.
fn options(schema: &Value) -> Result<Option<Vec<FieldOption>>, String> {
    let list = |key: &str| schema.get(key).and_then(Value::as_array);
    let titled = list("oneOf").or_else(|| list("anyOf"));
    let options: Option<Vec<_>> = match (list("enum"), titled) {
        (None, None) => return Ok(None),
        (Some(values), _) => {
            let names = list("enumNames").into_iter().flatten().map(Value::as_str);
            let names = names.chain(std::iter::repeat(None));
            let option = |(value, title): (&Value, Option<&str>)| option(value.as_str()?, title);
            values.iter().zip(names).map(option).collect()
        }
        (None, Some(titled)) => {
            let of =
                |one: &Value, key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
            let option = |one: &Value| option(&of(one, "const")?, of(one, "title").as_deref());
            titled.iter().map(option).collect()
        }
    };
    match options {
        Some(options) if options.is_empty() => Err("has nothing to choose from".to_owned()),
        Some(options) if options.len() > CHOICES => Err(format!("has more than {CHOICES} choices")),
        Some(options) => Ok(Some(options)),
        None => Err("has choices that are no texts".to_owned()),
    }
}

fn option(value: &str, title: Option<&str>) -> Option<FieldOption> {
    let (value, title) = (value.to_owned(), title.unwrap_or(value).to_owned());
    Some(FieldOption { value, title })
}
