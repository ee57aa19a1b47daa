//! Sign-in with an OpenID Connect provider's own page, such as Cognito's managed login.
//!
//! 1. The website calls `POST /signin/start` and sends the browser to the `location` in the answer.
//! 2. The user signs in there. The provider sends the browser back to a page of the website, with `code` and
//!    `state` in its address.
//! 3. That page calls `POST /signin/finish` with both, and gets the tokens of a new session.
//!
//! What keeps a stranger from finishing an attempt that this browser did not begin (login CSRF): a cookie
//! that only the first call sets, and which state, nonce and PKCE verifier are derived from.

mod attempt;
mod oidc;

use http::{HeaderValue, StatusCode, header};
use lambda_http::{Request, Response};
use serde::Deserialize;
use serde_json::json;
use session::Sessions;
use session::http::{create, error_response, json, not_found, refuse_foreign_sign_in};
use session::model::{Authentication, Clock, Device, NewSession, Timestamp, claims};
use session::store::SignInStore;

pub use self::attempt::Attempt;
pub use self::oidc::{IdToken, Provider, Refusal};

/// What the provider put into the address of the website's page.
#[derive(Deserialize)]
struct Returned {
    code: String,
    state: String,
}

/// Answers both calls: 403 or 415 for what a foreign page may have sent, 403 for what does not hold, with the
/// reason, and 503 while the provider or the session store cannot be reached.
pub async fn handle<S: SignInStore>(
    sessions: &Sessions<S>,
    provider: &Provider,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    if let Some(refusal) = refuse_foreign_sign_in(sessions.config(), request.headers()) {
        return refusal;
    }
    let answer = match request.uri().path() {
        "/signin/start" => start(sessions, provider, &request).await,
        "/signin/finish" => finish(sessions, provider, &request, clock.now()).await,
        _ => return not_found(),
    };
    answer.unwrap_or_else(|refusal| refused(&refusal))
}

async fn start<S>(
    sessions: &Sessions<S>,
    provider: &Provider,
    request: &Request,
) -> Result<Response<String>, Refusal> {
    let attempt = Attempt::new(&mut bootstrap::system_rng());
    let location = provider.authorize_url(&attempt).await?;
    let mut response = json(StatusCode::OK, &json!({ "location": location.as_str() }));
    let same_site = sessions.config().websites.of(request.headers()).same_site;
    let cookie = attempt.cookie(same_site).map_err(|error| Refusal::Unavailable(error.into()))?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

async fn finish<S: SignInStore>(
    sessions: &Sessions<S>,
    provider: &Provider,
    request: &Request,
    now: Timestamp,
) -> Result<Response<String>, Refusal> {
    let Ok(Returned { code, state }) = serde_json::from_slice(request.body()) else {
        return Ok(message(StatusCode::BAD_REQUEST, "send {\"code\": \"…\", \"state\": \"…\"}"));
    };
    let attempt = Attempt::of(request.headers()).filter(|attempt| attempt.is_state(&state));
    let user = provider.exchange(&code, &attempt.ok_or(Refusal::State)?, now).await?;

    let mut new = NewSession::for_user(user.sub);
    // Claims travel in every access token, session data stays on the server.
    new.access_token_payload.insert("st-role".to_owned(), claims::stored(user.groups.into(), now));
    if let Some(email) = user.email {
        new.session_data.insert("email".to_owned(), email.into());
    }
    // Routes that ask for a recent sign-in look at this.
    new.authentication =
        user.auth_time.map(|at| Authentication { at: Timestamp::from_secs(at), methods: user.amr });

    let network = front_door::network(request);
    let device = Device::of(request.headers(), network.as_deref());
    match create(sessions, request, new, device, now, &mut bootstrap::system_rng()).await {
        Ok(created) => {
            let mut response = json(StatusCode::OK, &json!({ "status": "OK" }));
            response.headers_mut().append(header::SET_COOKIE, Attempt::over());
            created.apply(response.headers_mut());
            Ok(response)
        }
        Err(error) => Ok(error_response(sessions.config(), request.headers(), &error)),
    }
}

/// Not 401, which a front end that is signed in takes for an expired session.
fn refused(refusal: &Refusal) -> Response<String> {
    let Refusal::Unavailable(cause) = refusal else {
        tracing::info!("{refusal}");
        return message(StatusCode::FORBIDDEN, &refusal.to_string());
    };
    tracing::error!(cause, "{refusal}");
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE, &refusal.to_string());
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn message(status: StatusCode, text: &str) -> Response<String> {
    json(status, &json!({ "message": text }))
}
