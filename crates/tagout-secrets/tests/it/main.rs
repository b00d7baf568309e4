//! Where secrets are kept and fetched, from outside: files that another program sealed, keepers on
//! loopback, and time that stands still.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it fails, also in what its tests share"
)]
mod age;
mod aws;
mod sigv4;
mod store;
mod vault;
mod world;
