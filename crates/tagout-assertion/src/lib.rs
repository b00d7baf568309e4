//! The signed statement that tells a server who is calling: made by the gateway, verified by
//! servers.
//!
//! A compact JSON Web Token (RFC 7519) signed with Ed25519 (RFC 8037), good for one call to one
//! server. It travels in `params._meta["tagout/assertion"]`.
//!
//! Pure: time, random numbers and keys are handed in.
//!
//! # For servers
//! ```
//! use tagout_assertion::{Call, PublicKey, SeenOnce, Verifier, digest_of_json};
//!
//! # fn serve(jwks: &str, token: &str, now: i64) -> Result<(), Box<dyn std::error::Error>> {
//! // Once: the key set that `tagout key assertion` prints, and the name that the gateway's
//! // configuration gives this server.
//! let verifier = Verifier::new(PublicKey::set_of_jwks(jwks)?, "files");
//! let mut seen = SeenOnce::default();
//! // For every call: what was called, with the arguments as they came, and the time in seconds
//! // since 1970.
//! let call = Call {
//!     method: "tools/call",
//!     tool: Some("write_file"),
//!     arguments: digest_of_json(r#"{"path":"notes/today.md"}"#)?,
//! };
//! let claims = verifier.verify(token, &call, now, &mut seen)?;
//! println!("{} calls", claims.user);
//! # Ok(())
//! # }
//! ```

mod arguments;
mod claims;
mod error;
mod key;
mod seen;
mod verify;

pub use arguments::{digest_of, digest_of_json, in_canonical_form};
pub use claims::{ApprovedBy, Claims, LIFETIME_S};
pub use error::{AssertionError, BadKeySet};
pub use key::{PublicKey, Signer};
pub use seen::{NotNew, Seen, SeenOnce};
pub use verify::{Call, Verifier};

/// The key of `_meta` under which the statement travels.
pub const META_KEY: &str = "tagout/assertion";

/// The token's type, which no other kind of token has.
pub const TYPE: &str = "tagout-assertion+jwt";
