//! How much is taken from outside.

/// Bounds on one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes a frame may have.
    pub frame_bytes: usize,
    /// How many arrays and objects may stand inside each other.
    pub depth: usize,
}

impl Limits {
    /// The deepest nesting that can be configured; the reader recurses once a level.
    pub const MOST_DEPTH: usize = 64;
}

impl Default for Limits {
    /// 4 MiB and 64 levels.
    fn default() -> Self {
        Self { frame_bytes: 4 << 20, depth: Self::MOST_DEPTH }
    }
}
