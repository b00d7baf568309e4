//! What a session may do.
use std::{path::PathBuf, sync::Arc, time::Duration};

use tagout_llm::{Facts, Planner, Provider};
use tokio_util::sync::CancellationToken;

use crate::AllowList;

/// What a session may do, and how long it waits.
#[derive(Clone)]
pub struct Options {
    /// What proposes calls and writes answers.
    pub provider: Arc<dyn Provider>,
    /// What is known of it; its price is needed for a limit on cost.
    pub facts: Option<Facts>,
    /// The tools that may be shown and called.
    pub allow: AllowList,
    /// The operator's own instructions, before which the host puts its own. No server and no model
    /// adds to them.
    pub instructions: Option<String>,
    /// How much one question may take.
    pub limits: Limits,
    /// How long the handshake and each page of a list may take.
    pub connect_timeout: Duration,
    /// How long one call may take, a person's approval included.
    pub call_timeout: Duration,
    /// How long the provider may take for one turn.
    pub turn_timeout: Duration,
    /// Cancelled to stop the question that is being worked on. Open calls are cancelled.
    pub stop: CancellationToken,
    /// The name of the conversation to go on with; a new one each time where there is none.
    pub conversation: Option<String>,
    /// Whether a person is there whom [`crate::Ui`] can ask. If not, the gateway is told so, and
    /// asks nobody through the host.
    pub attended: bool,
    /// Folders that servers are told of when they ask for roots; if none, servers are told that
    /// there are none to ask for.
    pub roots: Vec<PathBuf>,
    /// What the canary and the delimiters of results are made from. Random, except where a
    /// conversation is to be the same again, byte for byte.
    pub seed: [u8; 32],
}

/// How much one question may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// How many turns.
    pub rounds: usize,
    /// How many calls in all.
    pub calls: usize,
    /// How many calls one turn may hold; the rest are answered with an error.
    pub calls_per_round: usize,
    /// How many tokens, read and written, in all turns.
    pub tokens: Option<u64>,
    /// What all turns may cost, in US dollars at list prices.
    pub cost_usd: Option<f64>,
    /// How long it may take, people's thinking left out.
    pub time: Duration,
}

impl Default for Limits {
    /// 8 rounds of 8 calls, 32 calls in all, 15 minutes.
    fn default() -> Self {
        Self {
            rounds: 8,
            calls: 32,
            calls_per_round: 8,
            tokens: None,
            cost_usd: None,
            time: Duration::from_secs(900),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new(Arc::new(Planner::new()))
    }
}

impl Options {
    /// The usual limits with `provider`: 10 s to connect, 330 s for a call (five minutes for a
    /// person to decide, and half a minute to run), 120 s for a turn.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        let mut seed = [0; 32];
        // Without randomness the canary is one that somebody could guess, and no more than that.
        if let Err(error) = getrandom::fill(&mut seed) {
            tracing::error!(%error, "there is no randomness");
        }
        Self {
            provider,
            facts: None,
            allow: AllowList::default(),
            instructions: None,
            limits: Limits::default(),
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(330),
            turn_timeout: Duration::from_secs(120),
            stop: CancellationToken::new(),
            conversation: None,
            attended: false,
            roots: Vec::new(),
            seed,
        }
    }
}
