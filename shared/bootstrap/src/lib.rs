//! Wires a function to its environment, once per cold start.
//!
//! The only crate that reads environment variables, the real clock and the operating system's random
//! generator. A `main` is: [`init_tracing`], [`sessions`], [`revoker`], [`verifier`], [`signing_sessions`] or
//! [`signer`], run.

mod aws;
mod event_bus;
mod https;
mod kms;
mod logs;
pub mod metrics;
mod run;
#[cfg(feature = "otel")]
mod telemetry;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session::config::ConfigError;
use session::model::{Clock, Timestamp};
use session::service::BoxError;
use session::store::{DynamoDb, ReadOnly};
use session::{SessionConfig, Sessions};

use self::aws::sdk_config;
pub use self::aws::{HttpError, get, put, retries, timeouts};
pub use self::event_bus::{EVENT_SOURCE, EventBus};
pub use self::kms::Kms;
pub use self::run::{run, serve};

/// Names of the variables that say where the tables are.
pub const TABLE_VARIABLES: [&str; 2] = ["SESSIONS_TABLE", "KEYS_TABLE"];

/// Name of the variable that says which `EventBridge` bus session events go to; none if unset.
pub const EVENT_BUS_VARIABLE: &str = "EVENT_BUS_NAME";

/// Name of the variable that says which KMS key seals private keys, if any does. Only functions that
/// read private keys read it.
pub const SEAL_VARIABLE: &str = "KMS_KEY_ID";

/// A client of an AWS service, which is observed where telemetry is built in.
macro_rules! client {
    ($service:ident) => {{
        let config = $service::config::Builder::from(&sdk_config());
        #[cfg(feature = "otel")]
        let config = config.interceptor(telemetry::Calls);
        $service::Client::from_conf(config.build())
    }};
}

/// Structured logs as the function's `LoggingConfig` asks for, and metrics among them.
pub fn init_tracing() {
    metrics::enable(variable(metrics::NAMESPACE_VARIABLE));
    logs::init();
}

/// The session service over the tables that the environment names, for functions that do not sign.
///
/// # Errors
///
/// [`ConfigError`] with every missing, malformed and contradictory variable in one message.
pub fn sessions() -> Result<Sessions<DynamoDb>, ConfigError> {
    let (sessions, ()) = revoker(|_| Ok(()))?;
    Ok(sessions)
}

/// As [`sessions`], and the function's own settings.
///
/// # Errors
///
/// As [`verifier`].
pub fn revoker<T>(
    own: impl FnOnce(Lookup) -> Result<T, ConfigError>,
) -> Result<(Sessions<DynamoDb>, T), ConfigError> {
    let (service, own) = settings(own)?;
    let store = service.store();
    Ok((Sessions::new(service.config, store), own))
}

/// The session service for a function that must not write, and the function's own settings.
///
/// # Errors
///
/// As [`sessions`]; what is wrong with the function's own settings is in the same message.
pub fn verifier<T>(
    own: impl FnOnce(Lookup) -> Result<T, ConfigError>,
) -> Result<(Sessions<ReadOnly>, T), ConfigError> {
    let (service, own) = settings(own)?;
    let store = service.store().read_only();
    let sessions = Sessions::new(service.config, store).with_listener(Arc::new(metrics::Metrics));
    Ok((sessions, own))
}

/// The session service for functions that read private keys, which `KMS_KEY_ID` says how to unseal.
///
/// # Errors
///
/// As [`sessions`].
pub fn signing_sessions() -> Result<Sessions<DynamoDb>, ConfigError> {
    let (sessions, ()) = signer(|_| Ok(()))?;
    Ok(sessions)
}

/// As [`signing_sessions`], and the function's own settings.
///
/// # Errors
///
/// As [`verifier`].
pub fn signer<T>(
    own: impl FnOnce(Lookup) -> Result<T, ConfigError>,
) -> Result<(Sessions<DynamoDb>, T), ConfigError> {
    let (service, own) = settings(own)?;
    let mut store = service.store();
    if let Some(key_id) = variable(SEAL_VARIABLE) {
        let client = client!(aws_sdk_kms);
        store = store.sealed_by(Arc::new(Kms::new(client, key_id)));
    }
    Ok((Sessions::new(service.config, store), own))
}

/// The text of a secret of Secrets Manager.
///
/// # Errors
///
/// If the service does not answer, refuses, or the secret is no text.
pub async fn secret(id: String) -> Result<String, BoxError> {
    let client = client!(aws_sdk_secretsmanager);
    let answer = client.get_secret_value().secret_id(id).send().await?;
    answer.secret_string.ok_or_else(|| "the secret is not a text".into())
}

/// For functions that change sessions: what happens is counted, and told to the event bus if there is
/// one.
pub fn with_events<S>(sessions: Sessions<S>) -> Sessions<S> {
    let sessions = sessions.with_listener(Arc::new(metrics::Metrics));
    let Some(name) = variable(EVENT_BUS_VARIABLE) else {
        return sessions;
    };
    let client = client!(aws_sdk_eventbridge);
    let bus = EventBus::new(client, name, sessions.config().event_context);
    sessions.with_listener(Arc::new(bus))
}

/// Reads one variable; `None` if it is absent or blank.
pub type Lookup = fn(&str) -> Option<String>;

/// What every function needs.
struct Service {
    config: SessionConfig,
    sessions_table: String,
    keys_table: String,
}

impl Service {
    fn store(&self) -> DynamoDb {
        let client = || client!(aws_sdk_dynamodb);
        let Self { config, sessions_table, keys_table } = self;
        DynamoDb::with_lazy_client(client, &config.app_id, sessions_table, keys_table)
    }
}

/// Reads all settings, so that all problems are in one message.
fn settings<T>(
    own: impl FnOnce(Lookup) -> Result<T, ConfigError>,
) -> Result<(Service, T), ConfigError> {
    let [sessions_table, keys_table] = TABLE_VARIABLES.map(|name| (name, variable(name)));
    let mut problems = Vec::new();
    for (name, value) in [&sessions_table, &keys_table] {
        if value.is_none() {
            problems.push(format!("{name} is missing: set it to the name of the table"));
        }
    }
    let config =
        SessionConfig::from_lookup(variable).map_err(|error| problems.extend(error.problems)).ok();
    let own = own(variable).map_err(|error| problems.extend(error.problems)).ok();
    match (config, own, sessions_table.1, keys_table.1) {
        (Some(config), Some(own), Some(sessions_table), Some(keys_table)) => {
            Ok((Service { config, sessions_table, keys_table }, own))
        }
        _ => Err(ConfigError { problems }),
    }
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the real clock enters")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The operating system's random generator; if it fails the process ends (ASVS 7.2.3).
#[must_use]
pub fn system_rng() -> impl rand_core::CryptoRng + Send {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// A variable of the process' environment; `None` if it is absent or blank.
#[expect(clippy::disallowed_methods, reason = "this is where the environment enters")]
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
