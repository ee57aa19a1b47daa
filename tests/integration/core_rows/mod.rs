//! The rows of docs/core.md §9, a module per part of the interface.

mod claims;
mod concurrency;
mod create;
mod hostile;
mod keys;
mod manage;
mod refresh;
mod tenants;
mod transport;
mod verify;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use serde_json::{Map, Value, json};
use session::model::{Session, SessionHandle};
use session::store::SessionReader as _;
use testkit::Harness;
use testkit::harness::text;

use crate::effects::claims;

/// What Node and Python announce.
const USUAL: &str = "5.4";
const NEWEST: &str = "5.6";
/// What Go announces.
const GO: &str = "3.1";

/// A stack, and a back end in front of its core.
struct Core {
    stack: Harness,
}

/// What the core answers.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(text(&self.headers, "content-type"), "application/json; charset=UTF-8");
        serde_json::from_str(&self.text).unwrap()
    }

    /// The answer is that text with that status.
    fn is_text(&self, status: u16, expected: &str) {
        assert_eq!((self.status, self.text.as_str()), (status, expected));
        assert_eq!(text(&self.headers, "content-type"), "text/plain; charset=UTF-8");
    }
}

/// A back end that speaks one version.
struct Caller<'c> {
    core: &'c Core,
    version: &'static str,
}

impl Core {
    async fn new(settings: &[(&str, &str)]) -> Self {
        Self { stack: Harness::new(settings).await }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/core{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.stack.stack.handle(request.body(body.into()).unwrap()).await;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    fn at(&self, version: &'static str) -> Caller<'_> {
        Caller { core: self, version }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.at(USUAL).post(path, body).await.json()
    }

    async fn put(&self, path: &str, body: Value) -> Value {
        self.at(USUAL).put(path, body).await.json()
    }

    async fn get(&self, path: &str) -> Value {
        self.at(USUAL).get(path).await.json()
    }

    fn advance(&self, seconds: u64) {
        self.stack.clock.advance(Duration::from_secs(seconds));
    }

    async fn create(&self) -> Issued {
        self.create_with(json!({})).await
    }

    /// A session of `user-1`, with those members of the request.
    async fn create_with(&self, members: Value) -> Issued {
        Issued(self.post("/recipe/session", new_session(members)).await)
    }

    async fn refresh(&self, token: &str) -> Value {
        self.post("/recipe/session/refresh", refreshing(token, json!({}))).await
    }

    async fn verify(&self, token: &str, check_database: bool) -> Value {
        let body = verifying(token, json!({ "checkDatabase": check_database }));
        self.post("/recipe/session/verify", body).await
    }

    async fn remove(&self, handles: &[&str]) -> Value {
        self.post("/recipe/session/remove", json!({ "sessionHandles": handles })).await
    }

    /// What the table holds.
    async fn stored(&self, handle: &str) -> Option<Session> {
        let handle: SessionHandle = handle.parse().unwrap();
        self.stack.store.session(&handle).await.unwrap()
    }

    /// The operations that reached the table since this was asked last.
    fn operations(&self) -> Vec<String> {
        self.stack.wire.take_calls().into_iter().map(|call| call.operation).collect()
    }
}

impl Caller<'_> {
    async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.core.send(method, path, &[("cdi-version", self.version)], body).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &body).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, &body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &Value::Null).await
    }
}

/// A session and its tokens, as the core answered them.
struct Issued(Value);

impl Issued {
    fn handle(&self) -> &str {
        self.0["session"]["handle"].as_str().unwrap()
    }

    fn access(&self) -> &str {
        self.0["accessToken"]["token"].as_str().unwrap()
    }

    fn refresh(&self) -> &str {
        self.0["refreshToken"]["token"].as_str().unwrap()
    }
}

/// The object, with some of its members replaced; null leaves one out.
fn with(object: Value, members: Value) -> Value {
    let (Value::Object(mut object), Value::Object(members)) = (object, members) else {
        unreachable!("both are objects")
    };
    object.extend(members);
    object.retain(|_, value| !value.is_null());
    object.into()
}

fn new_session(members: Value) -> Value {
    let usual = json!({
        "userId": "user-1",
        "userDataInJWT": {},
        "userDataInDatabase": {},
        "enableAntiCsrf": false,
    });
    with(usual, members)
}

fn refreshing(token: &str, members: Value) -> Value {
    let usual =
        json!({ "refreshToken": token, "enableAntiCsrf": false, "useDynamicSigningKey": true });
    with(usual, members)
}

fn verifying(token: &str, members: Value) -> Value {
    let usual = json!({
        "accessToken": token,
        "doAntiCsrfCheck": false,
        "enableAntiCsrf": false,
        "checkDatabase": false,
    });
    with(usual, members)
}

fn regenerating(token: &str, claims: Value) -> Value {
    with(json!({ "accessToken": token }), json!({ "userDataInJWT": claims }))
}

/// The header of a JWT.
fn header(jwt: &str) -> Map<String, Value> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let header = jwt.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

fn key_id(jwt: &str) -> String {
    header(jwt)["kid"].as_str().unwrap().to_owned()
}

/// The names of an object's members.
fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// How long an access token is valid, in seconds.
fn lifetime(jwt: &str) -> u64 {
    let claims = claims(jwt);
    claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()
}

fn is_gone(answer: &Value, message: &str) {
    assert_eq!(*answer, json!({ "status": "UNAUTHORISED", "message": message }));
}

const NO_SESSION: &str = "Session does not exist.";
const NOT_REFRESHABLE: &str = "Session missing in db or has expired";
