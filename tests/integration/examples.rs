//! The examples, behind the gateway of a whole stack, as they would be deployed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use local::function::{Function, Language};
use local::gateway::Access;
use serde_json::{Value, json};
use session::token::SigningKey;
use signin_oidc::Provider;
use testkit::clock::START;
use testkit::harness::Tokens;
use testkit::{Harness, keys};
use tokio::net::TcpListener;

use crate::mint::Jwt;

/// An identity provider on this machine: its key set is what a test says, and fetches are counted.
struct Issuer {
    url: String,
    published: Arc<Published>,
}

struct Published {
    answer: Mutex<(StatusCode, Value)>,
    fetches: AtomicUsize,
}

impl Issuer {
    async fn start() -> Self {
        let answer = Mutex::new((StatusCode::OK, key_set(&[keys::dynamic()])));
        let published = Arc::new(Published { answer, fetches: AtomicUsize::new(0) });
        let serve = async |State(published): State<Arc<Published>>| {
            published.fetches.fetch_add(1, Ordering::SeqCst);
            let (status, set) = published.answer.lock().unwrap().clone();
            (status, set.to_string())
        };
        let app = Router::new()
            .route("/.well-known/jwks.json", get(serve))
            .with_state(Arc::clone(&published));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, published }
    }

    fn publish(&self, keys: &[SigningKey]) {
        *self.published.answer.lock().unwrap() = (StatusCode::OK, key_set(keys));
    }

    fn fail(&self) {
        *self.published.answer.lock().unwrap() = (StatusCode::INTERNAL_SERVER_ERROR, Value::Null);
    }

    fn fetches(&self) -> usize {
        self.published.fetches.load(Ordering::SeqCst)
    }

    /// What the provider would sign for `ada`, as Cognito shapes it.
    fn id_token(&self) -> Jwt {
        let mut token = Jwt { header: serde_json::Map::new(), payload: serde_json::Map::new() }
            .header("alg", "RS256")
            .header("kid", keys::DYNAMIC_ID);
        for (name, value) in [
            ("iss", json!(self.url)),
            ("aud", json!("app-1")),
            ("token_use", json!("id")),
            ("sub", json!("ada")),
            ("email", json!("ada@example.com")),
            ("cognito:groups", json!(["admin", "staff"])),
            ("auth_time", json!(START.as_secs() - 20)),
            ("iat", json!(START.as_secs() - 10)),
            ("exp", json!(START.as_secs() + 3600)),
        ] {
            token = token.claim(name, value);
        }
        token
    }
}

fn key_set(keys: &[SigningKey]) -> Value {
    let keys = keys.iter().map(SigningKey::public_jwk).collect();
    serde_json::to_value(JwkSet { keys }).unwrap()
}

/// A stack with the sign-in example at `POST /signin`.
async fn with_sign_in(issuer: &Issuer) -> Harness {
    let jwks_url = format!("{}/.well-known/jwks.json", issuer.url);
    let provider = Arc::new(Provider::new(issuer.url.clone(), "app-1".to_owned(), jwks_url));
    Harness::with_routes(&[], |gateway, sessions, clock| {
        let function = Function::http(move |request| {
            let (sessions, provider) = (Arc::clone(&sessions), Arc::clone(&provider));
            let clock = clock.clone();
            async move { signin_oidc::handle(&sessions, &provider, &clock, request).await }
        });
        gateway.route(Method::POST, "/signin", Access::Public, &function)
    })
    .await
}

async fn sign_in(stack: &Harness, body: Value) -> Response<Bytes> {
    let request = Request::post("/signin")
        .header("content-type", "application/json")
        .header("st-auth-mode", "header");
    stack.stack.handle(request.body(Bytes::from(body.to_string())).unwrap()).await
}

/// Status and message of the answer to a sign-in with that token.
async fn answer_to(stack: &Harness, id_token: String) -> (u16, String) {
    let response = sign_in(stack, json!({ "idToken": id_token })).await;
    let token_is_quoted = String::from_utf8_lossy(response.body()).contains(&id_token);
    assert!(!token_is_quoted, "a token must not come back");
    (response.status().as_u16(), body(&response)["message"].as_str().unwrap_or_default().to_owned())
}

fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// What a foreign page can send with somebody else's ID token in it: any body as a form, and JSON nowhere
/// but where CORS lets it.
#[tokio::test]
async fn no_foreign_page_signs_its_visitor_in() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let body = json!({ "idToken": issuer.id_token().sign() }).to_string();
    let json = ("content-type", "application/json; charset=utf-8");
    let (own, foreign) = (("origin", "https://example.com"), ("origin", "https://evil.example"));
    for (headers, status) in [
        (vec![json], 200),
        (vec![json, own], 200),
        (vec![json, own, ("sec-fetch-site", "same-site")], 200),
        (vec![json, ("sec-fetch-site", "same-origin")], 200),
        (vec![], 415),
        (vec![own], 415),
        (vec![("content-type", "text/plain"), own], 415),
        (vec![("content-type", "application/x-www-form-urlencoded")], 415),
        (vec![("content-type", "text/plain; application/json")], 415),
        (vec![json, foreign], 403),
        (vec![json, foreign, ("sec-fetch-site", "same-origin")], 403),
        (vec![json, ("origin", "null")], 403),
        (vec![json, ("origin", "https://example.com.evil.example")], 403),
        (vec![json, ("sec-fetch-site", "cross-site")], 403),
        (vec![json, ("sec-fetch-site", "same-site")], 403),
    ] {
        let mut request = Request::post("/signin");
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body.clone())).unwrap();
        let response = stack.stack.handle(request).await;
        assert_eq!(response.status(), status, "{headers:?}");
        let signs_in = response.headers().contains_key("st-access-token");
        assert_eq!(signs_in, status == 200, "{headers:?}");
    }
}

#[tokio::test]
async fn an_id_token_of_the_provider_signs_its_user_in() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let response = sign_in(&stack, json!({ "idToken": issuer.id_token().sign() })).await;
    assert_eq!(response.status(), 200, "{:?}", response.body());

    let bearer = Tokens::of(&response).access_bearer();
    let me = stack.send(Method::GET, "/api/me", &[("authorization", &bearer)]).await;
    let claims = &body(&me)["accessTokenPayload"];
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["st-role"]["v"], json!(["admin", "staff"]));
    assert_eq!(claims["auth_time"], START.as_secs() - 20);
}

#[tokio::test]
async fn an_id_token_that_does_not_hold_is_refused_with_the_reason() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let valid = issuer.id_token();
    let form = "the ID token is not a JWT signed with RS256";
    let key = "the key of the ID token is not one of the provider's";
    let claims = "the ID token lacks a claim: it needs iss, aud, token_use, sub and exp";
    for (token, message) in [
        ("no token".to_owned(), form),
        ("a".repeat(20_000), form),
        (valid.clone().unsigned(), form),
        (valid.clone().hs256(), form),
        (valid.clone().header("crit", json!(["b64"])).sign(), form),
        (valid.clone().without_header("kid").sign(), key),
        (valid.clone().header("kid", "made-up").sign(), key),
        (
            valid.sign_by(&keys::foreign(keys::DYNAMIC_ID)),
            "the signature of the ID token does not hold",
        ),
        (valid.clone().without_claim("sub").sign(), claims),
        (valid.clone().claim("aud", json!(["app-1", "app-2"])).sign(), claims),
        (
            valid.clone().claim("iss", "https://other.example").sign(),
            "the ID token is from another issuer",
        ),
        (valid.clone().claim("aud", "app-2").sign(), "the ID token is for another audience"),
        (valid.clone().claim("token_use", "access").sign(), "the token is not an ID token"),
        (valid.clone().claim("exp", START.as_secs()).sign(), "the ID token has expired"),
        (valid.clone().claim("nonce", "n-1").sign(), "the nonce of the ID token is another"),
    ] {
        assert_eq!(answer_to(&stack, token).await, (401, message.to_owned()));
    }
}

#[tokio::test]
async fn a_nonce_must_be_the_one_that_the_client_sent() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let token = issuer.id_token().claim("nonce", "n-1").sign();
    for (nonce, status) in [("n-1", 200), ("n-2", 401)] {
        let response = sign_in(&stack, json!({ "idToken": token, "nonce": nonce })).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn another_body_is_a_bad_request_and_asks_nobody() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    assert_eq!(sign_in(&stack, json!({ "token": "x" })).await.status(), 400);
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn keys_are_fetched_once_an_hour() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let token = issuer.id_token().claim("exp", START.as_secs() + 10_000).sign();
    for _ in 0..3 {
        assert_eq!(answer_to(&stack, token.clone()).await.0, 200);
    }
    assert_eq!(issuer.fetches(), 1);
    stack.clock.advance(Duration::from_hours(1));
    assert_eq!(answer_to(&stack, token).await.0, 200);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_fetched_when_it_is_met() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    assert_eq!(answer_to(&stack, issuer.id_token().sign()).await.0, 200);

    issuer.publish(&[keys::dynamic(), keys::foreign("next")]);
    stack.clock.advance(Duration::from_secs(10));
    let token = issuer.id_token().header("kid", "next").sign_by(&keys::foreign("next"));
    assert_eq!(answer_to(&stack, token).await.0, 200);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn made_up_keys_cause_one_fetch_per_cooldown() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    for number in 0..20 {
        let kid = format!("made-up-{number}");
        assert_eq!(answer_to(&stack, issuer.id_token().header("kid", kid).sign()).await.0, 401);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn without_the_providers_keys_nobody_is_refused_for_good() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    issuer.fail();
    let response = sign_in(&stack, json!({ "idToken": issuer.id_token().sign() })).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");

    issuer.publish(&[keys::dynamic()]);
    assert_eq!(answer_to(&stack, issuer.id_token().sign()).await.0, 200);
}

#[tokio::test]
async fn old_keys_serve_while_the_provider_is_away() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let token = issuer.id_token().claim("exp", START.as_secs() + 10_000).sign();
    assert_eq!(answer_to(&stack, token.clone()).await.0, 200);
    issuer.fail();
    stack.clock.advance(Duration::from_hours(2));
    assert_eq!(answer_to(&stack, token).await.0, 200);
    assert_eq!(issuer.fetches(), 2);
}

/// A caller of the example `protected`, which the stack serves below `/account`.
struct Caller {
    stack: Harness,
    token: Mutex<String>,
}

impl Caller {
    async fn signed_in() -> Self {
        let stack = Harness::new(&[]).await;
        let token = Mutex::new(stack.sign_in("header").await.access);
        Self { stack, token }
    }

    /// Status and body; keeps the access token that an answer brings, as front ends do.
    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.token.lock().unwrap());
        let request = Request::builder().method(method).uri(path).header("authorization", bearer);
        let body = Bytes::from(if body.is_null() { String::new() } else { body.to_string() });
        let response = self.stack.stack.handle(request.body(body).unwrap()).await;
        let renewed = Tokens::of(&response).access;
        if !renewed.is_empty() {
            *self.token.lock().unwrap() = renewed;
        }
        (response.status().as_u16(), self::body(&response))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, body).await
    }
}

fn invalid_claim(id: &str, reason: &Value) -> (u16, Value) {
    let errors = json!([{ "id": id, "reason": reason }]);
    (403, json!({ "message": "invalid claim", "claimValidationErrors": errors }))
}

#[tokio::test]
async fn settings_are_kept_with_the_session() {
    let caller = Caller::signed_in().await;
    let settings = json!({ "theme": "dark" });
    assert_eq!(caller.call(Method::PUT, "/account/settings", settings.clone()).await.0, 200);
    let (status, account) = caller.get("/account").await;
    assert_eq!(
        (status, &account["settings"], &account["userId"]),
        (200, &settings, &json!("user-1"))
    );
    assert_eq!(caller.call(Method::PUT, "/account/settings", json!([1])).await.0, 400);
}

#[tokio::test]
async fn a_role_that_is_granted_serves_at_once() {
    let caller = Caller::signed_in().await;
    let reason = json!({
        "message": "wrong value",
        "expectedToInclude": "admin",
        "actualValue": ["member"],
    });
    assert_eq!(caller.get("/account/reports").await, invalid_claim("st-role", &reason));
    assert_eq!(caller.post("/account/admin", Value::Null).await.0, 200);
    assert_eq!(caller.get("/account/reports").await.0, 200);
}

#[tokio::test]
async fn a_transfer_asks_for_a_recent_sign_in() {
    let caller = Caller::signed_in().await;
    assert_eq!(caller.post("/account/transfers", Value::Null).await.0, 200);

    caller.stack.clock.advance(Duration::from_mins(1));
    let reason = json!({ "message": "expired", "ageInSeconds": 60, "maxAgeInSeconds": 3 });
    let refused = caller.post("/account/transfers", Value::Null).await;
    assert_eq!(refused, invalid_claim("auth_time", &reason));
    assert_eq!(caller.post("/account/confirm", json!({ "userId": "user-2" })).await.0, 403);
    assert_eq!(caller.post("/account/transfers", Value::Null).await.0, 403);

    assert_eq!(caller.post("/account/confirm", json!({ "userId": "user-1" })).await.0, 200);
    assert_eq!(caller.post("/account/transfers", Value::Null).await.0, 200);
}

#[tokio::test]
async fn signing_out_elsewhere_leaves_this_device_alone() {
    let caller = Caller::signed_in().await;
    let elsewhere = caller.stack.sign_in("header").await;
    let (_, devices) = caller.get("/account/devices").await;
    let current = |devices: &Value| {
        let devices = devices.as_array().unwrap().iter();
        devices.map(|device| device["current"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(current(&devices).into_iter().filter(|current| *current).count(), 1);
    assert_eq!(current(&devices).len(), 2);

    let ended = caller.call(Method::DELETE, "/account/devices", Value::Null).await;
    assert_eq!(ended, (200, json!({ "ended": 1 })));
    assert_eq!(current(&caller.get("/account/devices").await.1), [true]);
    let refresh = [("authorization", elsewhere.refresh_bearer())];
    let refresh = refresh.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(caller.stack.refresh(&refresh).await.status(), 401);
}

#[tokio::test]
async fn without_a_session_the_account_is_refused_as_front_ends_expect_it() {
    let stack = Harness::new(&[]).await;
    let refused = stack.send(Method::GET, "/account", &[]).await;
    assert_eq!(
        (refused.status().as_u16(), body(&refused)),
        (401, json!({ "message": "unauthorised" }))
    );
}

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(path)
}

/// A stack with a handler in another language behind the authorizer.
async fn with_handler(language: Language, file: &str, name: &str) -> Harness {
    let function = Function::process(language, example(file), &[]);
    Harness::with_routes(&[], |gateway, _, _| {
        ["me", "reports", "other"].iter().fold(gateway, |gateway, route| {
            let path = format!("/{name}/{route}");
            gateway.route(Method::GET, &path, Access::Authorized, &function)
        })
    })
    .await
}

/// What both handlers must do alike.
async fn a_handler_knows_who_is_signed_in(language: Language, file: &str, name: &str) {
    let stack = with_handler(language, file, name).await;
    let call = async |route: &str, token: &str| {
        let path = format!("/{name}/{route}");
        let bearer = format!("Bearer {token}");
        let response = stack.send(Method::GET, &path, &[("authorization", &bearer)]).await;
        let kind = response.headers().get("content-type").cloned();
        assert_eq!(kind.unwrap(), "application/json");
        (response.status().as_u16(), body(&response))
    };
    let plain = Jwt::valid();
    let member = plain.clone().claim("st-role", json!({ "v": ["member"], "t": 0 }));
    let admin = plain.clone().claim("st-role", json!({ "v": ["admin"], "t": 0 }));

    let refused = stack.send(Method::GET, &format!("/{name}/me"), &[]).await;
    assert_eq!(refused.status(), 401, "the authorizer stands in front");

    let me = json!({
        "userId": "user-1",
        "sessionHandle": "00000000-0000-4000-8000-000000000000",
        "tenantId": "public",
        "roles": ["member"],
    });
    assert_eq!(call("me", &member.sign()).await, (200, me));
    assert_eq!(call("reports", &admin.sign()).await, (200, json!({ "reports": ["2024", "2025"] })));
    let wrong = json!({
        "message": "wrong value",
        "expectedToInclude": "admin",
        "actualValue": ["member"],
    });
    assert_eq!(call("reports", &member.sign()).await, invalid_claim("st-role", &wrong));
    let missing = json!({ "message": "value does not exist", "expectedToInclude": "admin" });
    assert_eq!(call("reports", &plain.sign()).await, invalid_claim("st-role", &missing));
    assert_eq!(call("other", &plain.sign()).await, (404, json!({ "message": "Not Found" })));
}

#[tokio::test]
async fn a_handler_in_javascript_knows_who_is_signed_in() {
    a_handler_knows_who_is_signed_in(Language::JavaScript, "node/index.mjs", "node").await;
}

#[tokio::test]
async fn a_handler_in_python_knows_who_is_signed_in() {
    a_handler_knows_who_is_signed_in(Language::Python, "python/handler.py", "python").await;
}

#[tokio::test]
async fn a_handler_that_throws_is_an_error_and_stays_warm() {
    for (language, file, kind) in [
        (Language::JavaScript, "node/index.mjs", "TypeError"),
        (Language::Python, "python/handler.py", "KeyError"),
    ] {
        let function = Function::process(language, example(file), &[]);
        for _ in 0..2 {
            assert_eq!(function.invoke(json!({})).await.unwrap_err().error_type, kind);
        }
    }
}
