//! The `signout` function.

use std::convert::Infallible;

use bootstrap::SystemClock;
use lambda_http::{Error, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let sessions = bootstrap::with_events(bootstrap::sessions()?);
    let handler = async |request| -> Result<_, Infallible> {
        Ok(signout::handle(&sessions, &SystemClock, request).await)
    };
    bootstrap::serve(service_fn(handler)).await
}
