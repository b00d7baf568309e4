//! Whom attestations are believed: the certificate authorities, logs and keys of the trust root.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::CertificateDer;
use serde::Deserialize;

use crate::{der, key::Key, time};

/// Sigstore's public good instance, and the keys by which a registry of npm packages signs; see
/// `data/README.md`.
const COMMITTED: (&str, &str) =
    (include_str!("../data/trusted_root.json"), include_str!("../data/npm_keys.json"));

/// Whom attestations are believed.
#[derive(Debug)]
pub struct TrustRoot {
    pub(crate) authorities: Vec<Authority>,
    pub(crate) logs: Vec<Log>,
    pub(crate) certificate_logs: Vec<Log>,
    pub(crate) timestamps: Vec<Authority>,
    pub(crate) keys: Vec<RegistryKey>,
}

/// A certificate authority, for some time.
#[derive(Debug)]
pub(crate) struct Authority {
    /// From its root to the certificate that signs, in the order of the file: the root is last.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) valid: Valid,
}

/// A log, for some time.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) id: Vec<u8>,
    pub(crate) key: Key,
    /// Its name in its checkpoints.
    pub(crate) origin: String,
    pub(crate) valid: Valid,
}

/// A key by which a registry signs that it published something.
#[derive(Debug)]
pub(crate) struct RegistryKey {
    pub(crate) id: String,
    pub(crate) key: Key,
    pub(crate) spki: Vec<u8>,
    pub(crate) valid: Valid,
}

/// Seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Valid {
    from: i64,
    until: Option<i64>,
}

impl Valid {
    pub(crate) fn covers(self, at: i64) -> bool {
        self.from <= at && self.until.is_none_or(|until| at <= until)
    }
}

/// Why a text is no trust root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the trust root cannot be read: {0}")]
pub struct BadTrustRoot(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRoot {
    tlogs: Vec<WrittenLog>,
    certificate_authorities: Vec<WrittenAuthority>,
    ctlogs: Vec<WrittenLog>,
    #[serde(default)]
    timestamp_authorities: Vec<WrittenAuthority>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenLog {
    base_url: String,
    public_key: WrittenKey,
    log_id: WrittenId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenId {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenKey {
    raw_bytes: String,
    valid_for: WrittenValid,
}

#[derive(Deserialize)]
struct WrittenValid {
    start: String,
    end: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenAuthority {
    cert_chain: WrittenChain,
    valid_for: WrittenValid,
}

#[derive(Deserialize)]
struct WrittenChain {
    certificates: Vec<WrittenCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenCertificate {
    raw_bytes: String,
}

#[derive(Deserialize)]
struct WrittenKeys {
    keys: Vec<WrittenRegistryKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRegistryKey {
    key_id: String,
    key_usage: String,
    public_key: WrittenKey,
}

impl TrustRoot {
    /// The one that this program comes with.
    ///
    /// # Errors
    /// Never, as a test shows.
    pub fn committed() -> Result<Self, BadTrustRoot> {
        Self::parse(COMMITTED.0, COMMITTED.1)
    }

    /// Reads a trust root of Sigstore's, and the keys of a registry.
    ///
    /// # Errors
    /// It is not of the format, or has keys of a kind that is not known.
    pub fn parse(root: &str, keys: &str) -> Result<Self, BadTrustRoot> {
        let bad = |error: serde_json::Error| BadTrustRoot(error.to_string());
        let root: WrittenRoot = serde_json::from_str(root).map_err(bad)?;
        let keys: WrittenKeys = serde_json::from_str(keys).map_err(bad)?;
        let attesting = keys.keys.iter().filter(|key| key.key_usage == "npm:attestations");
        Ok(Self {
            authorities: root
                .certificate_authorities
                .iter()
                .map(authority)
                .collect::<Result<_, _>>()?,
            logs: logs(&root.tlogs)?,
            certificate_logs: logs(&root.ctlogs)?,
            timestamps: root
                .timestamp_authorities
                .iter()
                .map(authority)
                .collect::<Result<_, _>>()?,
            keys: attesting.map(registry_key).collect::<Result<_, _>>()?,
        })
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, BadTrustRoot> {
    STANDARD.decode(text).map_err(|error| BadTrustRoot(error.to_string()))
}

fn valid(written: &WrittenValid) -> Result<Valid, BadTrustRoot> {
    let seconds = |text: &str| {
        time::rfc3339(text).ok_or_else(|| BadTrustRoot(format!("`{text}` is no time")))
    };
    Ok(Valid {
        from: seconds(&written.start)?,
        until: written.end.as_deref().map(seconds).transpose()?,
    })
}

/// The logs whose keys are of a kind that is known; the others confirm nothing.
fn logs(written: &[WrittenLog]) -> Result<Vec<Log>, BadTrustRoot> {
    let logs = written.iter().map(|written| {
        let Some(key) = Key::from_spki(&decoded(&written.public_key.raw_bytes)?) else {
            return Ok(None);
        };
        let url = written.base_url.as_str();
        let origin = url.split_once("://").map_or(url, |(_, rest)| rest);
        Ok(Some(Log {
            id: decoded(&written.log_id.key_id)?,
            key,
            origin: origin.trim_end_matches('/').to_owned(),
            valid: valid(&written.public_key.valid_for)?,
        }))
    });
    logs.filter_map(Result::transpose).collect()
}

fn authority(written: &WrittenAuthority) -> Result<Authority, BadTrustRoot> {
    let chain = written.cert_chain.certificates.iter().map(|certificate| {
        let bytes = decoded(&certificate.raw_bytes)?;
        der::only(&bytes, der::SEQUENCE)
            .ok_or_else(|| BadTrustRoot("a certificate is none".to_owned()))?;
        Ok(CertificateDer::from(bytes))
    });
    Ok(Authority { chain: chain.collect::<Result<_, _>>()?, valid: valid(&written.valid_for)? })
}

fn registry_key(written: &WrittenRegistryKey) -> Result<RegistryKey, BadTrustRoot> {
    let spki = decoded(&written.public_key.raw_bytes)?;
    Ok(RegistryKey {
        id: written.key_id.clone(),
        key: Key::from_spki(&spki)
            .ok_or_else(|| BadTrustRoot("a key is of an unknown kind".to_owned()))?,
        spki,
        valid: valid(&written.public_key.valid_for)?,
    })
}
