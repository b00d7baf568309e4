//! Tasks, as clients name them: the server, its own id, and a seal that only the principal who set
//! the task going can show.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tagout_proto::{Principal, ServerName};

/// The longest id that is looked at, in bytes.
const ID_BYTES: usize = 4096;
/// Bytes of a seal.
const SEAL: usize = 16;

/// Names tasks for clients, the same each time.
pub(crate) struct TaskNames {
    key: [u8; 32],
}

impl std::fmt::Debug for TaskNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TaskNames")
    }
}

impl TaskNames {
    /// With a key of its own: what it names, no other knows.
    ///
    /// # Errors
    /// There is no randomness.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self { key })
    }

    /// The name of the task that `server` calls `id`, for `principal`.
    pub(crate) fn name(&self, principal: &Principal, server: &ServerName, id: &str) -> String {
        let seal = self.mac(principal, server.as_str(), id);
        let seal: Vec<u8> = seal.finalize().into_bytes().into_iter().take(SEAL).collect();
        let [server, id, seal] =
            [server.as_str().as_bytes(), id.as_bytes(), &seal].map(|p| URL_SAFE_NO_PAD.encode(p));
        format!("{server}.{id}.{seal}")
    }

    /// The server and its own id of the task called `name`, if it is one of this principal's.
    pub(crate) fn known(&self, principal: &Principal, name: &str) -> Option<(String, String)> {
        if name.len() > ID_BYTES {
            return None;
        }
        let mut parts = name.split('.');
        let mut next = || URL_SAFE_NO_PAD.decode(parts.next()?).ok();
        let (server, id, seal) = (next()?, next()?, next()?);
        if parts.next().is_some() || seal.len() != SEAL {
            return None;
        }
        let (server, id) = (String::from_utf8(server).ok()?, String::from_utf8(id).ok()?);
        self.mac(principal, &server, &id).verify_truncated_left(&seal).ok()?;
        Some((server, id))
    }

    fn mac(&self, principal: &Principal, server: &str, id: &str) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length is taken");
        for part in [&principal.user, &principal.authenticated_by, server, id] {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn principal(user: &str) -> Principal {
        Principal { user: user.into(), groups: BTreeSet::new(), authenticated_by: "api-key".into() }
    }

    #[test]
    fn cve_2026_52870_a_task_is_known_to_its_principal_alone() {
        let (names, others) = (TaskNames::new().unwrap(), TaskNames::new().unwrap());
        let server = ServerName::try_from("jobs").unwrap();
        let name = names.name(&principal("ann"), &server, "t-1");
        assert_eq!(name, names.name(&principal("ann"), &server, "t-1"));
        let known = Some(("jobs".to_owned(), "t-1".to_owned()));
        assert_eq!(names.known(&principal("ann"), &name), known);
        assert_eq!(names.known(&principal("bob"), &name), None);
        assert_eq!(others.known(&principal("ann"), &name), None);
        for mangled in ["", "t-1", "a.b.c", &name.to_uppercase(), &format!("{name}.")] {
            assert_eq!(names.known(&principal("ann"), mangled), None, "{mangled}");
        }
    }
}
