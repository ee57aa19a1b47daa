//! The `protected` function.

use std::sync::Arc;
use std::time::Duration;

use bootstrap::SystemClock;
use lambda_http::Error;

/// How long ago the user may have signed in for a transfer.
const FRESH: Duration = Duration::from_mins(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let sessions = Arc::new(bootstrap::signing_sessions()?);
    front_door::run(protected::service(sessions, Arc::new(SystemClock), FRESH)).await
}
