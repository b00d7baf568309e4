//! The head of a request to the proxy: its line and headers, read strictly. What two readers could
//! take differently is refused.
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::PathAndQuery};

use super::host::{Host, HostError, split};

/// What a program asks the proxy for.
#[derive(Clone, Debug)]
pub struct Head {
    /// Where to.
    pub host: Host,
    /// At which port.
    pub port: u16,
    /// What for.
    pub wish: Wish,
    /// Its headers, all of them.
    pub headers: HeaderMap,
}

/// What is to be done at the host.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Bytes are passed both ways.
    Tunnel,
    /// One request is made.
    Request {
        /// Its method.
        method: Method,
        /// Path and query.
        path: PathAndQuery,
    },
}

/// Why a head is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeadError {
    /// It is longer than any head.
    #[error("the head of a request has at most {} bytes", Head::MOST_BYTES)]
    TooLarge,
    /// It has too many headers.
    #[error("a request has at most {} headers", Head::MOST_HEADERS)]
    TooMany,
    /// It is no line of a request.
    #[error("the first line is none of a request of HTTP/1.1")]
    Line,
    /// Lines end otherwise than with CR LF.
    #[error("lines end with CR LF, and nothing else does")]
    LineEnd,
    /// A header cannot be read, or goes on over a second line.
    #[error("a header cannot be read")]
    Header,
    /// The target is no `http://` URL, nor `HOST:PORT` for CONNECT.
    #[error("the target is `http://HOST/…`, or `HOST:PORT` for CONNECT")]
    Target,
    /// The target's host is none.
    #[error("the target names no host: {0}")]
    Host(HostError),
    /// The target holds a user's name or password.
    #[error("the target holds a user's name or password")]
    User,
    /// The method is not passed on.
    #[error("this method is not passed on")]
    Method,
    /// There is no `Host`, there are several, or it says another host than the target.
    #[error("`Host` stands there once and says the same host as the target")]
    HostHeader,
    /// How long the body is can be read in two ways.
    #[error("the length of the body is said in one way, by `Content-Length` or `chunked`")]
    Framing,
}

impl HeadError {
    /// The status that says so.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge | Self::TooMany => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Line
            | Self::LineEnd
            | Self::Header
            | Self::Target
            | Self::Host(_)
            | Self::User
            | Self::Method
            | Self::HostHeader
            | Self::Framing => StatusCode::BAD_REQUEST,
        }
    }
}

/// Digits of the longest body: one more is none that anybody sends.
const LENGTH_DIGITS: usize = 15;

impl Head {
    /// The most bytes of a head.
    pub const MOST_BYTES: usize = 32 << 10;
    /// The most headers.
    pub const MOST_HEADERS: usize = 100;

    /// Reads what `bytes` begin with; gives it and its length, or nothing while its end is missing.
    ///
    /// # Errors
    /// By variant, see [`HeadError`].
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        let bytes = bytes.get(..Self::MOST_BYTES).unwrap_or(bytes);
        if bytes.first().is_some_and(|first| !first.is_ascii_uppercase()) {
            return Err(HeadError::Line);
        }
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let seen = end.map_or(bytes, |end| bytes.get(..end + 4).unwrap_or(bytes));
        if !ends_with_both(seen) {
            return Err(HeadError::LineEnd);
        }
        let Some(end) = end else {
            let full = bytes.len() >= Self::MOST_BYTES;
            return if full { Err(HeadError::TooLarge) } else { Ok(None) };
        };
        let head = bytes.get(..end).ok_or(HeadError::Line)?;
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.trim_suffix_cr());
        let line = lines.next().ok_or(HeadError::Line)?;
        let headers = headers(lines)?;
        Ok(Some((Self::of(line, headers)?, end + 4)))
    }

    fn of(line: &[u8], headers: HeaderMap) -> Result<Self, HeadError> {
        let line = std::str::from_utf8(line).map_err(|_| HeadError::Line)?;
        let mut parts = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HeadError::Line);
        };
        let old = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return Err(HeadError::Line),
        };
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::Line)?;
        framing(&headers, old)?;
        let (host, port, wish) = match method {
            Method::CONNECT => {
                let (host, port) = place(target)?;
                (host, port.ok_or(HeadError::Target)?, Wish::Tunnel)
            }
            Method::TRACE => return Err(HeadError::Method),
            method => {
                let (host, port, path) = absolute(target)?;
                (host, port.unwrap_or(80), Wish::Request { method, path })
            }
        };
        let tunnel = matches!(wish, Wish::Tunnel);
        if tunnel && has_body(&headers) {
            return Err(HeadError::Framing);
        }
        // Some say CONNECT in HTTP/1.0, without `Host`.
        same_host(&headers, (&host, port), old && tunnel, tunnel)?;
        Ok(Self { host, port, wish, headers })
    }

    /// Its headers without those that are between the program and the proxy, and without `Host`.
    #[must_use]
    pub fn passed_on(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        without_hops(&mut headers);
        headers.remove(header::HOST);
        headers.remove(header::EXPECT);
        headers
    }
}

/// Headers that are between two neighbours, whatever `Connection` says.
const HOPS: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Takes out what is between two neighbours only. How long a body is, is said anew by who sends it.
pub(super) fn without_hops(headers: &mut HeaderMap) {
    let named = headers.get_all(header::CONNECTION).iter();
    let named = named.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let named: Vec<_> =
        named.filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok()).collect();
    for name in named.iter().chain(&HOPS) {
        headers.remove(name);
    }
    if headers.remove(header::TRANSFER_ENCODING).is_some() {
        headers.remove(header::CONTENT_LENGTH);
    }
}

trait Line {
    fn trim_suffix_cr(&self) -> &[u8];
}

impl Line for [u8] {
    fn trim_suffix_cr(&self) -> &[u8] {
        self.strip_suffix(b"\r").unwrap_or(self)
    }
}

/// Whether CR and LF stand together only.
fn ends_with_both(bytes: &[u8]) -> bool {
    let mut before = 0;
    for byte in bytes {
        if (*byte == b'\n') != (before == b'\r') {
            return false;
        }
        before = *byte;
    }
    true
}

fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::new();
    for (n, line) in lines.enumerate() {
        if n == Head::MOST_HEADERS {
            return Err(HeadError::TooMany);
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(HeadError::Header)?;
        let (name, value) = line.split_at_checked(colon).ok_or(HeadError::Header)?;
        let name = HeaderName::from_bytes(name).map_err(|_| HeadError::Header)?;
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let value = HeaderValue::from_bytes(value).map_err(|_| HeadError::Header)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The body's length is said in one way at most.
fn framing(headers: &HeaderMap, old: bool) -> Result<(), HeadError> {
    let mut coding = headers.get_all(header::TRANSFER_ENCODING).iter();
    let mut length = headers.get_all(header::CONTENT_LENGTH).iter();
    match (coding.next(), length.next()) {
        (None, None) => Ok(()),
        (Some(coded), None) if coding.next().is_none() && !old => {
            let chunked = coded.as_bytes().eq_ignore_ascii_case(b"chunked");
            if chunked { Ok(()) } else { Err(HeadError::Framing) }
        }
        (None, Some(said)) if length.next().is_none() => {
            let said = said.as_bytes();
            let sound = (1..=LENGTH_DIGITS).contains(&said.len());
            let sound = sound && said.iter().all(u8::is_ascii_digit);
            if sound { Ok(()) } else { Err(HeadError::Framing) }
        }
        (Some(_) | None, _) => Err(HeadError::Framing),
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    let none = |value: &HeaderValue| value.as_bytes() == b"0";
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| !none(length))
}

fn place(authority: &str) -> Result<(Host, Option<u16>), HeadError> {
    if authority.contains('@') {
        return Err(HeadError::User);
    }
    let (host, port) = split(authority).ok_or(HeadError::Target)?;
    Ok((Host::parse(host).map_err(HeadError::Host)?, port))
}

fn absolute(target: &str) -> Result<(Host, Option<u16>, PathAndQuery), HeadError> {
    const SCHEME: usize = "http://".len();
    let (scheme, rest) = target.split_at_checked(SCHEME).ok_or(HeadError::Target)?;
    if !scheme.eq_ignore_ascii_case("http://") {
        return Err(HeadError::Target);
    }
    if !rest.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'#') {
        return Err(HeadError::Target);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(HeadError::Target)?;
    let (host, port) = place(authority)?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = format!("{slash}{path}").parse().map_err(|_| HeadError::Target)?;
    Ok((host, port, path))
}

fn same_host(
    headers: &HeaderMap,
    (host, port): (&Host, u16),
    may_miss: bool,
    tunnel: bool,
) -> Result<(), HeadError> {
    let mut named = headers.get_all(header::HOST).iter();
    let (one, None) = (named.next(), named.next()) else { return Err(HeadError::HostHeader) };
    let Some(one) = one else {
        return if may_miss { Ok(()) } else { Err(HeadError::HostHeader) };
    };
    let said = one.to_str().ok().and_then(split).ok_or(HeadError::HostHeader)?;
    let same = Host::parse(said.0).as_ref() == Ok(host);
    // Many leave out the port of a tunnel where it is the usual one, and some always.
    let same_port = said.1.map_or(tunnel || port == 80, |said| said == port);
    if same && same_port { Ok(()) } else { Err(HeadError::HostHeader) }
}
