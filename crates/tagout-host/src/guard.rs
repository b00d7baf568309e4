//! What stands between what a model says and what is done: it can be led astray by anything that
//! it reads.
mod budget;
mod clock;
mod concern;
mod instructions;
mod origin;
mod picture;
mod present;
mod repair;
mod repeat;
mod shelf;
mod token;
mod veil;

pub use concern::Concern;
pub(crate) use {
    budget::{Budget, Owed},
    clock::Timed,
    concern::{Looking, Seen},
    instructions::Instructions,
    origin::{by_host, by_prompt},
    picture::sound,
    present::{presented, says},
    repair::repair,
    repeat::Repeats,
    shelf::{READ_ON, read, tool as reading_tool},
    veil::Veil,
};
