//! The policy at its boundary: facts in, verdicts out.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
mod approvals;
mod call;
mod context;
mod explain;
mod loading;
mod page;
mod profiles;
mod properties;
mod shapes;
mod typed;
