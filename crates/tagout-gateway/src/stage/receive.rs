//! Bytes from the wire become one call by nobody in particular.
use bytes::Bytes;
use tagout_inspect::characters::made_visible;
use tagout_proto::{Frame, FrameError, Limits, Message, Method, Value, frame::id_of_refused};

use crate::refusal::Refusal;

/// A well-formed call of a known method.
#[derive(Debug)]
pub struct Call {
    frame: Frame,
    method: Method,
    id: Option<String>,
    params: Option<usize>,
}

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

/// Reads one frame of a client. Responses are none: the gateway asks nothing of clients.
///
/// # Errors
/// [`Refusal::Frame`], [`Refusal::Method`].
pub fn receive(bytes: &Bytes, limits: Limits) -> Result<Call, Unreceived> {
    let frame = Frame::read(bytes, limits).map_err(|error| {
        // JSON-RPC answers what cannot be read under the id `null`.
        let id = id_of_refused(bytes, limits).unwrap_or_else(|| "null".to_owned());
        Unreceived { refusal: error.into(), id: Some(id.into()), method: None }
    })?;
    let (method, id, params) = match frame.message() {
        Message::Request { id, method, params } => (method, Some(id.raw().to_owned()), params),
        Message::Notification { method, params } => (method, None, params),
        Message::Response { .. } => {
            let refusal = Refusal::Frame(FrameError::Shape("nothing was asked of the client"));
            return Err(Unreceived { refusal, id: None, method: None });
        }
    };
    let text = method.text().unwrap_or_default();
    let known = Method::parse(&text).filter(|method| {
        let direction = method.direction();
        if id.is_some() { direction.client_asks() } else { direction.client_tells() }
    });
    let Some(method) = known else {
        let method = made_visible(&text).0.chars().take(80).collect();
        let (refusal, id) = (Refusal::Method { method }, id.map(Into::into));
        return Err(Unreceived { refusal, id, method: None });
    };
    let params = params.map(|params| params.index());
    Ok(Call { frame, method, id, params })
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
}
