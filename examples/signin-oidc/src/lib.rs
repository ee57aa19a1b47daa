//! Sign-in with an OpenID Connect provider such as Cognito: an ID token in, a session out.
//!
//! The front end lets the user sign in with the provider and sends what it gets to this function. The
//! answer carries the session's tokens; from then on the ID token is no longer needed.

mod oidc;

use http::{HeaderValue, StatusCode, header};
use lambda_http::{Request, Response};
use serde::Deserialize;
use serde_json::json;
use session::Sessions;
use session::http::{create, error_response, json, refuse_foreign_sign_in};
use session::model::{Authentication, Clock, Device, NewSession, Timestamp, claims};
use session::store::SignInStore;

pub use self::oidc::{IdToken, Provider, Refusal};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignIn {
    id_token: String,
    /// What the front end put into its authentication request and kept: proof that the token answers
    /// that request.
    nonce: Option<String>,
}

/// `POST /signin` with `{"idToken": …, "nonce": …}`: answers with the tokens of a new session.
///
/// 403 or 415 for what a foreign page may have sent, 400 for another body, 401 for an ID token that does not hold, with the reason, and 503 while the
/// provider's keys or the session store cannot be reached.
pub async fn handle<S: SignInStore>(
    sessions: &Sessions<S>,
    provider: &Provider,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    if let Some(refusal) = refuse_foreign_sign_in(sessions.config(), request.headers()) {
        return refusal;
    }
    let now = clock.now();
    let Ok(sign_in) = serde_json::from_slice::<SignIn>(request.body()) else {
        return message(StatusCode::BAD_REQUEST, "send JSON such as {\"idToken\": \"eyJ…\"}");
    };
    let user = match provider.verify(&sign_in.id_token, sign_in.nonce.as_deref(), now).await {
        Ok(user) => user,
        Err(refusal) => return refused(&refusal),
    };

    let mut new = NewSession::for_user(user.sub);
    // Claims travel in every access token, session data stays on the server.
    new.access_token_payload.insert("st-role".to_owned(), claims::stored(user.groups.into(), now));
    if let Some(email) = user.email {
        new.session_data.insert("email".to_owned(), email.into());
    }

    // Routes that ask for a recent sign-in look at this.
    new.authentication =
        user.auth_time.map(|at| Authentication { at: Timestamp::from_secs(at), methods: user.amr });

    let device = Device::of(request.headers(), None);
    match create(sessions, &request, new, device, now, &mut bootstrap::system_rng()).await {
        Ok(tokens) => {
            let mut response = json(StatusCode::OK, &json!({ "status": "OK" }));
            tokens.apply(response.headers_mut());
            response
        }
        Err(error) => error_response(sessions.config(), request.headers(), &error),
    }
}

fn refused(refusal: &Refusal) -> Response<String> {
    let Refusal::Unavailable(cause) = refusal else {
        tracing::info!("{refusal}");
        return message(StatusCode::UNAUTHORIZED, &refusal.to_string());
    };
    tracing::error!(cause, "{refusal}");
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE, &refusal.to_string());
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn message(status: StatusCode, text: &str) -> Response<String> {
    json(status, &json!({ "message": text }))
}
