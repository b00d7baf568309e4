//! The stages of a call. Each owns its product: fields and constructors are private to the stage's
//! own file, so the only way to hold an [`approve::Authorised`] is to have gone through every stage
//! before it.
pub mod approve;
pub(crate) mod ask;
pub mod decide;
pub mod forward;
pub mod identify;
pub mod inspect;
pub mod receive;
pub mod record;
pub mod screen;
