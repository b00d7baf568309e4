//! What a TLS client says first: which server it means. Passed on as it came; only read.
use super::host::{Host, HostError};

/// The first message of a TLS client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hello {
    /// The server that it names.
    pub server: Option<Host>,
    /// It holds a second, encrypted one (ECH), which may name another.
    pub encrypted: bool,
}

/// Why it is no first message of a TLS client.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HelloError {
    /// It is not TLS.
    #[error("it is not TLS")]
    NotTls,
    /// It is longer than any.
    #[error("its greeting is longer than {} bytes", Hello::MOST_BYTES)]
    TooLarge,
    /// It cannot be read.
    #[error("its greeting cannot be read")]
    Malformed,
    /// It names several servers, or none that is a host.
    #[error("its greeting names no host: {0}")]
    Name(HostError),
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const MOST_OF_RECORD: usize = 1 << 14;
const SERVER_NAME: u16 = 0;
/// Encrypted Client Hello, and what it was called before.
const ENCRYPTED: [u16; 2] = [0xfe0d, 0xffce];

impl Hello {
    /// The most bytes that are read of it.
    pub const MOST_BYTES: usize = 32 << 10;

    /// Whether a stream that begins so may be TLS.
    #[must_use]
    pub fn may_be(first: u8) -> bool {
        first == HANDSHAKE
    }

    /// Reads what `bytes` begin with; nothing while its end is missing.
    ///
    /// # Errors
    /// By variant, see [`HelloError`].
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, HelloError> {
        match message(bytes)? {
            Some(message) => hello(&mut Bytes(&message)).map(Some),
            None if bytes.len() >= Self::MOST_BYTES => Err(HelloError::TooLarge),
            None => Ok(None),
        }
    }
}

/// The message in the first records, which may be cut anywhere.
fn message(bytes: &[u8]) -> Result<Option<Vec<u8>>, HelloError> {
    let mut records = Bytes(bytes);
    let mut message = Vec::new();
    loop {
        let Some(kind) = records.byte() else { return Ok(None) };
        if kind != HANDSHAKE {
            return Err(HelloError::NotTls);
        }
        let Some(major) = records.byte() else { return Ok(None) };
        if major != 3 {
            return Err(HelloError::NotTls);
        }
        let (Some(_), Some(length)) = (records.byte(), records.pair()) else { return Ok(None) };
        let length = usize::from(length);
        if length == 0 || length > MOST_OF_RECORD {
            return Err(HelloError::Malformed);
        }
        let whole = records.0.get(..length);
        message.extend_from_slice(whole.unwrap_or(records.0));
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(HelloError::Malformed);
        }
        if let [_, a, b, c, body @ ..] = message.as_slice() {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            if length > Hello::MOST_BYTES {
                return Err(HelloError::TooLarge);
            }
            if let Some(body) = body.get(..length) {
                return Ok(Some(body.to_vec()));
            }
        }
        if whole.is_none() || records.take(length).is_none() {
            return Ok(None);
        }
    }
}

fn hello(bytes: &mut Bytes<'_>) -> Result<Hello, HelloError> {
    let bad = HelloError::Malformed;
    // Version and random; then session, ciphers and compressions, each with its length.
    bytes.take(2 + 32).ok_or(bad)?;
    let session = bytes.byte().ok_or(bad)?;
    bytes.take(session.into()).ok_or(bad)?;
    let ciphers = bytes.pair().ok_or(bad)?;
    bytes.take(ciphers.into()).ok_or(bad)?;
    let compressions = bytes.byte().ok_or(bad)?;
    bytes.take(compressions.into()).ok_or(bad)?;
    let mut hello = Hello { server: None, encrypted: false };
    if bytes.0.is_empty() {
        return Ok(hello);
    }
    let length = bytes.pair().ok_or(bad)?;
    let mut extensions = Bytes(bytes.take(length.into()).ok_or(bad)?);
    if !bytes.0.is_empty() {
        return Err(bad);
    }
    while !extensions.0.is_empty() {
        let kind = extensions.pair().ok_or(bad)?;
        let length = extensions.pair().ok_or(bad)?;
        let content = extensions.take(length.into()).ok_or(bad)?;
        hello.encrypted |= ENCRYPTED.contains(&kind);
        if kind == SERVER_NAME {
            let name = server_name(&mut Bytes(content))?;
            if hello.server.replace(name).is_some() {
                return Err(bad);
            }
        }
    }
    Ok(hello)
}

/// The one name of a list that may hold several, and never does.
fn server_name(bytes: &mut Bytes<'_>) -> Result<Host, HelloError> {
    let bad = HelloError::Malformed;
    let length = bytes.pair().ok_or(bad)?;
    let mut list = Bytes(bytes.take(length.into()).ok_or(bad)?);
    let kind = list.byte().ok_or(bad)?;
    let length = list.pair().ok_or(bad)?;
    let name = list.take(length.into()).ok_or(bad)?;
    if kind != 0 || !list.0.is_empty() || !bytes.0.is_empty() {
        return Err(bad);
    }
    let name = std::str::from_utf8(name).map_err(|_| HelloError::Name(HostError::Character))?;
    Host::parse(name).map_err(HelloError::Name)
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn pair(&mut self) -> Option<u16> {
        match self.take(2)? {
            [high, low] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        }
    }
}
