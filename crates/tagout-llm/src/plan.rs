//! How a proposal came about, for people to check.
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a provider proposes what it proposes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What made this plan: `no language model: rule-based planner`.
    pub made_by: String,
    /// One sentence for people.
    pub summary: String,
    /// The tool that the plan settled on, if it did.
    pub tool: Option<String>,
    /// Which argument got which value, and from which words.
    pub bindings: Vec<Binding>,
    /// Optional arguments that the question says nothing about and that are not sent.
    pub left_out: Vec<String>,
    /// Figures and identifiers in the question that no argument took.
    pub unused: Vec<Source>,
    /// The tools that were weighed, best first, at most five.
    pub considered: Vec<Candidate>,
}

/// One argument's value and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Binding {
    /// The argument's path in the arguments, such as `weather_data.temp_c`.
    pub path: String,
    /// Its value as sent.
    pub value: Value,
    /// The words it was taken from.
    pub source: Source,
    /// The rule that took it.
    pub by: BoundBy,
    /// How the value was changed on the way, such as `100 °F = 37.8 °C`.
    pub conversion: Option<String>,
}

/// Words of the question, or of a later answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The words.
    pub text: String,
    /// Where they start in the question, in bytes; `None` for a value supplied later.
    pub start: Option<usize>,
}

/// The rule that bound an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundBy {
    /// A word has the form that the schema's `pattern` demands.
    Pattern,
    /// The words name one of the allowed values.
    AllowedValue,
    /// A figure has the argument's unit, or one that converts to it.
    Unit,
    /// The only figure for the only missing number.
    OnlyNumber,
    /// The words name a yes-or-no argument.
    Words,
    /// A date.
    Date,
    /// Quoted, or a path.
    Quoted,
    /// Written as `name=value`.
    Named,
    /// Given when asked.
    Supplied,
    /// The schema allows nothing else.
    Constant,
}

/// A tool that was weighed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The tool's name.
    pub tool: String,
    /// Its title, or its name in words.
    pub title: String,
    /// BM25 plus three times the share of required arguments that could be filled.
    pub score: f64,
    /// Whether it is good enough to be proposed.
    pub fits: bool,
    /// The words of the question that spoke for it.
    pub matched: Vec<String>,
}

/// A value that a call needs and the question does not give.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissingSlot {
    /// The tool that needs it.
    pub tool: String,
    /// The argument's path, such as `weather_data.temp_c`.
    pub path: String,
    /// What it is, from the schema.
    pub description: Option<String>,
    /// What it must look like, in words: `a number from -60 to 60 in °C`.
    pub constraint: String,
    /// The values to choose from, if they are few.
    pub allowed: Vec<String>,
    /// Why it is asked for if it is not simply absent: out of range, or several in the question.
    pub problem: Option<String>,
}

/// A value that the person gave for a [`MissingSlot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppliedValue {
    /// [`MissingSlot::tool`].
    pub tool: String,
    /// [`MissingSlot::path`].
    pub path: String,
    /// As typed; units are understood as in a question.
    pub text: String,
}
