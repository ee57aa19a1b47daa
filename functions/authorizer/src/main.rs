//! The `authorizer` function.

// The start-up future nests deeper than the compiler's default of 128 types.
#![recursion_limit = "256"]

use authorizer::{AuthorizerConfig, Refusal};
use bootstrap::SystemClock;
use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde_json::value::RawValue;
use session::model::Clock as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let (sessions, config) = bootstrap::verifier(AuthorizerConfig::from_lookup)?;
    sessions.preload_verifying_keys(SystemClock.now()).await;
    if let Some(caveat) = authorizer::caveat(sessions.config()) {
        tracing::warn!("{caveat}");
    }
    let handler = async |event: LambdaEvent<Box<RawValue>>| -> Result<_, Refusal> {
        authorizer::handle(&sessions, &config, &SystemClock, &event.payload).await
    };
    bootstrap::run(service_fn(handler)).await
}
