//! Attestations as they are written: Sigstore's bundles, and what Python's packages have in their
//! place (PEP 740), which is the same in other words.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::Flaw;

/// A signed statement, and what shows who signed it and when.
#[derive(Debug)]
pub(crate) struct Attestation {
    pub(crate) payload_type: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) signer: SignedBy,
    pub(crate) entries: Vec<LogEntry>,
    /// Responses of timestamp authorities.
    pub(crate) timestamps: Vec<Vec<u8>>,
    /// Whether its format demands a proof that the log has it, where the first took a promise.
    pub(crate) wants_proof: bool,
}

/// What shows who signed.
#[derive(Debug)]
pub(crate) enum SignedBy {
    /// A certificate, in DER.
    Certificate(Vec<u8>),
    /// The name of a key that is known.
    Key(String),
}

/// What a log says of having taken it up.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogEntry {
    #[serde(deserialize_with = "number")]
    pub(crate) log_index: u64,
    pub(crate) log_id: LogId,
    pub(crate) kind_version: Kind,
    #[serde(default, deserialize_with = "number")]
    pub(crate) integrated_time: u64,
    pub(crate) inclusion_promise: Option<Promise>,
    pub(crate) inclusion_proof: Option<Proof>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) canonicalized_body: Vec<u8>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogId {
    #[serde(deserialize_with = "bytes")]
    pub(crate) key_id: Vec<u8>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Kind {
    pub(crate) kind: String,
    pub(crate) version: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Promise {
    #[serde(deserialize_with = "bytes")]
    pub(crate) signed_entry_timestamp: Vec<u8>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Proof {
    #[serde(deserialize_with = "number")]
    pub(crate) log_index: u64,
    #[serde(deserialize_with = "bytes")]
    pub(crate) root_hash: Vec<u8>,
    #[serde(deserialize_with = "number")]
    pub(crate) tree_size: u64,
    #[serde(default)]
    pub(crate) hashes: Vec<Hash>,
    pub(crate) checkpoint: Option<Checkpoint>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Hash(#[serde(deserialize_with = "bytes")] pub(crate) Vec<u8>);

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) envelope: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenBundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<Certificate>,
    x509_certificate_chain: Option<Chain>,
    public_key: Option<Hint>,
    #[serde(default)]
    tlog_entries: Vec<LogEntry>,
    timestamp_verification_data: Option<Timestamps>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    #[serde(deserialize_with = "bytes")]
    raw_bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<Certificate>,
}

#[derive(Deserialize)]
struct Hint {
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Timestamps {
    #[serde(default)]
    rfc3161_timestamps: Vec<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Timestamp {
    #[serde(deserialize_with = "bytes")]
    signed_timestamp: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(deserialize_with = "bytes")]
    payload: Vec<u8>,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    #[serde(deserialize_with = "bytes")]
    sig: Vec<u8>,
}

/// One of PEP 740.
#[derive(Deserialize)]
struct WrittenAttestation {
    version: u64,
    verification_material: PythonMaterial,
    envelope: PythonEnvelope,
}

#[derive(Deserialize)]
struct PythonMaterial {
    #[serde(deserialize_with = "bytes")]
    certificate: Vec<u8>,
    transparency_entries: Vec<LogEntry>,
}

#[derive(Deserialize)]
struct PythonEnvelope {
    #[serde(deserialize_with = "bytes")]
    statement: Vec<u8>,
    #[serde(deserialize_with = "bytes")]
    signature: Vec<u8>,
}

const IN_TOTO: &str = "application/vnd.in-toto+json";

impl Attestation {
    /// Reads a bundle of Sigstore's, of any version up to 0.3.
    pub(crate) fn of_bundle(value: serde_json::Value) -> Result<Self, Flaw> {
        let bundle: WrittenBundle = read(value)?;
        const FIRST: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
        const VERSIONS: [&str; 4] = [
            FIRST,
            "application/vnd.dev.sigstore.bundle+json;version=0.2",
            "application/vnd.dev.sigstore.bundle+json;version=0.3",
            "application/vnd.dev.sigstore.bundle.v0.3+json",
        ];
        if !VERSIONS.contains(&bundle.media_type.as_str()) {
            return Err(Flaw::Unknown("the bundle's version"));
        }
        let envelope = bundle.dsse_envelope.ok_or(Flaw::Unknown("what is signed"))?;
        let [signature] = <[Signature; 1]>::try_from(envelope.signatures)
            .map_err(|_| Flaw::Malformed("it has not one signature".to_owned()))?;
        let material = bundle.verification_material;
        let chain = material.x509_certificate_chain;
        let in_chain = chain.and_then(|chain| chain.certificates.into_iter().next());
        let certificate =
            material.certificate.or(in_chain).map(|certificate| certificate.raw_bytes);
        let signer = match (certificate, material.public_key) {
            (Some(certificate), None) => SignedBy::Certificate(certificate),
            (None, Some(key)) => SignedBy::Key(key.hint),
            (Some(_), Some(_)) | (None, None) => {
                return Err(Flaw::Malformed("it does not say by what it is signed".to_owned()));
            }
        };
        let timestamps = material.timestamp_verification_data.into_iter();
        let timestamps = timestamps.flat_map(|data| data.rfc3161_timestamps);
        Ok(Self {
            payload_type: envelope.payload_type,
            payload: envelope.payload,
            signature: signature.sig,
            signer,
            entries: material.tlog_entries,
            timestamps: timestamps.map(|timestamp| timestamp.signed_timestamp).collect(),
            wants_proof: bundle.media_type != FIRST,
        })
    }

    /// Reads an attestation of PEP 740.
    pub(crate) fn of_python(value: serde_json::Value) -> Result<Self, Flaw> {
        let attestation: WrittenAttestation = read(value)?;
        if attestation.version != 1 {
            return Err(Flaw::Unknown("the attestation's version"));
        }
        Ok(Self {
            payload_type: IN_TOTO.to_owned(),
            payload: attestation.envelope.statement,
            signature: attestation.envelope.signature,
            signer: SignedBy::Certificate(attestation.verification_material.certificate),
            entries: attestation.verification_material.transparency_entries,
            timestamps: Vec::new(),
            wants_proof: true,
        })
    }

    /// What the signature is over: the type and the payload, each after its length.
    pub(crate) fn signed_bytes(&self) -> Vec<u8> {
        let (kind, payload) = (&self.payload_type, &self.payload);
        let mut out = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
        out.extend_from_slice(payload);
        out
    }

    pub(crate) fn is_in_toto(&self) -> bool {
        self.payload_type == IN_TOTO
    }
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Flaw> {
    serde_json::from_value(value).map_err(|error| Flaw::Malformed(error.to_string()))
}

fn bytes<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(input)?;
    STANDARD.decode(&text).map_err(|_| D::Error::custom("a text is no base64"))
}

/// A number, which may stand as a text: JSON's numbers do not hold all of 64 bits everywhere.
fn number<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
        Nothing(()),
    }
    match Written::deserialize(input)? {
        Written::Number(number) => Ok(number),
        Written::Text(text) => text.parse().map_err(|_| D::Error::custom("a text is no number")),
        Written::Nothing(()) => Ok(0),
    }
}
