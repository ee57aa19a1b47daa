//! `POST {base}/session/refresh/device/register` and `POST {base}/session/refresh/device`: Device Bound
//! Session Credentials (docs/device-binding.md).
//!
//! Browsers end a binding for good upon any 4xx but 403 with a challenge: no fault of ours is one.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use serde_json::json;

use super::cookies::{device_cookie, device_cookie_attributes};
use super::extract::{Cookies, text};
use super::names::{
    DEVICE_CHALLENGE_HEADER, DEVICE_COOKIE, DEVICE_ID_HEADER, DEVICE_RESPONSE_HEADER,
    DEVICE_SKIPPED_HEADER, REFRESH_COOKIE,
};
use super::respond::{NO_STORE, Response, device_fault};
use super::{Endpoint, not_found};
use crate::config::SessionConfig;
use crate::model::{Device, Timestamp};
use crate::service::{BrowserAnswer, BrowserCredential, Registration, Sessions};
use crate::store::{PrivateKeyReader, SessionBinder};
use crate::token::UnverifiedRefreshToken;

/// Binds the session that was signed in just before to the browser's key.
pub async fn register_device<S: SessionBinder + PrivateKeyReader, B: Sync>(
    sessions: &Sessions<S>,
    request: &Request<B>,
    device: &Device,
    now: Timestamp,
) -> Response {
    let (config, headers) = (sessions.config(), request.headers());
    if !config.device_binding.is_on() {
        return not_found();
    }
    let (tokens, proof) = (tokens(headers), unquoted(headers, DEVICE_RESPONSE_HEADER));
    let proof = proof.unwrap_or_default();
    match sessions.register_browser(&tokens, proof, device, now).await {
        Ok(Registration::Bound(credential)) => {
            let initiators = config.websites.iter().map(|website| website.origin.host());
            let mut initiators: Vec<_> = initiators.collect();
            initiators.sort_unstable();
            initiators.dedup();
            let instructions = json!({
                "session_identifier": credential.identifier,
                "refresh_url": Endpoint::Device.path_in(config),
                "scope": { "include_site": false },
                "credentials": [{
                    "type": "cookie",
                    "name": DEVICE_COOKIE,
                    "attributes": device_cookie_attributes(config),
                }],
                // Without it, refreshes from other origins would go out without proof.
                "allowed_refresh_initiators": initiators,
            });
            proved(config, &credential, super::json(StatusCode::OK, &instructions))
        }
        Ok(Registration::Refused) => {
            tracing::info!("a device key was not registered");
            super::json(StatusCode::BAD_REQUEST, &json!({ "message": "not registered" }))
        }
        Err(error) => device_fault(&error),
    }
}

/// Renews the cookie that proves the browser's key, or asks the browser to sign.
pub async fn prove_device<S: PrivateKeyReader, B: Sync>(
    sessions: &Sessions<S>,
    request: &Request<B>,
    device: &Device,
    now: Timestamp,
) -> Response {
    let (config, headers) = (sessions.config(), request.headers());
    if !config.device_binding.is_on() {
        return not_found();
    }
    let (tokens, proof) = (tokens(headers), unquoted(headers, DEVICE_RESPONSE_HEADER));
    let identifier = unquoted(headers, DEVICE_ID_HEADER).unwrap_or_default();
    match sessions.prove_browser(identifier, &tokens, proof, device, now).await {
        Ok(BrowserAnswer::Proved(credential)) => {
            proved(config, &credential, Response::new(String::new()))
        }
        Ok(BrowserAnswer::Challenge { identifier, challenge }) => {
            let mut response = Response::new(String::new());
            *response.status_mut() = StatusCode::FORBIDDEN;
            set_challenge(response.headers_mut(), &identifier, &challenge);
            response
        }
        Ok(BrowserAnswer::Forget) => {
            let mut response = super::json(StatusCode::OK, &json!({ "continue": false }));
            response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
            response
        }
        Ok(BrowserAnswer::Refused) => {
            tracing::warn!("a proof of a device key does not hold");
            super::json(StatusCode::UNAUTHORIZED, &json!({ "message": "not the device's key" }))
        }
        Err(error) => device_fault(&error),
    }
}

/// What a refresh by cookie carries of its device: the cookie's values, and whether the browser says that
/// it could not renew it.
pub(super) fn shown_by<'a>(
    config: &SessionConfig,
    headers: &HeaderMap,
    cookies: &Cookies<'a>,
) -> (Vec<Cow<'a, str>>, bool) {
    if !config.device_binding.is_on() {
        return (Vec::new(), false);
    }
    (cookies.all(DEVICE_COOKIE), headers.contains_key(DEVICE_SKIPPED_HEADER))
}

/// The answer with what the browser needs for the next time.
fn proved(config: &SessionConfig, credential: &BrowserCredential, answer: Response) -> Response {
    let mut response = answer;
    let headers = response.headers_mut();
    set_challenge(headers, &credential.identifier, &credential.challenge);
    if let Some(line) = device_cookie(config, &credential.cookie) {
        headers.append(header::SET_COOKIE, line);
    }
    response
}

/// Both texts are base64url, which needs no escaping in a structured field.
fn set_challenge(headers: &mut HeaderMap, identifier: &str, challenge: &str) {
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    if let Ok(value) = HeaderValue::from_str(&format!("\"{challenge}\";id=\"{identifier}\"")) {
        headers.insert(DEVICE_CHALLENGE_HEADER, value);
    }
}

fn tokens(headers: &HeaderMap) -> Vec<UnverifiedRefreshToken> {
    let texts = Cookies::of(headers).all(REFRESH_COOKIE);
    texts.iter().filter_map(|it| UnverifiedRefreshToken::parse(it)).collect()
}

/// A header's value. The draft has them quoted, and the browsers of today do not quote them.
fn unquoted<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = text(headers, name)?;
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some(inner.unwrap_or(value))
}
