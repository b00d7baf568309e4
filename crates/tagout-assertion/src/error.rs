//! Why a statement counts for nothing.

/// Why a statement counts for nothing. A server that asks for one refuses the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// It is no token, or its claims cannot be read in one way only.
    #[error("the assertion cannot be read: {0}")]
    Malformed(&'static str),
    /// It is signed otherwise than with Ed25519, or not at all.
    #[error("the assertion's algorithm is not EdDSA")]
    Algorithm,
    /// It is another kind of token.
    #[error("the token is no assertion")]
    Type,
    /// No key is known by its key identifier.
    #[error("no key is known by the assertion's key identifier")]
    Key,
    /// It was changed, or not signed by that key.
    #[error("the assertion's signature does not verify")]
    Signature,
    /// It is for another server.
    #[error("the assertion is for another server")]
    Audience,
    /// It is no longer good, or is meant to be good for longer than one call's way.
    #[error("the assertion is stale")]
    Stale,
    /// It comes from a time that is yet to be.
    #[error("the assertion is from the future")]
    Future,
    /// It is about another method or tool.
    #[error("the assertion is about another method or tool")]
    Call,
    /// It is about other arguments.
    #[error("the assertion is about other arguments")]
    Arguments,
    /// It was used before.
    #[error("the assertion was used before")]
    Replayed,
    /// Nothing more can be remembered, so nobody could tell whether it was used before.
    #[error("too many assertions are remembered at once")]
    Full,
}

impl AssertionError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "assertion-malformed",
            Self::Algorithm => "assertion-algorithm",
            Self::Type => "assertion-type",
            Self::Key => "assertion-key",
            Self::Signature => "assertion-signature",
            Self::Audience => "assertion-audience",
            Self::Stale => "assertion-stale",
            Self::Future => "assertion-future",
            Self::Call => "assertion-call",
            Self::Arguments => "assertion-arguments",
            Self::Replayed => "assertion-replayed",
            Self::Full => "assertion-full",
        }
    }
}

/// Why a text is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON Web Key Set with Ed25519 keys: {0}")]
pub struct BadKeySet(pub(crate) &'static str);
