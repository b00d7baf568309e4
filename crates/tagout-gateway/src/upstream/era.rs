//! What differs between requests that stand for themselves and those of a session.
use tagout_proto::{Frame, Message, Revision, quoted};

use super::{UpstreamError, composed};

/// Names of `_meta` that the standard keeps for itself.
macro_rules! meta {
    ($name:literal) => {
        concat!("io.modelcontextprotocol/", $name)
    };
}

/// Tells apart the streams of news, in what they bring.
pub(super) const SUBSCRIPTION: &str = meta!("subscriptionId");

/// This program, as it introduces itself.
pub(super) fn client_info() -> String {
    format!(r#"{{"name":"tagout","version":{}}}"#, quoted(env!("CARGO_PKG_VERSION")))
}

/// Parameters with what each modern request says of its client; all else byte for byte.
///
/// # Errors
/// They are no JSON, which what was read strictly never is.
pub(super) fn dressed(
    params: &str,
    capabilities: &str,
    log_level: Option<&str>,
) -> Result<String, UpstreamError> {
    let unreadable = |e: tagout_proto::ReadError| UpstreamError::Misbehaved(e.to_string());
    let document = composed(params).map_err(unreadable)?;
    let (version, info) = (quoted(Revision::LATEST.as_str()), client_info());
    let level = log_level.map(quoted);
    let says = [
        (meta!("protocolVersion"), Some(version.as_str())),
        (meta!("clientInfo"), Some(info.as_str())),
        (meta!("clientCapabilities"), Some(capabilities)),
        (meta!("logLevel"), level.as_deref()),
    ];
    let meta = match document.root().get("_meta") {
        Some(meta) => meta.with(&says),
        None => composed("{}").map_err(unreadable)?.root().with(&says),
    };
    Ok(document.root().with(&[("_meta", Some(&meta))]))
}

/// A modern answer, if its result is of a kind that this protocol has.
///
/// # Errors
/// [`UpstreamError::Misbehaved`].
pub(super) fn checked(frame: Frame) -> Result<Frame, UpstreamError> {
    if let Message::Response { outcome: Ok(result), .. } = frame.message() {
        let kind = result.get("resultType").map(|kind| kind.text().unwrap_or_default());
        let known = kind.as_deref().is_none_or(|kind| KINDS.contains(&kind));
        if !known {
            let why = "its result is of a kind that is not known here";
            return Err(UpstreamError::Misbehaved(why.to_owned()));
        }
    }
    Ok(frame)
}

/// The kinds of results; one that names none is complete.
const KINDS: &[&str] = &["complete", "input_required", "task"];
