//! The strict reader at its boundary.
mod bombs;
mod corpus;
mod frames;
mod names;
mod properties;
mod secret;
