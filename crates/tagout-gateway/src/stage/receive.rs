//! Bytes from the wire become one call by nobody in particular.
use std::net::IpAddr;

use bytes::Bytes;
use tagout_inspect::{characters::made_visible, live::Caught};
use tagout_proto::{
    Digest, Frame, FrameError, Limits, Message, Method, Value, frame::id_of_refused,
};

use crate::{
    refusal::Refusal,
    secrets::{Watch, cleaned_frame},
    state::Passed,
    upstream::composed,
};

/// A well-formed call of a known method.
#[derive(Debug)]
pub struct Call {
    frame: Frame,
    method: Method,
    id: Option<String>,
    params: Option<usize>,
    /// Arguments that HTTP headers repeat: the ends of the headers' names, and the values.
    mirrored: Vec<(String, String)>,
    /// What the client was given in an earlier request of this call, and brought back.
    held: Option<Passed>,
    /// Where the client is, over a network.
    address: Option<IpAddr>,
    /// Secrets that were taken out of it.
    caught: Caught,
    /// It was counted among its principal's calls before it was read.
    paid: bool,
}

/// What a client sends.
#[derive(Debug)]
pub enum Received {
    /// A request or a notification.
    Call(Box<Call>),
    /// The answer to what it was asked.
    Answer {
        /// The id, a JSON text.
        id: String,
        /// The result or the error object, JSON texts.
        outcome: Result<String, String>,
    },
}

impl Received {
    /// The same, from a client at `address`.
    pub(crate) fn from(mut self, address: IpAddr) -> Self {
        if let Self::Call(call) = &mut self {
            // Rules know an IPv4 address in IPv6's clothes by its plain form.
            call.address = Some(address.to_canonical());
        }
        self
    }

    /// The same, after it was counted among its principal's calls.
    pub(crate) fn paid(mut self) -> Self {
        if let Self::Call(call) = &mut self {
            call.paid = true;
        }
        self
    }
}

/// The keys of `_meta` by which each request of a revision without sessions says what a handshake
/// would have said.
pub(crate) const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub(crate) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
pub(crate) const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
pub(crate) const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// Bytes that are no call, and the id to answer under where there is one.
#[derive(Debug)]
pub struct Unreceived {
    /// Why not.
    pub refusal: Refusal,
    /// The request's id, a JSON text; nothing where no answer is due.
    pub id: Option<Box<str>>,
    /// The method, where it is known.
    pub method: Option<Method>,
}

/// Reads one frame of a client, and takes live secrets out of it: nothing behind this sees them.
///
/// # Errors
/// [`Refusal::Frame`], [`Refusal::Method`].
pub fn receive(bytes: &Bytes, limits: Limits, watch: &Watch<'_>) -> Result<Received, Unreceived> {
    let read = Frame::read(bytes, limits).and_then(|frame| cleaned(frame, limits, watch));
    let (frame, caught) = read.map_err(|error| unread(error, bytes, limits))?;
    understand(frame, caught, watch)
}

fn cleaned(frame: Frame, limits: Limits, watch: &Watch<'_>) -> Result<(Frame, Caught), FrameError> {
    match cleaned_frame(watch.live(), &frame, limits) {
        None => Ok((frame, Caught::default())),
        Some((cleaned, caught)) => Ok((cleaned?, caught)),
    }
}

/// Reads one frame of a client that may send several messages in one.
///
/// # Errors
/// As [`receive`], for each message.
pub fn receive_batch(
    bytes: &Bytes,
    (limits, watch): (Limits, &Watch<'_>),
    most: usize,
) -> Vec<Result<Received, Unreceived>> {
    let frames = match Frame::read_batch(bytes, limits, most) {
        Ok(frames) => frames,
        Err(error) => return vec![Err(unread(error, bytes, limits))],
    };
    let understood = frames.into_iter().map(|frame| {
        let unread = |error: FrameError| Unreceived {
            refusal: error.into(),
            id: Some("null".into()),
            method: None,
        };
        let read = frame.and_then(|frame| cleaned(frame, limits, watch));
        let (frame, caught) = read.map_err(unread)?;
        understand(frame, caught, watch)
    });
    understood.collect()
}

fn unread(error: FrameError, bytes: &Bytes, limits: Limits) -> Unreceived {
    // JSON-RPC answers what cannot be read under the id `null`.
    let id = id_of_refused(bytes, limits).unwrap_or_else(|| "null".to_owned());
    Unreceived { refusal: error.into(), id: Some(id.into()), method: None }
}

fn understand(frame: Frame, caught: Caught, watch: &Watch<'_>) -> Result<Received, Unreceived> {
    let (method, id, params) = match frame.message() {
        Message::Request { id, method, params } => (method, Some(id.raw().to_owned()), params),
        Message::Notification { method, params } => (method, None, params),
        Message::Response { id, outcome } => {
            watch.caught("an answer", &caught);
            let outcome = outcome.map(|v| v.raw().to_owned()).map_err(|v| v.raw().to_owned());
            return Ok(Received::Answer { id: id.raw().to_owned(), outcome });
        }
    };
    let text = method.text().unwrap_or_default();
    let known = Method::parse(&text).filter(|method| {
        let direction = method.direction();
        if id.is_some() { direction.client_asks() } else { direction.client_tells() }
    });
    let Some(method) = known else {
        watch.caught("an unknown method", &caught);
        let method = made_visible(&text).0.chars().take(80).collect();
        let (refusal, id) = (Refusal::Method { method }, id.map(Into::into));
        return Err(Unreceived { refusal, id, method: None });
    };
    let params = params.map(|params| params.index());
    let (mirrored, held) = (Vec::new(), None);
    let (address, paid) = (None, false);
    let call = Call { frame, method, id, params, mirrored, held, address, caught, paid };
    Ok(Received::Call(Box::new(call)))
}

impl Call {
    /// What is to be done.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The request's id, a JSON text; nothing for a notification.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// How long it is, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.frame.text().len()).unwrap_or(u64::MAX)
    }

    /// Whether it was counted among its principal's calls before it was read.
    pub(crate) const fn is_paid(&self) -> bool {
        self.paid
    }

    /// The id, a JSON text, of the request that it takes back.
    pub(crate) fn takes_back(&self) -> Option<&str> {
        let params = self.params().filter(|_| self.method == Method::Cancelled)?;
        Some(params.get("requestId")?.raw())
    }

    /// Its parameters, an object, if it has any.
    #[must_use]
    pub fn params(&self) -> Option<Value<'_>> {
        self.params.map(|index| self.frame.at(index))
    }

    /// A parameter that is a string.
    #[must_use]
    pub fn text_param(&self, key: &str) -> Option<String> {
        Some(self.params()?.get(key)?.text()?.into_owned())
    }

    /// A member of `_meta`.
    pub(crate) fn meta(&self, key: &str) -> Option<Value<'_>> {
        self.params()?.get("_meta")?.get(key)
    }

    /// A digest of what every request of one call has alike: its parameters without what is of each
    /// request.
    pub(crate) fn same_in_every_request(&self) -> [u8; 32] {
        let of_each = [("_meta", None), ("inputResponses", None), ("requestState", None)];
        let params = self.params().map_or_else(|| "{}".to_owned(), |params| params.with(&of_each));
        let canonical = composed(&params).map(|document| document.root().canonical());
        *Digest::of(canonical.unwrap_or(params).as_bytes()).as_bytes()
    }

    pub(crate) fn mirrored(&self) -> &[(String, String)] {
        &self.mirrored
    }

    pub(crate) fn set_mirrored(&mut self, mirrored: Vec<(String, String)>) {
        self.mirrored = mirrored;
    }

    /// Secrets that were taken out of it.
    pub(crate) const fn caught(&self) -> &Caught {
        &self.caught
    }

    /// Where the client is, over a network.
    pub(crate) const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(crate) const fn held(&self) -> Option<&Passed> {
        self.held.as_ref()
    }

    pub(crate) fn set_held(&mut self, held: Passed) {
        self.held = Some(held);
    }
}
