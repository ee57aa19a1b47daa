//! The event files: what they hold, and the data that their tokens refer to.
//!
//! `cargo run -p testkit --bin write-events` writes them; a test compares. Their tokens are signed by
//! the test keys and valid until 2100, so the same files serve tests with a manual clock, the runtime
//! emulator with the real one, and `cargo lambda invoke`.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use local::dynamodb::{Embedded, KEYS_TABLE, SESSIONS_TABLE, client, create_tables, store};
use rand::rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json};
use session::model::{
    Device, Generation, Keeper, PayloadSize, RefreshState, Session, SessionHandle, Subject,
    Timestamp,
};
use session::store::{DynamoDb, KeyRotator as _, SessionCreator as _};
use session::token::access::AccessTokenInput;
use tokio::net::TcpListener;

use crate::clock::START;
use crate::front_door::shape;
use crate::keys;

/// 2100-01-01T00:00:00Z.
const FAR: Timestamp = Timestamp::from_secs(4_102_444_800);

/// The session of every event.
pub fn session() -> Session {
    let subject = Subject::user("user-1");
    Session {
        handle: SessionHandle::random(&subject.user_id, &mut AllOnes),
        subject,
        created_at: START,
        refresh: RefreshState::new(FAR, None),
        idle_ttl: None,
        access_token_ttl: None,
        access_token_payload: serde_json::Map::new(),
        payload_size: PayloadSize::default(),
        session_data: serde_json::Map::new(),
        keeper: Keeper::Browser,
        last_used_by: Device::default(),
        repeats: None,
        device_key: None,
        device_pending: false,
        provider: None,
        revocation: None,
    }
}

/// An event file, and what the built function must answer it with.
#[derive(Debug)]
pub struct Case {
    /// The file, below `events/`.
    pub path: String,
    /// The function's logical id.
    pub logical_id: &'static str,
    /// What the file holds.
    pub event: Value,
    /// What `answers.json` states.
    pub expected: Value,
}

impl Case {
    /// Why an answer is not the expected one, if it is not: members may be added, and a text that ends in `…` begins so.
    pub fn problem(&self, answer: &Value) -> Option<String> {
        let Self { path, expected, .. } = self;
        (!agrees(answer, expected)).then(|| format!("{path}: expected {expected}, got {answer}"))
    }
}

fn agrees(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| answer.get(name).is_some_and(|found| agrees(found, value))),
        (Value::Array(answer), Value::Array(expected)) => {
            answer.len() == expected.len()
                && answer.iter().zip(expected).all(|(found, value)| agrees(found, value))
        }
        (Value::String(answer), Value::String(expected)) => match expected.strip_suffix('…') {
            Some(beginning) => answer.starts_with(beginning),
            None => answer == expected,
        },
        _ => answer == expected,
    }
}

/// Every event that `answers.json` has an answer for.
///
/// # Panics
///
/// If a file is missing or belongs to no function.
pub fn cases() -> Vec<Case> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events"));
    let read = |path: &str| -> Value {
        let text = std::fs::read_to_string(folder.join(path)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let expected = read("answers.json").as_object().unwrap().clone();
    let cases = expected.into_iter().map(|(path, expected)| {
        let logical_id = match path.split('/').next().unwrap() {
            "authorizer" => "AuthorizerFunction",
            "refresh" => "RefreshFunction",
            "signout" => "SignoutFunction",
            "sessions" => "SessionsFunction",
            "jwks" => "JwksFunction",
            "core" => "CoreFunction",
            "create-session" => "CreateSessionFunction",
            "revoke" => "RevokeFunction",
            "rotate-keys" => "RotateKeysFunction",
            other => panic!("no function for {other}"),
        };
        Case { event: read(&path), path, logical_id, expected }
    });
    cases.collect()
}

/// An engine on loopback that holds what the events refer to, as the local stack offers it; its URL.
///
/// # Panics
///
/// If it cannot be served.
pub async fn serve_tables() -> String {
    let engine = Embedded::in_memory().unwrap();
    create_tables(&client(engine.clone())).await.unwrap();
    let items = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/tables.json"));
    engine.load(items).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(engine.serve(listener));
    url
}

/// Puts the test keys into a fresh table.
pub async fn seed_keys(store: &DynamoDb) {
    let (private, public) = keys::stored();
    store.replace_keys(&private, &public).await.unwrap();
}

/// Puts the events' session into a fresh table.
pub async fn seed_session(store: &DynamoDb) {
    store.create_session(&session()).await.unwrap();
}

/// The items of both tables that the events refer to, as `BatchWriteItem` takes them.
pub async fn tables() -> Value {
    let engine = Embedded::in_memory().unwrap();
    let client = client(engine.clone());
    create_tables(&client).await.unwrap();
    let store = store(client);
    seed_keys(&store).await;
    seed_session(&store).await;
    let puts = |table: &str| {
        let request = json!({ "TableName": table }).to_string();
        let (_, answer) = engine.answer("Scan", request.as_bytes());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let mut items = answer["Items"].as_array().unwrap().clone();
        items.sort_by_key(ToString::to_string);
        let puts = items.into_iter().map(|item| json!({ "PutRequest": { "Item": item } }));
        puts.collect::<Vec<_>>()
    };
    json!({ SESSIONS_TABLE: puts(SESSIONS_TABLE), KEYS_TABLE: puts(KEYS_TABLE) })
}

/// Every event file: path below `events/`, content.
pub fn all() -> Vec<(&'static str, Value)> {
    let access =
        access_token(&session(), Duration::from_millis(FAR.as_millis() - START.as_millis()));
    let expired = access_token(&session(), Duration::ZERO);
    let refresh = keys::master().mint(&session().handle, Generation::FIRST, false);
    let refresh = refresh.expose();
    let forged = format!("{}AAAA", &refresh[..refresh.len() - 4]);
    let access_cookie = format!("sAccessToken={access}");
    let refresh_cookie = format!("sRefreshToken={refresh}");
    let refresh_path = "/auth/session/refresh";
    let bearer = |token: &str| format!("Bearer {token}");
    let get =
        |headers: &[(&str, &str)], cookies: &[&str]| request("GET", "/orders", headers, cookies);
    let authorize =
        |headers: &[(&str, &str)], cookies: &[&str]| shape::http_api_2(&get(headers, cookies));
    let connect = |origin: &str| {
        shape::web_socket(&request("GET", "/", &[("origin", origin)], &[&access_cookie]))
    };
    let query = |token: &str| {
        shape::app_sync(&request("POST", "/graphql", &[("authorization", token)], &[]))
    };
    let post = |path, headers: &[(&str, &str)], cookies: &[&str]| {
        http_event("POST", path, headers, cookies)
    };
    let ended = |path: &str| http_event("DELETE", path, &[], &[&access_cookie]);
    let refreshing = request("POST", refresh_path, &[], &[&refresh_cookie]);
    let signing_out = request("POST", "/auth/signout", &[], &[&access_cookie]);
    let listing = request("GET", "/auth/sessions", &[], &[&access_cookie]);
    let key_set = request("GET", "/auth/jwt/jwks.json", &[], &[]);
    let sign_in_from = |origin: &str| {
        let json = ("content-type", "application/json");
        request("POST", "/signin", &[json, ("st-auth-mode", "cookie"), ("origin", origin)], &[])
    };
    let (signing_in, foreign) =
        (sign_in_from("https://example.com"), sign_in_from("https://evil.example.net"));
    let sign_in = |event: Value| json!({ "userId": "user-1", "event": event });
    let with_headers = json!({
        "userId": "user-1",
        "headers": {
            "Content-Type": "application/json",
            "St-Auth-Mode": "header",
            "User-Agent": "example",
        },
    });
    let form = ("content-type", "application/x-www-form-urlencoded");
    let reserved = json!({ "userId": "user-1", "claims": { "sub": "user-2" } });
    vec![
        ("authorizer/ok.json", authorize(&[], &[&access_cookie])),
        ("authorizer/ok-header.json", authorize(&[("authorization", &bearer(&access))], &[])),
        (
            "authorizer/rejected-expired-token.json",
            authorize(&[], &[&format!("sAccessToken={expired}")]),
        ),
        ("authorizer/rejected-missing-token.json", authorize(&[], &["theme=dark"])),
        ("authorizer/http-1-ok.json", shape::http_api_1(&get(&[], &[&access_cookie]))),
        ("authorizer/http-1-rejected-missing-token.json", shape::http_api_1(&get(&[], &[]))),
        (
            "authorizer/rest-token-ok.json",
            shape::rest_token(&get(&[("authorization", &bearer(&access))], &[])),
        ),
        (
            "authorizer/rest-token-rejected-expired-token.json",
            shape::rest_token(&get(&[("authorization", &bearer(&expired))], &[])),
        ),
        ("authorizer/rest-request-ok.json", shape::rest_request(&get(&[], &[&access_cookie]))),
        (
            "authorizer/rest-request-rejected-missing-token.json",
            shape::rest_request(&get(&[], &[])),
        ),
        ("authorizer/websocket-ok.json", connect("https://example.com")),
        ("authorizer/websocket-denied-foreign-origin.json", connect("https://evil.example.net")),
        ("authorizer/appsync-ok.json", query(&access)),
        ("authorizer/appsync-rejected-expired-token.json", query(&expired)),
        ("refresh/ok.json", post(refresh_path, &[], &[&refresh_cookie])),
        ("refresh/ok-header.json", post(refresh_path, &[("authorization", &bearer(refresh))], &[])),
        (
            "refresh/rejected-forged-token.json",
            post(refresh_path, &[], &[&format!("sRefreshToken={forged}")]),
        ),
        ("refresh/rejected-missing-token.json", post(refresh_path, &[], &[])),
        ("refresh/http-1-ok.json", shape::integration_1(&refreshing)),
        ("refresh/rest-ok.json", shape::proxied(&refreshing)),
        ("refresh/load-balancer-ok.json", shape::load_balancer(&refreshing, false)),
        ("refresh/load-balancer-multi-ok.json", shape::load_balancer(&refreshing, true)),
        ("signout/ok.json", post("/auth/signout", &[], &[&access_cookie])),
        ("signout/rejected-missing-token.json", post("/auth/signout", &[], &[])),
        ("signout/http-1-ok.json", shape::integration_1(&signing_out)),
        ("signout/rest-ok.json", shape::proxied(&signing_out)),
        ("signout/load-balancer-ok.json", shape::load_balancer(&signing_out, false)),
        ("signout/load-balancer-multi-ok.json", shape::load_balancer(&signing_out, true)),
        ("sessions/ok-list.json", http_event("GET", "/auth/sessions", &[], &[&access_cookie])),
        ("sessions/ok-end-others.json", ended("/auth/sessions")),
        ("sessions/ok-end-one.json", ended(&format!("/auth/sessions/{}", session().handle))),
        ("sessions/rejected-missing-token.json", http_event("GET", "/auth/sessions", &[], &[])),
        ("sessions/http-1-ok.json", shape::integration_1(&listing)),
        ("sessions/rest-ok.json", shape::proxied(&listing)),
        ("sessions/load-balancer-ok.json", shape::load_balancer(&listing, false)),
        ("sessions/load-balancer-multi-ok.json", shape::load_balancer(&listing, true)),
        ("jwks/ok.json", http_event("GET", "/auth/jwt/jwks.json", &[], &[])),
        (
            "jwks/ok-discovery.json",
            http_event("GET", "/auth/.well-known/openid-configuration", &[], &[]),
        ),
        ("jwks/http-1-ok.json", shape::integration_1(&key_set)),
        ("jwks/rest-ok.json", shape::proxied(&key_set)),
        ("jwks/load-balancer-ok.json", shape::load_balancer(&key_set, false)),
        ("jwks/load-balancer-multi-ok.json", shape::load_balancer(&key_set, true)),
        ("core/ok.json", signed(core_refresh(refresh))),
        ("core/rejected-unsigned.json", core_refresh(refresh)),
        ("create-session/ok.json", sign_in(shape::integration(&signing_in))),
        ("create-session/ok-headers.json", with_headers),
        ("create-session/ok-complete.json", complete(shape::integration(&signing_in))),
        ("create-session/http-1-ok.json", sign_in(shape::integration_1(&signing_in))),
        ("create-session/rest-ok.json", sign_in(shape::proxied(&signing_in))),
        ("create-session/load-balancer-ok.json", sign_in(shape::load_balancer(&signing_in, false))),
        (
            "create-session/load-balancer-multi-ok.json",
            sign_in(shape::load_balancer(&signing_in, true)),
        ),
        ("create-session/rejected-cross-site.json", sign_in(shape::integration(&foreign))),
        ("create-session/rejected-reserved-claim.json", reserved),
        ("revoke/ok-user.json", json!({ "userId": "user-1" })),
        ("revoke/ok-tenant.json", json!({ "tenantId": "public" })),
        ("revoke/ok-everybody.json", json!({ "everybody": true })),
        ("revoke/ok-provider.json", json!({ "provider": provider() })),
        ("revoke/rejected-unknown-event.json", json!({ "userId": "user-1", "everybody": true })),
        ("revoke/rejected-no-provider.json", post("/auth/backchannel-logout", &[form], &[])),
        ("rotate-keys/ok.json", json!({})),
        ("rotate-keys/ok-schedule.json", scheduled_event()),
        ("rotate-keys/ok-rotate-static.json", json!({ "rotate": "static" })),
        ("rotate-keys/ok-revoke.json", json!({ "revoke": keys::DYNAMIC_ID })),
        ("rotate-keys/ok-revoke-master.json", json!({ "revokeMaster": 1 })),
        ("rotate-keys/rejected-unknown-event.json", json!({ "rotate": "everything" })),
        ("rotate-keys/rejected-unknown-key.json", json!({ "revoke": "d-0" })),
    ]
}

/// A sign-in that says all there is to say.
fn complete(event: Value) -> Value {
    json!({
        "userId": "user-1",
        "recipeUserId": "password:user-1",
        "tenantId": "acme",
        "claims": { "st-role": { "v": ["member"], "t": START.as_millis() } },
        "sessionData": { "cart": [1, 2] },
        "authentication": { "authTime": START.as_secs(), "amr": ["pwd", "otp"] },
        "provider": provider(),
        "antiCsrf": true,
        "idempotencyKey": "b2f1c6c0-6d0f-4f0e-9d7e-0d3f1f6b7a55",
        "allowCrossSite": false,
        "event": event,
    })
}

/// What an identity provider calls a user and their session.
fn provider() -> Value {
    json!({ "issuer": "https://id.example.com", "subject": "248289761001", "sessionId": "08a5019c" })
}

/// An access token of the session's first generation, valid from [`START`] for `ttl`.
pub fn access_token(session: &Session, ttl: Duration) -> String {
    let refresh = keys::master().mint(&session.handle, Generation::FIRST, false);
    let hash = refresh.hash();
    let input = AccessTokenInput::of(session, &hash, None);
    input.sign(&keys::dynamic(), START, ttl).unwrap().token
}

fn http_event(method: &str, path: &str, headers: &[(&str, &str)], cookies: &[&str]) -> Value {
    shape::integration(&request(method, path, headers, cookies))
}

/// A refresh, as a function URL brings it from a back end with a SuperTokens SDK.
fn core_refresh(refresh_token: &str) -> Value {
    let body = json!({
        "refreshToken": refresh_token,
        "enableAntiCsrf": false,
        "useDynamicSigningKey": true,
    });
    let request = Request::post("/recipe/session/refresh")
        .header("cdi-version", "5.4")
        .header("content-type", "application/json; charset=utf-8")
        .header("rid", "session")
        .body(Bytes::from(body.to_string()));
    let mut event = shape::integration(&request.unwrap());
    event["routeKey"] = "$default".into();
    event["requestContext"]["routeKey"] = "$default".into();
    event
}

/// The same, let in by IAM.
fn signed(mut event: Value) -> Value {
    event["requestContext"]["authorizer"] = iam();
    event
}

/// What a function URL says of a caller whose signature IAM has verified.
#[must_use]
pub fn iam() -> Value {
    json!({
        "iam": {
            "accessKey": "ASIAEXAMPLE",
            "accountId": "123456789012",
            "callerId": "AROAEXAMPLE:back-end",
            "cognitoIdentity": null,
            "principalOrgId": "o-example",
            "userArn": "arn:aws:sts::123456789012:assumed-role/back-end/back-end",
            "userId": "AROAEXAMPLE:back-end",
        },
    })
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], cookies: &[&str]) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in [("user-agent", "example"), ("rid", "session")].iter().chain(headers) {
        request = request.header(*name, *value);
    }
    for cookie in cookies {
        request = request.header(header::COOKIE, *cookie);
    }
    request.body(Bytes::new()).unwrap()
}

/// What EventBridge Scheduler sends if it is not told what to send.
fn scheduled_event() -> Value {
    json!({
        "version": "0",
        "id": "a8b3c9de-2f4c-4a3f-9d53-0f1d6a1a7c9e",
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "123456789012",
        "time": "2023-11-14T22:13:20Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:scheduler:eu-west-1:123456789012:schedule/default/Hourly"],
        "detail": "{}",
    })
}

/// The same handle in every run.
struct AllOnes;

impl TryRng for AllOnes {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(0x0101_0101)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(0x0101_0101_0101_0101)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(1);
        Ok(())
    }
}

impl TryCryptoRng for AllOnes {}
