//! Where connections go, and the proxy.
mod address;
mod bounds;
mod data;
mod greeting;
mod guard;
mod plain;
pub(crate) mod stand_in;
mod strict;
mod tunnel;
