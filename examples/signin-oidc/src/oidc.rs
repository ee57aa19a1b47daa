//! ID tokens of an OpenID Connect provider: is this one for us, and does it hold?

use std::collections::HashMap;
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider as Tls;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use session::model::Timestamp;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Longest ID token that is looked at, in bytes.
const MAX_LEN: usize = 16 * 1024;

/// How long fetched keys are used before they are fetched again.
const MAX_AGE: Duration = Duration::from_hours(1);

/// How long after a fetch a key that is not in the set is taken to be made up: without it, made-up key
/// ids would turn every request into a fetch.
const COOLDOWN: Duration = Duration::from_secs(10);

/// Longest fetch, from connecting to the last byte.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an ID token does not sign anybody in. The texts go to the client and never quote the token.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No JWT, another algorithm, or an extension we would have to understand.
    #[error("the ID token is not a JWT signed with RS256")]
    Form,
    /// The provider publishes no key of that id, or none is named.
    #[error("the key of the ID token is not one of the provider's")]
    Key,
    /// The signature does not match.
    #[error("the signature of the ID token does not hold")]
    Signature,
    /// A claim is missing or has another type.
    #[error("the ID token lacks a claim: it needs iss, aud, token_use, sub and exp")]
    Claims,
    /// `iss` is another provider.
    #[error("the ID token is from another issuer")]
    Issuer,
    /// `aud` is another application.
    #[error("the ID token is for another audience")]
    Audience,
    /// `token_use` is not `id`: Cognito signs access tokens with the same keys.
    #[error("the token is not an ID token")]
    Use,
    /// `exp` has passed.
    #[error("the ID token has expired")]
    Expired,
    /// `nonce` differs from what the client sent along: the token answers another sign-in.
    #[error("the nonce of the ID token is another")]
    Nonce,
    /// The provider's keys cannot be had. Not the client's fault.
    #[error("the identity provider is not available, try again")]
    Unavailable(#[source] BoxError),
}

/// What a verified ID token says.
#[derive(Debug, Deserialize)]
pub struct IdToken {
    iss: String,
    aud: String,
    token_use: String,
    exp: u64,
    nonce: Option<String>,
    /// The provider's name for the user, which never changes.
    pub sub: String,
    /// The user's address, if the client asked for it.
    pub email: Option<String>,
    /// When the user last proved who they are, in seconds.
    pub auth_time: Option<u64>,
    /// By what means (RFC 8176).
    #[serde(default)]
    pub amr: Vec<String>,
    /// The user's groups in the pool.
    #[serde(default, rename = "cognito:groups")]
    pub groups: Vec<String>,
}

/// An identity provider and this application's registration with it.
#[derive(Debug)]
pub struct Provider {
    issuer: String,
    client_id: String,
    jwks_url: String,
    http: Connector,
    keys: Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    by_id: HashMap<String, DecodingKey>,
    fetched_at: Option<Timestamp>,
}

impl Provider {
    /// A provider whose keys are at `jwks_url`; fetches nothing yet.
    #[must_use]
    pub fn new(issuer: String, client_id: String, jwks_url: String) -> Self {
        let http = Connector::builder().tls_provider(Tls::Rustls(CryptoMode::AwsLc)).build();
        Self { issuer, client_id, jwks_url, http, keys: Mutex::default() }
    }

    /// Checks an ID token in the order of OpenID Connect Core 1.0 §3.1.3.7; `nonce` is what the client put
    /// into its authentication request.
    ///
    /// # Errors
    ///
    /// The first [`Refusal`] that applies.
    pub async fn verify(
        &self,
        token: &str,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<IdToken, Refusal> {
        if token.len() > MAX_LEN {
            return Err(Refusal::Form);
        }
        let header = decode_header(token).map_err(|_| Refusal::Form)?;
        if header.alg != Algorithm::RS256 || header.crit.is_some() {
            return Err(Refusal::Form);
        }
        let key = self.key(&header.kid.ok_or(Refusal::Key)?, now).await?;

        // The library checks the signature. The claims are compared below, against one `now` and with
        // an answer of their own each.
        let mut signature_only = Validation::new(Algorithm::RS256);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let decoded = decode::<IdToken>(token, &key, &signature_only);
        let claims = match decoded {
            Ok(decoded) => decoded.claims,
            Err(error) if error.kind() == &jsonwebtoken::errors::ErrorKind::InvalidSignature => {
                return Err(Refusal::Signature);
            }
            Err(_) => return Err(Refusal::Claims),
        };
        if claims.iss != self.issuer {
            return Err(Refusal::Issuer);
        }
        if claims.aud != self.client_id {
            return Err(Refusal::Audience);
        }
        if claims.token_use != "id" {
            return Err(Refusal::Use);
        }
        if claims.exp <= now.as_secs() {
            return Err(Refusal::Expired);
        }
        if claims.nonce.as_deref() != nonce {
            return Err(Refusal::Nonce);
        }
        Ok(claims)
    }

    /// The provider's key of that id. Keys are kept; one that is not among them causes one fetch, since
    /// providers change their keys without notice. Requests that wait for the same fetch share it.
    async fn key(&self, id: &str, now: Timestamp) -> Result<DecodingKey, Refusal> {
        let mut keys = self.keys.lock().await;
        let is_known = keys.by_id.contains_key(id);
        let wait = if is_known { MAX_AGE } else { COOLDOWN };
        if keys.fetched_at.is_none_or(|fetched_at| now >= fetched_at.plus(wait)) {
            match timeout(FETCH_TIMEOUT, self.fetch()).await.unwrap_or_else(|late| Err(late.into()))
            {
                Ok(by_id) => *keys = Keys { by_id, fetched_at: Some(now) },
                // An old key that fits is better than refusing everybody while the provider is away.
                Err(error) if is_known => tracing::warn!(error, "the provider's keys are old"),
                Err(error) => return Err(Refusal::Unavailable(error)),
            }
        }
        keys.by_id.get(id).cloned().ok_or(Refusal::Key)
    }

    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>, BoxError> {
        let response = self.http.call(HttpRequest::get(&self.jwks_url)?).await?;
        if !response.status().is_success() {
            return Err(format!("the key set answers {}", response.status().as_u16()).into());
        }
        let body = ByteStream::new(response.into_body()).collect().await?.into_bytes();
        let set: JwkSet = serde_json::from_slice(&body)?;
        // Keys for other purposes may be in the set: what cannot verify is as good as absent.
        let usable = set
            .keys
            .iter()
            .filter_map(|jwk| Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?)));
        Ok(usable.collect())
    }
}
