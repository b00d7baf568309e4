//! The certificate of whoever signed: good for some minutes, made for somebody that an identity
//! provider had let in, and on record in a public log of certificates.
use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use sha2::{Digest as _, Sha256};
use webpki::{
    EndEntityCert, KeyUsage, anchor_from_trusted_cert,
    ring::{ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA256, ECDSA_P384_SHA384},
};

use crate::{
    Flaw, Publisher,
    der::{BOOLEAN, OBJECT, OCTET_STRING, SEQUENCE, UTF8, only, written},
    key::Key,
    trust::{Authority, TrustRoot},
};

const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    &[ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA256, ECDSA_P384_SHA384];

/// What a certificate for signing code is marked with.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// What one that signs times is marked with.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
const NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const LOG_RECEIPTS: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02];
/// 1.3.6.1.4.1.57264.1, and one number more.
const FULCIO: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01];
const ISSUER_OLD: u8 = 1;
const REPOSITORY_OLD: u8 = 5;
const ISSUER: u8 = 8;
const REPOSITORY: u8 = 12;
const REFERENCE: u8 = 14;
const REPOSITORY_ID: u8 = 15;
const OWNER_ID: u8 = 17;

/// A tag that depends on where it stands, of a value made of others.
const EXTENSIONS: u8 = 0xa3;
const EMAIL: u8 = 0x81;
const URI: u8 = 0x86;

/// A certificate, taken apart.
pub(crate) struct Certificate<'a> {
    /// All that stands before the extensions in what is signed.
    before: Vec<u8>,
    spki: &'a [u8],
    extensions: Vec<Extension<'a>>,
}

#[derive(Clone, Copy)]
struct Extension<'a> {
    id: &'a [u8],
    value: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut signed = only(der, SEQUENCE)?.inside().of(SEQUENCE)?.inside();
        let mut before = Vec::new();
        let mut spki = None;
        let mut extensions = None;
        // Version, number, algorithm, issuer, validity, subject, key.
        let mut position = 0;
        while !signed.is_empty() {
            let value = signed.any()?;
            if value.tag == EXTENSIONS {
                extensions = Some(only(value.content, SEQUENCE)?);
                break;
            }
            spki = spki.or((position == 6).then_some(value.whole));
            position += 1;
            before.extend_from_slice(value.whole);
        }
        let mut read = Vec::new();
        let mut inside = extensions?.inside();
        while !inside.is_empty() {
            let extension = inside.of(SEQUENCE)?;
            let mut parts = extension.inside();
            let id = parts.of(OBJECT)?.content;
            let _critical = parts.of(BOOLEAN);
            let value = parts.of(OCTET_STRING)?.content;
            let twice = read.iter().any(|other: &Extension<'_>| other.id == id);
            if twice || !parts.is_empty() {
                return None;
            }
            read.push(Extension { id, value, whole: extension.whole });
        }
        (signed.is_empty()).then_some(Self { before, spki: spki?, extensions: read })
    }

    pub(crate) fn key(&self) -> Option<Key> {
        Key::from_spki(self.spki)
    }

    fn extension(&self, id: &[u8]) -> Option<&'a [u8]> {
        self.extensions.iter().find(|extension| extension.id == id).map(|found| found.value)
    }

    /// What is signed, as it was before a log's receipt was put in.
    fn without_receipts(&self) -> Vec<u8> {
        let kept = self.extensions.iter().filter(|extension| extension.id != LOG_RECEIPTS);
        let kept: Vec<u8> = kept.flat_map(|extension| extension.whole).copied().collect();
        let extensions = written(EXTENSIONS, &written(SEQUENCE, &kept));
        written(SEQUENCE, &[self.before.as_slice(), &extensions].concat())
    }

    /// The text of one of the authority's own extensions.
    fn text(&self, number: u8) -> Option<String> {
        let value = self.extension(&[FULCIO, &[number]].concat())?;
        String::from_utf8(only(value, UTF8)?.content.to_vec()).ok()
    }

    /// The branch or tag that was built.
    pub(crate) fn reference(&self) -> Option<String> {
        self.text(REFERENCE)
    }

    /// Who signed, as the authority had it from an identity provider.
    pub(crate) fn publisher(&self) -> Option<Publisher> {
        let text = |number: u8| self.text(number);
        // The first extensions hold bare texts.
        let bare = |number: u8| {
            let value = self.extension(&[FULCIO, &[number]].concat())?;
            String::from_utf8(value.to_vec()).ok()
        };
        let names = only(self.extension(NAMES)?, SEQUENCE)?;
        let mut inside = names.inside();
        let name = inside.any()?;
        if !inside.is_empty() || !matches!(name.tag, EMAIL | URI) {
            return None;
        }
        let name = String::from_utf8(name.content.to_vec()).ok()?;
        // The version that was released is no part of who released it.
        let subject = match name.split_once('@') {
            Some((workflow, _)) if workflow.starts_with("https://") => workflow.to_owned(),
            Some(_) | None => name,
        };
        let of_github = |name: String| format!("https://github.com/{name}");
        let repository = text(REPOSITORY).or_else(|| bare(REPOSITORY_OLD).map(of_github));
        Some(Publisher {
            issuer: text(ISSUER).or_else(|| bare(ISSUER_OLD))?,
            repository,
            subject,
            repository_id: text(REPOSITORY_ID),
            owner_id: text(OWNER_ID),
        })
    }
}

/// Verifies that an authority of `root` made the certificate, that it was good at that time, and that
/// it is on record in a log of certificates.
pub(crate) fn verify<'a>(
    der: &'a [u8],
    at: i64,
    root: &TrustRoot,
) -> Result<Certificate<'a>, Flaw> {
    let certificate = Certificate::parse(der).ok_or(Flaw::Certificate("it cannot be read"))?;
    let authorities = root.authorities.iter().filter(|authority| authority.valid.covers(at));
    let mut issuers = authorities.filter_map(|authority| issuer(der, at, authority, CODE_SIGNING));
    let issuer = issuers.next().ok_or(Flaw::Certificate(
        "no authority of the trust root made it, or it was not good at the time",
    ))?;
    let issuer =
        Certificate::parse(&issuer).ok_or(Flaw::Certificate("its issuer cannot be read"))?;
    let logged = receipts(&certificate).is_some_and(|receipts| {
        receipts.iter().any(|receipt| is_logged(&certificate, &issuer, receipt, root))
    });
    if logged { Ok(certificate) } else { Err(Flaw::Certificate("no log of certificates has it")) }
}

/// Whether an authority of `chain` made the certificate for signing times, and it was good then.
pub(crate) fn signs_times(authority: &Authority, at: i64) -> bool {
    let Some((leaf, _)) = authority.chain.split_first() else { return false };
    authority.valid.covers(at) && issuer(leaf, at, authority, TIME_STAMPING).is_some()
}

/// The certificate that `der` was signed with, if `authority` stands behind it.
fn issuer(
    der: &[u8],
    at: i64,
    authority: &Authority,
    usage: &'static [u8],
) -> Option<CertificateDer<'static>> {
    let (root, between) = authority.chain.split_last()?;
    let anchor = anchor_from_trusted_cert(root).ok()?;
    let leaf = CertificateDer::from(der);
    let leaf = EndEntityCert::try_from(&leaf).ok()?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).ok()?));
    let usage = KeyUsage::required(usage);
    let anchors = [anchor];
    let path =
        leaf.verify_for_usage(ALGORITHMS, &anchors, between, time, usage, None, None).ok()?;
    let made_it = path.intermediate_certificates().next().map(|made_it| made_it.der().into_owned());
    Some(made_it.unwrap_or_else(|| root.clone()))
}

/// A log's receipt for a certificate.
struct Receipt<'a> {
    log: &'a [u8],
    time: &'a [u8],
    extensions: &'a [u8],
    signature: &'a [u8],
}

/// `count` bytes, and the rest.
fn taken<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// What stands after its length in two bytes.
fn counted<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = <[u8; 2]>::try_from(taken(bytes, 2)?).ok()?;
    taken(bytes, usize::from(u16::from_be_bytes(length)))
}

fn receipts<'a>(certificate: &Certificate<'a>) -> Option<Vec<Receipt<'a>>> {
    let mut all = only(certificate.extension(LOG_RECEIPTS)?, OCTET_STRING)?.content;
    let mut list = counted(&mut all)?;
    let mut out = Vec::new();
    while !list.is_empty() {
        let mut one = counted(&mut list)?;
        let version = taken(&mut one, 1)?;
        let (log, time) = (taken(&mut one, 32)?, taken(&mut one, 8)?);
        let extensions = counted(&mut one)?;
        let algorithm = taken(&mut one, 2)?;
        let signature = counted(&mut one)?;
        // SHA-256 and ECDSA.
        if version == [0] && algorithm == [4, 3] && one.is_empty() {
            out.push(Receipt { log, time, extensions, signature });
        }
    }
    all.is_empty().then_some(out)
}

fn is_logged(
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
    receipt: &Receipt<'_>,
    root: &TrustRoot,
) -> bool {
    let millis = <[u8; 8]>::try_from(receipt.time).map(i64::from_be_bytes).unwrap_or_default();
    let mut logs = root.certificate_logs.iter();
    let log = logs.find(|log| log.id == receipt.log && log.valid.covers(millis / 1000));
    let signed = certificate.without_receipts();
    let length = u32::try_from(signed.len()).unwrap_or_default().to_be_bytes();
    let [0, length @ ..] = length else { return false };
    let extensions = u16::try_from(receipt.extensions.len()).unwrap_or_default().to_be_bytes();
    let message = [
        &[0, 0],
        receipt.time,
        &[0, 1],
        &Sha256::digest(issuer.spki),
        &length,
        &signed,
        &extensions,
        receipt.extensions,
    ]
    .concat();
    log.is_some_and(|log| log.key.signed(&message, receipt.signature))
}

/// The certificate within a text of PEM, or the key.
pub(crate) fn of_pem(text: &[u8]) -> Option<Vec<u8>> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = std::str::from_utf8(text).ok()?;
    let (_, body) = text.trim().strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let (body, _) = body.split_once("-----END ")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}
