//! Models: from `PROVIDER:MODEL` and the configuration to something that answers.
mod chosen;
mod key;
mod metered;
mod network;
mod recorded;
mod table;

pub(crate) use chosen::{choose, provider};
pub(crate) use key::{Standing, standing};
pub(crate) use metered::{Metered, cost, patience};
pub(crate) use table::providers;
