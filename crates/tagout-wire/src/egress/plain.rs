//! One request of plain HTTP, made anew from what was read of it.
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self as client_side, SendRequest},
    server::conn::http1 as server_side,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{task::JoinSet, time::timeout};

use super::{
    begun::Begun,
    head::{Head, Wish, without_hops},
    meter::{Meter, Metered},
    report::Refused,
};

type Body = Either<Incoming, Full<Bytes>>;

/// The head of an answer, at most, in bytes.
const ANSWER_HEAD: usize = 64 << 10;
/// For a program to be told that nothing came.
const TOLD: Duration = Duration::from_secs(1);
/// What is read ahead of who takes it.
const BUFFER: usize = 64 << 10;

/// Makes the request that `client` begins with, passes its answer on, and no other: every request
/// has a connection of its own, on both sides, so that none can hide in another.
pub(super) async fn request(
    client: Begun,
    server: Metered,
    head: &Head,
    meter: &Arc<Meter>,
) -> Result<(), Refused> {
    let unreachable = |error: hyper::Error| Refused::Unreachable(error.to_string());
    let mut builder = client_side::Builder::new();
    builder.max_header_size(ANSWER_HEAD).max_buf_size(BUFFER);
    let made = builder.handshake(TokioIo::new(server)).await;
    let (sender, connection) = made.map_err(unreachable)?;
    // Ends when it is dropped.
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let once = Mutex::new(Some(sender));
    let failed = Mutex::new(None);
    let service = service_fn(|asked: Request<Incoming>| {
        let sender = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        let failed = &failed;
        async move {
            let answer = tokio::select! {
                answer = answered(sender, head, asked.into_body()) => answer,
                late = meter.expires() => Err(Refused::Late(late)),
            };
            let answer = answer.unwrap_or_else(|refused| {
                let reached = meter.reached().map(Refused::Bound);
                let refused = reached.unwrap_or(refused);
                let answer = refusal(&refused);
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
                answer
            });
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = server_side::Builder::new();
    builder.keep_alive(false).half_close(false).max_header_size(Head::MOST_BYTES);
    builder.max_buf_size(BUFFER);
    let serving = builder.serve_connection(TokioIo::new(client), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // What the program does not take any more is no failure.
        served = serving.as_mut() => drop(served),
        late = meter.expires() => {
            // It may still be told so.
            drop(timeout(TOLD, serving).await);
            return Err(Refused::Late(late));
        }
    }
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    failed.map_or(Ok(()), Err)
}

async fn answered(
    sender: Option<SendRequest<Incoming>>,
    head: &Head,
    body: Incoming,
) -> Result<Response<Body>, Refused> {
    let unreachable = |problem: &str| Refused::Unreachable(problem.to_owned());
    let mut sender = sender.ok_or_else(|| unreachable("there is one request a connection"))?;
    let request = anew(head, body).ok_or_else(|| unreachable("no request can be made of it"))?;
    let answer = sender.send_request(request).await;
    let mut answer = answer.map_err(|error| unreachable(&error.to_string()))?;
    // None was asked for.
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(unreachable("it went over to another protocol"));
    }
    without_hops(answer.headers_mut());
    *answer.version_mut() = Version::HTTP_11;
    Ok(answer.map(Either::Left))
}

/// The request as it was checked.
fn anew(head: &Head, body: Incoming) -> Option<Request<Incoming>> {
    let Wish::Request { method, path } = &head.wish else { return None };
    let host = match head.port {
        80 => head.host.to_string(),
        port => format!("{}:{port}", head.host),
    };
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = Uri::from(path.clone());
    *request.headers_mut() = head.passed_on();
    request.headers_mut().insert(header::HOST, HeaderValue::from_str(&host).ok()?);
    Some(request)
}

fn refusal(refused: &Refused) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::new(refused.body())));
    *response.status_mut() = refused.status();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    let details = format!("tagout; details=\"{}\"", refused.code());
    if let Ok(details) = HeaderValue::from_str(&details) {
        response.headers_mut().insert("proxy-status", details);
    }
    response
}
