//! A call that was begun ends once.
use tagout_gateway::{
    Refusal,
    stage::record::{Begun, Recorded},
};

fn twice(begun: Begun) -> [Recorded; 2] {
    [begun.end(Err(Refusal::Cancelled)), begun.end(Err(Refusal::Cancelled))]
}

fn main() {}
