//! Waiting for answers to a question: the client's own user's, or others'.
use std::{pin::pin, time::Duration};

use tagout_store::{Question, QuestionId, Scope, Settled, Store, Vote};
use tokio::time::{Instant, sleep, sleep_until};

use super::matter::{Matter, Yes};
use crate::{Gateway, approval::Answer, refusal::Refusal};

/// How often it is looked whether somebody has answered.
const LOOK: Duration = Duration::from_millis(250);

impl Matter<'_> {
    /// Waits for whoever answers first, the client's user or others.
    pub(super) async fn waited(
        &self,
        question: &Question,
        in_client: bool,
    ) -> Result<Yes, Refusal> {
        let _waits = Waits { gateway: self.gateway, id: Some(question.id.clone()) };
        let until = Instant::now() + self.limit;
        let mut client = pin!(self.client_or_never(in_client));
        let mut asks_client = in_client;
        let mut seen: Vec<Vote> = Vec::new();
        loop {
            tokio::select! {
                (channel, answer) = &mut client, if asks_client => {
                    asks_client = false;
                    let said = || self.client_said(question, channel, answer);
                    if let Some(yes) = self.gateway.turns.wait_for(said).await? {
                        return Ok(yes);
                    }
                }
                () = sleep(LOOK) => {
                    // Reading waits for nobody.
                    let votes = self.gateway.store.votes(&question.id)?;
                    if votes != seen {
                        let heard = || self.heard(question, &votes);
                        if let Some(yes) = self.gateway.turns.wait_for(heard).await? {
                            return Ok(yes);
                        }
                    }
                    seen = votes;
                }
                () = sleep_until(until) => return Err(self.too_late(question, asks_client)),
            }
        }
    }

    async fn client_or_never(&self, asks: bool) -> (&'static str, Answer) {
        if asks { self.ask_client().await } else { std::future::pending().await }
    }

    fn client_said(
        &self,
        question: &Question,
        channel: &'static str,
        answer: Answer,
    ) -> Result<Option<Yes>, Refusal> {
        let scope = match answer {
            Answer::Allow => Scope::Once,
            Answer::AllowFor(scope) => scope,
            // Others may still answer.
            Answer::Nobody | Answer::TimedOut => return Ok(None),
            Answer::Deny => {
                self.gateway.settle_denied(question)?;
                return Err(self.denied(channel, None));
            }
        };
        let Ok(yes) = self.by_the_client(channel, scope) else { return Ok(None) };
        if !self.gateway.settle(question, Settled::Used)? {
            // Somebody has ended it: a no stands, whatever the client's user says.
            self.not_denied(question, &self.gateway.store.votes(&question.id)?)?;
            return Err(self.too_late(question, true));
        }
        Ok(Some(Yes { question: Some(question.id.to_string()), ..yes }))
    }

    fn too_late(&self, question: &Question, asked_client: bool) -> Refusal {
        let elicits =
            self.decided.inspected().identified().session().capabilities().elicits_in_forms;
        let how = match (asked_client, elicits) {
            (false, _) => "question",
            (true, true) => "elicitation",
            (true, false) => self.gateway.approver.channel(),
        };
        let question = Some(question.id.to_string());
        Refusal::Unapproved { rule: self.rule(), waited: self.limit, how, question }
    }
}

/// Notes that nobody waits for a question any more, however the waiting ends.
struct Waits<'a> {
    gateway: &'a Gateway,
    id: Option<QuestionId>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (store, now): (Store, _) = (self.gateway.store.clone(), self.gateway.clock.now());
        let noted = move || {
            if let Err(error) = store.wait_no_more(&id, now) {
                tracing::warn!(%error, "a question looks waited for until its time is over");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(noted)),
            Err(_) => noted(),
        }
    }
}
