//! The `refresh` function.

use std::convert::Infallible;

use bootstrap::SystemClock;
use lambda_http::{Error, service_fn};
use session::model::Clock as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let sessions = bootstrap::with_events(bootstrap::signing_sessions()?);
    sessions.preload_signing_keys(SystemClock.now()).await;
    let handler = async |request| -> Result<_, Infallible> {
        Ok(refresh::handle(&sessions, &SystemClock, request).await)
    };
    bootstrap::serve(service_fn(handler)).await
}
