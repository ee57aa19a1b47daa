//! Wires a function to its environment, once per cold start.
//!
//! The only crate that reads environment variables, the real clock and the operating system's random
//! generator. A `main` is: [`init_tracing`], [`sessions`], run.

mod aws;
pub mod metrics;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session::config::ConfigError;
use session::model::{Clock, Timestamp};
use session::store::DynamoDb;
use session::{SessionConfig, Sessions};

pub use self::aws::{dynamodb_client, retries, timeouts};

/// Names of the variables that say where the tables are.
pub const TABLE_VARIABLES: [&str; 2] = ["SESSIONS_TABLE", "KEYS_TABLE"];

/// Structured logs as the function's `LoggingConfig` asks for, and metrics among them.
pub fn init_tracing() {
    metrics::enable();
    lambda_http::tracing::init_default_subscriber();
}

/// The session service over the tables that the environment names.
///
/// # Errors
///
/// [`ConfigError`] with every missing, malformed and contradictory variable in one message.
pub async fn sessions() -> Result<Sessions<DynamoDb>, ConfigError> {
    let [sessions_table, keys_table] = TABLE_VARIABLES.map(|name| (name, variable(name)));
    let mut problems = Vec::new();
    for (name, value) in [&sessions_table, &keys_table] {
        if value.is_none() {
            problems.push(format!("{name} is missing: set it to the name of the table"));
        }
    }
    let config =
        SessionConfig::from_lookup(variable).map_err(|error| problems.extend(error.problems)).ok();
    match (config, sessions_table.1, keys_table.1, problems.is_empty()) {
        (Some(config), Some(sessions), Some(keys), true) => {
            Ok(Sessions::new(config, DynamoDb::new(dynamodb_client().await, sessions, keys)))
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

#[expect(clippy::disallowed_methods, reason = "this is where the environment enters")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
