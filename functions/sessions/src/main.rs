//! The `sessions` function.

use std::convert::Infallible;

use bootstrap::SystemClock;
use lambda_http::{Error, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let own = bootstrap::with_events(bootstrap::sessions()?);
    let handler = async |request| -> Result<_, Infallible> {
        Ok(sessions::handle(&own, &SystemClock, request).await)
    };
    bootstrap::serve(service_fn(handler)).await
}
