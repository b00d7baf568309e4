//! The one decision about a call: [`Policy::decide`] is total and pure.
//!
//! Rules are written in [Cedar](https://www.cedarpolicy.com). Deny is the default, a `forbid`
//! beats every `permit`, and a rule that cannot be evaluated denies.
//!
//! # Types
//! Rules are checked when they are read ([`Policy::load`]), against a schema made from what is
//! pinned ([`Surface`]): a rule that can never match is an error. A tool's arguments have the types
//! of its [`Shape`]; what does not fit them is denied, what is not declared is in
//! `context.undeclared`, so that nothing is lost.
//!
//! # Asking people
//! A rule that wants approval says so by `context.approved` or `context.approval`. The decision is
//! made without any; if that denies, it is made with more and more of them; the first that allows
//! is what the verdict [`Decision::Ask`] demands. [`Policy::allows`] has the last word, with
//! exactly what was [`Given`]. So adding a `forbid` never allows more, and removing a `permit`
//! never does, with one exception: a rule that fails denies, whether it is a `forbid` or a `permit`,
//! and taking the failing rule away takes that deny away.
//!
//! # What rules see
//! - `principal`: `User::"alice"`, in each `Group::"…"`; `authenticated_by`, `groups`.
//! - `action`: `Action::"server__tool"` in `Action::"call-tool"`, `"read-resource"`,
//!   `"fetch-prompt"`, `"complete"`, `"follow-task"`, or `"ask-client"` for what a server asks of a
//!   client.
//! - `resource`: `Tool::"server__tool"`, `Resource::"uri"`, `Prompt::"server__prompt"`,
//!   `Task::"server"` or `Question::"method"`, in `Server::"server"`; `server`, `name`, `effects`,
//!   `reviewed`, `labels`, `destinations`, `payloads`.
//! - `context`: `arguments`, `undeclared`, `approved`, `approval`, `history`, `now`, `address`,
//!   `client`, `transport`, `method`.
//!
//! The page `docs/policy.md` says it all, and its examples are tests.
mod asks;
mod check;
mod closed;
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
