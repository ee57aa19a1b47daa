//! What AWS clients are made of, with bounds that stay below every gateway's.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// The trust bundle of Amazon Linux 2023, the image of `provided.al2023`.
const LAMBDA_TRUST_BUNDLE: &str = "/etc/pki/tls/certs/ca-bundle.crt";

/// What clients share: region and credentials of the environment, bounds, trust. Made once.
pub(super) async fn sdk_config() -> SdkConfig {
    static MADE: OnceCell<SdkConfig> = OnceCell::const_new();
    MADE.get_or_init(load).await.clone()
}

async fn load() -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts())
        .retry_config(retries());
    if let Some(tls) = one_bundle() {
        let client = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls)
            .build_https();
        loader = loader.http_client(client);
    }
    loader.load().await
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
    let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    if let Some(tls) = one_bundle() {
        connector = connector.tls_context(tls);
    }
    let answer = timeout(Duration::from_secs(2), connector.build().call(request)).await;
    let answer = answer.map_err(|_| HttpError::NoAnswer)?.map_err(|_| HttpError::NoAnswer)?;
    match answer.status() {
        status if status.is_success() => Ok(answer.into_body()),
        status => Err(HttpError::Refused(status.as_u16())),
    }
}

/// The platform's bundle alone: by default the client also parses every file of the certificate
/// directory, the same certificates again, which is more than half of a cold start's own work.
fn one_bundle() -> Option<TlsContext> {
    let bundle = std::fs::read(LAMBDA_TRUST_BUNDLE).ok()?;
    let trust = TrustStore::empty().with_pem_certificate(bundle);
    TlsContext::builder().with_trust_store(trust).build().ok()
}
