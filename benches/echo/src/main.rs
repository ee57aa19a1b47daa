//! Answers each event with itself.

use std::convert::Infallible;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let handler = async |event: LambdaEvent<Value>| Ok::<_, Infallible>(event.payload);
    run(service_fn(handler)).await
}
