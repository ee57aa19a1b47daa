//! `POST {base}/backchannel-logout` and `POST {base}/security-events`: an identity provider says that sessions are
//! over (`OpenID` Connect Back-Channel Logout 1.0 §2.5 to §2.8, RFC 8935 §2).

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Request, Response};
use serde_json::{Value, json};
use session::Sessions;
use session::error::with_causes;
use session::http::{Endpoint, not_found};
use session::model::Timestamp;
use session::store::UserRevoker;
use session::token::EventTokenError;
use session::token::security_event::EventTokenKind;
use url::form_urlencoded;

use crate::provider::{COOLDOWN, Provider, Unverified};

/// Longest body, in bytes: twice the longest token, since a form may hold more.
const MAX_BODY_LEN: usize = 16 * 1024;

/// Why not all that a request asks for is done.
enum Refusal {
    /// It is no such request.
    Request(&'static str),
    /// Its token must not be acted upon.
    Token(EventTokenError),
    /// The provider's keys or the table are not there; the same request works later.
    Unavailable,
}

/// Answers one request; 404 if it is for something else, or no provider is configured.
pub(crate) async fn listen<S: UserRevoker>(
    sessions: &Sessions<S>,
    provider: Option<&Provider>,
    now: Timestamp,
    request: Request,
) -> Response<String> {
    let endpoint = Endpoint::of(sessions.config(), &request);
    match (endpoint, provider) {
        (Some(Endpoint::BackchannelLogout), Some(provider)) => {
            let kind = EventTokenKind::Logout;
            answer_logout(&end(sessions, provider, kind, logout_token(&request), now).await)
        }
        (Some(Endpoint::SecurityEvents), Some(provider)) => {
            let kind = EventTokenKind::SecurityEvent;
            answer_event(&end(sessions, provider, kind, event_token(&request), now).await)
        }
        _ => not_found(),
    }
}

/// Ends what the token says is over. Nothing touches the table before the token is verified.
async fn end<S: UserRevoker>(
    sessions: &Sessions<S>,
    provider: &Provider,
    kind: EventTokenKind,
    token: Result<String, &'static str>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let token = token.map_err(Refusal::Request)?;
    let over = provider.verify(&token, kind, now).await.map_err(|error| match error {
        Unverified::Refused(error) => Refusal::Token(error),
        Unverified::NoKeys => Refusal::Unavailable,
    })?;
    let Some(over) = over else { return Ok(()) };
    let ended = sessions.revoke_at_provider(over).await.map_err(|error| {
        tracing::error!(error = with_causes(&error), "the provider's sessions cannot be ended");
        Refusal::Unavailable
    })?;
    tracing::info!(ended = ended.len(), "the provider ended sessions");
    Ok(())
}

/// The token in a form; what else is in the form does not matter (Back-Channel Logout §2.5).
fn logout_token(request: &Request) -> Result<String, &'static str> {
    let body = body_of(request, "application/x-www-form-urlencoded")
        .ok_or("send application/x-www-form-urlencoded, of 16 KiB at most")?;
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Ok(token.into_owned()),
        _ => Err("send one logout_token"),
    }
}

/// The token that is the body (RFC 8935 §2.1).
fn event_token(request: &Request) -> Result<String, &'static str> {
    let body = body_of(request, "application/secevent+jwt")
        .ok_or("send application/secevent+jwt, of 16 KiB at most")?;
    let text = std::str::from_utf8(body).map_err(|_| "send a security event token")?;
    Ok(text.trim().to_owned())
}

/// The body, if it is not too long and of that type, whatever its parameters are.
fn body_of<'r>(request: &'r Request, media_type: &str) -> Option<&'r [u8]> {
    let said = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = said.split(';').next()?.trim();
    let body: &[u8] = request.body();
    (essence.eq_ignore_ascii_case(media_type) && body.len() <= MAX_BODY_LEN).then_some(body)
}

/// Back-Channel Logout §2.8.
fn answer_logout(told: &Result<(), Refusal>) -> Response<String> {
    let refusal =
        |error: &str, reason: String| json!({ "error": error, "error_description": reason });
    match told {
        Ok(()) => answer(StatusCode::OK, None),
        Err(Refusal::Request(problem)) => {
            refused(refusal("invalid_request", (*problem).to_owned()))
        }
        Err(Refusal::Token(error)) => refused(refusal("invalid_request", error.to_string())),
        Err(Refusal::Unavailable) => {
            unavailable(refusal("temporarily_unavailable", UNAVAILABLE.to_owned()))
        }
    }
}

/// RFC 8935 §2.2 to §2.4.
fn answer_event(told: &Result<(), Refusal>) -> Response<String> {
    let refusal = |error: &str, reason: String| json!({ "err": error, "description": reason });
    let mut response = match told {
        Ok(()) => return answer(StatusCode::ACCEPTED, None),
        Err(Refusal::Request(problem)) => {
            refused(refusal("invalid_request", (*problem).to_owned()))
        }
        Err(Refusal::Token(error)) => {
            let code = match error {
                EventTokenError::OtherIssuer => "invalid_issuer",
                EventTokenError::OtherAudience => "invalid_audience",
                EventTokenError::UnknownKey | EventTokenError::WrongAlgorithm => "invalid_key",
                EventTokenError::BadSignature => "authentication_failed",
                EventTokenError::TooLong
                | EventTokenError::Malformed
                | EventTokenError::WrongType
                | EventTokenError::CriticalExtension
                | EventTokenError::Claim(_)
                | EventTokenError::WrongTime
                | EventTokenError::Nonce
                | EventTokenError::NoSubject
                | EventTokenError::UnknownSubject => "invalid_request",
            };
            refused(refusal(code, error.to_string()))
        }
        Err(Refusal::Unavailable) => unavailable(refusal("unavailable", UNAVAILABLE.to_owned())),
    };
    let english = HeaderValue::from_static("en");
    response.headers_mut().insert(header::CONTENT_LANGUAGE, english);
    response
}

const UNAVAILABLE: &str = "the issuer's keys or the session store are not available, try again";

/// A provider whose tokens are refused is set up wrongly, and this line tells why.
fn refused(body: Value) -> Response<String> {
    tracing::info!(%body, "a provider's request was refused");
    answer(StatusCode::BAD_REQUEST, Some(body))
}

fn unavailable(body: Value) -> Response<String> {
    let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, Some(body));
    response.headers_mut().insert(header::RETRY_AFTER, COOLDOWN.as_secs().into());
    response
}

fn answer(status: StatusCode, body: Option<Value>) -> Response<String> {
    let mut response = match body {
        Some(body) => session::http::json(status, &body),
        None => Response::new(String::new()),
    };
    *response.status_mut() = status;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}
