//! A reply whose outcome is not on record cannot be passed off as one whose outcome is.
use tagout_gateway::stage::record::Recorded;

fn forge(result: String) -> Recorded {
    Recorded { answer: Some(("1".to_owned(), Ok(result))), code: None, retry_after_s: None }
}

fn main() {}
