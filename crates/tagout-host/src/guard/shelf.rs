//! Results that are too large for a model, kept whole and read on in pieces.
use serde_json::{Map, Value};
use tagout_llm::{ToolResult, ToolSpec};

/// The host's own tool to read on. It has no `__`, so no server's tool is called like it.
pub(crate) const READ_ON: &str = "tagout_read_result";

/// What was too large.
#[derive(Default)]
pub(crate) struct Shelf {
    kept: Vec<ToolResult>,
}

impl Shelf {
    /// The tool to read on, where there is something to read.
    pub(crate) fn tool(&self) -> Option<ToolSpec> {
        None
    }

    /// Keeps what is too large, and puts a summary in its place.
    pub(crate) fn put(&mut self, result: &mut ToolResult) {
        let _ = result;
    }

    /// A piece of what is kept.
    ///
    /// # Errors
    /// There is no such thing, in words.
    pub(crate) fn read(&self, arguments: &Map<String, Value>) -> Result<String, String> {
        let _ = (arguments, &self.kept);
        Err("there is nothing to read on".to_owned())
    }
}
