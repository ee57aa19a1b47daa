//! `POST {base}/session/refresh`: exchanges a refresh token for a pair.

use http::Method;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _, Response};
use session::Sessions;
use session::http::{is_endpoint, not_found};
use session::model::{Clock, DeviceContext};
use session::store::{PrivateKeyReader, SessionRefresher};

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S: SessionRefresher + PrivateKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<Body> {
    let now = clock.now();
    if !is_endpoint(sessions.config(), &request, &Method::POST, "/session/refresh") {
        return not_found().map(Body::from);
    }
    let used_by = caller(&request);
    let (response, _) = session::http::refresh(sessions, &request, &used_by, now).await;
    response.map(Body::from)
}

fn caller(request: &Request) -> DeviceContext {
    let agent = request.headers().get(http::header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    let network = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        Some(_) | None => None,
    };
    DeviceContext::new(agent, network)
}
