//! Which data goes to which server and which model is agreed to once, by whoever it is of; it is on
//! record, listed, and can be taken back.
use tagout_audit::{AuditError, Durability, Note};
use tagout_policy::{Decision, Given, Verdict};
use tagout_proto::{Digest, Principal, ServerName};
use tagout_store::{Consent, Recipient, RecipientKind, StoreError};

use crate::{
    Gateway,
    config::Start,
    refusal::Refusal,
    stage::{
        approve::Authorised,
        inspect::{Inspected, Target},
    },
    upstream::{Upstream, UpstreamError, digest_of, start_of},
};

/// The rule that asks before somebody's data goes to a server for the first time.
pub const RULE: &str = "tagout:consent";

/// Why a consent is not given or not taken back.
#[derive(Debug, thiserror::Error)]
pub enum ConsentTrouble {
    /// There is no such server.
    #[error("there is no server `{0}`")]
    Unknown(String),
    /// It is part of this program, so nothing leaves it.
    #[error(
        "server `{0}` is built in: nothing leaves this machine, so there is nothing to agree to"
    )]
    BuiltIn(ServerName),
    /// What it is cannot be found out.
    #[error("it cannot be found out what server `{server}` is")]
    Unidentified {
        /// The server.
        server: ServerName,
        /// What went wrong.
        #[source]
        problem: UpstreamError,
    },
    /// There is nothing to take back.
    #[error("`{user}` has not agreed that anything goes to `{recipient}`")]
    NotGiven {
        /// Whose data.
        user: String,
        /// To whom.
        recipient: String,
    },
    /// It cannot be put on record.
    #[error("it cannot be put on record")]
    Audit(#[from] AuditError),
    /// The state store is away.
    #[error("the state store cannot be used")]
    Store(#[from] StoreError),
}

impl ConsentTrouble {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "server-unknown",
            Self::BuiltIn(_) => "consent-needless",
            Self::Unidentified { problem, .. } => problem.code(),
            Self::NotGiven { .. } => "consent-missing",
            Self::Audit(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "see `tagout list`",
            Self::BuiltIn(_) => "",
            Self::Unidentified { .. } => "look at its entry in the configuration",
            Self::NotGiven { .. } => "see `tagout consent ls`",
            Self::Audit(error) => error.help(),
            Self::Store(error) => error.help(),
        }
    }
}

/// Who agrees, and how.
#[derive(Clone, Copy, Debug)]
pub struct Agreed<'a> {
    /// Whose data.
    pub principal: &'a Principal,
    /// Who says so.
    pub by: &'a str,
    /// By which way: `command`, `pin`, `add`, or the channel of an approval.
    pub channel: &'a str,
}

/// The model called `name`, `PROVIDER:NAME`, of the provider that is reached at `url`, as a recipient.
#[must_use]
pub fn model(name: &str, url: &str) -> Recipient {
    let parts = [b"tagout-model-2".as_slice(), name.as_bytes(), url.as_bytes()];
    let identity = Digest::of_parts(parts);
    Recipient { kind: RecipientKind::Model, name: name.to_owned(), identity }
}

impl Gateway {
    /// Whether what `principal` sends may go to this server.
    pub(crate) fn consented(&self, principal: &Principal, upstream: &Upstream) -> bool {
        if upstream.is_built_in() || self.config.consent.agreed.contains(upstream.name()) {
            return true;
        }
        let recipient = server(upstream.name(), upstream.identity());
        let agreed = self.store.has_agreed(principal, &recipient);
        agreed.unwrap_or_else(|error| {
            tracing::error!(%error, "it cannot be looked up who agreed to what");
            false
        })
    }

    /// The server called `name`, as it is configured and installed now.
    ///
    /// # Errors
    /// [`ConsentTrouble::Unknown`], [`ConsentTrouble::BuiltIn`], [`ConsentTrouble::Unidentified`].
    pub fn recipient(&self, name: &str) -> Result<Recipient, ConsentTrouble> {
        let found = self.config.servers.iter().find(|(server, _)| server.as_str() == name);
        let (name, entry) = found.ok_or_else(|| ConsentTrouble::Unknown(name.to_owned()))?;
        if matches!(entry.start, Start::BuiltIn(_)) {
            return Err(ConsentTrouble::BuiltIn(name.clone()));
        }
        let pinned = start_of(entry, &self.own_program).pin();
        let unidentified = |problem| ConsentTrouble::Unidentified { server: name.clone(), problem };
        Ok(server(name, digest_of(&pinned.map_err(unidentified)?)))
    }

    /// Puts on record that what somebody sends may go to `recipient`, and from then on it may.
    ///
    /// # Errors
    /// [`ConsentTrouble::Audit`], [`ConsentTrouble::Store`]: then it may not.
    pub fn agree(&self, recipient: &Recipient, agreed: Agreed<'_>) -> Result<u64, ConsentTrouble> {
        let record = self.note_consent("consent-given", recipient, agreed)?;
        self.store.agree(&Consent {
            user: agreed.principal.user.to_string(),
            authenticated_by: agreed.principal.authenticated_by.to_string(),
            recipient: recipient.clone(),
            agreed_at: self.clock.now(),
            by: agreed.by.to_owned(),
            channel: agreed.channel.to_owned(),
            record,
        })?;
        Ok(record)
    }

    /// Agrees for whoever runs this that what they send may go to the server called `name`; gives
    /// `false` where they had, or where it is built in.
    ///
    /// # Errors
    /// As [`Gateway::recipient`] and [`Gateway::agree`].
    pub fn agree_for_oneself(&self, name: &str, channel: &str) -> Result<bool, ConsentTrouble> {
        let recipient = match self.recipient(name) {
            Ok(recipient) => recipient,
            Err(ConsentTrouble::BuiltIn(_)) => return Ok(false),
            Err(trouble) => return Err(trouble),
        };
        let principal = &self.principal;
        if self.store.has_agreed(principal, &recipient)? {
            return Ok(false);
        }
        self.agree(&recipient, Agreed { principal, by: &principal.user, channel })?;
        Ok(true)
    }

    /// Takes a consent back, and puts that on record.
    ///
    /// # Errors
    /// [`ConsentTrouble::NotGiven`], [`ConsentTrouble::Audit`], [`ConsentTrouble::Store`].
    pub fn revoke_consent(
        &self,
        (kind, name): (RecipientKind, &str),
        agreed: Agreed<'_>,
    ) -> Result<u64, ConsentTrouble> {
        let Agreed { principal, .. } = agreed;
        let given = self.store.consents()?.into_iter().find(|given| {
            (given.user.as_str(), given.authenticated_by.as_str())
                == (&*principal.user, &*principal.authenticated_by)
                && (given.recipient.kind, given.recipient.name.as_str()) == (kind, name)
        });
        let not_given = || ConsentTrouble::NotGiven {
            user: principal.user.to_string(),
            recipient: name.to_owned(),
        };
        let given = given.ok_or_else(not_given)?;
        // What is taken back must not go on because the log is full.
        self.store.revoke_consent(principal, (kind, name), self.clock.now())?;
        self.note_consent("consent-revoked", &given.recipient, agreed)
    }

    fn note_consent(
        &self,
        event: &str,
        recipient: &Recipient,
        agreed: Agreed<'_>,
    ) -> Result<u64, ConsentTrouble> {
        let name = ServerName::try_from(recipient.name.as_str()).ok();
        let name = name.filter(|_| recipient.kind == RecipientKind::Server);
        let detail =
            format!("{} by `{}`, by {}", recipient.kind.as_str(), agreed.by, agreed.channel);
        let mut note = Note::new(self.clock.now(), event);
        note.principal = Some(agreed.principal);
        note.server = name.as_ref();
        // A server stands under its own name.
        note.subject = name.is_none().then_some(recipient.name.as_str());
        note.digest = Some(recipient.identity);
        note.detail = Some(&detail);
        Ok(self.audit.note(&note, Durability::Disk)?)
    }
}

fn server(name: &ServerName, identity: Digest) -> Recipient {
    Recipient { kind: RecipientKind::Server, name: name.to_string(), identity }
}

/// The verdict with the question whether anything may go to the server at all, where that was not
/// agreed to yet.
pub(crate) fn asked_too(verdict: Verdict, inspected: &Inspected, gateway: &Gateway) -> Verdict {
    if verdict.decision == Decision::Deny || !is_missing(inspected, gateway) {
        return verdict;
    }
    match verdict.decision {
        Decision::Deny => verdict,
        // The rule asks anyway; but it has to be the user's own word, too.
        Decision::Ask => {
            let demand = verdict.demand.unwrap_or(Given::NONE);
            Verdict { demand: Some(Given { own: true, ..demand }), ..verdict }
        }
        Decision::Allow => {
            let name = inspected.server().map(ServerName::as_str).unwrap_or_default();
            Verdict {
                decision: Decision::Ask,
                rule: RULE.to_owned(),
                reason: format!("what you send goes to server `{name}` for the first time"),
                remedy: format!("tagout consent give {name}"),
                demand: Some(Given { own: true, ..Given::NONE }),
            }
        }
    }
}

/// Whoever approves a call of their own has agreed that what they send goes to its server. An
/// approval from before gives no consent that was taken back since.
///
/// # Errors
/// [`Refusal::NotAgreed`]; that it cannot be looked up.
pub(crate) fn agreed_by_approving(
    authorised: &Authorised,
    gateway: &Gateway,
) -> Result<(), Refusal> {
    let inspected = authorised.decided().inspected();
    let principal = inspected.identified().principal();
    let (Some(approval), Some(upstream)) = (authorised.approval(), recipient_of(inspected)) else {
        return Ok(());
    };
    if !is_missing(inspected, gateway) {
        return Ok(());
    }
    let recipient = server(upstream.name(), upstream.identity());
    let refused = || Refusal::NotAgreed { server: upstream.name().clone() };
    let answered_at = approval.own_at.ok_or_else(refused)?;
    let revoked_at = gateway.store.consent_revoked_at(principal, &recipient)?;
    if revoked_at.is_some_and(|revoked_at| answered_at <= revoked_at) {
        return Err(refused());
    }
    let agreed = Agreed { principal, by: &principal.user, channel: &approval.channel };
    if let Err(error) = gateway.agree(&recipient, agreed) {
        // The call itself was approved; the next one asks again.
        tracing::error!(%error, "a consent is not kept");
    }
    Ok(())
}

/// Another program may have taken the server's place since it was decided; what was approved by
/// itself is held against that elsewhere.
///
/// # Errors
/// [`Refusal::NotAgreed`].
pub(crate) fn still_agreed(
    authorised: &Authorised,
    upstream: &Upstream,
    gateway: &Gateway,
) -> Result<(), Refusal> {
    let inspected = authorised.decided().inspected();
    let fine = authorised.approval().is_some() || !is_missing(inspected, gateway);
    if fine { Ok(()) } else { Err(Refusal::NotAgreed { server: upstream.name().clone() }) }
}

/// Whether what is sent by this call would go to a server although nobody agreed to that.
pub(crate) fn is_missing(inspected: &Inspected, gateway: &Gateway) -> bool {
    let principal = inspected.identified().principal();
    recipient_of(inspected).is_some_and(|upstream| !gateway.consented(principal, upstream))
}

/// The server that gets what somebody sends. Who follows a task sends nothing but its name, to the
/// server that gave it.
fn recipient_of(inspected: &Inspected) -> Option<&Upstream> {
    match inspected.target() {
        Target::Tool { upstream, .. }
        | Target::Resource { upstream, .. }
        | Target::Prompt { upstream, .. } => Some(upstream),
        Target::Session | Target::Task { .. } => None,
    }
}
