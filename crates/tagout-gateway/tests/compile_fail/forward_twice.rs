//! What was cleared once is made once.
use tagout_gateway::{
    Gateway,
    stage::{forward::forward, record::Cleared},
};

async fn twice(cleared: Cleared, gateway: &Gateway) {
    drop(forward(cleared, gateway).await);
    drop(forward(cleared, gateway).await);
}

fn main() {}
