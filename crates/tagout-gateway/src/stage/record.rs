//! Nothing is tried before it is on record; nothing is answered before its outcome is.
mod ended;
mod told;

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tagout_audit::{Approval, Begin, Decision, Durability, Entry, Log, Shadow, Verdict};
use tagout_inspect::{
    live::Caught,
    redact::{redacted, redacted_text},
};
use tagout_policy::{Effect, Facts};
use tagout_proto::{Conversation, Digest, Method, Origin, Principal, ServerName, frame, quoted};
use tagout_store::Scope;

use self::{
    ended::ended,
    told::{OnRecord, beside_the_call},
};
use super::{
    approve::Authorised, decide::Decided, identify::Identified, inspect::Target, screen::Reply,
};
use crate::{
    Clock,
    approval::people_in_words,
    limits::{Counted, Over},
    policy_tools::recorded::{self, GONE, Kept},
    refusal::Refusal,
    shadow::Differs,
    upstream::composed,
};

/// What is known of a call so far; stages add to it, and it goes on record whatever stops them.
#[derive(Debug)]
pub struct Known {
    id: Option<String>,
    method: Option<Method>,
    principal: Principal,
    origin: Option<Origin>,
    conversation: Option<Conversation>,
    subject: Option<String>,
    arguments: Option<Digest>,
    payload: Option<Shown>,
    server: Option<ServerName>,
    definition: Option<Digest>,
    told: OnRecord,
    caught: Caught,
    consequential: bool,
    judged: Option<Judged>,
}

/// What a call says, without the secrets that can be recognised.
#[derive(Debug)]
struct Shown {
    /// Of the digest of the arguments as they came.
    salt: String,
    text: String,
    /// Whether all of `params` is shown, or its `arguments` alone.
    whole: bool,
}

/// By which rules a call was decided, and on what.
#[derive(Debug)]
struct Judged {
    policy: Digest,
    /// A JSON object; nothing for what concerns the session alone.
    facts: Option<String>,
    shadow: Option<Differs>,
}

/// A call that is on record as begun.
#[derive(Debug)]
#[must_use = "a call that is begun must be ended"]
pub struct Begun {
    /// Nothing for what is not recorded unless it is refused.
    entry: Option<Entry>,
    /// Whether the decision is on record with it.
    decided: bool,
    known: Known,
    clock: Clock,
    log: Log,
}

/// A call that may be made and is on record as such. Nothing else can be forwarded.
#[derive(Debug)]
#[must_use = "a call that was cleared must be made or refused"]
pub struct Cleared {
    authorised: Authorised,
    record: Option<u64>,
}

/// A reply whose outcome is on record. Nothing else is sent to a client.
#[derive(Debug)]
#[must_use = "a recorded reply still has to be sent"]
pub struct Recorded {
    /// The id to answer under, and the result or the error object; nothing where no answer is due.
    answer: Option<(String, Result<String, String>)>,
    /// What stopped the call, if something did.
    code: Option<&'static str>,
    /// When to try again, in seconds, where a limit did.
    retry_after_s: Option<u64>,
}

/// Redacted arguments larger than this are left out of the log; their digest stays.
const PAYLOAD_BYTES: usize = 256 << 10;

impl Known {
    /// Nothing but who the transport says it is, the id to answer under, and the method where it
    /// is one.
    #[must_use]
    pub fn new(principal: Principal, id: Option<String>, method: Option<Method>) -> Self {
        Self {
            id,
            method,
            principal,
            origin: None,
            conversation: None,
            subject: None,
            arguments: None,
            payload: None,
            server: None,
            definition: None,
            told: OnRecord::default(),
            caught: Caught::default(),
            consequential: false,
            judged: None,
        }
    }

    /// Adds what a call says of itself.
    pub fn identified(&mut self, identified: &Identified) {
        let call = identified.call();
        self.origin = Some(identified.origin().clone());
        self.caught = call.caught().clone();
        self.conversation = identified.conversation().cloned();
        let subject = call.text_param("name").or_else(|| call.text_param("uri"));
        self.subject = subject.map(|subject| redacted_text(&subject));
        let Some(params) = call.params().filter(|_| call.method() != Method::Initialize) else {
            return;
        };
        // Name and URI stand in the record itself; all else that is sent stands here.
        let meta = params.get("_meta").map(|meta| beside_the_call(meta, identified));
        let meta = meta.filter(|meta| meta != "{}");
        let known = |key: &str| matches!(key, "name" | "arguments" | "uri" | "_meta");
        let beside = meta.is_some() || params.members().any(|(key, _)| !known(&key));
        let whole = params.with(&[("_meta", meta.as_deref())]);
        let Ok(whole) = composed(&whole) else { return };
        let arguments = whole.root().get("arguments").filter(|_| !beside);
        let is_whole = arguments.is_none();
        let shown = arguments.unwrap_or_else(|| whole.root());
        // Salted, so that what was erased cannot be found again by guessing.
        let mut salt = [0; 16];
        let salted = getrandom::fill(&mut salt).is_ok();
        if salted {
            self.arguments = Some(Digest::of_parts([&salt[..], shown.raw().as_bytes()]));
        }
        self.told = OnRecord::of(identified, salted.then_some(&salt));
        let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        self.payload = Some(Shown { salt, text: redacted(shown), whole: is_whole });
    }

    /// Adds by which rules it was decided and on what; whether what happened before is among that.
    pub(crate) fn judged(
        &mut self,
        (facts, history): (&Facts<'_>, bool),
        policy: Digest,
        shadow: Option<Differs>,
    ) {
        let shown = self.payload.as_ref();
        let gone = |text: &str| text.contains(GONE);
        let kept = Kept {
            subject: self.subject.as_deref(),
            redacted: shown.is_some_and(|shown| gone(&shown.text))
                || self.subject.as_deref().is_some_and(gone),
            whole: shown.is_some_and(|shown| shown.whole),
        };
        let facts = shown.and_then(|_| recorded::text(facts, history, kept));
        self.judged = Some(Judged { policy, facts, shadow });
    }

    /// What stands beside the chain.
    fn payload(&self) -> Option<String> {
        let Shown { salt, text, .. } = self.payload.as_ref()?;
        let facts = self.judged.as_ref().and_then(|judged| judged.facts.as_deref());
        let facts = facts.map(|facts| format!(r#","facts":{facts}"#)).unwrap_or_default();
        let told = self.told.beside();
        Some(if text.len() > PAYLOAD_BYTES {
            format!(r#"{{"salt":"{salt}","left_out_bytes":{}{told}{facts}}}"#, text.len())
        } else {
            format!(r#"{{"salt":"{salt}","arguments":{text}{told}{facts}}}"#)
        })
    }

    fn policy(&self) -> Option<Digest> {
        self.judged.as_ref().map(|judged| judged.policy)
    }

    fn shadow(&self) -> Option<Shadow<'_>> {
        let Differs { decision, rule } = self.judged.as_ref()?.shadow.as_ref()?;
        Some(Shadow { verdict: said(*decision), rule })
    }

    /// Adds what the call turned out to be about.
    pub(crate) fn found(&mut self, server: Option<&ServerName>, target: &Target) {
        self.server = server.cloned();
        if let Target::Tool { tool, .. } = target {
            self.definition = Some(tool.digest);
            self.consequential = tool.effects().iter().any(|effect| *effect != Effect::Read);
        }
    }

    /// Adds the name of a method that is not known here.
    pub(crate) fn unknown_method(&mut self, name: &str) {
        self.subject = Some(name.to_owned());
    }

    const fn durability(&self) -> Durability {
        if self.consequential { Durability::Disk } else { Durability::System }
    }

    /// Pings carry nothing to account for; neither does what only tells.
    fn is_noise(&self) -> bool {
        self.id.is_none() || self.method == Some(Method::Ping)
    }
}

/// Writes down that a call is about to be tried; with what is decided, where no person is asked.
///
/// # Errors
/// [`Refusal::Audit`]: the call must not be tried.
pub fn begin(
    log: &Log,
    clock: &Clock,
    known: Known,
    decided: Option<&Decided>,
) -> Result<Begun, Box<(Refusal, Known)>> {
    let noise = known.method.is_some() && known.is_noise();
    // The session's own business needs no decision on record.
    let allowed = decided.map(Decided::verdict).filter(|verdict| {
        verdict.decision == tagout_policy::Decision::Allow && known.server.is_some()
    });
    let now = clock.now();
    let entry = match (noise, allowed) {
        (true, _) => Ok(None),
        (false, None) => write_begin(log, now, &known, None).map(Some),
        (false, Some(verdict)) => {
            let decision = decision(now, &known, verdict, None);
            write_begin(log, now, &known, Some(&decision)).map(Some)
        }
    };
    let decided = allowed.is_some();
    match entry {
        Ok(entry) => Ok(Begun { entry, decided, known, clock: clock.clone(), log: log.clone() }),
        Err(error) => Err(Box::new((error.into(), known))),
    }
}

fn decision<'a>(
    at: Timestamp,
    known: &'a Known,
    verdict: &'a tagout_policy::Verdict,
    approval: Option<Approval<'a>>,
) -> Decision<'a> {
    let (policy, shadow) = (known.policy(), known.shadow());
    let (verdict, rule) = (said(verdict.decision), Some(verdict.rule.as_str()));
    Decision { at, verdict, rule, approval, policy, shadow }
}

/// A decision as the log names it.
const fn said(decision: tagout_policy::Decision) -> Verdict {
    match decision {
        tagout_policy::Decision::Allow => Verdict::Allow,
        tagout_policy::Decision::Ask => Verdict::Ask,
        tagout_policy::Decision::Deny => Verdict::Deny,
    }
}

fn write_begin(
    log: &Log,
    at: Timestamp,
    known: &Known,
    decision: Option<&Decision<'_>>,
) -> Result<Entry, tagout_audit::AuditError> {
    let mut begin = Begin::new(at, known.method.map_or("invalid", Method::as_str));
    begin.principal = Some(&known.principal);
    begin.origin = known.origin.as_ref();
    begin.conversation = known.conversation.as_ref();
    begin.server = known.server.as_ref();
    begin.subject = known.subject.as_deref();
    begin.definition = known.definition;
    begin.arguments = known.arguments;
    begin.model = known.told.model.as_deref();
    begin.cause = known.told.cause.as_ref();
    begin.words = known.told.words;
    begin.secrets = known.caught.count;
    let payload = known.payload();
    begin.payload = payload.as_deref();
    match decision {
        // Waits for the disk where it must: the call is made next.
        Some(decision) => waited_for(known.durability(), || {
            log.begin_decided(&begin, decision, known.durability())
        }),
        None => log.begin(&begin, Durability::System),
    }
}

impl Begun {
    /// The record's number.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.entry.as_ref().map(Entry::number)
    }

    /// Writes down what was decided, and clears the call.
    ///
    /// # Errors
    /// [`Refusal::Audit`]: the call must not be made.
    pub fn decided(&self, authorised: Authorised) -> Result<Cleared, Refusal> {
        let by = authorised.approval().map(|approval| people_in_words(&approval.by));
        let given = authorised.approval().map(|approval| recorded::given(&approval.given));
        let approval = authorised.approval().map(|approval| Approval {
            by: by.as_deref(),
            scope: Some(approval.scope).filter(|s| *s != Scope::Once).map(Scope::as_str),
            question: approval.question.as_deref(),
            given: given.as_ref(),
            ..Approval::new(&approval.channel, "allow")
        });
        let verdict = authorised.decided().verdict();
        let now = self.clock.now();
        let decision = decision(now, &self.known, verdict, approval);
        if let (Some(entry), Some(_), false) = (&self.entry, &self.known.server, self.decided) {
            waited_for(self.known.durability(), || {
                entry.decided(&decision, self.known.durability())
            })?;
        }
        count(&authorised, now);
        Ok(Cleared { authorised, record: self.number() })
    }

    /// Writes down how the call ended and releases the reply.
    pub fn end(self, outcome: Result<Reply, Refusal>) -> Recorded {
        let at = self.clock.now();
        let Self { mut entry, known, log, .. } = self;
        if entry.is_none() && outcome.as_ref().is_err_and(|r| !matches!(r, Refusal::Cancelled)) {
            match write_begin(&log, at, &known, None) {
                Ok(begun) => entry = Some(begun),
                Err(error) => return withheld(known.id, &error.into()),
            }
        }
        let number = entry.as_ref().map(Entry::number);
        if let Some(entry) = entry {
            let mut end = ended(at, &outcome);
            if end.rule.is_some() {
                end.policy = known.policy();
                end.shadow = known.shadow();
            }
            if let Err(error) =
                waited_for(known.durability(), || entry.end(&end, known.durability()))
            {
                return withheld(known.id, &error.into());
            }
        }
        let code = outcome.as_ref().err().map(Refusal::code);
        let answer = match outcome {
            Ok(reply) => reply.into_outcome(),
            // The standard wants no answer to what was taken back.
            Err(Refusal::Cancelled) => return Recorded { answer: None, code, retry_after_s: None },
            Err(refusal) => Err(refusal.for_caller(number)),
        };
        Recorded { answer: known.id.map(|id| (id, answer)), code, retry_after_s: None }
    }
}

/// Counts a call that a limit refuses before it is on record. What nobody may have too much of has
/// no record of its own either: there would be no limit to that.
pub(crate) fn counted(counted: &Arc<Counted>, known: Known, over: &Over) -> Recorded {
    counted.count(&known.principal, over);
    let answer = Refusal::Limit(over.clone()).for_caller(None);
    Recorded {
        answer: known.id.map(|id| (id, Err(answer))),
        code: Some(over.code()),
        retry_after_s: Some(over.retry_after_s()),
    }
}

/// Notes in the conversation's history that the call is made.
fn count(authorised: &Authorised, now: Timestamp) {
    let inspected = authorised.decided().inspected();
    if let Some(counted) = inspected.counted() {
        counted.made();
    }
    if authorised.approval().is_some() {
        inspected.identified().session().note(|happened| happened.approved(now));
    }
}

/// What a client is told when the log cannot be written: that, and nothing else.
pub fn unrecorded(refused: (Refusal, Known)) -> Recorded {
    withheld(refused.1.id, &refused.0)
}

fn withheld(id: Option<String>, refusal: &Refusal) -> Recorded {
    tracing::error!(error = %refusal, "a call is refused");
    let code = Some(refusal.code());
    let answer = id.map(|id| (id, Err(refusal.for_caller(None))));
    Recorded { answer, code, retry_after_s: None }
}

/// Waiting for the disk must not hold up the other calls of this thread. What does not wait for it
/// takes less than handing those calls to another thread would.
fn waited_for<T>(durability: Durability, write: impl FnOnce() -> T) -> T {
    let flavor = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
    match (durability, flavor) {
        (Durability::Disk, Ok(tokio::runtime::RuntimeFlavor::MultiThread)) => {
            tokio::task::block_in_place(write)
        }
        _ => write(),
    }
}

impl Cleared {
    /// The call, authorised.
    pub const fn authorised(&self) -> &Authorised {
        &self.authorised
    }

    /// The record's number.
    #[must_use]
    pub const fn record(&self) -> Option<u64> {
        self.record
    }

    /// What the gateway adds to a result's `_meta`: record, rule and verdict.
    pub(crate) fn meta(&self) -> Vec<(&'static str, String)> {
        let verdict = self.authorised.decided().verdict();
        let mut meta = vec![
            ("tagout/rule", quoted(&verdict.rule)),
            ("tagout/verdict", quoted(&verdict.decision.to_string())),
        ];
        if let Some(record) = self.record {
            meta.insert(0, ("tagout/record", record.to_string()));
        }
        meta
    }
}

impl Recorded {
    /// Nothing to say: the call was lost with its task.
    pub(crate) const fn nothing() -> Self {
        Self { answer: None, code: None, retry_after_s: None }
    }

    /// The same answer to a later request of the same call.
    pub(crate) fn under(mut self, id: &str) -> Self {
        if let Some((old, _)) = &mut self.answer {
            id.clone_into(old);
        }
        self
    }

    /// What stopped the call, if something did.
    #[must_use]
    pub const fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// When to try again, in seconds, where a limit stopped the call.
    pub(crate) const fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// The error's JSON-RPC code, if it is an error.
    pub(crate) fn rpc_code(&self) -> Option<i64> {
        let Some((_, Err(error))) = &self.answer else { return None };
        composed(error).ok()?.root().get("code")?.integer()
    }

    /// The frame to send; nothing where none is due.
    #[must_use]
    pub fn into_frame(self) -> Option<Bytes> {
        let (id, answer) = self.answer?;
        Some(Bytes::from(match answer {
            Ok(result) => frame::result(&id, &result),
            Err(error) => frame::error(&id, &error),
        }))
    }
}
