//! The `rotate-keys` function.

use bootstrap::SystemClock;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use rotate_keys::Refusal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let sessions = bootstrap::signing_sessions()?;
    let handler = async |event: LambdaEvent<_>| -> Result<_, Refusal> {
        rotate_keys::handle(&sessions, &SystemClock, event.payload).await
    };
    bootstrap::run(service_fn(handler)).await
}
