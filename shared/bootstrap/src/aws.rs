//! What AWS clients are made of, with bounds that stay below every gateway's.

use std::sync::OnceLock;
use std::time::Duration;

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::region::ProvideRegion as _;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector as _, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::variable;

/// The trust bundle of Amazon Linux 2023, the image of `provided.al2023`.
const LAMBDA_TRUST_BUNDLE: &str = "/etc/pki/tls/certs/ca-bundle.crt";

/// What clients share: region and credentials of the environment, bounds, trust. Made once.
pub(super) async fn sdk_config() -> SdkConfig {
    static MADE: OnceCell<SdkConfig> = OnceCell::const_new();
    MADE.get_or_init(load).await.clone()
}

/// Lambda gives credentials, region and endpoints in the environment and nowhere else. To look for them in
/// files, containers and roles as well, as `aws_config::load` does, costs every cold start time and every
/// binary the client of another service.
async fn load() -> SdkConfig {
    let is_set = |name| variable(name).map(|value| value.trim().eq_ignore_ascii_case("true"));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .service_config(Environment)
        .timeout_config(timeouts())
        .retry_config(retries());
    config.set_use_fips(is_set("AWS_USE_FIPS_ENDPOINT"));
    config.set_use_dual_stack(is_set("AWS_USE_DUALSTACK_ENDPOINT"));
    config.http_client(AtFirstUse::default()).build()
}

/// An HTTP client that is made when the first request needs it. Left to itself the SDK makes every service's
/// client once more beforehand, only to see that it can, and parses all certificates each time.
#[derive(Debug, Default)]
struct AtFirstUse(OnceLock<SharedHttpClient>);

impl HttpClient for AtFirstUse {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let made = self.0.get_or_init(|| {
            let client = aws_smithy_http_client::Builder::new();
            let client = client.tls_provider(Provider::Rustls(CryptoMode::AwsLc));
            client.tls_context(trust()).build_https()
        });
        made.http_connector(settings, components)
    }
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
        .connect_timeout(Duration::from_millis(250))
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
    let answer = timeout(Duration::from_secs(2), connector().call(request)).await;
    let answer = answer.map_err(|_| HttpError::NoAnswer)?.map_err(|_| HttpError::NoAnswer)?;
    match answer.status() {
        status if status.is_success() => Ok(answer.into_body()),
        status => Err(HttpError::Refused(status.as_u16())),
    }
}

/// What sends requests that are for no AWS service.
pub(super) fn connector() -> Connector {
    let connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    connector.tls_context(trust()).build()
}

/// The platform's bundle alone, where there is one: by default the client also parses every file of the
/// certificate directory, the same certificates again. Not so if `SSL_CERT_FILE` names a bundle: it reads that
/// one alone, and goes on where something in it is no certificate, which a bundle from here must not have.
fn trust() -> TlsContext {
    let is_named = variable("SSL_CERT_FILE").is_some();
    let platforms = (!is_named).then(|| std::fs::read(LAMBDA_TRUST_BUNDLE).ok()).flatten();
    let Some(bundle) = platforms else { return TlsContext::default() };
    let trust = TrustStore::empty().with_pem_certificate(bundle);
    TlsContext::builder().with_trust_store(trust).build().unwrap_or_default()
}
