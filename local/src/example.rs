//! An example application: what a team would write on its own.
//!
//! Sign-in, and routes behind the authorizer. Those that change the session, below `/account`, are the
//! example function `protected`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use session::config::DeviceBinding;
use session::http::{create, error_response, json, refuse_foreign_sign_in};
use session::model::{Authentication, Clock, Device, NewSession, claims};
use session::service::NewJwt;
use session::store::{PrivateKeyReader, SignInStore};
use session::{SessionConfig, Sessions};

/// How long ago the user may have signed in for a transfer: short enough to see it refused.
pub(crate) const FRESH: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignIn {
    user_id: String,
    /// In place of the `User-Agent`, which scripts cannot choose: so the demo page plays a phone.
    agent: Option<String>,
}

/// `POST /example/signin`: creates a session for whoever is named. A real application checks a
/// credential first.
pub(crate) async fn sign_in<S: SignInStore>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    if let Some(refusal) = refuse_foreign_sign_in(sessions.config(), request.headers()) {
        return refusal;
    }
    let Ok(sign_in) = serde_json::from_slice::<SignIn>(request.body()) else {
        let problem = json!({ "message": "send JSON such as {\"userId\": \"alice\"}" });
        return json(StatusCode::BAD_REQUEST, &problem);
    };
    let now = clock.now();
    let mut new = NewSession::for_user(sign_in.user_id);
    let roles = claims::stored(json!(["member"]), now);
    new.access_token_payload.insert("st-role".to_owned(), roles);
    new.authentication = Some(Authentication { at: now, methods: vec!["pwd".to_owned()] });
    let device = match &sign_in.agent {
        Some(agent) => Device::new(Some(agent), None),
        None => Device::of(sessions.config(), request.headers(), None),
    };
    let mut rng = bootstrap::system_rng();
    match create(sessions, &request, new, device, now, &mut rng).await {
        Ok(tokens) => {
            let mut response = json(StatusCode::OK, &json!({ "status": "OK" }));
            tokens.apply(response.headers_mut());
            response
        }
        Err(error) => error_response(sessions.config(), request.headers(), &error),
    }
}

/// `POST /example/visitor`: a JWT with the claims that are sent, for a visitor without an account.
pub(crate) async fn visitor<S: PrivateKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    let Ok(claims) = serde_json::from_slice(request.body()) else {
        let problem = json!({ "message": "send claims as a JSON object" });
        return json(StatusCode::BAD_REQUEST, &problem);
    };
    match sessions.create_jwt(NewJwt::new(claims), clock.now()).await {
        Ok(token) => json(StatusCode::OK, &json!({ "token": token })),
        Err(error) => error_response(sessions.config(), request.headers(), &error),
    }
}

/// `GET /api/me`: what the authorizer found out.
pub(crate) fn me(request: &Request) -> Response<String> {
    let authorizer = request.request_context_ref().and_then(RequestContext::authorizer);
    let found = |name| authorizer.and_then(|context| context.fields.get(name));
    let payload = found("accessTokenPayload").and_then(Value::as_str).unwrap_or("null");
    let body = json!({
        "userId": found("userId"),
        "sessionHandle": found("sessionHandle"),
        "accessTokenPayload": serde_json::from_str::<Value>(payload).unwrap_or_default(),
    });
    json(StatusCode::OK, &body)
}

/// `POST /api/like`: changes state, so cookies alone must not suffice where anti-CSRF is on.
pub(crate) fn like(likes: &AtomicU64) -> Response<String> {
    let likes = likes.fetch_add(1, Ordering::Relaxed) + 1;
    json(StatusCode::OK, &json!({ "likes": likes }))
}

/// `GET /api/public`: no session needed.
pub(crate) fn public() -> Response<String> {
    json(StatusCode::OK, &json!({ "message": "anybody may read this" }))
}

/// `GET /example/settings`: what the demo page explains its timings with.
pub(crate) fn settings(config: &SessionConfig) -> Response<String> {
    let body = json!({
        "accessTokenTtlSeconds": config.lifetimes.access_token.as_secs(),
        "reuseWindowSeconds": config.refresh.window().as_secs(),
        "stepUpSeconds": FRESH.as_secs(),
        "isBindingRequired": config.device_binding == DeviceBinding::Require,
    });
    json(StatusCode::OK, &body)
}

/// `POST /auth/session/refresh/copy`: plays the thief that reads the tokens from the device. It lies
/// below the refresh cookie's path, because browsers send the cookie nowhere else.
pub(crate) fn copy_tokens(request: &Request) -> Response<String> {
    let headers = request.headers();
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let cookie = |name: &str| {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut cookies = lines.flat_map(|line| line.split(';'));
        cookies.find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let Some(token) = bearer.or_else(|| cookie("sRefreshToken")) else {
        let problem = json!({ "message": "there is no refresh token to copy: sign in first" });
        return json(StatusCode::NOT_FOUND, &problem);
    };
    // Where scripts keep tokens, the page has the other one at hand.
    json(StatusCode::OK, &json!({ "refreshToken": token, "accessToken": cookie("sAccessToken") }))
}

/// `GET /healthz`.
pub(crate) fn health() -> Response<String> {
    json(StatusCode::OK, &json!({ "status": "OK" }))
}
