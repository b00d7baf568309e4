//! HashiCorp Vault: secrets of its key-value engine, version 2, by its HTTP API.
mod login;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tagout_proto::Secret;

use crate::{
    Fetched, HeaderText, Request, SecretError, Source, VaultPath, World,
    fetch::{ANSWER_BYTES, answered, is_passing, sized},
    hidden::Hidden,
};

/// How Vault is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultSettings {
    /// Where it is: `https://vault.example.com:8200`, without a path.
    pub address: String,
    /// The namespace, in Vault Enterprise.
    pub namespace: Option<String>,
    /// How Tagout shows who it is.
    pub login: Login,
}

/// How Tagout shows Vault who it is. References are local ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// By a token.
    Token(Source),
    /// As a role that stands for a program.
    AppRole {
        /// Where the method is mounted.
        mount: String,
        /// Which role.
        role_id: Source,
        /// What proves it.
        secret_id: Source,
    },
    /// As a service account of a Kubernetes cluster.
    Kubernetes {
        /// Where the method is mounted.
        mount: String,
        /// Which role.
        role: String,
        /// Where the cluster puts the account's token; read at each login.
        token_file: PathBuf,
    },
}

/// A client of Vault, with the token that it has now.
#[derive(Debug)]
pub struct Vault {
    settings: VaultSettings,
    token: Option<Token>,
}

/// A token, and until when it is good.
#[derive(Debug)]
struct Token {
    text: Secret<String>,
    ends: Option<Timestamp>,
    /// When it is to be renewed; nothing where it cannot be, or need not.
    renew: Option<Timestamp>,
}

/// What Vault says of a token that it gives or renews.
#[derive(serde::Deserialize)]
struct Auth {
    client_token: Hidden,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(serde::Deserialize)]
struct OfAuth {
    auth: Auth,
}

#[derive(serde::Deserialize)]
struct Looked {
    data: OfToken,
}

#[derive(serde::Deserialize)]
struct OfToken {
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(serde::Deserialize)]
struct Read {
    #[serde(default)]
    lease_duration: u64,
    data: Outer,
}

#[derive(serde::Deserialize)]
struct Outer {
    data: Option<BTreeMap<String, Hidden>>,
}

/// A token is renewed when this part of its time is over…
const RENEW_AT: (u64, u64) = (2, 3);
/// …and taken for over that much before its end.
const MARGIN: SignedDuration = SignedDuration::from_secs(5);
/// A token that lasts longer counts as one that lasts so long.
const LONGEST: u64 = 10 * 365 * 86_400;

impl Vault {
    /// A client that has not logged in yet.
    #[must_use]
    pub const fn new(settings: VaultSettings) -> Self {
        Self { settings, token: None }
    }

    /// One field of a secret, as it is now.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn read(
        &mut self,
        world: World<'_>,
        path: &VaultPath,
    ) -> Result<Fetched, SecretError> {
        let of = Source::Vault(path.clone());
        let mut fresh = self.ensure(world, &of).await?;
        loop {
            let url = format!("{}/v1/{}/data/{}", self.settings.address, path.mount, path.path);
            let make = || Ok(self.request(&url, None));
            let answer = answered(world, &of, make, |answer| is_passing(answer.status)).await?;
            return match answer.status {
                200 => field(&of, path, answer.body.expose()),
                // The token may have been taken back; with a new one it may go.
                401 | 403 if !fresh => {
                    self.token = None;
                    fresh = self.ensure(world, &of).await?;
                    continue;
                }
                status => Err(refused(&of, status)),
            };
        }
    }

    /// The token that there is now.
    #[must_use]
    pub fn token(&self) -> Option<&Secret<String>> {
        self.token.as_ref().map(|token| &token.text)
    }

    /// When the token wants to be renewed; nothing where it does not.
    #[must_use]
    pub fn renews_at(&self) -> Option<Timestamp> {
        self.token.as_ref()?.renew
    }

    /// Renews the token if it is time. One that cannot be renewed is given up, so that the next
    /// read logs in anew.
    ///
    /// # Errors
    /// Vault does not answer; what there is stays.
    pub async fn keep(&mut self, world: World<'_>, of: &Source) -> Result<(), SecretError> {
        let now = world.clock.now();
        if self.renews_at().is_none_or(|at| now < at) {
            return Ok(());
        }
        self.renew(world, of).await
    }

    /// Sees to it that there is a token; tells whether it is of just now.
    async fn ensure(&mut self, world: World<'_>, of: &Source) -> Result<bool, SecretError> {
        let now = world.clock.now();
        if self.renews_at().is_some_and(|at| now >= at) {
            // What cannot be renewed may still be good until its end.
            drop(self.renew(world, of).await);
        }
        let over = |token: &Token| token.ends.is_some_and(|ends| now + MARGIN >= ends);
        if self.token.as_ref().is_some_and(|token| !over(token)) {
            return Ok(false);
        }
        self.token = None;
        self.login(world, of).await?;
        Ok(true)
    }

    async fn renew(&mut self, world: World<'_>, of: &Source) -> Result<(), SecretError> {
        let url = format!("{}/v1/auth/token/renew-self", self.settings.address);
        let make = || Ok(self.request(&url, Some(Secret::new(b"{}".to_vec()))));
        let answer = answered(world, of, make, |answer| is_passing(answer.status)).await?;
        match answer.status {
            200 => {
                let renewed = serde_json::from_slice::<OfAuth>(answer.body.expose());
                let problem = "comes from a Vault whose renewal cannot be read";
                let renewed = renewed.map_err(|_| SecretError::unusable(of, problem))?;
                self.take(world, of, renewed.auth)
            }
            // It has come to its longest end, or was taken back.
            400 | 403 | 404 => {
                self.token = None;
                Ok(())
            }
            status => Err(refused(of, status)),
        }
    }

    fn take(&mut self, world: World<'_>, of: &Source, auth: Auth) -> Result<(), SecretError> {
        let Some(text) = auth.client_token.0 else {
            return Err(SecretError::unusable(of, "comes from a Vault that gave no token"));
        };
        self.token = Some(Token::new(text, world.clock.now(), auth.lease_duration, auth.renewable));
        Ok(())
    }

    /// A request under the token, if there is one.
    fn request(&self, url: &str, body: Option<Secret<Vec<u8>>>) -> Request {
        self.request_under(url, body, self.token())
    }

    fn request_under(
        &self,
        url: &str,
        body: Option<Secret<Vec<u8>>>,
        token: Option<&Secret<String>>,
    ) -> Request {
        let mut headers = vec![
            ("accept", HeaderText::Plain("application/json".to_owned())),
            // Vault's agents and proxies want it of whoever is no browser.
            ("x-vault-request", HeaderText::Plain("true".to_owned())),
        ];
        if body.is_some() {
            headers.push(("content-type", HeaderText::Plain("application/json".to_owned())));
        }
        if let Some(namespace) = &self.settings.namespace {
            headers.push(("x-vault-namespace", HeaderText::Plain(namespace.clone())));
        }
        if let Some(token) = token {
            let text = Secret::new(token.expose().clone());
            headers.push(("x-vault-token", HeaderText::Secret(text)));
        }
        Request { url: url.to_owned(), headers, body, answer_bytes: ANSWER_BYTES }
    }
}

impl Token {
    fn new(text: Secret<String>, now: Timestamp, ttl: u64, renewable: bool) -> Self {
        let after = |seconds: u64| {
            let seconds = i64::try_from(seconds.min(LONGEST)).unwrap_or(i64::MAX);
            now.checked_add(SignedDuration::from_secs(seconds)).ok()
        };
        // A root token has no end.
        let ends = after(ttl).filter(|_| ttl > 0);
        let soon = ttl.saturating_mul(RENEW_AT.0) / RENEW_AT.1;
        let renew = after(soon).filter(|_| ttl > 0 && renewable);
        Self { text, ends, renew }
    }
}

fn field(of: &Source, path: &VaultPath, body: &[u8]) -> Result<Fetched, SecretError> {
    let read = serde_json::from_slice::<Read>(body);
    let read = read.map_err(|_| SecretError::unusable(of, "is no secret of a KV engine 2"))?;
    // A deleted version has no data.
    let Some(mut data) = read.data.data else {
        return Err(SecretError::missing(of, "was deleted"));
    };
    let Some(Hidden(value)) = data.remove(&path.field) else {
        return Err(SecretError::missing(of, "has no such field"));
    };
    let value = value.ok_or_else(|| SecretError::unusable(of, "holds no text"))?;
    let lease = Some(read.lease_duration).filter(|lease| *lease > 0).map(Duration::from_secs);
    Ok(Fetched { value: sized(of, value)?, lease })
}

fn refused(of: &Source, status: u16) -> SecretError {
    match status {
        404 => SecretError::missing(of, "is not there"),
        401 | 403 => SecretError::denied(of, format!("is not given to Tagout by Vault ({status})")),
        _ => SecretError::unreachable(of, format!("is not given by Vault, which says {status}")),
    }
}
