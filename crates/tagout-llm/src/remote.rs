//! A model behind a wire.
use std::{fmt, sync::Arc, time::Duration};

use tagout_proto::Secret;

use crate::{
    assembly::{Assembly, PARTS},
    catalogue::Entry,
    error::ProviderError,
    frames::{BadFrame, FRAME_BYTES, Frames},
    model::ModelId,
    offer::{Offer, Strictness},
    provider::{Provider, ProviderInfo, Turn, TurnFuture, TurnRequest},
    providers::Row,
    retry,
    stream::{Sink, Unheard},
    talk::{Scope, Talk},
    transport::{
        Chunks, Clock, Fault, HeaderText, HttpAnswer, HttpRequest, Transport, TransportError, Verb,
    },
    trouble,
    wire::{Broken, Draft},
};

/// Bytes of one answer, at most.
const ANSWER_BYTES: usize = 64 << 20;
/// Bytes of a list of models that are read.
const LIST_BYTES: usize = 4 << 20;
/// Bytes of an error's body that are read.
const ERROR_BYTES: usize = 64 << 10;

/// A model behind a wire.
pub struct Remote {
    row: Row,
    model: ModelId,
    entry: Option<Entry>,
    key: Option<Secret<String>>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("model", &self.model).finish_non_exhaustive()
    }
}

/// What a provider is reached with.
pub struct Reach {
    /// The key, where the provider wants one.
    pub key: Option<Secret<String>>,
    /// The way there.
    pub transport: Arc<dyn Transport>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Remote {
    /// The model `model` of the provider `row`; `entry` is what the catalogue knows of it.
    #[must_use]
    pub fn new(row: Row, model: ModelId, entry: Option<Entry>, reach: Reach) -> Self {
        let Reach { key, transport, clock } = reach;
        Self { row, model, entry, key, transport, clock }
    }

    /// What the catalogue knows of the model.
    #[must_use]
    pub const fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }

    /// The names of the models that the provider has for this key, by its own account.
    ///
    /// # Errors
    /// [`ProviderError`], as for a turn.
    pub async fn list(&self) -> Result<Vec<String>, ProviderError> {
        let wire = self.row.wire;
        let request = self.request(Verb::Get, wire.list_path(), Vec::new());
        let begun = self.begin(&request).await.map_err(|error| {
            // No model was asked for.
            if let ProviderError::ModelMissing { provider, detail, .. } = error {
                ProviderError::Refused { provider, status: 404, detail }
            } else {
                error
            }
        });
        let body = begun?.all(LIST_BYTES).await;
        let listed = serde_json::from_slice(&body).ok().and_then(|body| wire.listed(&body));
        listed.ok_or_else(|| {
            let detail = "it is no list of models".to_owned();
            ProviderError::Malformed { provider: self.row.name.clone(), detail }
        })
    }

    fn scope(&self) -> Scope {
        Scope { provider: self.row.name.clone(), model: self.model.name().to_owned() }
    }

    async fn answer(
        &self,
        request: TurnRequest<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Turn, ProviderError> {
        let (wire, dialect) = (self.row.wire, self.row.dialect);
        let scope = self.scope();
        let wanted = self.row.settings.strict;
        let strictness = if wanted { wire.strictness(dialect) } else { Strictness::NONE };
        let subset = wire.subset(dialect);
        let offer = Arc::new(Offer::of(scope.clone(), request.tools, &subset, strictness)?);
        let mut talk = Talk::of(request.messages, &scope, wire.ids(dialect))?;
        if let Some(suffix) = &self.row.settings.suffix {
            talk.add_instructions(suffix);
        }
        let sees = self.entry.as_ref().and_then(|entry| entry.facts.vision);
        let images = self.row.settings.images.or(sees).unwrap_or(self.row.images);
        let settings = &self.row.settings.at_most(request.most_tokens);
        let draft = Draft { talk: &talk, offer: &offer, settings, dialect, images };
        let body = wire.body(&draft).to_string().into_bytes();
        let calls = talk.calls;
        let mut reading = Reading {
            frames: Frames::new(wire.framing()),
            reader: wire.reader(settings),
            assembly: Assembly::new(Arc::clone(&offer), calls),
            scope,
            read: 0,
            ended: false,
        };
        let path = wire.path(self.model.name());
        let mut answer = self.begin(&self.request(Verb::Post, &path, body)).await?;
        // From here on something was read: nothing is sent again.
        while let Some(piece) = answer.pop().await {
            if reading.take(piece, sink)? {
                break;
            }
        }
        reading.end(sink)
    }

    fn request(&self, verb: Verb, path: &str, body: Vec<u8>) -> HttpRequest {
        let wire = self.row.wire;
        let url = format!("{}{path}", self.row.url);
        let mut headers = vec![
            ("content-type", HeaderText::Plain("application/json")),
            ("accept", HeaderText::Plain("application/json, text/event-stream")),
        ];
        headers.extend(wire.headers().iter().map(|(k, v)| (*k, HeaderText::Plain(v))));
        if let Some(key) = &self.key {
            let (name, before) = wire.key_header();
            let value = Secret::new(format!("{before}{}", key.expose()));
            headers.push((name, HeaderText::Secret(value)));
        }
        HttpRequest { verb, url, headers, body }
    }

    /// Sends the request until an answer begins.
    async fn begin(&self, request: &HttpRequest) -> Result<Begun, ProviderError> {
        let mut tries = 1;
        loop {
            let (error, asked, passes) = match self.once(request).await {
                Ok(begun) => return Ok(begun),
                Err(failed) => failed,
            };
            tries += 1;
            let wait = if passes { retry::wait(tries, asked, self.clock.as_ref()) } else { None };
            let Some(wait) = wait else { return Err(self.clean(error)) };
            self.clock.sleep(wait).await;
        }
    }

    async fn once(&self, request: &HttpRequest) -> Result<Begun, Failed> {
        let sent = self.transport.send(request).await;
        let HttpAnswer { status, headers, body } = sent.map_err(|error| self.unreachable(error))?;
        let mut begun = Begun { first: None, rest: body };
        if (200..300).contains(&status) {
            return match begun.rest.next().await {
                Some(Err(error)) => Err(self.unreachable(error)),
                first => Ok(Begun { first: first.transpose().ok().flatten(), ..begun }),
            };
        }
        let header = |name| headers.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
        let now_s = self.clock.now_s();
        let asked = retry::asked(header("retry-after-ms"), header("retry-after"), now_s);
        let said = begun.all(ERROR_BYTES).await;
        // Before anything is cut.
        let said = self.hidden(&String::from_utf8_lossy(&said));
        let error = trouble::refused(&self.scope(), status, said.as_bytes(), asked);
        let passes = retry::passes(status) && !matches!(error, ProviderError::QuotaSpent { .. });
        Err((error, asked, passes))
    }

    fn unreachable(&self, error: TransportError) -> Failed {
        let TransportError { detail, fault } = error;
        let provider = self.row.name.clone();
        match fault {
            Fault::NotRecorded => (ProviderError::NotRecorded { provider, detail }, None, false),
            Fault::Passing | Fault::Lasting => {
                let passes = fault == Fault::Passing;
                (ProviderError::Unreachable { provider, detail }, None, passes)
            }
        }
    }

    /// A text from outside, without the key.
    fn hidden(&self, text: &str) -> String {
        let key = self.key.as_ref().map_or("", |key| key.expose().as_str());
        trouble::without_key(text, key)
    }

    fn clean(&self, error: ProviderError) -> ProviderError {
        if let (ProviderError::KeyRefused { provider, status }, None) = (&error, &self.key) {
            return ProviderError::KeyWanted { provider: provider.clone(), status: *status };
        }
        error.reworded(|words| self.hidden(words))
    }

    fn cleaned(&self, turn: Result<Turn, ProviderError>) -> Result<Turn, ProviderError> {
        let mut turn = turn.map_err(|error| self.clean(error))?;
        for note in &mut turn.notes {
            *note = trouble::shortened(&self.hidden(note));
        }
        Ok(turn)
    }
}

/// The error, how long the provider asks to wait, and whether another try may do better.
type Failed = (ProviderError, Option<Duration>, bool);

/// An answer of which the first piece was seen.
struct Begun {
    first: Option<Vec<u8>>,
    rest: Box<dyn Chunks>,
}

impl Begun {
    async fn pop(&mut self) -> Option<Result<Vec<u8>, TransportError>> {
        match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => self.rest.next().await,
        }
    }

    async fn all(&mut self, limit: usize) -> Vec<u8> {
        let mut whole = Vec::new();
        while let Some(Ok(piece)) = self.pop().await {
            let room = limit.saturating_sub(whole.len());
            whole.extend(piece.into_iter().take(room));
            if whole.len() >= limit {
                break;
            }
        }
        whole
    }
}

/// A stream that is being read.
struct Reading {
    frames: Frames,
    reader: Box<dyn crate::wire::Reader>,
    assembly: Assembly,
    scope: Scope,
    read: usize,
    /// The last text was read.
    ended: bool,
}

impl Reading {
    /// Takes a piece; `true` if the turn is complete.
    fn take(
        &mut self,
        piece: Result<Vec<u8>, TransportError>,
        sink: &mut dyn Sink,
    ) -> Result<bool, ProviderError> {
        let piece = piece.map_err(|error| self.broken_off(error.detail))?;
        self.read = self.read.saturating_add(piece.len());
        if self.read > ANSWER_BYTES {
            let (what, limit) = ("bytes of an answer", ANSWER_BYTES);
            let provider = self.scope.provider.clone();
            return Err(ProviderError::TooLarge { provider, what, limit });
        }
        let mut texts = Vec::new();
        let pushed = self.frames.push(&piece, &mut texts);
        for text in texts {
            self.ended = self.text(&text)?;
            self.assembly.events().into_iter().for_each(|event| sink.event(event));
            if self.ended {
                // What stands behind the end counts for nothing, however it was cut.
                return Ok(true);
            }
        }
        pushed.map(|()| false).map_err(|error| self.bad_frame(error))
    }

    fn text(&mut self, text: &str) -> Result<bool, ProviderError> {
        let read = self.reader.read(text, &mut self.assembly);
        read.map_err(|broken| match broken {
            Broken::Said(said) => trouble::in_stream(&self.scope, &said),
            Broken::Senseless(detail) => self.malformed(detail),
            Broken::TooMany => self.too_many(),
        })
    }

    fn too_many(&self) -> ProviderError {
        let provider = self.scope.provider.clone();
        ProviderError::TooLarge { provider, what: "parts of a turn", limit: PARTS }
    }

    fn end(mut self, sink: &mut dyn Sink) -> Result<Turn, ProviderError> {
        let left = if self.ended { Ok(None) } else { self.frames.end() };
        let left = left.map_err(|error| self.bad_frame(error))?;
        if let Some(left) = left.filter(|_| !self.assembly.stopped()) {
            match self.reader.read(&left, &mut self.assembly) {
                Ok(_) => {}
                // The last text is cut.
                Err(Broken::Senseless(_)) => {
                    return Err(self.broken_off("it ended in the middle of an event".into()));
                }
                Err(Broken::Said(said)) => return Err(trouble::in_stream(&self.scope, &said)),
                Err(Broken::TooMany) => return Err(self.too_many()),
            }
        }
        self.assembly.events().into_iter().for_each(|event| sink.event(event));
        let (turn, last) = self.assembly.finish()?;
        last.into_iter().for_each(|event| sink.event(event));
        Ok(turn)
    }

    fn bad_frame(&self, error: BadFrame) -> ProviderError {
        match error {
            BadFrame::NotUtf8 => self.malformed("it is not UTF-8".into()),
            BadFrame::TooLarge => ProviderError::TooLarge {
                provider: self.scope.provider.clone(),
                what: "bytes of one event",
                limit: FRAME_BYTES,
            },
        }
    }

    fn malformed(&self, detail: String) -> ProviderError {
        let detail = trouble::without_keys(&detail);
        ProviderError::Malformed { provider: self.scope.provider.clone(), detail }
    }

    fn broken_off(&self, detail: String) -> ProviderError {
        ProviderError::BrokenOff { provider: self.scope.provider.clone(), detail }
    }
}

impl Provider for Remote {
    fn describe(&self) -> ProviderInfo {
        let mut notes = vec![format!("language model at {}", self.row.host())];
        if self.entry.is_none() {
            notes.push("not in the catalogue: cost and limits unknown".into());
        }
        if let Some(suffix) = &self.row.settings.suffix {
            notes.push(format!("instructions end in: {suffix}"));
        }
        ProviderInfo { name: self.model.to_string(), language_model: true, note: notes.join("; ") }
    }

    fn turn<'a>(&'a self, request: TurnRequest<'a>) -> TurnFuture<'a> {
        Box::pin(async move {
            let answered = self.answer(request, &mut Unheard).await;
            self.cleaned(answered)
        })
    }

    fn stream<'a>(&'a self, request: TurnRequest<'a>, sink: &'a mut dyn Sink) -> TurnFuture<'a> {
        Box::pin(async move {
            let answered = self.answer(request, sink).await;
            self.cleaned(answered)
        })
    }
}
