//! Use cases: create, verify, refresh, look after, revoke. The only place that sequences model, tokens and store.
//!
//! Each is bounded by exactly the capabilities it needs: a binary that only verifies cannot write.

pub(crate) mod claims;
mod create;
mod device;
mod events;
mod jwt;
mod keys;
pub mod limits;
mod manage;
mod refresh;
mod regenerate;
mod reissue;
mod rotate;
pub(crate) mod verify;

use std::sync::Arc;
use std::time::Duration;

pub use self::claims::{BoxError, FetchedClaim};
pub use self::device::{BrowserAnswer, BrowserCredential, Registration};
pub use self::events::{Listener, RevocationCause, SessionEvent, Told};
pub use self::jwt::NewJwt;
use self::keys::KeyRing;
pub use self::keys::SigningKeys;
pub use self::manage::UsedLast;
pub use self::refresh::{AntiCsrfProof, DeviceProof, RefreshOutcome, Refreshed};
pub use self::regenerate::Regenerated;
pub use self::reissue::ReissuedToken;
pub use self::rotate::{KeyCommand, KeyKind, KeyReport, KeySummary};
pub use self::verify::DatabaseCheck;
use crate::config::SessionConfig;
use crate::error::SessionError;
use crate::model::{ClaimValidator, Generation, Session, SessionHandle, Timestamp};
pub use crate::store::dynamodb::Cursor;
use crate::token::access::{AccessTokenInput, MintedAccessToken};
use crate::token::{RefreshToken, SigningKey, front_token};

/// The session service over a store `S`.
///
/// One value serves a whole process: it keeps the keys between requests.
#[derive(Debug)]
pub struct Sessions<S> {
    config: SessionConfig,
    store: S,
    keys: KeyRing,
    listeners: Vec<Arc<dyn Listener>>,
    claims: Vec<FetchedClaim>,
    validators: Vec<ClaimValidator>,
}

opaque!(IssuedTokens);

/// What a caller may choose of an access token, where it may; by default all is as configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Minting {
    /// Whether a key that rotates signs it.
    pub use_dynamic_key: Option<bool>,
    /// How long it is valid: exactly that, if the session lives as long.
    pub access_token_ttl: Option<Duration>,
}

/// Tokens issued together, ready to be attached to a response.
#[derive(Clone)]
pub struct IssuedTokens {
    /// The session they belong to.
    pub handle: SessionHandle,
    /// The access token and its payload.
    pub access: MintedAccessToken,
    /// The refresh token.
    pub refresh: RefreshToken,
    /// When the session ends unless refreshed: the refresh cookie's expiry.
    pub refresh_expires_at: Timestamp,
    /// What the browser may know (contract §1.2).
    pub front: String,
    /// The anti-CSRF token, for cookie sessions in mode `VIA_TOKEN`.
    pub anti_csrf: Option<String>,
    /// What the browser is to sign so that the session is bound to it; at sign-in only.
    pub device_challenge: Option<String>,
}

impl<S> Sessions<S> {
    /// A service with these settings over that store; loads nothing yet.
    pub fn new(config: SessionConfig, store: S) -> Self {
        let keys = KeyRing::new(&config);
        Self {
            config,
            store,
            keys,
            listeners: Vec::new(),
            claims: Vec::new(),
            validators: Vec::new(),
        }
    }

    /// Adds one who is told what happens to sessions.
    #[must_use]
    pub fn with_listener(mut self, listener: Arc<dyn Listener>) -> Self {
        self.listeners.push(listener);
        self
    }

    /// The settings.
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// The store, for what has no use case of its own.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Mints the pair of `generation`, which must be the session's current one.
    fn issue(
        &self,
        keys: &SigningKeys,
        session: &Session,
        generation: Generation,
        with_anti_csrf: bool,
        minting: Minting,
        now: Timestamp,
    ) -> Result<IssuedTokens, SessionError> {
        let handle = session.handle;
        let master = keys.master(now)?;
        let refresh = master.mint(&handle, generation, with_anti_csrf);
        let anti_csrf = with_anti_csrf.then(|| master.anti_csrf_token(&handle, generation));
        let hash = refresh.hash();
        let input = AccessTokenInput::of(session, &hash, anti_csrf.as_deref());
        let refresh_expires_at = session.refresh.ends_at();
        // To the end of the session's last second, so that the refresh that follows is a clear "over".
        let left = now.until(refresh_expires_at) + Duration::from_millis(999);
        let usual = self.config.lifetimes.access_token;
        let usual = session.access_token_ttl.map_or(usual, |own| own.min(usual));
        let ttl = minting.access_token_ttl.unwrap_or_else(|| jittered(usual, &hash)).min(left);
        let access = input
            .sign(self.signing_key(keys, minting, now)?, now, ttl)
            .map_err(|error| SessionError::Internal(Box::new(error)))?;
        let front = front_token(&session.subject.user_id, access.expires_at, &access.payload);
        Ok(IssuedTokens {
            handle,
            access,
            refresh,
            refresh_expires_at,
            front,
            anti_csrf,
            device_challenge: None,
        })
    }

    /// The key that signs, of the kind that was chosen or else is configured.
    fn signing_key<'k>(
        &self,
        keys: &'k SigningKeys,
        minting: Minting,
        now: Timestamp,
    ) -> Result<&'k SigningKey, SessionError> {
        keys.signing(minting.use_dynamic_key.unwrap_or(self.config.keys.use_dynamic), now)
    }
}

/// Takes up to 5 % off, so that clients that signed in together do not refresh together.
///
/// The share comes from the refresh token's hash: as good as random, and the same for every answer
/// that repeats the token.
fn jittered(ttl: Duration, refresh_token_hash: &str) -> Duration {
    let dice = refresh_token_hash.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let share = dice.unwrap_or_default() * 50 / 0xffff; // in thousandths, 0 to 50
    ttl * (1000 - share) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_takes_between_nothing_and_five_percent() {
        let hour = Duration::from_hours(1);
        assert_eq!(jittered(hour, "0000"), hour);
        assert_eq!(jittered(hour, "ffff"), Duration::from_mins(57));
    }
}
