//! Models: from `PROVIDER:MODEL` and the configuration to something that answers.
mod chosen;
mod consent;
mod key;
mod local;
mod metered;
mod network;
mod recorded;
mod table;

pub(crate) use chosen::{Chosen, choose, chosen, provider};
pub(crate) use consent::{Consent, agreed, recipient_of};
pub(crate) use key::{Standing, standing};
pub(crate) use local::{ModelFile, measured, named};
pub(crate) use metered::{Metered, Total, cost, patience};
pub(crate) use table::providers;
