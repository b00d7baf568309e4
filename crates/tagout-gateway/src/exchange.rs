//! One request of a client and what passes on its way to the answer.
use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    lane::{Aside, Question},
    stage::record::Recorded,
};

/// How long more questions are waited for, beside one.
const MOMENT: Duration = Duration::from_millis(20);

type Work = Pin<Box<dyn Future<Output = Recorded> + Send>>;

/// A request that is under way: a future, what it says meanwhile, and what becomes of it when
/// nobody waits for it any more. Whatever becomes of it, it comes to its end, and that is on
/// record.
pub(crate) struct Exchange {
    work: Option<Work>,
    asides: mpsc::Receiver<Aside>,
    done: Option<Recorded>,
    withdrawn: CancellationToken,
    abandoned: Abandoned,
    tasks: TaskTracker,
}

/// What becomes of a request whose client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// It is taken back.
    IsWithdrawn,
    /// It goes on.
    GoesOn,
}

/// What happens next.
pub(crate) enum Next {
    /// A notification is due: its frame.
    Tell(String),
    /// The client is to answer this.
    Ask(Question),
    /// It is over.
    Done(Recorded),
}

impl Exchange {
    /// A request whose answer `work` makes; `withdrawn` ends it.
    pub(crate) fn new(
        work: impl Future<Output = Recorded> + Send + 'static,
        asides: mpsc::Receiver<Aside>,
        withdrawn: CancellationToken,
        (abandoned, tasks): (Abandoned, TaskTracker),
    ) -> Self {
        let work: Work = Box::pin(work);
        Self { work: Some(work), asides, done: None, withdrawn, abandoned, tasks }
    }

    /// Waits for what happens next. After [`Next::Done`] nothing does.
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> Next {
        poll_fn(|context| {
            if let Poll::Ready(Some(aside)) = self.asides.poll_recv(context) {
                return Poll::Ready(aside.into());
            }
            if let Some(work) = &mut self.work
                && let Poll::Ready(recorded) = work.as_mut().poll(context)
            {
                self.work = None;
                self.done = Some(recorded);
            }
            if self.done.is_none() {
                return Poll::Pending;
            }
            // What was said before the answer goes before it.
            if let Ok(aside) = self.asides.try_recv() {
                return Poll::Ready(aside.into());
            }
            self.done.take().map_or(Poll::Pending, |recorded| Poll::Ready(Next::Done(recorded)))
        })
        .await
    }

    /// What is said within a moment, if anything is: who asks one thing often asks another.
    pub(crate) async fn another(&mut self) -> Option<Aside> {
        timeout(MOMENT, self.asides.recv()).await.ok()?
    }

    /// Goes on by itself, while nobody waits for it.
    pub(crate) fn left_alone(mut self) -> Self {
        let Some(work) = self.work.take() else { return self };
        let (finished, done) = oneshot::channel();
        self.tasks.spawn(async move {
            // Nobody waits for it any more.
            drop(finished.send(work.await));
        });
        let lost = Recorded::nothing;
        self.work = Some(Box::pin(async move { done.await.unwrap_or_else(|_| lost()) }));
        // The task ends by itself.
        self.abandoned = Abandoned::IsWithdrawn;
        self
    }
}

impl From<Aside> for Next {
    fn from(aside: Aside) -> Self {
        match aside {
            Aside::Tell(frame) => Self::Tell(frame),
            Aside::Ask(question) => Self::Ask(question),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        if self.abandoned == Abandoned::IsWithdrawn {
            self.withdrawn.cancel();
        }
        if tokio::runtime::Handle::try_current().is_ok() {
            self.tasks.spawn(work);
        }
    }
}
