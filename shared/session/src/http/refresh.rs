//! `POST {base}/session/refresh` (contract §2.4–2.6, §3.2).

use http::{HeaderMap, Request, StatusCode};
use serde_json::json;

use super::device::shown_by;
use super::dpop::Nonces;
use super::extract::{Cookies, bearer};
use super::names::{ACCESS_COOKIE, LEGACY_COOKIE, REFRESH_COOKIE};
use super::respond::{DefaultErrorHandlers, ErrorHandlers, Response, refusal};
use super::{TokenHeaders, TransferMethod, anti_csrf, dpop};
use crate::config::{AllowedMethod, SessionConfig};
use crate::error::{SessionError, Unproved};
use crate::model::{Device, DeviceKey, Timestamp};
use crate::service::{AntiCsrfProof, DeviceProof, Minting, RefreshOutcome, Refreshed, Sessions};
use crate::store::{PrivateKeyReader, SessionRefresher};
use crate::token::UnverifiedRefreshToken;
use crate::token::dpop::ProofError;

/// Of how many sessions cookies are tried: more than one only if a neighbour below the same domain has
/// planted some, and more than this only to cost us writes.
const MAX_SESSIONS: usize = 8;

/// Answers a refresh, and tells what became of it.
///
/// The request's body and `st-auth-mode` are not looked at: the answer uses the method that the token
/// came by. A request without a token of our form costs nothing.
pub async fn refresh<S, B>(
    sessions: &Sessions<S>,
    request: &Request<B>,
    device: &Device,
    now: Timestamp,
) -> (Response, Result<RefreshOutcome, SessionError>)
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
) -> (Response, Result<RefreshOutcome, SessionError>) {
    let config = sessions.config();
    let cookies = Cookies::of(headers);
    let mut tokens = TokenHeaders::new(config, headers);
    let (method, exchanged) = exchange(sessions, headers, &cookies, device, now).await;
    let (mut response, outcome) = match exchanged {
        Ok((refreshed, nonce)) => {
            clear_superseded(method, headers, &cookies, &mut tokens);
            tokens.attach(method, &refreshed.tokens, now);
            if let Some(nonce) = nonce {
                tokens.give_dpop_nonce(&nonce);
            }
            (super::json(StatusCode::OK, &json!({})), Ok(refreshed.outcome))
        }
        Err(error) => (refusal(handlers, config, headers, &error, Some(method)), Err(error)),
    };
    let is_fault = matches!(&outcome, Err(error) if !error.is_about_the_session());
    // It has no value that anybody would lose.
    if cookies.has(LEGACY_COOKIE) && !is_fault {
        tokens.clear_legacy();
    }
    tokens.apply(response.headers_mut());
    (response, outcome)
}

/// Refreshes with the token that counts, and tells how it came (contract §2.4); a nonce for the next proof goes
/// with it where the settings ask for them.
///
/// A bearer value of our form is what the client means, whatever cookies came along. A bearer value of
/// another form is some other system's and does not shadow the cookie.
async fn exchange<S: SessionRefresher + PrivateKeyReader>(
    sessions: &Sessions<S>,
    headers: &HeaderMap,
    cookies: &Cookies<'_>,
    device: &Device,
    now: Timestamp,
) -> (TransferMethod, Result<(Refreshed, Option<String>), SessionError>) {
    let (device_cookies, is_hindered) = shown_by(sessions.config(), headers, cookies);
    let device_proof = DeviceProof { key: None, cookies: &device_cookies, is_hindered };
    if sessions.config().transfer.method != AllowedMethod::Cookie
        && let Some(token) = bearer(headers).and_then(UnverifiedRefreshToken::parse)
    {
        let refreshed = exchange_header(sessions, headers, &token, device_proof, device, now).await;
        return (TransferMethod::Header, refreshed);
    }
    let refreshed = exchange_cookie(sessions, headers, cookies, device_proof, device, now).await;
    (TransferMethod::Cookie, refreshed.map(|refreshed| (refreshed, None)))
}

async fn exchange_header<S: SessionRefresher + PrivateKeyReader>(
    sessions: &Sessions<S>,
    headers: &HeaderMap,
    token: &UnverifiedRefreshToken,
    device_proof: DeviceProof<'_>,
    device: &Device,
    now: Timestamp,
) -> Result<(Refreshed, Option<String>), SessionError> {
    let config = sessions.config();
    let mut nonces = None;
    if Nonces::are_asked_for(config, headers) {
        let keys = sessions.minting_keys(&[], now).await?;
        nonces = Some(Nonces::of(config, keys.master(now)?, now));
    }
    let proof = DeviceProof { key: key_of(config, headers, nonces.as_ref(), now)?, ..device_proof };
    let (anti_csrf, minting) = (AntiCsrfProof::NotUsed, Minting::default());
    let refreshed = sessions.refresh_with(token, anti_csrf, proof, device, minting, now).await?;
    Ok((refreshed, nonces.map(|nonces| nonces.next)))
}

/// The key that the request proves. A proof that does not count is as good as none, because only the session
/// tells whether one is needed; but for its nonce, with which the client makes it again.
fn key_of(
    config: &SessionConfig,
    headers: &HeaderMap,
    nonces: Option<&Nonces>,
    now: Timestamp,
) -> Result<Option<DeviceKey>, SessionError> {
    if !config.device_binding.is_on() {
        return Ok(None);
    }
    match (dpop::proved_by_refresh(config, headers, nonces, now), nonces) {
        (Ok(key), _) => Ok(key),
        (Err(ProofError::NoFreshNonce), Some(nonces)) => {
            Err(SessionError::UseDpopNonce(nonces.next.clone()))
        }
        (Err(error), _) => {
            tracing::info!("{error}");
            Ok(None)
        }
    }
}

async fn exchange_cookie<S: SessionRefresher + PrivateKeyReader>(
    sessions: &Sessions<S>,
    headers: &HeaderMap,
    cookies: &Cookies<'_>,
    device_proof: DeviceProof<'_>,
    device: &Device,
    now: Timestamp,
) -> Result<Refreshed, SessionError> {
    let config = sessions.config();
    let texts = match config.transfer.method {
        AllowedMethod::Any | AllowedMethod::Cookie => cookies.all(REFRESH_COOKIE),
        AllowedMethod::Header => Vec::new(),
    };
    let presented = texts.iter().filter_map(|text| UnverifiedRefreshToken::parse(text));
    let presented: Vec<_> = presented.collect();
    if presented.is_empty() {
        return Err(SessionError::Unproved(Unproved::NoRefreshToken));
    }
    let proof = anti_csrf::proof(config, headers, TransferMethod::Cookie)
        .ok_or(SessionError::Unproved(Unproved::AntiCsrf))?;

    // A neighbour below the same domain can plant cookies, dead ones too: the first that is alive counts,
    // and the client loses its own only if it is certain of all.
    let mut refusal = None;
    let candidates = sessions.newest_of_each_session(presented, now).await?;
    for token in candidates.into_iter().take(MAX_SESSIONS) {
        let minting = Minting::default();
        match sessions.refresh_with(&token, proof, device_proof, device, minting, now).await {
            Ok(refreshed) => return Ok(refreshed),
            Err(error) if !error.is_about_the_session() => return Err(error),
            Err(error) if error.ends_session() && refusal.is_some() => {}
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.unwrap_or(SessionError::Unproved(Unproved::NotAuthentic)))
}

/// Clears what the tokens of a refresh by `method` take the place of: tokens of the method that is not
/// allowed, and what duplicates tell of cookies from before a change of settings (contract §2.5).
fn clear_superseded(
    method: TransferMethod,
    headers: &HeaderMap,
    cookies: &Cookies<'_>,
    out: &mut TokenHeaders<'_>,
) {
    if method == TransferMethod::Header {
        return;
    }
    if bearer(headers).and_then(UnverifiedRefreshToken::parse).is_some() {
        out.clear(TransferMethod::Header);
    }
    for name in [ACCESS_COOKIE, REFRESH_COOKIE] {
        if cookies.count(name) > 1 {
            out.clear_older(name);
        }
    }
}
