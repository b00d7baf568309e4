//! What was used before.
use std::collections::HashMap;

/// Why something may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNew {
    /// It was used before.
    Used,
    /// Nothing more can be remembered.
    Full,
}

/// Remembers which statements were used. Servers that run several times for one audience need one
/// that they share.
pub trait Seen {
    /// Notes that `nonce` is used at `now`; it is good until `expires_at`, both in seconds since
    /// 1970, and can be forgotten after that.
    ///
    /// # Errors
    /// It was used before, or nobody could tell.
    fn first_use(&mut self, nonce: &str, expires_at: i64, now: i64) -> Result<(), NotNew>;
}

/// Remembers in memory, up to a bound.
#[derive(Clone, Debug)]
pub struct SeenOnce {
    used: HashMap<String, i64>,
    most: usize,
}

impl SeenOnce {
    /// Remembers at most `most` statements that are still good.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { used: HashMap::new(), most }
    }
}

impl Default for SeenOnce {
    /// 65,536 statements: a thousand calls a second.
    fn default() -> Self {
        Self::new(1 << 16)
    }
}

impl Seen for SeenOnce {
    fn first_use(&mut self, nonce: &str, expires_at: i64, now: i64) -> Result<(), NotNew> {
        if self.used.contains_key(nonce) {
            return Err(NotNew::Used);
        }
        if self.used.len() >= self.most {
            self.used.retain(|_, expires| *expires > now);
        }
        if self.used.len() >= self.most {
            return Err(NotNew::Full);
        }
        self.used.insert(nonce.to_owned(), expires_at);
        Ok(())
    }
}
