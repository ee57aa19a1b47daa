//! Who may call: whoever sends an API key, or was let in by IAM (core §3).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use session::config::{ConfigError, Reader, tenants};
use session::error::with_causes;
use session::model::{TenantId, Timestamp};
use session::service::BoxError;
use session::token::refresh::is_equal;
use tokio::sync::Mutex;

use crate::answer::Refusal;

/// The settings of the function.
#[derive(Debug, Default)]
pub struct CoreConfig {
    /// `CORE_API_KEYS`, default none: the keys themselves, for a stack on one's own machine.
    pub api_keys: Option<ApiKeys>,
    // Printable: the name of a secret, and names of tenants.
    /// `CORE_API_KEYS_SECRET`, default none: the ARN of the secret of Secrets Manager that holds the keys.
    pub api_keys_secret: Option<String>,
    /// `ALLOWED_TENANTS`, ids with commas between: the tenants that there are; all names are, if it is not
    /// set.
    pub tenants: Option<Vec<TenantId>>,
}

impl CoreConfig {
    /// Reads the settings through `lookup`; an empty value counts as absent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every malformed setting.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader::new(&lookup);
        let config = Self::read(&mut read);
        if config.api_keys.is_some() && config.api_keys_secret.is_some() {
            read.problem(
                "CORE_API_KEYS and CORE_API_KEYS_SECRET are both set: leave one of them out",
            );
        }
        read.finish(config)
    }

    /// Every variable that is read.
    #[must_use]
    pub fn variables() -> Vec<&'static str> {
        Reader::asked_by(Self::read)
    }

    fn read(read: &mut Reader<'_>) -> Self {
        Self {
            api_keys: read.secret("CORE_API_KEYS", ApiKeys::parse),
            api_keys_secret: read.optional("CORE_API_KEYS_SECRET", |text| Ok(text.to_owned())),
            tenants: read.optional("ALLOWED_TENANTS", tenants),
        }
    }
}

/// Who may call.
#[derive(Debug)]
pub enum Access {
    /// Whom the function's URL let in by IAM.
    Iam,
    /// Whoever sends one of these keys.
    Keys(ApiKeys),
    /// Whoever sends one of the keys in a secret.
    Secret(Secret),
}

impl Access {
    /// Refuses a request that may not call.
    pub(crate) async fn check(&self, request: &Request, now: Timestamp) -> Result<(), Refusal> {
        let presented = presented(request.headers());
        let may_call = match self {
            Self::Iam => is_signed(request),
            Self::Keys(keys) => keys.hold(presented),
            Self::Secret(secret) => secret.keys(now).await?.hold(presented),
        };
        if may_call {
            return Ok(());
        }
        Err(Refusal::new(StatusCode::UNAUTHORIZED, "Invalid API key"))
    }
}

/// Whether the function's URL demands IAM and found a valid signature.
fn is_signed(request: &Request) -> bool {
    let authorizer = request.request_context_ref().and_then(RequestContext::authorizer);
    authorizer.is_some_and(|context| context.iam.is_some())
}

/// `api-key`, or else what `authorization` says, with or without `Bearer`.
fn presented(headers: &HeaderMap) -> &str {
    /// The scheme's name, whose case does not count, and a space.
    const BEARER: &str = "bearer ";
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(key) = text("api-key") {
        return key.trim();
    }
    let value = text(header::AUTHORIZATION.as_str()).unwrap_or_default();
    let (scheme, key) = value.split_at_checked(BEARER.len()).unwrap_or_default();
    if scheme.eq_ignore_ascii_case(BEARER) { key.trim() } else { value.trim() }
}

/// Keys that callers may send; several, so that one can take the place of another.
#[derive(Clone)]
pub struct ApiKeys(Arc<[String]>);

impl ApiKeys {
    /// Shortest key, in characters.
    const MIN_LEN: usize = 20;

    /// Keys with commas, spaces or line ends between.
    ///
    /// # Errors
    ///
    /// What a key must be, if one is not, or there is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keys =
            text.split(|c: char| c == ',' || c.is_whitespace()).filter(|key| !key.is_empty());
        let keys: Arc<[String]> = keys.map(str::to_owned).collect();
        let is_key = |key: &String| {
            key.len() >= Self::MIN_LEN
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=-".contains(&byte))
        };
        if keys.is_empty() || !keys.iter().all(is_key) {
            return Err(format!(
                "write keys of at least {} letters, digits, = and -, with commas between them",
                Self::MIN_LEN
            ));
        }
        Ok(Self(keys))
    }

    /// Whether this is one of them; all are compared, each in constant time.
    fn hold(&self, presented: &str) -> bool {
        self.0.iter().fold(false, |found, key| is_equal(presented, key) | found)
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.0.len())
    }
}

/// What reading a secret comes to.
type Reading = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;

/// Keys in a secret, read when they are needed and again after some minutes.
pub struct Secret {
    read: Box<dyn Fn() -> Reading + Send + Sync>,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    keys: Option<ApiKeys>,
    /// When to read again.
    stale_at: Timestamp,
}

impl Secret {
    /// How old keys may become: a new one works after so long at the latest.
    pub const MAX_AGE: Duration = Duration::from_mins(5);
    /// How long a secret that could not be read is left alone.
    const PAUSE: Duration = Duration::from_secs(10);

    /// Keys that this reads.
    pub fn new<R>(read: impl Fn() -> R + Send + Sync + 'static) -> Self
    where
        R: Future<Output = Result<String, BoxError>> + Send + 'static,
    {
        let loaded = Loaded { keys: None, stale_at: Timestamp::from_millis(0) };
        Self { read: Box::new(move || Box::pin(read())), loaded: Mutex::new(loaded) }
    }

    /// The keys. Those that were read once outlive a secret that cannot be read.
    async fn keys(&self, now: Timestamp) -> Result<ApiKeys, Refusal> {
        let mut loaded = self.loaded.lock().await;
        if loaded.stale_at <= now {
            let keys = (self.read)().await.and_then(|text| Ok(ApiKeys::parse(&text)?));
            match keys {
                Ok(keys) => {
                    loaded.keys = Some(keys);
                    loaded.stale_at = now.plus(Self::MAX_AGE);
                }
                Err(error) => {
                    let error = with_causes(&*error);
                    tracing::error!(error, "the secret with the API keys cannot be used");
                    loaded.stale_at = now.plus(Self::PAUSE);
                }
            }
        }
        let keys = loaded.keys.clone();
        keys.ok_or_else(|| Refusal::unavailable("the API keys are not available, try again"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}
