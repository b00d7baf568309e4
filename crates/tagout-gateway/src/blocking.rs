//! Waiting for the disk, or for another process that writes, without holding up other calls.
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
};

/// Calls that may wait for the store at once: those that do take a thread each.
const AT_ONCE: usize = 4;

/// Whose turn it is to wait for the store.
#[derive(Debug)]
pub(crate) struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Turns {
    /// Does `work`, when there is a turn, while other threads serve what this one would.
    ///
    /// Cancel safe: once `work` has begun, it comes to its end.
    pub(crate) async fn wait_for<T>(&self, work: impl FnOnce() -> T) -> T {
        // It is never closed.
        let _turn = self.0.acquire().await;
        blocking(work)
    }
}

/// Does `work`, which may block, while other threads serve what this one would.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
