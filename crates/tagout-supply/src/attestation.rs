//! What attestations say of an artefact, once they are verified.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    Flaw,
    bundle::{Attestation, SignedBy, read},
    certificate, log, timestamp,
    trust::TrustRoot,
};

/// The longest document of attestations that is read, in bytes.
pub const MOST_BYTES: usize = 4 << 20;
/// How many attestations one artefact may have.
const MOST: usize = 16;

/// Who released something, by the certificate of an identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publisher {
    /// The identity provider, by its URL.
    pub issuer: String,
    /// The repository that it was built from, where it was built from one.
    pub repository: Option<String>,
    /// The workflow or the person, without the version.
    pub subject: String,
    /// The number that the repository has at its host: names change hands, numbers do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// The number that the repository's owner has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
}

impl Publisher {
    /// Whether `later` is who this is. Numbers that were not known may come, and never go.
    #[must_use]
    pub fn is_still(&self, later: &Self) -> bool {
        let same = |was: &Option<String>, is: &Option<String>| was.is_none() || was == is;
        self.issuer == later.issuer
            && self.repository == later.repository
            && self.subject == later.subject
            && same(&self.repository_id, &later.repository_id)
            && same(&self.owner_id, &later.owner_id)
    }
}

impl std::fmt::Display for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { issuer, repository, subject, repository_id, owner_id } = self;
        match repository {
            Some(repository) => write!(f, "{repository} by {subject} ({issuer}")?,
            None => write!(f, "{subject} ({issuer}")?,
        }
        for (what, id) in [("repository", repository_id), ("owner", owner_id)] {
            if let Some(id) = id {
                write!(f, ", {what} {id}")?;
            }
        }
        f.write_str(")")
    }
}

/// What was shown of an artefact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Who released it.
    pub publisher: Option<Publisher>,
    /// The branch or tag that it was built from.
    pub reference: Option<String>,
    /// Whether the registry signed that it published it.
    pub registry: bool,
}

/// An artefact: what it is called in attestations, and its digest.
#[derive(Clone, Copy, Debug)]
pub struct Artefact<'a> {
    /// Its name: a file's, or a package's URL.
    pub name: &'a str,
    /// How it is hashed: `sha256` or `sha512`.
    pub algorithm: &'a str,
    /// Its digest, in hexadecimal.
    pub digest: &'a str,
}

/// A statement that holds.
#[derive(Debug)]
struct Statement {
    kind: String,
    predicate: Value,
    /// Who signed it; nobody where it was a registry.
    publisher: Option<Publisher>,
    reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenStatement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    name: String,
    digest: std::collections::BTreeMap<String, String>,
}

const STATEMENTS: [&str; 2] =
    ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];
const BUILDS: [&str; 2] = ["https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"];
const NPM_PUBLISH: &str = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1";
/// The SHA-256 of the type of what Python's index attests when somebody publishes there. The type is a
/// URL below that index's own documentation, and no index is named in these sources.
const PYTHON_PUBLISH: &str = "64b3949826537e32dd526c5d9c31cbeb141dde83b68588399682d5aa3dcdcb74";

#[derive(Deserialize)]
struct NpmDocument {
    attestations: Vec<NpmAttestation>,
}

#[derive(Deserialize)]
struct NpmAttestation {
    bundle: Value,
}

#[derive(Deserialize)]
struct PythonDocument {
    version: u64,
    attestation_bundles: Vec<PythonBundle>,
}

#[derive(Deserialize)]
struct PythonBundle {
    attestations: Vec<Value>,
}

/// The URL of an npm package, as it stands in attestations.
#[must_use]
pub fn npm_url(name: &str, version: &str) -> String {
    format!("pkg:npm/{}@{version}", name.replacen('@', "%40", 1))
}

/// Verifies the attestations of an npm package: each that is there, whoever it is by.
///
/// # Errors
/// One of them does not hold, is of something else, or is of a kind that is not known.
pub fn npm(
    document: &[u8],
    (name, version): (&str, &str),
    sha512: &str,
    root: &TrustRoot,
) -> Result<Provenance, Flaw> {
    let document: NpmDocument = parsed(document)?;
    let url = npm_url(name, version);
    let artefact = Artefact { name: &url, algorithm: "sha512", digest: sha512 };
    let mut provenance = Provenance::default();
    for attestation in bounded(document.attestations)? {
        let statement = verified(&Attestation::of_bundle(attestation.bundle)?, artefact, root)?;
        let kind = statement.kind.as_str();
        match &statement.publisher {
            Some(_) if BUILDS.contains(&kind) => {
                provenance.add(statement.publisher, statement.reference)?;
            }
            None if kind == NPM_PUBLISH => {
                let says = |key: &str, value: &str| {
                    statement.predicate.get(key).and_then(Value::as_str) == Some(value)
                };
                if !says("name", name) || !says("version", version) {
                    return Err(Flaw::Subject);
                }
                provenance.registry = true;
            }
            Some(_) | None => return Err(Flaw::Unknown("what is attested")),
        }
    }
    Ok(provenance)
}

/// Verifies the attestations of a file of a Python package (PEP 740).
///
/// # Errors
/// As [`npm`].
pub fn python(
    document: &[u8],
    file: &str,
    sha256: &str,
    root: &TrustRoot,
) -> Result<Provenance, Flaw> {
    let document: PythonDocument = parsed(document)?;
    if document.version != 1 {
        return Err(Flaw::Unknown("the version of the attestations"));
    }
    let artefact = Artefact { name: file, algorithm: "sha256", digest: sha256 };
    let bundles = document.attestation_bundles.into_iter();
    let mut provenance = Provenance::default();
    for attestation in bounded(bundles.flat_map(|bundle| bundle.attestations).collect())? {
        let statement = verified(&Attestation::of_python(attestation)?, artefact, root)?;
        let known = BUILDS.contains(&statement.kind.as_str()) || is_python_publish(&statement.kind);
        if !known {
            return Err(Flaw::Unknown("what is attested"));
        }
        provenance.add(statement.publisher, statement.reference)?;
    }
    Ok(provenance)
}

fn is_python_publish(kind: &str) -> bool {
    hex::encode(Sha256::digest(kind)) == PYTHON_PUBLISH
}

impl Provenance {
    fn add(&mut self, publisher: Option<Publisher>, reference: Option<String>) -> Result<(), Flaw> {
        if self.publisher.is_some() && self.publisher != publisher {
            return Err(Flaw::Malformed("two attestations name two publishers".to_owned()));
        }
        self.publisher = publisher;
        self.reference = self.reference.take().or(reference);
        Ok(())
    }
}

fn parsed<T: serde::de::DeserializeOwned>(document: &[u8]) -> Result<T, Flaw> {
    if document.len() > MOST_BYTES {
        return Err(Flaw::Malformed("it is too long".to_owned()));
    }
    serde_json::from_slice(document).map_err(|error| Flaw::Malformed(error.to_string()))
}

fn bounded<T>(all: Vec<T>) -> Result<Vec<T>, Flaw> {
    match all.len() {
        0 => Err(Flaw::Malformed("there is no attestation in it".to_owned())),
        1..=MOST => Ok(all),
        _ => Err(Flaw::Malformed("there are too many attestations".to_owned())),
    }
}

/// Verifies one attestation: who signed, that a log has it, and that it is of `artefact`.
fn verified(
    attestation: &Attestation,
    artefact: Artefact<'_>,
    root: &TrustRoot,
) -> Result<Statement, Flaw> {
    if !attestation.is_in_toto() {
        return Err(Flaw::Unknown("what is signed"));
    }
    let at = time(attestation, root)?;
    let signed = attestation.signed_bytes();
    let (publisher, reference) = match &attestation.signer {
        SignedBy::Certificate(der) => {
            let certificate = certificate::verify(der, at, root)?;
            let key =
                certificate.key().ok_or(Flaw::Certificate("its key is of an unknown kind"))?;
            if !key.signed(&signed, &attestation.signature) {
                return Err(Flaw::Signature);
            }
            let publisher = certificate.publisher();
            let publisher = publisher.ok_or(Flaw::Certificate("it does not say of whom it is"))?;
            (Some(publisher), certificate.reference())
        }
        SignedBy::Key(hint) => {
            let mut keys = root.keys.iter();
            let key = keys.find(|key| key.id == *hint && key.valid.covers(at));
            let key = key.ok_or(Flaw::Certificate("it is by a key that the trust root has not"))?;
            if !key.key.signed(&signed, &attestation.signature) {
                return Err(Flaw::Signature);
            }
            (None, None)
        }
    };
    let statement: WrittenStatement = serde_json::from_slice(&attestation.payload)
        .map_err(|error| Flaw::Malformed(error.to_string()))?;
    let [subject] = statement.subject.as_slice() else { return Err(Flaw::Subject) };
    let digest = subject.digest.get(artefact.algorithm).map(String::as_str);
    if !STATEMENTS.contains(&statement.kind.as_str()) {
        return Err(Flaw::Unknown("the statement's version"));
    }
    if subject.name != artefact.name || digest != Some(artefact.digest) {
        return Err(Flaw::Subject);
    }
    let WrittenStatement { predicate_type: kind, predicate, .. } = statement;
    Ok(Statement { kind, predicate, publisher, reference })
}

/// When it was signed: by the log, or by an authority for times. Every entry must hold, every
/// timestamp that is needed, too.
fn time(attestation: &Attestation, root: &TrustRoot) -> Result<i64, Flaw> {
    let [entry] = attestation.entries.as_slice() else {
        return Err(Flaw::Log("it is not in one log, once"));
    };
    let entered = log::verify(attestation, entry, root)?;
    if let Some(at) = entered.at {
        return Ok(at);
    }
    let mut times = attestation.timestamps.iter();
    let first = times.next().ok_or(Flaw::Time("nothing says when it was signed"))?;
    let at = timestamp::verify(first, &attestation.signature, root)?;
    for other in times {
        timestamp::verify(other, &attestation.signature, root)?;
    }
    if !entered.valid.covers(at) {
        return Err(Flaw::Log("the log's key was not good at the time"));
    }
    Ok(at)
}

/// Reads and verifies a bundle of Sigstore's about `artefact`; who signed it, and the type of what
/// they said.
///
/// # Errors
/// It does not hold.
pub fn bundle(
    document: &[u8],
    artefact: Artefact<'_>,
    root: &TrustRoot,
) -> Result<(Option<Publisher>, String), Flaw> {
    let attestation = Attestation::of_bundle(read(parsed(document)?)?)?;
    let statement = verified(&attestation, artefact, root)?;
    Ok((statement.publisher, statement.kind))
}
