//! HTTP/1.1 on both sides, with or without TLS.
//!
//! **Server**: bind a [`Listener`], [`serve`] it with a [`Handler`]. Every connection is one task;
//! requests cost none. What is refused before the handler sees anything is decided by [`Access`].
//!
//! **Client**: [`Client::send`] gives an [`Answer`], whose [`Body`] is read in the caller's own
//! task. There is no task behind a connection, so that dropping a future or a body closes it at
//! once.
//!
//! Before every connection stands a [`crate::egress::Guard`]. Redirects are not followed and proxies
//! not used; there is no HTTP/2 and no compression.
mod access;
mod body;
mod client;
mod connect;
mod error;
mod line;
mod listen;
mod load;
mod places;
mod pool;
mod request;
mod response;
mod socket;
mod strangers;
mod tls;
mod vet;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
pub use access::{Access, AccessError};
pub use body::{Body, Events};
pub use client::{Answer, Client, ClientOptions, Roots};
pub use error::HttpError;
pub use listen::{Handler, ListenError, Listener, ServerLimits, serve};
pub use request::{BodyError, Request};
pub use response::Response;
pub use tls::{Tls, TlsError};
pub use vet::{Ends, Vet, Vetted};
