//! What the caller gets: the session, or a code and a sentence; and what to return to the client.

use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use session::http::{Created, Response, TransferMethod, error_response, json};
use session::model::{SessionHandle, Subject, Timestamp};
use session::{SessionConfig, SessionError};

use crate::refusal::Refusal;

/// The answer to an invocation. Holds tokens, so it cannot be printed.
#[derive(Serialize)]
pub struct Answer {
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// What tells the client, in the form of its event.
    pub(crate) response: Value,
}

impl Answer {
    /// The answer to a caller whose mistake hides what the client sent.
    pub(crate) fn to_no_request(refusal: &Refusal) -> Self {
        let response = json!({
            "statusCode": 500,
            "headers": { "content-type": "application/json" },
            "cookies": [],
            "body": fault().into_body(),
            "isBase64Encoded": false,
        });
        Self { outcome: Outcome::Refused { error: Problem::of(refusal) }, response }
    }
}

/// What came of it.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    /// There is a session.
    Created { session: CreatedSession, tokens: Box<Tokens> },
    /// There is none.
    Refused { error: Problem },
}

/// The session, in the names of contract §6.1.
#[derive(Serialize)]
pub(crate) struct CreatedSession {
    #[serde(rename = "sessionHandle")]
    handle: SessionHandle,
    #[serde(flatten)]
    subject: Subject,
    /// When it ends unless it is refreshed, in milliseconds.
    expiry: Timestamp,
}

/// The session's tokens, for callers that deliver them by themselves.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    /// How they go in `response`: `cookie` or `header`.
    method: &'static str,
    access_token: String,
    /// When it expires, in milliseconds.
    access_token_expiry: Timestamp,
    refresh_token: String,
    front_token: String,
    anti_csrf_token: Option<String>,
}

/// What went wrong, for the caller's code and for its log.
#[derive(Serialize)]
pub(crate) struct Problem {
    code: &'static str,
    message: String,
}

impl Problem {
    fn of(refusal: &Refusal) -> Self {
        Self { code: refusal.code(), message: refusal.to_string() }
    }
}

/// A new session, or one that the same sign-in made before.
pub(crate) fn created(subject: Subject, created: Created<'_>) -> (Outcome, Response) {
    let tokens = created.tokens.clone();
    let method = match created.method {
        TransferMethod::Cookie => "cookie",
        TransferMethod::Header => "header",
    };
    let mut response = json(StatusCode::OK, &json!({ "status": "OK" }));
    created.apply(response.headers_mut());
    let session =
        CreatedSession { handle: tokens.handle, subject, expiry: tokens.refresh_expires_at };
    let tokens = Tokens {
        method,
        access_token: tokens.access.token,
        access_token_expiry: tokens.access.expires_at,
        refresh_token: tokens.refresh.expose().to_owned(),
        front_token: tokens.front,
        anti_csrf_token: tokens.anti_csrf,
    };
    (Outcome::Created { session, tokens: Box::new(tokens) }, response)
}

/// No session. A mistake in the caller's code is not the client's, who learns nothing of it.
pub(crate) fn refused(
    config: &SessionConfig,
    headers: &HeaderMap,
    refusal: Refusal,
) -> (Outcome, Response) {
    let error = Problem::of(&refusal);
    let response = match refusal {
        Refusal::CrossSite(response) => *response,
        Refusal::Input(_)
        | Refusal::ReservedClaim(_)
        | Refusal::Tenant(_)
        | Refusal::Session(SessionError::InvalidInput(_)) => fault(),
        Refusal::Session(error) => error_response(config, headers, &error),
    };
    (Outcome::Refused { error }, response)
}

fn fault() -> Response {
    json(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": "internal server error" }))
}
