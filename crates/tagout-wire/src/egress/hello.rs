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
        Self::look(bytes).map(Result::ok)
    }

    /// As [`Hello::read`]; where the end is missing, how many bytes have to come at least.
    pub(super) fn look(bytes: &[u8]) -> Result<Result<Self, usize>, HelloError> {
        match message(bytes)? {
            Ok(message) => hello(&mut Bytes(&message)).map(Ok),
            Err(_) if bytes.len() >= Self::MOST_BYTES => Err(HelloError::TooLarge),
            Err(missing) => Ok(Err(missing)),
        }
    }
}

/// How many bytes of a message are missing, at least.
fn missing(message: &[u8]) -> usize {
    let length = match message {
        [_, a, b, c, ..] => 4 + (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c)),
        _ => 4,
    };
    length.saturating_sub(message.len()).max(1)
}

/// The message in the first records, which may be cut anywhere; or how many bytes are missing.
fn message(bytes: &[u8]) -> Result<Result<Vec<u8>, usize>, HelloError> {
    let mut records = Bytes(bytes);
    let mut message = Vec::new();
    loop {
        let Some(kind) = records.byte() else { return Ok(Err(missing(&message))) };
        if kind != HANDSHAKE {
            return Err(HelloError::NotTls);
        }
        let Some(major) = records.byte() else { return Ok(Err(missing(&message))) };
        if major != 3 {
            return Err(HelloError::NotTls);
        }
        let (Some(_), Some(length)) = (records.byte(), records.pair()) else {
            return Ok(Err(missing(&message)));
        };
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
                return Ok(Ok(body.to_vec()));
            }
        }
        if whole.is_none() || records.take(length).is_none() {
            return Ok(Err(missing(&message)));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A greeting in records of `size` bytes.
    fn greeting(size: usize) -> Vec<u8> {
        let mut message = vec![1, 0, 0, 43, 3, 3];
        message.extend([7; 32]);
        message.extend([0, 0, 2, 0x13, 1, 1, 0, 0, 0]);
        let records = message.chunks(size).flat_map(|piece| {
            let head = [22, 3, 1, 0, u8::try_from(piece.len()).unwrap()];
            [&head[..], piece].concat()
        });
        records.collect()
    }

    #[test]
    fn no_more_is_waited_for_than_comes() {
        for size in [1, 3, 4, 10, 60] {
            let whole = greeting(size);
            let mut looks = 0;
            let mut end = 0;
            while end < whole.len() {
                let missing = Hello::look(&whole[..end]).unwrap().unwrap_err();
                assert!(missing > 0 && end + missing <= whole.len(), "{size} {end} {missing}");
                end += missing;
                looks += 1;
            }
            assert!(Hello::look(&whole).unwrap().is_ok());
            assert!(looks < 60, "{size}: {looks} of {}", whole.len());
        }
    }
}
