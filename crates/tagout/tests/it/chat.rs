//! The assistant at a terminal: somebody types, a model answers as a script says, and what the
//! screen shows is looked at.
mod approve;
mod commands;
mod hostile;
mod once;
mod pictures;
mod screens;
mod servers;
mod sessions;
pub(crate) mod stand_in;
mod stop;
pub(crate) mod talk;
