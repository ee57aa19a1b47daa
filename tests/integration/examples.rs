//! The examples, behind the gateway of a whole stack, as they would be deployed.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use local::function::{Function, Language, Program};
use local::gateway::Access;
use serde_json::{Value, json};
use testkit::Harness;
use testkit::harness::Tokens;

use crate::mint::Jwt;

fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
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
    let function = Function::process(Program::handler(language, &example(file)));
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
        let function = Function::process(Program::handler(language, &example(file)));
        for _ in 0..2 {
            assert_eq!(function.invoke(json!({})).await.unwrap_err().error_type, kind);
        }
    }
}
