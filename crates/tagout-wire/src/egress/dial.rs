//! Connects to one of several addresses that were looked at.
use std::{io, net::SocketAddr};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// Why none of them answers.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The last of them did not, for this reason.
    Refused(io::Error),
    TimedOut,
}

/// The first connection that comes about before `deadline`.
pub(crate) async fn dial(
    addresses: Vec<SocketAddr>,
    deadline: Instant,
) -> Result<TcpStream, Unanswered> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let count = addresses.len();
    for (n, address) in addresses.into_iter().enumerate() {
        // One that does not answer leaves time for the others.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(count - n).unwrap_or(1);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) if n + 1 == count => return Err(Unanswered::TimedOut),
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(Unanswered::Refused(last))
}
