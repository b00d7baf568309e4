//! JSON-RPC frames.
use std::fmt;

use crate::{
    limits::Limits,
    reader::{Document, ReadError},
    value::{Kind, Value, quoted},
};

/// One frame that is well-formed JSON-RPC 2.0 as MCP restricts it.
#[derive(Clone, Debug)]
pub struct Frame {
    document: Document,
    shape: Shape,
    replaced: u32,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Request { id: usize, method: usize, params: Option<usize> },
    Notification { method: usize, params: Option<usize> },
    Response { id: usize, outcome: usize, failed: bool },
}

/// What a frame says.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// A request, to be answered.
    Request {
        /// Its id, as written.
        id: Id<'a>,
        /// The method, as written.
        method: Value<'a>,
        /// An object, if there.
        params: Option<Value<'a>>,
    },
    /// A notification.
    Notification {
        /// The method, as written.
        method: Value<'a>,
        /// An object, if there.
        params: Option<Value<'a>>,
    },
    /// An answer to a request.
    Response {
        /// The id of the request, as written; `null` where the peer could not read it.
        id: Id<'a>,
        /// The result, or the error object.
        outcome: Result<Value<'a>, Value<'a>>,
    },
}

/// A request id as it was written: a string or a number (or `null`, in a response only).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id<'a>(&'a str);

impl<'a> Id<'a> {
    /// The JSON text.
    #[must_use]
    pub const fn raw(&self) -> &'a str {
        self.0
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The strict reader refuses them.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// They are JSON, but not one JSON-RPC message.
    #[error("not a JSON-RPC message: {0}")]
    Shape(&'static str),
    /// They are an array: a batch, which MCP has removed.
    #[error("batches are not part of this protocol revision; send one message a frame")]
    Batch,
}

impl Frame {
    /// Reads one frame.
    ///
    /// # Errors
    /// See [`FrameError`]; for a caller, every one of them is a malformed frame.
    pub fn read(bytes: &[u8], limits: Limits) -> Result<Self, FrameError> {
        let document = Document::read_frame(bytes, limits)?;
        let root = document.root();
        if root.kind() == Kind::Array {
            return Err(FrameError::Batch);
        }
        let shape = shape(root)?;
        Ok(Self { document, shape, replaced: 0 })
    }

    /// Reads one frame, or the frames of a batch in their order; each may fail for itself. For
    /// peers of the one revision that has batches.
    ///
    /// # Errors
    /// The bytes are no JSON, or an empty batch, or one of more than `most` messages.
    pub fn read_batch(
        bytes: &[u8],
        limits: Limits,
        most: usize,
    ) -> Result<Vec<Result<Self, FrameError>>, FrameError> {
        if bytes.trim_ascii_start().first() != Some(&b'[') {
            return Self::read(bytes, limits).map(|frame| vec![Ok(frame)]);
        }
        let document = Document::read(bytes, limits)?;
        let messages: Vec<_> = document.root().elements().take(most.saturating_add(1)).collect();
        if messages.is_empty() || messages.len() > most {
            return Err(FrameError::Shape("a batch is empty or has too many messages"));
        }
        Ok(messages.iter().map(|one| Self::read(one.raw().as_bytes(), limits)).collect())
    }

    /// The same, and that so many places of it are not as they came.
    #[must_use]
    pub const fn with_replaced(mut self, places: u32) -> Self {
        self.replaced = places;
        self
    }

    /// How many places of it are not as they came.
    #[must_use]
    pub const fn replaced(&self) -> u32 {
        self.replaced
    }

    /// What it says.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        let at = |index| self.document.at(index);
        match self.shape {
            Shape::Request { id, method, params } => Message::Request {
                id: Id(at(id).raw()),
                method: at(method),
                params: params.map(at),
            },
            Shape::Notification { method, params } => {
                Message::Notification { method: at(method), params: params.map(at) }
            }
            Shape::Response { id, outcome, failed } => Message::Response {
                id: Id(at(id).raw()),
                outcome: if failed { Err(at(outcome)) } else { Ok(at(outcome)) },
            },
        }
    }

    /// The whole text as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        self.document.text()
    }

    /// The value at an index that [`Value::index`] gave.
    #[must_use]
    pub const fn at(&self, index: usize) -> Value<'_> {
        self.document.at(index)
    }
}

/// The `id` of bytes that are no frame, where it can be read for certain; to answer an error to
/// the request that caused it.
#[must_use]
pub fn id_of_refused(bytes: &[u8], limits: Limits) -> Option<String> {
    let document = Document::read(bytes, limits).ok()?;
    let id = document.root().get("id")?;
    id_is_sound(id).then(|| id.raw().to_owned())
}

fn id_is_sound(id: Value<'_>) -> bool {
    match id.kind() {
        Kind::String | Kind::Escaped => id.raw().len() <= 256,
        Kind::Number => id.integer().is_some(),
        Kind::Object | Kind::Array | Kind::True | Kind::False | Kind::Null => false,
    }
}

fn shape(root: Value<'_>) -> Result<Shape, FrameError> {
    let no = |why| Err(FrameError::Shape(why));
    if root.kind() != Kind::Object {
        return no("it is not an object");
    }
    if root.get("jsonrpc").and_then(|v| v.text()).as_deref() != Some("2.0") {
        return no("`jsonrpc` is not \"2.0\"");
    }
    let (id, params) = (root.get("id"), root.get("params"));
    if params.is_some_and(|p| p.kind() != Kind::Object) {
        return no("`params` is not an object");
    }
    let params = params.map(|p| p.index());
    match (root.get("method"), root.get("result"), root.get("error")) {
        (Some(method), None, None) => {
            if method.text().is_none() {
                return no("`method` is not a string");
            }
            let method = method.index();
            match id {
                None => Ok(Shape::Notification { method, params }),
                Some(id) if id_is_sound(id) => {
                    Ok(Shape::Request { id: id.index(), method, params })
                }
                Some(_) => no("`id` is neither a string of at most 256 bytes nor a 64-bit integer"),
            }
        }
        (None, Some(_), None) | (None, None, Some(_)) => response(root, id),
        (None, None, None) => no("it has neither `method` nor `result` nor `error`"),
        _ => no("it has more than one of `method`, `result` and `error`"),
    }
}

fn response(root: Value<'_>, id: Option<Value<'_>>) -> Result<Shape, FrameError> {
    let (result, error) = (root.get("result"), root.get("error"));
    let sound =
        id.is_some_and(|id| id_is_sound(id) || (id.kind() == Kind::Null && error.is_some()));
    let (Some(id), true) = (id, sound) else {
        return Err(FrameError::Shape("a response without a sound `id`"));
    };
    match (result, error) {
        (Some(result), _) if result.kind() == Kind::Object => {
            Ok(Shape::Response { id: id.index(), outcome: result.index(), failed: false })
        }
        (None, Some(error)) if error.get("code").and_then(|c| c.integer()).is_some() => {
            Ok(Shape::Response { id: id.index(), outcome: error.index(), failed: true })
        }
        _ => Err(FrameError::Shape("`result` is no object, or `error` has no integer `code`")),
    }
}

/// A request frame. `id`, `params` are JSON texts.
#[must_use]
pub fn request(id: &str, method: &str, params: &str) -> String {
    let method = quoted(method);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#)
}

/// A notification frame. `params` is a JSON text.
#[must_use]
pub fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":{},"params":{params}}}"#, quoted(method))
}

/// A response frame with a result. `id`, `result` are JSON texts.
#[must_use]
pub fn result(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// A response frame with an error object. `id`, `error` are JSON texts.
#[must_use]
pub fn error(id: &str, error: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}
