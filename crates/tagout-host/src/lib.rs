//! The agent loop: a question goes to a model provider, the calls that it proposes go to the
//! gateway, and nowhere else; their results go back until there is an answer.
//!
//! The host starts no process and opens no connection. It is handed one byte stream, behind which
//! the gateway sits, so that there is no second way to a tool.
//!
//! Model output is untrusted: a call to a tool that is not on the session's allow-list, or with
//! arguments that its schema does not take, is never sent; what looks odd reaches the approver with
//! the reason. Every proposed call gets exactly one result, also when it was refused, cancelled or
//! lost.
//!
//! What is sent to the gateway as a call is a `Checked`, and only `dispatch.rs` makes one. Nobody
//! else can name it, let alone make it:
//!
//! ```compile_fail,E0603
//! fn around(checked: tagout_host::dispatch::Checked) {}
//! ```

mod allow;
mod answer;
mod ask;
mod call;
mod client;
mod dispatch;
mod error;
mod event;
mod guard;
mod journal;
mod options;
mod outcome;
mod primitives;
mod question;
mod session;
mod turn;
mod ui;
mod under_way;

pub use allow::{AllowList, BadPattern};
pub use answer::{Answer, CallReport, Status};
pub use error::HostError;
pub use event::Event;
pub use guard::Concern;
pub use journal::{Journal, JournalError, Said, SaidCall, SaidResult, Unkept, What};
pub use options::{Limits, Options};
pub use outcome::{Decision, Failed, Failure, Outcome, Refused, Returned, Verdict};
pub use primitives::{
    Field, FieldKind, FieldOption, FieldProblem, PromptArgumentSpec, PromptSpec, Reference,
    ResourceSpec, TemplateSpec, TextFormat,
};
pub use question::{Attached, Question};
pub use session::{Peer, Session};
pub use ui::{
    Another, ApprovalAnswer, ApprovalCard, ApprovalScope, Asking, Form, FormAnswer, Nobody,
    Sampled, Sampling, SamplingAnswer, Ui, Visit, VisitAnswer,
};

/// What the host calls itself as a client of the gateway.
pub const CLIENT: &str = "tagout-host";
