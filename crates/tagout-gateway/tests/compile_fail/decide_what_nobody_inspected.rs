//! Policy does not decide about a call that was not inspected.
use std::sync::Arc;

use tagout_gateway::{
    Clock,
    stage::{decide::decide, identify::Identified},
};
use tagout_policy::Policy;

fn skip(identified: Identified, policy: &Arc<Policy>, clock: &Clock) {
    drop(decide(identified, policy, clock));
}

fn main() {}
