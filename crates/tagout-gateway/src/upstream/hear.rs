//! What a server says, and what it means.
use std::sync::Arc;

use tagout_inspect::characters::made_visible;
use tagout_proto::{Frame, FrameError, Message, Method, Value};

use super::{
    Connection, UpstreamError, calls::UnderWay, connection::About, era::SUBSCRIPTION, events::Event,
};
use crate::secrets::{Place, cleaned_frame};

/// What was taken from a server.
pub(super) enum Taken {
    /// The answer to the request on whose stream it came.
    Answer(Frame),
    /// Something else.
    Other,
    /// Something that cannot be read, and may have been the answer.
    Unreadable(UpstreamError),
    /// Nothing more is to be read.
    Over,
}

impl Taken {
    pub(super) const fn goes_on(&self) -> bool {
        !matches!(self, Self::Over)
    }
}

/// The largest notification that is passed on, in bytes.
const TELLS_BYTES: usize = 64 << 10;
/// How often a server may break the protocol before it is ended.
const WRONGS: u32 = 20;
/// The most messages of a batch.
const BATCH: usize = 64;

impl Connection {
    /// Takes what the server said; `of` is the request on whose stream it came, where there is
    /// one.
    pub(super) fn take(&self, bytes: &[u8], of: Option<&Arc<UnderWay>>) -> Taken {
        if self.revision().has_batches() && bytes.trim_ascii_start().first() == Some(&b'[') {
            return self.take_batch(bytes, of);
        }
        match Frame::read(bytes, self.limits).map(|frame| self.cleaned(frame, of)) {
            Ok(Ok(frame)) => self.hear(frame, of),
            Ok(Err(error)) => self.unreadable(&error.to_string(), of),
            Err(_) if !matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) => {
                // Many servers greet on standard output, against the standard.
                let noise = String::from_utf8_lossy(bytes).into_owned();
                unless_over(self.wrong("server-noise", noise), Taken::Other)
            }
            Err(error) => self.unreadable(&error.to_string(), of),
        }
    }

    fn take_batch(&self, bytes: &[u8], of: Option<&Arc<UnderWay>>) -> Taken {
        let frames = match Frame::read_batch(bytes, self.limits, BATCH) {
            Ok(frames) => frames,
            Err(error) => return self.unreadable(&error.to_string(), of),
        };
        let mut all = Taken::Other;
        for frame in frames {
            let taken = match frame.and_then(|frame| self.cleaned(frame, of)) {
                Ok(frame) => self.hear(frame, of),
                Err(error) => self.unreadable(&error.to_string(), of),
            };
            match taken {
                Taken::Over => return Taken::Over,
                Taken::Other => {}
                Taken::Answer(_) | Taken::Unreadable(_) => all = taken,
            }
        }
        all
    }

    /// The frame without live secrets, whatever it says; that there were any goes on record.
    /// Definitions stay as they came, since what is pinned must not depend on what is secret: they
    /// are cleaned where clients see them.
    pub(super) fn cleaned(
        &self,
        frame: Frame,
        of: Option<&Arc<UnderWay>>,
    ) -> Result<Frame, FrameError> {
        let About { name, secrets, record, .. } = &self.about;
        let Some((cleaned, caught)) = cleaned_frame(&secrets.live(), &frame, self.limits) else {
            return Ok(frame);
        };
        let defines = self.defines(&frame, of);
        let what = match frame.message() {
            Message::Response { outcome: Ok(_), .. } if defines => "a definition",
            Message::Response { outcome: Ok(_), .. } => "a result",
            Message::Response { outcome: Err(_), .. } => "an error",
            Message::Request { .. } => "a question",
            Message::Notification { .. } => "a notification",
        };
        let principal = record.principal.as_ref();
        let place = Place { what, principal, server: Some(name), record: None };
        secrets.caught(&record.audit, &caught, place);
        if defines {
            return Ok(frame);
        }
        cleaned.map(|frame| frame.with_replaced(caught.count))
    }

    /// Whether it is the answer to a question of the gateway's for what is pinned.
    fn defines(&self, frame: &Frame, of: Option<&Arc<UnderWay>>) -> bool {
        let Message::Response { id, outcome: Ok(_) } = frame.message() else { return false };
        let Ok(id) = id.raw().parse::<u64>() else { return false };
        let mine = of.filter(|call| call.id == id).cloned();
        mine.or_else(|| self.calls.get(id)).is_some_and(|call| call.defines)
    }

    fn unreadable(&self, error: &str, of: Option<&Arc<UnderWay>>) -> Taken {
        let why = UpstreamError::Misbehaved("a frame that cannot be read".to_owned());
        if of.is_none() {
            self.fail_waiting(&why);
        }
        let goes_on = self.wrong("server-frame-malformed", error.to_owned());
        unless_over(goes_on, Taken::Unreadable(why))
    }

    /// An unreadable frame may have been the answer to anything that waits.
    pub(super) fn fail_waiting(&self, why: &UpstreamError) {
        self.calls.fail(why);
    }

    /// Notes that the server broke the protocol; `false` when that was once too often.
    pub(super) fn wrong(&self, event: &'static str, detail: String) -> bool {
        let wrongs = self.calls.wrong();
        let detail = self.about.secrets.clean(&detail);
        let detail: String = made_visible(&detail).0.chars().take(300).collect();
        self.events.note(&self.about.name, Event::Wrong { event, detail: detail.clone() });
        if wrongs < WRONGS {
            return true;
        }
        self.over(UpstreamError::Misbehaved(detail));
        false
    }

    fn hear(&self, frame: Frame, of: Option<&Arc<UnderWay>>) -> Taken {
        let goes_on = match frame.message() {
            Message::Response { id, outcome } => {
                let number = id.raw().parse::<u64>().ok();
                // A server that could not read the request answers to no id.
                let to_none = id.raw() == "null" && outcome.is_err();
                if of.is_some_and(|call| number == Some(call.id) || to_none) {
                    return Taken::Answer(frame);
                }
                self.answered(number, frame)
            }
            Message::Request { id, method, params } => self.asked(id, (method, params), of),
            Message::Notification { method, params } => self.told(method, params, of),
        };
        unless_over(goes_on, Taken::Other)
    }

    fn answered(&self, id: Option<u64>, frame: Frame) -> bool {
        let stray = match id {
            Some(id) => self.calls.answered(id, frame).is_some(),
            None => true,
        };
        if !stray {
            return true;
        }
        let id = id.map_or_else(|| "no id of ours".to_owned(), |id| id.to_string());
        self.wrong("server-answer-stray", format!("an answer to {id}, which nobody awaits"))
    }

    fn told(
        &self,
        method: Value<'_>,
        params: Option<Value<'_>>,
        of: Option<&Arc<UnderWay>>,
    ) -> bool {
        let text = method.text().unwrap_or_default();
        let size = params.map_or(0, |params| params.raw().len());
        if size > TELLS_BYTES {
            let detail = format!("`{text}` of {size} bytes");
            return self.wrong("server-notification-too-large", detail);
        }
        let known = Method::parse(&text).filter(|method| method.direction().server_tells());
        match known {
            Some(
                news @ (Method::ToolsListChanged
                | Method::ResourcesListChanged
                | Method::PromptsListChanged
                | Method::ResourceUpdated
                | Method::Acknowledged),
            ) => self.news(news, params),
            Some(Method::Progress) => self.progress(params, of),
            Some(Method::LogMessage) => self.logged(params, of),
            Some(Method::Cancelled) => self.taken_back(params),
            // For whoever follows tasks and questions at URLs.
            Some(told @ (Method::ElicitationComplete | Method::TaskStatus)) => {
                let params = params.map_or("{}", |params| params.raw()).to_owned();
                self.tell(Event::Tells { method: told, params })
            }
            Some(_) | None => {
                self.wrong("server-notification-unknown", format!("it sent `{text}`"))
            }
        }
    }

    /// Tells those who listen, unless it could be meant for one of several.
    fn tell(&self, event: Event) -> bool {
        self.events.tell(&self.about.name, &event);
        true
    }

    /// Something changed. Modern servers say so on the stream that asked for it only.
    fn news(&self, method: Method, params: Option<Value<'_>>) -> bool {
        let mut text = params.map_or("{}", |params| params.raw()).to_owned();
        if self.revision().is_modern() {
            let meta = params.and_then(|params| params.get("_meta"));
            let subscription = meta.and_then(|meta| meta.get(SUBSCRIPTION)?.integer());
            let known = subscription.and_then(|id| u64::try_from(id).ok());
            let Some(id) = known.filter(|id| self.listening.knows(*id)) else {
                let detail = format!("`{method}` of a subscription that is not ours");
                return self.wrong("server-news-stray", detail);
            };
            if method == Method::Acknowledged {
                self.listening.acknowledged(id, text);
                return true;
            }
            text = without_subscription(params).unwrap_or(text);
        } else if method == Method::Acknowledged {
            return self.wrong("server-notification-unknown", format!("it sent `{method}`"));
        }
        if method == Method::ResourceUpdated {
            return self.tell(Event::Tells { method, params: text });
        }
        self.changed();
        self.tell(Event::ListChanged(method))
    }

    fn progress(&self, params: Option<Value<'_>>, of: Option<&Arc<UnderWay>>) -> bool {
        let id = params.and_then(|params| params.get("progressToken")?.integer());
        let id = id.and_then(|id| u64::try_from(id).ok());
        let mine = of.filter(|call| Some(call.id) == id).cloned();
        let call = mine.or_else(|| self.calls.get(id?));
        let (Some(params), Some(call)) = (params, call) else { return true };
        let Some(token) = &call.progress else { return true };
        let params = params.with(&[("progressToken", Some(token))]);
        match &call.lane {
            Some(lane) => lane.tell(Method::Progress, &params),
            None => return self.tell(Event::Progress { params }),
        }
        true
    }

    fn logged(&self, params: Option<Value<'_>>, of: Option<&Arc<UnderWay>>) -> bool {
        let params = params.map_or("{}", |params| params.raw());
        match of.and_then(|call| call.lane.as_ref()) {
            Some(lane) => lane.tell(Method::LogMessage, params),
            // Nobody knows whose call it is about.
            None if self.about.shared => {}
            // A client without a session hears logs with its answers only; all calls here are of
            // clients that say the same of themselves.
            None => {
                if let Some(call) = self.calls.oldest_with_lane() {
                    let lane = call.lane.as_ref();
                    let lane = lane.filter(|lane| lane.session().revision().is_modern());
                    if let Some(lane) = lane {
                        lane.tell(Method::LogMessage, params);
                        return true;
                    }
                }
                let params = params.to_owned();
                return self.tell(Event::Tells { method: Method::LogMessage, params });
            }
        }
        true
    }

    /// The server no longer wants to know what it asked.
    fn taken_back(&self, params: Option<Value<'_>>) -> bool {
        if let Some(id) = params.and_then(|params| params.get("requestId")) {
            self.questions.drop_one(id.raw());
        }
        true
    }
}

fn unless_over(goes_on: bool, taken: Taken) -> Taken {
    if goes_on { taken } else { Taken::Over }
}

/// Parameters without the subscription that they came by.
fn without_subscription(params: Option<Value<'_>>) -> Option<String> {
    let params = params?;
    let meta = params.get("_meta")?.with(&[(SUBSCRIPTION, None)]);
    Some(params.with(&[("_meta", (meta != "{}").then_some(meta.as_str()))]))
}
