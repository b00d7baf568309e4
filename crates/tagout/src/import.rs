//! Servers of other programs' files, as entries of one's own configuration. Reads only: nothing
//! that a file says is started, and what it calls a secret is not copied.
mod dialect;
mod entry;
mod name;
mod value;

pub(crate) use dialect::{Source, servers};
pub(crate) use entry::{Entry, Taken, What, taken};
pub(crate) use name::fitting;
