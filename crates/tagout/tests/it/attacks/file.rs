//! An attack as it stands in its file.
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// An attack, and what it must meet.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attack {
    /// What is attempted, in a sentence.
    #[expect(dead_code, reason = "it is for whoever reads the file")]
    pub(super) what: String,
    /// The code that stops it: some step must meet it.
    pub(super) stops: String,
    /// The configuration; the servers are added to it.
    #[serde(default)]
    pub(super) config: String,
    /// Other files, by their path beside the configuration.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    /// What scripted servers do at first, as JSON.
    #[serde(default)]
    pub(super) servers: BTreeMap<String, String>,
    #[serde(default, rename = "step")]
    pub(super) steps: Vec<Step>,
    /// How often a tool was really called in the end, by `server/tool`.
    #[serde(default)]
    pub(super) reached: BTreeMap<String, usize>,
}

/// One thing that is done, and what must come of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Step {
    /// Runs the binary, away from any terminal.
    pub(super) run: Vec<String>,
    /// Runs the binary at a terminal…
    pub(super) at_terminal: Vec<String>,
    /// …where this is typed: what shows first, and then the line.
    pub(super) types: Vec<[String; 2]>,
    /// How it must end.
    pub(super) exit: i32,
    /// What it must print, somewhere.
    pub(super) says: String,

    /// Writes a file beside the configuration.
    pub(super) write: String,
    pub(super) text: String,
    /// Gives a server another script.
    pub(super) server: String,
    pub(super) script: String,
    /// Waits.
    pub(super) waits_ms: u64,
    /// Runs these statements on the state, as whoever can write it and cannot read the keys.
    pub(super) sql: Vec<String>,

    /// Calls a tool…
    pub(super) calls: String,
    /// …with these arguments, as JSON.
    pub(super) arguments: String,
    /// Or sends this frame, whose id is 900.
    pub(super) sends: String,
    /// As a client of 2026-07-28, in the conversation that it calls so.
    pub(super) conversation: String,
    /// What the card that came meanwhile must show.
    pub(super) card_shows: Vec<String>,
    /// In which session; it is opened by its first step.
    pub(super) session: String,
    /// In these at once: exactly one gets through, the others meet the code.
    pub(super) race: Vec<String>,
    /// What the client answers to forms, from now on: `approve` or `deny`; it has none otherwise.
    pub(super) elicits: String,
    /// The code of the refusal; none: it must get through.
    pub(super) code: String,
    /// Keeps a member of the refusal's data under a name, for `$NAME` in later steps.
    pub(super) keeps: BTreeMap<String, String>,
    /// Members that the result or the error's data must hold.
    pub(super) holds: BTreeMap<String, String>,
    /// Lists the tools: these are there…
    pub(super) lists: Option<Vec<String>>,
    /// Ends a session.
    pub(super) leaves: String,
}

impl Attack {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let attack: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let met = attack
            .steps
            .iter()
            .any(|step| step.code == attack.stops || step.says.contains(&attack.stops));
        if met { Ok(attack) } else { Err(format!("no step meets `{}`", attack.stops)) }
    }
}

/// JSON, with what is wrong where it is none.
pub(super) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}
