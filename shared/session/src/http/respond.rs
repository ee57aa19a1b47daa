//! Outcomes into responses; the only place that knows status codes (contract §3.2–3.6).

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use super::TokenHeaders;
use crate::config::SessionConfig;
use crate::error::{Ended, SessionError};

/// A response whose body is JSON text.
pub type Response = http::Response<String>;

/// How long a client should wait before it repeats a request the store could not serve, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A JSON response.
#[must_use]
pub fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(body.to_string());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The answer to a method or path that is not served.
#[must_use]
pub fn not_found() -> Response {
    json(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" }))
}

/// Whether a request is for that endpoint: method, base path, at most one tenant segment, path.
///
/// The tenant has no effect, one trailing slash is tolerated, the query string is ignored, and the
/// case of the path counts (contract §3.1).
#[must_use]
pub fn is_endpoint<B>(
    config: &SessionConfig,
    request: &Request<B>,
    method: &Method,
    path: &str,
) -> bool {
    let is_tenant = |segment: &str| {
        segment.strip_prefix('/').is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
    };
    let requested = request.uri().path();
    let requested = requested.strip_suffix('/').unwrap_or(requested);
    let rest = requested.strip_prefix(config.base_path.as_str());
    let between = rest.and_then(|rest| rest.strip_suffix(path));
    request.method().as_str().eq_ignore_ascii_case(method.as_str())
        && between.is_some_and(|between| between.is_empty() || is_tenant(between))
}

/// The answer to a request that failed, and the one log line about it.
///
/// Only certainty clears tokens: [`SessionError::SessionEnded`] and [`SessionError::Reuse`]. `request`
/// is the headers of the request, which tell whose cookies those are.
#[must_use]
pub fn error_response(
    config: &SessionConfig,
    request: &HeaderMap,
    error: &SessionError,
) -> Response {
    log(error);
    let expired = config.session_expired_status;
    let (status, message) = match error {
        SessionError::NoToken | SessionError::SessionEnded(_) => (expired, "unauthorised"),
        SessionError::TryRefresh(_) => (expired, "try refresh token"),
        SessionError::Reuse(_) => (expired, "token theft detected"),
        SessionError::Unavailable(_) | SessionError::Contended(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the session store is not available, try again")
        }
        SessionError::DuplicateCookies(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "two session cookies of one name were sent")
        }
        SessionError::InvalidInput(problem) => (StatusCode::BAD_REQUEST, *problem),
        SessionError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal server error"),
    };
    let mut response = json(status, &json!({ "message": message }));
    match error {
        SessionError::SessionEnded(_) | SessionError::Reuse(_) => {
            let mut tokens = TokenHeaders::new(config, request);
            tokens.clear_all();
            tokens.apply(response.headers_mut());
        }
        SessionError::Unavailable(_) | SessionError::Contended(_) => {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        SessionError::NoToken
        | SessionError::TryRefresh(_)
        | SessionError::DuplicateCookies(_)
        | SessionError::InvalidInput(_)
        | SessionError::Internal(_) => {}
    }
    response
}

/// One line per failure: the client's at `info`, reuse at `warn`, ours at `error`.
fn log(error: &SessionError) {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match error {
        // Every first visitor probes once without a token (contract §7.1).
        SessionError::NoToken | SessionError::SessionEnded(Ended::NoRefreshToken) => {
            tracing::debug!("{error}");
        }
        SessionError::TryRefresh(_) => tracing::info!(cause, "{error}"),
        SessionError::SessionEnded(_) => tracing::info!("{error}"),
        SessionError::InvalidInput(_) => tracing::info!("{error}"),
        SessionError::Reuse(reuse) => tracing::warn!(
            session.handle = %reuse.handle,
            presented = reuse.presented.number(),
            current = reuse.current.number(),
            "refresh token reuse: the session was ended"
        ),
        SessionError::Unavailable(_)
        | SessionError::Contended(_)
        | SessionError::DuplicateCookies(_)
        | SessionError::Internal(_) => tracing::error!(cause, "{error}"),
    }
}
