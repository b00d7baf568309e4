//! What a server asks of a client takes the same way as a call: looked at, decided, on record, and
//! its answer too.
mod person;

use std::borrow::Cow;

use jiff::Timestamp;
use tagout_audit::{
    Approval, Begin, Decision, Durability, End, Entry, Outcome, Verdict as OnRecord,
};
use tagout_inspect::{characters::first_hidden, redact::redacted, screen::made_safe};
use tagout_policy::{
    Arguments, Decision as Policy, Effect, Effects, Facts, Labels, Policy as Rules, Subject,
    SubjectKind, Verdict,
};
use tagout_proto::{Digest, Method, Value, quoted};
use tokio::time::timeout;

use crate::{
    Clock,
    facts::Caller,
    lane::{Lane, Speaker},
    policy_tools::recorded::{self, GONE, Kept},
    refusal::Refusal,
    stage::forward::without_ours,
    upstream::composed,
};

/// The largest question and the largest answer that are passed on, in bytes.
const BYTES: usize = 256 << 10;

/// Words for what nobody should type into a form that a server made.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "apikey",
    "accesstoken",
    "authtoken",
    "bearertoken",
    "privatekey",
    "credential",
    "creditcard",
    "cardnumber",
    "cvv",
    "seedphrase",
    "onetimecode",
    "ssn",
];

/// A question that may be put to the client, and is on record.
pub(crate) struct Cleared {
    /// Its parameters, with nothing hidden in them.
    pub(crate) params: String,
    /// Until it is ended.
    entry: Option<Entry>,
    clock: Clock,
}

impl Cleared {
    fn end(&mut self, end: &End<'_>) -> Result<(), Refusal> {
        let Some(entry) = self.entry.take() else { return Ok(()) };
        entry.end(end, Durability::System)?;
        Ok(())
    }

    /// It is not put to the client; in `asked`, where its user was asked, and what came of it.
    fn refuse(&mut self, why: &Refusal, rule: Option<&str>, asked: Option<(&str, &str)>) {
        let mut end = End::new(self.clock.now(), Outcome::Refused);
        end.refusal = Some(why.code());
        end.rule = rule;
        end.approval = asked.map(|(how, decision)| Approval::new(how, decision));
        if let Err(error) = self.end(&end) {
            tracing::error!(%error, "what a server asked is not on record");
        }
    }

    /// The client's user has said yes, which is on record before the question is put.
    fn approved(&self, verdict: &Verdict, (how, by): &(&str, String)) -> Result<(), Refusal> {
        let Some(entry) = &self.entry else { return Ok(()) };
        let approval = Some(Approval { by: Some(by), ..Approval::new(how, "allow") });
        let decision = decision(self.clock.now(), verdict, approval);
        Ok(entry.decided(&decision, Durability::System)?)
    }
}

/// A question that is taken back, or whose call ends before it is answered, ends on record too.
impl Drop for Cleared {
    fn drop(&mut self) {
        let end = End::new(self.clock.now(), Outcome::Cancelled);
        if let Err(error) = self.end(&end) {
            tracing::error!(%error, "how a question ended is not on record");
        }
    }
}

/// Puts what a server asks to the client; gives what the server is to hear: a result or an error
/// object.
pub(crate) async fn ask(lane: &Lane, method: Method, params: String) -> Result<String, String> {
    let cleared = clear(lane, method, &params).await?;
    // No longer than a person may think about anything else.
    let limit = lane.gateway().config.limits.approval;
    let answer = timeout(limit, lane.put(method, cleared.params.clone())).await;
    let answer = answer.unwrap_or_default();
    settle(lane, method, cleared, answer)
}

/// Whether the client may be asked this; puts that on record. Where a rule wants it, the client's
/// user is shown all of it first.
///
/// # Errors
/// What the server is to hear.
pub(crate) async fn clear(lane: &Lane, method: Method, params: &str) -> Result<Cleared, String> {
    let refused = |refusal: &Refusal, record| Err(refusal.for_caller(record));
    let Some(speaker) = lane.speaker() else {
        return refused(&Refusal::Method { method: method.to_string() }, None);
    };
    // One call must not keep a person busy for ever, nor fill the log.
    if !lane.may_ask() {
        return refused(&Refusal::TooMany { what: "questions of one call" }, None);
    }
    let looked_at = look_at(lane, method, params);
    let subject = looked_at.as_ref().map_or("{}", |(params, _)| params.as_str());
    let (verdict, facts) = decide(lane, speaker, (method, params), subject);
    let entry = match begin(lane, speaker, (method, params), (&verdict, facts.as_deref())) {
        Ok(entry) => entry,
        Err(refusal) => return refused(&refusal, None),
    };
    let number = entry.number();
    let clock = lane.gateway().clock.clone();
    // From here on it ends on record, also where its call is taken back.
    let mut cleared = Cleared { params: String::new(), entry: Some(entry), clock };
    let allowed = match (looked_at, verdict.decision) {
        (Err(refusal), _) => Err((refusal, None)),
        (Ok((params, _)), Policy::Allow) => Ok(params),
        (Ok(_), Policy::Deny) => Err((Refusal::AskDenied, None)),
        (Ok((params, _)), Policy::Ask) => {
            match person::asked(lane, speaker, (method, &params), &verdict).await {
                Ok(yes) => cleared.approved(&verdict, &yes).map(|()| params).map_err(|e| (e, None)),
                Err(no) => Err((Refusal::AskDenied, Some(no))),
            }
        }
    };
    match allowed {
        Ok(params) => {
            cleared.params = params;
            Ok(cleared)
        }
        Err((refusal, no)) => {
            let rule = matches!(refusal, Refusal::AskDenied).then_some(verdict.rule.as_str());
            cleared.refuse(&refusal, rule, no);
            refused(&refusal, Some(number))
        }
    }
}

/// The client's answer as the server is to hear it, once it is on record.
pub(crate) fn settle(
    lane: &Lane,
    method: Method,
    mut cleared: Cleared,
    answer: Option<Result<String, String>>,
) -> Result<String, String> {
    let number = cleared.entry.as_ref().map(Entry::number);
    let heard = match answer {
        None => Err(Refusal::Unanswered),
        Some(Ok(result)) => answer_is_sound(method, &result).map(|()| Ok(result)),
        Some(Err(error)) => Ok(Err(error)),
    };
    let outcome = match &heard {
        Ok(Ok(_)) => Outcome::Ok,
        Ok(Err(_)) => Outcome::Error,
        Err(_) => Outcome::Refused,
    };
    let mut end = End::new(lane.gateway().clock.now(), outcome);
    if let Ok(Ok(text) | Err(text)) = &heard {
        end.result = Some(Digest::of(text.as_bytes()));
        end.result_bytes = u64::try_from(text.len()).ok();
    }
    if let Err(refusal) = &heard {
        end.refusal = Some(refusal.code());
    }
    if let Err(error) = cleared.end(&end) {
        // What cannot be accounted for is not said.
        return Err(error.for_caller(number));
    }
    match heard {
        Ok(heard) => heard,
        Err(refusal) => Err(refusal.for_caller(number)),
    }
}

/// The question's parameters, for a client that answers in a later request.
pub(crate) fn passed(lane: &Lane, mut cleared: Cleared) -> Result<String, Refusal> {
    cleared.end(&End::new(lane.gateway().clock.now(), Outcome::Ok))?;
    Ok(std::mem::take(&mut cleared.params))
}

/// The question's parameters with nothing hidden, and how many characters were made visible.
fn look_at(lane: &Lane, method: Method, params: &str) -> Result<(String, usize), Refusal> {
    let sound = |problem| Refusal::Params { method, problem };
    if params.len() > BYTES {
        return Err(sound("it is larger than what is passed on"));
    }
    let document = composed(params).map_err(|_| sound("it cannot be read"))?;
    let root = document.root();
    let session = lane.session();
    let can = session.capabilities();
    let declared = if method == Method::ElicitationCreate {
        if is_url(root) { can.elicits_at_urls } else { can.elicits_in_forms }
    } else {
        (method == Method::SamplingCreateMessage && can.samples)
            || (method == Method::RootsList && can.has_roots)
    };
    if !declared {
        return Err(Refusal::NotOffered { method });
    }
    if method == Method::ElicitationCreate {
        if is_url(root) {
            url_is_plain(root).map_err(sound)?;
        } else if asks_for_secrets(root) {
            return Err(Refusal::AskForSecret);
        }
    }
    let (safe, count) = made_safe(root).unwrap_or_else(|| (root.raw().to_owned(), 0));
    // No server speaks for the gateway, and no form of a server passes for a card.
    let safe = match composed(&safe) {
        Ok(document) => match document.root().get("_meta").map(without_ours) {
            Some(meta) => {
                let meta = Some(meta.as_str()).filter(|meta| *meta != "{}");
                document.root().with(&[("_meta", meta)])
            }
            None => safe,
        },
        Err(_) => return Err(sound("it cannot be read")),
    };
    if method != Method::ElicitationCreate {
        if !wants_context(method, &safe) {
            return Ok((safe, count));
        }
        // What other servers said is none of its business.
        let document = composed(&safe).map_err(|_| sound("it cannot be read"))?;
        return Ok((document.root().with(&[("includeContext", None)]), count));
    }
    // Who reads it must see which server asks, and not take it for the gateway.
    let document = composed(&safe).map_err(|_| sound("it cannot be read"))?;
    let message = document.root().get("message").and_then(|message| message.text());
    let server = lane.speaker().map(|speaker| speaker.server.as_str()).unwrap_or_default();
    let message = quoted(&format!("[{server}] {}", message.unwrap_or_default()));
    Ok((document.root().with(&[("message", Some(&message))]), count))
}

fn is_url(params: Value<'_>) -> bool {
    params.get("mode").and_then(|mode| mode.text()).as_deref() == Some("url")
}

/// A URL that a person could be sent to: nothing that runs, nothing that names somebody, and nothing
/// that programs read in different ways, shells among them.
fn url_is_plain(params: Value<'_>) -> Result<(), &'static str> {
    let url = params.get("url").and_then(|url| url.text()).unwrap_or_default();
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let odd = |b: u8| !b.is_ascii_graphic() || b"\\\"<>^`{|}".contains(&b);
    let in_a_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    match host {
        "" => Err("`url` is no http or https URL"),
        host if host.contains('@') => Err("`url` names a user before its host"),
        host if !host.bytes().all(in_a_host) => Err("`url` names no host"),
        _ if url.bytes().any(odd) => Err("`url` holds characters that URLs do not have"),
        _ => Ok(()),
    }
}

/// Whether a form's fields, or what is said of them, are about what nobody should type there.
fn asks_for_secrets(params: Value<'_>) -> bool {
    let properties = params.get("requestedSchema").and_then(|schema| schema.get("properties"));
    let secret = |text: &str| {
        let plain: String =
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        SECRETS.iter().any(|word| plain.contains(word))
    };
    properties.is_some_and(|properties| {
        properties.members().any(|(name, field)| {
            let of = |key: &str| field.get(key).and_then(|text| text.text());
            secret(&name)
                || of("title").is_some_and(|text| secret(&text))
                || of("description").is_some_and(|text| secret(&text))
                || of("format").as_deref() == Some("password")
        })
    })
}

fn answer_is_sound(method: Method, result: &str) -> Result<(), Refusal> {
    let sound = |problem| Refusal::Params { method, problem };
    if result.len() > BYTES {
        return Err(sound("the answer is larger than what is passed on"));
    }
    let document = composed(result).map_err(|_| sound("the answer cannot be read"))?;
    let hidden = document.root().strings().find_map(|text: Cow<'_, str>| first_hidden(&text));
    hidden.map_or(Ok(()), |(character, kind)| Err(Refusal::HiddenCharacter { character, kind }))
}

/// What is decided about a question that would be put as `params`, and on what, for the record,
/// where it stands as it `came`.
fn decide(
    lane: &Lane,
    speaker: &Speaker,
    (method, came): (Method, &str),
    params: &str,
) -> (Verdict, Option<String>) {
    let shown = |text: &str| composed(text).ok().map(|document| redacted(document.root()));
    let shown = (shown(came), shown(params));
    let gone = shown.0.as_ref().is_none_or(|shown| shown.contains(GONE));
    let kept = Kept { subject: None, redacted: gone || shown.0 != shown.1, whole: false };
    let mut facts = None;
    let verdict = judged(lane, speaker, (method, params), |rules, about| {
        facts = recorded::text(about, rules.asks_about_history(), kept);
        rules.decide(about)
    });
    (verdict, facts)
}

/// What the rules say of a question, whatever they are asked of it.
fn judged(
    lane: &Lane,
    speaker: &Speaker,
    (method, params): (Method, &str),
    judge: impl FnOnce(&Rules, &Facts<'_>) -> Verdict,
) -> Verdict {
    let session = lane.session();
    let tree = composed(params).ok().and_then(|document| document.root().to_tree().ok());
    let arguments = tree.unwrap_or(serde_json::Value::Null);
    let effects = Effects::from([Effect::Read]);
    let subject = Subject {
        kind: SubjectKind::Question,
        server: &speaker.server,
        name: method.as_str(),
        qualified: method.as_str(),
        effects: &effects,
        reviewed: speaker.reviewed,
        labels: Labels::none(),
        shape: None,
    };
    let policy = lane.gateway().policies.now();
    let from = (session.as_ref(), session.opened().map(|opened| &opened.origin));
    Caller::of(from, &lane.gateway().clock, &policy, |caller| {
        judge(&policy, &caller.calls(method, Some(subject), Arguments::Known(&arguments)))
    })
}

fn begin(
    lane: &Lane,
    speaker: &Speaker,
    (method, params): (Method, &str),
    (verdict, facts): (&Verdict, Option<&str>),
) -> Result<Entry, Refusal> {
    let (gateway, session) = (lane.gateway(), lane.session());
    let at = gateway.clock.now();
    let payload = composed(params).ok().map(|document| redacted(document.root()));
    let left_out =
        if wants_context(method, params) { r#","left_out":["includeContext"]"# } else { "" };
    let facts = facts.map(|facts| format!(r#","facts":{facts}"#)).unwrap_or_default();
    let payload = payload.map(|shown| format!(r#"{{"arguments":{shown}{left_out}{facts}}}"#));
    let opened = session.opened();
    let mut begin = Begin::new(at, method.as_str());
    begin.principal = Some(session.principal());
    begin.origin = opened.map(|opened| &opened.origin);
    begin.conversation = opened.map(|opened| &opened.conversation);
    begin.server = Some(&speaker.server);
    begin.payload = payload.as_deref();
    match verdict.decision {
        // What is decided stands there once somebody was asked.
        Policy::Ask => Ok(gateway.audit.begin(&begin, Durability::System)?),
        Policy::Allow | Policy::Deny => {
            let decision = decision(at, verdict, None);
            Ok(gateway.audit.begin_decided(&begin, &decision, Durability::System)?)
        }
    }
}

fn decision<'a>(
    at: Timestamp,
    verdict: &'a Verdict,
    approval: Option<Approval<'a>>,
) -> Decision<'a> {
    let said = match verdict.decision {
        Policy::Allow => OnRecord::Allow,
        Policy::Ask => OnRecord::Ask,
        Policy::Deny => OnRecord::Deny,
    };
    let rule = Some(verdict.rule.as_str());
    Decision { at, verdict: said, rule, approval, policy: None, shadow: None }
}

/// Whether a server asks the client's model along with what other servers have said.
fn wants_context(method: Method, params: &str) -> bool {
    let said = composed(params).ok().and_then(|document| {
        Some(document.root().get("includeContext")?.text().as_deref() != Some("none"))
    });
    method == Method::SamplingCreateMessage && said == Some(true)
}
