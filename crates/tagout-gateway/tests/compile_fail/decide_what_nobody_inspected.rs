//! Policy does not decide about a call that was not inspected.
use tagout_gateway::stage::{decide::decide, identify::Identified};
use tagout_policy::Policy;

fn skip(identified: Identified, policy: &Policy) {
    drop(decide(identified, policy));
}

fn main() {}
