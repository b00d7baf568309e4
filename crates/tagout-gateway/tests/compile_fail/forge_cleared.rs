//! An authorised call cannot be cleared without being on record.
use tagout_gateway::stage::{approve::Authorised, record::Cleared};

fn forge(authorised: Authorised) -> Cleared {
    Cleared { authorised, record: None }
}

fn main() {}
