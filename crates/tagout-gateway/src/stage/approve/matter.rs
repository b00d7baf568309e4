//! A call that waits for people: who is asked, and what comes of it.
use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tagout_assertion::ApprovedBy;
use tagout_policy::{Decision, Given};
use tagout_proto::Digest;
use tagout_store::{
    Asked, Grant, Question, QuestionId, Scope, Settled, StoreError, StoredApprover, Vote,
};

use super::{super::decide::Decided, binding_of, card, kept_binding};
use crate::{
    Gateway,
    approval::{
        Answer, Card, Compared, Denial, Word, demand, elicited, last_and_now, only_reads,
        stored_people, sums,
    },
    consent,
    refusal::Refusal,
};

/// The transport of the host in this process.
const MEMORY: &str = "memory";
/// The largest card of a question that is kept, in bytes; larger ones are shown in the client alone.
const CARD_BYTES: usize = 256 << 10;

/// A yes that policy takes for enough.
pub(super) struct Yes {
    pub(super) channel: String,
    pub(super) by: Vec<ApprovedBy>,
    pub(super) scope: Scope,
    pub(super) question: Option<String>,
    pub(super) given: Given,
    pub(super) own_at: Option<Timestamp>,
}

/// A call that policy wants approved.
pub(super) struct Matter<'a> {
    pub(super) decided: &'a Decided,
    pub(super) gateway: &'a Gateway,
    pub(super) limit: Duration,
    demand: Given,
    /// What a kept approval binds to, with the conversation and without.
    bindings: [Digest; 2],
    compared: Compared,
    card: Card,
}

/// The ways that there are to ask.
struct Ways {
    client: bool,
    others: bool,
}

impl<'a> Matter<'a> {
    pub(super) fn of(decided: &'a Decided, gateway: &'a Gateway, limit: Duration) -> Self {
        let (inspected, policy) = (decided.inspected(), decided.policy());
        let bindings = [true, false].map(|with| kept_binding(inspected, policy, with));
        let params = inspected.identified().call().params();
        let compared = Compared::of(params.and_then(|params| params.get("arguments")));
        let own = || Given { own: true, ..Given::NONE };
        let demand = decided.verdict().demand.clone().unwrap_or_else(own);
        let card = card(decided, binding_of(inspected, policy));
        Self { decided, gateway, limit, demand, bindings, compared, card }
    }

    /// What people say.
    ///
    /// # Errors
    /// As [`super::approve`].
    pub(super) async fn settled(mut self) -> Result<Yes, Refusal> {
        let gateway = self.gateway;
        if let Some(yes) = gateway.turns.wait_for(|| self.granted()).await? {
            return Ok(yes);
        }
        let yes = self.asked().await?;
        gateway.turns.wait_for(|| self.keep(&yes)).await?;
        Ok(yes)
    }

    async fn asked(&mut self) -> Result<Yes, Refusal> {
        let (principal, about) = (self.principal(), (&*self.card.server, &*self.card.subject));
        let last = self.gateway.store.last_approved(principal, about.0, about.1)?;
        self.card.changes = last_and_now(last.as_ref(), &self.compared);
        self.card.code = code().ok_or_else(|| self.nobody())?;
        let another = Given { people: 1, outside: true, ..Given::NONE };
        if self.demand.own && self.demand.people == 0 && self.is_enough(&another) {
            self.card.demand.push_str(", or one other person");
        }
        self.card.scopes = vec![Scope::Once, Scope::Conversation];
        if only_reads(&self.card.effects, self.card.reviewed) {
            self.card.scopes.push(Scope::Always);
        }
        let ways = self.ways()?;
        let got = serde_json::to_string(&self.card).map_or(0, |card| card.len());
        let too_large = got > CARD_BYTES;
        if ways.client && (too_large || !ways.others) {
            return self.by_the_client_alone().await;
        }
        if !ways.others {
            return Err(self.nobody());
        }
        if too_large {
            let (rule, limit) = (self.rule(), CARD_BYTES);
            return Err(Refusal::QuestionTooLarge { rule, got, limit });
        }
        let gateway = self.gateway;
        if let Some(yes) = gateway.turns.wait_for(|| self.answered_before()).await? {
            return Ok(yes);
        }
        let question = gateway.turns.wait_for(|| self.question()).await?;
        self.waited(&question, ways.client).await
    }

    fn principal(&self) -> &'a tagout_proto::Principal {
        self.decided.inspected().identified().principal()
    }

    pub(super) fn nobody(&self) -> Refusal {
        Refusal::NobodyToAsk { rule: self.rule() }
    }

    pub(super) fn rule(&self) -> String {
        self.decided.verdict().rule.clone()
    }

    /// Whether policy takes `given` for enough, as things are now.
    fn is_enough(&self, given: &Given) -> bool {
        let policy = self.decided.policy();
        let inspected = self.decided.inspected();
        let verdict =
            inspected.facts(&self.gateway.clock, policy, |facts| policy.allows(facts, given));
        // That one's data goes to a server for the first time is one's own to approve.
        let agreed = given.own || !consent::is_missing(inspected, self.gateway);
        verdict.decision == Decision::Allow && agreed
    }

    /// An approval for more than one call that covers this one.
    fn granted(&self) -> Result<Option<Yes>, Refusal> {
        let identified = self.decided.inspected().identified();
        let principal = self.principal();
        // Nobody knew then that consent would be taken back.
        if consent::is_missing(self.decided.inspected(), self.gateway) {
            return Ok(None);
        }
        for grant in self.gateway.store.grants_about(self.bindings, self.gateway.clock.now())? {
            let [here, anywhere] = self.bindings;
            let covers = match grant.scope {
                Scope::Once => false,
                Scope::Conversation => {
                    grant.binding == here && Some(&grant.conversation) == identified.conversation()
                }
                Scope::Always => {
                    grant.binding == anywhere && only_reads(&self.card.effects, self.card.reviewed)
                }
            };
            let own = *grant.user == *principal.user
                && *grant.authenticated_by == *principal.authenticated_by;
            if !covers || !own || !self.gateway.grant_is_genuine(&grant) {
                continue;
            }
            let Some(given) = self.gateway.given_now(&grant)? else { continue };
            if self.is_enough(&given) {
                let (channel, question) = ("granted".to_owned(), Some(grant.id.to_string()));
                return Ok(Some(Yes {
                    channel,
                    by: granted_by(&grant),
                    scope: grant.scope,
                    question,
                    given,
                    own_at: None,
                }));
            }
        }
        Ok(None)
    }

    /// Who can be asked at all.
    fn ways(&self) -> Result<Ways, StoreError> {
        let session = self.decided.inspected().identified().session();
        // Over HTTP the terminal, if there is one, belongs to whoever started the gateway.
        let terminal = session.transport() != "http" && self.gateway.approver.channel() != "none";
        let can = session.capabilities().elicits_in_forms || terminal;
        let client = can && demand::own_word_does(&self.demand);
        let people = self.gateway.people()?;
        let user = &*self.principal().user;
        let fit = |one: &&StoredApprover| one.groups.is_superset(&self.demand.groups);
        let others: BTreeSet<_> = people.counting().filter(fit).map(|one| &*one.user).collect();
        let others_than_oneself = others.iter().filter(|other| **other != user).count();
        let enough = others_than_oneself >= usize::from(self.demand.people);
        // One's own word counts outside the client only by a key of one's own.
        let own = client || others.contains(user) || !self.demand.own;
        let another = Given { people: 1, outside: true, ..Given::NONE };
        let own = own || (others_than_oneself > 0 && self.is_enough(&another));
        Ok(Ways { client, others: own && enough && people.counting().next().is_some() })
    }

    /// Where nobody else could answer, no question is kept.
    async fn by_the_client_alone(&self) -> Result<Yes, Refusal> {
        let (channel, answer) = self.ask_client().await;
        let rule = self.rule();
        match answer {
            Answer::Allow => self.by_the_client(channel, Scope::Once),
            Answer::AllowFor(scope) => self.by_the_client(channel, scope),
            Answer::Deny => Err(self.denied(channel, None)),
            Answer::Nobody => Err(self.nobody()),
            Answer::TimedOut => {
                Err(Refusal::Unapproved { rule, waited: self.limit, how: channel, question: None })
            }
        }
    }

    /// Asks the client's own user.
    pub(super) async fn ask_client(&self) -> (&'static str, Answer) {
        let identified = self.decided.inspected().identified();
        let session = identified.session();
        if session.capabilities().elicits_in_forms {
            let mut card = self.card.clone();
            // It would hold for all clients of this user. Of what another program makes of a form
            // nothing is known here; the host in this process asks a person.
            card.scopes.retain(|scope| *scope != Scope::Always || session.transport() == MEMORY);
            return ("elicitation", elicited(identified.lane(), &card, self.limit).await);
        }
        let approver = &self.gateway.approver;
        (approver.channel(), approver.ask(&self.card, self.limit).await)
    }

    /// What the client's own user said, if that is enough.
    pub(super) fn by_the_client(
        &self,
        channel: &'static str,
        scope: Scope,
    ) -> Result<Yes, Refusal> {
        let given = Given { own: true, ..Given::NONE };
        if !self.is_enough(&given) {
            // What happened meanwhile has made it too little.
            return Err(self.nobody());
        }
        let by = ApprovedBy {
            user: self.card.user.clone(),
            approver: None,
            channel: channel.to_owned(),
        };
        let scope = if self.card.scopes.contains(&scope) { scope } else { Scope::Once };
        let own_at = Some(self.gateway.clock.now());
        Ok(Yes { channel: channel.to_owned(), by: vec![by], scope, question: None, given, own_at })
    }

    pub(super) fn denied(&self, how: &'static str, denial: Option<Denial>) -> Refusal {
        let said = denial.map(|denial| (denial.by, denial.message));
        Refusal::NotApproved { rule: self.rule(), how, said }
    }

    /// What was answered to a question about just this call, while none waited for it: a no stands,
    /// whatever the client says of the call now; a yes is used, by this call alone, if what it says
    /// is what people were shown.
    fn answered_before(&self) -> Result<Option<Yes>, Refusal> {
        let (store, now) = (&self.gateway.store, self.gateway.clock.now());
        let [here, _] = self.bindings;
        for question in store.questions_about(here, now)? {
            let Some(card) = self.card_of_this(&question) else { continue };
            let votes = store.votes(&question.id)?;
            if !card.shows_the_same(&self.card) {
                self.not_denied(&question, &votes)?;
                continue;
            }
            if let Some(yes) = self.heard(&question, &votes)? {
                return Ok(Some(yes));
            }
        }
        Ok(None)
    }

    /// The card of a stored question that is a gateway's and is about this call.
    fn card_of_this(&self, question: &Question) -> Option<Card> {
        let card = serde_json::from_str::<Card>(&question.card).ok()?;
        let is_this = self.gateway.is_genuine(question)
            && question.user == *self.card.user
            && *question.authenticated_by == *self.principal().authenticated_by
            && card.is_of_the_same_call(&self.card);
        is_this.then_some(card)
    }

    /// Whether a stored question is a gateway's, and shows what this call does.
    fn is_about_this(&self, question: &Question) -> bool {
        self.card_of_this(question).is_some_and(|card| card.shows_the_same(&self.card))
    }

    /// # Errors
    /// [`Refusal::NotApproved`] where somebody whose word counts has said no.
    pub(super) fn not_denied(&self, question: &Question, votes: &[Vote]) -> Result<(), Refusal> {
        let (_, denial) = self.gateway.heard(question, votes)?;
        let Some(denial) = denial else { return Ok(()) };
        self.gateway.settle_denied(question)?;
        Err(self.denied(denial.channel, Some(denial)))
    }

    /// What the answers so far come to: enough, and then they are used up; or nothing yet.
    ///
    /// # Errors
    /// [`Refusal::NotApproved`].
    pub(super) fn heard(
        &self,
        question: &Question,
        votes: &[Vote],
    ) -> Result<Option<Yes>, Refusal> {
        if votes.is_empty() {
            return Ok(None);
        }
        let (words, denial) = self.gateway.heard(question, votes)?;
        if let Some(denial) = denial {
            self.gateway.settle_denied(question)?;
            return Err(self.denied(denial.channel, Some(denial)));
        }
        let Some(yes) = self.enough(&words) else { return Ok(None) };
        // Of several calls, in whatever process, one gets it.
        if !self.gateway.settle(question, Settled::Used)? {
            return Ok(None);
        }
        Ok(Some(Yes { question: Some(question.id.to_string()), ..yes }))
    }

    /// The first of what `words` come to that policy takes for enough.
    fn enough(&self, words: &[Word]) -> Option<Yes> {
        let sums = sums(words, &self.card.user);
        let sum = sums.into_iter().find(|sum| self.is_enough(&sum.given))?;
        let scope = Some(sum.scope()).filter(|scope| self.card.scopes.contains(scope));
        Some(Yes {
            channel: sum.channel(),
            by: sum.by(),
            scope: scope.unwrap_or_default(),
            question: None,
            given: sum.given.clone(),
            own_at: sum.own_at(&self.card.user),
        })
    }

    /// A question to wait for: one that is there already and that nobody waits for, or a new one.
    fn question(&mut self) -> Result<Question, Refusal> {
        let (store, now) = (&self.gateway.store, self.gateway.clock.now());
        let until = later(now, self.limit);
        let [here, _] = self.bindings;
        for question in store.questions_about(here, now)? {
            if self.is_about_this(&question) && store.wait_again(&question.id, now, until)? {
                self.card.question = Some(shown(&question));
                return Ok(question);
            }
        }
        let question = self.new_question(now, until)?;
        match store.ask(&question)? {
            Asked::Opened => {}
            Asked::TooMany => return Err(Refusal::TooMany { what: "questions about calls" }),
        }
        self.gateway.tell_webhook(&question, &self.card, &self.demand);
        Ok(question)
    }

    fn new_question(&mut self, now: Timestamp, until: Timestamp) -> Result<Question, Refusal> {
        let identified = self.decided.inspected().identified();
        let conversation = identified.conversation().ok_or_else(|| self.nobody())?.clone();
        let [binding, standing] = self.bindings;
        let mut question = Question {
            id: QuestionId::new()?,
            binding,
            standing,
            conversation,
            user: self.card.user.clone(),
            authenticated_by: self.principal().authenticated_by.to_string(),
            gateway_pid: std::process::id(),
            card: String::new(),
            demand: String::new(),
            seal: String::new(),
            opened_at: now,
            waited_until: until,
            expires_at: later(now, self.gateway.config.approval.keep.max(self.limit)),
            settled: None,
        };
        self.card.question = Some(shown(&question));
        let text = |text: Result<String, serde_json::Error>| text.map_err(|_| self.nobody());
        question.card = text(serde_json::to_string(&self.card))?;
        question.demand = text(serde_json::to_string(&self.demand))?;
        question.seal = self.gateway.seal_of(&question);
        Ok(question)
    }

    /// Keeps what was approved: for the next card, and where it was meant for more than this call.
    fn keep(self, yes: &Yes) -> Result<(), Refusal> {
        let (store, now) = (&self.gateway.store, self.gateway.clock.now());
        let about = (&*self.card.server, &*self.card.subject);
        let principal = self.principal();
        if yes.scope != Scope::Once {
            self.grant(yes, now)?;
        }
        Ok(self.compared.keep(store, principal, about, now)?)
    }

    fn grant(&self, yes: &Yes, now: Timestamp) -> Result<(), Refusal> {
        let identified = self.decided.inspected().identified();
        let Some(conversation) = identified.conversation().cloned() else { return Ok(()) };
        let [here, anywhere] = self.bindings;
        let (binding, expires_at) = match yes.scope {
            Scope::Once => return Ok(()),
            Scope::Conversation => (here, Some(later(now, self.gateway.config.approval.keep))),
            Scope::Always => (anywhere, None),
        };
        let id = yes.question.as_deref().and_then(|id| id.parse().ok());
        let mut grant = Grant {
            id: id.map_or_else(QuestionId::new, Ok)?,
            scope: yes.scope,
            binding,
            conversation,
            user: self.card.user.clone(),
            authenticated_by: self.principal().authenticated_by.to_string(),
            what: format!("{} on {}", self.card.subject, self.card.server),
            given: serde_json::to_string(&yes.given).map_err(|_| self.nobody())?,
            by: serde_json::to_string(&yes.by).map_err(|_| self.nobody())?,
            channel: yes.channel.clone(),
            seal: String::new(),
            at: now,
            expires_at,
            revoked_at: None,
        };
        grant.seal = self.gateway.seal_of_grant(&grant);
        if !self.gateway.store.grant(&grant)? {
            tracing::warn!("too much is approved already; this call is, and no other");
        }
        Ok(())
    }
}

/// Who gave what is granted, as people are named who do not answer about this call.
fn granted_by(grant: &Grant) -> Vec<ApprovedBy> {
    let people = stored_people(&grant.by).into_iter();
    people.map(|one| ApprovedBy { channel: "granted".to_owned(), ..one }).collect()
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::from_hours(1));
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A question's name and until when it is open, for people.
fn shown(question: &Question) -> (String, String) {
    let until = question.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    (question.id.to_string(), until)
}

/// What a person types to approve, and no model foresees.
fn code() -> Option<String> {
    let mut code = [0; 2];
    getrandom::fill(&mut code).ok()?;
    Some(hex::encode(code))
}
