//! What the tests of the other crates are made of: peers that behave badly on request, a terminal
//! to sit at, and golden transcripts.
//!
//! - [`Script`] says how the `scripted-server` program behaves; [`program`] finds that program.
//! - [`Pty`] drives a command on a pseudo-terminal of its own.
//! - [`Transcript`] plays what a client sends and compares what comes back; [`HttpTranscript`] does
//!   so over HTTP, for any number of clients.
//! - [`Keeper`] stands in for a keeper of secrets over HTTP.
//!
//! Nothing here knows the gateway.

pub mod http_transcript;
pub mod keepers;
mod programs;
pub mod pty;
pub mod script;
pub mod server;
pub mod transcript;

pub use http_transcript::HttpTranscript;
pub use keepers::Keeper;
pub use programs::program;
pub use pty::Pty;
pub use script::{Script, Step};
pub use transcript::Transcript;
