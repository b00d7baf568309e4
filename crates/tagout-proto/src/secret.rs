//! Values that must not show.
use std::fmt;

/// A value that no log, span, panic or error message may show.
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps `value`; from here on it shows as `<secret>`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The bare value. Grep for `.expose(` to audit every use.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}
