//! CORS for front doors that add none of it (contract §7.7): REST APIs, function URLs, load balancers.
//!
//! An HTTP API with CORS settings answers preflights itself and puts its own headers in place of these.

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};

use super::Response;
use crate::SessionConfig;

const ALLOWED_HEADERS: &str =
    "rid, fdi-version, anti-csrf, authorization, st-auth-mode, dpop, content-type";
const ALLOWED_METHODS: &str = "GET, POST, PUT, PATCH, DELETE, OPTIONS";
/// How long browsers remember a preflight, in seconds.
const MAX_AGE: &str = "600";

/// Lets a page of one of the websites read an answer to its request; what it may read besides the body,
/// the answer says already.
pub fn allow_website(config: &SessionConfig, request: &HeaderMap, answer: &mut HeaderMap) {
    let Some(origin) = request.get(header::ORIGIN) else {
        return;
    };
    answer.append(header::VARY, HeaderValue::from_static("origin"));
    let is_ours = |own: &str| *origin == own;
    if config.websites.iter().any(|website| is_ours(&website.origin.to_string())) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let yes = HeaderValue::from_static("true");
        answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
}

/// The answer to a preflight; none if the request is something else.
pub fn preflight<B>(config: &SessionConfig, request: &Request<B>) -> Option<Response> {
    let is_preflight = *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    is_preflight.then(|| {
        let mut answer = Response::new(String::new());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        allow_website(config, request.headers(), answer.headers_mut());
        if answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            for (name, value) in [
                (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
                (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
                (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
            ] {
                answer.headers_mut().insert(name, HeaderValue::from_static(value));
            }
        }
        answer
    })
}
