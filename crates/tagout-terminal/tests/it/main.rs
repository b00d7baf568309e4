//! What stands on a terminal in the end.
mod glass;

mod corpus;
mod hostile;
mod markdown;
