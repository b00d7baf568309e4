//! `run --http`: any number of clients over HTTP.
use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use tagout_gateway::{
    Gateway,
    config::Listen,
    http::{Front, HEALTH},
    keys::Keys,
};
use tagout_wire::http::{Access, AccessError, Listener, ServerLimits, Tls, serve as serve_http};
use tokio_util::sync::CancellationToken;

use crate::{
    command::{following, on_threads, reload_on_hangup},
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::Setup,
};

/// How often the certificate's files are looked at.
const CERTIFICATE: Duration = Duration::from_secs(5);

/// Serves clients over HTTP until it is told to stop.
pub(crate) fn serve(
    places: &Places,
    address: Option<SocketAddr>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let setup = Setup::read(places)?;
    let mut listen = setup.config.listen.clone();
    listen.address = address.unwrap_or(listen.address);
    let rules = Arc::clone(&setup.rules);
    let gateway = setup.open(places)?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    on_threads(threads, async {
        let (stop, asked) = reload_on_hangup()?;
        let followed = (Arc::clone(&gateway), rules);
        following(followed, asked, run(gateway, listen, stop, json)).await
    })
}

async fn run(
    gateway: Arc<Gateway>,
    listen: Listen,
    stop: CancellationToken,
    json: bool,
) -> Result<ExitCode, Failure> {
    let tls = listen.tls.as_ref().map(|(certificate, key)| Tls::load(certificate, key));
    let tls = tls.transpose().map_err(|error| Failure::of(&error, "tls-unusable", ""))?;
    if let Some(tls) = tls.clone() {
        let stop = stop.clone();
        tokio::spawn(async move { tls.watch(CERTIFICATE, stop).await });
    }
    let access = access(&listen).map_err(|error| {
        Failure::usage("config-invalid", error, "see `http.hosts` and `http.origins`")
    })?;
    let listener = Listener::bind(listen.address, tls).await.map_err(|error| {
        Failure::of(
            &error,
            "listen-refused",
            "beyond loopback, set `http.certificate` and `http.key`",
        )
    })?;
    let scheme = if listener.secure() { "https" } else { "http" };
    let url = format!("{scheme}://{}/mcp", listener.local_addr());
    let keys = Keys::of(&gateway).map_err(|error| Failure::of(&error, error.code(), ""))?;
    let first = keys.ensure_first(&gateway);
    let first = first.map_err(|error| Failure::of(&error, error.code(), error.help()))?;
    output::listening(&url, first.as_ref().map(|key| key.key.expose().as_str()), json)?;
    let front = Front::new(&gateway, Arc::new(keys), listen.idle);
    let limits = ServerLimits { health: Some(HEALTH), vouches: true, ..ServerLimits::default() };
    let keeping = {
        let (front, stop) = (Arc::clone(&front), stop.clone());
        tokio::spawn(async move { front.keep(&stop).await })
    };
    serve_http(listener, limits, access, front, stop).await;
    keeping.await.map_err(|error| Failure::new(Ended::Failed, "file-unusable", error))?;
    Ok(Ended::Done.into())
}

/// By which names and from which web pages the gateway may be called.
fn access(listen: &Listen) -> Result<Access, AccessError> {
    let mut access = Access::new();
    for host in &listen.hosts {
        access = access.with_host(host)?;
    }
    for origin in &listen.origins {
        access = access.with_origin(origin)?;
    }
    Ok(access)
}
