//! What happens while a question is worked on, for whoever shows it.
use serde::Serialize;
use serde_json::Value;
use tagout_llm::{Candidate, MissingSlot, Plan, ProviderInfo, StreamEvent, Usage};

use crate::{Answer, Concern, Decision, Outcome};

/// One thing that happened. All text in it that comes from models and tools is raw: pass it
/// through `tagout_terminal::printable` before it reaches a terminal.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A question was taken up.
    Asked {
        /// As the person wrote it.
        question: String,
        /// What will answer it.
        model: ProviderInfo,
    },
    /// A piece of a turn while it comes: to be shown, not to be relied on.
    Streamed {
        /// The piece.
        piece: StreamEvent,
    },
    /// A turn is there, whole.
    Turned {
        /// Which round this is, from 1.
        round: usize,
        /// What it cost, where the provider counts.
        usage: Option<Usage>,
        /// What its reader should know.
        notes: Vec<String>,
    },
    /// The provider says how it came to what it proposes or asks.
    Planned {
        /// Which round this is, from 1.
        round: usize,
        /// The plan.
        plan: Plan,
    },
    /// The provider said something beside its calls.
    Said {
        /// Its words.
        text: String,
    },
    /// A value was asked for.
    Filled {
        /// What was asked for.
        slot: MissingSlot,
        /// What the person typed; `None` if nobody could be asked or the person declined.
        text: Option<String>,
    },
    /// A choice of tools was offered.
    Chosen {
        /// The tools.
        candidates: Vec<Candidate>,
        /// The name of the one that was chosen, if any.
        tool: Option<String>,
    },
    /// A call is about to be checked and sent to the gateway.
    Proposed {
        /// The call's identifier in this conversation.
        id: String,
        /// The tool's name.
        tool: String,
        /// The exact arguments; a string if the provider wrote something that is not JSON.
        arguments: Value,
    },
    /// Something is odd about a call's arguments; the gateway is told, too.
    Concerned {
        /// The call's identifier in this conversation.
        id: String,
        /// The tool's name.
        tool: String,
        /// What is odd.
        concerns: Vec<Concern>,
    },
    /// The call under way makes progress.
    Progress {
        /// The tool's name.
        tool: String,
        /// How much is done.
        done: f64,
        /// Of how much, where that is known.
        total: Option<f64>,
        /// In the server's words.
        message: Option<String>,
    },
    /// A server says something beside its answer.
    Logged {
        /// How grave it is, by the names of syslog.
        level: String,
        /// Who says it: the server that the request under way is about, or `tagout`.
        from: String,
        /// Which part of it, in the server's own words, on one line.
        logger: Option<String>,
        /// What, line by line. No line may look like one of whoever shows it.
        lines: Vec<String>,
    },
    /// The gateway's decision became known. Absent for a call that never reached the gateway.
    Decided {
        /// The call's identifier in this conversation.
        id: String,
        /// The tool's name.
        tool: String,
        /// What the gateway decided.
        decision: Decision,
    },
    /// A call has its result. Follows every `Proposed`, exactly once.
    Finished {
        /// The call's identifier in this conversation.
        id: String,
        /// The tool's name.
        tool: String,
        /// What came of it, images included.
        outcome: Outcome,
        /// How long it took, in milliseconds, approval included.
        elapsed_ms: u64,
    },
    /// The question has its answer, or it is known that it gets none.
    Answered {
        /// The answer.
        answer: Answer,
    },
}
