//! The `jwks` function.

use bootstrap::SystemClock;
use lambda_http::{Error, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let sessions = bootstrap::sessions().await?;
    run(service_fn(|request| {
        jwks::handle(&sessions, &SystemClock, request)
    }))
    .await
}
