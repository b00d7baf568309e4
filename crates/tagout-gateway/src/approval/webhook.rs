//! The webhook: questions go out to a chat system, answers come in, both signed in the manner of
//! Standard Webhooks.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;
use tagout_policy::Given;
use tagout_proto::{Document, Limits, Secret};
use tagout_store::{Answer, Message, Question, Scope};
use tagout_wire::{
    egress::Guard,
    http::{Client, ClientOptions, HeaderMap, HeaderValue, Method, Uri},
};
use tokio::{sync::Semaphore, time::sleep};

use super::{AnswerTrouble, Answered, Card, NewAnswer, desk::Voter};
use crate::{
    Gateway,
    config::{Source, Webhook},
    secrets::Secrets,
};

/// Questions on their way out at once.
const UNDER_WAY: usize = 16;
/// Questions that may be on their way or wait for it; more are not told.
const MOST: usize = 128;
/// The same of one user, so that nobody takes all the places of others.
const MOST_OF_ONE: usize = 8;
/// How long is waited before each try.
const TRIES: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];
const ANSWER: Duration = Duration::from_secs(10);
/// How far the clocks of both sides may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The shortest, so that nobody guesses it.
const SECRET_LEAST: usize = 16;
/// The longest identifier of a message, in bytes.
const ID_BYTES: usize = 128;
/// The largest answer, in bytes.
pub(crate) const BODY_BYTES: usize = 16 << 10;

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// What sends questions out.
#[derive(Debug)]
pub(crate) struct Outbox {
    client: OnceLock<Client>,
    room: Arc<Semaphore>,
    queue: Arc<Queue>,
}

/// How many questions of each user are on their way, or wait for it.
type Queue = Mutex<BTreeMap<String, usize>>;

/// One of these places, given back when it is dropped.
struct Place {
    queue: Arc<Queue>,
    user: String,
}

impl Place {
    fn of(queue: &Arc<Queue>, user: &str) -> Option<Self> {
        let mut places = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let own = places.get(user).copied().unwrap_or_default();
        if own >= MOST_OF_ONE || places.values().sum::<usize>() >= MOST {
            return None;
        }
        places.insert(user.to_owned(), own + 1);
        Some(Self { queue: Arc::clone(queue), user: user.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let left = places.get(&self.user).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            places.remove(&self.user);
        } else {
            places.insert(self.user.clone(), left);
        }
    }
}

impl Default for Outbox {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(UNDER_WAY));
        Self { client: OnceLock::new(), room, queue: Arc::default() }
    }
}

/// What a webhook message says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Brought {
    /// The question, and the digest of what it showed: the signature is over the body alone.
    question: String,
    digest: String,
    answer: String,
    approver: String,
    scope: Option<String>,
    #[serde(default)]
    message: String,
}

/// Why a webhook message is not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// It is not signed by who has the secret, or too old; nothing more is said.
    Unsigned,
    /// It was taken before.
    Again,
    /// It says nothing that could be understood.
    Malformed(&'static str),
    /// What is signed is about another question than the one that it was sent to.
    Mismatch,
    /// What it says is not taken.
    Refused(AnswerTrouble),
}

impl From<AnswerTrouble> for NotTaken {
    fn from(trouble: AnswerTrouble) -> Self {
        if matches!(trouble, AnswerTrouble::Again) { Self::Again } else { Self::Refused(trouble) }
    }
}

impl Gateway {
    /// Tells the webhook of a question, if there is one; never waited for.
    pub(crate) fn tell_webhook(&self, question: &Question, card: &Card, demand: &Given) {
        let Some(webhook) = self.config.approval.webhook.clone() else { return };
        let Some(place) = Place::of(&self.outbox.queue, &card.user) else {
            tracing::warn!(question = %question.id, "the webhook is too slow; it is not told");
            return;
        };
        let guard = Guard::new();
        let guard = if webhook.private_network { guard.allowing_private() } else { guard };
        let options = ClientOptions { answer: ANSWER, guard, ..ClientOptions::default() };
        let client = match self.outbox.client.get() {
            Some(client) => client.clone(),
            None => match Client::new(options) {
                Ok(client) => self.outbox.client.get_or_init(|| client).clone(),
                Err(error) => {
                    tracing::error!(%error, "the webhook cannot be told");
                    return;
                }
            },
        };
        let body = body(question, card, demand).to_string();
        let (id, clock) = (format!("msg_{}", question.id), self.clock.clone());
        let (room, secrets) = (Arc::clone(&self.outbox.room), self.secrets.clone());
        tokio::spawn(async move {
            let Ok(under_way) = room.acquire_owned().await else { return };
            for pause in TRIES {
                sleep(pause).await;
                match sent((&client, &secrets), &webhook, (&id, clock.now()), &body).await {
                    Ok(()) => break,
                    Err(error) => tracing::warn!(id, error, "the webhook was not told"),
                }
            }
            drop((under_way, place));
        });
    }

    /// Takes what a webhook message says about the question called `id`.
    pub(crate) fn webhook_says(
        &self,
        id: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Answered, NotTaken> {
        let webhook = self.config.approval.webhook.as_ref().ok_or(NotTaken::Unsigned)?;
        let secret = secret(&self.secrets, &webhook.secret).map_err(|why| {
            tracing::error!(why, "the webhook's secret cannot be used");
            NotTaken::Unsigned
        })?;
        let now = self.clock.now();
        let message = signed_by(&secret, headers, body, now).ok_or(NotTaken::Unsigned)?;
        if self.store.is_taken(message).map_err(AnswerTrouble::Store)? {
            return Err(NotTaken::Again);
        }
        let brought = read(body).ok_or(NotTaken::Malformed("the body is not what it should be"))?;
        let answer = Answer::of_word(&brought.answer)
            .ok_or(NotTaken::Malformed("`answer` is `allow` or `deny`"))?;
        let scope = brought.scope.as_deref().map_or(Some(Scope::Once), Scope::of_word);
        let scope =
            scope.ok_or(NotTaken::Malformed("`scope` is `once`, `conversation` or `always`"))?;
        let asked = self.asked_as(id)?;
        let same = brought.question.parse().as_ref() == Ok(&asked.question.id);
        if !same || brought.digest != asked.card.digest.to_string() {
            return Err(NotTaken::Mismatch);
        }
        // Longer than any message is good.
        let since = now.checked_sub(SKEW * 3).unwrap_or(Timestamp::MIN);
        let voter = Voter::Webhook(&brought.approver, Message { id: message, since });
        let new = NewAnswer { answer, scope, message: brought.message };
        Ok(self.answer(&asked, new, &voter)?)
    }
}

/// Duplicate keys and the like are refused, as everywhere.
fn read(body: &[u8]) -> Option<Brought> {
    let document = Document::read(body, Limits::default()).ok()?;
    serde_json::from_str(document.root().raw()).ok()
}

fn body(question: &Question, card: &Card, demand: &Given) -> serde_json::Value {
    json!({
        "type": "approval.asked",
        "timestamp": question.opened_at,
        "data": {
            "id": question.id.as_str(),
            "expires_at": question.expires_at,
            "user": card.user,
            "client": card.client,
            "server": card.server,
            "subject": card.subject,
            "effects": card.effects,
            "reviewed": card.reviewed,
            "rule": card.rule,
            "reason": card.reason,
            "demand": demand,
            "demand_in_words": card.demand,
            "arguments": card.arguments,
            "beside": card.beside,
            "changes": card.changes,
            "digest": card.digest,
            "text": card.to_string(),
        },
    })
}

async fn sent(
    (client, secrets): (&Client, &Secrets),
    webhook: &Webhook,
    (id, now): (&str, Timestamp),
    body: &str,
) -> Result<(), String> {
    let secret = crate::blocking::blocking(|| secret(secrets, &webhook.secret))?;
    let at = now.as_second().to_string();
    let signature = signature(&secret, id, &at, body.as_bytes());
    let signature = signature.ok_or("the secret makes no signature")?;
    let uri: Uri = webhook.url.parse().map_err(|_| "the URL is none")?;
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    for (name, value) in [(ID, id), (TIMESTAMP, &at), (SIGNATURE, &format!("v1,{signature}"))] {
        let value = HeaderValue::from_str(value).map_err(|_| "a header cannot be written")?;
        headers.insert(name, value);
    }
    let body = Bytes::copy_from_slice(body.as_bytes());
    let answer = client.send(Method::POST, &uri, headers, body).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status.is_success() { Ok(()) } else { Err(format!("it says {}", answer.status)) }
}

/// The identifier of a message that is signed and of now.
fn signed_by<'a>(
    secret: &Secret<Vec<u8>>,
    headers: &'a HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Option<&'a str> {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    };
    let (id, at, signatures) = (one(ID)?, one(TIMESTAMP)?, one(SIGNATURE)?);
    if id.is_empty() || id.len() > ID_BYTES || signatures.len() > 1024 {
        return None;
    }
    let sent_at = Timestamp::from_second(at.parse().ok()?).ok()?;
    if now.duration_since(sent_at).abs() > SKEW {
        return None;
    }
    let holds = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,")).any(|one| {
        let Ok(bytes) = STANDARD.decode(one) else { return false };
        mac(secret, id, at, body).is_some_and(|mac| mac.verify_slice(&bytes).is_ok())
    });
    holds.then_some(id)
}

fn signature(secret: &Secret<Vec<u8>>, id: &str, at: &str, body: &[u8]) -> Option<String> {
    Some(STANDARD.encode(mac(secret, id, at, body)?.finalize().into_bytes()))
}

fn mac(secret: &Secret<Vec<u8>>, id: &str, at: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).ok()?;
    for part in [id.as_bytes(), b".", at.as_bytes(), b".", body] {
        mac.update(part);
    }
    Some(mac)
}

/// The secret as it is now: what follows `whsec_` in base 64, or else the text itself.
fn secret(secrets: &Secrets, source: &Source) -> Result<Secret<Vec<u8>>, String> {
    let text = secrets.local(source).map_err(|error| error.to_string())?;
    let text = text.expose().trim();
    let bytes = match text.strip_prefix("whsec_") {
        Some(encoded) => STANDARD
            .decode(encoded)
            .map_err(|_| format!("`{source}` holds no base 64 after `whsec_`"))?,
        None => text.as_bytes().to_vec(),
    };
    if bytes.len() < SECRET_LEAST {
        return Err(format!("`{source}` holds less than {SECRET_LEAST} bytes"));
    }
    Ok(Secret::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(id: &str, at: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(ID, id), (TIMESTAMP, at), (SIGNATURE, signature)] {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn nobody_takes_the_places_of_others() {
        let queue = Arc::default();
        let mut of_ann: Vec<_> = (0..MOST_OF_ONE).map(|_| Place::of(&queue, "ann")).collect();
        assert!(of_ann.iter().all(Option::is_some) && Place::of(&queue, "ann").is_none());
        let others: Vec<_> = (0..MOST).map(|n| Place::of(&queue, &format!("user {n}"))).collect();
        let told = others.iter().filter(|place| place.is_some()).count();
        assert_eq!(told, MOST - MOST_OF_ONE);
        of_ann.pop();
        drop(others);
        assert!(Place::of(&queue, "ann").is_some());
        drop(of_ann);
        assert!(queue.lock().unwrap().is_empty());
    }

    /// The example of the specification's own libraries.
    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        let secret = Secret::new(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        let (id, at, body) =
            ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        let expected = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature(&secret, id, at, body).as_deref(), Some(expected));
        let now = |shift: i64| Timestamp::from_second(1_614_265_330 + shift).unwrap();
        let good = format!("v1a,AAAA v1,AAAA v1,{expected}");
        let signed = |headers: &HeaderMap, body: &[u8], shift| {
            signed_by(&secret, headers, body, now(shift)).map(ToOwned::to_owned)
        };
        let sound = headers(id, at, &good);
        assert_eq!(signed(&sound, body, 300).as_deref(), Some(id));
        assert_eq!(signed(&sound, body, -300).as_deref(), Some(id));
        assert_eq!(signed(&sound, body, 301), None, "stale");
        assert_eq!(signed(&sound, b"{}", 0), None, "another body");
        assert_eq!(signed(&headers("msg_other", at, &good), body, 0), None);
        assert_eq!(signed(&headers(id, "1614265331", &good), body, 0), None);
        assert_eq!(signed(&headers(id, at, "v1,"), body, 0), None);
        let mut twice = sound.clone();
        twice.append(ID, HeaderValue::from_static("msg_2"));
        assert_eq!(signed(&twice, body, 0), None, "which one is meant?");
    }
}
