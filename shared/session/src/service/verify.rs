//! Verifying an access token: no I/O once the keys are loaded.

use std::sync::Arc;

use super::{AntiCsrfProof, Sessions};
use crate::error::{Ended, SessionError, TryRefresh};
use crate::model::{Session, Timestamp};
use crate::store::{PrivateKeyReader, PublicKeyReader, SessionReader};
use crate::token::refresh::is_equal;
use crate::token::{AccessToken, TokenError, UnverifiedAccessToken, VerifyingKeySet};

/// Whether the table is asked about a session whose access token holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DatabaseCheck {
    /// No: a revoked session works until its access token expires.
    #[default]
    Off,
    /// The session must be alive: one strongly consistent read. Needs no more than to read sessions.
    Alive,
    /// As [`Self::Alive`], and the token must be of the current generation or of its parent: one whose
    /// successors were used twice over, or whose generation was burnt, leads to a refresh, which tells
    /// an overtaken client from a thief. Generations are told by the master keys, so only functions
    /// that may read private keys can ask for this.
    Lineage,
}

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
        self.verify_at(token, self.config.keys.use_dynamic, now, now).await
    }

    /// As [`Self::verify`], whichever kind of key signed it.
    ///
    /// # Errors
    ///
    /// As [`Self::verify`].
    pub async fn verify_by_any_key(
        &self,
        token: UnverifiedAccessToken<'_>,
        now: Timestamp,
    ) -> Result<AccessToken, SessionError> {
        let is_dynamic = token.unverified_key_id().is_dynamic();
        self.verify_at(token, is_dynamic, now, now).await
    }

    /// What a token says that held at some instant, by the keys that are known at `now`.
    pub(super) async fn verify_at(
        &self,
        token: UnverifiedAccessToken<'_>,
        dynamic_keys: bool,
        instant: Timestamp,
        now: Timestamp,
    ) -> Result<AccessToken, SessionError> {
        let kid = token.unverified_key_id().as_str();
        let keys = self.keys.verifying(&self.store, Some(kid), now).await?;
        // One that is not believed any more says nothing about earlier instants either.
        let keys = keys.filter(|keys| keys.find(kid, now).is_some());
        let keys = keys.ok_or(TokenError::UnknownKey)?;
        Ok(token.verify(&keys, instant, dynamic_keys)?)
    }

    /// The claims of an access token that was handed over as text, without a request: for sockets and
    /// the like. Header and cookie rules are the caller's.
    ///
    /// # Errors
    ///
    /// [`SessionError::NoToken`] if the text is no token of ours; otherwise as [`Self::verify`], and
    /// [`SessionError::TryRefresh`] if the anti-CSRF proof does not hold.
    pub async fn get(
        &self,
        access_token: &str,
        anti_csrf: AntiCsrfProof<'_>,
        now: Timestamp,
    ) -> Result<AccessToken, SessionError> {
        let token = UnverifiedAccessToken::parse(access_token).ok_or(SessionError::NoToken)?;
        let token = self.verify(token, now).await?;
        check_anti_csrf(&token, anti_csrf)?;
        Ok(token)
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

/// Whether the proof repeats the token's own (contract §4.2).
pub(crate) fn check_anti_csrf(
    token: &AccessToken,
    proof: AntiCsrfProof<'_>,
) -> Result<(), SessionError> {
    let AntiCsrfProof::Token(presented) = proof else {
        return Ok(());
    };
    let expected = token.claims.anti_csrf_token.as_deref();
    let is_proved =
        presented.zip(expected).is_some_and(|(presented, expected)| is_equal(presented, expected));
    if is_proved { Ok(()) } else { Err(SessionError::TryRefresh(TryRefresh::AntiCsrf)) }
}

impl<S: SessionReader> Sessions<S> {
    /// The session of a verified token, which must be alive: one strongly consistent read.
    ///
    /// # Errors
    ///
    /// [`SessionError::SessionEnded`] if it is unknown, over or revoked: certain, so the client forgets
    /// its tokens. [`SessionError::TryRefresh`] if the token is older than the session: it is of an
    /// earlier one of the same handle ([`crate::model::NewSession::idempotency_key`]). Store faults as
    /// they are.
    pub async fn check_alive(
        &self,
        token: &AccessToken,
        now: Timestamp,
    ) -> Result<Session, SessionError> {
        let ended = |ended| SessionError::SessionEnded(ended);
        let handle = token.handle().ok_or(ended(Ended::Unknown))?;
        let session = self.store.session(&handle).await?.ok_or(ended(Ended::Unknown))?;
        if session.is_alive(now) {
            let is_older = token.claims.issued_at.as_secs() < session.created_at.as_secs();
            let superseded = SessionError::TryRefresh(TryRefresh::Superseded);
            return if is_older { Err(superseded) } else { Ok(session) };
        }
        let was_revoked = session.refresh.revoked_at.is_some();
        Err(ended(if was_revoked { Ended::Revoked } else { Ended::Expired }))
    }
}

impl<S: SessionReader + PrivateKeyReader> Sessions<S> {
    /// Asks the table about the session of a verified token, as far as `check` says.
    ///
    /// # Errors
    ///
    /// As [`Self::check_alive`]; [`SessionError::TryRefresh`] if the token is of an older generation:
    /// nothing is cleared (contract §5.8).
    pub async fn check_database(
        &self,
        token: &AccessToken,
        check: DatabaseCheck,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        if check == DatabaseCheck::Off {
            return Ok(());
        }
        let session = self.check_alive(token, now).await?;
        if check == DatabaseCheck::Alive {
            return Ok(());
        }
        self.check_lineage(token, &session, now).await
    }

    /// Whether a verified token is of the session's current generation or of its parent.
    ///
    /// # Errors
    ///
    /// [`SessionError::TryRefresh`] if it is of an older generation; otherwise faults.
    pub async fn check_lineage(
        &self,
        token: &AccessToken,
        session: &Session,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let master = self.minting_keys(&[], now).await?.master(now)?;
        let with_anti_csrf = token.claims.anti_csrf_token.is_some();
        let generations = [Some(session.refresh.current), session.refresh.parent];
        let is_recent = generations.into_iter().flatten().any(|generation| {
            let hash = &token.claims.refresh_token_hash;
            master.is_hash_of(hash, &session.handle, generation, with_anti_csrf)
        });
        if is_recent { Ok(()) } else { Err(SessionError::TryRefresh(TryRefresh::Superseded)) }
    }
}
