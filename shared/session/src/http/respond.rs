//! Outcomes into responses; the only place that knows status codes (contract §3.2–3.6).

use std::fmt::Write as _;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::{TokenHeaders, TransferMethod};
use crate::config::SessionConfig;
use crate::error::{Ended, Reuse, SessionError, TryRefresh, Unproved, with_causes};
use crate::model::InvalidClaim;
use crate::model::claims::Challenge;

/// A response whose body is JSON text.
pub type Response = http::Response<String>;

/// How long a client should wait before it repeats a request the store could not serve, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Of what is one client's, or soon out of date: nobody may keep it for the next (RFC 9111 §5.2.2.5).
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A JSON response.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Bodies are maps with text keys, which always serialise.
    let mut response = Response::new(serde_json::to_string(body).unwrap_or_default());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The answer to a browser whose proof could not be judged: it keeps its binding and asks again.
pub(super) fn device_fault(error: &SessionError) -> Response {
    log(error);
    let text = "the device's key could not be checked, try again";
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// The answer to a method or path that is not served.
#[must_use]
pub fn not_found() -> Response {
    json(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" }))
}

/// The answers to the outcomes that clients act upon (contract §8).
///
/// A handler decides status and body; tokens are cleared or kept whatever it says, and 401 gets the
/// challenge that clients expect of it (RFC 9110 §15.5.2), of a scheme that no browser opens a dialogue for. The first three must
/// keep the status of an expired session, or clients will not react. The defaults are the reference's.
pub trait ErrorHandlers: Send + Sync {
    /// There is no session: no token, none that can be refreshed, or one whose session is over.
    fn unauthorised(&self, config: &SessionConfig, error: &SessionError) -> Response {
        let _ = error;
        message(config.statuses.session_expired, "unauthorised")
    }

    /// The access token does not hold; the client refreshes and tries again.
    fn try_refresh(&self, config: &SessionConfig, cause: &TryRefresh) -> Response {
        let _ = cause;
        message(config.statuses.session_expired, "try refresh token")
    }

    /// A refresh token was used by two parties; the session was ended in the write that noticed.
    fn theft(&self, config: &SessionConfig, reuse: &Reuse) -> Response {
        let _ = reuse;
        message(config.statuses.session_expired, "token theft detected")
    }

    /// The session does not meet what the route demands.
    fn invalid_claims(&self, config: &SessionConfig, failures: &[InvalidClaim]) -> Response {
        let body = InvalidClaimsBody { message: "invalid claim", failures };
        json(config.statuses.invalid_claim, &body)
    }
}

/// The reference's answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultErrorHandlers;

impl ErrorHandlers for DefaultErrorHandlers {}

/// In the order of contract §3.6.
#[derive(Serialize)]
struct InvalidClaimsBody<'a> {
    message: &'static str,
    #[serde(rename = "claimValidationErrors")]
    failures: &'a [InvalidClaim],
}

fn message(status: StatusCode, message: &str) -> Response {
    json(status, &json!({ "message": message }))
}

/// The answer to a request that failed, and the one log line about it.
///
/// Only certainty empties cookies: [`SessionError::SessionEnded`] and [`SessionError::Reuse`], which follow
/// from an authentic token. [`SessionError::unauthorised`] does not; [`super::RequestSession::error_response`]
/// knows whether there is a session that it is about, and leaves cookies alone if its token came by header.
/// `request` is the headers of the request, which tell whose cookies those are.
#[must_use]
pub fn error_response(
    config: &SessionConfig,
    request: &HeaderMap,
    error: &SessionError,
) -> Response {
    error_response_by(&DefaultErrorHandlers, config, request, error)
}

/// As [`error_response`], with the answers of `handlers`.
#[must_use]
pub fn error_response_by(
    handlers: &dyn ErrorHandlers,
    config: &SessionConfig,
    request: &HeaderMap,
    error: &SessionError,
) -> Response {
    refusal(handlers, config, request, error, None)
}

/// As [`error_response_by`], where it is known how the token came that the error is about.
pub(super) fn refusal(
    handlers: &dyn ErrorHandlers,
    config: &SessionConfig,
    request: &HeaderMap,
    error: &SessionError,
    came_by: Option<TransferMethod>,
) -> Response {
    log(error);
    let mut response = match error {
        SessionError::DeviceUnproved(_) if !error.is_about_the_session() => {
            let text = "the device could not prove its key, try again";
            message(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        SessionError::NoToken
        | SessionError::Unproved(_)
        | SessionError::DeviceUnproved(_)
        | SessionError::SessionEnded(_) => handlers.unauthorised(config, error),
        SessionError::TryRefresh(cause) => handlers.try_refresh(config, cause),
        SessionError::Reuse(reuse) => handlers.theft(config, reuse),
        SessionError::InvalidClaims(failures) => handlers.invalid_claims(config, failures),
        SessionError::Unavailable(_) | SessionError::Contended(_) => {
            let text = "the session store is not available, try again";
            message(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        SessionError::UseDpopNonce(_) => {
            let body = json!({ "message": error.to_string(), "error": "use_dpop_nonce" });
            json(StatusCode::UNAUTHORIZED, &body)
        }
        SessionError::IdempotencyKeyUsed(_) => {
            message(StatusCode::CONFLICT, "the idempotency key was used before")
        }
        SessionError::InvalidInput(problem) => message(StatusCode::BAD_REQUEST, problem),
        SessionError::Internal(_) => {
            message(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
        }
    };
    let headers = response.headers_mut();
    let mut tokens = TokenHeaders::new(config, request);
    match error {
        SessionError::DeviceUnproved(_) if !error.is_about_the_session() => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        // A front end must learn that its session is gone, or it would ask for ever.
        SessionError::Unproved(_) | SessionError::DeviceUnproved(_) => {
            tokens.clear(TransferMethod::Header);
        }
        SessionError::SessionEnded(_) | SessionError::Reuse(_) => {
            // Cookies beside a token that came by header may be another session's, and it may be alive.
            let is_about_cookies = match came_by {
                Some(method) => method == TransferMethod::Cookie,
                None => !matches!(error, SessionError::SessionEnded(Ended::ByApplication)),
            };
            if is_about_cookies {
                tokens.clear(TransferMethod::Cookie);
            }
            tokens.clear(TransferMethod::Header);
        }
        SessionError::InvalidClaims(failures) => {
            let challenges = failures.iter().filter_map(|failure| failure.challenge.as_ref());
            for challenge in challenges.filter_map(authenticate) {
                headers.append(header::WWW_AUTHENTICATE, challenge);
            }
        }
        SessionError::Unavailable(_) | SessionError::Contended(_) => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        SessionError::UseDpopNonce(nonce) => tokens.give_dpop_nonce(nonce),
        SessionError::NoToken
        | SessionError::TryRefresh(_)
        | SessionError::IdempotencyKeyUsed(_)
        | SessionError::InvalidInput(_)
        | SessionError::Internal(_) => {}
    }
    tokens.apply(headers);
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = response.headers_mut().entry(header::WWW_AUTHENTICATE);
        challenge.or_insert(scheme_of(error));
    }
    response
}

/// The scheme to come back with (RFC 9449 §7.1).
fn scheme_of(error: &SessionError) -> HeaderValue {
    if let SessionError::UseDpopNonce(_) = error {
        return HeaderValue::from_static(r#"DPoP error="use_dpop_nonce", algs="ES256 EdDSA""#);
    }
    let SessionError::TryRefresh(cause) = error else {
        return HeaderValue::from_static("Bearer");
    };
    HeaderValue::from_static(match cause {
        TryRefresh::WrongScheme | TryRefresh::NoProof => {
            r#"DPoP error="invalid_token", algs="ES256 EdDSA""#
        }
        TryRefresh::Proof(_) => r#"DPoP error="invalid_dpop_proof", algs="ES256 EdDSA""#,
        TryRefresh::Token(_) | TryRefresh::AntiCsrf | TryRefresh::Superseded => "Bearer",
    })
}

/// The challenge to authenticate again (RFC 9470 §3). It comes with the status of an invalid claim and
/// not with 401, upon which front ends would refresh again and again.
fn authenticate(challenge: &Challenge) -> Option<HeaderValue> {
    let mut text = "Bearer error=\"insufficient_user_authentication\", \
                    error_description=\"A different or more recent authentication is required\""
        .to_owned();
    if !challenge.methods.is_empty() {
        let _ = write!(text, ", acr_values=\"{}\"", challenge.methods.join(" "));
    }
    if let Some(max_age) = challenge.max_age {
        let _ = write!(text, ", max_age=\"{}\"", max_age.as_secs());
    }
    // Only a method with a name that no header takes has no challenge.
    HeaderValue::from_str(&text).ok()
}

/// One line per failure: the client's at `info`, reuse at `warn`, ours at `error`.
fn log(error: &SessionError) {
    let cause = std::error::Error::source(error).map(with_causes).unwrap_or_default();
    match error {
        // Every first visitor probes once without a token (contract §7.1).
        SessionError::NoToken | SessionError::Unproved(Unproved::NoRefreshToken) => {
            tracing::debug!("{error}");
        }
        // As usual as a stale nonce is.
        SessionError::UseDpopNonce(_) => tracing::debug!("{error}"),
        SessionError::TryRefresh(_) => tracing::info!(cause, "{error}"),
        SessionError::Unproved(_)
        | SessionError::DeviceUnproved(_)
        | SessionError::SessionEnded(_)
        | SessionError::InvalidClaims(_)
        | SessionError::IdempotencyKeyUsed(_)
        | SessionError::InvalidInput(_) => tracing::info!("{error}"),
        SessionError::Reuse(reuse) => tracing::warn!(
            session.handle = %reuse.handle,
            presented = reuse.presented.number(),
            current = reuse.current.number(),
            "refresh token reuse: the session was ended"
        ),
        SessionError::Unavailable(_) | SessionError::Contended(_) | SessionError::Internal(_) => {
            tracing::error!(cause, "{error}");
        }
    }
}
