//! Requests to keepers of secrets, repeated where that may help, and never for long.
use std::time::Duration;

use tagout_proto::Secret;

use crate::{Answer, Request, SecretError, Source, World};

/// A secret, and for how long it is good.
#[derive(Debug)]
pub struct Fetched {
    /// The secret.
    pub value: Secret<String>,
    /// How long it may be used, where whoever has it says so.
    pub lease: Option<Duration>,
}

/// The most bytes of an answer.
pub(crate) const ANSWER_BYTES: usize = 256 << 10;
/// How often a request is made.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// Makes a request up to three times, where it was not heard or the other side is busy.
pub(crate) async fn answered(
    world: World<'_>,
    of: &Source,
    make: impl Fn() -> Result<Request, SecretError>,
    busy: impl Fn(&Answer) -> bool,
) -> Result<Answer, SecretError> {
    let mut wait = PAUSE;
    for attempt in 1.. {
        let request = make()?;
        let last = attempt >= TRIES;
        match world.transport.send(&request).await {
            Ok(answer) if last || !busy(&answer) => return Ok(answer),
            Err(error) if last || !error.passing => {
                return Err(SecretError::unreachable(of, error.detail));
            }
            Ok(_) | Err(_) => world.clock.sleep(wait).await,
        }
        wait *= 2;
    }
    Err(SecretError::unreachable(of, "has no answer"))
}

/// Whether a status says that a little later it may do better.
pub(crate) const fn is_passing(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

/// Only texts of a size that a secret has.
pub(crate) fn sized(of: &Source, value: Secret<String>) -> Result<Secret<String>, SecretError> {
    match value.expose().len() {
        0 => Err(SecretError::unusable(of, "is empty")),
        1..=crate::MOST_BYTES => Ok(value),
        _ => Err(SecretError::unusable(of, "is too large")),
    }
}
