//! `GET {base}/jwt/jwks.json` and `GET {base}/.well-known/openid-configuration`: what verifiers read.

use http::Method;
use lambda_http::{Body, Request, Response};
use session::Sessions;
use session::http::{discovery, is_endpoint, jwks, not_found};
use session::model::Clock;
use session::store::PublicKeyReader;

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S: PublicKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<Body> {
    let is = |path| is_endpoint(sessions.config(), &request, &Method::GET, path);
    let response = if is("/jwt/jwks.json") {
        jwks(sessions, clock.now()).await
    } else if is("/.well-known/openid-configuration") {
        discovery(sessions)
    } else {
        not_found()
    };
    response.map(Body::from)
}
