//! The gateways' own code over what they keep: who can write the state, and not read their key,
//! makes up no question, no grant and no answer.
use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tagout_proto::{Digest, Secret};

/// The key of the codes. It follows from the one that signs the audit log's head, so that all
/// gateways over one log have the same.
pub(crate) struct SealKey(Secret<[u8; 32]>);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// The key that follows from the one in `key_file`, which was checked when the log was opened.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn of_key_file(key_file: &Path) -> io::Result<Self> {
        let mut seed = Vec::new();
        #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
        File::open(key_file)?.take(100).read_to_end(&mut seed)?;
        Ok(Self::of_seed(seed.trim_ascii()))
    }

    pub(super) fn of_seed(seed: &[u8]) -> Self {
        let parts = [b"tagout-approval-seal-1".as_slice(), seed];
        Self(Secret::new(*Digest::of_parts(parts).as_bytes()))
    }

    /// The code over `parts`, which are about `what`.
    pub(crate) fn code(&self, what: &str, parts: &[&[u8]]) -> String {
        self.over(what, parts)
            .map_or_else(String::new, |mac| hex::encode(mac.finalize().into_bytes()))
    }

    /// A digest of the code over `parts`: it stands in the log, where nobody without the key finds
    /// out what it is of by trying what is likely.
    pub(crate) fn keyed(&self, what: &str, parts: &[&[u8]]) -> Digest {
        Digest::of(self.code(what, parts).as_bytes())
    }

    /// Whether `code` is the one over `parts`; compared in constant time.
    pub(crate) fn holds(&self, what: &str, parts: &[&[u8]], code: &str) -> bool {
        let mut bytes = [0; 32];
        hex::decode_to_slice(code, &mut bytes).is_ok()
            && self.over(what, parts).is_some_and(|mac| mac.verify_slice(&bytes).is_ok())
    }

    fn over(&self, what: &str, parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).ok()?;
        mac.update(&message(what, parts));
        Some(mac)
    }
}

/// What is signed: each part with its length, so that no two lists of parts make the same bytes.
pub(crate) fn message(what: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in std::iter::once(what.as_bytes()).chain(parts.iter().copied()) {
        out.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        out.extend(part);
    }
    out
}
