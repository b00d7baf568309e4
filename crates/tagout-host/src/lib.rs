//! The agent loop: a question goes to a model provider, the calls that it proposes go to the
//! gateway, and nowhere else; their results go back until there is an answer.
//!
//! The host starts no process and opens no connection. It is handed one byte stream, behind which
//! the gateway sits, so that there is no second way to a tool.
//!
//! Model output is untrusted: a call to an unknown tool, or with arguments that its schema does not
//! take, is never sent. Every proposed call gets exactly one result, also when it was refused,
//! cancelled or lost.

mod ask;
mod error;
mod event;
mod outcome;
mod printable;
mod session;

pub use ask::{Answer, CallReport, Status};
pub use error::HostError;
pub use event::{Event, Ui};
pub use outcome::{Decision, Failed, Failure, Outcome, Refused, Returned, Verdict};
pub use printable::printable;
pub use session::{Options, Peer, Session};
