//! Access tokens of any content, signed by the test keys: what an attacker or another issuer could send.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::signature::Signer as _;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Map, Value, json};
use session::token::SigningKey;
use testkit::clock::START;
use testkit::keys;

/// A JWT in the making.
#[derive(Clone)]
pub(crate) struct Jwt {
    pub(crate) header: Map<String, Value>,
    pub(crate) payload: Map<String, Value>,
}

impl Jwt {
    /// What a test stack itself would mint for `user-1` at [`START`], valid for an hour.
    pub(crate) fn valid() -> Self {
        let header = json!({
            "alg": "RS256",
            "typ": "JWT",
            "kid": keys::DYNAMIC_ID,
            "version": "5",
        });
        let payload = json!({
            "sub": "user-1",
            "rsub": "user-1",
            "tId": "public",
            "sessionHandle": "00000000-0000-4000-8000-000000000000",
            "refreshTokenHash1": "0".repeat(64),
            "parentRefreshTokenHash1": null,
            "antiCsrfToken": null,
            "iat": START.as_secs(),
            "exp": START.as_secs() + 3600,
            "iss": "https://api.example.com/auth",
        });
        let (Value::Object(header), Value::Object(payload)) = (header, payload) else {
            unreachable!("both are objects")
        };
        Self { header, payload }
    }

    /// As [`Self::valid`], but it has just expired.
    pub(crate) fn expired() -> Self {
        Self::valid().claim("exp", START.as_secs() - 1)
    }

    /// Sets a member of the header.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a claim; null is a value too.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.payload.insert(name.to_owned(), value.into());
        self
    }

    /// Removes a member of the header.
    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Removes a claim.
    pub(crate) fn without_claim(mut self, name: &str) -> Self {
        self.payload.remove(name);
        self
    }

    /// Signed by the key that test stacks sign with, whatever the header says.
    pub(crate) fn sign(&self) -> String {
        self.sign_by(&keys::dynamic())
    }

    /// Signed by that key, whatever the header says.
    pub(crate) fn sign_by(&self, key: &SigningKey) -> String {
        let message = self.message();
        let signature = key.try_sign(message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// `alg` none, with an empty signature (RFC 7515 appendix A.5).
    pub(crate) fn unsigned(self) -> String {
        format!("{}.", self.header("alg", "none").message())
    }

    /// `alg` HS256 with the published key as the secret: the classic confusion of algorithms (RFC 8725
    /// §2.1).
    pub(crate) fn hs256(self) -> String {
        let message = self.header("alg", "HS256").message();
        let published = serde_json::to_vec(&keys::dynamic().public_jwk()).unwrap();
        let secret = EncodingKey::from_secret(&published);
        let signature = crypto::sign(message.as_bytes(), &secret, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    fn message(&self) -> String {
        let part =
            |json: &Map<String, Value>| URL_SAFE_NO_PAD.encode(serde_json::to_vec(json).unwrap());
        format!("{}.{}", part(&self.header), part(&self.payload))
    }
}

/// `Bearer …`.
pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// `sAccessToken=…`.
pub(crate) fn access_cookie(token: &str) -> String {
    format!("sAccessToken={token}")
}
