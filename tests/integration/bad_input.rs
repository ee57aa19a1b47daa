//! What broken and hostile clients send, and a store that cannot answer.
//!
//! Nothing of it may end in a fault, cost a request to the table, or take a session from a client that
//! has one.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use session::token::access::MAX_LEN;
use testkit::harness::{Tokens, text};
use testkit::{Fault, Harness, keys};

use crate::effects::{answer, clr_h, none, read};
use crate::mint::{Jwt, access_cookie, bearer};

/// One endpoint of each function, the example application included.
const ENDPOINTS: [(Method, &str); 5] = [
    (Method::POST, "/auth/session/refresh"),
    (Method::POST, "/auth/signout"),
    (Method::GET, "/auth/jwt/jwks.json"),
    (Method::GET, "/api/me"),
    (Method::POST, "/example/signin"),
];

const MEGABYTE: usize = 1024 * 1024;

const JSON: [(&str, &[u8]); 1] = [("content-type", b"application/json")];

/// A stack whose functions have loaded their keys, and a session in it.
async fn warm(settings: &[(&str, &str)]) -> (Harness, Tokens) {
    let stack = Harness::new(settings).await;
    let used = stack.sign_in("header").await;
    let access = used.access_bearer();
    for (method, path) in ENDPOINTS {
        stack.send(method, path, &[("authorization", &access)]).await;
    }
    stack.refresh(&[("authorization", &used.refresh_bearer())]).await;
    let tokens = stack.sign_in("cookie").await;
    stack.wire.take_calls();
    (stack, tokens)
}

async fn send(
    stack: &Harness,
    (method, path): (Method, &str),
    headers: &[(&str, &[u8])],
    body: Bytes,
) -> Response<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    stack.stack.handle(request.body(body).unwrap()).await
}

/// The `message` of a JSON answer; `None` if it is no such answer.
fn message(response: &Response<Bytes>) -> Option<String> {
    if text(response.headers(), "content-type") != "application/json" {
        return None;
    }
    let body: Value = serde_json::from_slice(response.body()).ok()?;
    Some(body.get("message")?.as_str()?.to_owned())
}

/// Texts that are no access token, with what the library says of each.
fn hostile_access_tokens() -> Vec<(String, &'static str)> {
    let valid = Jwt::valid().sign();
    let (message, signature) = valid.rsplit_once('.').unwrap();
    let too_long = Jwt::valid().claim("padding", "x".repeat(6200)).sign();
    assert!(too_long.len() > MAX_LEN);
    vec![
        (String::new(), "unauthorised"),
        ("..".to_owned(), "unauthorised"),
        (too_long, "unauthorised"),
        (message.to_owned(), "unauthorised"),
        (format!("+{valid}"), "unauthorised"),
        (format!("{message}."), "try refresh token"),
        (valid[..valid.len() - 4].to_owned(), "try refresh token"),
        (format!("{message}.+{}", &signature[1..]), "try refresh token"),
        (Jwt::valid().sign_by(&keys::foreign(keys::DYNAMIC_ID)), "try refresh token"),
    ]
}

#[tokio::test]
async fn no_hostile_access_token_gets_past_the_authorizer_or_to_the_table() {
    let (stack, _) = warm(&[]).await;
    for (token, _) in hostile_access_tokens() {
        let (bearer, cookie) = (bearer(&token), access_cookie(&token));
        for header in [("authorization", bearer), ("cookie", cookie)] {
            let headers = [(header.0, header.1.as_str())];
            let response = stack.send(Method::GET, "/api/me", &headers).await;
            assert_eq!(response.status(), 401, "{token}");
            assert_eq!(message(&response).as_deref(), Some("Unauthorized"));
            assert_eq!(stack.wire.take_calls(), [], "{token}");
        }
    }
}

#[tokio::test]
async fn no_hostile_access_token_signs_out_or_gets_to_the_table() {
    let (stack, _) = warm(&[]).await;
    for (token, expected) in hostile_access_tokens() {
        let (bearer, cookie) = (bearer(&token), access_cookie(&token));
        for header in [("authorization", bearer), ("cookie", cookie)] {
            let response = stack.sign_out(&[(header.0, &header.1)]).await;
            assert_eq!(stack.wire.take_calls(), [], "{token}");
            let body = format!(r#"{{"message":"{expected}"}}"#);
            assert_eq!(read(&stack, response).await, answer(401, &body, none()), "{token}");
        }
    }
}

/// Texts that are no refresh token of ours, made from one that is.
fn hostile_refresh_tokens(valid: &str) -> Vec<String> {
    let changed = |at: usize, to: &str| {
        let mut text = valid.to_owned();
        text.replace_range(at..=at, to);
        text
    };
    vec![
        String::new(),
        "A".repeat(10_000),
        valid[..valid.len() - 1].to_owned(),
        format!("{valid}A"),
        changed(5, "+"),
        changed(5, "="),
        // The first four bits are the version; the second byte is the master key.
        changed(0, "I"),
        changed(1, "P"),
        changed(80, if &valid[80..=80] == "A" { "B" } else { "A" }),
    ]
}

#[tokio::test]
async fn no_hostile_refresh_token_gets_to_the_table() {
    let (stack, tokens) = warm(&[]).await;
    for token in hostile_refresh_tokens(&tokens.refresh) {
        let (bearer, cookie) = (bearer(&token), format!("sRefreshToken={token}"));
        for header in [("authorization", bearer), ("cookie", cookie)] {
            let response = stack.refresh(&[(header.0, &header.1)]).await;
            assert_eq!(stack.wire.take_calls(), [], "{token}");
            let expected = answer(401, r#"{"message":"unauthorised"}"#, clr_h());
            assert_eq!(read(&stack, response).await, expected, "{token}");
        }
    }
}

/// The one hostile token that may cost something: it could be of a key made a moment ago.
#[tokio::test]
async fn unknown_key_ids_cost_one_read_in_ten_seconds() {
    let (stack, _) = warm(&[]).await;
    stack.clock.advance(Duration::from_secs(10));
    for number in 0..10 {
        let token = Jwt::valid().header("kid", format!("d-{number}")).sign();
        let bearer = bearer(&token);
        let response = stack.send(Method::GET, "/api/me", &[("authorization", &bearer)]).await;
        assert_eq!(response.status(), 401);
    }
    assert_eq!(stack.wire.take_calls().len(), 1);
}

#[tokio::test]
async fn a_wrong_method_is_not_found() {
    let (stack, tokens) = warm(&[]).await;
    let cookies = format!("{}; {}", tokens.access_cookie(), tokens.refresh_cookie());
    let wrong = [Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD];
    for (right, path) in ENDPOINTS {
        let other = [if right == Method::GET { Method::POST } else { Method::GET }];
        for method in wrong.iter().chain(&other) {
            let response = stack.send(method.clone(), path, &[("cookie", &cookies)]).await;
            assert_eq!(response.status(), 404, "{method} {path}");
            assert_eq!(message(&response).as_deref(), Some("Not Found"));
            assert_eq!(stack.wire.take_calls(), [], "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_body_where_none_is_read_changes_nothing() {
    let (stack, tokens) = warm(&[]).await;
    let cookies = format!("{}; {}", tokens.access_cookie(), tokens.refresh_cookie());
    let headers = [("cookie", cookies.as_bytes())];
    let body = Bytes::from(vec![0xff; MEGABYTE]);
    for (method, path) in [
        (Method::GET, "/auth/jwt/jwks.json"),
        (Method::GET, "/api/me"),
        (Method::POST, "/auth/session/refresh"),
        (Method::POST, "/auth/signout"),
    ] {
        let response = send(&stack, (method, path), &headers, body.clone()).await;
        assert_eq!(response.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_sign_in_with_a_large_or_malformed_body_is_refused_before_the_table() {
    let (stack, _) = warm(&[]).await;
    let long_name = json!({ "userId": "x".repeat(MEGABYTE) }).to_string();
    let bodies = [
        Bytes::from(long_name),
        Bytes::from(vec![0xff; MEGABYTE]),
        Bytes::from_static(br#"{"userId":""}"#),
        Bytes::from_static(br#"{"userId":7}"#),
        Bytes::from_static(b"{"),
        Bytes::new(),
    ];
    for body in bodies {
        let start = body.slice(..body.len().min(20));
        let response = send(&stack, (Method::POST, "/example/signin"), &JSON, body).await;
        assert_eq!(response.status(), 400, "{start:?}");
        assert!(message(&response).is_some(), "{:?}", response.body());
        assert_eq!(stack.wire.take_calls(), [], "{start:?}");
        assert_eq!(read(&stack, response).await.effects, none(), "{start:?}");
    }
}

#[tokio::test]
async fn a_body_above_the_gateways_limit_is_refused() {
    let (stack, _) = warm(&[]).await;
    let body = Bytes::from(vec![b'x'; 11 * MEGABYTE]);
    for endpoint in ENDPOINTS {
        let response = send(&stack, endpoint.clone(), &[], body.clone()).await;
        assert_eq!(response.status(), 413, "{endpoint:?}");
        assert!(message(&response).is_some());
    }
}

#[tokio::test]
async fn headers_above_the_gateways_limit_are_refused() {
    let (stack, _) = warm(&[]).await;
    let cookie = format!("sRefreshToken={}", "A".repeat(10_240));
    for endpoint in ENDPOINTS {
        let headers = [("cookie", cookie.as_bytes())];
        let response = send(&stack, endpoint.clone(), &headers, Bytes::new()).await;
        assert_eq!(response.status(), 431, "{endpoint:?}");
        assert!(message(&response).is_some());
    }
}

/// Other cookies of the site are none of our business, and browsers send them as they were set.
#[tokio::test]
async fn a_foreign_cookie_that_is_no_ascii_does_not_hide_the_session() {
    let (stack, tokens) = warm(&[]).await;
    let cookies = format!("{}; {}", tokens.access_cookie(), tokens.refresh_cookie());
    for foreign in ["theme=blå; ".as_bytes(), b"theme=\xff; ", b"\xff=1; "] {
        let cookies = [foreign, cookies.as_bytes()].concat();
        for endpoint in [(Method::GET, "/api/me"), (Method::POST, "/auth/session/refresh")] {
            let headers = [("cookie", cookies.as_slice())];
            let response = send(&stack, endpoint, &headers, Bytes::new()).await;
            assert_eq!(response.status(), 200, "{foreign:?}");
        }
    }
}

#[tokio::test]
async fn headers_that_are_no_text_are_as_good_as_absent() {
    let (stack, tokens) = warm(&[]).await;
    let cookies = format!("{}; {}", tokens.access_cookie(), tokens.refresh_cookie());
    let mut headers = vec![("cookie", cookies.as_bytes())];
    for name in ["authorization", "rid", "anti-csrf", "st-auth-mode", "user-agent", "x-other"] {
        headers.push((name, b"Bearer \xff"));
    }
    for (method, path) in [
        (Method::GET, "/auth/jwt/jwks.json"),
        (Method::GET, "/api/me"),
        (Method::POST, "/auth/session/refresh"),
        (Method::POST, "/auth/signout"),
    ] {
        let response = send(&stack, (method, path), &headers, Bytes::new()).await;
        assert_eq!(response.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn empty_values_are_as_good_as_absent() {
    let (stack, _) = warm(&[]).await;
    let names = ["authorization", "cookie", "rid", "anti-csrf", "st-auth-mode", "user-agent"];
    let headers = names.map(|name| (name, &b""[..]));
    for ((method, path), status) in ENDPOINTS.into_iter().zip([401, 401, 200, 401, 415]) {
        let body = Bytes::from_static(br#"{"userId":"user-1"}"#);
        let response = send(&stack, (method, path), &headers, body).await;
        assert_eq!(response.status(), status, "{path}");
    }
}

/// No cookie, header or body whatsoever is a fault of ours.
#[test]
fn no_request_whatsoever_ends_in_a_fault() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (stack, tokens) = runtime.block_on(warm(&[]));
    let config = Config { cases: 1024, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&any_request(tokens), |request| {
            let response = runtime.block_on(stack.stack.handle(request));
            prop_assert!(response.status().as_u16() < 500, "{}", response.status());
            let body = serde_json::from_slice::<Value>(response.body());
            prop_assert!(body.is_ok_and(|body| body.is_object()), "{:?}", response.body());
            Ok(())
        })
        .unwrap();
}

/// Requests that look enough like real ones to get past the first check.
fn any_request(tokens: Tokens) -> impl Strategy<Value = Request<Bytes>> {
    let method = prop_oneof![
        4 => select(vec!["GET", "POST"]),
        1 => select(vec!["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "BREW"]),
    ];
    let path = prop_oneof![
        4 => select(ENDPOINTS.map(|(_, path)| path.to_owned()).to_vec()),
        1 => r"/auth/[a-z0-9%.-]{0,8}/(session/refresh|signout|jwt/jwks\.json)/?",
        1 => r"/[a-zA-Z0-9%._~/-]{1,40}(\?[a-z0-9%&=]{0,20})?",
    ];
    let names = vec![
        "authorization",
        "cookie",
        "host",
        "rid",
        "anti-csrf",
        "st-auth-mode",
        "user-agent",
        "content-type",
        "origin",
        "x-other",
    ];
    let headers = vec((select(names), any_value(tokens)), 0..6);
    let user_id = "\\PC{0,300}".prop_map(|id| json!({ "userId": id }).to_string().into_bytes());
    let body = prop_oneof![vec(any::<u8>(), 0..100), user_id];
    (method, path, headers, body).prop_map(|(method, path, headers, body)| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(Bytes::from(body)).unwrap()
    })
}

/// A header's bytes: anything, or a real token of which one byte was changed.
fn any_value(tokens: Tokens) -> impl Strategy<Value = Vec<u8>> {
    let noise = vec(any::<u8>(), 0..60);
    let token = select(vec![tokens.access, tokens.refresh]);
    let almost = (token, any::<Index>(), any::<u8>()).prop_map(|(token, at, byte)| {
        let mut token = token.into_bytes();
        let at = at.index(token.len());
        token[at] = byte;
        token
    });
    let before = select(vec![
        "",
        "Bearer ",
        "sAccessToken=",
        "sRefreshToken=",
        "sAccessToken=a; sAccessToken=\"",
        "sRefreshToken=a; sRefreshToken=",
        "sIdRefreshToken=",
    ]);
    (before, prop_oneof![noise, almost]).prop_map(|(before, rest)| {
        let bytes = before.bytes().chain(rest);
        // What HTTP itself forbids does not get as far as a gateway's routes.
        bytes.filter(|byte| *byte >= b' ' && *byte != 0x7f).collect()
    })
}

/// Every way in which the table can fail to answer for a while.
const RETRYABLE: [Fault; 7] = [
    Fault::ConnectionReset,
    Fault::Timeout,
    Fault::AppliedButReset,
    Fault::AppliedButServerError,
    Fault::Throttled,
    Fault::ServerError,
    Fault::Unavailable,
];

/// The client keeps what it has and is told to come back.
async fn assert_unavailable(stack: &Harness, response: Response<Bytes>, case: &str) {
    let mut expected =
        answer(503, r#"{"message":"the session store is not available, try again"}"#, none());
    expected.others.push("retry-after: 1".to_owned());
    assert_eq!(read(stack, response).await, expected, "{case}");
}

#[tokio::test]
async fn a_refresh_without_a_store_is_repeated_with_the_same_token() {
    for fault in RETRYABLE {
        let (stack, tokens) = warm(&[]).await;
        let cookie = tokens.refresh_cookie();
        stack.wire.break_all(Some(fault));
        let response = stack.refresh(&[("cookie", &cookie)]).await;
        assert_unavailable(&stack, response, &format!("{fault:?}")).await;
        stack.wire.break_all(None);
        let response = stack.refresh(&[("cookie", &cookie)]).await;
        assert_eq!(response.status(), 200, "{fault:?}");
    }
}

#[tokio::test]
async fn a_sign_out_without_a_store_is_repeated_with_the_same_token() {
    for fault in RETRYABLE {
        let (stack, tokens) = warm(&[]).await;
        let cookie = tokens.access_cookie();
        stack.wire.break_all(Some(fault));
        let response = stack.sign_out(&[("cookie", &cookie)]).await;
        assert_unavailable(&stack, response, &format!("{fault:?}")).await;
        stack.wire.break_all(None);
        let response = stack.sign_out(&[("cookie", &cookie)]).await;
        assert_eq!(response.status(), 200, "{fault:?}");
    }
}

#[tokio::test]
async fn a_sign_in_without_a_store_gives_no_tokens() {
    for fault in RETRYABLE {
        let (stack, _) = warm(&[]).await;
        stack.wire.break_all(Some(fault));
        let body = Bytes::from_static(br#"{"userId":"user-1"}"#);
        let response = send(&stack, (Method::POST, "/example/signin"), &JSON, body).await;
        assert_unavailable(&stack, response, &format!("{fault:?}")).await;
        stack.wire.break_all(None);
        stack.sign_in("cookie").await;
    }
}

#[tokio::test]
async fn the_protected_route_and_the_key_set_need_no_store_once_keys_are_loaded() {
    let (stack, tokens) = warm(&[]).await;
    let cookie = tokens.access_cookie();
    for fault in RETRYABLE {
        stack.wire.break_all(Some(fault));
        for path in ["/api/me", "/auth/jwt/jwks.json"] {
            let response = stack.send(Method::GET, path, &[("cookie", &cookie)]).await;
            assert_eq!(response.status(), 200, "{path} {fault:?}");
        }
    }
}

/// Neither let through nor sent away to refresh: the client keeps its session and sees a fault.
#[tokio::test]
async fn the_authorizer_without_keys_decides_nothing() {
    let (stack, tokens) = warm(&[]).await;
    let cookie = tokens.access_cookie();
    for fault in RETRYABLE {
        let cold = stack.redeployed(&[]).await;
        stack.wire.break_all(Some(fault));
        let response = cold.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
        assert_eq!(response.status(), 500, "{fault:?}");
        assert_eq!(message(&response).as_deref(), Some("Internal Server Error"));
        stack.wire.break_all(None);
        let response = cold.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
        assert_eq!(response.status(), 200, "{fault:?}");
    }
}

#[tokio::test]
async fn an_endpoint_without_keys_is_unavailable() {
    let (stack, tokens) = warm(&[]).await;
    let cookies = format!("{}; {}", tokens.access_cookie(), tokens.refresh_cookie());
    for fault in RETRYABLE {
        let cold = stack.redeployed(&[]).await;
        stack.wire.break_all(Some(fault));
        for (method, path) in ENDPOINTS.into_iter().filter(|(_, path)| *path != "/api/me") {
            let headers = [("cookie", cookies.as_bytes()), JSON[0]];
            let body = Bytes::from_static(br#"{"userId":"user-1"}"#);
            let response = send(&cold, (method, path), &headers, body).await;
            assert_unavailable(&cold, response, &format!("{path} {fault:?}")).await;
        }
        stack.wire.break_all(None);
    }
}

/// Coming back does not help here, so nobody is told to; but the client keeps what it has.
#[tokio::test]
async fn a_table_that_refuses_us_is_a_fault_that_clears_nothing() {
    let (stack, tokens) = warm(&[]).await;
    let cookies = format!("{}; {}", tokens.access_cookie(), tokens.refresh_cookie());
    for fault in [Fault::TableMissing, Fault::AccessDenied] {
        stack.wire.break_all(Some(fault));
        for path in ["/auth/session/refresh", "/auth/signout"] {
            let response = stack.send(Method::POST, path, &[("cookie", &cookies)]).await;
            let expected = answer(500, r#"{"message":"internal server error"}"#, none());
            assert_eq!(read(&stack, response).await, expected, "{path} {fault:?}");
        }
    }
}
