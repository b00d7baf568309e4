//! What is looked at in calls, results and definitions.
//!
//! Pure: no I/O, no runtime, no models.
pub mod characters;
pub mod definition;
pub mod live;
pub mod lookalike;
pub mod redact;
pub mod schema;
pub mod screen;
pub mod shadowing;
