//! Servers that run elsewhere: reached, and greeted in the way that they turn out to speak.
use std::{sync::Arc, time::Duration};

use tagout_proto::{Message, Method, Revision, frame, quoted};
use tagout_wire::{
    egress::Guard,
    http::{Client, ClientOptions, Roots, Uri},
};
use tokio::time::timeout;

use super::{
    Connection, Upstream, UpstreamError,
    calls::UnderWay,
    connection::Request,
    greet::{self, Probed},
    link::{Credentials, Http, Link, Sse, follow, listen_to_events},
    shared::Speaks,
    start::opened,
};
use crate::config::{EraChoice, Remote, Transport};

/// How long a client waits for the head of an answer; each call has a deadline of its own.
const ANSWER: Duration = Duration::from_secs(2 * 3600);

/// What is needed to reach a server.
struct Way {
    client: Client,
    uri: Uri,
    credentials: Arc<Credentials>,
}

/// Reaches a server and greets it. What it speaks is asked once, as long as it is not known.
///
/// # Errors
/// See [`UpstreamError`].
pub(super) async fn reach(
    upstream: &Upstream,
    remote: &Remote,
) -> Result<Arc<Connection>, UpstreamError> {
    let way = way(upstream, remote).await?;
    let known = match (remote.transport, upstream.server.era) {
        (Transport::Sse, _) => Some(Speaks::Sse),
        (_, EraChoice::Modern) => Some(Speaks::Modern),
        (Transport::StreamableHttp, EraChoice::Legacy) => Some(Speaks::Legacy),
        (Transport::Auto, EraChoice::Legacy) => {
            upstream.known.speaks(&upstream.name).filter(|speaks| *speaks != Speaks::Modern)
        }
        (Transport::Auto | Transport::StreamableHttp, EraChoice::Auto) => {
            upstream.known.speaks(&upstream.name)
        }
    };
    let (connection, speaks) = match known {
        Some(Speaks::Sse) => (over_sse(upstream, &way).await?, Speaks::Sse),
        Some(Speaks::Modern) => match modern(upstream, &way).await? {
            Some(connection) => (connection, Speaks::Modern),
            None => {
                upstream.known.forget(&upstream.name);
                let why = "it does not speak the era that it should";
                return Err(UpstreamError::Handshake(why.to_owned()));
            }
        },
        Some(Speaks::Legacy) | None => {
            let may_be_modern = known.is_none() && upstream.server.era == EraChoice::Auto;
            let found = if may_be_modern { modern(upstream, &way).await? } else { None };
            match found {
                Some(connection) => (connection, Speaks::Modern),
                None => legacy(upstream, &way, remote.transport).await?,
            }
        }
    };
    upstream.known.learn(&upstream.name, speaks);
    Ok(connection)
}

async fn modern(upstream: &Upstream, way: &Way) -> Result<Option<Arc<Connection>>, UpstreamError> {
    let connection = over_http(upstream, way);
    let patience = Probed::patience(upstream.server.start_timeout);
    match greet::discover(&connection, patience).await? {
        Probed::Modern => Ok(Some(connection)),
        Probed::Other => Ok(None),
    }
}

async fn legacy(
    upstream: &Upstream,
    way: &Way,
    transport: Transport,
) -> Result<(Arc<Connection>, Speaks), UpstreamError> {
    let connection = over_http(upstream, way);
    match greet::initialize(&connection, upstream.server.start_timeout).await {
        Ok(()) => {
            if let Link::Http(http) = &connection.link {
                follow_news(&connection, http);
            }
            Ok((connection, Speaks::Legacy))
        }
        Err(UpstreamError::Status { status: 400 | 404 | 405 }) if transport == Transport::Auto => {
            Ok((over_sse(upstream, way).await?, Speaks::Sse))
        }
        Err(error) => {
            upstream.known.forget(&upstream.name);
            Err(error)
        }
    }
}

fn over_http(upstream: &Upstream, way: &Way) -> Arc<Connection> {
    let (client, uri) = (way.client.clone(), way.uri.clone());
    let http =
        Http::new(client, uri, Arc::clone(&way.credentials), upstream.limits.frame.frame_bytes);
    opened(upstream, Link::Http(Arc::new(http)))
}

async fn over_sse(upstream: &Upstream, way: &Way) -> Result<Arc<Connection>, UpstreamError> {
    let limit = upstream.server.start_timeout;
    let opening = Sse::open(
        (way.client.clone(), Arc::clone(&way.credentials)),
        &way.uri,
        upstream.limits.frame.frame_bytes,
    );
    let opening = timeout(limit, opening).await;
    let (sse, events) = opening.map_err(|_| UpstreamError::Timeout(limit))??;
    let connection = opened(upstream, Link::Sse(sse));
    let listening = listen_to_events(Arc::downgrade(&connection), events);
    tokio::spawn(connection.ended.clone().run_until_cancelled_owned(listening));
    greet::initialize(&connection, limit).await?;
    Ok(connection)
}

fn follow_news(connection: &Arc<Connection>, http: &Arc<Http>) {
    let following = follow(Arc::clone(http), Arc::downgrade(connection), connection.revision());
    tokio::spawn(connection.ended.clone().run_until_cancelled_owned(following));
}

async fn way(upstream: &Upstream, remote: &Remote) -> Result<Way, UpstreamError> {
    let uri = remote.url.parse::<Uri>();
    let uri = uri.map_err(|e| UpstreamError::Unreachable(format!("its URL is none: {e}")))?;
    let credentials = Credentials::of(upstream.secrets.clone(), remote.headers.clone()).await?;
    let (remote, kept) = (remote.clone(), upstream.known.client(&upstream.name));
    let making = tokio::task::spawn_blocking(move || kept.map_or_else(|| client(&remote), Ok));
    let client = making.await.map_err(|e| UpstreamError::Unchecked(e.to_string()))??;
    let client = upstream.known.keep_client(&upstream.name, client);
    Ok(Way { client, uri, credentials: Arc::new(credentials) })
}

fn client(remote: &Remote) -> Result<Client, UpstreamError> {
    let roots = remote.ca.clone().map_or(Roots::System, Roots::Pem);
    let guard = Guard::new();
    let guard = if remote.private_network { guard.allowing_private() } else { guard };
    let options = ClientOptions { roots, answer: ANSWER, guard, ..ClientOptions::default() };
    Client::new(options).map_err(|e| UpstreamError::Untrusted(e.to_string()))
}

impl Connection {
    /// Opens a new session in place of the one that the server forgot, as the old one was.
    ///
    /// # Errors
    /// The server does not open one, or speaks another revision now.
    pub(super) async fn renew(&self, http: &Arc<Http>, lost: u64) -> Result<(), UpstreamError> {
        let _one_at_a_time = http.renewing.lock().await;
        if http.session().number != lost {
            return Ok(());
        }
        // Before the server is asked: what is decided from now on is decided for the new session.
        self.begin_anew();
        let request = greet::to_initialize(self);
        let answer = self.anew(http, None, request).await?;
        let (revision, _) = greet::settled(&answer)?;
        if Some(revision) != self.settled() {
            self.over(UpstreamError::SessionLost);
            return Err(UpstreamError::SessionLost);
        }
        let ready = frame::notification(Method::Initialized.as_str(), "{}");
        self.link.tell(Some(revision), ready).await;
        if let (Some(level), true) = (self.log_level(), self.can("logging")) {
            let params = format!(r#"{{"level":{}}}"#, quoted(&level));
            self.again(http, revision, (Method::SetLevel, params)).await?;
        }
        for uri in self.listening.all_watched() {
            let params = format!(r#"{{"uri":{}}}"#, quoted(&uri));
            self.again(http, revision, (Method::ResourcesSubscribe, params)).await?;
        }
        if let Some(me) = self.me.upgrade() {
            follow_news(&me, http);
        }
        Ok(())
    }

    async fn again(
        &self,
        http: &Arc<Http>,
        revision: Revision,
        (method, params): (Method, String),
    ) -> Result<(), UpstreamError> {
        let request = Request::own(self.reserve(), method, params);
        let answer = self.anew(http, Some(revision), request).await?;
        if let Message::Response { outcome: Err(_), .. } = answer.message() {
            tracing::debug!(server = %self.about.name, %method, "refused in a new session");
        }
        Ok(())
    }

    /// A request that no session was lost for yet.
    async fn anew(
        &self,
        http: &Arc<Http>,
        revision: Option<Revision>,
        request: Request,
    ) -> Result<tagout_proto::Frame, UpstreamError> {
        let call = UnderWay::new(request.id, None, None);
        http.exchange(self, (revision, &request), &call).await
    }
}
