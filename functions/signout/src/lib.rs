//! `POST {base}/signout`: ends the session of the caller's access token.

use lambda_http::{Request, Response};
use session::Sessions;
use session::http::{Endpoint, not_found, sign_out};
use session::model::Clock;
use session::store::{PublicKeyReader, SessionRevoker};

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S: SessionRevoker + PublicKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    let now = clock.now();
    if Endpoint::of(sessions.config(), &request) != Some(Endpoint::SignOut) {
        return not_found();
    }
    let (response, _) = sign_out(sessions, &request, now).await;
    response
}
