//! One connection to a server, driven by whoever uses it: there is no task behind it.
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use ::http::HeaderValue;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{
    connect::Stream,
    error::HttpError,
    pool::{Pool, Target},
};

type Request = ::http::Request<Full<Bytes>>;
type Driver = Pin<Box<Connection<TokioIo<Stream>, Full<Bytes>>>>;

/// A connection. Dropping it closes it.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// Nothing once the connection ended.
    driver: Option<Driver>,
    /// Whether the system took any byte since the last request began.
    wrote: Arc<AtomicBool>,
    host: HeaderValue,
    target: Target,
    pool: Weak<Pool>,
}

/// What became of a request.
pub(super) enum Outcome {
    Answer(::http::Response<Incoming>, Box<Line>),
    /// Nothing of it left, and here it is.
    Unsent(Box<Request>, HttpError),
    Failed(HttpError),
}

impl Line {
    pub(super) fn new(
        sender: SendRequest<Full<Bytes>>,
        driver: Driver,
        wrote: Arc<AtomicBool>,
        target: Target,
        pool: Weak<Pool>,
    ) -> Self {
        let host = HeaderValue::from_str(target.authority.as_str())
            .unwrap_or_else(|_| HeaderValue::from_static(""));
        Self { sender, driver: Some(driver), wrote, host, target, pool }
    }

    /// What goes into `Host`.
    pub(super) fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn exchange(
        mut self: Box<Self>,
        request: Request,
        patience: Duration,
    ) -> Outcome {
        self.wrote.store(false, Ordering::Relaxed);
        let answer = self.sender.try_send_request(request);
        let mut answer = std::pin::pin!(answer);
        let driver = &mut self.driver;
        let answered = poll_fn(|cx| {
            let ended = drive(driver, cx).is_ready();
            match answer.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                // What the connection had to say it has said by now.
                Poll::Pending if ended => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        let answered = timeout(patience, answered).await;
        let reached = self.wrote.load(Ordering::Relaxed);
        match answered {
            Ok(Some(Ok(response))) => Outcome::Answer(response, self),
            Ok(Some(Err(mut failed))) => {
                let back = failed.take_message();
                let error = HttpError::broken(reached && back.is_none(), failed.error());
                match back {
                    Some(request) => Outcome::Unsent(Box::new(request), error),
                    None => Outcome::Failed(error),
                }
            }
            Ok(None) => {
                let problem = "it ended without an answer".to_owned();
                Outcome::Failed(HttpError::Broken { reached, problem })
            }
            Err(_) => Outcome::Failed(HttpError::TimedOut { reached }),
        }
    }

    /// Lets the connection do what it can; ready once it has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        drive(&mut self.driver, cx)
    }

    /// Whether another request can be sent.
    pub(super) fn is_idle(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.poll(&mut cx).is_pending() && self.sender.is_ready()
    }

    /// Keeps the connection for another request, if it can take one.
    pub(super) fn release(mut self: Box<Self>) {
        if self.is_idle()
            && let Some(pool) = self.pool.upgrade()
        {
            pool.put(self.target.clone(), self);
        }
    }
}

fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(connection) = driver else { return Poll::Ready(()) };
    // Its error reaches the request, or the body, that it concerns.
    std::task::ready!(connection.as_mut().poll(cx)).ok();
    *driver = None;
    Poll::Ready(())
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("target", &self.target).finish_non_exhaustive()
    }
}
