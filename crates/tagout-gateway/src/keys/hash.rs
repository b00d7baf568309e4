//! Argon2id over whole keys, as PHC strings.
use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
};
use tagout_proto::Secret;

/// Memory in KiB, passes and lanes: OWASP's second choice, which takes 19 MiB.
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How what [`made`] makes begins. Whoever wrote other costs into the store is not followed.
const COSTS: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// Why there is no hash, or no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HashError {
    /// There is no randomness for a salt, or no memory.
    Unmade,
    /// What is stored is no hash as they are made here.
    Unreadable,
}

fn argon2() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(|_| HashError::Unmade)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash of `key` with a salt of its own. Takes tens of milliseconds.
pub(super) fn made(key: &Secret<String>) -> Result<Secret<String>, HashError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| HashError::Unmade)?;
    let hash = argon2()?.hash_password_with_salt(key.expose().as_bytes(), &salt);
    Ok(Secret::new(hash.map_err(|_| HashError::Unmade)?.to_string()))
}

/// Whether `hash` is of `key`; the two hashes are compared in constant time. Takes tens of
/// milliseconds.
pub(super) fn holds(hash: &Secret<String>, key: &Secret<String>) -> Result<bool, HashError> {
    let text = hash.expose();
    let read = PasswordHash::new(text).map_err(|_| HashError::Unreadable)?;
    if !text.starts_with(COSTS) || read.hash.is_none() || read.salt.is_none() {
        return Err(HashError::Unreadable);
    }
    match argon2()?.verify_password(key.expose().as_bytes(), &read) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(_) => Err(HashError::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_one_key() {
        let key = |text: &str| Secret::new(text.to_owned());
        let hash = made(&key("a")).unwrap();
        assert!(hash.expose().starts_with(COSTS), "{}", hash.expose());
        assert_ne!(hash.expose(), made(&key("a")).unwrap().expose(), "salted");
        assert_eq!(holds(&hash, &key("a")), Ok(true));
        assert_eq!(holds(&hash, &key("b")), Ok(false));
        let costly = hash.expose().replace("m=19456", "m=4194304");
        let bare = COSTS.trim_end_matches('$');
        for other in [costly.as_str(), bare, "", "a", "$argon2i$v=19$m=8,t=1,p=1$YWJjZGVmZ2g$YWJj"]
        {
            assert_eq!(holds(&key(other), &key("a")), Err(HashError::Unreadable), "{other}");
        }
    }
}
