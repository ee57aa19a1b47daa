//! Answers: JSON for every outcome that an SDK knows, a text for what is refused (core §5).

use http::{HeaderValue, StatusCode, header};
use lambda_http::Response;
use serde_json::{Value, json};
use session::SessionError;

/// What an endpoint comes to.
pub(crate) type Answered = Result<Response<String>, Refusal>;

/// How long a caller should wait before it repeats a call that the store could not serve, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");
/// The reference says HTML. Texts repeat parts of the request, which no browser may take for a page.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");

/// A call that is not carried out, with its answer.
pub(crate) struct Refusal(Box<Response<String>>);

impl Refusal {
    /// A text with that status.
    pub(crate) fn new(status: StatusCode, problem: impl Into<String>) -> Self {
        Self(Box::new(text(status, problem)))
    }

    /// 400: what was sent cannot be right.
    pub(crate) fn bad(problem: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, problem)
    }

    /// 405, with the methods that there are.
    pub(crate) fn method(allowed: &str) -> Self {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method not supported");
        if let Ok(allowed) = HeaderValue::from_str(allowed) {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
        Self(Box::new(response))
    }

    /// 503: the same call works later.
    pub(crate) fn unavailable(problem: &str) -> Self {
        let mut response = text(StatusCode::SERVICE_UNAVAILABLE, problem);
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        Self(Box::new(response))
    }

    pub(crate) fn into_response(self) -> Response<String> {
        *self.0
    }
}

/// Faults, and input that cannot be recorded. What is said of tokens, endpoints say themselves.
impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        match &error {
            SessionError::InvalidInput(problem) => Self::bad(problem.as_ref()),
            SessionError::Unavailable(_) | SessionError::Contended(_) => {
                tracing::error!(cause, "{error}");
                Self::unavailable("the session store is not available, try again")
            }
            SessionError::NoToken
            | SessionError::TryRefresh(_)
            | SessionError::Unproved(_)
            | SessionError::DeviceUnproved(_)
            | SessionError::SessionEnded(_)
            | SessionError::Reuse(_)
            | SessionError::InvalidClaims(_)
            | SessionError::UseDpopNonce(_)
            | SessionError::IdempotencyKeyUsed(_)
            | SessionError::Internal(_) => {
                tracing::error!(cause, "{error}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
            }
        }
    }
}

/// 200 with a body; what is in it may be a token.
#[expect(clippy::needless_pass_by_value, reason = "callers write the body in place")]
pub(crate) fn ok(body: Value) -> Response<String> {
    respond(StatusCode::OK, JSON, body.to_string())
}

/// A text, which is how errors are told.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response<String> {
    respond(status, TEXT, text.into())
}

/// The session is over, or never was.
pub(crate) fn unauthorised(message: &str) -> Response<String> {
    ok(json!({ "status": "UNAUTHORISED", "message": message }))
}

/// There is no such session.
pub(crate) fn no_session() -> Response<String> {
    unauthorised("Session does not exist.")
}

/// The access token does not hold; refreshing may help.
pub(crate) fn try_refresh(message: &str) -> Response<String> {
    ok(json!({ "status": "TRY_REFRESH_TOKEN", "message": message }))
}

fn respond(status: StatusCode, content_type: HeaderValue, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}
