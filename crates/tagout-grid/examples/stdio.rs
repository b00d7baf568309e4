//! The assistant alone on standard input and output, for measuring it and for trying clients.

#[tokio::main]
async fn main() -> Result<(), tagout_grid::ServeError> {
    tagout_grid::serve_stdio().await
}
