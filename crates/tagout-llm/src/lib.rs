//! One conversation model, the trait that every model provider implements, and the rule-based
//! planner that is the default when no model is configured.
//!
//! A provider turns a conversation and a list of tools into a [`Turn`]: text, proposed tool
//! calls, or a question back. It proposes; it never calls anything. What is proposed is untrusted
//! until [`arguments`] has checked it against the tool's own schema.
//!
//! Pure: no sockets, no clock, no runtime. What a model behind a network needs of the world is the
//! [`transport`] module's two traits; [`wire`] has one file per family of providers, [`providers`]
//! the table of who speaks what.

pub mod arguments;
mod assembly;
pub mod catalogue;
pub mod conversation;
pub mod error;
mod frames;
pub mod model;
mod names;
mod offer;
pub mod plan;
pub mod planner;
pub mod provider;
pub mod providers;
pub mod remote;
mod retry;
mod schema;
pub mod script;
pub mod settings;
pub mod stream;
mod talk;
pub mod tape;
pub mod transport;
mod trouble;
pub mod wire;

pub use arguments::{BadArguments, BadSchema, InputSchema, read as read_arguments};
pub use catalogue::{Catalogue, Entry, Facts};
pub use conversation::{Image, Message, Part, ProviderState, Role, ToolCall, ToolResult, ToolSpec};
pub use error::ProviderError;
pub use model::{BadModelId, ModelId};
pub use plan::{Binding, BoundBy, Candidate, MissingSlot, Plan, Source, SuppliedValue};
pub use planner::Planner;
pub use provider::{Provider, ProviderInfo, Stop, Turn, TurnFuture, TurnRequest, Usage};
pub use providers::{BadProvider, KeyRef, Providers, Row, WrittenProvider};
pub use remote::{Reach, Remote};
pub use script::Script;
pub use settings::Settings;
pub use stream::{Sink, StreamEvent, Unheard};
pub use wire::{Dialect, Wire};
