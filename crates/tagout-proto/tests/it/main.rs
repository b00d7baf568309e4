//! The strict reader at its boundary.
mod corpus;
mod frames;
mod names;
mod properties;
mod secret;
