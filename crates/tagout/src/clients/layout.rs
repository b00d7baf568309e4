//! How a file is laid out, so that what is added looks like the rest.

/// Its line ends, and by how much it indents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) line_end: &'static str,
    pub(super) unit: String,
}

impl Layout {
    pub(super) fn of(text: &str) -> Self {
        let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let indent = text.lines().find_map(|line| {
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            let is_text = line.trim_start().starts_with(['"', '}', ']', '-'])
                || line.trim_start().starts_with(|c: char| c.is_ascii_alphanumeric());
            line.get(..indent).filter(|indent| is_text && !indent.is_empty())
        });
        let unit = indent.filter(|indent| indent.len() <= 8).unwrap_or("  ").to_owned();
        Self { line_end, unit }
    }

    /// The white space that the line begins with on which `at` is.
    pub(super) fn indent_at(&self, text: &str, at: usize) -> String {
        let line = text.get(..at).and_then(|before| before.rsplit('\n').next()).unwrap_or_default();
        line.chars().take_while(|c| matches!(c, ' ' | '\t')).collect()
    }
}
