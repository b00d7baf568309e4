//! Approvals for more than one call.
use tagout_audit::{Durability, Note};
use tagout_store::{Grant, QuestionId};

use super::{AnswerTrouble, desk::written};
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
