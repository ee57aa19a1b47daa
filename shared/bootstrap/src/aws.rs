//! What AWS clients are made of, with bounds that stay below every gateway's.

use std::sync::OnceLock;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use tokio::time::timeout;

use crate::https::{self, Https};
use crate::variable;

/// What clients share: region and credentials of the environment, bounds, trust. Made once.
pub(super) fn sdk_config() -> SdkConfig {
    static MADE: OnceLock<SdkConfig> = OnceLock::new();
    MADE.get_or_init(load).clone()
}

/// Lambda gives credentials, region and endpoints in the environment and nowhere else. To look for them in
/// files, containers and roles as well, as `aws_config::load` does, costs every cold start time and every
/// binary the client of another service.
fn load() -> SdkConfig {
    let is_set = |name| variable(name).map(|value| value.trim().eq_ignore_ascii_case("true"));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(variable("AWS_REGION").map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .service_config(Environment)
        .timeout_config(timeouts())
        .retry_config(retries());
    config.set_use_fips(is_set("AWS_USE_FIPS_ENDPOINT"));
    config.set_use_dual_stack(is_set("AWS_USE_DUALSTACK_ENDPOINT"));
    config.http_client(https::client()).build()
}

/// `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL` and their like.
#[derive(Debug)]
struct Environment;

impl LoadServiceConfig for Environment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().replace(' ', "_").to_uppercase();
        variable(&format!("{}_{service}", key.env())).or_else(|| variable(key.env()))
    }
}

/// An operation takes 2 s at most, an attempt 800 ms: all below what any gateway waits for.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_millis(800))
        .operation_timeout(Duration::from_secs(2))
        .build()
}

/// Three attempts, which is safe because every write is conditional. The SDK's default first back-off
/// of up to 1 s would use up the operation's time.
#[must_use]
pub fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(25))
}

/// Why [`put`] or [`get`] failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is none.
    #[error("the address cannot be read")]
    Address,
    /// Nobody answered, or not within 2 s.
    #[error("there is no answer")]
    NoAnswer,
    /// The answer's status is not 2xx.
    #[error("the answer is {0}")]
    Refused(u16),
    /// The text is longer than 256 KiB.
    #[error("the answer is too long")]
    TooLong,
}

/// Puts a document at an address that signs for itself, such as `CloudFormation` gives to custom resources.
/// There is no `content-type`, which the signature would have to name.
///
/// # Errors
///
/// [`HttpError`], without the address: whoever reads it could write there.
pub async fn put(address: &str, document: Vec<u8>) -> Result<(), HttpError> {
    send("PUT", address, document).await.map(drop)
}

/// Longest text that [`get`] reads, in bytes: ten times a large key set.
const MAX_TEXT_LEN: usize = 256 * 1024;

/// The text at a public address.
///
/// # Errors
///
/// [`HttpError`], also for what is no text or longer than 256 KiB.
pub async fn get(address: &str) -> Result<String, HttpError> {
    let body = ByteStream::new(send("GET", address, Vec::new()).await?);
    let body = timeout(Duration::from_secs(2), text(body)).await;
    body.map_err(|_| HttpError::NoAnswer)?
}

async fn text(mut body: ByteStream) -> Result<String, HttpError> {
    let mut text = Vec::new();
    while let Some(bytes) = body.next().await {
        text.extend_from_slice(&bytes.map_err(|_| HttpError::NoAnswer)?);
        if text.len() > MAX_TEXT_LEN {
            return Err(HttpError::TooLong);
        }
    }
    String::from_utf8(text).map_err(|_| HttpError::NoAnswer)
}

async fn send(method: &str, address: &str, document: Vec<u8>) -> Result<SdkBody, HttpError> {
    let mut request = HttpRequest::new(SdkBody::from(document));
    request
        .set_method(method)
        .and_then(|()| request.set_uri(address))
        .map_err(|_| HttpError::Address)?;
    let answer = timeout(Duration::from_secs(2), Https.call(request)).await;
    let answer = answer.map_err(|_| HttpError::NoAnswer)?.map_err(|_| HttpError::NoAnswer)?;
    match answer.status() {
        status if status.is_success() => Ok(answer.into_body()),
        status => Err(HttpError::Refused(status.as_u16())),
    }
}
