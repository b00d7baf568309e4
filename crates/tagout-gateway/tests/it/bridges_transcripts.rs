//! Clients of one era in front of servers of the other, and of the same: `tests/http/`.
use crate::http_transcripts::play_all;

/// The folders that are played here.
pub(crate) const TOPICS: [&str; 4] =
    ["legacy_to_legacy", "legacy_to_modern", "modern_to_legacy", "modern_to_modern"];

#[test]
fn legacy_to_legacy() {
    play_all("legacy_to_legacy");
}

#[test]
fn legacy_to_modern() {
    play_all("legacy_to_modern");
}

#[test]
fn modern_to_legacy() {
    play_all("modern_to_legacy");
}

#[test]
fn modern_to_modern() {
    play_all("modern_to_modern");
}
