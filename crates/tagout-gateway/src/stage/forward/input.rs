//! What a server needs from the client before it answers.
use std::time::Duration;

use jiff::SignedDuration;
use tagout_proto::{Frame, Kind, Limits, Message, Method, Revision, Value, frame, quoted};

use super::{
    super::{approve::Approval, ask, inspect::Inspected},
    ROUNDS,
};
use crate::{
    lane::Lane,
    parked::bound,
    refusal::Refusal,
    state::{Held, Passed},
    upstream::composed,
};

/// What a server asked for, on its way to the server.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// The answers by key, a JSON object.
    pub(crate) responses: Option<String>,
    /// The server's own state, as it gave it.
    pub(crate) state: Option<String>,
}

/// What a server needs.
pub(super) enum Needs {
    /// Answers, by the newest revision's way of asking.
    Input(Asks),
    /// That the user visits URLs, by the older way of an error.
    Visits(Visits),
    /// The same, of a client that knows that way.
    Named(Named),
}

/// Questions by key, and the server's state.
pub(super) struct Asks {
    /// The whole result, a JSON object.
    result: String,
    questions: Vec<(String, Method, String)>,
    state: Option<String>,
}

/// The error of revision 2025-11-25 that names URLs to visit first.
const VISIT_FIRST: i64 = -32042;
/// Questions that are taken from one result.
const QUESTIONS: usize = 16;
/// How long a client may take to come back with answers.
const LASTS: SignedDuration = SignedDuration::from_hours(1);

/// URLs that the user is to visit before the call can be made.
pub(super) struct Visits(Vec<String>);

/// An error that names URLs, for a client that sends its user there itself.
pub(super) struct Named {
    error: String,
    urls: Vec<String>,
}

/// What `answer`, in revision `server`, needs from a client that speaks `client` and cannot be
/// left to see to it itself.
pub(super) fn needed(answer: &Frame, server: Revision, client: Revision) -> Option<Needs> {
    let Message::Response { outcome, .. } = answer.message() else { return None };
    match outcome {
        Ok(result) if server.is_modern() => Asks::of(result).map(Needs::Input),
        Err(error) if client.is_modern() && !server.is_modern() => {
            Visits::of(error).map(Needs::Visits)
        }
        Err(error) if !client.is_modern() => Named::of(error).map(Needs::Named),
        Ok(_) | Err(_) => None,
    }
}

impl Asks {
    fn of(result: Value<'_>) -> Option<Self> {
        (result.get("resultType")?.text()? == "input_required").then_some(())?;
        let requests = result.get("inputRequests");
        let questions = requests.into_iter().flat_map(|requests| requests.members());
        let questions = questions.take(QUESTIONS).map(|(key, question)| {
            let method = question.get("method").and_then(|method| method.text());
            // What is no method of a server's is refused as one that is not offered.
            let method = method.and_then(|method| Method::parse(&method));
            let method = method.unwrap_or(Method::Ping);
            let params = question.get("params").map_or("{}", |params| params.raw());
            (key.into_owned(), method, params.to_owned())
        });
        Some(Self {
            result: result.raw().to_owned(),
            questions: questions.collect(),
            state: result.get("requestState").and_then(|s| Some(s.text()?.into_owned())),
        })
    }

    /// Puts them to a client that is asked by requests, one after the other.
    pub(super) async fn answered(self, lane: &Lane) -> Result<Input, Refusal> {
        let mut responses = Vec::new();
        for (key, method, params) in self.questions {
            let answer = lane.ask(method, with_elicitation_id(method, params)).await;
            let answer = match (answer, method) {
                (Ok(answer), _) => answer,
                // There is no way to tell the server but this one.
                (Err(_), Method::ElicitationCreate) => r#"{"action":"cancel"}"#.to_owned(),
                (Err(_), _) => return Err(Refusal::Unanswered),
            };
            responses.push(format!("{}:{answer}", quoted(&key)));
        }
        if responses.is_empty() {
            // It only wants to be asked again; not at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
            return Ok(Input { responses: None, state: self.state });
        }
        Ok(Input { responses: Some(format!("{{{}}}", responses.join(","))), state: self.state })
    }

    /// The result for a client that comes back by itself: each question looked at, decided and on
    /// record, the server's state sealed for this client and this call.
    pub(super) async fn passed_on(
        self,
        lane: &Lane,
        inspected: &Inspected,
        (approval, connection): (Option<&Approval>, u64),
    ) -> Result<String, Refusal> {
        let call = inspected.identified().call();
        let earlier = call.held();
        let rounds = earlier.map_or(0, |earlier| earlier.rounds) + 1;
        if rounds > ROUNDS {
            return Err(Refusal::TooMany { what: "rounds of one call" });
        }
        let mut requests = Vec::new();
        for (key, method, params) in &self.questions {
            // Such keys are the gateway's own.
            if key.to_lowercase().starts_with("tagout") {
                return Err(Refusal::AskDenied);
            }
            let cleared =
                ask::clear(lane, *method, params).await.map_err(|_| Refusal::AskDenied)?;
            let (key, params) = (quoted(key), ask::passed(lane, cleared)?);
            requests.push(format!(r#"{key}:{{"method":"{method}","params":{params}}}"#));
        }
        let bound = bound(inspected.identified().session(), call);
        let gateway = lane.gateway();
        let now = gateway.clock.now();
        let until = now.as_second().saturating_add(LASTS.as_secs());
        let until = earlier.map_or(until, |earlier| earlier.until);
        let held = Held::Passed(Passed {
            server: inspected.server().map(ToString::to_string).unwrap_or_default(),
            connection,
            state: self.state,
            keys: self.questions.iter().map(|(key, ..)| key.clone()).collect(),
            definition: inspected.target().definition_text(),
            approved: approval.and_then(Approval::carries).map(|digest| digest.to_string()),
            approved_at: approval.and_then(|approval| approval.own_at),
            rounds,
            until,
        });
        let lasts = SignedDuration::from_secs(until.saturating_sub(now.as_second()));
        let state = gateway.sealer.seal(&bound, held, now, lasts)?;
        let (requests, state) = (format!("{{{}}}", requests.join(",")), quoted(&state));
        let result = composed(&self.result).map_err(tagout_proto::FrameError::from)?;
        let requests = (requests != "{}").then_some(requests.as_str());
        Ok(result.root().with(&[("inputRequests", requests), ("requestState", Some(&state))]))
    }
}

/// What an error names that says that URLs are to be visited first.
fn named<'a>(error: Value<'a>) -> Option<impl Iterator<Item = Value<'a>>> {
    (error.get("code")?.integer()? == VISIT_FIRST).then_some(())?;
    let urls = error.get("data")?.get("elicitations")?;
    Some(urls.elements().filter(|url| url.kind() == Kind::Object).take(QUESTIONS))
}

impl Named {
    fn of(error: Value<'_>) -> Option<Self> {
        let urls = named(error)?.map(|url| url.with(&[("mode", Some(r#""url""#))])).collect();
        Some(Self { error: error.raw().to_owned(), urls })
    }

    /// The error with those URLs alone that the user may be sent to: each is looked at, decided and
    /// on record as if the server had asked by a request.
    pub(super) async fn passed_on(self, lane: &Lane) -> Result<Frame, Refusal> {
        let mut urls = Vec::new();
        for url in self.urls {
            // One that is refused is on record, and the client does not hear of it.
            if let Ok(cleared) = ask::clear(lane, Method::ElicitationCreate, &url).await {
                urls.push(ask::passed(lane, cleared)?);
            }
        }
        let urls = format!("[{}]", urls.join(","));
        let error = composed(&self.error).map_err(tagout_proto::FrameError::from)?;
        let data = error.root().get("data").map(|data| data.with(&[("elicitations", Some(&urls))]));
        let error = error.root().with(&[("data", data.as_deref())]);
        let text = frame::error("0", &error);
        Frame::read(text.as_bytes(), Limits::default()).map_err(Refusal::Frame)
    }
}

impl Visits {
    fn of(error: Value<'_>) -> Option<Self> {
        // The newest revision has no id for them.
        let plain =
            |url: Value<'_>| url.with(&[("mode", Some(r#""url""#)), ("elicitationId", None)]);
        let urls: Vec<_> = named(error)?.map(plain).collect();
        (!urls.is_empty()).then_some(Self(urls))
    }

    /// Sends the user to each of them.
    pub(super) async fn visited(self, lane: &Lane) -> Result<(), Refusal> {
        for url in self.0 {
            let answer = lane.ask(Method::ElicitationCreate, url).await;
            let accepted = answer.ok().and_then(|text| composed(&text).ok());
            let accepted = accepted.and_then(|d| Some(d.root().get("action")?.text()? == "accept"));
            if accepted != Some(true) {
                return Err(Refusal::Unanswered);
            }
        }
        Ok(())
    }
}

/// Revision 2025-11-25 wants an id for each URL that a user is sent to.
fn with_elicitation_id(method: Method, params: String) -> String {
    let Ok(document) = composed(&params) else { return params };
    let root = document.root();
    let url = root.get("mode").and_then(|mode| mode.text()).as_deref() == Some("url");
    let mut id = [0; 16];
    if method != Method::ElicitationCreate
        || !url
        || root.get("elicitationId").is_some()
        || getrandom::fill(&mut id).is_err()
    {
        return params;
    }
    let id = quoted(&hex::encode(id));
    root.with(&[("elicitationId", Some(&id))])
}
