//! A secret is not for that.
#[derive(serde::Serialize)]
struct Shown {
    secret: tagout_proto::Secret<String>,
}

fn main() {}
