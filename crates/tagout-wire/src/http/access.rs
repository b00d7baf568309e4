//! Who may speak to a server at all, by the names that a browser cannot forge: a page whose name
//! was pointed at this machine still says its own name in `Host` and `Origin`.
use std::net::SocketAddr;

use ::http::{HeaderMap, Uri, Version, header, uri::Authority};
use hyper::StatusCode;

/// Hosts and origins that may be spoken for.
///
/// A listener on loopback takes `localhost`, `127.0.0.1` and `[::1]` as hosts, and `http` and
/// `https` pages of these, on any port, as origins. Another takes the address that it is bound to
/// as host, unless that is the unspecified one, and no origin. What is added here comes on top.
#[derive(Clone, Debug, Default)]
pub struct Access {
    hosts: Vec<Host>,
    origins: Vec<Origin>,
    loopback: bool,
}

/// Why a host or origin cannot be allowed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AccessError {
    /// It is no host name or address, with or without a port.
    #[error("`{0}` is no host: write a name or an address, with a port if only that one is meant")]
    Host(String),
    /// It is no origin.
    #[error(
        "`{0}` is no origin: write `https://HOST` or `https://HOST:PORT`, and nothing after it"
    )]
    Origin(String),
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Host {
    /// In lower case, IPv6 in brackets.
    name: String,
    port: Option<u16>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Origin {
    secure: bool,
    name: String,
    port: u16,
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Why a request does not get to the handler.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// There is no `Host`, or none that can be read, or several.
    BadHost,
    Host,
    Origin,
    Method,
}

impl Access {
    /// Nothing beside the listener's own names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows a host: `name` on any port, or `name:port`.
    ///
    /// # Errors
    /// It is not a host.
    pub fn with_host(mut self, host: &str) -> Result<Self, AccessError> {
        let host = Host::read(host).ok_or_else(|| AccessError::Host(host.to_owned()))?;
        self.hosts.push(host);
        Ok(self)
    }

    /// Allows an origin: `https://name` or `https://name:port`.
    ///
    /// # Errors
    /// It is not an origin of the web.
    pub fn with_origin(mut self, origin: &str) -> Result<Self, AccessError> {
        let origin = Origin::read(origin).ok_or_else(|| AccessError::Origin(origin.to_owned()))?;
        self.origins.push(origin);
        Ok(self)
    }

    /// With the names of a listener itself.
    pub(super) fn at(mut self, address: SocketAddr) -> Self {
        let ip = address.ip();
        self.loopback = ip.is_loopback();
        if !ip.is_unspecified() {
            let name = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
            self.hosts.push(Host { name, port: None });
        }
        if self.loopback {
            let own = LOOPBACK.map(|name| Host { name: name.to_owned(), port: None });
            self.hosts.extend(own);
        }
        self
    }

    /// Looks at what a request says of itself.
    pub(super) fn check(
        &self,
        version: Version,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        self.check_host(version, uri, headers)?;
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        let origin = origin.to_str().ok().and_then(Origin::read).ok_or(Refusal::Origin)?;
        if origins.next().is_some() || !self.allows_origin(&origin) {
            return Err(Refusal::Origin);
        }
        Ok(())
    }

    fn check_host(&self, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let named = hosts.next();
        if hosts.next().is_some() || (named.is_none() && version != Version::HTTP_10) {
            return Err(Refusal::BadHost);
        }
        if named.is_none() && uri.authority().is_none() {
            return Err(Refusal::Host);
        }
        let from_header = named.map(|host| host.to_str().unwrap_or_default());
        let from_uri = uri.authority().map(Authority::as_str);
        for host in from_header.into_iter().chain(from_uri) {
            if !self.allows_host(host).ok_or(Refusal::BadHost)? {
                return Err(Refusal::Host);
            }
        }
        Ok(())
    }

    /// Nothing if it is no host at all.
    fn allows_host(&self, host: &str) -> Option<bool> {
        let (name, port) = split(host)?;
        Some(self.hosts.iter().any(|host| {
            host.name.eq_ignore_ascii_case(name) && host.port.is_none_or(|only| port == Some(only))
        }))
    }

    fn allows_origin(&self, origin: &Origin) -> bool {
        (self.loopback && LOOPBACK.contains(&origin.name.as_str())) || self.origins.contains(origin)
    }
}

impl Host {
    fn read(text: &str) -> Option<Self> {
        let (name, port) = split(text)?;
        Some(Self { name: name.to_ascii_lowercase(), port })
    }
}

impl Origin {
    fn read(text: &str) -> Option<Self> {
        let (scheme, host) = text.split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let Host { name, port } = Host::read(host)?;
        Some(Self { secure, name, port: port.unwrap_or(if secure { 443 } else { 80 }) })
    }
}

/// Name and port of an authority without user information.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let end = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (name, rest) = text.split_at_checked(end)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let valid = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(plain),
    };
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        None => return None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
    };
    valid.then_some((name, port))
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadHost => StatusCode::BAD_REQUEST,
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// What the caller is told; the same for everybody, so that nothing sent in comes back.
    pub(super) fn body(self) -> &'static str {
        match self {
            Self::BadHost => {
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"a request has exactly one Host header that names a host"}}"#
            }
            Self::Host => {
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"this host is not allowed: use the address that the server listens on, or allow the host in its configuration"}}"#
            }
            Self::Origin => {
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"this origin is not allowed: allow it in the server's configuration if its pages may call tools"}}"#
            }
            Self::Method => {
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"this HTTP method is not served"}}"#
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn checked(access: &Access, host: &str, origin: Option<&str>) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        access.check(Version::HTTP_11, &Uri::from_static("/mcp"), &headers)
    }

    /// Addresses of other machines cannot be listened on in a test.
    #[test]
    fn a_listener_for_other_machines_has_no_name_but_its_address() {
        let access = Access::new().with_host("tools.example").unwrap();
        let one = access.clone().at("192.0.2.1:443".parse().unwrap());
        let all = access.clone().at("0.0.0.0:443".parse().unwrap());
        let six = access.at("[2001:db8::1]:443".parse().unwrap());
        for (access, host, expected) in [
            (&one, "192.0.2.1", Ok(())),
            (&one, "192.0.2.1:443", Ok(())),
            (&one, "tools.example", Ok(())),
            (&one, "localhost", Err(Refusal::Host)),
            (&one, "127.0.0.1", Err(Refusal::Host)),
            (&all, "tools.example", Ok(())),
            (&all, "0.0.0.0", Err(Refusal::Host)),
            (&all, "localhost", Err(Refusal::Host)),
            (&six, "[2001:db8::1]:443", Ok(())),
            (&six, "[::1]", Err(Refusal::Host)),
        ] {
            assert_eq!(checked(access, host, None), expected, "{host}");
        }
        let local = Some("https://localhost");
        assert_eq!(checked(&one, "192.0.2.1", local), Err(Refusal::Origin));
        let own = Some("https://192.0.2.1");
        assert_eq!(checked(&one, "192.0.2.1", own), Err(Refusal::Origin));
    }
}
