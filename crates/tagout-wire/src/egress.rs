//! What may leave: where connections go, and the forward proxy that sandboxed servers go through.
//!
//! - [`Class`]: what an address is for, by tables.
//! - [`Guard`]: resolves a name once, looks at every address, and keeps what it found. It stands before
//!   the proxy's connections and before those of [`crate::http::Client`].
//! - [`Allow`]: which hosts and ports a server may reach.
//! - [`Proxy`]: CONNECT and plain HTTP, with bounds; one [`Connection`] is reported per connection.
mod address;
mod allow;
mod begun;
pub mod danger;
mod dial;
mod guard;
mod head;
mod hello;
mod host;
mod meter;
mod plain;
mod proxy;
mod report;
mod tunnel;

pub use address::{Class, Standing};
pub use allow::{Allow, AllowError, Permit};
pub(crate) use dial::{Unanswered, dial};
pub use guard::{Denied, Guard, Looked, Resolve};
pub use head::{Head, HeadError, Wish};
pub use hello::{Hello, HelloError};
pub use host::{Host, HostError};
pub use meter::{Budget, EgressBounds};
pub use proxy::{Proxy, Report};
pub use report::{Bound, Connection, Kind, Late, Refused};
