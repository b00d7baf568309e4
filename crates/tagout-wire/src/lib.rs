//! Transports: how frames travel. Knows nothing of what they say.
//!
//! Here so far: frames as lines over any byte stream, which is MCP's stdio transport, and the same
//! over memory.
mod lines;

pub use lines::{Incoming, Outgoing, Room, WireError, outgoing};
