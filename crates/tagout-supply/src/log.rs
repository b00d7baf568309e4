//! What the transparency log says: that it took up exactly this signature, and when.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    Flaw,
    bundle::{Attestation, LogEntry, Proof, SignedBy},
    certificate::of_pem,
    trust::{Log, TrustRoot, Valid},
};

/// An entry that holds.
pub(crate) struct Entered {
    /// When, if the log says that itself; seconds since 1970.
    pub(crate) at: Option<i64>,
    /// When the log's key is good.
    pub(crate) valid: Valid,
}

/// Verifies that a log of `root` has `entry`, and that it is of `attestation`.
pub(crate) fn verify(
    attestation: &Attestation,
    entry: &LogEntry,
    root: &TrustRoot,
) -> Result<Entered, Flaw> {
    let log = root.logs.iter().find(|log| log.id == entry.log_id.key_id);
    let log = log.ok_or(Flaw::Log("it is of a log that the trust root does not name"))?;
    is_of(attestation, entry, root)?;
    let time = i64::try_from(entry.integrated_time).unwrap_or(i64::MAX);
    let promised = match &entry.inclusion_promise {
        Some(promise) => {
            let holds = log.key.signed(promised(entry).as_bytes(), &promise.signed_entry_timestamp);
            if !holds || !log.valid.covers(time) {
                return Err(Flaw::Log("its promise is not the log's"));
            }
            true
        }
        None => false,
    };
    let proof = entry.inclusion_proof.as_ref();
    if !promised && proof.is_some_and(|proof| proof.log_index != entry.log_index) {
        return Err(Flaw::Log("it stands in two places"));
    }
    match proof {
        // Without the log's own word of its root, a proof shows nothing.
        Some(proof) if proof.checkpoint.is_some() => {
            proven(&entry.canonicalized_body, proof, log)?;
        }
        Some(_) | None if !promised || attestation.wants_proof => {
            return Err(Flaw::Log("nothing shows that the log has it"));
        }
        Some(_) | None => {}
    }
    Ok(Entered { at: promised.then_some(time), valid: log.valid })
}

/// What a promise is signed over.
fn promised(entry: &LogEntry) -> String {
    let body = STANDARD.encode(&entry.canonicalized_body);
    let (time, index) = (entry.integrated_time, entry.log_index);
    let log = hex::encode(&entry.log_id.key_id);
    format!(
        "{{\"body\":\"{body}\",\"integratedTime\":{time},\"logID\":\"{log}\",\"logIndex\":{index}}}"
    )
}

/// Whether the entry is of this signature, over this payload, with this certificate or key.
fn is_of(attestation: &Attestation, entry: &LogEntry, root: &TrustRoot) -> Result<(), Flaw> {
    let body: Value = serde_json::from_slice(&entry.canonicalized_body)
        .map_err(|error| Flaw::Malformed(error.to_string()))?;
    let at = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (entry.kind_version.kind.as_str(), entry.kind_version.version.as_str());
    if at("/kind") != kind || at("/apiVersion") != version {
        return Err(Flaw::Log("it is of another kind than it says"));
    }
    let once = |text: &str| STANDARD.decode(text).unwrap_or_default();
    let payload = hex::encode(Sha256::digest(&attestation.payload));
    let digest_fits = |path: &str| {
        at(&format!("{path}/algorithm")) == "sha256" && at(&format!("{path}/value")) == payload
    };
    let (digest, signature, signer) = match (kind, version) {
        ("intoto", "0.0.2") => {
            let path = "/spec/content/envelope/signatures/0";
            let signature = once(at(&format!("{path}/sig")));
            let signature = once(&String::from_utf8(signature).unwrap_or_default());
            let signer = of_pem(&once(at(&format!("{path}/publicKey"))));
            (digest_fits("/spec/content/payloadHash"), signature, signer)
        }
        ("dsse", "0.0.1") => {
            let path = "/spec/signatures/0";
            let signature = once(at(&format!("{path}/signature")));
            let signer = of_pem(&once(at(&format!("{path}/verifier"))));
            (digest_fits("/spec/payloadHash"), signature, signer)
        }
        ("hashedrekord", "0.0.2") => {
            let path = "/spec/hashedRekordV002";
            let signed = Sha256::digest(attestation.signed_bytes());
            let digest = at(&format!("{path}/data/algorithm")) == "SHA2_256"
                && once(at(&format!("{path}/data/digest"))) == signed.as_slice();
            let signature = once(at(&format!("{path}/signature/content")));
            let verifier = format!("{path}/signature/verifier");
            let signer = once(at(&format!("{verifier}/x509Certificate/rawBytes")));
            (digest, signature, Some(signer))
        }
        _ => return Err(Flaw::Unknown("the kind of the log's entry")),
    };
    let ours = match &attestation.signer {
        SignedBy::Certificate(certificate) => Some(certificate.as_slice()),
        SignedBy::Key(hint) => {
            root.keys.iter().find(|key| key.id == *hint).map(|key| key.spki.as_slice())
        }
    };
    if digest && signature == attestation.signature && ours.is_some() && signer.as_deref() == ours {
        Ok(())
    } else {
        Err(Flaw::Log("it is of something else"))
    }
}

/// Verifies that the log's tree holds `body`, and that the log signed the tree's root.
fn proven(body: &[u8], proof: &Proof, log: &Log) -> Result<(), Flaw> {
    let leaf = Sha256::new().chain_update([0]).chain_update(body).finalize();
    let root = root_from(leaf.into(), proof).ok_or(Flaw::Log("its proof is of another shape"))?;
    let checkpoint = proof.checkpoint.as_ref().map(|checkpoint| checkpoint.envelope.as_str());
    let signed = signed_root(checkpoint.unwrap_or_default(), log)
        .ok_or(Flaw::Log("the log did not sign its checkpoint"))?;
    if root == *proof.root_hash && signed == (proof.tree_size, root.to_vec()) {
        Ok(())
    } else {
        Err(Flaw::Log("its proof leads to another root"))
    }
}

/// The root of the tree, by RFC 9162, 2.1.3.2.
fn root_from(leaf: [u8; 32], proof: &Proof) -> Option<[u8; 32]> {
    let node = |left: &[u8], right: &[u8]| -> [u8; 32] {
        Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
    };
    let (mut index, mut last) = (proof.log_index, proof.tree_size.checked_sub(1)?);
    if index > last || proof.hashes.len() > 64 {
        return None;
    }
    let mut root = leaf;
    for hash in &proof.hashes {
        let hash = hash.0.as_slice();
        if last == 0 || hash.len() != 32 {
            return None;
        }
        if index & 1 == 1 || index == last {
            root = node(hash, &root);
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            root = node(&root, hash);
        }
        index >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// Size and root of the tree in a checkpoint, if the log signed it.
fn signed_root(checkpoint: &str, log: &Log) -> Option<(u64, Vec<u8>)> {
    let (text, signatures) = checkpoint.split_once("\n\n")?;
    let mut lines = text.lines();
    let origin = lines.next()?;
    let size = lines.next()?.parse().ok()?;
    let root = STANDARD.decode(lines.next()?).ok()?;
    let named = origin == log.origin || origin.starts_with(&format!("{} - ", log.origin));
    let signed = format!("{text}\n");
    let mut signatures = signatures.lines().filter_map(|line| {
        let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = STANDARD.decode(signature).ok()?;
        let (hint, signature) = bytes.split_at_checked(4)?;
        (name == log.origin && log.id.starts_with(hint)).then(|| signature.to_vec())
    });
    let holds = signatures.any(|signature| log.key.signed(signed.as_bytes(), &signature));
    (named && holds).then_some((size, root))
}
