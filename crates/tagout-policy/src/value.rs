//! Arguments as Cedar holds them, by their declared types or by what they are. Nothing is dropped:
//! what is not declared is handed back.
use std::collections::BTreeMap;

use cedar_policy::RestrictedExpression;
use cedar_policy_core::{ast, evaluator::RestrictedEvaluator, extensions::Extensions};
use serde_json::{Map, Number, Value};

use crate::shape::{Field, Shape};

/// Arguments that do not fit their declared types; always a deny.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the argument `{place}` does not fit its type `{wanted}`")]
pub(crate) struct Misfit {
    place: String,
    wanted: String,
}

impl Misfit {
    fn of(shape: &Shape) -> Self {
        Self { place: String::new(), wanted: shape.to_string().chars().take(200).collect() }
    }

    fn within(mut self, name: &str) -> Self {
        let dot = if self.place.is_empty() { "" } else { "." };
        self.place = format!("{name}{dot}{}", self.place);
        self
    }
}

/// A value, and what of it is not declared.
type Typed = (Held, Option<Value>);

/// A value as Cedar holds it.
pub(crate) type Held = ast::Value;

/// `value` as its type says.
pub(crate) fn typed(value: &Value, shape: &Shape) -> Result<Typed, Misfit> {
    if let Shape::Record(fields) = shape {
        return record(value, fields);
    }
    if let Shape::Nullable(shape) = shape {
        return nullable(value, shape);
    }
    scalar(value, shape).map(|expression| (expression, None))
}

fn scalar(value: &Value, shape: &Shape) -> Result<Held, Misfit> {
    let misfit = || Misfit::of(shape);
    Ok(match (shape, value) {
        (Shape::Text, Value::String(string)) => text(string),
        (Shape::Truth, Value::Bool(truth)) => (*truth).into(),
        (Shape::Whole, Value::Number(number)) => whole(number).ok_or_else(misfit)?.into(),
        (Shape::Number, Value::Number(number)) => self::number(number),
        (Shape::List(shape), Value::Array(elements)) => {
            let typed = elements.iter().map(|element| scalar(element, shape));
            list(typed.collect::<Result<_, _>>()?, value)
        }
        (Shape::Json, value) => made([("json", text(&canonical(value)))]),
        (
            Shape::Text
            | Shape::Truth
            | Shape::Whole
            | Shape::Number
            | Shape::List(_)
            | Shape::Record(_)
            | Shape::Nullable(_),
            _,
        ) => return Err(misfit()),
    })
}

fn record(value: &Value, fields: &BTreeMap<String, Field>) -> Result<Typed, Misfit> {
    let misfit = || Misfit { place: String::new(), wanted: "record".to_owned() };
    let members = value.as_object().ok_or_else(misfit)?;
    let mut typed_members = Vec::with_capacity(members.len());
    let mut left = Map::new();
    for (name, value) in members {
        let Some(field) = fields.get(name) else {
            left.insert(name.clone(), value.clone());
            continue;
        };
        let (expression, undeclared) =
            typed(value, &field.shape).map_err(|misfit| misfit.within(name))?;
        if let Some(undeclared) = undeclared {
            left.insert(name.clone(), undeclared);
        }
        typed_members.push((name.clone(), expression));
    }
    let missing = fields.iter().find(|(name, f)| f.required && !members.contains_key(*name));
    if let Some((name, field)) = missing {
        return Err(Misfit::of(&field.shape).within(name));
    }
    let undeclared = (!left.is_empty()).then_some(Value::Object(left));
    Ok((all(typed_members), undeclared))
}

fn nullable(value: &Value, shape: &Shape) -> Result<Typed, Misfit> {
    if value.is_null() {
        return Ok((made([]), None));
    }
    let (expression, undeclared) = typed(value, shape)?;
    Ok((made([("value", expression)]), undeclared))
}

/// Whether `value` can be put to rules as `shape` says: as [`typed`] does, and nothing is made.
pub(crate) fn fits(value: &Value, shape: &Shape) -> Result<(), Misfit> {
    let fit = match (shape, value) {
        (Shape::Record(fields), Value::Object(members)) => return members_fit(members, fields),
        (Shape::Nullable(_), Value::Null)
        | (Shape::Json, _)
        | (Shape::Text, Value::String(_))
        | (Shape::Truth, Value::Bool(_))
        | (Shape::Number, Value::Number(_)) => true,
        (Shape::Nullable(shape), _) => return fits(value, shape),
        (Shape::Whole, Value::Number(number)) => whole(number).is_some(),
        (Shape::List(shape), Value::Array(elements)) => {
            return elements.iter().try_for_each(|element| fits(element, shape));
        }
        (
            Shape::Text
            | Shape::Truth
            | Shape::Whole
            | Shape::Number
            | Shape::List(_)
            | Shape::Record(_),
            _,
        ) => false,
    };
    if fit { Ok(()) } else { Err(Misfit::of(shape)) }
}

fn members_fit(
    members: &Map<String, Value>,
    fields: &BTreeMap<String, Field>,
) -> Result<(), Misfit> {
    for (name, field) in fields {
        match members.get(name) {
            Some(value) => fits(value, &field.shape).map_err(|misfit| misfit.within(name))?,
            None if field.required => return Err(Misfit::of(&field.shape).within(name)),
            None => {}
        }
    }
    Ok(())
}

/// A value without a declared type, as what it is.
pub(crate) fn untyped(value: &Value) -> Held {
    match value {
        Value::Null => made([("null", true.into())]),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match whole(number) {
            Some(whole) => whole.into(),
            None => self::number(number),
        },
        Value::String(string) => text(string),
        Value::Array(elements) => list(elements.iter().map(untyped).collect(), value),
        Value::Object(members) => {
            all(members.iter().map(|(name, value)| (name.clone(), untyped(value))).collect())
        }
    }
}

/// A string.
pub(crate) fn text(text: &str) -> Held {
    text.into()
}

/// A record of members whose names differ.
pub(crate) fn made<const N: usize>(members: [(&str, Held); N]) -> Held {
    Held::record(members, None)
}

/// A record of members whose names differ, as they do wherever they come from a map.
pub(crate) fn all(members: Vec<(String, Held)>) -> Held {
    Held::record(members, None)
}

/// What a constructor of Cedar's extensions makes; nothing if it refuses.
pub(crate) fn constructed(call: &RestrictedExpression) -> Option<Held> {
    let call: &ast::RestrictedExpr = call.as_ref();
    RestrictedEvaluator::new(Extensions::all_available()).interpret(call.as_borrowed()).ok()
}

fn list(elements: Vec<Held>, whole: &Value) -> Held {
    let length = i64::try_from(elements.len()).unwrap_or(i64::MAX);
    made([
        ("elements", Held::set(elements, None)),
        ("length", length.into()),
        ("json", text(&canonical(whole))),
    ])
}

fn number(number: &Number) -> Held {
    let said = text(&number.to_string());
    let exact = decimal(number).map(RestrictedExpression::new_decimal);
    match exact.as_ref().and_then(constructed) {
        Some(exact) => made([("text", said), ("decimal", exact)]),
        None => made([("text", said)]),
    }
}

/// The digits of a number without its sign and point, and how many stand behind the point, by its
/// shortest decimal form: `-1.5e3` is `true`, 15, -2.
fn digits(number: &Number) -> Option<(bool, String, i64)> {
    let text = match (number.as_i64(), number.as_u64()) {
        (Some(whole), _) => whole.to_string(),
        (_, Some(whole)) => whole.to_string(),
        _ => format!("{:e}", number.as_f64()?),
    };
    let (negative, text) = text.strip_prefix('-').map_or((false, &*text), |text| (true, text));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let behind = i64::try_from(fraction.len()).ok()?.checked_sub(exponent.parse().ok()?)?;
    Some((negative, format!("{whole}{fraction}"), behind))
}

/// A number times ten to the power of `places`, if that is a whole number of 64 bits.
fn scaled(number: &Number, places: i64) -> Option<i64> {
    let (negative, digits, behind) = digits(number)?;
    let zeros = usize::try_from(places.checked_sub(behind)?).ok()?;
    if zeros > 24 {
        return digits.bytes().all(|digit| digit == b'0').then_some(0);
    }
    let sign = if negative { "-" } else { "" };
    format!("{sign}{digits}{}", "0".repeat(zeros)).parse().ok()
}

/// The number, if it is a whole one that Cedar holds, however it is written: `5`, `5.0`, `5e0`.
fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| scaled(number, 0))
}

/// The number as Cedar's decimal, which has four places, if it is exactly that.
fn decimal(number: &Number) -> Option<String> {
    let scaled = scaled(number, 4)?;
    let (whole, fraction) = (scaled.unsigned_abs() / 10_000, scaled.unsigned_abs() % 10_000);
    let sign = if scaled < 0 { "-" } else { "" };
    Some(format!("{sign}{whole}.{fraction:04}"))
}

/// JSON without white space, members sorted by their names' UTF-16 code units.
pub(crate) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
        Value::Array(elements) => {
            out.push('[');
            for (n, element) in elements.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                write_canonical(element, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (n, (name, value)) in members.into_iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
    }
}
