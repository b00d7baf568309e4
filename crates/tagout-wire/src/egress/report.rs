//! What became of a connection, and what a program is told that does not get one.
use std::{fmt, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::StatusCode;

use super::{
    guard::Denied,
    head::HeadError,
    hello::HelloError,
    host::{Host, HostError},
};

/// A connection that came to its end, or did not come about.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Where it was to go: `host:port`; nothing where that could not be read.
    pub subject: Option<String>,
    /// What it was.
    pub kind: Kind,
    /// Where it went.
    pub address: Option<SocketAddr>,
    /// Bytes to there, and from there.
    pub bytes_out: u64,
    /// Bytes from there.
    pub bytes_in: u64,
    /// From its first byte to its end.
    pub lasted: Duration,
    /// Why it was refused, or ended.
    pub refused: Option<Refused>,
}

/// What a connection was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Nothing that could be read.
    Unread,
    /// CONNECT.
    Tunnel,
    /// A request of plain HTTP.
    Request,
}

/// A bound that is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bound {
    /// Connections at once.
    AtOnce,
    /// Connections of one hour.
    Connections,
    /// Bytes sent in one hour.
    BytesOut,
    /// Bytes received in one hour.
    BytesIn,
}

/// What took too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Late {
    /// The head of the request.
    Head,
    /// Looking up the name.
    Name,
    /// Connecting.
    Connecting,
    /// The greeting of TLS.
    Greeting,
    /// Nothing moved.
    Idle,
    /// The whole connection.
    Whole,
}

/// Why a connection is refused, or ended by the proxy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// What was asked for cannot be read, or not in one way only.
    #[error("the request cannot be taken: {0}")]
    Malformed(HeadError),
    /// The host is none that could be meant.
    #[error("the request names no host: {0}")]
    Host(HostError),
    /// The host and port are not on the server's list.
    #[error("it is not on the list of what this server may reach")]
    NotListed,
    /// The name leads to an address that nobody is let to.
    #[error("it leads to an address that is not public ({0})")]
    Address(&'static str),
    /// The greeting of TLS names another server than the request.
    #[error("the TLS greeting names `{0}`")]
    OtherServer(Host),
    /// The greeting of TLS names no server.
    #[error("the TLS greeting names no server")]
    NoServer,
    /// The greeting of TLS hides which server is meant.
    #[error("the TLS greeting is encrypted, so that nobody can tell which server is meant")]
    Hidden,
    /// What is said in the tunnel is not TLS, or cannot be read.
    #[error("{0}")]
    Greeting(HelloError),
    /// A bound is reached.
    #[error("{0}")]
    Bound(Bound),
    /// The name is not known, or nobody answers.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("{0}")]
    Late(Late),
}

impl Refused {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Host(_) => "egress-malformed",
            Self::NotListed => "egress-denied",
            Self::Address(_) => "egress-address",
            Self::OtherServer(_) | Self::NoServer | Self::Hidden | Self::Greeting(_) => {
                "egress-tls"
            }
            Self::Bound(_) => "egress-limit",
            Self::Unreachable(_) => "egress-unreachable",
            Self::Late(_) => "egress-timeout",
        }
    }

    /// Whether nothing went out, or what went out was ended for what it was.
    #[must_use]
    pub const fn is_denial(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Late(Late::Idle | Late::Whole))
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(problem) => problem.status(),
            Self::Host(_) => StatusCode::BAD_REQUEST,
            Self::NotListed
            | Self::Address(_)
            | Self::OtherServer(_)
            | Self::NoServer
            | Self::Hidden
            | Self::Greeting(_) => StatusCode::FORBIDDEN,
            Self::Bound(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unreachable(_) => StatusCode::BAD_GATEWAY,
            Self::Late(Late::Head) => StatusCode::REQUEST_TIMEOUT,
            Self::Late(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// What the program is told: the code, and a sentence that repeats nothing that it sent.
    pub(super) fn body(&self) -> Bytes {
        // What the system says of a host is for operators.
        let hides = matches!(self, Self::Unreachable(_));
        let said = if hides { "it cannot be reached".to_owned() } else { self.to_string() };
        let message = said.replace(['"', '\\'], "'");
        Bytes::from(format!(
            "{{\"error\":{{\"code\":\"{}\",\"message\":\"{message}\",\"by\":\"tagout\"}}}}\n",
            self.code()
        ))
    }

    /// The whole answer, after which the connection is closed.
    pub(super) fn answer(&self) -> Vec<u8> {
        let (status, body) = (self.status(), self.body());
        let reason = status.canonical_reason().unwrap_or("Refused");
        let mut answer = format!(
            "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             proxy-status: tagout; details=\"{}\"\r\nconnection: close\r\n\r\n",
            status.as_u16(),
            body.len(),
            self.code()
        );
        // Made of constants alone.
        answer.push_str(&String::from_utf8_lossy(&body));
        answer.into_bytes()
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Host { problem, .. } => Self::Host(problem),
            Denied::NotListed { .. } => Self::NotListed,
            Denied::Address { class, .. } => Self::Address(class.as_str()),
            Denied::Unknown { problem, .. } => Self::Unreachable(problem),
            Denied::Slow { .. } => Self::Late(Late::Name),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtOnce => "the server has as many connections as it may have at once",
            Self::Connections => "the server has made as many connections as it may in an hour",
            Self::BytesOut => "the server has sent as much as it may in an hour",
            Self::BytesIn => "the server has received as much as it may in an hour",
        })
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "the head of the request took too long",
            Self::Name => "looking up the name took too long",
            Self::Connecting => "nobody took the connection in time",
            Self::Greeting => "the TLS greeting took too long",
            Self::Idle => "nothing moved for too long",
            Self::Whole => "the connection was open for as long as one may be",
        })
    }
}
