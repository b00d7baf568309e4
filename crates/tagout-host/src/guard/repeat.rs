//! A loop that repeats itself.
use std::collections::HashMap;

use serde_json::{Map, Value};
use tagout_proto::Digest;

/// How often one question may make the same call.
const SAME: usize = 3;

/// The calls of one question.
#[derive(Default)]
pub(crate) struct Repeats(HashMap<Digest, usize>);

impl Repeats {
    /// Whether the same call was made too often; counts it.
    pub(crate) fn again(&mut self, tool: &str, arguments: &Map<String, Value>) -> bool {
        let text = serde_json::to_string(arguments).unwrap_or_default();
        let call = Digest::of_parts([tool.as_bytes(), text.as_bytes()]);
        let count = self.0.entry(call).or_insert(0);
        *count += 1;
        *count > SAME
    }
}
