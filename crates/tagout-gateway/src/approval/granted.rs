//! Approvals for more than one call.
use std::collections::BTreeSet;

use tagout_assertion::ApprovedBy;
use tagout_audit::{Durability, Note};
use tagout_policy::Given;
use tagout_store::{Grant, QuestionId, StoreError};

use super::{AnswerTrouble, Word, desk::written, people::People, stored_people, sums};
use crate::Gateway;

impl Gateway {
    /// Approvals for more than one call that hold now.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn granted(&self) -> Result<Vec<Grant>, AnswerTrouble> {
        let mut grants = self.store.grants(self.clock.now())?;
        grants.retain(|grant| {
            let genuine = self.grant_is_genuine(grant);
            if !genuine {
                tracing::error!(id = %grant.id, "an approval is not as a gateway kept it");
            }
            genuine
        });
        Ok(grants)
    }

    /// Takes an approval for more than one call back.
    ///
    /// # Errors
    /// See [`AnswerTrouble`].
    pub fn revoke_granted(&self, id: &str) -> Result<QuestionId, AnswerTrouble> {
        let id: QuestionId = id.parse()?;
        let now = self.clock.now();
        let grant = self.store.granted_as(&id)?.filter(|grant| grant.revoked_at.is_none());
        let grant = grant.ok_or_else(|| AnswerTrouble::Unknown(id.clone()))?;
        if !self.grant_is_genuine(&grant) {
            return Err(AnswerTrouble::Forged(id));
        }
        let mut revoked = Grant { revoked_at: Some(now), ..grant.clone() };
        revoked.seal = self.seal_of_grant(&revoked);
        if !self.store.revoke_grant(&revoked, &grant.seal)? {
            return Err(AnswerTrouble::Unknown(id));
        }
        let detail = format!("question {id}");
        let mut note = Note::new(now, "approval-revoked");
        note.principal = Some(&self.principal);
        note.detail = Some(&detail);
        self.audit.note(&note, Durability::Disk)?;
        Ok(id)
    }

    /// What the approvals behind a grant come to now; nothing where the word of one of those who gave
    /// it counts no more.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub(crate) fn given_now(&self, grant: &Grant) -> Result<Option<Given>, StoreError> {
        let people = self.people()?;
        let by = stored_people(&grant.by);
        let words = by.iter().map(|one| word(one, grant, &people)).collect::<Option<Vec<_>>>();
        let Some(words) = words else { return Ok(None) };
        let sums = sums(&words, &grant.user);
        let whole = sums.into_iter().find(|sum| sum.words.len() == words.len());
        Ok(whole.map(|sum| sum.given))
    }

    /// The gateways' code over a grant.
    pub(crate) fn seal_of_grant(&self, grant: &Grant) -> String {
        self.seal.code(GRANT, &grant_parts(grant).each_ref().map(|part| part.as_bytes()))
    }

    /// Whether a gateway has kept the grant as it is, and the log does not have it as taken back.
    pub(crate) fn grant_is_genuine(&self, grant: &Grant) -> bool {
        let parts = grant_parts(grant);
        let sealed =
            self.seal.holds(GRANT, &parts.each_ref().map(|part| part.as_bytes()), &grant.seal);
        let revoked = self.spent.is_revoked(&grant.id, grant.at, self.clock.now());
        let revoked = revoked.unwrap_or_else(|error| {
            tracing::error!(%error, "whether an approval was taken back cannot be looked up");
            true
        });
        sealed && !(revoked && grant.revoked_at.is_none())
    }
}

/// What `one`, who gave `grant`, would be taken for now.
fn word(one: &ApprovedBy, grant: &Grant, people: &People) -> Option<Word> {
    let (channel, groups) = match (one.approver.as_deref(), &*one.channel) {
        (Some(name), channel @ ("command" | "webhook")) => {
            let approver = people.counts(name).filter(|approver| approver.user == one.user)?;
            let by_webhook = channel == "webhook";
            if by_webhook && !approver.webhook {
                return None;
            }
            (if by_webhook { "webhook" } else { "command" }, approver.groups.clone())
        }
        // The client's own user has no key.
        (None, "terminal") if one.user == grant.user => ("terminal", BTreeSet::new()),
        (None, "elicitation") if one.user == grant.user => ("elicitation", BTreeSet::new()),
        (_, _) => return None,
    };
    let (user, by) = (one.user.clone(), one.approver.clone().unwrap_or_default());
    Some(Word { user, by, channel, scope: grant.scope, groups, at: grant.at })
}

const GRANT: &str = "tagout-grant-1";

fn grant_parts(grant: &Grant) -> [String; 12] {
    [
        grant.id.to_string(),
        grant.scope.as_str().to_owned(),
        grant.binding.to_string(),
        grant.conversation.to_string(),
        grant.user.clone(),
        grant.authenticated_by.clone(),
        grant.what.clone(),
        grant.given.clone(),
        grant.by.clone(),
        grant.channel.clone(),
        grant.expires_at.map_or_else(String::new, written),
        grant.revoked_at.map_or_else(String::new, written),
    ]
}
