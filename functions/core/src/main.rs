//! The `core` function.

use std::convert::Infallible;

use bootstrap::SystemClock;
use core_driver::{Access, Core, CoreConfig, Secret};
use lambda_http::{Error, service_fn};
use session::model::Clock as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    bootstrap::init_tracing();
    let (sessions, config) = bootstrap::signer(CoreConfig::from_lookup)?;
    let sessions = bootstrap::with_events(sessions);
    sessions.preload_signing_keys(SystemClock.now()).await;
    let access = match (config.api_keys, config.api_keys_secret) {
        (Some(keys), _) => Access::Keys(keys),
        (None, Some(id)) => Access::Secret(Secret::new(move || bootstrap::secret(id.clone()))),
        (None, None) => Access::Iam,
    };
    let core = Core { sessions, access, tenants: config.tenants };
    let handler = async |request| -> Result<_, Infallible> {
        Ok(core_driver::handle(&core, &SystemClock, request).await)
    };
    bootstrap::serve(service_fn(handler)).await
}
