//! Verification, row by row of contract §10.2.
//!
//! A row is asked twice: of the library, as a back end that verifies by itself would, and of the
//! gateway with the authorizer in front, which knows two answers only: let through, or its own 401.
//!
//! V37, V39 and V58 are in `session_rows`: they take a route that asks the table, or that refreshes.

use std::sync::Arc;

use authorizer::AuthorizerConfig;
use bytes::Bytes;
use core_driver::CoreConfig;
use http::{HeaderMap, Method, Request};
use local::gateway::Cors;
use local::stack::Stack;
use session::Sessions;
use session::http::TransferMethod::{self, Cookie, Header};
use session::http::{AntiCsrfCheck, VerifyOptions, error_response, verify};
use session::model::Clock as _;
use testkit::clock::START;
use testkit::{Harness, keys};

use crate::mint::{Jwt, access_cookie, bearer};

/// What a protected route answers.
#[derive(Debug, PartialEq)]
enum Answer {
    /// The application's own answer, with the session that a token of this method proved, if any.
    App(Option<TransferMethod>),
    /// A refusal with this status and body.
    Refused(u16, String),
}

fn app(method: TransferMethod) -> Answer {
    Answer::App(Some(method))
}

/// `unauthorised` of contract §3.6.
fn unauthorised() -> Answer {
    Answer::Refused(401, r#"{"message":"unauthorised"}"#.to_owned())
}

/// `try refresh token` of contract §3.6.
fn try_refresh() -> Answer {
    Answer::Refused(401, r#"{"message":"try refresh token"}"#.to_owned())
}

const REQUIRED: VerifyOptions =
    VerifyOptions { session_required: true, anti_csrf_check: AntiCsrfCheck::Auto };
const OPTIONAL: VerifyOptions =
    VerifyOptions { session_required: false, anti_csrf_check: AntiCsrfCheck::Auto };

const OTHER_SITE: [(&str, &str); 1] = [("WEBSITE_DOMAIN", "https://other.com")];
const VIA_TOKEN: [(&str, &str); 1] = [("ANTI_CSRF", "VIA_TOKEN")];

/// The headers of a request.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// A route with default options, asked of the library; the gateway must agree.
async fn protected(stack: &Harness, method: Method, headers: Headers<'_>) -> Answer {
    let answer = route(stack, REQUIRED, method.clone(), headers).await;
    let path = if method == Method::GET { "/api/me" } else { "/api/like" };
    let response = stack.send(method, path, headers).await;
    match answer {
        Answer::App(_) => assert_eq!(response.status(), 200),
        Answer::Refused(..) => {
            assert_eq!(response.status(), 401);
            assert_eq!(response.body(), r#"{"message":"Unauthorized"}"#);
        }
    }
    assert_eq!(written(response.headers()), [""; 0]);
    answer
}

/// A route with options of its own, which only the library can serve.
async fn route(
    stack: &Harness,
    options: VerifyOptions,
    method: Method,
    headers: Headers<'_>,
) -> Answer {
    let sessions = Sessions::new(stack.config.clone(), stack.store.clone());
    let mut request = Request::builder().method(method);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    match verify(&sessions, &request, options, stack.clock.now()).await {
        Ok(verified) => Answer::App(verified.map(|verified| verified.method)),
        Err(error) => {
            let response = error_response(&stack.config, request.headers(), &error);
            assert_eq!(written(response.headers()), [""; 0]);
            Answer::Refused(response.status().as_u16(), response.into_body())
        }
    }
}

/// A GET with this header token and nothing else, on a stack with default settings.
async fn with_header_token(token: &str) -> Answer {
    let stack = Harness::new(&[]).await;
    protected(&stack, Method::GET, &[("authorization", &bearer(token))]).await
}

/// A GET with this line of cookies and nothing else, on a stack with default settings.
async fn with_cookies(line: &str) -> Answer {
    let stack = Harness::new(&[]).await;
    protected(&stack, Method::GET, &[("cookie", line)]).await
}

/// The session headers and cookies of an answer: verification never writes one.
fn written(headers: &HeaderMap) -> Vec<&str> {
    let session = [
        "set-cookie",
        "front-token",
        "st-access-token",
        "st-refresh-token",
        "anti-csrf",
        "access-control-expose-headers",
    ];
    session.into_iter().filter(|name| headers.contains_key(*name)).collect()
}

#[tokio::test]
async fn v1_a_cookie_token_lets_a_get_through() {
    let stack = Harness::new(&[]).await;
    let cookie = stack.sign_in("cookie").await.access_cookie();
    let answer = protected(&stack, Method::GET, &[("cookie", &cookie)]).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v2_a_cookie_token_lets_a_post_through_without_rid_on_one_site() {
    let stack = Harness::new(&[]).await;
    let cookie = stack.sign_in("cookie").await.access_cookie();
    let answer = protected(&stack, Method::POST, &[("cookie", &cookie)]).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v3_a_header_token_lets_a_get_through() {
    let stack = Harness::new(&[]).await;
    let bearer = stack.sign_in("header").await.access_bearer();
    let answer = protected(&stack, Method::GET, &[("authorization", &bearer)]).await;
    assert_eq!(answer, app(Header));
}

#[tokio::test]
async fn v4_a_request_without_tokens_is_unauthorised() {
    let stack = Harness::new(&[]).await;
    assert_eq!(protected(&stack, Method::GET, &[]).await, unauthorised());
}

#[tokio::test]
async fn v5_an_optional_session_may_be_absent() {
    let stack = Harness::new(&[]).await;
    let answer = route(&stack, OPTIONAL, Method::GET, &[]).await;
    assert_eq!(answer, Answer::App(None));
}

#[tokio::test]
async fn v6_a_preflight_is_answered_before_the_authorizer() {
    let harness = Harness::new(&[]).await;
    let client = local::dynamodb::client(harness.wire.clone());
    let clock = Arc::new(harness.clock.clone());
    let cors = Cors { allowed_origins: vec!["https://example.com".to_owned()] };
    let authorizer = AuthorizerConfig::default();
    let core_config = CoreConfig::default();
    let stack = Stack::start(&harness.config, authorizer, core_config, client, clock, Some(cors))
        .await
        .unwrap();
    harness.wire.take_calls();
    let preflight = Request::options("/api/me")
        .header("origin", "https://example.com")
        .header("access-control-request-method", "GET")
        .header("cookie", access_cookie(&Jwt::valid().sign()))
        .body(Bytes::new())
        .unwrap();
    let response = stack.handle(preflight).await;
    assert_eq!(response.status(), 204);
    // An authorizer that was asked would have loaded its keys.
    assert_eq!(harness.wire.take_calls(), []);
}

#[tokio::test]
async fn v7_a_bearer_value_that_is_no_token_is_as_good_as_none() {
    assert_eq!(with_header_token("abc").await, unauthorised());
}

#[tokio::test]
async fn v8_a_bearer_value_that_is_no_token_does_not_shadow_the_cookie() {
    let stack = Harness::new(&[]).await;
    let cookie = access_cookie(&Jwt::valid().sign());
    let headers = [("authorization", "Bearer abc"), ("cookie", &cookie)];
    let answer = protected(&stack, Method::GET, &headers).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v9_bearer_in_lower_case_is_no_header_token() {
    let stack = Harness::new(&[]).await;
    let value = format!("bearer {}", Jwt::valid().sign());
    let answer = protected(&stack, Method::GET, &[("authorization", &value)]).await;
    assert_eq!(answer, unauthorised());
}

#[tokio::test]
async fn v10_spaces_around_the_header_token_do_not_matter() {
    let token = format!("  {} ", Jwt::valid().sign());
    assert_eq!(with_header_token(&token).await, app(Header));
}

#[tokio::test]
async fn v11_an_expired_header_token_is_not_rescued_by_a_good_cookie() {
    let stack = Harness::new(&[]).await;
    let expired = bearer(&Jwt::expired().sign());
    let cookie = access_cookie(&Jwt::valid().sign());
    let headers = [("authorization", expired.as_str()), ("cookie", &cookie)];
    let answer = protected(&stack, Method::GET, &headers).await;
    assert_eq!(answer, try_refresh());
}

#[tokio::test]
async fn v12_an_expired_cookie_token_leads_to_a_refresh() {
    let answer = with_cookies(&access_cookie(&Jwt::expired().sign())).await;
    assert_eq!(answer, try_refresh());
}

#[tokio::test]
async fn v13_an_optional_session_may_be_absent_but_not_stale() {
    let stack = Harness::new(&[]).await;
    let cookie = access_cookie(&Jwt::expired().sign());
    let answer = route(&stack, OPTIONAL, Method::GET, &[("cookie", &cookie)]).await;
    assert_eq!(answer, try_refresh());
}

/// The reference sends the client to refresh. A neighbour below the same domain can plant a cookie that no
/// refresh of ours takes away, so what does not hold is as good as absent.
#[tokio::test]
async fn v14_of_two_access_cookies_the_one_that_holds_counts() {
    let cookie = access_cookie(&Jwt::valid().sign());
    for planted in [
        "abc",
        &Jwt::expired().sign(),
        &Jwt::valid().sign_by(&keys::foreign(keys::DYNAMIC_ID)),
        &Jwt::valid().unsigned(),
    ] {
        let answer = with_cookies(&format!("{cookie}; sAccessToken={planted}")).await;
        assert_eq!(answer, app(Cookie), "{planted}");
    }
}

#[tokio::test]
async fn v14_two_access_cookies_of_which_none_holds_lead_to_a_refresh() {
    let expired = access_cookie(&Jwt::expired().sign());
    assert_eq!(with_cookies(&format!("{expired}; sAccessToken=abc")).await, try_refresh());
}

#[tokio::test]
async fn v14_of_one_session_the_newest_token_counts_and_of_several_the_first() {
    let stack = Harness::new(&[]).await;
    let token = |session: &str, issued_at: u64| {
        let jwt = Jwt::valid().claim("sessionHandle", session).claim("iat", issued_at);
        format!("sAccessToken={}", jwt.sign())
    };
    let [old, new, other] = [token("a", 1), token("a", 2), token("b", 3)];
    for (line, expected) in [
        ([&old, &new], ("a", 2)),
        ([&new, &old], ("a", 2)),
        ([&old, &other], ("a", 1)),
        ([&other, &old], ("b", 3)),
    ] {
        let line = line.map(String::as_str).join("; ");
        let sessions = Sessions::new(stack.config.clone(), stack.store.clone());
        let request = Request::get("/").header("cookie", &line).body(()).unwrap();
        let verified = verify(&sessions, &request, REQUIRED, stack.clock.now()).await;
        let claims = verified.unwrap().unwrap().token.claims;
        assert_eq!((claims.session_handle.as_str(), claims.issued_at.as_secs()), expected);
    }
}

#[tokio::test]
async fn v15_an_access_cookie_that_is_garbage_does_not_shadow_the_next() {
    let cookie = access_cookie(&Jwt::valid().sign());
    let answer = with_cookies(&format!("sAccessToken=abc; {cookie}")).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v16_a_header_token_makes_duplicate_cookies_irrelevant() {
    let stack = Harness::new(&[]).await;
    let bearer = bearer(&Jwt::valid().sign());
    let cookies = "sAccessToken=a; sAccessToken=b";
    let headers = [("authorization", bearer.as_str()), ("cookie", cookies)];
    let answer = protected(&stack, Method::GET, &headers).await;
    assert_eq!(answer, app(Header));
}

#[tokio::test]
async fn v17_duplicate_refresh_cookies_are_not_looked_at() {
    let cookie = access_cookie(&Jwt::valid().sign());
    let answer = with_cookies(&format!("{cookie}; sRefreshToken=a; sRefreshToken=b")).await;
    assert_eq!(answer, app(Cookie));
}

/// The reference sends every client to refresh that has it. A neighbour below the same domain can plant it
/// where no refresh of ours takes it away, so it says nothing.
#[tokio::test]
async fn v18_the_legacy_cookie_keeps_nobody_out() {
    let stack = Harness::new(&[]).await;
    let token = Jwt::valid().sign();
    let (cookie, bearer) = (access_cookie(&token), bearer(&token));
    let line = format!("sIdRefreshToken=x; {cookie}");
    assert_eq!(protected(&stack, Method::GET, &[("cookie", &line)]).await, app(Cookie));
    let headers = [("authorization", bearer.as_str()), ("cookie", "sIdRefreshToken=")];
    assert_eq!(protected(&stack, Method::GET, &headers).await, app(Header));
    let answer = route(&stack, OPTIONAL, Method::GET, &[("cookie", "sIdRefreshToken=x")]).await;
    assert_eq!(answer, Answer::App(None));
}

#[tokio::test]
async fn v19_an_emptied_access_cookie_is_as_good_as_none() {
    assert_eq!(with_cookies("sAccessToken=").await, unauthorised());
}

#[tokio::test]
async fn v20_a_cookie_value_may_be_quoted() {
    let line = format!("sAccessToken=\"{}\"", Jwt::valid().sign());
    assert_eq!(with_cookies(&line).await, app(Cookie));
}

#[tokio::test]
async fn v21_cookies_sent_with_their_attributes_are_understood() {
    let line = format!(
        "{}; Expires=Sun, 21 Nov 2027 00:00:00 GMT; Path=/; HttpOnly;sRefreshToken=r",
        access_cookie(&Jwt::valid().sign())
    );
    assert_eq!(with_cookies(&line).await, app(Cookie));
}

#[tokio::test]
async fn v22_an_empty_cookie_header_is_as_good_as_none() {
    assert_eq!(with_cookies("").await, unauthorised());
}

#[tokio::test]
async fn v23_a_token_of_the_static_key_leads_to_a_refresh() {
    let jwt = Jwt::valid().header("kid", keys::STATIC_ID);
    let answer = with_header_token(&jwt.sign_by(&keys::fixed())).await;
    assert_eq!(answer, try_refresh());
}

#[tokio::test]
async fn v24_an_unknown_key_or_a_wrong_signature_leads_to_a_refresh() {
    let unknown_key = Jwt::valid().header("kid", "d-1").sign();
    let wrong_signature = Jwt::valid().sign_by(&keys::foreign(keys::DYNAMIC_ID));
    for token in [unknown_key, wrong_signature] {
        assert_eq!(with_header_token(&token).await, try_refresh(), "{token}");
    }
}

#[tokio::test]
async fn v25_another_algorithm_than_the_keys_leads_to_a_refresh() {
    for token in [Jwt::valid().hs256(), Jwt::valid().unsigned()] {
        assert_eq!(with_header_token(&token).await, try_refresh(), "{token}");
    }
}

#[tokio::test]
async fn v26_a_header_of_another_kind_of_token_is_as_good_as_none() {
    for other in [
        Jwt::valid().header("typ", "at+jwt"),
        Jwt::valid().header("version", 5),
        Jwt::valid().header("version", "five"),
        Jwt::valid().header("version", "2"),
    ] {
        let answer = with_header_token(&other.sign()).await;
        assert_eq!(answer, unauthorised(), "{:?}", other.header);
    }
}

#[tokio::test]
async fn v27_a_token_without_a_version_counts_as_version_3() {
    let jwt = Jwt::valid().without_header("version").without_claim("rsub").without_claim("tId");
    assert_eq!(with_header_token(&jwt.sign()).await, app(Header));
}

#[tokio::test]
async fn v28_a_later_version_is_read_as_version_5() {
    let jwt = Jwt::valid().header("version", "6");
    assert_eq!(with_header_token(&jwt.sign()).await, app(Header));
}

#[tokio::test]
async fn v29_version_5_needs_rsub() {
    let jwt = Jwt::valid().without_claim("rsub");
    assert_eq!(with_header_token(&jwt.sign()).await, unauthorised());
}

#[tokio::test]
async fn v30_version_4_does_without_rsub() {
    let jwt = Jwt::valid().header("version", "4").without_claim("rsub");
    assert_eq!(with_header_token(&jwt.sign()).await, app(Header));
}

#[tokio::test]
async fn v31_only_session_tokens_count() {
    let answers = [
        (0.into(), app(Header)),
        (1.into(), unauthorised()),
        (serde_json::Value::Null, unauthorised()),
    ];
    for (stt, expected) in answers {
        let token = Jwt::valid().claim("stt", stt.clone()).sign();
        assert_eq!(with_header_token(&token).await, expected, "stt: {stt}");
    }
}

#[tokio::test]
async fn v32_a_token_is_expired_in_the_second_of_its_exp() {
    let jwt = Jwt::valid().claim("exp", START.as_secs());
    assert_eq!(with_header_token(&jwt.sign()).await, try_refresh());
}

#[tokio::test]
async fn v33_a_token_that_is_not_valid_yet_leads_to_a_refresh() {
    let jwt = Jwt::valid().claim("nbf", START.as_secs() + 1);
    assert_eq!(with_header_token(&jwt.sign()).await, try_refresh());
}

#[tokio::test]
async fn v34_iat_iss_and_aud_do_not_matter() {
    let jwt = Jwt::valid()
        .claim("iat", START.as_secs() + 60)
        .claim("iss", "https://elsewhere.example")
        .claim("aud", "somebody");
    assert_eq!(with_header_token(&jwt.sign()).await, app(Header));
}

#[tokio::test]
async fn v35_an_exp_that_is_text_makes_it_no_token_of_ours() {
    let jwt = Jwt::valid().claim("exp", (START.as_secs() + 3600).to_string());
    assert_eq!(with_header_token(&jwt.sign()).await, unauthorised());
}

#[tokio::test]
async fn v36_four_parts_are_no_token_of_ours() {
    let token = format!("{}.x", Jwt::valid().sign());
    assert_eq!(with_header_token(&token).await, unauthorised());
}

#[tokio::test]
async fn v38_a_revoked_sessions_token_holds_until_it_expires() {
    let stack = Harness::new(&[]).await;
    let cookie = stack.sign_in("cookie").await.access_cookie();
    assert_eq!(stack.sign_out(&[("cookie", &cookie)]).await.status(), 200);
    let answer = protected(&stack, Method::GET, &[("cookie", &cookie)]).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v40_a_token_with_a_parent_is_not_replaced() {
    let jwt = Jwt::valid().claim("parentRefreshTokenHash1", "1".repeat(64));
    let answer = with_cookies(&access_cookie(&jwt.sign())).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v41_a_cookie_get_needs_no_rid_on_another_site() {
    let stack = Harness::new(&OTHER_SITE).await;
    let cookie = access_cookie(&Jwt::valid().sign());
    let answer = protected(&stack, Method::GET, &[("cookie", &cookie)]).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v42_a_cookie_post_without_rid_on_another_site_leads_to_a_refresh() {
    let stack = Harness::new(&OTHER_SITE).await;
    let cookie = access_cookie(&Jwt::valid().sign());
    let answer = protected(&stack, Method::POST, &[("cookie", &cookie)]).await;
    assert_eq!(answer, try_refresh());
}

#[tokio::test]
async fn v43_a_cookie_head_without_rid_on_another_site_leads_to_a_refresh() {
    let stack = Harness::new(&OTHER_SITE).await;
    let cookie = access_cookie(&Jwt::valid().sign());
    let answer = route(&stack, REQUIRED, Method::HEAD, &[("cookie", &cookie)]).await;
    assert_eq!(answer, try_refresh());
}

#[tokio::test]
async fn v44_an_optional_session_needs_rid_too() {
    let stack = Harness::new(&OTHER_SITE).await;
    let cookie = access_cookie(&Jwt::valid().sign());
    let answer = route(&stack, OPTIONAL, Method::POST, &[("cookie", &cookie)]).await;
    assert_eq!(answer, try_refresh());
}

#[tokio::test]
async fn v45_rid_lets_a_cookie_post_through() {
    let stack = Harness::new(&OTHER_SITE).await;
    let cookie = access_cookie(&Jwt::valid().sign());
    let headers = [("cookie", cookie.as_str()), ("rid", "anti-csrf")];
    let answer = protected(&stack, Method::POST, &headers).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v46_an_empty_rid_lets_a_cookie_post_through() {
    let stack = Harness::new(&OTHER_SITE).await;
    let cookie = access_cookie(&Jwt::valid().sign());
    let headers = [("cookie", cookie.as_str()), ("rid", "")];
    let answer = protected(&stack, Method::POST, &headers).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v47_a_post_without_tokens_is_unauthorised_whatever_its_rid() {
    let stack = Harness::new(&OTHER_SITE).await;
    assert_eq!(protected(&stack, Method::POST, &[]).await, unauthorised());
}

#[tokio::test]
async fn v48_a_header_post_needs_no_rid() {
    let stack = Harness::new(&OTHER_SITE).await;
    let bearer = bearer(&Jwt::valid().sign());
    let answer = protected(&stack, Method::POST, &[("authorization", &bearer)]).await;
    assert_eq!(answer, app(Header));
}

#[tokio::test]
async fn v49_a_route_may_ask_a_get_for_rid() {
    let stack = Harness::new(&OTHER_SITE).await;
    let cookie = access_cookie(&Jwt::valid().sign());
    let options = VerifyOptions { anti_csrf_check: AntiCsrfCheck::Always, ..REQUIRED };
    let answer = route(&stack, options, Method::GET, &[("cookie", &cookie)]).await;
    assert_eq!(answer, try_refresh());
}

#[tokio::test]
async fn v50_a_cookie_get_needs_no_anti_csrf_token() {
    let stack = Harness::new(&VIA_TOKEN).await;
    let cookie = stack.sign_in("cookie").await.access_cookie();
    let answer = protected(&stack, Method::GET, &[("cookie", &cookie)]).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v51_a_cookie_post_with_no_or_a_wrong_anti_csrf_token_leads_to_a_refresh() {
    let stack = Harness::new(&VIA_TOKEN).await;
    let cookie = stack.sign_in("cookie").await.access_cookie();
    let without = [("cookie", cookie.as_str())];
    let wrong = [("cookie", cookie.as_str()), ("anti-csrf", "wrong")];
    for headers in [&without[..], &wrong] {
        let answer = protected(&stack, Method::POST, headers).await;
        assert_eq!(answer, try_refresh(), "{headers:?}");
    }
}

#[tokio::test]
async fn v52_the_right_anti_csrf_token_lets_a_cookie_post_through() {
    let stack = Harness::new(&VIA_TOKEN).await;
    let tokens = stack.sign_in("cookie").await;
    let cookie = tokens.access_cookie();
    let headers = [("cookie", cookie.as_str()), ("anti-csrf", &tokens.anti_csrf)];
    let answer = protected(&stack, Method::POST, &headers).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v53_an_optional_session_needs_the_anti_csrf_token_too() {
    let stack = Harness::new(&VIA_TOKEN).await;
    let cookie = stack.sign_in("cookie").await.access_cookie();
    let answer = route(&stack, OPTIONAL, Method::POST, &[("cookie", &cookie)]).await;
    assert_eq!(answer, try_refresh());
}

#[tokio::test]
async fn v54_a_route_may_do_without_the_anti_csrf_token() {
    let stack = Harness::new(&VIA_TOKEN).await;
    let cookie = stack.sign_in("cookie").await.access_cookie();
    let options = VerifyOptions { anti_csrf_check: AntiCsrfCheck::Never, ..REQUIRED };
    let answer = route(&stack, options, Method::POST, &[("cookie", &cookie)]).await;
    assert_eq!(answer, app(Cookie));
}

#[tokio::test]
async fn v55_a_cookie_is_not_looked_at_where_headers_are_fixed() {
    let stack = Harness::new(&[("TOKEN_TRANSFER_METHOD", "header")]).await;
    let cookie = access_cookie(&Jwt::valid().sign());
    let answer = protected(&stack, Method::GET, &[("cookie", &cookie)]).await;
    assert_eq!(answer, unauthorised());
}

#[tokio::test]
async fn v56_a_header_is_not_looked_at_where_cookies_are_fixed() {
    let stack = Harness::new(&[("TOKEN_TRANSFER_METHOD", "cookie")]).await;
    let bearer = bearer(&Jwt::valid().sign());
    let answer = protected(&stack, Method::GET, &[("authorization", &bearer)]).await;
    assert_eq!(answer, unauthorised());
}

/// The gateway says 401 all the same: an HTTP API lets an authorizer choose no other status.
#[tokio::test]
async fn v57_the_status_of_an_expired_session_can_be_chosen() {
    let stack = Harness::new(&[("SESSION_EXPIRED_STATUS_CODE", "440")]).await;
    let body = r#"{"message":"unauthorised"}"#.to_owned();
    let answer = protected(&stack, Method::GET, &[]).await;
    assert_eq!(answer, Answer::Refused(440, body));
}

/// Unlike the reference, which does without it by mistake (contract §5.4).
#[tokio::test]
async fn version_4_needs_a_tenant() {
    let jwt = Jwt::valid().header("version", "4").without_claim("tId");
    assert_eq!(with_header_token(&jwt.sign()).await, unauthorised());
}
