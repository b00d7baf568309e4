//! The gateway: the pipeline that every call travels, and what it needs on its way.
//!
//! Read `pipeline.rs` first: it is one file and reads as prose.
#![recursion_limit = "256"]

pub mod approval;
mod capabilities;
mod clients;
pub mod config;
mod exchange;
mod facts;
mod gateway;
mod history;
pub mod http;
pub mod identity;
pub mod inventory;
pub mod keys;
mod lane;
pub mod lockfile;
mod news;
mod parked;
pub mod pin;
mod pipeline;
mod policies;
pub mod refusal;
mod serve;
mod session;
pub mod stage;
pub mod state;
mod task;
mod upstream;

pub use gateway::{Clock, Gateway, OpenError, Parts};
pub use refusal::Refusal;
pub use session::Session;
pub use upstream::{Catalogue, Offer, Program, Standing, Tool, Upstream, UpstreamError, start_of};
