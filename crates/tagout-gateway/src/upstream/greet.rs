//! Finding out which era a server speaks, and shaking hands.
use std::{sync::Arc, time::Duration};

use tagout_proto::{Frame, Kind, Message, Method, Revision, Value};

use super::{
    Connection, UpstreamError,
    connection::{Request, Spoken},
    era::client_info,
};

/// How long a server may be silent when it is asked what it speaks.
const SILENCE: Duration = Duration::from_secs(5);

/// What a server says when it is asked, in the modern way, what it speaks.
pub(super) enum Probed {
    /// It speaks the modern era; the connection is ready.
    Modern,
    /// It does not, or has not said so in time.
    Other,
}

impl Probed {
    /// How long a server may take to answer, of the time that its start may take.
    pub(super) fn patience(start: Duration) -> Duration {
        SILENCE.min(start / 2)
    }
}

/// Codes that only servers of the modern era answer with.
const MODERN_ONLY: std::ops::RangeInclusive<i64> = -32022..=-32020;

/// Asks in the modern way. Any error means that the server is of the other era, but for one that
/// only the modern one has.
///
/// # Errors
/// The server is gone, cannot be reached or lets nobody in; or it is modern and refuses.
pub(super) async fn discover(
    connection: &Arc<Connection>,
    limit: Duration,
) -> Result<Probed, UpstreamError> {
    let ask = || async {
        let request = Request::own(connection.reserve(), Method::Discover, "{}".to_owned());
        connection.request_in(Some(Revision::LATEST), request, limit).await
    };
    let mut answer = ask().await;
    // It takes the revision after all: asked again, as the standard has it.
    if answer.as_ref().is_ok_and(unsure) {
        answer = ask().await;
    }
    let frame = match answer {
        Ok(frame) => frame,
        Err(error) if error.may_be_of_era() && connection.lives() => return Ok(Probed::Other),
        Err(error) => return Err(error),
    };
    let Message::Response { outcome, .. } = frame.message() else { return Ok(Probed::Other) };
    match outcome {
        Ok(result) if supports_ours(result) => {
            connection.set_spoken(spoken(Revision::LATEST, result));
            Ok(Probed::Modern)
        }
        Err(error) if is_modern_only(error) && !supports_legacy(error) => {
            let message = error.get("message").and_then(|m| m.text()).unwrap_or_default();
            Err(UpstreamError::Handshake(format!("it refused: {message}")))
        }
        Ok(_) | Err(_) => Ok(Probed::Other),
    }
}

fn supports_ours(result: Value<'_>) -> bool {
    let versions = result.get("supportedVersions").filter(|all| all.kind() == Kind::Array);
    versions.is_some_and(|all| lists(all, |version| version == Revision::LATEST.as_str()))
}

fn is_modern_only(error: Value<'_>) -> bool {
    let code = error.get("code").and_then(|code| code.integer());
    code.is_some_and(|code| MODERN_ONLY.contains(&code))
}

/// Whether an error says that the server also speaks a revision with a handshake.
fn supports_legacy(error: Value<'_>) -> bool {
    supports(error, |version| Revision::parse_legacy(version).is_some())
}

/// Whether a server refuses our revision and names it among those that it takes.
fn unsure(answer: &Frame) -> bool {
    match answer.message() {
        Message::Response { outcome: Err(error), .. } => {
            is_modern_only(error) && supports(error, |version| version == Revision::LATEST.as_str())
        }
        Message::Response { .. } | Message::Request { .. } | Message::Notification { .. } => false,
    }
}

fn supports(error: Value<'_>, wanted: impl Fn(&str) -> bool) -> bool {
    let supported = error.get("data").and_then(|data| data.get("supported"));
    supported.is_some_and(|all| lists(all, wanted))
}

fn lists(all: Value<'_>, wanted: impl Fn(&str) -> bool) -> bool {
    all.elements().any(|one| one.text().is_some_and(|text| wanted(&text)))
}

fn spoken(revision: Revision, result: Value<'_>) -> Spoken {
    let offers = result.get("capabilities").filter(|offers| offers.kind() == Kind::Object);
    let instructions = result.get("instructions").and_then(|text| text.text());
    Spoken {
        revision,
        offers: offers.map_or("{}", |offers| offers.raw()).to_owned(),
        instructions: instructions.map(std::borrow::Cow::into_owned),
    }
}

/// Shakes hands as servers with sessions want it.
///
/// # Errors
/// See [`UpstreamError`].
pub(super) async fn initialize(
    connection: &Arc<Connection>,
    limit: Duration,
) -> Result<(), UpstreamError> {
    let answer = connection.request_in(None, to_initialize(connection), limit).await?;
    let (revision, result) = settled(&answer)?;
    connection.set_spoken(spoken(revision, result));
    connection.notify(Method::Initialized, "{}").await;
    Ok(())
}

/// The request that opens a session.
pub(super) fn to_initialize(connection: &Connection) -> Request {
    let params = format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"clientInfo":{}}}"#,
        Revision::LATEST_LEGACY,
        connection.about.capabilities,
        client_info(),
    );
    Request::own(connection.reserve(), Method::Initialize, params)
}

/// What a server answers to `initialize`.
pub(super) fn settled(answer: &Frame) -> Result<(Revision, Value<'_>), UpstreamError> {
    let failed = |why: &str| UpstreamError::Handshake(why.to_owned());
    let Message::Response { outcome, .. } = answer.message() else {
        return Err(failed("it did not answer"));
    };
    let result = outcome.map_err(|error| {
        let message = error.get("message").and_then(|m| m.text()).unwrap_or_default();
        failed(&format!("it refused: {message}"))
    })?;
    let version = result.get("protocolVersion").and_then(|v| v.text()).unwrap_or_default();
    let revision = Revision::parse_legacy(&version).ok_or_else(|| {
        failed(&format!("it speaks revision {:?}, which is not spoken here", &*version))
    })?;
    Ok((revision, result))
}
