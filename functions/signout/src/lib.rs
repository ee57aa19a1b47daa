//! `POST {base}/signout`: ends the session of the caller's access token.

use lambda_http::{Request, Response};
use session::Sessions;
use session::http::{Endpoint, allow_website, not_found, preflight, sign_out};
use session::model::Clock;
use session::store::{PublicKeyReader, SessionRevoker};

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S: SessionRevoker + PublicKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    let (now, config) = (clock.now(), sessions.config());
    if let Some(answer) = preflight(config, &request) {
        return answer;
    }
    if Endpoint::of(config, &request) != Some(Endpoint::SignOut) {
        return not_found();
    }
    let (mut response, _) = sign_out(sessions, &request, now).await;
    allow_website(config, request.headers(), response.headers_mut());
    response
}
