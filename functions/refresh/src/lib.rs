//! `POST {base}/session/refresh`: exchanges a refresh token for a pair.

use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _, Response};
use session::Sessions;
use session::http::{Endpoint, not_found};
use session::model::{Clock, Device};
use session::store::{PrivateKeyReader, SessionRefresher};

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S: SessionRefresher + PrivateKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<Body> {
    let now = clock.now();
    if Endpoint::of(sessions.config(), &request) != Some(Endpoint::Refresh) {
        return not_found().map(Body::from);
    }
    let network = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        Some(_) | None => None,
    };
    let device = Device::of(request.headers(), network);
    let (response, _) = session::http::refresh(sessions, &request, &device, now).await;
    response.map(Body::from)
}
