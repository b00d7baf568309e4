//! Values inside a [`Document`]: views that borrow its text.
use std::borrow::Cow;

use crate::reader::Document;

/// One value or key of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// Where its text starts, in bytes.
    pub(crate) start: u32,
    /// Where its text ends.
    pub(crate) end: u32,
    /// The index of the first node that is not inside it.
    pub(crate) after: u32,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// A string without escapes.
    String,
    /// A string with escapes.
    Escaped,
    /// A number, as it was written.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// A value of a document.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    document: &'a Document,
    index: usize,
}

/// A number that no type here holds exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number {literal} cannot be held exactly")]
pub struct Inexact {
    /// The number as it was written, at most 64 characters of it.
    pub literal: String,
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({:?}, {} bytes)", self.kind(), self.raw().len())
    }
}

impl<'a> Value<'a> {
    pub(crate) const fn new(document: &'a Document, index: usize) -> Self {
        Self { document, index }
    }

    fn node(&self) -> Node {
        let nothing = Node { start: 0, end: 0, after: u32::MAX, kind: Kind::Null };
        self.document.nodes.get(self.index).copied().unwrap_or(nothing)
    }

    /// The value's index in its document; [`Document::at`] finds it again.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Its text as it came.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        let node = self.node();
        self.document.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// The string's content, if it is a string.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'a, str>> {
        let raw = self.raw();
        match self.kind() {
            Kind::String => Some(Cow::Borrowed(raw.get(1..raw.len() - 1)?)),
            Kind::Escaped => serde_json::from_str(raw).ok().map(Cow::Owned),
            Kind::Object | Kind::Array | Kind::Number | Kind::True | Kind::False | Kind::Null => {
                None
            }
        }
    }

    /// The number, if it is a whole one that 64 bits hold.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        if self.kind() == Kind::Number { self.raw().parse().ok() } else { None }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            Kind::Object
            | Kind::Array
            | Kind::String
            | Kind::Escaped
            | Kind::Number
            | Kind::Null => None,
        }
    }

    /// The object's members in order; nothing for other kinds.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'a, str>, Value<'a>)> + use<'a> {
        let mut children = self.children(Kind::Object);
        std::iter::from_fn(move || {
            let key = children.next()?;
            Some((key.text().unwrap_or_default(), children.next()?))
        })
    }

    /// The array's elements in order; nothing for other kinds.
    pub fn elements(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        self.children(Kind::Array)
    }

    fn children(&self, of: Kind) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let node = self.node();
        let document = self.document;
        let (mut next, after) = (self.index + 1, node.after as usize);
        let end = if node.kind == of { after.min(document.nodes.len()) } else { 0 };
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let child = Value { document, index: next };
            next = child.node().after as usize;
            Some(child)
        })
    }

    /// The object's member called `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.members().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Every string inside it, keys included, itself too if it is one.
    pub fn strings(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let document = self.document;
        let end = (self.node().after as usize).min(document.nodes.len());
        (self.index..end).filter_map(move |index| Value { document, index }.text())
    }

    /// The object's text with members replaced, added (at the end) or, for `None`, left out; all
    /// others byte for byte as they came. For other kinds, the text.
    #[must_use]
    pub fn with(&self, changes: &[(&str, Option<&str>)]) -> String {
        if self.kind() != Kind::Object {
            return self.raw().to_owned();
        }
        let mut out = String::with_capacity(self.raw().len() + 64);
        let mut separator = '{';
        let mut push = |key: &str, value: &str| {
            out.push(separator);
            out.push_str(key);
            out.push(':');
            out.push_str(value);
            separator = ',';
        };
        let mut children = self.children(Kind::Object);
        while let (Some(key), Some(value)) = (children.next(), children.next()) {
            let name = key.text().unwrap_or_default();
            match changes.iter().find(|(changed, _)| *changed == name) {
                None => push(key.raw(), value.raw()),
                Some((_, Some(replacement))) => push(key.raw(), replacement),
                Some((_, None)) => {}
            }
        }
        for (key, value) in changes {
            if let (None, Some(value)) = (self.get(key), value) {
                push(&quoted(key), value);
            }
        }
        if separator == '{' {
            out.push('{');
        }
        out.push('}');
        out
    }

    /// The value as a tree, for schemas and rules.
    ///
    /// # Errors
    /// A number in it is held exactly by neither 64-bit integers nor, as its shortest decimal
    /// form, by a double.
    pub fn to_tree(&self) -> Result<serde_json::Value, Inexact> {
        use serde_json::Value as Tree;
        Ok(match self.kind() {
            Kind::Null => Tree::Null,
            Kind::True => Tree::Bool(true),
            Kind::False => Tree::Bool(false),
            Kind::Number => Tree::Number(exact_number(self.raw())?),
            Kind::String | Kind::Escaped => {
                Tree::String(self.text().unwrap_or_default().into_owned())
            }
            Kind::Array => {
                Tree::Array(self.elements().map(|v| v.to_tree()).collect::<Result<_, _>>()?)
            }
            Kind::Object => Tree::Object(
                self.members()
                    .map(|(key, value)| Ok((key.into_owned(), value.to_tree()?)))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

impl Document {
    /// The value at an index that [`Value::index`] gave.
    #[must_use]
    pub const fn at(&self, index: usize) -> Value<'_> {
        Value::new(self, index)
    }
}

/// `text` as a JSON string, with its quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    // A string can always be written.
    serde_json::to_string(text).unwrap_or_default()
}

fn exact_number(literal: &str) -> Result<serde_json::Number, Inexact> {
    let inexact = || Inexact { literal: literal.chars().take(64).collect() };
    if !literal.contains(['.', 'e', 'E']) {
        if let Ok(whole) = literal.parse::<i64>() {
            return Ok(whole.into());
        }
        return literal.parse::<u64>().map(Into::into).map_err(|_too_large| inexact());
    }
    let double: f64 = literal.parse().map_err(|_not_a_number| inexact())?;
    // Several literals can be the shortest of one double, and writers choose differently among
    // them (1999603675410242.2 and .3 are both 242.25), so they are compared by length alone.
    let short = digits(literal) <= digits(&format!("{double:e}"));
    if !double.is_finite() || !short {
        return Err(inexact());
    }
    serde_json::Number::from_f64(double).ok_or_else(inexact)
}

/// How many digits a number has, without its exponent and the zeros around them.
fn digits(literal: &str) -> usize {
    let mantissa = literal.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_held_exactly_or_not_at_all() {
        for (literal, held) in [
            ("0", true),
            ("-12", true),
            ("18446744073709551615", true),
            ("18446744073709551616", false),
            ("0.1", true),
            ("38.50", true),
            ("1e3", true),
            ("-0.0", true),
            ("0.1000000000000000055", false),
            ("1e400", false),
            ("1e-400", false),
            ("123456789012345678901.5", false),
            ("1999603675410242.2", true),
            ("1999603675410242.3", true),
            ("1999603675410242.25", false),
            ("5e-324", true),
            ("2e-324", false),
        ] {
            assert_eq!(exact_number(literal).is_ok(), held, "{literal}");
        }
    }
}
