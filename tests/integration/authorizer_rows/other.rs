//! WebSocket APIs, AppSync, the managed JWT authorizer, and what holds for all: rows 72 to 88.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use session::model::KeyId;
use session::store::SessionRevoker as _;
use session::token::SigningKey;
use session::token::key::SigningAlgorithm;
use testkit::clock::START;
use testkit::front_door::{JwtAuthorizer, shape};
use testkit::{Fault, IdentitySource, Kind, events, keys};

use super::{
    OTHER_SITE, STRICT, UNAUTHORIZED, function, get, given, http, of_a_session, ours, post,
    raising, request, valid,
};
use crate::mint::{Jwt, access_cookie, bearer};

/// A handshake from a page of the website, with a cookie.
const OWN: (&str, &str) = ("origin", "https://example.com");

#[tokio::test] // function, model
async fn row_72_a_cookie_session_connects_from_the_website() {
    let cookie = access_cookie(&valid());
    let handshake = get(&[OWN, ("cookie", &cookie)]);
    let answer = function(&[], shape::web_socket(&handshake)).await.unwrap();
    let resource = &answer["policyDocument"]["Statement"][0]["Resource"];
    assert_eq!(resource, "arn:aws:execute-api:eu-west-1:123456789012:abcdef123/v1/*");
    let (_, front) = ours(Kind::WebSocket, &[]).await;
    let outcome = front.send(&handshake).await;
    assert_eq!(outcome.status(), 101);
    // What every later event of the connection carries.
    assert_eq!(outcome.authorizer.unwrap()["userId"], "user-1");
}

#[tokio::test] // function, model
async fn row_73_a_cookie_session_does_not_connect_from_a_foreign_page() {
    let (_, front) = ours(Kind::WebSocket, &[]).await;
    let cookie = access_cookie(&valid());
    let cookie = ("cookie", cookie.as_str());
    for origin in ["https://evil.example", "https://example.com.evil.example", "null", ""] {
        let outcome = front.send(&get(&[("origin", origin), cookie])).await;
        assert_eq!(outcome.status(), 403, "{origin}");
    }
    assert_eq!(front.send(&get(&[cookie])).await.status(), 403);
    // A page cannot send the headers of another site's session, nor know its token.
    let (value, query) = (bearer(&valid()), format!("/?access_token={}", valid()));
    for handshake in [
        get(&[("origin", "https://evil.example"), ("authorization", &value)]),
        request(Method::GET, &query, &[("origin", "https://evil.example")]),
        request(Method::GET, &query, &[]),
    ] {
        assert_eq!(front.send(&handshake).await.status(), 101);
    }
}

#[tokio::test] // model
async fn the_origins_of_websockets_can_be_set() {
    let settings = [("WEBSOCKET_ORIGINS", "https://a.example.com, https://b.example.com:8443")];
    let (_, front) = ours(Kind::WebSocket, &settings).await;
    let cookie = access_cookie(&valid());
    for (origin, status) in [
        ("https://a.example.com", 101),
        ("https://b.example.com:8443", 101),
        ("https://b.example.com", 403),
        ("https://example.com", 403),
    ] {
        let outcome = front.send(&get(&[("origin", origin), ("cookie", &cookie)])).await;
        assert_eq!(outcome.status(), status, "{origin}");
    }
}

#[tokio::test] // function, model
async fn row_74_without_a_session_no_connection() {
    let raised = function(&[], shape::web_socket(&get(&[OWN]))).await.unwrap_err();
    assert_eq!(raised.error_message, "Unauthorized");
    let (_, front) = ours(Kind::WebSocket, &[]).await;
    assert_eq!(front.send(&get(&[OWN])).await.status(), 401);
}

#[tokio::test] // function, model: what a connection costs is one decision; the next one needs a session again
async fn row_75_a_revoked_session_keeps_its_connection_and_opens_no_other() {
    let (stack, front) = ours(Kind::WebSocket, &[STRICT]).await;
    events::seed_session(&stack.store).await;
    let handshake = get(&[OWN, ("cookie", &access_cookie(&of_a_session()))]);
    let connection = front.send(&handshake).await;
    assert_eq!((connection.status(), front.take_invocations()), (101, 1));
    stack.store.delete_session(&events::session().handle).await.unwrap();
    // Later events carry what the handshake found, and nobody asks again.
    assert_eq!(connection.authorizer.unwrap()["userId"], "user-1");
    assert_eq!(front.take_invocations(), 0);
    assert_eq!(front.send(&handshake).await.status(), 401);
}

#[tokio::test] // function, model
async fn row_76_appsync_is_told_not_to_keep_the_answer() {
    let request = post(&[("authorization", &valid())]);
    let answer = function(&[], shape::app_sync(&request)).await.unwrap();
    assert_eq!((&answer["isAuthorized"], &answer["ttlOverride"]), (&json!(true), &json!(0)));
    let (_, front) = ours(Kind::AppSync, &[]).await;
    for token in [valid(), bearer(&valid())] {
        let outcome = front.send(&post(&[("authorization", &token)])).await;
        assert_eq!(outcome.status(), 200);
        assert_eq!(outcome.authorizer.unwrap()["resolverContext"]["userId"], "user-1");
    }
}

#[tokio::test] // function, model
async fn appsync_takes_cookies_where_something_stands_in_for_the_token() {
    let cookie = access_cookie(&valid());
    let (_, front) = ours(Kind::AppSync, &[OTHER_SITE]).await;
    let request = |rid: &[(&'static str, &'static str)]| {
        let headers = [&[("authorization", "cookie"), ("cookie", &*cookie)], rid].concat();
        post(&headers)
    };
    assert_eq!(front.send(&request(&[("rid", "session")])).await.status(), 200);
    assert_eq!(front.send(&request(&[])).await.status(), 401);
}

#[tokio::test] // function, model
async fn row_77_an_expired_token_is_401_with_a_fixed_text() {
    let request = post(&[("authorization", &Jwt::expired().sign())]);
    let answer = function(&[], shape::app_sync(&request)).await.unwrap();
    assert_eq!(answer["isAuthorized"], false);
    let (_, front) = ours(Kind::AppSync, &[]).await;
    let outcome = front.send(&request).await;
    let body: Value = serde_json::from_str(outcome.body()).unwrap();
    assert_eq!(outcome.status(), 401);
    assert_eq!(body["errors"][0]["errorType"], "UnauthorizedException");
}

#[tokio::test] // model, with ours in a fault and a given result
async fn row_78_a_fault_looks_the_same_to_appsyncs_clients() {
    let refused = given(Kind::AppSync, json!({ "isAuthorized": false })).send(&post(&[])).await;
    let (stack, front) = ours(Kind::AppSync, &[]).await;
    stack.wire.break_all(Some(Fault::ServerError));
    let faulty = front.send(&post(&[("authorization", &valid())])).await;
    let raised = raising(Kind::AppSync, "anything").send(&post(&[])).await;
    assert_eq!((faulty.status(), faulty.body()), (refused.status(), refused.body()));
    assert_eq!((raised.status(), raised.body()), (refused.status(), refused.body()));
    // In our logs it does not.
    let event = shape::app_sync(&post(&[("authorization", &valid())]));
    let fault = stack.stack.functions().authorizer.invoke(event).await.unwrap_err();
    assert_eq!(fault.error_type, "AuthorizerFault");
}

#[tokio::test] // model, given result; and ours, all of whose values are texts
async fn row_79_nested_values_are_refused_and_ours_are_texts() {
    let nested = json!({ "isAuthorized": true, "resolverContext": { "roles": ["a"] } });
    assert_eq!(given(Kind::AppSync, nested).send(&post(&[])).await.status(), 401);
    let token = Jwt::valid().claim("st-role", json!({ "v": ["admin"] })).claim("n", 1).sign();
    let (_, front) = ours(Kind::AppSync, &[("CONTEXT_CLAIMS", "st-role,n")]).await;
    let outcome = front.send(&post(&[("authorization", &token)])).await;
    let context = outcome.authorizer.unwrap()["resolverContext"].clone();
    assert_eq!((&context["st-role"], &context["n"]), (&json!(r#"{"v":["admin"]}"#), &json!("1")));
    assert!(context.as_object().unwrap().values().all(Value::is_string));
}

/// The JWT authorizer of an HTTP API that trusts these keys.
fn managed(keys: &[&SigningKey]) -> JwtAuthorizer {
    let keys = keys.iter().map(|key| key.public_jwk()).collect();
    JwtAuthorizer {
        keys: jsonwebtoken::jwk::JwkSet { keys },
        issuer: "https://api.example.com/auth".to_owned(),
        audience: vec!["https://api.example.com".to_owned()],
        scopes: Vec::new(),
    }
}

/// A token for that audience.
fn for_audience() -> Jwt {
    Jwt::valid().claim("aud", "https://api.example.com")
}

#[test] // model, with tokens of both of our algorithms
fn row_80_the_managed_authorizer_takes_rs256_and_not_es256() {
    let pkcs8 = SigningAlgorithm::Es256.generate_pkcs8().unwrap();
    let id = KeyId::new("d-es256");
    let es256 = SigningKey::from_pkcs8(id, SigningAlgorithm::Es256, &pkcs8).unwrap();
    let gateway = managed(&[&keys::dynamic(), &es256]);
    let claims = gateway.check(&for_audience().sign(), START).unwrap();
    assert_eq!(claims["sub"], "user-1");
    let token = for_audience().header("alg", "ES256").header("kid", "d-es256").sign_by(&es256);
    let (status, challenge) = gateway.check(&token, START).unwrap_err();
    assert_eq!(status, 401);
    assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
    let expired = gateway.check(&for_audience().sign(), START.plus(Duration::from_hours(1)));
    assert_eq!(expired.unwrap_err().0, 401);
}

#[test] // model, with our tokens
fn row_81_a_client_id_counts_only_without_an_audience() {
    let mut gateway = managed(&[&keys::dynamic()]);
    gateway.audience = vec!["app".to_owned()];
    let client = Jwt::valid().claim("client_id", "app");
    assert!(gateway.check(&client.sign(), START).is_ok());
    let other = client.claim("aud", "elsewhere");
    assert_eq!(gateway.check(&other.sign(), START).unwrap_err().0, 401);
    let several = other.claim("aud", json!(["elsewhere", "app"]));
    assert!(gateway.check(&several.sign(), START).is_ok());
}

#[test] // model, with our tokens
fn row_82_a_missing_scope_is_403() {
    let mut gateway = managed(&[&keys::dynamic()]);
    gateway.scopes = vec!["orders:read".to_owned(), "orders:write".to_owned()];
    let (status, challenge) = gateway.check(&for_audience().sign(), START).unwrap_err();
    assert_eq!(status, 403);
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    let scoped = for_audience().claim("scope", "profile orders:read").sign();
    assert!(gateway.check(&scoped, START).is_ok());
}

#[tokio::test] // function
async fn appsync_may_say_nothing_of_headers() {
    for headers in [Value::Null, json!({}), json!({ "x": null })] {
        let mut event = shape::app_sync(&get(&[("authorization", &valid())]));
        event["requestHeaders"] = headers;
        assert_eq!(function(&[], event).await.unwrap()["isAuthorized"], true);
    }
    let mut event = shape::app_sync(&get(&[("authorization", &valid())]));
    event.as_object_mut().unwrap().remove("requestHeaders");
    assert_eq!(function(&[], event).await.unwrap()["isAuthorized"], true);
}

#[tokio::test] // function
async fn row_83_an_event_of_unknown_shape_is_a_fault_and_never_allowed() {
    let value = bearer(&valid());
    let headers = [("authorization", value.as_str())];
    let without = |mut event: Value, name: &str| {
        event.as_object_mut().unwrap().remove(name);
        event
    };
    let mut proxy = without(shape::http_api_2(&get(&headers)), "type");
    proxy.as_object_mut().unwrap().remove("routeArn");
    let schedule = json!({ "version": "0", "detail-type": "Scheduled Event", "detail": {} });
    let mut no_arn = shape::rest_request(&get(&headers));
    no_arn["methodArn"] = "orders".into();
    let mut other_type = shape::rest_request(&get(&headers));
    other_type["type"] = "JWT".into();
    let optional = [("SESSION_REQUIRED", "false")];
    for event in [
        Value::Null,
        json!([]),
        json!("event"),
        json!({}),
        proxy,
        schedule,
        no_arn,
        other_type,
        without(shape::rest_request(&get(&headers)), "type"),
        without(shape::rest_request(&get(&headers)), "httpMethod"),
        without(shape::rest_request(&get(&headers)), "methodArn"),
        without(shape::rest_token(&get(&headers)), "methodArn"),
        without(shape::http_api_1(&get(&headers)), "methodArn"),
        without(shape::http_api_2(&get(&headers)), "requestContext"),
        without(shape::web_socket(&get(&headers)), "methodArn"),
        without(shape::app_sync(&get(&headers)), "authorizationToken"),
    ] {
        let error = function(&optional, event.clone()).await.unwrap_err();
        assert_eq!(error.error_message, "unrecognised event", "{event}");
    }
}

#[tokio::test] // function
async fn row_84_a_token_is_expired_in_the_second_of_its_exp() {
    let unauthorized = json!({ "errorMessage": "Unauthorized" });
    for (exp, is_allowed) in [(-1_i64, false), (0, false), (1, true)] {
        let exp = START.as_secs().checked_add_signed(exp).unwrap();
        let token = Jwt::valid().claim("exp", exp).sign();
        let answer = http(&[], &get(&[("authorization", &bearer(&token))])).await;
        assert_eq!(answer["isAuthorized"] == true, is_allowed, "{exp}");
        assert_eq!(answer == unauthorized, !is_allowed, "{exp}");
    }
    // No leeway: a clock that is behind by a second shortens a token's life by nothing, one that is ahead by one.
    let early = Jwt::valid().claim("nbf", START.as_secs() + 1).sign();
    let answer = http(&[], &get(&[("authorization", &bearer(&early))])).await;
    assert_eq!(answer, unauthorized);
}

#[tokio::test] // function, over a wire that breaks
async fn row_85_after_an_hours_freeze_a_stale_connection_costs_a_retry_and_no_500() {
    let (stack, front) = ours(Kind::HttpSimple, &[("ACCESS_TOKEN_TTL_SECONDS", "86400")]).await;
    let token = Jwt::valid().claim("exp", START.as_secs() + 86_400).sign();
    let request = get(&[("authorization", &bearer(&token))]);
    assert_eq!(front.send(&request).await.status(), 200);
    stack.wire.take_calls();
    stack.clock.advance(Duration::from_hours(1));
    stack.wire.script([Some(Fault::ConnectionReset)]);
    assert_eq!(front.send(&request).await.status(), 200);
    let statuses: Vec<_> = stack.wire.take_calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [0, 200], "the first attempt broke, the second was answered");
    // Should every attempt break, the keys in memory still serve.
    stack.clock.advance(Duration::from_hours(1));
    stack.wire.break_all(Some(Fault::ConnectionReset));
    assert_eq!(front.send(&request).await.status(), 200);
}

#[tokio::test] // model: a known gap of `sam local`, which must not be taken for ours
async fn row_86_sam_local_makes_502_of_the_object_that_is_401() {
    let (_, front) = ours(Kind::SamLocal, &[]).await;
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (502, r#"{"message":"Internal server error"}"#));
    // What it lets through arrives in another spelling, which the function takes as well.
    let outcome = front.send(&get(&[("cookie", &access_cookie(&valid()))])).await;
    assert_eq!(outcome.status(), 200);
}

#[tokio::test] // model
async fn row_87_sam_local_refuses_a_missing_identity_source_as_aws_does() {
    let (_, front) = ours(Kind::SamLocal, &[]).await;
    let sources = [IdentitySource::Header("authorization")];
    let front = front.keeping(&sources, Duration::ZERO);
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    assert_eq!(front.take_invocations(), 0);
}

#[tokio::test] // model, given result
async fn row_88_sam_local_words_a_denial_in_its_own_way() {
    let outcome = given(Kind::SamLocal, json!({ "isAuthorized": false })).send(&get(&[])).await;
    assert_eq!(outcome.status(), 403);
    assert_eq!(outcome.body(), r#"{"message":"User is not authorized to access this resource"}"#);
}
