//! An authorisation cannot be made up.
use tagout_gateway::stage::{approve::Authorised, decide::Decided};

fn forge(decided: Decided) -> Authorised {
    Authorised { decided, approval: None }
}

fn main() {}
