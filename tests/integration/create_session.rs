//! `create-session`: what sign-in code in any language gets for what it says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use create_session::CreateConfig;
use http::Method;
use local::invoke::InvokeApi;
use serde_json::{Value, json};
use session::Sessions;
use session::model::{Clock as _, SessionsOf, UserId};
use session::store::{SessionLister as _, SessionReader as _};
use testkit::{Fault, Harness};

use crate::events::load;

/// What the function answers to this, a second after it was asked before.
async fn invoke(stack: &Harness, mut input: Value) -> Value {
    // What every client that may sign in says of its request.
    for headers in ["/event/headers", "/headers"] {
        if let Some(Value::Object(headers)) = input.pointer_mut(headers) {
            headers.entry("content-type").or_insert_with(|| "application/json".into());
        }
    }
    stack.clock.advance(Duration::from_secs(1));
    stack.stack.functions().create_session.invoke(input).await.unwrap()
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

fn handle(answer: &Value) -> &str {
    answer["session"]["sessionHandle"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

fn token<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer["tokens"][name].as_str().unwrap_or_else(|| panic!("{answer}"))
}

/// How many sessions the user has.
async fn count(stack: &Harness, user: &str) -> usize {
    let user = UserId::new(user);
    let page = stack.store.sessions_page(SessionsOf::user(&user), None, stack.clock.now()).await;
    page.unwrap().sessions.len()
}

async fn refresh(stack: &Harness, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    stack.refresh(&[("authorization", &bearer)]).await.status().as_u16()
}

async fn me(stack: &Harness, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    stack.send(Method::GET, "/api/me", &[("authorization", &bearer)]).await.status().as_u16()
}

/// An event of an HTTP API, payload 2.0, with these headers.
fn event(headers: Value, cookies: Value) -> Value {
    json!({
        "version": "2.0",
        "rawPath": "/signin",
        "headers": headers,
        "cookies": cookies,
        "requestContext": { "http": { "method": "POST", "sourceIp": "192.0.2.1" } },
    })
}

#[tokio::test]
async fn what_is_said_of_a_session_is_what_it_becomes() {
    let stack = Harness::new(&[]).await;
    let role = json!({ "v": ["member"], "t": 0 });
    let input = json!({
        "userId": "user-1",
        "recipeUserId": "password:user-1",
        "tenantId": "acme",
        "claims": { "st-role": role },
        "sessionData": { "cart": [1, 2] },
        "authentication": { "authTime": 1_700_000_000, "amr": ["pwd"] },
        "event": event(json!({ "user-agent": "phone" }), Value::Null),
    });
    let answer = invoke(&stack, input).await;
    assert_eq!(answer["session"]["userId"], "user-1", "{answer}");
    assert_eq!(answer["session"]["recipeUserId"], "password:user-1");
    assert_eq!(answer["session"]["tenantId"], "acme");

    let session = stack.store.session(&handle(&answer).parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(session.access_token_payload["st-role"], role);
    assert_eq!(session.access_token_payload["auth_time"], 1_700_000_000);
    assert_eq!(session.access_token_payload["amr"], json!(["pwd"]));
    assert_eq!(session.session_data["cart"], json!([1, 2]));
    assert_eq!(session.last_used_by.agent.as_deref(), Some("phone"));
    assert_eq!(session.last_used_by.network.as_deref(), Some("192.0.2.1"));
    assert_eq!(answer["session"]["expiry"], session.refresh.expires_at.as_millis());
    assert_eq!(me(&stack, token(&answer, "accessToken")).await, 200);
    assert_eq!(refresh(&stack, token(&answer, "refreshToken")).await, 200);
}

#[tokio::test]
async fn method_website_and_what_to_clear_are_taken_from_the_request() {
    let websites = "https://example.com,https://other.com";
    let stack = Harness::new(&[("WEBSITE_DOMAIN", websites)]).await;
    let headers = json!({
        "st-auth-mode": "cookie",
        "origin": "https://other.com",
        "authorization": "Bearer x",
    });
    let input = json!({ "userId": "user-1", "event": event(headers, Value::Null) });
    let answer = invoke(&stack, input).await;
    let response = &answer["response"];
    assert_eq!(answer["tokens"]["method"], "cookie");
    assert_eq!(response["headers"]["st-access-token"], "", "the other method's is cleared");
    let cookies = response["cookies"].as_array().unwrap();
    assert!(cookies.iter().all(|line| line.as_str().unwrap().contains("SameSite=None")));

    let headers =
        json!({ "st-auth-mode": "header", "origin": "https://example.com", "rid": "session" });
    let cookies = json!(["sAccessToken=x"]);
    let input = json!({ "userId": "user-1", "event": event(headers, cookies) });
    let answer = invoke(&stack, input).await;
    assert_eq!(answer["tokens"]["method"], "header");
    let access = &answer["response"]["headers"]["st-access-token"];
    assert_eq!(*access, answer["tokens"]["accessToken"]);
    assert_eq!(answer["response"]["cookies"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_creation_is_one_write_with_or_without_a_key() {
    let stack = Harness::new(&[]).await;
    invoke(&stack, json!({ "userId": "user-1" })).await;
    stack.wire.take_calls();
    for input in
        [json!({ "userId": "user-1" }), json!({ "userId": "user-1", "idempotencyKey": "k" })]
    {
        invoke(&stack, input).await;
        let calls = stack.wire.take_calls();
        let calls: Vec<_> =
            calls.iter().map(|call| (call.operation.as_str(), call.units)).collect();
        assert_eq!(calls, [("PutItem", Some(1.0))]);
    }
}

#[tokio::test]
async fn a_repeated_key_answers_the_same_session_and_writes_nothing() {
    let stack = Harness::new(&[]).await;
    let input = json!({
        "userId": "user-1",
        "claims": { "weight": 1.0, "st-role": { "v": ["member"], "t": 0 } },
        "sessionData": { "cart": [] },
        "idempotencyKey": "k",
        "event": event(json!({ "user-agent": "phone" }), Value::Null),
    });
    let first = invoke(&stack, input.clone()).await;
    let recorded = stack.store.session(&handle(&first).parse().unwrap()).await.unwrap();
    let again = invoke(&stack, input).await;
    assert_eq!(handle(&again), handle(&first));
    assert_eq!(token(&again, "refreshToken"), token(&first, "refreshToken"));
    assert_eq!(again["session"], first["session"]);
    assert_eq!(stack.store.session(&handle(&first).parse().unwrap()).await.unwrap(), recorded);
    assert_eq!(count(&stack, "user-1").await, 1);
    assert_eq!(me(&stack, token(&again, "accessToken")).await, 200);
    assert_eq!(refresh(&stack, token(&again, "refreshToken")).await, 200);
}

#[tokio::test]
async fn two_at_once_make_one_session() {
    let stack = Harness::new(&[]).await;
    let input = json!({ "userId": "user-1", "idempotencyKey": "k" });
    let invocations = (0..8).map(|_| {
        let function = stack.stack.functions().create_session.clone();
        stack.clock.advance(Duration::from_millis(300));
        let input = input.clone();
        tokio::spawn(async move { function.invoke(input).await.unwrap() })
    });
    let mut tokens = BTreeSet::new();
    for invocation in invocations.collect::<Vec<_>>() {
        tokens.insert(token(&invocation.await.unwrap(), "refreshToken").to_owned());
    }
    assert_eq!(tokens.len(), 1);
    assert_eq!(count(&stack, "user-1").await, 1);
}

#[tokio::test]
async fn a_key_is_the_users_own() {
    let stack = Harness::new(&[]).await;
    let of = |user: &str| json!({ "userId": user, "idempotencyKey": "k" });
    let (one, other) = (invoke(&stack, of("user-1")).await, invoke(&stack, of("user-2")).await);
    assert_ne!(handle(&one), handle(&other));
    assert_eq!(me(&stack, token(&other, "accessToken")).await, 200);
}

#[tokio::test]
async fn a_key_of_another_sign_in_is_refused() {
    let stack = Harness::new(&[]).await;
    let with = |name: &str, value: Value| {
        let mut input = json!({ "userId": "user-1", "idempotencyKey": "k" });
        input[name] = value;
        input
    };
    let first = invoke(&stack, with("claims", Value::Null)).await;
    for (name, value) in [
        ("claims", json!({ "st-role": { "v": ["admin"], "t": 0 } })),
        ("sessionData", json!({ "cart": [] })),
        ("recipeUserId", json!("other")),
        ("tenantId", json!("acme")),
        ("authentication", json!({ "authTime": 1_700_000_000 })),
        ("headers", json!({ "user-agent": "another device" })),
    ] {
        let answer = invoke(&stack, with(name, value)).await;
        assert_eq!(code(&answer), "IDEMPOTENCY_KEY_USED", "{name}");
        assert_eq!(answer["response"]["statusCode"], 409);
        assert!(answer.get("tokens").is_none());
    }
    assert_eq!(refresh(&stack, token(&first, "refreshToken")).await, 200, "it is left alone");
}

#[tokio::test]
async fn a_key_of_a_session_that_has_gone_on_is_refused() {
    let stack = Harness::new(&[("REFRESH_TOKEN_TTL_SECONDS", "7200")]).await;
    let input = |key: &str| json!({ "userId": "user-1", "idempotencyKey": key });
    let refreshed = invoke(&stack, input("refreshed")).await;
    assert_eq!(refresh(&stack, token(&refreshed, "refreshToken")).await, 200);
    assert_eq!(code(&invoke(&stack, input("refreshed")).await), "IDEMPOTENCY_KEY_USED");

    invoke(&stack, input("expired")).await;
    stack.clock.advance(Duration::from_hours(3));
    assert_eq!(code(&invoke(&stack, input("expired")).await), "IDEMPOTENCY_KEY_USED");
}

/// Otherwise whoever kept a token of the ended session could use it in the new one.
#[tokio::test]
async fn after_a_sign_out_a_key_makes_a_session_that_no_old_token_opens() {
    let stack = Harness::new(&[("CHECK_DATABASE", "true")]).await;
    let input = json!({ "userId": "user-1", "idempotencyKey": "k" });
    let ended = invoke(&stack, input.clone()).await;
    let bearer = format!("Bearer {}", token(&ended, "accessToken"));
    assert_eq!(stack.sign_out(&[("authorization", &bearer)]).await.status(), 200);

    let new = invoke(&stack, input).await;
    assert_ne!(token(&new, "refreshToken"), token(&ended, "refreshToken"));
    assert_eq!(me(&stack, token(&new, "accessToken")).await, 200);
    assert_eq!(me(&stack, token(&ended, "accessToken")).await, 401);
    assert_eq!(refresh(&stack, token(&ended, "refreshToken")).await, 401);
    assert_eq!(refresh(&stack, token(&new, "refreshToken")).await, 200, "it is left alone");
}

#[tokio::test]
async fn a_lost_answer_is_had_again_by_the_same_key() {
    let stack = Harness::new(&[]).await;
    let input = json!({ "userId": "user-1", "idempotencyKey": "k" });
    invoke(&stack, json!({ "userId": "user-2" })).await;
    stack.wire.break_all(Some(Fault::AppliedButReset));
    let lost = invoke(&stack, input.clone()).await;
    assert_eq!(code(&lost), "UNAVAILABLE", "{lost}");
    assert_eq!(lost["response"]["statusCode"], 503);
    assert_eq!(lost["response"]["headers"]["retry-after"], "1");

    stack.wire.break_all(None);
    let answer = invoke(&stack, input).await;
    assert_eq!(refresh(&stack, token(&answer, "refreshToken")).await, 200);
    assert_eq!(count(&stack, "user-1").await, 1);
}

#[tokio::test]
async fn a_fault_is_an_answer_that_tells_nothing() {
    let stack = Harness::new(&[]).await;
    stack.wire.break_all(Some(Fault::AccessDenied));
    let answer = invoke(&stack, json!({ "userId": "user-1" })).await;
    let error = json!({ "code": "INTERNAL_ERROR", "message": "internal fault" });
    assert_eq!(answer["error"], error);
    assert_eq!(answer["response"]["body"], r#"{"message":"internal server error"}"#);
}

#[tokio::test]
async fn what_belongs_to_the_session_cannot_be_given() {
    let stack = Harness::new(&[]).await;
    for name in [
        "sub",
        "iat",
        "exp",
        "nbf",
        "iss",
        "sessionHandle",
        "refreshTokenHash1",
        "parentRefreshTokenHash1",
        "antiCsrfToken",
        "rsub",
        "tId",
        "stt",
    ] {
        let answer = invoke(&stack, json!({ "userId": "user-1", "claims": { name: "x" } })).await;
        assert_eq!(code(&answer), "RESERVED_CLAIM", "{name}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("the claim {name} ")), "{message}");
    }
    let twice = json!({
        "userId": "user-1",
        "claims": { "amr": ["hwk"] },
        "authentication": { "authTime": 1 },
    });
    assert_eq!(code(&invoke(&stack, twice).await), "RESERVED_CLAIM");
    assert_eq!(count(&stack, "user-1").await, 0);
}

#[tokio::test]
async fn what_is_not_understood_is_refused_by_name_and_never_repeated() {
    let stack = Harness::new(&[]).await;
    stack.wire.take_calls();
    let secret = "s3cret-value";
    for (input, named) in [
        (json!(null), "userId"),
        (json!([secret]), "userId"),
        (json!({}), "userId"),
        (json!({ "userId": null }), "userId"),
        (json!({ "userId": [secret] }), "userId"),
        (json!({ "userId": "" }), "user id"),
        (json!({ "userId": " user-1" }), "user id"),
        (json!({ "userId": "user-1", "recipeUserId": 5 }), "recipeUserId"),
        (json!({ "userId": "user-1", "tenantId": true }), "tenantId"),
        (json!({ "userId": "user-1", "claims": secret }), "claims"),
        (json!({ "userId": "user-1", "sessionData": [secret] }), "sessionData"),
        (json!({ "userId": "user-1", "antiCsrf": secret }), "antiCsrf"),
        (json!({ "userId": "user-1", "idempotencyKey": 1 }), "idempotencyKey"),
        (json!({ "userId": "user-1", "idempotencyKey": "" }), "idempotency key"),
        (json!({ "userId": "user-1", "idempotencyKey": "a\u{0}b" }), "idempotency key"),
        (json!({ "userId": "user-1", "idempotencyKey": "a".repeat(257) }), "idempotency key"),
        (json!({ "userId": "user-1", "authentication": {} }), "authentication.authTime"),
        (json!({ "userId": "user-1", "authentication": { "authTime": secret } }), "authTime"),
        (json!({ "userId": "user-1", "authentication": { "authTime": -1 } }), "authTime"),
        (json!({ "userId": "user-1", "authentication": { "authTime": 1, "amr": secret } }), "amr"),
        (json!({ "userId": "user-1", "authentication": { "authTime": 1, "amr": [1] } }), "amr"),
        (json!({ "userId": "user-1", "authentication": { "authTime": 1, "acr": "2" } }), "acr"),
        (json!({ "userId": "user-1", "user_id": secret }), "user_id"),
        (json!({ "userId": "user-1", "allowCrossSite": secret }), "allowCrossSite"),
        (json!({ "userId": "user-1", "event": secret }), "event"),
        (json!({ "userId": "user-1", "event": {} }), "event"),
        (json!({ "userId": "user-1", "event": { "requestContext": secret } }), "event"),
        (json!({ "userId": "user-1", "event": { "requestContext": {} } }), "event"),
        (json!({ "userId": "user-1", "headers": [secret] }), "headers"),
        (json!({ "userId": "user-1", "headers": {}, "event": {} }), "event or headers"),
    ] {
        let answer = invoke(&stack, input.clone()).await;
        assert_eq!(code(&answer), "INVALID_INPUT", "{input}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(named), "{input}: {message}");
        assert!(!answer.to_string().contains(secret), "{answer}");
    }
    assert_eq!(stack.wire.take_calls(), []);
}

#[tokio::test]
async fn a_foreign_tenant_is_refused_by_name_where_tenants_are_listed() {
    let stack = Harness::new(&[]).await;
    let sessions = Arc::new(Sessions::new(stack.config.clone(), stack.store.clone()));
    let lookup = |name: &str| (name == "ALLOWED_TENANTS").then(|| "public, acme".to_owned());
    let config = Arc::new(CreateConfig::from_lookup(lookup).unwrap());
    for (tenant, expected) in [("public", ""), ("acme", ""), ("evil", "TENANT_NOT_ALLOWED")] {
        let input = json!({ "userId": "user-1", "tenantId": tenant });
        let answer = create_session::handle(&sessions, &config, &stack.clock, input).await;
        let answer = serde_json::to_value(answer).unwrap();
        assert_eq!(code(&answer), expected, "{tenant}");
        if !expected.is_empty() {
            let message = answer["error"]["message"].as_str().unwrap();
            assert_eq!(message, "the tenant evil is not one of ALLOWED_TENANTS");
        }
    }
    assert_eq!(count(&stack, "user-1").await, 2);
}

/// Login CSRF: a page that makes its visitor's browser sign in with the page's own credentials.
#[tokio::test]
async fn no_foreign_page_signs_its_visitor_in() {
    let stack = Harness::new(&[]).await;
    for (headers, status) in [
        (json!({}), 200),
        (json!({ "Origin": "https://example.com", "sec-fetch-site": "same-site" }), 200),
        (json!({ "content-type": "text/plain" }), 415),
        (json!({ "content-type": "application/x-www-form-urlencoded" }), 415),
        (json!({ "origin": "https://evil.example.net" }), 403),
        (json!({ "origin": "null" }), 403),
        (json!({ "sec-fetch-site": "cross-site" }), 403),
    ] {
        let mut input = json!({ "userId": "user-1", "headers": headers });
        let answer = invoke(&stack, input.clone()).await;
        let expected = if status == 200 { "" } else { "CROSS_SITE_REQUEST" };
        assert_eq!(code(&answer), expected, "{headers}");
        assert_eq!(answer["response"]["statusCode"], status, "{headers}");
        input["allowCrossSite"] = true.into();
        assert_eq!(code(&invoke(&stack, input).await), "", "{headers}");
    }
}

#[tokio::test]
async fn an_anti_csrf_token_goes_along_if_it_is_wished_for_and_cannot_be_waived() {
    let cookies = json!({ "st-auth-mode": "cookie" });
    for (mode, wish, expected) in [
        ("NONE", Value::Null, Some(false)),
        ("NONE", json!(true), Some(true)),
        ("VIA_TOKEN", Value::Null, Some(true)),
        ("VIA_TOKEN", json!(true), Some(true)),
        ("VIA_TOKEN", json!(false), None),
    ] {
        let stack = Harness::new(&[("ANTI_CSRF", mode)]).await;
        let input = json!({ "userId": "user-1", "antiCsrf": wish, "headers": cookies });
        let answer = invoke(&stack, input).await;
        let Some(expected) = expected else {
            assert_eq!(code(&answer), "INVALID_INPUT");
            continue;
        };
        assert_eq!(answer["tokens"]["antiCsrfToken"].is_string(), expected, "{mode} {wish}");
        let header = &answer["response"]["headers"]["anti-csrf"];
        assert_eq!(header.is_string(), expected, "{mode} {wish}");
    }
}

/// Whatever an event says, the response has our names, and values without a line break.
#[tokio::test]
async fn forged_events_inject_no_header() {
    let stack = Harness::new(&[]).await;
    let forged = "x\r\nset-cookie: sid=evil; Domain=example.com";
    let files = ["ok", "http-1-ok", "rest-ok", "load-balancer-ok", "load-balancer-multi-ok"];
    for file in files.map(|name| format!("create-session/{name}.json")) {
        let known = load(&file);
        let mut input = known.clone();
        input["allowCrossSite"] = true.into();
        for member in ["headers", "multiValueHeaders", "cookies", "requestContext"] {
            forge(&mut input["event"][member], forged);
        }
        // What no client can choose so: the front door refuses it.
        for method in ["/event/requestContext/http/method", "/event/requestContext/httpMethod"] {
            if let Some(method) = input.pointer_mut(method) {
                *method = "POST".into();
            }
        }

        let answer = invoke(&stack, input).await;
        let names = |answer: &Value| {
            let response = &answer["response"];
            let lists = response["multiValueHeaders"].as_object().into_iter().flatten();
            let headers = response["headers"].as_object().into_iter().flatten().chain(lists);
            let names = headers.map(|(name, _)| name.to_lowercase());
            // The wish for cookies is forged away.
            names.chain(["st-access-token", "st-refresh-token"].map(str::to_owned)).collect()
        };
        assert_eq!(code(&answer), "", "{file}: {answer}");
        let expected: BTreeSet<String> = names(&invoke(&stack, known).await);
        let unexpected = names(&answer).difference(&expected).cloned().collect::<Vec<_>>();
        assert_eq!(unexpected, Vec::<String>::new(), "{file}");
        let response = answer["response"].to_string();
        assert!(!response.contains("evil") && !response.contains("\\r"), "{file}: {response}");
    }
}

/// Puts `text` in place of every text within, and beside it under every name.
fn forge(value: &mut Value, text: &str) {
    match value {
        Value::String(known) => *known = text.to_owned(),
        Value::Array(values) => values.iter_mut().for_each(|value| forge(value, text)),
        Value::Object(members) => {
            members.values_mut().for_each(|value| forge(value, text));
            members.insert(text.to_owned(), text.into());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Pages in a browser cannot send the header without a preflight, which is not answered.
#[tokio::test]
async fn the_local_invoke_api_answers_signed_requests_alone() {
    let stack = Harness::new(&[]).await;
    let invoke_api = InvokeApi::bind().await.unwrap();
    let url = invoke_api.url().to_owned();
    let create_session = stack.stack.functions().create_session.clone();
    tokio::spawn(invoke_api.serve(vec![("create-session", create_session)]));
    let ask = move |name: &str, is_signed: bool| {
        let url = format!("{url}/2015-03-31/functions/{name}/invocations");
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.post(url);
        if is_signed {
            request = request.header("authorization", "AWS4-HMAC-SHA256 x");
        }
        let mut response = request.send(r#"{"userId":"user-1"}"#).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    };
    let asked = tokio::task::spawn_blocking(move || {
        [ask("create-session", true), ask("create-session", false), ask("rotate-keys", true)]
    });
    let [answered, unsigned, unknown] = asked.await.unwrap();
    assert_eq!((answered.0, unsigned.0, unknown.0), (200, 403, 404));
    assert!(answered.1.contains("accessToken"), "{}", answered.1);
}
