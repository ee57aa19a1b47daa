//! What a use case can end with, other than success.

use std::borrow::Cow;

use crate::model::{Device, Generation, InvalidClaim, SessionHandle, TenantId, UserId};
use crate::store::StoreError;
use crate::token::TokenError;
use crate::token::key::KeyError;

/// Why a request does not get what it asked for.
///
/// The variants fall into two families that must never mix. The first five are facts about the
/// client's session; of these only [`Self::SessionEnded`] and [`Self::Reuse`] end anything on the
/// client. The others are our faults: they clear nothing, and the same tokens work again later.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No token of ours was presented. Nothing is cleared: a refresh may be under way in another tab.
    #[error("no session token was presented")]
    NoToken,
    /// A token of ours does not hold, or its anti-CSRF proof is missing: refresh and try again.
    #[error("the access token is not accepted")]
    TryRefresh(#[source] TryRefresh),
    /// The refresh token buys nothing, for certain: the client forgets its tokens.
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
    /// Two cookies of one name arrived and no older cookie domain is configured.
    #[error(
        "two cookies named {0} were sent; set OLDER_COOKIE_DOMAIN to the domain that was configured \
         before COOKIE_DOMAIN changed"
    )]
    DuplicateCookies(&'static str),
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
    /// Two access-token cookies: which one is meant is not known (contract §2.3).
    #[error("two access token cookies")]
    DuplicateCookies,
    /// The table says that the token's generation is neither the current one nor its parent (contract
    /// §5.8).
    #[error("of an older generation")]
    Superseded,
    /// The cookie that back ends before 2023 set (contract §2.6).
    #[error("legacy cookie")]
    LegacyCookie,
}

/// Why a refresh token buys nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// No refresh token was presented.
    NoRefreshToken,
    /// Not minted by us.
    NotAuthentic,
    /// The anti-CSRF proof of a cookie request is missing or wrong (contract §4.3).
    AntiCsrf,
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
            Self::NoRefreshToken => "no refresh token",
            Self::NotAuthentic => "refresh token not authentic",
            Self::AntiCsrf => "anti-CSRF proof missing or wrong",
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
}

impl SessionError {
    /// How an application logs a client out from inside a handler: 401, and the client forgets its
    /// tokens, those that the handler has just issued included (contract §8). The session stays in
    /// the table unless it is revoked as well.
    #[must_use]
    pub const fn unauthorised() -> Self {
        Self::SessionEnded(Ended::ByApplication)
    }

    /// Whether it is certain that the client's tokens are worth nothing any more: it forgets them.
    #[must_use]
    pub const fn ends_session(&self) -> bool {
        matches!(self, Self::SessionEnded(_) | Self::Reuse(_))
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
