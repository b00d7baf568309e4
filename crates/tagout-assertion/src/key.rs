//! The key that signs statements, and the one that verifies them.
use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use tagout_proto::{Document, Limits, Value, quoted};

use crate::{BadKeySet, Claims, TYPE};

/// Most keys that a set may have.
const KEYS: usize = 64;
/// The longest text of a set, in bytes.
const SET_BYTES: usize = 64 << 10;

/// A key that verifies statements.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: String,
}

/// The key that signs statements.
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
}

impl PublicKey {
    /// The key of these 32 bytes.
    ///
    /// # Errors
    /// They are no point that a key can be.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKeySet> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadKeySet("`x` is no key"))?;
        if key.is_weak() {
            return Err(BadKeySet("`x` is a key that everything verifies under"));
        }
        Ok(Self::of(key))
    }

    fn of(key: VerifyingKey) -> Self {
        let x = BASE64.encode(key.as_bytes());
        // RFC 7638, with the members that RFC 8037 says.
        let thumbprint = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let id = BASE64.encode(tagout_proto::Digest::of(thumbprint.as_bytes()).as_bytes());
        Self { key, id }
    }

    /// The key's identifier: its thumbprint by RFC 7638.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key as a JSON Web Key (RFC 8037).
    #[must_use]
    pub fn jwk(&self) -> String {
        let (x, id) = (BASE64.encode(self.key.as_bytes()), quoted(&self.id));
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":{id},"use":"sig","alg":"EdDSA"}}"#)
    }

    /// A JSON Web Key Set of this key alone.
    #[must_use]
    pub fn jwks(&self) -> String {
        format!(r#"{{"keys":[{}]}}"#, self.jwk())
    }

    /// The keys of a JSON Web Key Set, such as `tagout key assertion` prints.
    ///
    /// # Errors
    /// It is no such set, it is empty, or one of its keys is of another kind.
    pub fn set_of_jwks(text: &str) -> Result<Vec<Self>, BadKeySet> {
        let limits = Limits { frame_bytes: SET_BYTES, ..Limits::default() };
        let unread = |_| BadKeySet("it cannot be read");
        let document = Document::read(text.as_bytes(), limits).map_err(unread)?;
        let keys = document.root().get("keys").ok_or(BadKeySet("it has no `keys`"))?;
        let keys: Vec<_> = keys.elements().map(Self::of_jwk).collect::<Result<_, _>>()?;
        match keys.len() {
            0 => Err(BadKeySet("it has no key")),
            1..=KEYS => Ok(keys),
            _ => Err(BadKeySet("it has too many keys")),
        }
    }

    fn of_jwk(key: Value<'_>) -> Result<Self, BadKeySet> {
        let text = |name: &str| key.get(name).and_then(|value| value.text());
        let is = |name, expected| text(name).as_deref() == Some(expected);
        if !is("kty", "OKP") || !is("crv", "Ed25519") || key.get("d").is_some() {
            return Err(BadKeySet("a key is no public Ed25519 key"));
        }
        let x = text("x").and_then(|x| BASE64.decode(x.as_bytes()).ok());
        let bytes: Option<[u8; 32]> = x.and_then(|x| x.try_into().ok());
        let public = Self::from_bytes(&bytes.ok_or(BadKeySet("`x` is no key"))?)?;
        if key.get("kid").is_some() && !is("kid", public.id()) {
            return Err(BadKeySet("`kid` is not the key's thumbprint"));
        }
        Ok(public)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

impl Signer {
    /// The signer with the private key that follows from `seed`.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::of(key.verifying_key());
        Self { key, public }
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// What it says of itself in its statements.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("tagout:{}", self.public.id)
    }

    /// The statement, as a compact token.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        let header =
            format!(r#"{{"alg":"EdDSA","typ":"{TYPE}","kid":{}}}"#, quoted(&self.public.id));
        // Texts and numbers under names can always be written.
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        let mut token = BASE64.encode(header);
        token.push('.');
        BASE64.encode_string(claims, &mut token);
        let signature = self.key.sign(token.as_bytes());
        token.push('.');
        BASE64.encode_string(signature.to_bytes(), &mut token);
        token
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public.id)
    }
}
