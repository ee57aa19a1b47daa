//! The `revoke` function.

use std::sync::Arc;

use bootstrap::SystemClock;
use lambda_runtime::{Error, service_fn};
use revoke::{LogoutConfig, Provider};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let (sessions, config) = bootstrap::revoker(LogoutConfig::from_lookup)?;
    let sessions = Arc::new(bootstrap::with_events(sessions));
    let get = |address: String| async move { Ok(bootstrap::get(&address).await?) };
    let provider = config.issuer.map(|issuer| Arc::new(Provider::new(issuer, get)));
    let handler =
        async |event| revoke::answer(&sessions, provider.as_ref(), &SystemClock, event).await;
    bootstrap::run(service_fn(handler)).await
}
