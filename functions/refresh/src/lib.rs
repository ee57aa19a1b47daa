//! `POST {base}/session/refresh`: exchanges a refresh token for a pair.

use lambda_http::{Request, Response};
use session::Sessions;
use session::http::{Endpoint, allow_website, not_found, preflight};
use session::model::{Clock, Device};
use session::store::{PrivateKeyReader, SessionRefresher};

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S: SessionRefresher + PrivateKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    let (now, config) = (clock.now(), sessions.config());
    if let Some(answer) = preflight(config, &request) {
        return answer;
    }
    if Endpoint::of(config, &request) != Some(Endpoint::Refresh) {
        return not_found();
    }
    let network = front_door::network(&request);
    let device = Device::of(request.headers(), network.as_deref());
    let (mut response, _) = session::http::refresh(sessions, &request, &device, now).await;
    allow_website(config, request.headers(), response.headers_mut());
    response
}
