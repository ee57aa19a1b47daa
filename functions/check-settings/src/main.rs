//! The `check-settings` function.

use check_settings::{Event, answer};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    // What cannot be delivered is an error, and Lambda asks again.
    let handler = async |received: LambdaEvent<Event>| -> Result<(), Error> {
        let event = received.payload;
        let answer = serde_json::to_vec(&answer(&event))?;
        Ok(bootstrap::put(&event.response_url, answer).await?)
    };
    bootstrap::run(service_fn(handler)).await
}
