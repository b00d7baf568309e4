//! A secret is not for that.
fn main() {
    let secret = tagout_proto::Secret::new("hunter2".to_owned());
    assert!(secret == tagout_proto::Secret::new("x".to_owned()));
}
