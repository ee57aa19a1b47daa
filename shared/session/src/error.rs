//! What a use case can end with, other than success.

use std::borrow::Cow;

use crate::model::{Assurance, Device, Generation, InvalidClaim, SessionHandle, TenantId, UserId};
use crate::store::StoreError;
use crate::token::TokenError;
use crate::token::dpop::ProofError;
use crate::token::key::KeyError;

/// Why a request does not get what it asked for.
///
/// The variants fall into two families that must never mix. The first seven are facts about the
/// client's session, unless a device is merely hindered; of these only [`Self::SessionEnded`] and [`Self::Reuse`] end anything on the
/// client. The others are our faults: they clear nothing, and the same tokens work again later.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No token of ours was presented. Nothing is cleared: a refresh may be under way in another tab.
    #[error("no session token was presented")]
    NoToken,
    /// A token of ours does not hold, or its anti-CSRF proof is missing: refresh and try again.
    #[error("the access token is not accepted")]
    TryRefresh(#[source] TryRefresh),
    /// Nothing that was presented could be refreshed, and nothing is known about the session that the
    /// client may have. Any website can make a browser send such a request, and it may be answered after
    /// another page has signed in: cookies stay as they are. Front ends forget what they kept themselves.
    #[error("nothing to refresh: {0}")]
    Unproved(Unproved),
    /// An authentic token was presented by somebody who does not prove the key of the session's device.
    /// Nothing was written: whoever lacks the key can neither refresh the session nor end it.
    #[error("no proof of the device key of session {}: {}", .0.handle, .0.why)]
    DeviceUnproved(Box<DeviceUnproved>),
    /// The session of an authentic token is over, for certain: the client forgets its tokens.
    #[error("the session has ended: {0}")]
    SessionEnded(Ended),
    /// A spent refresh token was presented outside every window: two parties hold tokens. The session
    /// was ended in the same write that noticed.
    #[error("refresh token reuse in session {}", .0.handle)]
    Reuse(Box<Reuse>),
    /// The session does not meet what the route demands; it goes on.
    #[error("the session does not meet {} claim validators", .0.len())]
    InvalidClaims(Vec<InvalidClaim>),
    /// The store cannot answer now. Retryable.
    #[error("the session store is not available")]
    Unavailable(#[source] StoreError),
    /// The session kept changing while a write was decided. Retryable.
    #[error("session {0} changed too often during one request")]
    Contended(SessionHandle),
    /// The request's DPoP proof has no fresh nonce (RFC 9449 §8). Nothing was looked up or written: the client
    /// makes the proof again, with this one.
    // Printable: it is worth nothing without the key.
    #[error("the DPoP proof has no fresh nonce")]
    UseDpopNonce(String),
    /// A sign-in repeats the idempotency key of another one, or of a session that has gone on since.
    #[error(
        "the idempotency key was used for session {0}, which is another sign-in's or has gone on since"
    )]
    IdempotencyKeyUsed(SessionHandle),
    /// The application asked for something that cannot be recorded.
    #[error("{0}")]
    InvalidInput(Cow<'static, str>),
    /// A fault of ours: deployment, damaged data, keys.
    #[error("internal fault")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why an access token leads to a refresh.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TryRefresh {
    /// The token itself.
    #[error(transparent)]
    Token(TokenError),
    /// The anti-CSRF proof is missing or wrong (contract §4.2).
    #[error("anti-CSRF proof missing or wrong")]
    AntiCsrf,
    /// A token that is bound to a key was sent as `Bearer` or in a cookie, or one that is not as `DPoP`.
    #[error("sent by the wrong scheme")]
    WrongScheme,
    /// The key that the token is bound to is not proved.
    #[error("no DPoP proof by the token's key")]
    NoProof,
    /// The DPoP proof does not count.
    #[error(transparent)]
    Proof(ProofError),
    /// The table says that the token's generation is neither the current one nor its parent (contract
    /// §5.8).
    #[error("of an older generation")]
    Superseded,
}

/// What a refresh lacks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unproved {
    /// No refresh token was presented.
    NoRefreshToken,
    /// It was not minted by us.
    NotAuthentic,
    /// The anti-CSRF proof of a cookie request is missing or wrong (contract §4.3).
    AntiCsrf,
}

impl std::fmt::Display for Unproved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoRefreshToken => "no refresh token",
            Self::NotAuthentic => "refresh token not authentic",
            Self::AntiCsrf => "anti-CSRF proof missing or wrong",
        })
    }
}

/// A refresh of a bound session without the proof of its key. Never holds a token.
#[derive(Clone, Debug)]
pub struct DeviceUnproved {
    /// The session.
    pub handle: SessionHandle,
    /// Its user.
    pub user_id: UserId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// What is lacking.
    pub why: WhyUnproved,
    /// Who asked.
    pub asked_by: Device,
    /// Who refreshed last before.
    pub last_used_by: Device,
    /// How sure one can be of the session.
    pub assurance: Assurance,
}

/// Why a session's device key is not proved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WhyUnproved {
    /// There is no proof, or one that is too old.
    Missing,
    /// The proof is of another key.
    OtherKey,
    /// The browser says that it could not prove the key now. It can later.
    Hindered,
}

impl WhyUnproved {
    /// The word for it in events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "Missing",
            Self::OtherKey => "OtherKey",
            Self::Hindered => "Hindered",
        }
    }
}

impl std::fmt::Display for WhyUnproved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "none that counts",
            Self::OtherKey => "one of another key",
            Self::Hindered => "the browser was hindered",
        })
    }
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Authentic, but the session is not in the table: signed out, or long over.
    Unknown,
    /// The idle or absolute end has passed.
    Expired,
    /// The session was ended before.
    Revoked,
    /// The application refuses the session, see [`SessionError::unauthorised`].
    ByApplication,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "session unknown",
            Self::Expired => "session expired",
            Self::Revoked => "session revoked",
            Self::ByApplication => "refused by the application",
        })
    }
}

/// The evidence of reuse. Never holds a token.
#[derive(Clone, Debug)]
pub struct Reuse {
    /// The session that was ended.
    pub handle: SessionHandle,
    /// Its user.
    pub user_id: UserId,
    /// The login method's own id of the user.
    pub recipe_user_id: UserId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// The generation that was presented.
    pub presented: Generation,
    /// The generation that was current.
    pub current: Generation,
    /// Who presented it.
    pub presented_by: Device,
    /// Who refreshed last before.
    pub last_used_by: Device,
    /// How sure one could be of the session.
    pub assurance: Assurance,
}

impl SessionError {
    /// How an application logs a client out from inside a handler: 401, and the client forgets the
    /// tokens of the request's session (contract §8). What the handler has just issued does not get out;
    /// cookies of a request without a session stay. The session stays in the table unless it is revoked as
    /// well.
    #[must_use]
    pub const fn unauthorised() -> Self {
        Self::SessionEnded(Ended::ByApplication)
    }

    /// Whether it is certain that the session of a token that was presented is over.
    #[must_use]
    pub const fn ends_session(&self) -> bool {
        matches!(self, Self::SessionEnded(_) | Self::Reuse(_))
    }

    /// Whether it says something about the client's session, rather than about us.
    #[must_use]
    pub const fn is_about_the_session(&self) -> bool {
        match self {
            Self::NoToken
            | Self::TryRefresh(_)
            | Self::Unproved(_)
            | Self::SessionEnded(_)
            | Self::Reuse(_)
            | Self::InvalidClaims(_) => true,
            // It holds its key, and the same request works later.
            Self::DeviceUnproved(lack) => !matches!(lack.why, WhyUnproved::Hindered),
            Self::Unavailable(_)
            | Self::Contended(_)
            | Self::UseDpopNonce(_)
            | Self::IdempotencyKeyUsed(_)
            | Self::InvalidInput(_)
            | Self::Internal(_) => false,
        }
    }

    /// Input that cannot be recorded, with the sentence that says what to change.
    pub(crate) fn invalid_input(problem: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidInput(problem.into())
    }
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        if error.is_retryable() {
            Self::Unavailable(error)
        } else {
            Self::Internal(Box::new(error))
        }
    }
}

impl From<KeyError> for SessionError {
    fn from(error: KeyError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<TokenError> for SessionError {
    fn from(error: TokenError) -> Self {
        Self::TryRefresh(TryRefresh::Token(error))
    }
}

/// The message of an error with those of all its causes, for operators.
#[must_use]
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_told_all_causes() {
        let source = std::sync::Arc::new(std::io::Error::other("nobody vouches for the server"));
        let code = "connection".to_owned();
        let error =
            SessionError::from(StoreError::Unavailable { operation: "GetItem", code, source });
        let told = with_causes(&error);
        assert!(
            told.ends_with(
                "GetItem: the service is not available (connection): nobody vouches for the server"
            ),
            "{told}"
        );
    }
}
