//! Where secrets are kept and fetched: Tagout's own store, an age-encrypted file; variables of the
//! environment; files; HashiCorp Vault; AWS Secrets Manager.
//!
//! Nothing here opens a connection or tells the time: both are handed in ([`World`]). No error
//! holds a secret, and what holds one is wiped when it is dropped.
pub mod age;
pub mod aws;
mod error;
mod fetch;
mod hidden;
mod local;
mod name;
mod source;
mod store;
mod transport;
pub mod vault;

pub use error::SecretError;
pub use fetch::Fetched;
pub use local::{LocalError, MOST_BYTES, read_file, read_variable};
pub use name::{BadName, SecretName};
pub use source::{NoSource, Source, VaultPath};
pub use store::{Kept, Stamp, Store, StoreError, Unlock};
pub use transport::{
    Answer, Clock, HeaderText, Request, Transport, TransportError, Waiting, World,
};
