//! The narrowest simple conditions that some arguments meet.
use std::collections::BTreeSet;

use serde_json::Value;
use tagout_inspect::characters::first_hidden;
use tagout_policy::{Field, Shape};
use tagout_proto::Document;

use super::cedar::{attribute, has, prefix, set, string};
use crate::policy_tools::recorded::GONE;

/// Values that are named one by one.
const FEW: usize = 8;
/// Elements of lists that are.
const ELEMENTS: usize = 16;
/// The longest text that is named.
const NAMED: usize = 256;
/// How deep records are looked into.
const DEPTH: usize = 6;

/// A condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// As Cedar text.
    pub(super) text: String,
    /// How many of those after it make sense only with it.
    pub(super) guards: usize,
}

impl From<String> for Condition {
    fn from(text: String) -> Self {
        Self { text, guards: 0 }
    }
}

/// Conditions on `base` that all of `values`, each of `shape`, meet.
pub(super) fn of(base: &str, shape: &Shape, values: &[&Value]) -> Vec<Condition> {
    at(base, shape, values, DEPTH)
}

/// `has` before what makes sense only with it.
fn guarded(has: String, inner: Vec<Condition>) -> Vec<Condition> {
    let guard = Condition { text: has, guards: inner.len() };
    std::iter::once(guard).chain(inner).collect()
}

fn plain(texts: Vec<String>) -> Vec<Condition> {
    texts.into_iter().map(Condition::from).collect()
}

fn at(base: &str, shape: &Shape, values: &[&Value], depth: usize) -> Vec<Condition> {
    match shape {
        Shape::Text => plain(of_texts(base, values)),
        Shape::Whole => plain(of_wholes(base, values)),
        Shape::Number => of_numbers(base, values),
        Shape::Truth => plain(of_truths(base, values)),
        Shape::List(_) => plain(of_lists(base, values)),
        Shape::Json => plain(of_json(&attribute(base, "json"), values)),
        Shape::Nullable(inner) => {
            let field = Field { shape: (**inner).clone(), required: false };
            let values = values.iter().map(|value| Some(*value).filter(|v| !v.is_null()));
            of_member(base, ("value", &field), &values.collect::<Vec<_>>(), depth)
        }
        Shape::Record(_) if depth == 0 => Vec::new(),
        Shape::Record(fields) => {
            let conditions = fields.iter().flat_map(|(name, field)| {
                let values: Vec<_> = values.iter().map(|value| value.get(name)).collect();
                of_member(base, (name, field), &values, depth - 1)
            });
            conditions.collect()
        }
    }
}

/// Conditions on the member `name` of `base`, which may be missing.
fn of_member(
    base: &str,
    (name, field): (&str, &Field),
    values: &[Option<&Value>],
    depth: usize,
) -> Vec<Condition> {
    let present: Vec<_> = values.iter().copied().flatten().collect();
    let has = has(base, name);
    if present.is_empty() {
        return if field.required { Vec::new() } else { vec![format!("!({has})").into()] };
    }
    let inner = at(&attribute(base, name), &field.shape, &present, depth);
    if field.required {
        return inner;
    }
    if present.len() == values.len() {
        return guarded(has, inner);
    }
    if inner.is_empty() {
        return Vec::new();
    }
    vec![format!("(if {has} then {} else true)", joined(&inner)).into()]
}

/// Several conditions as one.
pub(super) fn joined(conditions: &[Condition]) -> String {
    let texts: Vec<_> = conditions.iter().map(|condition| condition.text.as_str()).collect();
    texts.join(" && ")
}

/// Whether a rule may say `text`: what was taken out of the record is not known, and a rule must
/// not hide what it says.
pub(super) fn can_be_named(text: &str) -> bool {
    text.len() <= NAMED && !text.contains(GONE) && first_hidden(text).is_none()
}

/// `base` is one of these.
fn one_of(base: &str, texts: &BTreeSet<&str>) -> Option<String> {
    if texts.len() > FEW || !texts.iter().all(|text| can_be_named(text)) {
        return None;
    }
    let mut all = texts.iter();
    match (all.next(), all.next()) {
        (Some(only), None) => Some(format!("{base} == {}", string(only))),
        _ => Some(format!("{}.contains({base})", set(texts.iter().copied()))),
    }
}

fn of_texts(base: &str, values: &[&Value]) -> Vec<String> {
    let texts: Option<BTreeSet<_>> = values.iter().map(|value| value.as_str()).collect();
    let Some(texts) = texts else { return Vec::new() };
    if let Some(condition) = one_of(base, &texts) {
        return vec![condition];
    }
    match shared(&texts) {
        None => Vec::new(),
        Some(shared) => {
            let mut conditions = vec![format!("{base} like {}", prefix(shared))];
            // `/data/../etc` begins with `/data/` too.
            if texts.iter().all(|text| !text.contains("..")) {
                conditions.push(format!("!({base} like \"*..*\")"));
            }
            conditions
        }
    }
}

/// The folder, or the part of a URL from its host on, that all of `texts` begin with.
fn shared<'a>(texts: &BTreeSet<&'a str>) -> Option<&'a str> {
    // In order, the first and the last have least in common.
    let (first, last) = (texts.first()?, texts.last()?);
    let same = first.char_indices().zip(last.chars()).find(|((_, a), b)| a != b);
    let end = same.map_or(first.len().min(last.len()), |((at, _), _)| at);
    let common = first.get(..end)?;
    let shared = common.get(..=common.rfind('/')?)?;
    let path = match shared.split_once("://") {
        // A prefix that ends within the host would let others' hosts in.
        Some((_, rest)) => rest.split_once('/').map(|(host, _)| host)?,
        None => shared.trim_start_matches('/'),
    };
    (!path.is_empty() && can_be_named(shared)).then_some(shared)
}

fn of_wholes(base: &str, values: &[&Value]) -> Vec<String> {
    let wholes: Option<BTreeSet<_>> = values.iter().map(|value| value.as_i64()).collect();
    let Some(wholes) = wholes else { return Vec::new() };
    match (wholes.first(), wholes.last()) {
        (Some(only), Some(same)) if only == same => vec![format!("{base} == {only}")],
        (Some(_), Some(_)) if wholes.len() <= FEW => {
            let wholes: Vec<_> = wholes.iter().map(ToString::to_string).collect();
            vec![format!("[{}].contains({base})", wholes.join(", "))]
        }
        (Some(least), Some(most)) => {
            vec![format!("{base} >= {least}"), format!("{base} <= {most}")]
        }
        _ => Vec::new(),
    }
}

/// Numbers of up to four digits after the point have an exact decimal; others are left alone.
fn of_numbers(base: &str, values: &[&Value]) -> Vec<Condition> {
    let decimals: Option<Vec<_>> = values.iter().map(|value| decimal(value)).collect();
    let Some(decimals) = decimals else { return Vec::new() };
    let least = decimals.iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let most = decimals.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let (Some((_, least)), Some((_, most))) = (least, most) else { return Vec::new() };
    let value = attribute(base, "decimal");
    let within = vec![
        format!("{value}.greaterThanOrEqual(decimal({}))", string(least)),
        format!("{value}.lessThanOrEqual(decimal({}))", string(most)),
    ];
    guarded(has(base, "decimal"), plain(within))
}

/// A number, and how Cedar writes it as a decimal.
fn decimal(value: &Value) -> Option<(f64, String)> {
    let number = value.as_f64()?;
    if number.abs() > 900_000_000_000_000.0 {
        return None;
    }
    let text = format!("{number:.4}");
    let same = text.parse::<f64>().is_ok_and(|read| read.total_cmp(&number).is_eq());
    same.then_some((number, text))
}

fn of_truths(base: &str, values: &[&Value]) -> Vec<String> {
    let truths: BTreeSet<_> = values.iter().filter_map(|value| value.as_bool()).collect();
    match (truths.first(), truths.last()) {
        (Some(only), Some(same)) if only == same => vec![format!("{base} == {only}")],
        _ => Vec::new(),
    }
}

fn of_lists(base: &str, values: &[&Value]) -> Vec<String> {
    let elements = values.iter().filter_map(|value| value.as_array()).flatten();
    let texts: Option<BTreeSet<_>> = elements.map(Value::as_str).collect();
    let texts = texts.filter(|texts| {
        let named = |text: &&str| can_be_named(text);
        texts.len() <= ELEMENTS && !texts.is_empty() && texts.iter().all(named)
    });
    if let Some(texts) = texts {
        let elements = attribute(base, "elements");
        return vec![format!("{}.containsAll({elements})", set(texts.into_iter()))];
    }
    of_json(&attribute(base, "json"), values)
}

/// On the canonical text of a value.
fn of_json(base: &str, values: &[&Value]) -> Vec<String> {
    let texts: Option<BTreeSet<String>> = values.iter().map(|value| canonical(value)).collect();
    let texts = texts.unwrap_or_default();
    let texts: BTreeSet<_> = texts.iter().map(String::as_str).collect();
    if texts.is_empty() { Vec::new() } else { one_of(base, &texts).into_iter().collect() }
}

fn canonical(value: &Value) -> Option<String> {
    let document = Document::read(value.to_string().as_bytes(), tagout_proto::Limits::default());
    document.ok().map(|document| document.root().canonical())
}

/// A condition on what `shape` does not declare of the arguments, however deep: what there was is
/// named, unless there is too much of it, so that the condition is not met.
pub(super) fn undeclared(shape: &Shape, values: &[&Value]) -> Condition {
    let base = "context.undeclared";
    let texts: Option<BTreeSet<String>> = values
        .iter()
        .map(|value| left(value, shape).map_or_else(|| Some("{}".to_owned()), |l| canonical(&l)))
        .collect();
    let texts = texts.unwrap_or_default();
    let texts: BTreeSet<_> = texts.iter().map(String::as_str).collect();
    let named = if texts.is_empty() { None } else { one_of(base, &texts) };
    named.unwrap_or_else(|| format!("{base} == \"{{}}\"")).into()
}

/// What of `value` is not declared.
fn left(value: &Value, shape: &Shape) -> Option<Value> {
    match (shape, value) {
        (Shape::Record(fields), Value::Object(members)) => {
            let of = |(name, value): (&String, &Value)| {
                let left = match fields.get(name) {
                    Some(field) => left(value, &field.shape)?,
                    None => value.clone(),
                };
                Some((name.clone(), left))
            };
            let left: serde_json::Map<_, _> = members.iter().filter_map(of).collect();
            (!left.is_empty()).then_some(Value::Object(left))
        }
        (Shape::Nullable(shape), value) => left(value, shape),
        (
            Shape::Record(_)
            | Shape::Text
            | Shape::Whole
            | Shape::Number
            | Shape::Truth
            | Shape::List(_)
            | Shape::Json,
            _,
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn learnt(shape: &str, values: &[Value]) -> String {
        let shape: Shape = shape.parse().unwrap();
        joined(&of("context.arguments", &shape, &values.iter().collect::<Vec<_>>()))
    }

    #[test]
    fn few_values_are_named() {
        let values = [json!({"path": "/a"}), json!({"path": "/b\""})];
        assert_eq!(
            learnt("{ path: String }", &values),
            r#"["/a", "/b\""].contains(context.arguments.path)"#
        );
    }

    #[test]
    fn many_paths_share_a_folder_and_stay_in_it() {
        let values: Vec<_> = (0..20).map(|n| json!({"path": format!("/data*/x{n}")})).collect();
        assert_eq!(
            learnt("{ path: String }", &values),
            r#"context.arguments.path like "/data\*/*" && !(context.arguments.path like "*..*")"#
        );
    }

    #[test]
    fn a_prefix_never_ends_within_a_host() {
        let hosts: Vec<_> = (0..20).map(|n| json!({"url": format!("https://h{n}.x/")})).collect();
        assert_eq!(learnt("{ url: String }", &hosts), "");
        let roots: Vec<_> = (0..20).map(|n| json!({"url": format!("/{n}")})).collect();
        assert_eq!(learnt("{ url: String }", &roots), "", "`/` is no folder to speak of");
    }

    #[test]
    fn what_may_be_missing_is_asked_about_first() {
        let values = [json!({"n": 1, "deep": true}), json!({})];
        assert_eq!(
            learnt("{ n?: Long, deep?: Bool, never?: Long }", &values),
            "(if context.arguments has deep then context.arguments.deep == true else true) && \
             (if context.arguments has n then context.arguments.n == 1 else true) && \
             !(context.arguments has never)"
        );
    }

    #[test]
    fn what_is_not_on_record_is_not_held() {
        assert_eq!(learnt("{ key: String }", &[json!({"key": "<redacted>"})]), "");
    }
}
