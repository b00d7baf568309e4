//! Who may answer questions is enrolled by somebody who may.
use tagout_audit::{Durability, Note};
use tagout_store::{Enrolled, KeyGroups, KeyName, StoreError, StoredApprover};

use super::{
    key::ApproverSigner,
    people::{Approver, is_sealed, seal_of_approver, sign_enrolment},
};
use crate::Gateway;

/// Whom to enrol.
#[derive(Clone, Debug)]
pub struct NewApprover {
    /// The name.
    pub name: KeyName,
    /// Whose word it is.
    pub user: String,
    /// The groups that this person approves for.
    pub groups: KeyGroups,
    /// Whether the webhook may bring this person's word.
    pub webhook: bool,
    /// The public key.
    pub public: String,
}

/// Why somebody is not enrolled, or not revoked.
#[derive(Debug, thiserror::Error)]
pub enum EnrolTrouble {
    /// Somebody has or had the name.
    #[error("an approver `{0}` is there already, or was")]
    Exists(KeyName),
    /// Somebody has or had the key.
    #[error("the key is an approver's already, or was")]
    KeyTaken,
    /// Only the first enrols itself.
    #[error("there are approvers already: one of them has to enrol the next")]
    NotFirst,
    /// The one who enrols is not in that group.
    #[error("`{by}` cannot put anybody into group `{group}`")]
    Group {
        /// Who enrols.
        by: KeyName,
        /// The group.
        group: String,
    },
    /// The one who enrols is nobody whose word counts.
    #[error("`{0}` is nobody whose word counts")]
    Unknown(String),
    /// There are too many.
    #[error("there are too many approvers")]
    Full,
    /// The state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What happens cannot be put on record, so it does not happen.
    #[error(transparent)]
    Audit(#[from] tagout_audit::AuditError),
}

impl EnrolTrouble {
    /// The stable codes that are this one's alone.
    pub const CODES: &[&str] = &[
        "approver-exists",
        "approver-full",
        "approver-group",
        "approver-not-first",
        "approver-unknown",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) | Self::KeyTaken => "approver-exists",
            Self::NotFirst => "approver-not-first",
            Self::Group { .. } => "approver-group",
            Self::Unknown(_) => "approver-unknown",
            Self::Full => "approver-full",
            Self::Store(error) => error.code(),
            Self::Audit(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Exists(_) => {
                "choose another name; a name is given once, so that records stay clear"
            }
            Self::KeyTaken => "each has a key of their own: one key is one person",
            Self::NotFirst => {
                "say by `--by NAME` who enrols, and have their passphrase typed; where nobody's word \
                 counts any more, list any approver's public key under `[approval] approvers` in the \
                 configuration, enrol the new one, and put their key in its place"
            }
            Self::Group { .. } => {
                "have somebody enrol them who is in it, or list their key with user and groups in \
                 the configuration, under `[approval] approvers`"
            }
            Self::Unknown(_) => "see `tagout approver list`",
            Self::Full => "a file holds 256, those that were revoked among them",
            Self::Store(error) => error.help(),
            Self::Audit(error) => error.help(),
        }
    }
}

impl Gateway {
    /// Everybody who was ever enrolled, and what their word is worth now.
    ///
    /// # Errors
    /// [`EnrolTrouble::Store`].
    pub fn approvers(&self) -> Result<Vec<Approver>, EnrolTrouble> {
        Ok(self.people()?.into_all())
    }

    /// Whether whoever comes next enrols themselves: nobody was ever enrolled, or the configuration
    /// lists whose word counts.
    ///
    /// # Errors
    /// [`EnrolTrouble::Store`].
    pub fn next_enrols_itself(&self) -> Result<bool, EnrolTrouble> {
        let people = self.people()?;
        let nobody_counts = people.counting().next().is_none();
        let listed = !self.config.approval.approvers.is_empty();
        Ok((listed && nobody_counts) || people.into_all().is_empty())
    }

    /// Enrols somebody, by the word of `by`, whose key signs it.
    ///
    /// # Errors
    /// See [`EnrolTrouble`].
    pub fn enrol(&self, new: &NewApprover, by: &ApproverSigner) -> Result<(), EnrolTrouble> {
        let listed = !self.config.approval.approvers.is_empty();
        let itself = *by.name() == new.name && by.public() == new.public;
        if !itself {
            let people = self.people()?;
            let counts = people.counts(by.name().as_str());
            let Some(counts) = counts.filter(|one| one.public == by.public()) else {
                return Err(EnrolTrouble::Unknown(by.name().to_string()));
            };
            if let Some(group) = new.groups.as_set().difference(&counts.groups).next() {
                let (by, group) = (by.name().clone(), group.clone());
                return Err(EnrolTrouble::Group { by, group });
            }
        }
        let now = self.clock.now();
        let mut stored = StoredApprover {
            number: 0,
            name: new.name.clone(),
            user: new.user.clone(),
            groups: new.groups.as_set().clone(),
            public: new.public.clone(),
            webhook: new.webhook,
            enrolled_by: String::new(),
            signature: String::new(),
            enrolled_at: now,
            revoked_at: None,
            seal: String::new(),
        };
        sign_enrolment(&mut stored, by);
        match self.store.enrol(stored, listed, |one| seal_of_approver(one, &self.seal))? {
            Enrolled::Kept => {}
            Enrolled::KeyTaken => return Err(EnrolTrouble::KeyTaken),
            Enrolled::NameTaken => return Err(EnrolTrouble::Exists(new.name.clone())),
            Enrolled::NotFirst => return Err(EnrolTrouble::NotFirst),
            Enrolled::Full => return Err(EnrolTrouble::Full),
        }
        let detail = format!("user {}, key {}, by {}", new.user, new.public, by.name());
        let noted = self.note_approver("approver-enrolled", &new.name, &detail);
        if noted.is_err() {
            // Who is not on record may not answer.
            self.end_enrolment(&new.name)?;
        }
        noted
    }

    /// Lets `name`'s word count no more.
    ///
    /// # Errors
    /// See [`EnrolTrouble`].
    pub fn revoke_approver(&self, name: &KeyName) -> Result<(), EnrolTrouble> {
        if !self.end_enrolment(name)? {
            return Err(EnrolTrouble::Unknown(name.to_string()));
        }
        self.note_approver("approver-revoked", name, "")
    }

    /// `false` where there is no such entry, or it is not one of a gateway: that counts for nothing
    /// as it is, and bears no gateway's code when this is done either.
    fn end_enrolment(&self, name: &KeyName) -> Result<bool, StoreError> {
        let mut all = self.store.approvers()?.into_iter();
        let one = all.find(|one| one.name == *name && one.revoked_at.is_none());
        let Some(one) = one.filter(|one| is_sealed(one, &self.seal)) else { return Ok(false) };
        let before = one.seal.clone();
        let mut revoked = StoredApprover { revoked_at: Some(self.clock.now()), ..one };
        revoked.seal = seal_of_approver(&revoked, &self.seal);
        self.store.revoke_approver(&revoked, &before)
    }

    fn note_approver(&self, event: &str, name: &KeyName, detail: &str) -> Result<(), EnrolTrouble> {
        let mut note = Note::new(self.clock.now(), event);
        note.principal = Some(&self.principal);
        note.subject = Some(name.as_str());
        note.detail = Some(detail).filter(|detail| !detail.is_empty());
        self.audit.note(&note, Durability::Disk)?;
        Ok(())
    }
}
