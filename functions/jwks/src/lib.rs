//! `GET {base}/jwt/jwks.json` and `GET {base}/.well-known/openid-configuration`: what verifiers read.

use lambda_http::{Request, Response};
use session::Sessions;
use session::http::{Endpoint, discovery, jwks, not_found};
use session::model::Clock;
use session::store::PublicKeyReader;

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S: PublicKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    match Endpoint::of(sessions.config(), &request) {
        Some(Endpoint::Jwks) => jwks(sessions, clock.now()).await,
        Some(Endpoint::Discovery) => discovery(sessions),
        Some(_) | None => not_found(),
    }
}
