//! What headers say, held against what the body says. The body is what counts.
use tagout_proto::{Action, Method, Revision};
use tagout_wire::{
    header_value,
    http::{HeaderMap, StatusCode},
};

use crate::{
    refusal::Refusal,
    stage::receive::{Call, VERSION},
};

const PARAMETER: &str = "mcp-param-";

/// Why a request's body is not even read: it is no JSON, or its answer would not be taken.
pub(super) fn unfit(headers: &HeaderMap) -> Option<StatusCode> {
    // Two types are none: whoever reads the other one reads something else.
    let kind = one(headers, "content-type").ok().flatten();
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    // Nothing is decompressed here: what it comes to nobody knows before.
    if headers.get_all("content-encoding").iter().any(|coding| coding != "identity") {
        return Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let accepts = |wanted: &str| accepts(headers, wanted);
    let both = accepts("application/json") && accepts("text/event-stream");
    (!both).then_some(StatusCode::NOT_ACCEPTABLE)
}

/// Whether the client takes answers of the type `wanted`.
pub(super) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let (family, _) = wanted.split_once('/').unwrap_or((wanted, ""));
    let all = headers.get_all("accept").iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim();
        range == "*/*"
            || range.eq_ignore_ascii_case(wanted)
            || range.strip_suffix("/*").is_some_and(|of| of.eq_ignore_ascii_case(family))
    })
}

/// Whether the client would rather have a stream than a single answer: it names that first.
pub(super) fn prefers_events(headers: &HeaderMap) -> bool {
    let first = headers.get("accept").and_then(|value| value.to_str().ok());
    let first = first.and_then(|value| value.split([',', ';']).next()).unwrap_or_default();
    first.trim().eq_ignore_ascii_case("text/event-stream")
}

/// The revision that the header names; nothing if there is none or no text.
pub(super) fn revision(headers: &HeaderMap) -> Option<&str> {
    headers.get("mcp-protocol-version")?.to_str().ok()
}

/// The header `name`, which must not stand there twice.
pub(super) fn one<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, Refusal> {
    let mut all = headers.get_all(name).iter();
    let (first, second) = (all.next(), all.next());
    if second.is_some() {
        return Err(Refusal::Header { header: name.into(), problem: "stands there twice" });
    }
    let text = first.map(|value| value.to_str());
    text.transpose().map_err(|_| Refusal::Header { header: name.into(), problem: "is no text" })
}

/// As [`one`], with what is encoded in it decoded.
fn decoded(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Refusal> {
    one(headers, name)?;
    let value = headers.get(name).map(header_value::decode).transpose();
    let problem = "is not encoded as it should be";
    value.map_err(|_| Refusal::Header { header: name.into(), problem })
}

/// Holds the headers of a request without a session against its body; gives the arguments that
/// headers repeat, for the tool's schema to say which those are.
pub(super) fn mirrored(headers: &HeaderMap, call: &Call) -> Result<Vec<(String, String)>, Refusal> {
    let differs = |header: &'static str| {
        let problem = "does not say what the body says";
        Refusal::Header { header: header.into(), problem }
    };
    let missing =
        |header: &'static str| Refusal::Header { header: header.into(), problem: "is missing" };
    let version = one(headers, "mcp-protocol-version")?;
    let version = version.ok_or_else(|| missing("mcp-protocol-version"))?;
    if call.meta(VERSION).and_then(|said| said.text()).is_some_and(|said| said != version) {
        return Err(differs("mcp-protocol-version"));
    }
    if Revision::parse(version).is_none_or(|revision| !revision.is_modern()) {
        let requested = version.chars().take(40).collect();
        return Err(Refusal::Revision { requested });
    }
    let method = one(headers, "mcp-method")?.ok_or_else(|| missing("mcp-method"))?;
    if method != call.method().as_str() {
        return Err(differs("mcp-method"));
    }
    if let Some(key) = named_by(call.method()) {
        let name = decoded(headers, "mcp-name")?.ok_or_else(|| missing("mcp-name"))?;
        if call.text_param(key).is_some_and(|said| said != name) {
            return Err(differs("mcp-name"));
        }
    }
    parameters(headers)
}

/// The parameter that `Mcp-Name` repeats.
fn named_by(method: Method) -> Option<&'static str> {
    if method.classify() == Action::FollowTask {
        return Some("taskId");
    }
    if matches!(method, Method::ToolsCall | Method::PromptsGet) {
        return Some("name");
    }
    (method == Method::ResourcesRead).then_some("uri")
}

fn parameters(headers: &HeaderMap) -> Result<Vec<(String, String)>, Refusal> {
    let mut found = Vec::<(String, String)>::new();
    for (name, value) in headers {
        let Some(end) = name.as_str().strip_prefix(PARAMETER) else { continue };
        let bad = |problem| Refusal::Header { header: name.as_str().to_owned().into(), problem };
        if found.iter().any(|(other, _)| other == end) {
            return Err(bad("stands there twice"));
        }
        let value =
            header_value::decode(value).map_err(|_| bad("is not encoded as it should be"))?;
        found.push((end.to_owned(), value));
    }
    Ok(found)
}
