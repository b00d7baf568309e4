//! Starting a server, or opening a session with it.
use std::{io, sync::Arc};

use tagout_sandbox::{Jailer, Profile};
use tagout_wire::{Incoming, outgoing};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe::{Receiver, Sender},
};

use super::{
    Connection, Program, Upstream, UpstreamError,
    connection::About,
    greet::{self, Probed},
    link::{Lines, Link, listen_to_lines},
    remote,
    shared::Speaks,
};
use crate::config::EraChoice;

/// Starts the server and shakes hands with it.
pub(super) async fn start(upstream: &Upstream) -> Result<Arc<Connection>, UpstreamError> {
    let (program, pinned) = (upstream.program.clone(), upstream.pinned.clone());
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
        Program::Started { profile, .. } => of_program(upstream, profile?).await?,
        Program::Remote(remote) => remote::reach(upstream, &remote).await?,
    };
    connection.begin_listening(Probed::patience(upstream.server.start_timeout)).await;
    Ok(connection)
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
    tokio::spawn(drain(upstream.name.to_string(), stderr));
    let (out, _writer) = outgoing(stdin);
    let incoming = Incoming::new(stdout, upstream.limits.frame.frame_bytes);
    let connection = opened(upstream, Link::Lines(Lines::new(child, out)));
    let listening = listen_to_lines(Arc::downgrade(&connection), incoming);
    tokio::spawn(connection.ended.clone().run_until_cancelled_owned(listening));
    Ok(connection)
}

pub(super) fn opened(upstream: &Upstream, link: Link) -> Arc<Connection> {
    let about = About {
        name: upstream.name.clone(),
        capabilities: Arc::clone(&upstream.capabilities),
        shared: upstream.is_shared(),
    };
    Connection::open(link, upstream.limits.frame, (about, upstream.events.clone()))
}

/// What a server complains is read, or it would come to a halt; the last of it is for diagnosis.
async fn drain(server: String, mut stderr: Receiver) {
    let mut buffer = vec![0; 8 << 10];
    loop {
        match stderr.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => {
                let text = String::from_utf8_lossy(buffer.get(..read).unwrap_or_default());
                let (text, _) = tagout_inspect::characters::made_visible(&text);
                tracing::debug!(%server, "{}", text.trim_end());
            }
        }
    }
}
