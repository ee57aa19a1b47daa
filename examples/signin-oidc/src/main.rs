//! The `signin-oidc` function.

use std::convert::Infallible;

use bootstrap::SystemClock;
use lambda_http::{Error, service_fn};
use signin_oidc::Provider;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let sessions = bootstrap::with_events(bootstrap::signing_sessions().await?).await;
    let provider = Provider::new(
        required("OIDC_ISSUER")?,
        required("OIDC_CLIENT_ID")?,
        required("OIDC_REDIRECT_URI")?,
    );
    let handler = async |request| -> Result<_, Infallible> {
        Ok(signin_oidc::handle(&sessions, &provider, &SystemClock, request).await)
    };
    front_door::run(service_fn(handler)).await
}

#[expect(clippy::disallowed_methods, reason = "the settings of this function are its own")]
fn required(name: &str) -> Result<String, Error> {
    std::env::var(name).map_err(|_| format!("{name} is missing").into())
}
