//! API Gateway authorizer for HTTP APIs, payload 2.0, simple responses.
//!
//! A request whose token is missing, stale or forged gets 401, so that the client refreshes: the
//! returned object `{"errorMessage":"Unauthorized"}` says so to the gateway. An error that is raised
//! means a fault and becomes 500; it never becomes "allow", and never sends clients away to refresh.

mod event;

use lambda_runtime::Diagnostic;
use serde::Serialize;
use session::http::{VerifyOptions, verify};
use session::model::Clock;
use session::store::PublicKeyReader;
use session::token::AccessToken;
use session::{SessionError, Sessions};

pub use self::event::Event;

/// What the gateway is told.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Answer {
    /// The request goes on; the integration finds `context` in its event.
    Allow {
        /// Always true.
        is_authorized: bool,
        /// What the integration may know, flat.
        context: Context,
    },
    /// 401: the client refreshes and tries again.
    Unauthorized {
        /// Exactly the text that the gateway compares with.
        error_message: &'static str,
    },
}

/// What the integration finds at `requestContext.authorizer.lambda`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// Whom the session signs in.
    pub user_id: String,
    /// The login method's own id of the user.
    pub recipe_user_id: String,
    /// The tenant.
    pub tenant_id: String,
    /// The session.
    pub session_handle: String,
    /// The complete payload of the access token, as JSON text.
    pub access_token_payload: String,
}

/// The authorizer cannot decide; the gateway answers 500 and the client keeps its session.
#[derive(Debug)]
pub enum Refusal {
    /// The event is none that this function understands.
    UnrecognisedEvent,
    /// The keys cannot be had.
    Fault(SessionError),
}

/// Decides on one request; no I/O once the keys are loaded.
///
/// # Errors
///
/// [`Refusal`], for faults only.
pub async fn handle<S: PublicKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    event: Event,
) -> Result<Answer, Refusal> {
    let request = event.into_request().ok_or(Refusal::UnrecognisedEvent)?;
    match verify(sessions, &request, VerifyOptions::default(), clock.now()).await {
        Ok(Some(verified)) => Ok(allow(verified.token)),
        Ok(None) | Err(SessionError::NoToken | SessionError::TryRefresh(_)) => {
            Ok(Answer::Unauthorized { error_message: "Unauthorized" })
        }
        Err(fault) => Err(Refusal::Fault(fault)),
    }
}

fn allow(token: AccessToken) -> Answer {
    let AccessToken { claims, payload } = token;
    let context = Context {
        user_id: claims.user_id.to_string(),
        recipe_user_id: claims.recipe_user_id.to_string(),
        tenant_id: claims.tenant_id.to_string(),
        session_handle: claims.session_handle,
        access_token_payload: serde_json::Value::Object(payload).to_string(),
    };
    Answer::Allow { is_authorized: true, context }
}

/// Stable names, because alarms match on them.
impl From<Refusal> for Diagnostic {
    fn from(refusal: Refusal) -> Self {
        let (error_type, error_message) = match refusal {
            Refusal::UnrecognisedEvent => ("UnrecognisedEvent", "unrecognised event".to_owned()),
            Refusal::Fault(error) => ("AuthorizerFault", error.to_string()),
        };
        Self { error_type: error_type.to_owned(), error_message }
    }
}
