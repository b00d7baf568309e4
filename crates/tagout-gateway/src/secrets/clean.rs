//! Live secrets are taken out of what passes, and that goes on record, without them.
use std::sync::Arc;

use jiff::SignedDuration;
use tagout_audit::{Durability, Log, Note};
use tagout_inspect::live::{Caught, Live};
use tagout_proto::{Frame, FrameError, Limits, Message, Principal, ServerName, frame, quoted};

use super::{Secrets, locked};
use crate::{Gateway, config::Source};

/// The same is noted again after so long…
const AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// …and of so many things at once.
const NOTED: usize = 4096;

/// What stands in a secret's place: enough to know which it is, and nothing of where it is kept.
pub(super) fn name_of(source: &Source) -> String {
    let name = match source {
        Source::Env(name) => name.clone(),
        Source::File(path) => {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        Source::Stored(name) => name.to_string(),
        Source::Vault(path) => format!("{}#{}", path.path, path.field),
        Source::Aws { name, field: None } => name.clone(),
        Source::Aws { name, field: Some(field) } => format!("{name}#{field}"),
    };
    name.chars().filter(|c| c.is_ascii_graphic()).take(80).collect()
}

/// A frame without live secrets, and what was taken out; nothing where there is none. Its id stays
/// as it is: it goes back to whoever chose it.
pub(crate) fn cleaned_frame(
    live: &Live,
    frame: &Frame,
    limits: Limits,
) -> Option<(Result<Frame, FrameError>, Caught)> {
    if live.is_empty() {
        return None;
    }
    let mut caught = Caught::default();
    let mut clean = |value: tagout_proto::Value<'_>| {
        let cleaned = live.cleaned_json(value);
        cleaned.map_or_else(
            || value.raw().to_owned(),
            |cleaned| {
                caught.join(cleaned.caught);
                cleaned.text
            },
        )
    };
    let text = match frame.message() {
        Message::Request { id, method, params } => {
            let (method, params) = (clean(method), params.map(&mut clean));
            with_params(&format!(r#"{{"jsonrpc":"2.0","id":{id},"#), &method, params)
        }
        Message::Notification { method, params } => {
            let (method, params) = (clean(method), params.map(&mut clean));
            with_params(r#"{"jsonrpc":"2.0","#, &method, params)
        }
        Message::Response { id, outcome: Ok(result) } => frame::result(id.raw(), &clean(result)),
        Message::Response { id, outcome: Err(error) } => frame::error(id.raw(), &clean(error)),
    };
    if caught.is_empty() {
        return None;
    }
    Some((Frame::read(text.as_bytes(), limits), caught))
}

fn with_params(start: &str, method: &str, params: Option<String>) -> String {
    let params = params.map(|params| format!(r#","params":{params}"#)).unwrap_or_default();
    format!(r#"{start}"method":{method}{params}}}"#)
}

/// What is looked for in what clients send, and where it goes on record.
pub struct Watch<'a> {
    live: Arc<Live>,
    gateway: &'a Gateway,
}

impl Gateway {
    /// Looks for what is live now.
    pub(crate) fn watch(&self) -> Watch<'_> {
        Watch { live: self.secrets.live(), gateway: self }
    }
}

impl Watch<'_> {
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Puts on record what was caught in what has no record of its own.
    pub(crate) fn caught(&self, what: &str, caught: &Caught) {
        let place = Place { what, principal: None, server: None, record: None };
        self.gateway.secrets.caught(&self.gateway.audit, caught, place);
    }
}

/// Where something was caught.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// In what: `arguments`, `a result`.
    pub(crate) what: &'a str,
    /// In whose call.
    pub(crate) principal: Option<&'a Principal>,
    /// Which server's.
    pub(crate) server: Option<&'a ServerName>,
    /// Of which record.
    pub(crate) record: Option<u64>,
}

impl Secrets {
    /// Puts on record that secrets turned up where they should not be: which, and where. The same
    /// is said once a minute.
    pub(crate) fn caught(&self, audit: &Log, caught: &Caught, place: Place<'_>) {
        for name in &caught.names {
            let server = place.server.map(ServerName::as_str).unwrap_or_default();
            let user = place.principal.map(|principal| &*principal.user);
            let key = format!("{} {server} {}", place.what, user.unwrap_or_default());
            if !self.is_news(name, key) {
                continue;
            }
            let detail = match place.record {
                Some(record) => format!("in {} of record {record}", place.what),
                None => format!("in {}", place.what),
            };
            tracing::warn!(secret = %name, server, "caught {detail}");
            let mut note = Note::new(self.0.clock.now(), "secret-caught");
            note.principal = place.principal;
            note.server = place.server;
            note.subject = Some(name);
            note.detail = Some(&detail);
            if let Err(error) = audit.note(&note, Durability::System) {
                tracing::error!(%error, "what was caught is not on record");
            }
        }
    }

    fn is_news(&self, name: &str, place: String) -> bool {
        let now = self.0.clock.now();
        let mut noted = locked(&self.0.noted);
        let recent = |at: &jiff::Timestamp| now.duration_since(*at).abs() < AGAIN;
        if noted.len() >= NOTED {
            noted.retain(|_, at| recent(at));
        }
        let key = (name.to_owned(), place);
        if noted.get(&key).is_some_and(recent) || noted.len() >= NOTED {
            return false;
        }
        noted.insert(key, now);
        true
    }

    /// A text without live secrets.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.live().clean(text).into_owned()
    }

    /// A definition as clients see it: without live secrets in its texts. Names stay, of it and in
    /// it: calls are made by them.
    pub(crate) fn clean_definition(&self, text: &str) -> String {
        let live = self.live();
        if live.is_empty() {
            return text.to_owned();
        }
        // What cannot be told apart is cleaned as a whole.
        let Ok(document) = crate::upstream::composed(text) else { return self.clean(text) };
        let cleaned = live.cleaned_texts(document.root());
        cleaned.map_or_else(|| text.to_owned(), |cleaned| cleaned.text)
    }

    /// A JSON text without live secrets; one that is none is a string from then on.
    pub(crate) fn clean_json(&self, text: &str) -> String {
        let live = self.live();
        if live.is_empty() {
            return text.to_owned();
        }
        match crate::upstream::composed(text) {
            Ok(document) => {
                let cleaned = live.cleaned_json(document.root());
                cleaned.map_or_else(|| text.to_owned(), |cleaned| cleaned.text)
            }
            Err(_) => live.cleaned(text).map_or(text.to_owned(), |cleaned| quoted(&cleaned.text)),
        }
    }
}
