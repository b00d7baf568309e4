//! The mark: what the last line is, for those who hold the key. It says what the head says and is
//! written with every line, under a code that only the key's holder can make or check; so the next
//! writer knows the end of the log exactly, also where the head was not signed again yet.
use std::{fs::File, path::Path};

use crate::{
    AuditError,
    head::{self, Found, HEAD_BYTES, Head},
    key::MarkKey,
    line::write_ascii,
};

const BEFORE_CODE: &[u8] = b",\"mac\":\"";
const AFTER_CODE: &[u8] = b"\"}";
const CODE_DIGITS: usize = 64;

/// Puts what `head` says into `file`, as a mark.
pub(crate) fn write(
    file: &File,
    path: &Path,
    key: &MarkKey,
    head: &Head,
) -> Result<(), AuditError> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES);
    write_ascii(&mut bytes, head)?;
    bytes.pop();
    let code = key.code(&bytes);
    bytes.extend_from_slice(BEFORE_CODE);
    bytes.extend_from_slice(code.hex().as_bytes());
    bytes.extend_from_slice(AFTER_CODE);
    head::put(file, path, bytes)
}

/// Checks a mark that was loaded. Without a key nobody can tell who made it.
pub(crate) fn check(bytes: &[u8], key: Option<&MarkKey>) -> Found {
    if bytes.is_empty() {
        return Found::Nothing;
    }
    if bytes.len() != HEAD_BYTES {
        return Found::Bad("the mark does not have 512 bytes");
    }
    let Some((body, code, head)) = head::split(bytes, BEFORE_CODE, CODE_DIGITS) else {
        return Found::Bad("the mark cannot be read");
    };
    match key {
        Some(key) if key.code(body).hex() != code => {
            Found::Bad("the mark was not made with the log's key")
        }
        Some(_) | None => Found::Signed(head),
    }
}
