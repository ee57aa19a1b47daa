//! `GET {base}/sessions` and `DELETE {base}/sessions`, of all others or of one: where a user is signed in.

use lambda_http::{Request, Response};
use session::Sessions;
use session::http::{allow_website, own_sessions, preflight};
use session::model::Clock;
use session::store::{PublicKeyReader, SessionLister, SessionReader, SessionRevoker, UserRevoker};

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<String>
where
    S: PublicKeyReader + SessionReader + SessionLister + SessionRevoker + UserRevoker,
{
    let config = sessions.config();
    if let Some(answer) = preflight(config, &request) {
        return answer;
    }
    let (mut response, _) = own_sessions(sessions, &request, clock.now()).await;
    allow_website(config, request.headers(), response.headers_mut());
    response
}
