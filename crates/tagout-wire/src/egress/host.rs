//! Hosts as they are written: a name, or an address in its one usual form. Nothing lenient: what one
//! reader takes for a name and another for an address is neither here.
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A host.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Host {
    /// A name of DNS, in lower case, without a dot at its end.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a text names no host.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HostError {
    /// Nothing is written.
    #[error("it names no host")]
    Empty,
    /// It is too long for a name.
    #[error("a name has at most 253 characters, and 63 between two dots")]
    TooLong,
    /// It holds a character that names do not have.
    #[error("a name has letters, digits, `-` and `_` of ASCII; write others as `xn--…`")]
    Character,
    /// A dot stands at its end, or two in a row.
    #[error("dots stand between parts of a name only, not at its end")]
    Dots,
    /// Some take it for an IPv4 address, and not all for the same.
    #[error("an IPv4 address is four numbers from 0 to 255 in decimal, without zeros before them")]
    OddNumber,
    /// The brackets do not hold an IPv6 address.
    #[error("brackets hold an IPv6 address, without a zone")]
    NotSix,
    /// An IPv6 address without brackets.
    #[error("an IPv6 address stands in brackets")]
    Bare,
}

/// Characters of a name, by RFC 1035, and of one of its parts.
const NAME: usize = 253;
const PART: usize = 63;

impl Host {
    /// Reads a host; an IPv6 address stands in brackets.
    ///
    /// # Errors
    /// By variant, see [`HostError`].
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if let Some(rest) = text.strip_prefix('[') {
            let inner = rest.strip_suffix(']').ok_or(HostError::NotSix)?;
            let six: Ipv6Addr = inner.parse().map_err(|_| HostError::NotSix)?;
            return Ok(Self::Address(six.into()));
        }
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(HostError::Bare);
        }
        if text.len() > NAME {
            return Err(HostError::TooLong);
        }
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.';
        if !text.bytes().all(fits) {
            return Err(HostError::Character);
        }
        if text.split('.').any(str::is_empty) {
            return Err(HostError::Dots);
        }
        if text.split('.').any(|part| part.len() > PART) {
            return Err(HostError::TooLong);
        }
        if is_numeric(text.rsplit('.').next().unwrap_or_default()) {
            let four = text.parse::<Ipv4Addr>().map_err(|_| HostError::OddNumber)?;
            return Ok(Self::Address(four.into()));
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }

    /// Whether it is this machine, by its name.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if name == "localhost")
    }
}

/// Whether a last part makes some readers take the whole for an IPv4 address (WHATWG: "ends in a
/// number"): digits alone, or a hexadecimal number.
fn is_numeric(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    let hex =
        lower.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || part.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(four)) => four.fmt(f),
            Self::Address(IpAddr::V6(six)) => write!(f, "[{six}]"),
        }
    }
}

/// Splits `HOST:PORT`; the port is 1 to 65535 in plain digits, and may be missing.
pub(super) fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at_checked(end)?;
    let Some(port) = rest.strip_prefix(':') else {
        return rest.is_empty().then_some((host, None));
    };
    let plain = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    let port = port.parse().ok().filter(|_| plain)?;
    Some((host, Some(port)))
}
