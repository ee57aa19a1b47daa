//! The examples, behind the gateway of a whole stack, as they would be deployed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use local::function::{Function, Language};
use local::gateway::Access;
use serde_json::{Value, json};
use session::token::SigningKey;
use signin_oidc::Provider;
use testkit::clock::START;
use testkit::harness::{Tokens, text};
use testkit::{Harness, keys};
use tokio::net::TcpListener;

use crate::mint::Jwt;

/// An identity provider on this machine: key set and ID token are what a test says, and fetches of the key
/// set are counted.
struct Issuer {
    url: String,
    published: Arc<Published>,
}

struct Published {
    url: String,
    key_set: Mutex<(StatusCode, Value)>,
    fetches: AtomicUsize,
    /// What it gives for `code-1`, if the verifier fits this challenge.
    sale: Mutex<(String, String)>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let published = Arc::new(Published {
            url: url.clone(),
            key_set: Mutex::new((StatusCode::OK, key_set(&[keys::dynamic()]))),
            fetches: AtomicUsize::new(0),
            sale: Mutex::default(),
        });
        let discovery = async |State(published): State<Arc<Published>>| {
            let url = &published.url;
            let endpoints = json!({
                "issuer": url,
                "authorization_endpoint": format!("{url}/oauth2/authorize"),
                "token_endpoint": format!("{url}/oauth2/token"),
                "jwks_uri": format!("{url}/.well-known/jwks.json"),
            });
            endpoints.to_string()
        };
        let jwks = async |State(published): State<Arc<Published>>| {
            published.fetches.fetch_add(1, Ordering::SeqCst);
            let (status, set) = published.key_set.lock().unwrap().clone();
            (status, set.to_string())
        };
        let token = async |State(published): State<Arc<Published>>, form: String| {
            let field = |name: &str| {
                let fields = form.split('&').filter_map(|field| field.split_once('='));
                fields.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
            };
            let (challenge, id_token) = published.sale.lock().unwrap().clone();
            let hash = digest(&SHA256, field("code_verifier").unwrap_or_default().as_bytes());
            let is_sold = field("code").as_deref() == Some("code-1")
                && field("client_id").as_deref() == Some("app-1")
                && URL_SAFE_NO_PAD.encode(hash) == challenge;
            if is_sold {
                (StatusCode::OK, json!({ "id_token": id_token, "expires_in": 3600 }).to_string())
            } else {
                (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#.to_owned())
            }
        };
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/.well-known/jwks.json", get(jwks))
            .route("/oauth2/token", post(token))
            .with_state(Arc::clone(&published));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, published }
    }

    /// What the provider gives for `code-1` from now on, to whoever began this attempt.
    fn sell(&self, begun: &Begun, id_token: String) {
        *self.published.sale.lock().unwrap() = (begun.of("code_challenge"), id_token);
    }

    fn publish(&self, keys: &[SigningKey]) {
        *self.published.key_set.lock().unwrap() = (StatusCode::OK, key_set(keys));
    }

    fn fail(&self) {
        *self.published.key_set.lock().unwrap() = (StatusCode::INTERNAL_SERVER_ERROR, Value::Null);
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

/// A stack with the example at `POST /signin/…`.
async fn with_sign_in(issuer: &Issuer) -> Harness {
    let page = "https://example.com/signed-in".to_owned();
    let provider = Arc::new(Provider::new(issuer.url.clone(), "app-1".to_owned(), page));
    Harness::with_routes(&[], |gateway, sessions, clock| {
        let function = Function::http(move |request| {
            let (sessions, provider) = (Arc::clone(&sessions), Arc::clone(&provider));
            let clock = clock.clone();
            async move { signin_oidc::handle(&sessions, &provider, &clock, request).await }
        });
        ["/signin/start", "/signin/finish"].into_iter().fold(gateway, |gateway, path| {
            gateway.route(Method::POST, path, Access::Public, &function)
        })
    })
    .await
}

async fn post_to(
    stack: &Harness,
    path: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> Response<Bytes> {
    let mut request = Request::post(path).header("st-auth-mode", "header");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    stack.stack.handle(request.body(Bytes::from(body.to_string())).unwrap()).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// A sign-in that a browser began: the cookie that it keeps, and the address that it was sent to.
struct Begun {
    cookie: String,
    location: String,
}

impl Begun {
    async fn at(stack: &Harness) -> Self {
        let response = post_to(stack, "/signin/start", &[JSON], json!({})).await;
        assert_eq!(response.status(), 200, "{:?}", response.body());
        let line = text(response.headers(), "set-cookie");
        let cookie = line.split(';').next().unwrap().to_owned();
        Self { cookie, location: body(&response)["location"].as_str().unwrap().to_owned() }
    }

    /// A parameter of the address.
    fn of(&self, name: &str) -> String {
        let query = self.location.split_once('?').unwrap().1;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).unwrap().1.to_owned()
    }

    /// The end of it, as the page does it that the provider sent the browser to.
    async fn finish(&self, stack: &Harness) -> Response<Bytes> {
        let returned = json!({ "code": "code-1", "state": self.of("state") });
        post_to(stack, "/signin/finish", &[JSON, ("cookie", &self.cookie)], returned).await
    }
}

/// Status and message of a sign-in whose ID token this is, made for the attempt's nonce.
async fn answer_to(
    stack: &Harness,
    issuer: &Issuer,
    id_token: impl FnOnce(Jwt) -> String,
) -> (u16, String) {
    let begun = Begun::at(stack).await;
    let id_token = id_token(issuer.id_token().claim("nonce", begun.of("nonce")));
    issuer.sell(&begun, id_token.clone());
    let response = begun.finish(stack).await;
    let token_is_quoted = String::from_utf8_lossy(response.body()).contains(&id_token);
    assert!(!token_is_quoted, "a token must not come back");
    (response.status().as_u16(), body(&response)["message"].as_str().unwrap_or_default().to_owned())
}

fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

#[tokio::test]
async fn whoever_signs_in_at_the_provider_is_signed_in() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let begun = Begun::at(&stack).await;
    assert!(begun.location.starts_with(&format!("{}/oauth2/authorize?", issuer.url)));
    assert_eq!(begun.of("code_challenge_method"), "S256");
    issuer.sell(&begun, issuer.id_token().claim("nonce", begun.of("nonce")).sign());
    let response = begun.finish(&stack).await;
    assert_eq!(response.status(), 200, "{:?}", response.body());
    assert!(text(response.headers(), "set-cookie").contains("Max-Age=0"), "it serves once");

    let bearer = Tokens::of(&response).access_bearer();
    let me = stack.send(Method::GET, "/api/me", &[("authorization", &bearer)]).await;
    let claims = &body(&me)["accessTokenPayload"];
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["st-role"]["v"], json!(["admin", "staff"]));
    assert_eq!(claims["auth_time"], START.as_secs() - 20);
}

#[tokio::test]
async fn no_two_attempts_share_anything() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let (one, other) = (Begun::at(&stack).await, Begun::at(&stack).await);
    let of = |begun: &Begun| ["state", "nonce", "code_challenge"].map(|name| begun.of(name));
    let all: BTreeSet<_> = of(&one).into_iter().chain(of(&other)).collect();
    assert_eq!(all.len(), 6, "and nothing in the address is the same twice");
    assert!(!all.iter().any(|value| one.cookie.contains(value) || value.len() != 43));
}

/// A page that sends its visitor to the end of the page's own attempt (login CSRF).
#[tokio::test]
async fn an_attempt_is_finished_by_the_browser_that_began_it_and_by_no_other() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let (own, other) = (Begun::at(&stack).await, Begun::at(&stack).await);
    issuer.sell(&own, issuer.id_token().claim("nonce", own.of("nonce")).sign());
    let state = own.of("state");
    let longer = format!("{}x", own.cookie);
    for cookie in ["theme=dark", "__Host-signin=", &longer, &other.cookie] {
        let returned = json!({ "code": "code-1", "state": state });
        let headers = [JSON, ("cookie", cookie)];
        let response = post_to(&stack, "/signin/finish", &headers, returned).await;
        assert_eq!(response.status(), 403, "{cookie}");
        assert!(Tokens::of(&response).access.is_empty());
    }
    assert_eq!(own.finish(&stack).await.status(), 200);
}

#[tokio::test]
async fn a_code_that_another_attempt_asked_for_buys_nothing() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let (own, other) = (Begun::at(&stack).await, Begun::at(&stack).await);
    issuer.sell(&other, issuer.id_token().claim("nonce", own.of("nonce")).sign());
    let response = own.finish(&stack).await;
    let message = "the identity provider does not take the code: begin again";
    assert_eq!((response.status().as_u16(), &body(&response)["message"]), (403, &json!(message)));
}

#[tokio::test]
async fn no_foreign_page_signs_its_visitor_in() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let begun = Begun::at(&stack).await;
    issuer.sell(&begun, issuer.id_token().claim("nonce", begun.of("nonce")).sign());
    let returned = json!({ "code": "code-1", "state": begun.of("state") });
    for (header, status) in [
        (("content-type", "text/plain"), 415),
        (("content-type", "application/x-www-form-urlencoded"), 415),
        (("content-type", "text/plain; application/json"), 415),
        (("origin", "https://evil.example.net"), 403),
        (("origin", "null"), 403),
        (("sec-fetch-site", "cross-site"), 403),
    ] {
        for path in ["/signin/start", "/signin/finish"] {
            let mut headers = vec![header, ("cookie", begun.cookie.as_str())];
            headers.extend((header.0 != "content-type").then_some(JSON));
            let response = post_to(&stack, path, &headers, returned.clone()).await;
            assert_eq!(response.status(), status, "{path} {header:?}");
        }
    }
    assert_eq!(begun.finish(&stack).await.status(), 200);
}

#[tokio::test]
async fn an_id_token_that_does_not_hold_is_refused_with_the_reason() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let form = "the ID token is not a JWT signed with RS256";
    let key = "the key of the ID token is not one of the provider's";
    let claims = "the ID token lacks a claim: it needs iss, aud, token_use, sub and exp";
    let nonce = "the nonce of the ID token is another";
    type Made = fn(Jwt) -> String;
    let cases: [(Made, &str); 16] = [
        (|_| "no token".to_owned(), form),
        (|_| "a".repeat(20_000), form),
        (Jwt::unsigned, form),
        (Jwt::hs256, form),
        (|valid| valid.header("crit", json!(["b64"])).sign(), form),
        (|valid| valid.without_header("kid").sign(), key),
        (|valid| valid.header("kid", "made-up").sign(), key),
        (
            |valid| valid.sign_by(&keys::foreign(keys::DYNAMIC_ID)),
            "the signature of the ID token does not hold",
        ),
        (|valid| valid.without_claim("sub").sign(), claims),
        (|valid| valid.claim("aud", json!(["app-1", "app-2"])).sign(), claims),
        (
            |valid| valid.claim("iss", "https://other.example").sign(),
            "the ID token is from another issuer",
        ),
        (|valid| valid.claim("aud", "app-2").sign(), "the ID token is for another audience"),
        (|valid| valid.claim("token_use", "access").sign(), "the token is not an ID token"),
        (|valid| valid.claim("exp", START.as_secs()).sign(), "the ID token has expired"),
        (|valid| valid.claim("nonce", "n-1").sign(), nonce),
        (|valid| valid.without_claim("nonce").sign(), nonce),
    ];
    for (made, message) in cases {
        assert_eq!(answer_to(&stack, &issuer, made).await, (403, message.to_owned()));
    }
}

#[tokio::test]
async fn another_body_is_a_bad_request_and_asks_nobody() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let response = post_to(&stack, "/signin/finish", &[JSON], json!({ "token": "x" })).await;
    assert_eq!((response.status().as_u16(), issuer.fetches()), (400, 0));
}

#[tokio::test]
async fn keys_are_fetched_once_an_hour() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let lasting = |token: Jwt| token.claim("exp", START.as_secs() + 10_000).sign();
    for _ in 0..3 {
        assert_eq!(answer_to(&stack, &issuer, lasting).await.0, 200);
    }
    assert_eq!(issuer.fetches(), 1);
    stack.clock.advance(Duration::from_hours(1));
    assert_eq!(answer_to(&stack, &issuer, lasting).await.0, 200);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_fetched_when_it_is_met() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    assert_eq!(answer_to(&stack, &issuer, |token| token.sign()).await.0, 200);

    issuer.publish(&[keys::dynamic(), keys::foreign("next")]);
    stack.clock.advance(Duration::from_secs(10));
    let next = |token: Jwt| token.header("kid", "next").sign_by(&keys::foreign("next"));
    assert_eq!(answer_to(&stack, &issuer, next).await.0, 200);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn made_up_keys_cause_one_fetch_per_cooldown() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    for number in 0..20 {
        let made_up = |token: Jwt| token.header("kid", format!("made-up-{number}")).sign();
        assert_eq!(answer_to(&stack, &issuer, made_up).await.0, 403);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn without_the_providers_keys_nobody_is_refused_for_good() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    issuer.fail();
    let begun = Begun::at(&stack).await;
    issuer.sell(&begun, issuer.id_token().claim("nonce", begun.of("nonce")).sign());
    let response = begun.finish(&stack).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");

    issuer.publish(&[keys::dynamic()]);
    assert_eq!(answer_to(&stack, &issuer, |token| token.sign()).await.0, 200);
}

#[tokio::test]
async fn old_keys_serve_while_the_provider_is_away() {
    let issuer = Issuer::start().await;
    let stack = with_sign_in(&issuer).await;
    let lasting = |token: Jwt| token.claim("exp", START.as_secs() + 10_000).sign();
    assert_eq!(answer_to(&stack, &issuer, lasting).await.0, 200);
    issuer.fail();
    stack.clock.advance(Duration::from_hours(2));
    assert_eq!(answer_to(&stack, &issuer, lasting).await.0, 200);
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
