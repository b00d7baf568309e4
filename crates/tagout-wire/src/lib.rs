//! Transports: how frames travel. Knows nothing of what they say.
//!
//! - Frames as lines over any byte stream, which is MCP's stdio transport, and the same over memory.
//! - [`http`]: HTTP/1.1, with TLS, on both sides.
//! - [`egress`]: where connections may go, and the proxy for those who may not go by themselves.
//! - [`sse`]: event streams, in which HTTP answers carry frames.
//! - [`header_value`]: how text travels in a header of MCP's.
pub mod egress;
pub mod header_value;
pub mod http;
mod lines;
pub mod sse;

pub use lines::{Incoming, Outgoing, Room, WireError, outgoing};
