//! `POST {base}/session/refresh`: exchanges a refresh token for a pair.

use lambda_http::{Request, Response};
use session::Sessions;
use session::http::{Endpoint, not_found};
use session::model::{Clock, Device};
use session::store::{PrivateKeyReader, SessionRefresher};

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S: SessionRefresher + PrivateKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    let now = clock.now();
    if Endpoint::of(sessions.config(), &request) != Some(Endpoint::Refresh) {
        return not_found();
    }
    let network = front_door::network(&request);
    let device = Device::of(request.headers(), network.as_deref());
    let (response, _) = session::http::refresh(sessions, &request, &device, now).await;
    response
}
