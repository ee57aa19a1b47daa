//! A new access token within a generation: after its claims changed.

use super::{Minting, Sessions};
use crate::error::SessionError;
use crate::model::{Session, Timestamp};
use crate::store::PrivateKeyReader;
use crate::token::access::{AccessTokenInput, MintedAccessToken};
use crate::token::{AccessClaims, front_token};

opaque!(ReissuedToken);

/// An access token that takes the place of another one: same end, same hashes, same anti-CSRF token,
/// issued now, with the claims that are stored.
#[derive(Clone)]
pub struct ReissuedToken {
    /// The access token and its payload.
    pub access: MintedAccessToken,
    /// What the browser may know (contract §1.2).
    pub front: String,
    /// The anti-CSRF token of the token it replaces.
    pub anti_csrf: Option<String>,
}

impl<S: PrivateKeyReader> Sessions<S> {
    /// Mints the successor of an access token of `session` that said these `claims`; `None` if it has expired
    /// meanwhile: the next refresh brings the claims. It ends when that one does, whatever `minting` says.
    ///
    /// # Errors
    ///
    /// Faults only.
    pub async fn reissue(
        &self,
        claims: &AccessClaims,
        session: &Session,
        minting: Minting,
        now: Timestamp,
    ) -> Result<Option<ReissuedToken>, SessionError> {
        if claims.expires_at.as_secs() <= now.as_secs() {
            return Ok(None);
        }
        let keys = self.minting_keys(&[], now).await?;
        let (hash, anti_csrf) = (&claims.refresh_token_hash, claims.anti_csrf_token.as_deref());
        let input = AccessTokenInput::of(session, hash, anti_csrf);
        let key = self.signing_key(&keys, minting, now)?;
        let access = input
            .sign_until(key, now, claims.expires_at)
            .map_err(|error| SessionError::Internal(Box::new(error)))?;
        let front = front_token(&session.subject.user_id, access.expires_at, &access.payload);
        Ok(Some(ReissuedToken { access, front, anti_csrf: claims.anti_csrf_token.clone() }))
    }
}
