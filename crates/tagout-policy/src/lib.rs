//! The one decision about a call: [`Policy::decide`] is total and pure.
//!
//! Rules are written in [Cedar](https://www.cedarpolicy.com). Deny is the default, a `forbid`
//! beats every `permit`, and a rule that cannot be evaluated denies.
//!
//! # Asking a person
//! A rule that wants a person's approval says so by `context.approved`. The decision is made with
//! it false; if that denies, it is made again with it true; if that allows, the verdict is
//! [`Decision::Ask`]. So adding a `forbid` never allows more, and removing a `permit` never does.
//!
//! # What rules see
//! - `principal`: `User::"alice"`, in each `Group::"…"`; `principal.authenticated_by`.
//! - `action`: `Action::"call-tool"`, `"read-resource"`, `"fetch-prompt"`, `"complete"`,
//!   `"follow-task"`, or `"ask-client"` for what a server asks of a client.
//! - `resource`: `Tool::"server__tool"`, `Resource::"uri"`, `Prompt::"server__prompt"`,
//!   `Task::"server"` or `Question::"method"`, in `Server::"server"`; `resource.server`, `resource.name`, `resource.effects` (a set of strings),
//!   `resource.reviewed`.
//! - `context`: `approved`, `client`, `transport`, and `arguments`, the whole argument object.
//!   Cedar has integers of 64 bits, strings, truth values, records and sets. A whole number is an
//!   integer however it is written (`5.0` is `5`); any other is a record `{number: "1.5"}`; `null`
//!   is `{null: true}`; an array is a set. Of a resource the arguments are `{uri: …}`, of a
//!   completion what is to be completed.
mod asks;
mod check;
mod decide;
mod effects;
mod evaluate;
mod explain;
mod facts;
mod known;
mod ladder;
mod load;
mod look;
mod names;
mod prepared;
mod profile;
mod request;
mod schema;
mod shape;
mod surface;
mod time;
mod value;

pub use decide::{Decision, Verdict};
pub use effects::{Effect, Effects};
pub use explain::{Alteration, Change, Explanation, RuleEffect, RuleSaid};
pub use facts::{Arguments, Facts, Given, History, Labels, Subject, SubjectKind};
pub use load::{Policy, PolicyError, Source};
pub use profile::Profile;
pub use shape::{Field, Shape, ShapeError};
pub use surface::{Surface, SurfaceTool};
