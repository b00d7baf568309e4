//! The gateway: the pipeline that every call travels, and what it needs on its way.
//!
//! Read `pipeline.rs` first: it is one file and reads as prose.
pub mod approval;
pub mod config;
mod gateway;
pub mod identity;
pub mod inventory;
pub mod keys;
mod lane;
pub mod lockfile;
pub mod pin;
mod pipeline;
pub mod refusal;
mod serve;
mod session;
pub mod stage;
mod upstream;

pub use gateway::{Clock, Gateway, OpenError, Parts};
pub use refusal::Refusal;
pub use session::Session;
pub use upstream::{Catalogue, Offer, Program, Standing, Tool, Upstream, UpstreamError, start_of};
