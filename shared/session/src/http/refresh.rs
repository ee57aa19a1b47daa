//! `POST {base}/session/refresh` (contract §2.4–2.6, §3.2).

use http::{HeaderMap, Request, StatusCode};
use serde_json::json;

use super::extract::{Cookies, bearer};
use super::names::{ACCESS_COOKIE, LEGACY_COOKIE, REFRESH_COOKIE};
use super::respond::{DefaultErrorHandlers, ErrorHandlers, Response, error_response_by};
use super::{TokenHeaders, TransferMethod, anti_csrf};
use crate::config::AllowedMethod;
use crate::error::{Ended, SessionError};
use crate::model::{Device, Timestamp};
use crate::service::{RefreshOutcome, Refreshed, Sessions};
use crate::store::{PrivateKeyReader, SessionRefresher};
use crate::token::UnverifiedRefreshToken;

/// Answers a refresh, and tells what became of it; `None` if duplicate cookies were cleared only.
///
/// The request's body and `st-auth-mode` are not looked at: the answer uses the method that the token
/// came by. A request without a token of our form costs nothing.
pub async fn refresh<S, B>(
    sessions: &Sessions<S>,
    request: &Request<B>,
    device: &Device,
    now: Timestamp,
) -> (Response, Result<Option<RefreshOutcome>, SessionError>)
where
    S: SessionRefresher + PrivateKeyReader,
    B: Sync,
{
    refresh_by(&DefaultErrorHandlers, sessions, request.headers(), device, now).await
}

/// As [`refresh`], with the answers of `handlers`.
pub(super) async fn refresh_by<S: SessionRefresher + PrivateKeyReader>(
    handlers: &dyn ErrorHandlers,
    sessions: &Sessions<S>,
    headers: &HeaderMap,
    device: &Device,
    now: Timestamp,
) -> (Response, Result<Option<RefreshOutcome>, SessionError>) {
    let config = sessions.config();
    let cookies = Cookies::of(headers);
    let mut tokens = TokenHeaders::new(config, headers);
    let exchanged = exchange(sessions, headers, &cookies, device, now, &mut tokens).await;
    if let Ok(Some((method, refreshed))) = &exchanged {
        tokens.attach(*method, &refreshed.tokens, now);
    }
    clear_legacy(&exchanged, &cookies, &mut tokens);
    let outcome = exchanged.map(|found| found.map(|(_, refreshed)| refreshed.outcome));
    let mut response = match &outcome {
        Ok(Some(_)) => super::json(StatusCode::OK, &json!({})),
        Ok(None) => handlers.duplicate_cookies_cleared(config),
        Err(error) => error_response_by(handlers, config, headers, error),
    };
    // Where nothing is known, nothing is written.
    if outcome.as_ref().map_or_else(SessionError::ends_session, |_| true) {
        tokens.apply(response.headers_mut());
    }
    (response, outcome)
}

/// What a refresh came to: the method and the tokens, or `None` if duplicate cookies were cleared only.
type Exchanged = Result<Option<(TransferMethod, Refreshed)>, SessionError>;

/// Clears the legacy cookie once it is certain what becomes of the client's tokens (contract §2.6).
fn clear_legacy(exchanged: &Exchanged, cookies: &Cookies<'_>, out: &mut TokenHeaders<'_>) {
    let is_certain = match exchanged {
        Ok(found) => found.is_some(),
        Err(error) => error.ends_session(),
    };
    if is_certain && cookies.count(LEGACY_COOKIE) > 0 {
        out.clear_legacy();
    }
}

/// Refreshes with the token that counts; `out` gets what is to be cleared before the new tokens.
async fn exchange<S: SessionRefresher + PrivateKeyReader>(
    sessions: &Sessions<S>,
    headers: &HeaderMap,
    cookies: &Cookies<'_>,
    device: &Device,
    now: Timestamp,
    out: &mut TokenHeaders<'_>,
) -> Exchanged {
    let config = sessions.config();
    let allowed = config.transfer.method;
    let has_duplicates = allowed != AllowedMethod::Header && clear_duplicates(cookies, out)?;

    // A bearer value of another form is some other system's and does not shadow the cookie.
    let from_header = match allowed {
        AllowedMethod::Any | AllowedMethod::Header if !has_duplicates => {
            bearer(headers).and_then(UnverifiedRefreshToken::parse)
        }
        AllowedMethod::Any | AllowedMethod::Cookie | AllowedMethod::Header => None,
    };
    let from_cookie = match allowed {
        AllowedMethod::Any | AllowedMethod::Cookie => {
            let parsed =
                cookies.all(REFRESH_COOKIE).filter_map(|text| UnverifiedRefreshToken::parse(&text));
            sessions.newest_authentic(parsed.collect(), now).await?
        }
        AllowedMethod::Header => None,
    };
    let (presented, method) = match (from_header, from_cookie) {
        (Some(token), _) => (token, TransferMethod::Header),
        (None, Some(token)) => (token, TransferMethod::Cookie),
        (None, None) if has_duplicates => return Ok(None),
        (None, None) => return Err(SessionError::SessionEnded(Ended::NoRefreshToken)),
    };

    let proof = anti_csrf::proof(config, headers, method)
        .ok_or(SessionError::SessionEnded(Ended::AntiCsrf))?;
    let refreshed = sessions.refresh(&presented, proof, device, now).await?;
    match method {
        TransferMethod::Cookie
            if bearer(headers).and_then(UnverifiedRefreshToken::parse).is_some() =>
        {
            out.clear(TransferMethod::Header);
        }
        TransferMethod::Header if cookies.count(REFRESH_COOKIE) > 0 => {
            out.clear(TransferMethod::Cookie);
        }
        TransferMethod::Cookie | TransferMethod::Header => {}
    }
    Ok(Some((method, refreshed)))
}

/// Clears the older of two cookies of one name (contract §2.5); whether there were any.
///
/// The reference stops there. Where the right refresh token can be told, the refresh goes on instead:
/// current front ends take an answer without a front token for an error.
fn clear_duplicates(
    cookies: &Cookies<'_>,
    out: &mut TokenHeaders<'_>,
) -> Result<bool, SessionError> {
    let mut found = false;
    for name in [ACCESS_COOKIE, REFRESH_COOKIE] {
        if cookies.count(name) > 1 {
            if !out.clear_older(name) {
                return Err(SessionError::DuplicateCookies(name));
            }
            found = true;
        }
    }
    Ok(found)
}
