//! The binary as its users see it: what it prints, what it leaves in files, how it ends.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it fails, also in what its tests share"
)]
mod add;
mod approval;
mod ask;
mod assertion;
mod attacks;
mod audit;
mod chat;
mod clients;
mod complaints;
mod configuration;
mod consent;
mod crash;
mod cves;
mod examples;
mod exit_codes;
mod fresh;
mod host;
mod import;
mod keys;
mod live_secrets;
mod local;
mod lock;
mod mcp_client;
mod models;
mod place;
mod planner;
mod policy;
mod privacy;
mod quarantine;
mod redacted;
mod secrets;
mod sessions;
mod sessions_asked;
mod shipped;
mod supply;
mod tamper;
mod terminal;
mod tools;
mod trace;
