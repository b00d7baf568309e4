//! The `[shadow]` part: rules that are asked beside those that hold, and not heeded.
use std::path::PathBuf;

use tagout_policy::Profile;

use super::Reader;

/// Rules on trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Their folder.
    pub policies: PathBuf,
    /// The rules that ship with Tagout and are to apply with them.
    pub profile: Profile,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenShadow {
    policies: PathBuf,
    profile: Option<Profile>,
}

impl Reader<'_> {
    /// Without a profile of their own, rules are on trial with the one that holds.
    pub(super) fn shadow(&self, written: WrittenShadow, profile: Profile) -> Shadow {
        let policies = self.folder.join(written.policies);
        Shadow { policies, profile: written.profile.unwrap_or(profile) }
    }
}
