//! Values that must not show.
use std::fmt;

use zeroize::Zeroize;

/// A value that no log, span, panic or error message may show, and whose memory is overwritten
/// once it is dropped. It is neither copied nor printed nor written down by accident: it has no
/// `Clone`, no `Display` and no `Serialize`.
///
/// What is overwritten is what it owns then. A text that grew before it was wrapped may have left
/// copies where it was, so what is read from outside is read into a buffer of its full size.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps `value`; from here on it shows as `<secret>`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The bare value. Grep for `.expose(` to audit every use.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}
