//! An MCP server with everything that a client or gateway may meet, for tests against it: the
//! tools, prompts and resources that the public conformance suite asks of a server under test, in
//! any era of the protocol, over standard input and output or HTTP on the loopback interface.
//!
//! ```text
//! fixture-server --http 127.0.0.1:0 --era both      says where it listens on its first line
//! fixture-server --stdio --era legacy
//! ```
//!
//! What it defines stands in `tools.json` and `content.json` and is the same in every era; only
//! how it asks its clients for something differs.

mod ask;
mod content;
mod era;
mod handler;
mod http;
mod logging;
mod news;
mod probe;
mod session;
mod task;
mod template;
mod tools;

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
};

use rmcp::{
    ServiceExt as _,
    service::ServerInitializeError,
    transport::{async_rw::AsyncRwTransport, stdio_pipes},
};

use crate::{
    era::Era,
    handler::{Fixture, Shared},
    probe::Deaf,
};

const USAGE: &str = "\
usage: fixture-server (--stdio | --http 127.0.0.1:PORT) [--era legacy|modern|both]";

/// Longest message taken over standard input, in bytes.
const LINE_BYTES: usize = 4 << 20;

/// How it ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{USAGE}")]
    Usage,
    #[error("`{0}` is not on the loopback interface")]
    NotLoopback(SocketAddr),
    #[error("`{file}` is not what it should be: {reason}")]
    Definitions { file: &'static str, reason: serde_json::Error },
    #[error("there is no randomness: {0}")]
    Random(getrandom::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the client did not complete the handshake: {0}")]
    Handshake(Box<ServerInitializeError>),
}

/// What is asked for.
struct Wanted {
    /// Standard input and output without one.
    http: Option<SocketAddr>,
    era: Era,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Without standard error there is nobody to tell.
            writeln!(io::stderr(), "fixture-server: {failure}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let wanted = wanted(std::env::args().skip(1))?;
    let shared = Arc::new(Shared::load(wanted.era)?);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match wanted.http {
            Some(address) => http::serve(address, shared).await,
            None => stdio(shared).await,
        }
    })
}

fn wanted(mut words: impl Iterator<Item = String>) -> Result<Wanted, Failure> {
    let (mut stdio, mut http, mut era) = (false, None::<SocketAddr>, Era::Both);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--stdio" => stdio = true,
            "--http" => http = words.next().and_then(|address| address.parse().ok()),
            "--era" => era = words.next().and_then(|era| Era::parse(&era)).ok_or(Failure::Usage)?,
            _ => return Err(Failure::Usage),
        }
    }
    match http {
        Some(address) if !address.ip().is_loopback() => Err(Failure::NotLoopback(address)),
        _ if http.is_some() == stdio => Err(Failure::Usage),
        _ => Ok(Wanted { http, era }),
    }
}

async fn stdio(shared: Arc<Shared>) -> Result<(), Failure> {
    let (input, output) = stdio_pipes();
    let transport = AsyncRwTransport::new_server(input, output).with_max_line_length(LINE_BYTES);
    let era = shared.era;
    let fixture = Fixture::new(shared);
    let running = match era {
        Era::Legacy => fixture.serve(Deaf(transport)).await,
        Era::Modern | Era::Both => fixture.serve(transport).await,
    };
    match running {
        // However it ends, the client has left.
        Ok(running) => running.waiting().await.map(drop).map_err(io::Error::other)?,
        Err(ServerInitializeError::ConnectionClosed(_)) => {}
        Err(error) => return Err(Failure::Handshake(Box::new(error))),
    }
    Ok(())
}
