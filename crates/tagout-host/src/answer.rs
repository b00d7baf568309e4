//! What a question came to.
use serde::Serialize;
use serde_json::Value;
use tagout_llm::{Candidate, Image, MissingSlot, ProviderInfo};

use crate::{Outcome, Refused};

/// What a question came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// How it ended.
    pub status: Status,
    /// The text for people, raw.
    pub text: String,
    /// What wrote it.
    pub model: ProviderInfo,
    /// The images that the tools returned, in order.
    pub images: Vec<Image>,
    /// Every call that was proposed, in order.
    pub calls: Vec<CallReport>,
    /// The values that are missing, for [`Status::NeedsInput`].
    pub missing: Vec<MissingSlot>,
    /// The tools to choose from, for [`Status::NeedsChoice`].
    pub choices: Vec<Candidate>,
    /// How many turns it took.
    pub rounds: usize,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// With an answer; a refused or failed call may be what it tells.
    Complete,
    /// No tool fits; the text lists the tools that there are.
    NoToolFits,
    /// Values are missing and nobody could be asked.
    NeedsInput,
    /// Several tools fit and nobody chose.
    NeedsChoice,
    /// The limit on rounds was reached.
    RoundLimit,
    /// The limit on calls was reached.
    CallLimit,
    /// The limit on tokens was reached.
    TokenLimit,
    /// The limit on cost was reached.
    CostLimit,
    /// The limit on time was reached.
    TimeLimit,
    /// The model made the same call again and again.
    Repeating,
    /// The model tried to hand its instructions to a tool.
    CanaryFound,
    /// The provider's own limit on length cut the answer.
    CutShort,
    /// The model declined.
    Declined,
    /// The person stopped it.
    Cancelled,
}

/// A proposed call and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallReport {
    /// The call's identifier in the conversation.
    pub id: String,
    /// The tool's name.
    pub tool: String,
    /// The exact arguments; as the provider wrote them, as a string, if that is not JSON, has a key
    /// twice in one object, or a number that cannot be held exactly.
    pub arguments: Value,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took, in milliseconds, approval included.
    pub elapsed_ms: u64,
}

impl Answer {
    /// The last call that the gateway refused, if any.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refused> {
        self.calls.iter().rev().find_map(|call| match &call.outcome {
            Outcome::Refused(refused) => Some(refused),
            Outcome::Returned(_) | Outcome::Failed(_) => None,
        })
    }
}
