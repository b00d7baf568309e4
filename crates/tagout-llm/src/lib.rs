//! One conversation model, the trait that every model provider implements, and the rule-based
//! planner that is the default when no model is configured.
//!
//! A provider turns a conversation and a list of tools into a [`Turn`]: text, proposed tool
//! calls, or a question back. It proposes; it never calls anything. What is proposed is untrusted
//! until [`arguments`] has checked it against the tool's own schema.
//!
//! Pure so far: no sockets, no clock, no runtime. Providers that need a network arrive as one
//! dialect file per API family behind the same [`Provider`] trait.

pub mod arguments;
pub mod conversation;
pub mod model;
pub mod plan;
pub mod planner;
pub mod provider;

pub use arguments::{BadArguments, BadSchema, InputSchema};
pub use conversation::{Image, Message, Part, Role, ToolCall, ToolResult, ToolSpec};
pub use model::{BadModelId, ModelId, UnknownModel, open};
pub use plan::{Binding, BoundBy, Candidate, MissingSlot, Plan, Source, SuppliedValue};
pub use planner::Planner;
pub use provider::{
    Provider, ProviderError, ProviderInfo, Stop, Turn, TurnFuture, TurnRequest, Usage,
};
