//! How text travels in an HTTP header of MCP's (`Mcp-Name`, `Mcp-Param-…`; revision 2026-07-28,
//! Streamable HTTP, value encoding): printable ASCII as it is, everything else as
//! `=?base64?…?=` over its UTF-8.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;

/// Why a header's value is no text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderValueError {
    /// It holds bytes that are neither printable ASCII nor tabs inside.
    #[error("the header's value holds bytes that are not printable ASCII")]
    NotPrintable,
    /// What stands between the markers is not base64 in its canonical form, padding included.
    #[error("the header's value is marked as base64 and is none")]
    NotBase64,
    /// What the base64 holds is not UTF-8.
    #[error("the header's value holds base64 of something that is not UTF-8")]
    NotUtf8,
}

const OPEN: &[u8] = b"=?base64?";
const CLOSE: &[u8] = b"?=";

/// The text that a header carries. Only what has both markers, written exactly so, is taken for
/// base64; anything else stands for itself.
///
/// # Errors
/// By variant, see [`HeaderValueError`].
pub fn decode(value: &HeaderValue) -> Result<String, HeaderValueError> {
    let bytes = value.as_bytes();
    if let Some(inner) = bytes.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE)) {
        let text = STANDARD.decode(inner).map_err(|_| HeaderValueError::NotBase64)?;
        return String::from_utf8(text).map_err(|_| HeaderValueError::NotUtf8);
    }
    let padded = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    let printable = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    if !bytes.iter().all(printable) || padded(bytes.first()) || padded(bytes.last()) {
        return Err(HeaderValueError::NotPrintable);
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| HeaderValueError::NotPrintable)
}

/// The header's value that carries `text`; [`decode`] gives the text back. Of any length: how much
/// a header may hold is for whoever sends it to know (the standard leaves out what is over 8192
/// bytes).
#[must_use]
pub fn encode(text: &str) -> HeaderValue {
    let bytes = text.as_bytes();
    let padded = text.starts_with(' ') || text.ends_with(' ');
    let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    // Also what only resembles the marker: not every reader compares it exactly.
    let marked = bytes.get(..OPEN.len()).is_some_and(|open| open.eq_ignore_ascii_case(OPEN));
    if printable
        && !padded
        && !marked
        && let Ok(value) = HeaderValue::from_str(text)
    {
        return value;
    }
    wrapped(bytes)
}

fn wrapped(bytes: &[u8]) -> HeaderValue {
    let mut value = String::with_capacity(OPEN.len() + CLOSE.len() + bytes.len().div_ceil(3) * 4);
    value.push_str("=?base64?");
    STANDARD.encode_string(bytes, &mut value);
    value.push_str("?=");
    // Base64 and the markers are printable ASCII, so there is no error to give.
    HeaderValue::from_maybe_shared(bytes::Bytes::from(value))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}
