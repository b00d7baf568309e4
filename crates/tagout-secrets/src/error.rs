//! Why there is no secret.
use crate::{LocalError, Source, StoreError};

/// Why a reference gives no secret. Holds the reference and never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{source_text}` {problem}")]
pub struct SecretError {
    /// The reference.
    source_text: String,
    kind: Kind,
    problem: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Missing,
    Denied,
    Unreachable,
    Unusable,
}

impl SecretError {
    /// The stable codes.
    pub const CODES: &[&str] =
        &["secret-missing", "secret-denied", "secret-unreachable", "secret-unusable"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.kind {
            Kind::Missing => "secret-missing",
            Kind::Denied => "secret-denied",
            Kind::Unreachable => "secret-unreachable",
            Kind::Unusable => "secret-unusable",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self.kind {
            Kind::Missing => "put it there, or correct the reference",
            Kind::Denied => "see what Tagout's token or key may read there",
            Kind::Unreachable => "see whether the address is right and answers",
            Kind::Unusable => "put a text there, of at most 16 KiB",
        }
    }

    /// There is none.
    #[must_use]
    pub fn missing(of: &Source, problem: impl Into<String>) -> Self {
        Self::new(of, Kind::Missing, problem)
    }

    /// Whoever has it does not give it.
    #[must_use]
    pub fn denied(of: &Source, problem: impl Into<String>) -> Self {
        Self::new(of, Kind::Denied, problem)
    }

    /// Whoever has it does not answer.
    #[must_use]
    pub fn unreachable(of: &Source, problem: impl Into<String>) -> Self {
        Self::new(of, Kind::Unreachable, problem)
    }

    /// There is one, and it cannot be used.
    #[must_use]
    pub fn unusable(of: &Source, problem: impl Into<String>) -> Self {
        Self::new(of, Kind::Unusable, problem)
    }

    /// Of a variable or a file.
    #[must_use]
    pub fn local(of: &Source, error: &LocalError) -> Self {
        let kind = match error {
            LocalError::NotSet => Kind::Missing,
            LocalError::NoText | LocalError::Empty | LocalError::TooLarge | LocalError::NoFile => {
                Kind::Unusable
            }
            LocalError::Io(_) => Kind::Denied,
        };
        Self::new(of, kind, error.to_string())
    }

    /// Of Tagout's own store.
    #[must_use]
    pub fn stored(of: &Source, error: &StoreError) -> Self {
        Self::new(of, Kind::Unusable, format!("cannot be read: {error}"))
    }

    fn new(of: &Source, kind: Kind, problem: impl Into<String>) -> Self {
        Self { source_text: of.to_string(), kind, problem: problem.into() }
    }
}
