//! The gateway: the pipeline that every call travels, and what it needs on its way.
//!
//! Read `pipeline.rs` first: it is one file and reads as prose.
#![recursion_limit = "256"]

pub mod approval;
pub mod assertion;
mod blocking;
mod capabilities;
mod clients;
pub mod config;
pub mod consent;
pub mod egress;
mod exchange;
mod facts;
mod gateway;
mod history;
pub mod http;
pub mod identity;
pub mod inventory;
pub mod key_file;
pub mod keys;
mod lane;
pub mod limits;
pub mod lockfile;
mod news;
mod parked;
pub mod pin;
mod pipeline;
mod policies;
pub mod policy_tools;
pub mod privacy;
mod quarantine;
pub mod refusal;
pub mod reload;
pub mod said;
pub mod secrets;
mod serve;
mod session;
mod shadow;
pub mod stage;
pub mod state;
mod task;
pub mod told;
mod upstream;

pub use gateway::{Clock, Gateway, OpenError, Parts};
pub use refusal::Refusal;
pub use session::Session;
pub use upstream::{
    Catalogue, Guarded, Offer, Program, Quarantine, Standing, Tool, Upstream, UpstreamError,
    decides_what_runs, isolate, start_of,
};
