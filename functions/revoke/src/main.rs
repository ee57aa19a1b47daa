//! The `revoke` function.

use bootstrap::SystemClock;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use revoke::Refusal;
use session::model::Timestamp;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let sessions = bootstrap::with_events(bootstrap::sessions().await?).await;
    let handler = async |event: LambdaEvent<_>| -> Result<_, Refusal> {
        let deadline = Timestamp::from_millis(event.context.deadline);
        revoke::handle(&sessions, &SystemClock, event.payload, deadline).await
    };
    run(service_fn(handler)).await
}
