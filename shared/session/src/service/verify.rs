//! Verifying an access token: no I/O once the keys are loaded.

use std::sync::Arc;

use super::Sessions;
use crate::error::SessionError;
use crate::model::Timestamp;
use crate::store::PublicKeyReader;
use crate::token::{AccessToken, TokenError, UnverifiedAccessToken, VerifyingKeySet};

impl<S: PublicKeyReader> Sessions<S> {
    /// Checks signature, time and key of a token that has our form.
    ///
    /// # Errors
    ///
    /// [`SessionError::TryRefresh`] if the token does not hold; [`SessionError::Unavailable`] if no
    /// key is loaded and the store cannot answer, never "allow" and never "ended".
    pub async fn verify(
        &self,
        token: UnverifiedAccessToken<'_>,
        now: Timestamp,
    ) -> Result<AccessToken, SessionError> {
        let kid = token.unverified_key_id().as_str();
        let keys = self.keys.verifying(&self.store, Some(kid), now).await?;
        let keys = keys.ok_or(TokenError::UnknownKey)?;
        Ok(token.verify(&keys, now, self.config.use_dynamic_signing_key)?)
    }

    /// The published key set; empty before the first key was made.
    ///
    /// # Errors
    ///
    /// Store faults as they are.
    pub async fn published_keys(
        &self,
        now: Timestamp,
    ) -> Result<Option<Arc<VerifyingKeySet>>, SessionError> {
        self.keys.verifying(&self.store, None, now).await
    }
}
