//! What a terminal is shown, and what is asked there.
//!
//! Everything that models, tools and servers say goes through [`printable`] or a [`Cleaner`] first.
//! All escape sequences that a terminal gets are made here.
mod ask;
mod card;
mod editor;
mod hush;
mod markdown;
pub mod pictures;
mod printable;
mod progress;
mod prose;
mod screen;
mod style;
mod table;
mod wrap;

pub use ask::{Answered, Asked, Waiting, Withdrawn, ask_line, withdrawal};
pub use card::{Card, Tone, paint};
pub use editor::{Candidate, Complete, Editor, Read};
pub use hush::Hush;
pub use markdown::{Markdown, render};
pub use printable::{Cleaner, printable};
pub use progress::{Progress, Status};
pub use prose::{listing, rows};
pub use screen::{Pictures, Screen, Size, UnknownPictures};
pub use table::table;
