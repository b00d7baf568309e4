//! What stands between what a model says and what is done: it can be led astray by anything that
//! it reads.
mod budget;
mod concern;
mod instructions;
mod present;
mod repair;
mod repeat;
mod shelf;

pub use concern::Concern;
pub(crate) use {
    budget::Budget,
    concern::{Seen, concerns},
    instructions::Instructions,
    present::presented,
    repair::repair,
    repeat::Repeats,
    shelf::{READ_ON, Shelf},
};
