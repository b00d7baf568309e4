//! Who has taken a connection, before anything is sent over it.
use std::{fmt, future::Future, net::SocketAddr, pin::Pin};

/// The two ends of a new connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ends {
    /// This process's.
    pub own: SocketAddr,
    /// The server's.
    pub peer: SocketAddr,
}

/// Whether a connection may be used; if not, why not.
pub type Vetted<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Looks at who has taken a new connection. Nothing is sent before it says yes, names and greetings
/// of TLS included.
pub trait Vet: fmt::Debug + Send + Sync {
    /// Whether the connection between `ends` may be used. Cancelled when connecting takes too long.
    fn vet(&self, ends: Ends) -> Vetted<'_>;
}
