//! Secrets are read by one at a time of each source, and as seldom as will do.
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tagout_proto::Secret;
use tagout_secrets::{SecretError, World, vault::Vault};
use tokio::time::timeout;

use super::{Inner, Keeping, Secrets, copied, locked, wire, wire::Wire};
use crate::config::Source;

/// Whoever reads a source holds it; when it was last read because somebody refused what there was.
pub(super) type Turn = tokio::sync::Mutex<Option<Timestamp>>;

/// How long a keeper may take with all its retries, and with those who ask it before.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a source is not read again for those who are refused: they decide how often they are.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);
/// How often tokens are looked after, at most and at least, in seconds.
const KEEP: (u64, u64) = (1, 30);

impl Secrets {
    /// The secret as it is now: from memory while that is good.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn get(&self, source: &Source) -> Result<Arc<Secret<String>>, SecretError> {
        if let Some(text) = self.0.known(source) {
            return Ok(text);
        }
        let turn = self.0.turn(source);
        let _held = turn.lock().await;
        // Somebody else may have read it while this one waited.
        match self.0.known(source) {
            Some(text) => Ok(text),
            None => self.fetched(source, None).await,
        }
    }

    /// The secret as it is now, where `refused`, which somebody does not take, is what there was.
    /// Every 10 seconds it is read again at most; in between it is what it was.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn anew(
        &self,
        source: &Source,
        refused: &Arc<Secret<String>>,
    ) -> Result<Arc<Secret<String>>, SecretError> {
        let turn = self.0.turn(source);
        let mut last = turn.lock().await;
        if let Some(text) = self.0.usable(source, Some(refused)) {
            return Ok(text);
        }
        let now = self.0.clock.now();
        if last.is_some_and(|last| now.duration_since(last).abs() < AGAIN) {
            return Ok(Arc::clone(refused));
        }
        // Before it is read: whoever gives up waiting has had it read all the same.
        *last = Some(now);
        self.fetched(source, Some(refused)).await
    }

    async fn fetched(
        &self,
        source: &Source,
        refused: Option<&Arc<Secret<String>>>,
    ) -> Result<Arc<Secret<String>>, SecretError> {
        if source.is_local() {
            let (inner, of, refused) = (Arc::clone(&self.0), source.clone(), refused.cloned());
            let reading = tokio::task::spawn_blocking(move || inner.local(&of, refused.as_ref()));
            let failed = |_| SecretError::unusable(source, "could not be read");
            return reading.await.map_err(failed)?;
        }
        let fetching = timeout(PATIENCE, self.elsewhere(source)).await;
        match fetching.unwrap_or_else(|_| Err(SecretError::unreachable(source, "took too long"))) {
            Ok(text) => Ok(text),
            Err(error) => self.0.still_good(source, error),
        }
    }

    async fn elsewhere(&self, source: &Source) -> Result<Arc<Secret<String>>, SecretError> {
        let inner = &self.0;
        let local = |source: &Source| inner.credential(source);
        let fetched = match source {
            Source::Vault(path) => {
                let mut vault = inner.vault.lock().await;
                let keeping = inner.vault_in(&mut vault, source)?;
                let clock = wire::Time(&inner.clock);
                let world = World { transport: &keeping.wire, clock: &clock, local: &local };
                let fetched = keeping.client.read(world, path).await;
                // Also where it gave nothing: the token is there, and has an end.
                inner.look_after(keeping, source);
                fetched?
            }
            Source::Aws { name, field } => {
                let Some(aws) = &inner.settings.aws else {
                    return Err(SecretError::missing(source, "has no table `[aws]` to say how"));
                };
                let mut wire = inner.aws.lock().await;
                if wire.is_none() {
                    *wire = Some(Wire::to(aws, source)?);
                }
                let Some(transport) = wire.as_ref() else {
                    return Err(SecretError::unreachable(source, "has no way to it"));
                };
                let clock = wire::Time(&inner.clock);
                let world = World { transport, clock: &clock, local: &local };
                aws.settings.read(world, (name, field.as_deref())).await?
            }
            Source::Env(_) | Source::File(_) | Source::Stored(_) => {
                return inner.local(source, None);
            }
        };
        Ok(inner.keep_fetched(source, fetched))
    }
}

impl Inner {
    /// There are as many as the configuration has references.
    fn turn(&self, source: &Source) -> Arc<Turn> {
        Arc::clone(locked(&self.turns).entry(source.clone()).or_default())
    }

    /// What a keeper is shown: from memory while that is good.
    fn credential(&self, source: &Source) -> Result<Secret<String>, SecretError> {
        let known = self.known(source).map_or_else(|| self.local(source, None), Ok);
        known.map(|text| copied(&text))
    }

    fn vault_in<'a>(
        &self,
        vault: &'a mut Option<Keeping<Vault>>,
        of: &Source,
    ) -> Result<&'a mut Keeping<Vault>, SecretError> {
        let Some(settings) = &self.settings.vault else {
            return Err(SecretError::missing(of, "has no table `[vault]` to say how"));
        };
        if vault.is_none() {
            let client = Vault::new(settings.settings.clone());
            let wire = Wire::to(settings, of)?;
            *vault = Some(Keeping { client, wire, is_kept: false });
        }
        vault.as_mut().ok_or_else(|| SecretError::unreachable(of, "has no way to it"))
    }

    /// Looks for the token that there is, and sees to it that somebody renews it.
    fn look_after(self: &Arc<Self>, keeping: &mut Keeping<Vault>, of: &Source) {
        self.look_for_token(&keeping.client);
        if !keeping.is_kept && keeping.client.renews_at().is_some() {
            keeping.is_kept = true;
            tokio::spawn(keep(Arc::downgrade(self), of.clone()));
        }
    }

    fn look_for_token(&self, vault: &Vault) {
        if let Some(token) = vault.token() {
            let token = Arc::new(Secret::new(token.expose().clone()));
            self.look_for("vault-token", "Vault's token", &token);
        }
    }
}

/// Renews Vault's token before it ends, for as long as anybody may need it.
async fn keep(inner: Weak<Inner>, of: Source) {
    let mut failures = 0_u32;
    loop {
        let Some(now) = inner.upgrade() else { return };
        let at = {
            let mut vault = now.vault.lock().await;
            let Some(keeping) = vault.as_mut() else { return };
            let at = keeping.client.renews_at();
            keeping.is_kept = at.is_some();
            at
        };
        let Some(at) = at else { return };
        let wait = at.duration_since(now.clock.now()).as_secs();
        drop(now);
        let wait = u64::try_from(wait).unwrap_or(0).clamp(KEEP.0, KEEP.1);
        // Whoever does not answer is asked ever less often.
        let wait = wait.max(1 << failures.min(5)).min(KEEP.1);
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let Some(now) = inner.upgrade() else { return };
        let mut vault = now.vault.lock().await;
        let Some(keeping) = vault.as_mut() else { return };
        let local = |source: &Source| now.credential(source);
        let clock = wire::Time(&now.clock);
        let world = World { transport: &keeping.wire, clock: &clock, local: &local };
        let kept = timeout(PATIENCE, keeping.client.keep(world, &of)).await;
        now.look_for_token(&keeping.client);
        match kept {
            Ok(Ok(())) => failures = 0,
            Ok(Err(error)) => {
                failures = failures.saturating_add(1);
                tracing::warn!(%error, "Vault's token could not be renewed");
            }
            Err(_) => {
                failures = failures.saturating_add(1);
                tracing::warn!("Vault took too long to renew a token");
            }
        }
    }
}
