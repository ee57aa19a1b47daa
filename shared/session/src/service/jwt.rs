//! JWTs that are no sessions (contract §5.9), such as for anonymous visitors.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Sessions;
use crate::error::SessionError;
use crate::model::Timestamp;
use crate::store::PrivateKeyReader;
use crate::token::access::{SESSION_CLAIMS, sign_jwt};

opaque!(NewJwt);

/// What a JWT is to say, and for how long.
#[derive(Clone, PartialEq)]
pub struct NewJwt {
    /// Its claims; `iss`, unless given, `iat` and `exp` are added.
    pub payload: Map<String, Value>,
    /// How long it is valid.
    pub validity: Duration,
    /// Whether a key that rotates signs it. Such a key is withdrawn after a while, whatever the
    /// validity; a static one stays.
    pub use_dynamic_key: bool,
}

impl NewJwt {
    /// A JWT with these claims, by the static key, for 100 years of 365 days.
    #[must_use]
    pub const fn new(payload: Map<String, Value>) -> Self {
        let validity = Duration::from_hours(100 * 365 * 24);
        Self { payload, validity, use_dynamic_key: false }
    }
}

impl<S: PrivateKeyReader> Sessions<S> {
    /// Signs a JWT that anybody with the public keys can verify and that never passes for a session: it
    /// has no `sessionHandle`. Others who verify sessions must demand that claim, or an audience that no
    /// such JWT is given, since issuer and keys are the same (docs/authorizer.md §1.20).
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidInput`] if the payload has a claim that only session tokens have;
    /// otherwise faults.
    pub async fn create_jwt(&self, new: NewJwt, now: Timestamp) -> Result<String, SessionError> {
        let NewJwt { mut payload, validity, use_dynamic_key } = new;
        if let Some(name) = SESSION_CLAIMS.into_iter().find(|name| payload.contains_key(*name)) {
            return Err(SessionError::invalid_input(format!(
                "the claim {name} would make the JWT a session token"
            )));
        }
        payload.entry("iss").or_insert_with(|| self.config.api.issuer().into());
        payload.insert("iat".to_owned(), now.as_secs().into());
        payload.insert("exp".to_owned(), now.plus(validity).as_secs().into());
        let keys = self.minting_keys(&[], now).await?;
        sign_jwt(keys.signing(use_dynamic_key, now)?, &payload)
            .map_err(|error| SessionError::Internal(Box::new(error)))
    }
}
