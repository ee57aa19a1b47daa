//! Creating a session, the public documents and routing, row by row of contract §10.1 and §10.6.
//!
//! C19 is in `session_rows`: it takes the layer to answer a sign-in handler that fails.

use std::sync::Arc;

use authorizer::AuthorizerConfig;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use core_driver::CoreConfig;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use local::Stack;
use local::gateway::Cors;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value as Json, json};
use session::Sessions;
use session::http::{Endpoint, create};
use session::model::{Clock as _, Device, NewSession};
use testkit::Harness;
use testkit::harness::{Tokens, text};

use crate::effects::{Answer, Effects, Value, answer, clr_c, clr_h, none, read, set_c, set_h};

const COOKIE_MODE: (&str, &str) = ("st-auth-mode", "cookie");
const HEADER_MODE: (&str, &str) = ("st-auth-mode", "header");

async fn sign_in(stack: &Harness, headers: &[(&str, &str)]) -> Response<Bytes> {
    let mut request = Request::post("/example/signin").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Bytes::from_static(br#"{"userId":"user-1"}"#);
    stack.stack.handle(request.body(body).unwrap()).await
}

/// A sign-in on a fresh stack with these settings.
async fn signed_in(settings: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
    let stack = Harness::new(settings).await;
    let response = sign_in(&stack, headers).await;
    read(&stack, response).await
}

/// The application's own answer, with these effects.
fn app(effects: Effects) -> Answer {
    answer(200, r#"{"status":"OK"}"#, effects)
}

/// Sets cookies that end in these attributes instead of the default ones (contract §1.3).
fn set_c_ending_in(attributes: &str) -> Effects {
    let mut effects = set_c();
    for line in &mut effects.cookies {
        *line = line.replace("; Secure; SameSite=Lax", attributes);
    }
    effects
}

#[tokio::test]
async fn c1_cookie_mode_gives_two_host_only_cookies() {
    assert_eq!(signed_in(&[], &[COOKIE_MODE]).await, app(set_c()));
}

/// As in the reference (contract §2.1).
#[tokio::test]
async fn c2_a_client_that_does_not_say_gets_headers() {
    assert_eq!(signed_in(&[], &[]).await, app(set_h()));
}

#[tokio::test]
async fn c3_the_mode_is_read_without_regard_to_case() {
    assert_eq!(signed_in(&[], &[("st-auth-mode", "HEADER")]).await, app(set_h()));
}

#[tokio::test]
async fn c4_a_client_that_asks_for_something_else_gets_headers() {
    assert_eq!(signed_in(&[], &[("st-auth-mode", "foo")]).await, app(set_h()));
}

#[tokio::test]
async fn c5_a_client_that_moves_to_headers_loses_its_cookies() {
    let seen = signed_in(&[], &[HEADER_MODE, ("cookie", "sAccessToken=x")]).await;
    assert_eq!(seen, app(Effects { cookies: clr_c().cookies, ..set_h() }));
}

/// A foreign page can post a form to a sign-in, and where cookies are `SameSite=None` they come along.
#[tokio::test]
async fn c5_a_request_without_the_proof_that_cookies_need_loses_none() {
    let other_site = ("WEBSITE_DOMAIN", "https://other.com");
    let cookie = ("cookie", "sAccessToken=x");
    for (mode, proof) in [("VIA_CUSTOM_HEADER", "rid"), ("VIA_TOKEN", "anti-csrf")] {
        let settings = [other_site, ("ANTI_CSRF", mode)];
        assert_eq!(signed_in(&settings, &[HEADER_MODE, cookie]).await, app(set_h()), "{mode}");
        let seen = signed_in(&settings, &[HEADER_MODE, cookie, (proof, "x")]).await;
        assert_eq!(seen.effects.cookies.len(), 2, "{mode}");
    }
}

#[tokio::test]
async fn c6_a_client_that_moves_to_cookies_loses_its_headers() {
    let seen = signed_in(&[], &[COOKIE_MODE, ("authorization", "Bearer x")]).await;
    let exposed = clr_h().exposed;
    let expected = Effects { access: Value::Empty, refresh: Value::Empty, exposed, ..set_c() };
    assert_eq!(seen, app(expected));
}

#[tokio::test]
async fn c7_headers_can_be_fixed() {
    let fixed = [("TOKEN_TRANSFER_METHOD", "header")];
    assert_eq!(signed_in(&fixed, &[COOKIE_MODE]).await, app(set_h()));
}

#[tokio::test]
async fn c8_cookies_can_be_fixed() {
    let fixed = [("TOKEN_TRANSFER_METHOD", "cookie")];
    assert_eq!(signed_in(&fixed, &[HEADER_MODE]).await, app(set_c()));
}

#[tokio::test]
async fn c9_an_anti_csrf_token_goes_with_cookies() {
    let seen = signed_in(&[("ANTI_CSRF", "VIA_TOKEN")], &[COOKIE_MODE]).await;
    let exposed = "front-token, anti-csrf".to_owned();
    assert_eq!(seen, app(Effects { anti_csrf: Value::Real, exposed, ..set_c() }));
}

#[tokio::test]
async fn c10_no_anti_csrf_token_goes_with_headers() {
    let stack = Harness::new(&[("ANTI_CSRF", "VIA_TOKEN")]).await;
    let response = sign_in(&stack, &[HEADER_MODE]).await;
    let claims = payload(&Tokens::of(&response).access);
    assert_eq!(claims.get("antiCsrfToken"), Some(&Json::Null));
    assert_eq!(read(&stack, response).await, app(set_h()));
}

#[tokio::test]
async fn c11_cookies_for_a_website_on_another_site_are_same_site_none() {
    let seen = signed_in(&[("WEBSITE_DOMAIN", "https://other.com")], &[COOKIE_MODE]).await;
    assert_eq!(seen, app(set_c_ending_in("; Secure; SameSite=None")));
}

#[tokio::test]
async fn c12_cookies_that_browsers_would_refuse_are_refused_and_nothing_is_recorded() {
    let stack = Harness::new(&[("API_DOMAIN", "http://api.example.com")]).await;
    let response = sign_in(&stack, &[COOKIE_MODE]).await;
    assert_eq!(stack.wire.take_calls(), []);
    let body = r#"{"message":"internal server error"}"#;
    assert_eq!(read(&stack, response).await, answer(500, body, none()));
}

#[tokio::test]
async fn c13_cookies_between_two_local_ports_are_lax_and_those_to_another_loopback_name_are_kept() {
    let api = ("API_DOMAIN", "http://localhost:3001");
    let seen = signed_in(&[api, ("WEBSITE_DOMAIN", "http://localhost:3000")], &[COOKIE_MODE]).await;
    assert_eq!(seen, app(set_c_ending_in("; SameSite=Lax")));
    let seen = signed_in(&[api, ("WEBSITE_DOMAIN", "http://127.0.0.1:3000")], &[COOKIE_MODE]).await;
    assert_eq!(seen, app(set_c_ending_in("; Secure; SameSite=None")));
}

#[tokio::test]
async fn c14_local_cookies_across_schemes_are_neither_refused_nor_dropped_by_browsers() {
    let local =
        [("API_DOMAIN", "http://localhost:3001"), ("WEBSITE_DOMAIN", "https://localhost:3000")];
    let seen = signed_in(&local, &[COOKIE_MODE]).await;
    assert_eq!(seen, app(set_c_ending_in("; Secure; SameSite=None")));
}

#[tokio::test]
async fn c15_both_cookies_get_the_configured_domain() {
    let seen = signed_in(&[("COOKIE_DOMAIN", ".Example.com")], &[COOKIE_MODE]).await;
    assert_eq!(seen, app(set_c().on_domain(".example.com")));
}

#[tokio::test]
async fn c16_paths_and_same_site_can_be_chosen() {
    let settings = [
        ("API_GATEWAY_PATH", "/dev"),
        ("ACCESS_TOKEN_PATH", "/foo/"),
        ("COOKIE_SAME_SITE", " Strict "),
    ];
    let mut expected = set_c_ending_in("; Secure; SameSite=Strict");
    expected.cookies[0] = expected.cookies[0].replace("Path=/;", "Path=/foo;");
    expected.cookies[1] = expected.cookies[1].replace("Path=/auth", "Path=/dev/auth");
    assert_eq!(signed_in(&settings, &[COOKIE_MODE]).await, app(expected));
}

#[tokio::test]
async fn c17_the_access_token_can_be_repeated_in_a_header() {
    let seen = signed_in(&[("EXPOSE_ACCESS_TOKEN", "true")], &[COOKIE_MODE]).await;
    let exposed = "front-token, st-access-token".to_owned();
    assert_eq!(seen, app(Effects { access: Value::Real, exposed, ..set_c() }));
}

#[tokio::test]
async fn c18_an_application_cannot_set_the_sessions_own_claims() {
    let claims = json!({"sub": "other", "exp": 1, "stt": 1, "foo": "bar", "iss": "other"});
    let headers = created(&claims, HeaderMap::new()).await;
    let written = payload(&text(&headers, "st-access-token"));
    assert_eq!(written["sub"], "user-1");
    assert_ne!(written["exp"], 1);
    assert_eq!(written.get("stt"), None);
    assert_eq!(written["foo"], "bar");
    assert_eq!(written["iss"], "https://api.example.com/auth");
}

#[tokio::test]
async fn c20_cookies_of_the_gateways_own_host_name_are_same_site_none() {
    let host = "https://abc.execute-api.eu-west-1.amazonaws.com";
    let seen = signed_in(&[("API_DOMAIN", host)], &[COOKIE_MODE]).await;
    assert_eq!(seen, app(set_c_ending_in("; Secure; SameSite=None")));
}

fn payload(access_token: &str) -> Json {
    let payload = access_token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// What a session with these claims adds to an answer in the making.
async fn created(claims: &Json, mut answer: HeaderMap) -> HeaderMap {
    let stack = Harness::new(&[]).await;
    let sessions = Sessions::new(stack.config.clone(), stack.store.clone());
    let mut new = NewSession::for_user("user-1");
    new.access_token_payload = claims.as_object().cloned().unwrap_or_else(Map::new);
    let device = Device::default();
    let mut rng = StdRng::seed_from_u64(1);
    let request = Request::new(());
    let now = stack.clock.now();
    create(&sessions, &request, new, device, now, &mut rng).await.unwrap().apply(&mut answer);
    answer
}

#[tokio::test]
async fn j1_the_key_set_is_readable_from_any_origin_behind_the_gateway_too() {
    let harness = Harness::new(&[]).await;
    let client = local::dynamodb::client(harness.wire.clone());
    let cors = Cors { allowed_origins: vec!["https://example.com".to_owned()] };
    let (authorizer, clock) = (AuthorizerConfig::default(), Arc::new(harness.clock.clone()));
    let core_config = CoreConfig::default();
    let stack = Stack::start(&harness.config, authorizer, core_config, client, clock, Some(cors))
        .await
        .unwrap();
    for path in ["/auth/jwt/jwks.json", "/auth/.well-known/openid-configuration"] {
        let request = Request::get(path).header("origin", "https://elsewhere.example");
        let response = stack.handle(request.body(Bytes::new()).unwrap()).await;
        assert_eq!(text(response.headers(), "access-control-allow-origin"), "*", "{path}");
    }
}

#[tokio::test]
async fn j1_the_key_set_is_public_and_cacheable() {
    assert_is_key_set("/auth/jwt/jwks.json").await;
}

#[tokio::test]
async fn j2_a_tenant_in_the_path_has_no_effect() {
    assert_is_key_set("/auth/t1/jwt/jwks.json").await;
}

async fn assert_is_key_set(path: &str) {
    let stack = Harness::new(&[]).await;
    let response = stack.send(Method::GET, path, &[]).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert_eq!(text(headers, "content-type"), "application/json");
    assert_eq!(text(headers, "cache-control"), "max-age=1800, must-revalidate");
    assert_eq!(text(headers, "access-control-allow-origin"), "*");
    let document: Json = serde_json::from_slice(response.body()).unwrap();
    let keys = document["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        let mut members: Vec<_> = key.as_object().unwrap().keys().collect();
        members.sort_unstable();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
    }
}

#[tokio::test]
async fn j3_the_key_set_can_only_be_got() {
    assert_not_found(Method::POST, "/auth/jwt/jwks.json").await;
    assert_not_found(Method::HEAD, "/auth/jwt/jwks.json").await;
}

/// Endpoints that do not exist are not announced (contract §3.5).
#[tokio::test]
async fn j4_the_discovery_document_names_the_key_set() {
    let stack = Harness::new(&[]).await;
    let path = "/auth/.well-known/openid-configuration";
    let response = stack.send(Method::GET, path, &[]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(text(response.headers(), "access-control-allow-origin"), "*");
    let expected = json!({
        "issuer": "https://api.example.com/auth",
        "jwks_uri": "https://api.example.com/auth/jwt/jwks.json",
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["id_token"],
    });
    let document: Json = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(document, expected);
}

#[tokio::test]
async fn j5_the_discovery_document_is_not_at_the_root() {
    assert_not_found(Method::GET, "/.well-known/openid-configuration").await;
}

#[tokio::test]
async fn j6_a_refresh_cannot_be_got() {
    assert_not_found(Method::GET, "/auth/session/refresh").await;
}

async fn assert_not_found(method: Method, path: &str) {
    let stack = Harness::new(&[]).await;
    let response = stack.send(method, path, &[]).await;
    let expected = answer(404, r#"{"message":"Not Found"}"#, none());
    assert_eq!(read(&stack, response).await, expected);
}

#[tokio::test]
async fn j7_a_refresh_below_a_tenant_is_a_refresh() {
    assert_is_refresh_without_token("/auth/public/session/refresh").await;
}

#[tokio::test]
async fn j8_one_trailing_slash_is_tolerated() {
    assert_is_refresh_without_token("/auth/session/refresh/").await;
}

async fn assert_is_refresh_without_token(path: &str) {
    let stack = Harness::new(&[]).await;
    let response = stack.send(Method::POST, path, &[]).await;
    let expected = answer(401, r#"{"message":"unauthorised"}"#, clr_h());
    assert_eq!(read(&stack, response).await, expected);
}

/// Asked of the function's own routing: a gateway's route table knows methods in capitals only.
#[test]
fn j9_the_case_of_the_method_does_not_matter() {
    let config = testkit::harness::config(&[]);
    let request = Request::builder().method("post").uri("/auth/session/refresh").body(());
    assert_eq!(Endpoint::of(&config, &request.unwrap()), Some(Endpoint::Refresh));
}

#[tokio::test]
async fn j10_what_the_application_exposes_stays_exposed() {
    let name = "access-control-expose-headers";
    let mut answer = HeaderMap::new();
    answer.insert(name, HeaderValue::from_static("x-foo"));
    let headers = created(&Json::Null, answer).await;
    let exposed = "x-foo, front-token, st-access-token, st-refresh-token";
    assert_eq!(text(&headers, name), exposed);
}
