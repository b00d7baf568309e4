//! Public keys that sign logs, certificates and statements.
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ED25519, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::der::{BIT_STRING, OBJECT, SEQUENCE, only};

const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const ED25519_KEY: &[u8] = &[0x2b, 0x65, 0x70];

/// A public key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    kind: Kind,
    point: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    P256,
    P384,
    Ed25519,
}

impl Key {
    /// The key of a `SubjectPublicKeyInfo`, if it is of a kind that is used here.
    pub(crate) fn from_spki(der: &[u8]) -> Option<Self> {
        let mut outer = only(der, SEQUENCE)?.inside();
        let mut about = outer.of(SEQUENCE)?.inside();
        let kind = about.of(OBJECT)?.content;
        let curve = about.of(OBJECT).map(|curve| curve.content);
        let point = outer.of(BIT_STRING)?.bits()?.to_vec();
        let kind = match (kind, curve) {
            (EC, Some(P256)) => Kind::P256,
            (EC, Some(P384)) => Kind::P384,
            (ED25519_KEY, None) => Kind::Ed25519,
            _ => return None,
        };
        (about.is_empty() && outer.is_empty()).then_some(Self { kind, point })
    }

    /// Whether it has signed `message`, hashed as its kind mostly does.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.holds(
            match self.kind {
                Kind::P256 => &ECDSA_P256_SHA256_ASN1,
                Kind::P384 => &ECDSA_P384_SHA384_ASN1,
                Kind::Ed25519 => &ED25519,
            },
            message,
            signature,
        )
    }

    /// Whether it has signed `message` by the algorithm of that identifier.
    pub(crate) fn signed_by(&self, algorithm: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match (self.kind, algorithm) {
            (Kind::P256, ECDSA_SHA256) => &ECDSA_P256_SHA256_ASN1,
            (Kind::P256, ECDSA_SHA384) => &ECDSA_P256_SHA384_ASN1,
            (Kind::P384, ECDSA_SHA256) => &ECDSA_P384_SHA256_ASN1,
            (Kind::P384, ECDSA_SHA384) => &ECDSA_P384_SHA384_ASN1,
            (Kind::Ed25519, ED25519_KEY) => &ED25519,
            (Kind::P256 | Kind::P384 | Kind::Ed25519, _) => return false,
        };
        self.holds(algorithm, message, signature)
    }

    fn holds(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        UnparsedPublicKey::new(algorithm, &self.point).verify(message, signature).is_ok()
    }
}
