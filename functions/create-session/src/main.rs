//! The `create-session` function.

use std::convert::Infallible;
use std::sync::Arc;

use bootstrap::SystemClock;
use create_session::CreateConfig;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use session::model::Clock as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let (sessions, config) = bootstrap::signer(CreateConfig::from_lookup)?;
    let (sessions, config) = (Arc::new(bootstrap::with_events(sessions)), Arc::new(config));
    sessions.preload_signing_keys(SystemClock.now()).await;
    let handler = async |event: LambdaEvent<_>| -> Result<_, Infallible> {
        Ok(create_session::handle(&sessions, &config, &SystemClock, event.payload).await)
    };
    bootstrap::run(service_fn(handler)).await
}
