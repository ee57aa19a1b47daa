//! Protected routes of an application: read and change the session, ask for a role, ask for a recent
//! sign-in.
//!
//! [`VerifySession`] stands in front of the handler. It finds the session of each request, answers those
//! without one as front ends expect it, and writes what the handler changed to the answer: a claim that
//! was merged reaches the client at once, in a new access token.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use lambda_http::tower::{Layer as _, Service};
use lambda_http::{Request, Response, service_fn};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use session::http::{RequestSession, VerifySession, json, not_found};
use session::model::{ArrayClaim, ClaimValidator, Clock};
use session::service::BoxError;
use session::store::DynamoDb;
use session::{SessionError, Sessions};

/// The claim with the user's roles; front ends know it by this name.
const ROLES: &str = "st-role";

/// The function; a transfer needs a sign-in that is no older than `fresh`.
pub fn service(
    sessions: Arc<Sessions<DynamoDb>>,
    clock: Arc<dyn Clock>,
    fresh: Duration,
) -> impl Service<Request, Response = Response<String>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let session = VerifySession::new(sessions, clock);
    session.layer(service_fn(move |request| async move { handle(&request, fresh).await }))
}

/// A [`SessionError`] is answered by the layer: 401, 403 with the claims that are missing, or 503.
type Answer = Result<Response<String>, SessionError>;

async fn handle(request: &Request, fresh: Duration) -> Answer {
    let session: RequestSession = RequestSession::of(request)?;
    match (request.method().as_str(), request.uri().path()) {
        ("GET", "/account") => show(&session).await,
        ("PUT", "/account/settings") => keep_settings(&session, request).await,
        ("POST", "/account/admin") => become_admin(&session).await,
        ("GET", "/account/reports") => reports(&session).await,
        ("POST", "/account/transfers") => transfer(&session, fresh).await,
        ("POST", "/account/confirm") => confirm(&session, request).await,
        _ => Ok(not_found()),
    }
}

/// Asks for a recent sign-in. Without one the answer is 403 with the claim `auth_time`, upon which the front
/// end lets the user confirm and tries again.
async fn transfer(session: &RequestSession, fresh: Duration) -> Answer {
    session.assert_claims(&[ClaimValidator::authenticated().max_age(fresh)]).await?;
    Ok(ok(&json!({ "status": "transferred" })))
}

/// The token says who it is; what the application keeps with the session is in the table.
async fn show(session: &RequestSession) -> Answer {
    let kept = session.information().await?;
    Ok(ok(&json!({
        "userId": session.user_id(),
        "roles": session.claim_value(ROLES),
        "settings": kept.session_data,
        "signedInAt": kept.summary.created_at,
        "endsAt": kept.summary.expires_at,
    })))
}

/// Session data stays on the server and may be large.
async fn keep_settings(session: &RequestSession, request: &Request) -> Answer {
    let Ok(settings) = serde_json::from_slice::<Map<String, Value>>(request.body()) else {
        return Ok(refused(StatusCode::BAD_REQUEST, "send the settings as a JSON object"));
    };
    session.update_session_data(settings).await?;
    Ok(ok(&json!({ "status": "OK" })))
}

/// Claims are in every access token; this answer carries a new one. An application would ask somebody
/// first.
async fn become_admin(session: &RequestSession) -> Answer {
    session.set_claim_value(ROLES, json!(["member", "admin"])).await?;
    Ok(ok(&json!({ "status": "OK" })))
}

/// Asks for a role. Without it the answer is 403 with the reason.
async fn reports(session: &RequestSession) -> Answer {
    session.assert_claims(&[ArrayClaim::new(ROLES).includes("admin")]).await?;
    Ok(ok(&json!({ "reports": ["2024", "2025"] })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Confirm {
    user_id: String,
}

/// The user proves again who they are. An application would check a password or a passkey here.
async fn confirm(session: &RequestSession, request: &Request) -> Answer {
    let confirmed = serde_json::from_slice::<Confirm>(request.body())
        .is_ok_and(|confirm| confirm.user_id == session.user_id().as_str());
    if !confirmed {
        return Ok(refused(StatusCode::FORBIDDEN, "that is not who is signed in"));
    }
    session.reauthenticated(["pwd"]).await?;
    Ok(ok(&json!({ "status": "OK" })))
}

fn ok(body: &Value) -> Response<String> {
    json(StatusCode::OK, body)
}

fn refused(status: StatusCode, message: &str) -> Response<String> {
    json(status, &json!({ "message": message }))
}
