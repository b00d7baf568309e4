//! CONNECT: bytes are passed both ways, once it is seen whom the greeting of TLS means.
use std::sync::Arc;

use tokio::{
    io::{AsyncWriteExt as _, copy_bidirectional},
    time::{Instant, timeout_at},
};

use super::{
    begun::Begun,
    hello::{Hello, HelloError},
    host::Host,
    meter::{EgressBounds, Meter, Metered},
    report::{Late, Refused},
};

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
/// The port that is for TLS and for nothing else.
const TLS: u16 = 443;

/// Passes bytes both ways until one side ends, or a bound is reached.
pub(super) async fn tunnel(
    mut client: Begun,
    mut server: Metered,
    (host, port): (&Host, u16),
    (meter, bounds): (&Arc<Meter>, &EgressBounds),
) -> Result<(), Refused> {
    if client.stream().write_all(ESTABLISHED).await.is_err() {
        return Ok(());
    }
    let passing = async {
        if greeted(&mut client, &server, (host, port), bounds).await? {
            // How either side ended is no business of the proxy's.
            drop(copy_bidirectional(&mut client, &mut server).await);
        }
        Ok(())
    };
    tokio::select! {
        passed = passing => passed,
        late = meter.expires() => Err(Refused::Late(late)),
    }
}

/// Waits for what the program says first, or, where the port is not TLS's, for the host to speak
/// first, as no TLS server does. Whether there is anything to pass on.
async fn greeted(
    client: &mut Begun,
    server: &Metered,
    (host, port): (&Host, u16),
    bounds: &EgressBounds,
) -> Result<bool, Refused> {
    let mut deadline = Instant::now() + bounds.head;
    if client.said().is_empty() && port != TLS {
        let spoken = tokio::select! {
            biased;
            more = client.more() => Some(more.unwrap_or(false)),
            () = server.speaks() => None,
        };
        match spoken {
            None => return Ok(true),
            Some(false) => return Ok(false),
            Some(true) => deadline = Instant::now() + bounds.head,
        }
    }
    let mut enough = 1;
    loop {
        match client.said().first() {
            Some(first) if !Hello::may_be(*first) => {
                let only_tls = port == TLS;
                return if only_tls {
                    Err(Refused::Greeting(HelloError::NotTls))
                } else {
                    Ok(true)
                };
            }
            Some(_) if client.said().len() >= enough => {
                match Hello::look(client.said()).map_err(Refused::Greeting)? {
                    Ok(hello) => return meant(hello, host).map(|()| true),
                    // Whoever sends byte by byte does not have all of them read each time.
                    Err(missing) => enough = client.said().len() + missing,
                }
            }
            Some(_) | None => {}
        }
        let more = timeout_at(deadline, client.more()).await;
        if !more.map_err(|_| Refused::Late(Late::Greeting))?.unwrap_or(false) {
            return Ok(false);
        }
    }
}

/// Whether the greeting means the host that the tunnel leads to.
fn meant(hello: Hello, host: &Host) -> Result<(), Refused> {
    if hello.encrypted {
        return Err(Refused::Hidden);
    }
    match (hello.server, host) {
        (Some(named), host) if named == *host => Ok(()),
        (Some(named), _) => Err(Refused::OtherServer(named)),
        // Whoever dials an address has no name to say.
        (None, Host::Address(_)) => Ok(()),
        (None, Host::Name(_)) => Err(Refused::NoServer),
    }
}
