//! Where a server's program comes from: which package it is, what of it is pinned, who released it.
//!
//! Everything here works on what it is handed: no network, and no process but through a
//! [`Runner`]. Attestations are verified offline, against a trust root that comes with the program.
mod attestation;
mod bundle;
mod certificate;
mod der;
mod install;
mod key;
mod launch;
mod log;
mod time;
mod timestamp;
mod tree;
mod trust;

pub use attestation::{
    Artefact, MOST_BYTES as MOST_ATTESTATION_BYTES, Provenance, Publisher, bundle, npm, npm_url,
    python,
};
pub use install::{
    Attested, InstallError, Installed, Order, Pending, Runner, Said, Store, install, newest,
};
pub use launch::{Ecosystem, Launch, Package, Unfit, Unpinned, launch, starts};
pub use tree::{LIST, TreeError, seal, store_of, verify};
pub use trust::{BadTrustRoot, TrustRoot};

/// Why an attestation does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is not of the format.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// It is of a kind that this Tagout does not know.
    #[error("{0} is not known here")]
    Unknown(&'static str),
    /// The certificate, or the key.
    #[error("its certificate does not hold: {0}")]
    Certificate(&'static str),
    /// The signature.
    #[error("its signature does not hold")]
    Signature,
    /// The log.
    #[error("the transparency log does not confirm it: {0}")]
    Log(&'static str),
    /// The time.
    #[error("when it was signed is not shown: {0}")]
    Time(&'static str),
    /// It is about something else.
    #[error("it is about something else")]
    Subject,
}
