//! The authorizer of every front door: HTTP APIs with payload 2.0 and 1.0, REST APIs by TOKEN and
//! REQUEST, WebSocket APIs, `AppSync`.
//!
//! A request whose token is missing, stale or forged gets 401, so that the client refreshes; one whose
//! session is not allowed in gets 403. A fault becomes 500: it is never "allow", and never sends clients
//! away to refresh. Which shapes events have is the affair of [`Event`], which forms answers have that of
//! [`Answer`].

mod answer;
mod claims;
mod config;
mod event;

use http::{HeaderMap, header};
use serde_json::value::RawValue;
use session::config::Origin;
use session::http::{
    DefaultErrorHandlers, ErrorHandlers as _, TransferMethod, Verified, VerifyOptions, verify,
};
use session::model::{Clock, Timestamp};
use session::store::{PublicKeyReader, SessionReader};
use session::{SessionConfig, SessionError, Sessions};

pub use self::answer::{Answer, Context, PolicyDocument, Refusal, ResponseFormat};
use self::answer::{Verdict, context};
pub use self::config::{AuthorizerConfig, caveat};
pub use self::event::{Event, FrontDoor};

/// Answers one event. No I/O once the keys are loaded, but for one read where the setting demands it.
///
/// # Errors
///
/// [`Refusal`]: for faults, and for 401 where it must be raised.
pub async fn handle<S: PublicKeyReader + SessionReader>(
    sessions: &Sessions<S>,
    config: &AuthorizerConfig,
    clock: &impl Clock,
    event: &RawValue,
) -> Result<Answer, Refusal> {
    let event = Event::recognise(event.get()).ok_or(Refusal::UnrecognisedEvent)?;
    let verdict = match decide(sessions, config, clock.now(), &event).await {
        Ok(verdict) => verdict,
        Err(
            SessionError::NoToken
            | SessionError::TryRefresh(_)
            | SessionError::Unproved(_)
            | SessionError::DeviceUnproved(_)
            | SessionError::SessionEnded(_),
        ) => Verdict::Refresh,
        Err(fault) => return Err(Refusal::Fault(fault)),
    };
    answer::answer(config.response, event.front_door, verdict)
}

async fn decide<S: PublicKeyReader + SessionReader>(
    sessions: &Sessions<S>,
    config: &AuthorizerConfig,
    now: Timestamp,
    Event { front_door, request }: &Event,
) -> Result<Verdict, SessionError> {
    let options = VerifyOptions {
        session_required: config.session_required,
        anti_csrf_check: config.anti_csrf_check,
    };
    let Some(Verified { token, method }) = verify(sessions, request, options, now).await? else {
        return Ok(Verdict::Allow { user_id: None, context: Context::default() });
    };
    if config.check_database {
        // Few ask for it, so its way to the table is not kept ready for every event.
        Box::pin(sessions.check_alive(&token, now)).await?;
    }
    let user_id = token.claims.subject.user_id.to_string();
    if front_door.is_web_socket()
        && method == TransferMethod::Cookie
        && !is_allowed_origin(sessions.config(), config, request.headers())
    {
        return Ok(Verdict::Forbid { user_id, body: None });
    }
    // On the token as it is: fetching a claim again would have to write.
    let validators = config.required_claims.iter();
    let failures: Vec<_> =
        validators.filter_map(|validator| validator.validate(&token.payload, now)).collect();
    if !failures.is_empty() {
        let response = DefaultErrorHandlers.invalid_claims(sessions.config(), &failures);
        return Ok(Verdict::Forbid { user_id, body: Some(response.into_body()) });
    }
    let context = context(token, config.context_claims.as_deref());
    Ok(Verdict::Allow { user_id: Some(user_id), context })
}

/// Whether the page that opens a WebSocket is one of ours. Browsers send cookies with the handshake
/// whatever page opens it, and apply neither CORS nor any header that a page of ours could add.
fn is_allowed_origin(
    session: &SessionConfig,
    authorizer: &AuthorizerConfig,
    headers: &HeaderMap,
) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let is_same = |own: &Origin| *origin == own.to_string().as_str();
    match authorizer.websocket_origins.as_slice() {
        [] => session.websites.iter().any(|website| is_same(&website.origin)),
        origins => origins.iter().any(is_same),
    }
}
