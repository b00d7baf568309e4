//! A call that nobody looked at cannot be passed off as inspected.
use tagout_gateway::stage::{identify::Identified, inspect::Inspected};

fn forge(identified: Identified, arguments: serde_json::Value) -> Inspected {
    Inspected { identified, arguments }
}

fn main() {}
