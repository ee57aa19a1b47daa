//! The `authorizer` function.

// The start-up future nests deeper than the compiler's default of 128 types.
#![recursion_limit = "256"]

use authorizer::Refusal;
use bootstrap::SystemClock;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let sessions = bootstrap::sessions().await?;
    let handler = async |event: LambdaEvent<_>| -> Result<_, Refusal> {
        authorizer::handle(&sessions, &SystemClock, event.payload).await
    };
    run(service_fn(handler)).await
}
