//! Starting a server, or opening a session with it.
use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use tagout_sandbox::{Jailer, Profile};
use tagout_wire::{Incoming, outgoing};
use tokio::net::unix::pipe::{Receiver, Sender};

use super::{
    Connection, Program, Upstream, UpstreamError,
    complaints::drain,
    connection::About,
    greet::{self, Probed},
    link::{Lines, Link, listen_to_lines},
    remote,
    shared::Speaks,
};
use crate::{
    config::{EraChoice, Isolated},
    egress::{self, EgressTask},
    secrets::{self, Given, Secrets},
};

/// Starts the server and shakes hands with it.
pub(super) async fn start(upstream: &Upstream) -> Result<Arc<Connection>, UpstreamError> {
    if upstream.unsigned {
        let what = "the lockfile, which has to be signed, says nothing of it";
        return Err(UpstreamError::Changed(what.to_owned()));
    }
    let (program, pinned) = (upstream.program.clone(), upstream.started_as.clone());
    let (server, guarded) = (Arc::clone(&upstream.server), Arc::clone(&upstream.guarded));
    let checking = tokio::task::spawn_blocking(move || {
        let found = program.check(pinned.as_deref())?;
        Ok((program.isolated(&server.isolated, &guarded)?, found))
    });
    let checked = checking.await.map_err(|e| UpstreamError::Unchecked(e.to_string()))?;
    let (program, found) = checked?;
    upstream.is_started_as(found.as_ref());
    let connection = match program {
        Program::BuiltIn(profile) => of_program(upstream, profile).await?,
        Program::Started { profile, .. } => with_secrets(upstream, profile?).await?,
        Program::Remote(remote) => remote::reach(upstream, &remote).await?,
    };
    connection.begin_listening(Probed::patience(upstream.server.start_timeout)).await;
    Ok(connection)
}

/// A program that is given the secrets that its entry refers to, as they are now. Started again, it
/// gets what they are then.
async fn with_secrets(
    upstream: &Upstream,
    mut profile: Profile,
) -> Result<Arc<Connection>, UpstreamError> {
    let (secrets, start) = (&upstream.secrets, &upstream.server.start);
    let given = secrets::given(secrets, start, &mut profile).await;
    let given = given.map_err(UpstreamError::Secret)?;
    let connection = of_program(upstream, profile).await?;
    if !given.is_empty() {
        let watching = watch(upstream.name.to_string(), secrets.clone(), given);
        tokio::spawn(connection.ended.clone().run_until_cancelled_owned(watching));
    }
    Ok(connection)
}

/// How often it is looked whether what a server was given is still what there is.
const LOOK: Duration = Duration::from_secs(30);

/// Says once that a server goes on with a secret that was replaced.
async fn watch(server: String, secrets: Secrets, given: Given) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some(source) = given.stale(&secrets).await {
            let help = "it gets the new one when it is started again";
            return tracing::warn!(%server, %source, "has a secret that was replaced; {help}");
        }
    }
}

/// A program that is started here. What it speaks is asked once, as long as it is not known.
async fn of_program(
    upstream: &Upstream,
    profile: Profile,
) -> Result<Arc<Connection>, UpstreamError> {
    let limit = upstream.server.start_timeout;
    let known = match upstream.server.era {
        EraChoice::Legacy => Some(Speaks::Legacy),
        EraChoice::Modern => Some(Speaks::Modern),
        EraChoice::Auto => upstream.known.speaks(&upstream.name),
    };
    let mut connection = spawned(upstream, profile.clone()).await?;
    if known != Some(Speaks::Legacy) {
        let modern = upstream.server.era == EraChoice::Modern;
        let patience = if modern { limit } else { Probed::patience(limit) };
        match greet::discover(&connection, patience).await {
            Ok(Probed::Modern) => {
                upstream.known.learn(&upstream.name, Speaks::Modern);
                return Ok(connection);
            }
            Ok(Probed::Other) if modern => {
                let why = "it does not speak the era that its entry names";
                return Err(UpstreamError::Handshake(why.to_owned()));
            }
            Ok(Probed::Other) => {}
            // Some end when they hear what they do not know.
            Err(UpstreamError::Died { .. }) if !modern => {
                drop(connection);
                connection = spawned(upstream, profile).await?;
            }
            Err(error) => return Err(error),
        }
    }
    match greet::initialize(&connection, limit).await {
        Ok(()) => upstream.known.learn(&upstream.name, Speaks::Legacy),
        Err(error) => {
            upstream.known.forget(&upstream.name);
            return Err(error);
        }
    }
    Ok(connection)
}

async fn spawned(upstream: &Upstream, profile: Profile) -> Result<Arc<Connection>, UpstreamError> {
    let starting = tokio::task::spawn_blocking(move || {
        tagout_sandbox::spawn(&profile, &Jailer::this_program())
            .map_err(|e| UpstreamError::Spawn(Arc::new(e)))
    });
    let mut child = starting.await.map_err(|e| UpstreamError::Unchecked(e.to_string()))??;
    let broken = |e: io::Error| UpstreamError::Handshake(e.to_string());
    let pipe = || UpstreamError::Handshake("it was started without pipes".to_owned());
    let stdin = Sender::from_owned_fd(child.stdin.take().ok_or_else(pipe)?).map_err(broken)?;
    let stdout = Receiver::from_owned_fd(child.stdout.take().ok_or_else(pipe)?).map_err(broken)?;
    let stderr = Receiver::from_owned_fd(child.stderr.take().ok_or_else(pipe)?).map_err(broken)?;
    tokio::spawn(drain(upstream.name.to_string(), upstream.secrets.clone(), stderr));
    let egress = child.egress.take().and_then(|listener| way_out(upstream, listener));
    let (out, _writer) = outgoing(stdin);
    let incoming = Incoming::new(stdout, upstream.limits.frame.frame_bytes);
    let connection = opened(upstream, Link::Lines(Lines::new(child, out, egress)));
    let listening = listen_to_lines(Arc::downgrade(&connection), incoming);
    tokio::spawn(connection.ended.clone().run_until_cancelled_owned(listening));
    Ok(connection)
}

/// Serves what an isolated server reaches the network by.
fn way_out(upstream: &Upstream, listener: OwnedFd) -> Option<EgressTask> {
    match &upstream.server.isolated {
        Isolated::Fully(sandbox) => {
            let record = upstream.egress.clone();
            let budget = upstream.known.budgets.of(&record, sandbox.egress);
            Some(egress::serve(listener, &sandbox.allow, budget, record))
        }
        Isolated::Not => None,
    }
}

pub(super) fn opened(upstream: &Upstream, link: Link) -> Arc<Connection> {
    let about = About {
        name: upstream.name.clone(),
        capabilities: Arc::clone(&upstream.capabilities),
        shared: upstream.is_shared(),
        secrets: upstream.secrets.clone(),
        record: upstream.egress.clone(),
    };
    Connection::open(link, upstream.limits.frame, (about, upstream.events.clone()))
}
