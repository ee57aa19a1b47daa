//! An OpenID Connect provider: where users sign in, what a code buys, and whether an ID token holds.

use std::collections::HashMap;
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider as Tls;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use http::{Method, StatusCode, header};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use session::model::Timestamp;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::attempt::Attempt;

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

/// Why nobody is signed in. The texts go to the client and quote neither code nor token.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// `state` is not that of the attempt which this browser began, or it began none.
    #[error("this browser did not begin this sign-in, or too long ago: begin again")]
    State,
    /// The provider does not take the code: used, too old, or asked for with another verifier.
    #[error("the identity provider does not take the code: begin again")]
    Code,
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
    /// `nonce` is not that of the attempt: the token answers another sign-in.
    #[error("the nonce of the ID token is another")]
    Nonce,
    /// The provider cannot be reached. Not the client's fault.
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
    redirect_uri: String,
    http: Connector,
    endpoints: OnceCell<Endpoints>,
    keys: Mutex<Keys>,
}

/// What the provider says of itself (OpenID Connect Discovery §3).
#[derive(Debug, Deserialize)]
struct Endpoints {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

/// What a code buys (OpenID Connect Core 1.0 §3.1.3.3); the other tokens are not needed.
#[derive(Deserialize)]
struct Bought {
    id_token: String,
}

#[derive(Debug, Default)]
struct Keys {
    by_id: HashMap<String, DecodingKey>,
    fetched_at: Option<Timestamp>,
}

impl Provider {
    /// The provider of that issuer, which sends users back to `redirect_uri`, a page of the website; asks it
    /// nothing yet.
    #[must_use]
    pub fn new(issuer: String, client_id: String, redirect_uri: String) -> Self {
        let http = Connector::builder().tls_provider(Tls::Rustls(CryptoMode::AwsLc)).build();
        let (endpoints, keys) = (OnceCell::new(), Mutex::default());
        Self { issuer, client_id, redirect_uri, http, endpoints, keys }
    }

    /// Where to send the browser for this attempt (OpenID Connect Core 1.0 §3.1.2.1, RFC 7636 §4.3).
    ///
    /// # Errors
    ///
    /// [`Refusal::Unavailable`].
    pub async fn authorize_url(&self, attempt: &Attempt) -> Result<Url, Refusal> {
        let parameters = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", "openid email"),
            ("state", &attempt.state()),
            ("nonce", &attempt.nonce()),
            ("code_challenge", &attempt.code_challenge()),
            ("code_challenge_method", "S256"),
        ];
        Url::parse_with_params(&self.endpoints().await?.authorization_endpoint, parameters)
            .map_err(|error| Refusal::Unavailable(error.into()))
    }

    /// Who signed in: the code is exchanged for an ID token, which is verified.
    ///
    /// # Errors
    ///
    /// The first [`Refusal`] that applies.
    pub async fn exchange(
        &self,
        code: &str,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<IdToken, Refusal> {
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("code", code)
            .append_pair("code_verifier", &attempt.code_verifier())
            .finish();
        let bought: Option<Bought> =
            self.ask(&self.endpoints().await?.token_endpoint, Some(form)).await?;
        self.verify(&bought.ok_or(Refusal::Code)?.id_token, &attempt.nonce(), now).await
    }

    /// Checks an ID token in the order of OpenID Connect Core 1.0 §3.1.3.7.
    async fn verify(&self, token: &str, nonce: &str, now: Timestamp) -> Result<IdToken, Refusal> {
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
        if claims.nonce.as_deref() != Some(nonce) {
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
            match self.fetch_keys().await {
                Ok(by_id) => *keys = Keys { by_id, fetched_at: Some(now) },
                // An old key that fits is better than refusing everybody while the provider is away.
                Err(error) if is_known => tracing::warn!(%error, "the provider's keys are old"),
                Err(error) => return Err(error),
            }
        }
        keys.by_id.get(id).cloned().ok_or(Refusal::Key)
    }

    async fn fetch_keys(&self) -> Result<HashMap<String, DecodingKey>, Refusal> {
        let set: Option<JwkSet> = self.ask(&self.endpoints().await?.jwks_uri, None).await?;
        let set = set.ok_or_else(|| unavailable("there is no key set"))?;
        // Keys for other purposes may be in the set: what cannot verify is as good as absent.
        let usable = set
            .keys
            .iter()
            .filter_map(|jwk| Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?)));
        Ok(usable.collect())
    }

    /// Asked for once; a failure is asked again.
    async fn endpoints(&self) -> Result<&Endpoints, Refusal> {
        let discover = async || {
            let url = format!("{}/.well-known/openid-configuration", self.issuer);
            let found: Option<Endpoints> = self.ask(&url, None).await?;
            let found = found.ok_or_else(|| unavailable("there is no discovery document"))?;
            let is_issuer = found.issuer == self.issuer;
            is_issuer.then_some(found).ok_or_else(|| unavailable("it names another issuer"))
        };
        self.endpoints.get_or_try_init(discover).await
    }

    /// Gets JSON, or posts a form for it; `None` if the provider says that the request is wrong.
    async fn ask<T: DeserializeOwned>(
        &self,
        url: &str,
        form: Option<String>,
    ) -> Result<Option<T>, Refusal> {
        let asked = async {
            let mut request = HttpRequest::new(SdkBody::empty());
            request.set_uri(url)?;
            if let Some(form) = form {
                request.set_method(Method::POST.as_str())?;
                let kind = "application/x-www-form-urlencoded";
                request.headers_mut().insert(header::CONTENT_TYPE.as_str(), kind);
                *request.body_mut() = SdkBody::from(form);
            }
            let response = self.http.call(request).await?;
            let status = response.status().as_u16();
            let body = ByteStream::new(response.into_body()).collect().await?.into_bytes();
            if status == StatusCode::BAD_REQUEST.as_u16() {
                return Ok(None);
            }
            if status != StatusCode::OK.as_u16() {
                return Err(format!("{url} answers {status}").into());
            }
            Ok(Some(serde_json::from_slice(&body)?))
        };
        let late = |late| Err(BoxError::from(late));
        let answer: Result<_, BoxError> = timeout(FETCH_TIMEOUT, asked).await.unwrap_or_else(late);
        answer.map_err(Refusal::Unavailable)
    }
}

fn unavailable(problem: &'static str) -> Refusal {
    Refusal::Unavailable(problem.into())
}
