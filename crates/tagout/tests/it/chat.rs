//! The assistant at a terminal: somebody types, a model answers as a script says, and what the
//! screen shows is looked at.
mod approve;
mod commands;
mod hostile;
mod once;
mod pictures;
mod sessions;
mod servers;
pub(crate) mod stand_in;
mod stop;
pub(crate) mod talk;
