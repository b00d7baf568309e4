//! JSON-RPC and MCP messages, and the strict reader that everything from outside goes through.
//!
//! Pure: no sockets, no clock, no runtime.

mod canonical;
pub mod digest;
pub mod frame;
pub mod limits;
pub mod method;
pub mod names;
pub mod principal;
mod protocol_keys;
pub mod reader;
pub mod revision;
pub mod secret;
pub mod value;

pub use digest::Digest;
pub use frame::{Frame, FrameError, Id, Message};
pub use limits::Limits;
pub use method::{Action, Method};
pub use names::{BadName, ServerName, ToolName, qualified};
pub use principal::{Conversation, Origin, Principal};
pub use reader::{Document, ReadError};
pub use revision::Revision;
pub use secret::Secret;
pub use value::{Inexact, Kind, Value, quoted};
