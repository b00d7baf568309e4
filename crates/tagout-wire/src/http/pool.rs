//! Connections that wait for the next request.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use ::http::uri::Authority;
use tokio::time::{Instant, sleep};

use super::line::Line;

/// Where a connection goes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Target {
    pub(super) secure: bool,
    pub(super) authority: Authority,
}

/// Unused connections, by where they go.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Idle>,
    patience: Duration,
    per_host: usize,
}

#[derive(Debug, Default)]
struct Idle {
    lines: HashMap<Target, Vec<Kept>>,
    /// A task ends those that nobody uses.
    swept: bool,
}

#[derive(Debug)]
struct Kept {
    line: Box<Line>,
    until: Instant,
}

impl Pool {
    pub(super) fn new(patience: Duration, per_host: usize) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), patience, per_host })
    }

    /// The connection that was used last, if it is still open.
    pub(super) fn take(&self, target: &Target) -> Option<Box<Line>> {
        let now = Instant::now();
        loop {
            let mut kept = self.lock().lines.get_mut(target)?.pop()?;
            if kept.until > now && kept.line.is_idle() {
                return Some(kept.line);
            }
        }
    }

    pub(super) fn put(self: &Arc<Self>, target: Target, line: Box<Line>) {
        let mut idle = self.lock();
        let lines = idle.lines.entry(target).or_default();
        if lines.len() >= self.per_host {
            return;
        }
        lines.push(Kept { line, until: Instant::now() + self.patience });
        if !idle.swept {
            idle.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self), self.patience));
        }
    }

    /// Ends what is too old or was closed by its server; says whether anything is left.
    fn purge(&self) -> bool {
        let now = Instant::now();
        let mut idle = self.lock();
        for lines in idle.lines.values_mut() {
            lines.retain_mut(|kept| kept.until > now && kept.line.is_idle());
        }
        idle.lines.retain(|_, lines| !lines.is_empty());
        idle.swept = !idle.lines.is_empty();
        idle.swept
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends unused connections, for as long as there are any.
async fn sweep(pool: Weak<Pool>, patience: Duration) {
    loop {
        sleep((patience / 2).max(Duration::from_millis(1))).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.purge() {
            return;
        }
    }
}
