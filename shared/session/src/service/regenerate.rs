//! Claims replaced as a whole, by callers that send all of them.
//!
//! What such a caller means is the difference to the claims that it has seen. Only that is merged, so
//! that claims which others set meanwhile stay.

use serde_json::{Map, Value};

use super::{Minting, ReissuedToken, Sessions, limits};
use crate::error::SessionError;
use crate::model::{Session, SessionHandle, Timestamp};
use crate::store::{PrivateKeyReader, PublicKeyReader, SessionReader, SessionUpdater};
use crate::token::{AccessToken, UnverifiedAccessToken};

/// What became of a session whose claims were replaced through one of its access tokens.
#[derive(Debug)]
pub struct Regenerated {
    /// What the token said.
    pub token: AccessToken,
    /// The session, with its claims as they are now.
    pub session: Session,
    /// The token's successor; `None` if the token has expired, and the next refresh brings the claims.
    pub successor: Option<ReissuedToken>,
}

impl<S: SessionReader + SessionUpdater> Sessions<S> {
    /// Replaces the custom claims of a session; the session as it is then, `None` if there is none.
    ///
    /// One read to see what is different, and one write if anything is. Null removes a claim. Clients
    /// see the change after their next refresh.
    ///
    /// # Errors
    ///
    /// As [`Self::merge_into_access_token_payload`], but the issuer may change.
    pub async fn replace_access_token_payload(
        &self,
        handle: &SessionHandle,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Option<Session>, SessionError> {
        let Some(session) = self.alive(handle, now).await? else {
            return Ok(None);
        };
        let patch = limits::difference(difference(&session.access_token_payload, claims))?;
        if patch.is_empty() { Ok(Some(session)) } else { self.change(handle, patch, now).await }
    }
}

impl<S: SessionReader + SessionUpdater + PublicKeyReader + PrivateKeyReader> Sessions<S> {
    /// Replaces the custom claims of the session of an access token, if any are given, and mints the
    /// token's successor with the claims that are stored then; `None` if there is no such session.
    ///
    /// The token's own claims are those that the caller has seen. It may have expired, but must be
    /// authentic, of whichever kind of key; the successor is signed by the same kind.
    ///
    /// # Errors
    ///
    /// [`SessionError::TryRefresh`] if the token is not authentic; otherwise as
    /// [`Self::replace_access_token_payload`].
    pub async fn regenerate(
        &self,
        token: UnverifiedAccessToken<'_>,
        claims: Option<&Map<String, Value>>,
        now: Timestamp,
    ) -> Result<Option<Regenerated>, SessionError> {
        /// A token is expired in the second of its end.
        const LAST_SECOND: std::time::Duration = std::time::Duration::from_secs(1);
        let is_dynamic = token.unverified_key_id().is_dynamic();
        let held = now.min(token.unverified_expires_at().minus(LAST_SECOND));
        let token = self.verify_at(token, is_dynamic, held, now).await?;
        let Some(handle) = token.handle() else {
            return Ok(None);
        };
        let patch = claims.map(|claims| difference(&token.custom_claims(), claims));
        let patch = limits::difference(patch.unwrap_or_default())?;
        let session = if patch.is_empty() {
            self.alive(&handle, now).await?
        } else {
            self.change(&handle, patch, now).await?
        };
        let Some(session) = session else {
            return Ok(None);
        };
        let minting = Minting { use_dynamic_key: Some(is_dynamic), ..Minting::default() };
        let successor = self.reissue(&token.claims, &session, minting, now).await?;
        Ok(Some(Regenerated { token, session, successor }))
    }
}

/// The patch that makes `after` of `before`.
fn difference(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let gone = gone.map(|name| (name.clone(), Value::Null));
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let changed = changed.map(|(name, value)| (name.clone(), value.clone()));
    gone.chain(changed).collect()
}
