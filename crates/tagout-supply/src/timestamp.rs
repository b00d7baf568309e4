//! Times that an authority signed (RFC 3161), for logs that do not say themselves when.
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::{
    Flaw,
    certificate::{Certificate, signs_times},
    der::{
        GENERALIZED_TIME, INTEGER, OBJECT, OCTET_STRING, Reader, SEQUENCE, SET, Value, only,
        written,
    },
    time,
    trust::TrustRoot,
};

const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
/// The first tag that depends on where it stands, of a value made of others.
const FIRST: u8 = 0xa0;

/// When an authority of `root` says that `message` was there already; seconds since 1970.
pub(crate) fn verify(response: &[u8], message: &[u8], root: &TrustRoot) -> Result<i64, Flaw> {
    let parsed = parsed(response).ok_or(Flaw::Time("the timestamp cannot be read"))?;
    if hashed(parsed.imprint.0, message).as_deref() != Some(parsed.imprint.1) {
        return Err(Flaw::Time("the timestamp is of something else"));
    }
    if hashed(parsed.signer.digest, parsed.content).as_deref() != Some(parsed.attribute) {
        return Err(Flaw::Time("the timestamp's digest differs"));
    }
    let mut authorities = root.timestamps.iter();
    let signed = authorities.any(|authority| {
        let leaf = authority.chain.first();
        let key = leaf.and_then(|leaf| Certificate::parse(leaf)?.key());
        signs_times(authority, parsed.at)
            && key.is_some_and(|key| {
                key.signed_by(parsed.signer.algorithm, &parsed.signed, parsed.signer.signature)
            })
    });
    if signed { Ok(parsed.at) } else { Err(Flaw::Time("no authority of the trust root signed it")) }
}

struct Parsed<'a> {
    at: i64,
    /// How and to what the message was hashed.
    imprint: (&'a [u8], &'a [u8]),
    content: &'a [u8],
    /// What the content was hashed to.
    attribute: &'a [u8],
    signed: Vec<u8>,
    signer: Signer<'a>,
}

#[derive(Clone, Copy)]
struct Signer<'a> {
    /// How it hashed the content.
    digest: &'a [u8],
    /// What it signed.
    attributes: Value<'a>,
    /// How it signed.
    algorithm: &'a [u8],
    signature: &'a [u8],
}

fn parsed(response: &[u8]) -> Option<Parsed<'_>> {
    let mut response = only(response, SEQUENCE)?.inside();
    let status = response.of(SEQUENCE)?.inside().of(INTEGER)?;
    // Granted, with changes or without.
    if !matches!(status.content, [0 | 1]) {
        return None;
    }
    let mut token = response.of(SEQUENCE)?.inside();
    if token.of(OBJECT)?.content != SIGNED_DATA {
        return None;
    }
    let mut data = only(token.of(FIRST)?.content, SEQUENCE)?.inside();
    data.of(INTEGER)?;
    data.of(SET)?;
    let mut held = data.of(SEQUENCE)?.inside();
    if held.of(OBJECT)?.content != TIME {
        return None;
    }
    let content = only(held.of(FIRST)?.content, OCTET_STRING)?.content;
    // Certificates; ours are the trust root's.
    data.of(FIRST);
    let signers = data.of(SET)?;
    let signer = only(signers.content, SEQUENCE)?;
    let signer = signer_of(signer)?;
    let (at, imprint) = said(content)?;
    // They are signed as the set that they are, not by their place.
    let signed = written(SET, signer.attributes.content);
    let attribute = attribute(signer.attributes, MESSAGE_DIGEST, OCTET_STRING)?;
    let of_type = self::attribute(signer.attributes, CONTENT_TYPE, OBJECT)?;
    (of_type == TIME).then_some(Parsed { at, imprint, content, attribute, signed, signer })
}

/// What stands of a signer.
fn signer_of(signer: Value<'_>) -> Option<Signer<'_>> {
    let mut parts = signer.inside();
    parts.of(INTEGER)?;
    // Who it is; ours is the trust root's.
    parts.any()?;
    let digest = parts.of(SEQUENCE)?.inside().of(OBJECT)?.content;
    let attributes = parts.of(FIRST)?;
    let algorithm = parts.of(SEQUENCE)?.inside().of(OBJECT)?.content;
    let signature = parts.of(OCTET_STRING)?.content;
    Some(Signer { digest, attributes, algorithm, signature })
}

/// The only value of the attribute that is called so, which is there once.
fn attribute<'a>(attributes: Value<'a>, id: &[u8], tag: u8) -> Option<&'a [u8]> {
    let mut inside = attributes.inside();
    let mut found = None;
    while !inside.is_empty() {
        let mut attribute = inside.of(SEQUENCE)?.inside();
        if attribute.of(OBJECT)?.content == id {
            let value = only(attribute.of(SET)?.content, tag)?.content;
            if found.replace(value).is_some() {
                return None;
            }
        }
    }
    found
}

/// A time, and of what: how that was hashed, and to what.
type Said<'a> = (i64, (&'a [u8], &'a [u8]));

/// When, and of what.
fn said(content: &[u8]) -> Option<Said<'_>> {
    let mut info: Reader<'_> = only(content, SEQUENCE)?.inside();
    info.of(INTEGER)?;
    info.of(OBJECT)?;
    let mut imprint = info.of(SEQUENCE)?.inside();
    let algorithm = imprint.of(SEQUENCE)?.inside().of(OBJECT)?.content;
    let hash = imprint.of(OCTET_STRING)?.content;
    info.of(INTEGER)?;
    let at = info.of(GENERALIZED_TIME)?.content;
    Some((time::generalized(std::str::from_utf8(at).ok()?)?, (algorithm, hash)))
}

fn hashed(algorithm: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        SHA256 => Some(Sha256::digest(message).to_vec()),
        SHA384 => Some(Sha384::digest(message).to_vec()),
        SHA512 => Some(Sha512::digest(message).to_vec()),
        _ => None,
    }
}
