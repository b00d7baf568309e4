//! A call that is authorised but not on record is not made.
use tagout_gateway::{
    Gateway,
    stage::{approve::Authorised, forward::forward},
};

async fn skip(authorised: Authorised, gateway: &Gateway) {
    drop(forward(authorised, gateway).await);
}

fn main() {}
