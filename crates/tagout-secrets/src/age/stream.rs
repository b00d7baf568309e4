//! The payload: chunks of 64 KiB, each sealed, numbered, and the last one marked as such.
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, aead::Aead as _};
use tagout_proto::Secret;

use super::{AgeError, drawn, hkdf};

const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
const NONCE: usize = 16;

fn cipher(file_key: &Secret<[u8; 16]>, nonce: &[u8]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(hkdf(file_key.expose(), nonce, b"payload").expose().into())
}

/// Eleven bytes of the chunk's number, and whether it is the last.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    if let Some((number_bytes, flag)) = nonce.get_mut(3..).and_then(<[u8]>::split_first_chunk_mut) {
        *number_bytes = number.to_be_bytes();
        flag.fill(u8::from(last));
    }
    nonce.into()
}

pub(super) fn seal(
    file_key: &Secret<[u8; 16]>,
    plain: &[u8],
    sealed: &mut Vec<u8>,
) -> Result<(), AgeError> {
    let mut salt = [0; NONCE];
    drawn(&mut salt)?;
    sealed.extend(salt);
    let cipher = cipher(file_key, &salt);
    let count = plain.len().div_ceil(CHUNK).max(1);
    let mut chunks = plain.chunks(CHUNK);
    for number in 0..count {
        let chunk = chunks.next().unwrap_or_default();
        let nonce = nonce(u64::try_from(number).unwrap_or(u64::MAX), number + 1 == count);
        sealed.extend(cipher.encrypt(&nonce, chunk).map_err(|_| AgeError::Malformed)?);
    }
    Ok(())
}

pub(super) fn open(
    file_key: &Secret<[u8; 16]>,
    payload: &[u8],
) -> Result<Secret<Vec<u8>>, AgeError> {
    let (salt, sealed) = payload.split_at_checked(NONCE).ok_or(AgeError::Malformed)?;
    let cipher = cipher(file_key, salt);
    let count = sealed.len().div_ceil(CHUNK + TAG);
    // Of its full size at once: a buffer that grows leaves what it held behind.
    let mut plain = Vec::with_capacity(sealed.len());
    for (number, chunk) in sealed.chunks(CHUNK + TAG).enumerate() {
        let last = number + 1 == count;
        let nonce = nonce(u64::try_from(number).unwrap_or(u64::MAX), last);
        let opened = cipher.decrypt(&nonce, chunk).map_err(|_| AgeError::Changed);
        let opened = Secret::new(opened?);
        // An empty chunk is only ever the whole.
        if opened.expose().is_empty() && number > 0 {
            return Err(AgeError::Changed);
        }
        plain.extend_from_slice(opened.expose());
    }
    if count == 0 {
        return Err(AgeError::Changed);
    }
    Ok(Secret::new(plain))
}
