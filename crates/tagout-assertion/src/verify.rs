//! Verifying.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use tagout_proto::{Digest, Document, Limits, value::Kind};

use crate::{
    AssertionError, Claims, LIFETIME_S, PublicKey, TYPE,
    seen::{NotNew, Seen},
};

/// The longest token that is read, in bytes.
const TOKEN_BYTES: usize = 64 << 10;
/// How far the gateway's clock may be ahead, in seconds.
const AHEAD_S: i64 = 5;
/// The longest nonce, in bytes.
const NONCE_BYTES: usize = 64;

/// The call that came with the statement, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The method: `tools/call`.
    pub method: &'a str,
    /// The tool's name; nothing for other methods.
    pub tool: Option<&'a str>,
    /// The digest of the arguments; for other methods, of the parameters without `_meta`.
    pub arguments: Digest,
}

/// Verifies statements for one server.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Vec<PublicKey>,
    audience: String,
}

impl Verifier {
    /// Verifies statements that are for `audience` and signed by one of `keys`.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>, audience: impl Into<String>) -> Self {
        Self { keys, audience: audience.into() }
    }

    /// What `token` states of `call` at `now`, in seconds since 1970; it is used up by this.
    ///
    /// # Errors
    /// The first thing wrong: the token, its signature, whom it is for, its time, the call, and
    /// last whether it was used before, so that nothing that does not verify takes up memory.
    pub fn verify(
        &self,
        token: &str,
        call: &Call<'_>,
        now: i64,
        seen: &mut impl Seen,
    ) -> Result<Claims, AssertionError> {
        let claims = self.signed(token)?;
        if claims.audience != self.audience {
            return Err(AssertionError::Audience);
        }
        in_time(&claims, now)?;
        if claims.method != call.method || claims.tool.as_deref() != call.tool {
            return Err(AssertionError::Call);
        }
        if claims.arguments != call.arguments {
            return Err(AssertionError::Arguments);
        }
        let used = seen.first_use(&claims.nonce, claims.expires_at, now);
        used.map_err(|why| match why {
            NotNew::Used => AssertionError::Replayed,
            NotNew::Full => AssertionError::Full,
        })?;
        Ok(claims)
    }

    /// The claims of a token that one of the keys signed.
    fn signed(&self, token: &str) -> Result<Claims, AssertionError> {
        let malformed = AssertionError::Malformed;
        if token.len() > TOKEN_BYTES {
            return Err(malformed("it is too long"));
        }
        let (message, signature) = token.rsplit_once('.').ok_or(malformed("it has no parts"))?;
        let (header, claims) = message.split_once('.').ok_or(malformed("it has two parts"))?;
        let key = self.key_of(&decoded(header)?)?;
        let signature = BASE64.decode(signature).ok().and_then(|bytes| bytes.try_into().ok());
        let signature: [u8; 64] = signature.ok_or(malformed("its signature is no signature"))?;
        if !key.verifies(message.as_bytes(), &signature) {
            return Err(AssertionError::Signature);
        }
        let claims = decoded(claims)?;
        let claims: Claims = serde_json::from_str(claims.text())
            .map_err(|_| malformed("a claim is missing or of another kind"))?;
        if claims.issuer.strip_prefix("tagout:") != Some(key.id()) {
            return Err(AssertionError::Key);
        }
        if !(1..=NONCE_BYTES).contains(&claims.nonce.len()) {
            return Err(malformed("`jti` is no nonce"));
        }
        Ok(claims)
    }

    fn key_of(&self, header: &Document) -> Result<&PublicKey, AssertionError> {
        let header = header.root();
        let is = |name: &str, expected: &str| {
            header.get(name).and_then(|value| value.text()).as_deref() == Some(expected)
        };
        if !is("alg", "EdDSA") {
            return Err(AssertionError::Algorithm);
        }
        if !is("typ", TYPE) {
            return Err(AssertionError::Type);
        }
        // What else a header says would change how it is verified.
        if header.members().any(|(name, _)| !matches!(&*name, "alg" | "typ" | "kid")) {
            return Err(AssertionError::Malformed("its header says more than it may"));
        }
        self.keys.iter().find(|key| is("kid", key.id())).ok_or(AssertionError::Key)
    }
}

/// An object that can be read in one way only.
fn decoded(part: &str) -> Result<Document, AssertionError> {
    let malformed = AssertionError::Malformed;
    let bytes = BASE64.decode(part).map_err(|_| malformed("a part is no base64url"))?;
    let document = Document::read(&bytes, Limits::default())
        .map_err(|_| malformed("a part is no JSON that can be read in one way only"))?;
    match document.root().kind() {
        Kind::Object => Ok(document),
        Kind::Array
        | Kind::String
        | Kind::Escaped
        | Kind::Number
        | Kind::True
        | Kind::False
        | Kind::Null => Err(malformed("a part is no object")),
    }
}

const fn in_time(claims: &Claims, now: i64) -> Result<(), AssertionError> {
    let (from, until) = (claims.issued_at, claims.expires_at);
    if from.saturating_sub(now) > AHEAD_S {
        return Err(AssertionError::Future);
    }
    // One that were good for long would have to be remembered for long.
    if now >= until || until.saturating_sub(from) > LIFETIME_S {
        return Err(AssertionError::Stale);
    }
    Ok(())
}
