//! The JWT authorizer that HTTP APIs bring along: no function, and rules of its own (docs/authorizer.md
//! §1.16).

use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use session::model::Timestamp;

/// A JWT authorizer as an API is configured with it.
#[derive(Clone, Debug)]
pub struct JwtAuthorizer {
    /// The keys behind the issuer's discovery document.
    pub keys: JwkSet,
    /// Exactly what `iss` must be.
    pub issuer: String,
    /// What `aud` must contain, or `client_id` be if there is no `aud`.
    pub audience: Vec<String>,
    /// Of these the route demands one.
    pub scopes: Vec<String>,
}

impl JwtAuthorizer {
    /// The claims that the integration gets, or status and `www-authenticate`.
    ///
    /// # Errors
    ///
    /// 401 if the token does not hold, 403 if it lacks the scope.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Value, (u16, String)> {
        let claims = self.verify(token, now).ok_or_else(|| {
            let error = r#"error="invalid_token" error_description="the token is not valid""#;
            (401, format!(r#"Bearer scope="" {error}"#))
        })?;
        let granted = ["scope", "scp"].iter().find_map(|name| claims[*name].as_str());
        let mut granted = granted.unwrap_or_default().split_whitespace();
        if self.scopes.is_empty() || granted.any(|one| self.scopes.iter().any(|own| own == one)) {
            return Ok(claims);
        }
        Err((403, r#"Bearer scope="" error="insufficient_scope""#.to_owned()))
    }

    fn verify(&self, token: &str, now: Timestamp) -> Option<Value> {
        let header = decode_header(token).ok()?;
        let key = self.keys.find(&header.kid?)?;
        // RSA only.
        if !matches!(key.algorithm, AlgorithmParameters::RSA(_)) {
            return None;
        }
        let mut rules = Validation::new(header.alg);
        // Compared below with a clock of the test's own.
        (rules.validate_exp, rules.validate_aud) = (false, false);
        rules.set_issuer(&[&self.issuer]);
        let key = DecodingKey::from_jwk(key).ok()?;
        let claims = decode::<Value>(token, &key, &rules).ok()?.claims;
        let audience = match &claims["aud"] {
            Value::Null => vec![claims["client_id"].as_str()],
            Value::Array(several) => several.iter().map(Value::as_str).collect(),
            one => vec![one.as_str()],
        };
        let is_for_us =
            audience.into_iter().flatten().any(|one| self.audience.iter().any(|own| own == one));
        let is_alive = claims["exp"].as_u64().is_some_and(|exp| exp > now.as_secs());
        (is_for_us && is_alive).then_some(claims)
    }
}
