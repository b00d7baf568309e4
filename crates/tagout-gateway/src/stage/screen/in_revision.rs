//! An answer as the client's revision has it. Between peers of one era nothing changes but what
//! depends on the principal.
use tagout_proto::{Action, Kind, Method, Revision, Value};

use crate::upstream::composed;

/// The number of the error for a resource that is not there, before and since 2026-07-28.
const NO_RESOURCE: [i64; 2] = [-32002, -32602];

/// A result; `revisions` are the client's, and the server's where one made the result.
pub(super) fn result(
    text: String,
    (client, server): (Revision, Option<Revision>),
    method: Method,
) -> String {
    if client.is_modern() {
        return modern(text, method);
    }
    if server.is_some_and(Revision::is_modern) {
        return legacy(text);
    }
    text
}

/// What the newest revision wants of every result, and says of what may be kept.
fn modern(text: String, method: Method) -> String {
    let Ok(document) = composed(&text) else { return text };
    let root = document.root();
    let mut changes = Vec::new();
    if root.get("resultType").is_none() {
        changes.push(("resultType", Some(r#""complete""#)));
    }
    let kept = method.classify() == Action::List
        || matches!(method, Method::Discover | Method::ResourcesRead);
    let complete = root.get("resultType").is_none_or(|t| t.text().as_deref() == Some("complete"));
    if kept && complete {
        if root.get("ttlMs").is_none() {
            changes.push(("ttlMs", Some("0")));
        }
        // What a principal may see is not for others to keep.
        changes.push(("cacheScope", Some(r#""private""#)));
    }
    if changes.is_empty() { text } else { root.with(&changes) }
}

/// Without what older revisions do not know.
fn legacy(text: String) -> String {
    let Ok(document) = composed(&text) else { return text };
    let root = document.root();
    let mut changes = vec![("resultType", None), ("ttlMs", None), ("cacheScope", None)];
    let structured = root.get("structuredContent");
    if structured.is_some_and(|structured| structured.kind() != Kind::Object) {
        changes.push(("structuredContent", None));
    }
    root.with(&changes)
}

/// An error.
pub(super) fn error(
    text: String,
    (client, server): (Revision, Option<Revision>),
    method: Method,
) -> String {
    let [before, since] = NO_RESOURCE;
    let of_resource = matches!(method, Method::ResourcesRead | Method::ResourcesSubscribe);
    let Some(server) =
        server.filter(|server| of_resource && server.is_modern() != client.is_modern())
    else {
        return text;
    };
    let Ok(document) = composed(&text) else { return text };
    let code = |root: Value<'_>| root.get("code").and_then(|code| code.integer());
    let (theirs, ours) = if server.is_modern() { (since, before) } else { (before, since) };
    if code(document.root()) != Some(theirs) {
        return text;
    }
    document.root().with(&[("code", Some(&ours.to_string()))])
}
