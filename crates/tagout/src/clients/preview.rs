//! A change as a person reads it.
use similar::TextDiff;
use tagout_inspect::{characters::one_line, redact::redacted_text};

/// Lines around a change.
const AROUND: usize = 3;

/// A unified diff, with nothing hidden in it, and without the secrets that can be recognised.
pub(crate) fn diff(before: &str, after: &str, path: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut unified = diff.unified_diff();
    let path = one_line(path);
    let text = unified.context_radius(AROUND).header(&path, &path).to_string();
    let lines = text.lines().map(|line| one_line(&redacted_text(line)));
    lines.collect::<Vec<_>>().join("\n")
}
