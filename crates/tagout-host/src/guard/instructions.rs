//! The system prompt: the operator's alone, with a canary in it.

/// What a model is told before anything else.
pub(crate) struct Instructions {
    text: String,
    canary: String,
}

impl Instructions {
    /// The host's own instructions and the operator's after them.
    pub(crate) fn new(operator: Option<&str>, seed: &[u8; 32]) -> Self {
        let _ = seed;
        Self { text: operator.unwrap_or_default().to_owned(), canary: String::new() }
    }

    /// All of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether `text` carries the canary, in whatever form.
    pub(crate) fn leak_in(&self, text: &str) -> bool {
        !self.canary.is_empty() && text.contains(&self.canary)
    }
}
