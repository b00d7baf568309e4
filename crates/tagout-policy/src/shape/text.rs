//! Shapes as text, and back.
use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{Field, Shape};

/// How deep a text may nest…
const DEPTH: usize = 32;
/// …and how long it may be, in bytes.
const LENGTH: usize = 1 << 20;

/// What is wrong with the text of a shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the types of arguments cannot be read at byte {at}: {problem}")]
pub struct ShapeError {
    at: usize,
    problem: &'static str,
}

impl ShapeError {
    /// Where in the text, in bytes.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("String"),
            Self::Whole => f.write_str("Long"),
            Self::Number => f.write_str("Number"),
            Self::Truth => f.write_str("Bool"),
            Self::Json => f.write_str("Json"),
            Self::List(elements) => write!(f, "List<{elements}>"),
            Self::Nullable(shape) => write!(f, "Nullable<{shape}>"),
            Self::Record(fields) if fields.is_empty() => f.write_str("{}"),
            Self::Record(fields) => {
                for (n, (name, field)) in fields.iter().enumerate() {
                    f.write_str(if n == 0 { "{ " } else { ", " })?;
                    write_name(f, name)?;
                    write!(f, "{}: {}", if field.required { "" } else { "?" }, field.shape)?;
                }
                f.write_str(" }")
            }
        }
    }
}

const fn is_first(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

const fn is_later(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Quoted unless it is an identifier; what is not plain ASCII as `\u` and four digits, since
/// lockfiles are read by people, and some characters look like others or like none.
fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if name.starts_with(is_first) && name.chars().all(is_later) {
        return f.write_str(name);
    }
    f.write_str("\"")?;
    for c in name.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            ' '..='~' => write!(f, "{c}")?,
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(f, "\\u{unit:04x}")?;
                }
            }
        }
    }
    f.write_str("\"")
}

impl FromStr for Shape {
    type Err = ShapeError;

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        if text.len() > LENGTH {
            return Err(ShapeError { at: 0, problem: "it is too long" });
        }
        let mut reader = Reader { text, rest: text };
        let shape = reader.shape(0)?;
        reader.space();
        if reader.rest.is_empty() { Ok(shape) } else { reader.wrong("something follows") }
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn wrong<T>(&self, problem: &'static str) -> Result<T, ShapeError> {
        Err(ShapeError { at: self.text.len() - self.rest.len(), problem })
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, mark: char) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn want(&mut self, mark: char, problem: &'static str) -> Result<(), ShapeError> {
        if self.take(mark) { Ok(()) } else { self.wrong(problem) }
    }

    fn word(&mut self) -> &'a str {
        self.space();
        let end = self.rest.find(|c| !is_later(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    fn shape(&mut self, depth: usize) -> Result<Shape, ShapeError> {
        if depth > DEPTH {
            return self.wrong("it nests too deep");
        }
        if self.take('{') {
            return self.record(depth);
        }
        match self.word() {
            "String" => Ok(Shape::Text),
            "Long" => Ok(Shape::Whole),
            "Number" => Ok(Shape::Number),
            "Bool" => Ok(Shape::Truth),
            "Json" => Ok(Shape::Json),
            "List" => {
                let elements = self.within(depth)?;
                if elements.is_scalar() {
                    Ok(Shape::List(Box::new(elements)))
                } else {
                    self.wrong("a list holds `String`, `Long`, `Number` or `Bool`")
                }
            }
            "Nullable" => Ok(Shape::Nullable(Box::new(self.within(depth)?))),
            _ => self.wrong("a type is wanted: `String`, `Long`, `Number`, `Bool`, `List<…>`, `Nullable<…>`, `Json` or `{ … }`"),
        }
    }

    fn within(&mut self, depth: usize) -> Result<Shape, ShapeError> {
        self.want('<', "`<` is wanted")?;
        let shape = self.shape(depth + 1)?;
        self.want('>', "`>` is wanted")?;
        Ok(shape)
    }

    fn record(&mut self, depth: usize) -> Result<Shape, ShapeError> {
        let mut fields = BTreeMap::new();
        while !self.take('}') {
            let name = self.name()?;
            let required = !self.take('?');
            self.want(':', "`:` is wanted")?;
            let field = Field { shape: self.shape(depth + 1)?, required };
            if fields.insert(name, field).is_some() {
                return self.wrong("the name stands twice");
            }
            if !self.take(',') {
                self.want('}', "`,` or `}` is wanted")?;
                break;
            }
        }
        Ok(Shape::Record(fields))
    }

    fn name(&mut self) -> Result<String, ShapeError> {
        self.space();
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        if self.rest.starts_with(is_first) {
            return Ok(self.word().to_owned());
        }
        self.wrong("a name is wanted")
    }

    /// A JSON string.
    fn quoted(&mut self) -> Result<String, ShapeError> {
        let mut strings = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        let Some(Ok(name)) = strings.next() else { return self.wrong("the name cannot be read") };
        let end = strings.byte_offset();
        self.rest = self.rest.get(end..).unwrap_or_default();
        Ok(name)
    }
}
