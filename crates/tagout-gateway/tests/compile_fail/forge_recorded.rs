//! A reply whose outcome is not on record cannot be passed off as one whose outcome is.
use bytes::Bytes;
use tagout_gateway::stage::record::Recorded;

fn forge(frame: Bytes) -> Recorded {
    Recorded(Some(frame))
}

fn main() {}
