//! Which access token counts, and whether it holds (contract §2.3, §4.2).

use std::borrow::Cow;

use http::Request;

use super::extract::{Cookies, bearer};
use super::names::{ACCESS_COOKIE, LEGACY_COOKIE};
use super::{AntiCsrfCheck, TransferMethod, anti_csrf};
use crate::config::AllowedMethod;
use crate::error::{SessionError, TryRefresh};
use crate::model::Timestamp;
use crate::service::verify::check_anti_csrf;
use crate::service::{AntiCsrfProof, Sessions};
use crate::store::PublicKeyReader;
use crate::token::{AccessToken, UnverifiedAccessToken};

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VerifyOptions {
    /// Whether a request without any token is refused. A stale token is refused in any case.
    pub session_required: bool,
    /// When requests with cookies need an anti-CSRF proof.
    pub anti_csrf_check: AntiCsrfCheck,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { session_required: true, anti_csrf_check: AntiCsrfCheck::Auto }
    }
}

/// A request whose access token holds.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The token.
    pub token: AccessToken,
    /// How it came.
    pub method: TransferMethod,
}

/// Verifies the access token of a request; `None` if there is none and none is required.
///
/// A header token beats a cookie. A text that is not one of our tokens is as good as absent. No I/O
/// once the keys are loaded.
///
/// # Errors
///
/// [`SessionError::NoToken`], [`SessionError::TryRefresh`], or a fault; nothing is ever cleared.
pub async fn verify<S: PublicKeyReader, B: Sync>(
    sessions: &Sessions<S>,
    request: &Request<B>,
    options: VerifyOptions,
    now: Timestamp,
) -> Result<Option<Verified>, SessionError> {
    Ok(presented(sessions, request, options, now).await?.map(|(_, verified)| verified))
}

/// As [`verify`], with the text of the token.
pub(super) async fn presented<'r, S: PublicKeyReader, B: Sync>(
    sessions: &Sessions<S>,
    request: &'r Request<B>,
    options: VerifyOptions,
    now: Timestamp,
) -> Result<Option<(Cow<'r, str>, Verified)>, SessionError> {
    let config = sessions.config();
    let headers = request.headers();
    let cookies = Cookies::of(headers);
    if cookies.count(LEGACY_COOKIE) > 0 {
        return Err(SessionError::TryRefresh(TryRefresh::LegacyCookie));
    }

    let from_header = match config.transfer.method {
        AllowedMethod::Any | AllowedMethod::Header => bearer(headers).map(Cow::Borrowed),
        AllowedMethod::Cookie => None,
    };
    let from_cookie = match config.transfer.method {
        AllowedMethod::Any | AllowedMethod::Cookie => cookies.first(ACCESS_COOKIE),
        AllowedMethod::Header => None,
    };
    let header_token = from_header.as_deref().and_then(UnverifiedAccessToken::parse);
    let cookie_token = from_cookie.as_deref().and_then(UnverifiedAccessToken::parse);
    let (token, method) = match (header_token, cookie_token) {
        (Some(token), _) => (token, TransferMethod::Header),
        (None, Some(token)) => {
            if cookies.count(ACCESS_COOKIE) > 1 {
                return Err(SessionError::TryRefresh(TryRefresh::DuplicateCookies));
            }
            (token, TransferMethod::Cookie)
        }
        (None, None) if options.session_required => return Err(SessionError::NoToken),
        (None, None) => return Ok(None),
    };

    let proof = if options.anti_csrf_check.applies_to(request.method()) {
        anti_csrf::proof(config, headers, method)
            .ok_or(SessionError::TryRefresh(TryRefresh::AntiCsrf))?
    } else {
        AntiCsrfProof::NotUsed
    };
    let token = sessions.verify(token, now).await?;
    check_anti_csrf(&token, proof)?;
    let text = match method {
        TransferMethod::Header => from_header,
        TransferMethod::Cookie => from_cookie,
    };
    Ok(text.map(|text| (text, Verified { token, method })))
}
