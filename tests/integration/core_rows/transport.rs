//! Paths, versions, API keys, statuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use core_driver::{Access, Secret};
use http::{Method, Request};
use local::function::Function;
use serde_json::{Value, json};
use session::Sessions;
use session::model::TenantId;
use testkit::Fault;
use testkit::events::iam;
use testkit::front_door::shape::integration;

use super::{Core, GO, NEWEST, USUAL, new_session};

const KEY: &str = "first-key-of-this-test-1";
const NEXT_KEY: &str = "second-key-of-this-test-2";

#[tokio::test]
async fn ca1_versions_are_told_without_one() {
    let core = Core::new(&[]).await;
    let answer = core.send(Method::GET, "/apiversion?apiDomain=x&websiteDomain=y", &[], "").await;
    let versions = answer.json()["versions"].clone();
    let versions: Vec<&str> =
        versions.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(versions, ["3.0", "3.1", "4.0", "5.0", "5.1", "5.2", "5.3", "5.4", "5.5", "5.6"]);
}

#[tokio::test]
async fn ca3_a_newer_version_is_refused_everywhere() {
    let core = Core::new(&[]).await;
    for path in ["/recipe/session/user?userId=u", "/hello", "/.well-known/jwks.json"] {
        core.at("9.9").get(path).await.is_text(400, "cdi-version 9.9 not supported");
    }
    core.at("5.4.0").get("/user/id?userId=u").await.is_text(400, "cdi-version 5.4.0 not supported");
}

#[tokio::test]
async fn ca4_a_malformed_version_is_refused_everywhere() {
    let core = Core::new(&[]).await;
    for version in ["2.x", "5", "", "5.", ".4", "5,4", "é"] {
        let headers = [("cdi-version", version)];
        for path in ["/recipe/session/user?userId=u", "/hello", "/apiversion"] {
            let answer = core.send(Method::GET, path, &headers, "").await;
            answer.is_text(400, "cdi-version header is invalid");
        }
    }
}

#[tokio::test]
async fn ca5_ca18_versions_before_3_0_are_not_spoken() {
    let core = Core::new(&[]).await;
    for version in ["2.6", "2.7", "2.21"] {
        for path in ["/recipe/session", "/t1/recipe/session"] {
            let body = new_session(json!({})).to_string();
            let answer = core.send(Method::POST, path, &[("cdi-version", version)], body).await;
            answer.is_text(400, &format!("cdi-version {version} not supported"));
        }
    }
    assert!(core.operations().is_empty());
}

#[tokio::test]
async fn ca6_hello_is_said_in_any_older_version_and_by_every_method() {
    let core = Core::new(&[]).await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        for path in ["/hello", "/", "", "/appid-public", "/t1/hello"] {
            let headers = [("cdi-version", "2.6")];
            core.send(method.clone(), path, &headers, "").await.is_text(200, "Hello");
        }
    }
    assert_eq!(core.operations(), ["GetItem"], "the keys, once");
}

#[tokio::test]
async fn ca6_hello_fails_with_the_table() {
    let core = Core::new(&[]).await;
    core.stack.wire.break_all(Some(Fault::ServerError));
    let answer = core.send(Method::GET, "/hello", &[], "").await;
    answer.is_text(503, "the session store is not available, try again");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn ca8_ca9_a_key_is_asked_for_and_taken_from_three_headers() {
    let keys = format!("{KEY}, {NEXT_KEY}");
    let core = Core::new(&[("CORE_API_KEYS", &keys)]).await;
    let body = new_session(json!({})).to_string();
    let wrong = "first-key-of-this-test-0";
    let half = &KEY[..20];
    for headers in [
        vec![],
        vec![("api-key", wrong)],
        vec![("api-key", half)],
        vec![("api-key", ""), ("authorization", KEY)],
        vec![("authorization", "Bearer")],
        vec![("authorization", "Basic first-key-of-this-test-1")],
    ] {
        let answer = core.send(Method::POST, "/recipe/session", &headers, body.clone()).await;
        answer.is_text(401, "Invalid API key");
    }
    assert!(core.operations().is_empty());
    let bearer = format!("bEaReR {KEY}");
    let spaced = format!(" {NEXT_KEY} ");
    for headers in [
        [("api-key", KEY)],
        [("api-key", spaced.as_str())],
        [("authorization", bearer.as_str())],
        [("authorization", NEXT_KEY)],
    ] {
        let answer = core.send(Method::POST, "/recipe/session", &headers, body.clone()).await;
        assert_eq!(answer.json()["status"], "OK", "{headers:?}");
    }
    core.send(Method::GET, "/apiversion", &[], "").await.is_text(401, "Invalid API key");
    core.send(Method::GET, "/nope", &[], "").await.is_text(401, "Invalid API key");
}

#[tokio::test]
async fn ca10_hello_and_the_key_set_need_no_key() {
    let core = Core::new(&[("CORE_API_KEYS", KEY)]).await;
    for path in ["/.well-known/jwks.json", "/hello", "/", "/config?pid=1"] {
        assert_eq!(core.send(Method::GET, path, &[], "").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn ca11_a_wrong_method_is_told_the_right_ones() {
    let core = Core::new(&[]).await;
    let answer = core.at(USUAL).call(Method::DELETE, "/recipe/session", &Value::Null).await;
    answer.is_text(405, "Method not supported");
    assert_eq!(answer.headers["allow"], "POST, GET");
}

#[tokio::test]
async fn ca12_what_is_not_served_is_not_found_with_a_sentence() {
    let core = Core::new(&[]).await;
    for path in
        ["/nope", "/recipe/signup", "/recipe/user", "/recipe/handshake", "/t1", "/t_1/hello"]
    {
        let answer = core.at(USUAL).get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text.starts_with("Not found: this core serves sessions and JWTs"));
    }
}

#[tokio::test]
async fn ca13_case_and_one_trailing_slash_do_not_count() {
    let core = Core::new(&[]).await;
    for path in [
        "/recipe/session/",
        "/RECIPE/Session",
        "/public/recipe/session",
        "/appid-public/recipe/session",
        "/APPID-PUBLIC/PUBLIC/recipe/session/",
    ] {
        let answer = core.at(USUAL).post(path, new_session(json!({}))).await;
        assert_eq!(answer.json()["session"]["tenantId"], "public", "{path}");
    }
    assert_eq!(core.at(USUAL).get("/recipe/session//").await.status, 404);
}

#[tokio::test]
async fn ca14_a_body_that_is_no_object_is_refused() {
    let core = Core::new(&[]).await;
    for body in ["[]", "", "null", "\"x\"", "{", "\u{0}", "{\"userId\":\"a\"}}"] {
        for path in ["", "/verify", "/refresh", "/regenerate", "/remove"] {
            let path = format!("/recipe/session{path}");
            let answer = core.send(Method::POST, &path, &[("cdi-version", USUAL)], body).await;
            answer.is_text(400, "Invalid Json Input");
        }
    }
    let not_text = core.send(Method::POST, "/recipe/jwt", &[], &b"\xff\xfe{}"[..]).await;
    not_text.is_text(400, "Invalid Json Input");
}

#[tokio::test]
async fn ca15_without_a_version_the_newest_is_spoken() {
    let core = Core::new(&[]).await;
    let body = new_session(json!({ "accessTokenValidity": 0 })).to_string();
    let answer = core.send(Method::POST, "/recipe/session", &[], body).await;
    assert_eq!(answer.status, 400, "accessTokenValidity is known since {NEWEST}");
}

#[tokio::test]
async fn ca16_no_user_is_known() {
    let core = Core::new(&[]).await;
    let unknown = json!({ "status": "UNKNOWN_USER_ID_ERROR" });
    for version in [USUAL, GO] {
        assert_eq!(core.at(version).get("/user/id?userId=x").await.json(), unknown);
    }
    let answer = core.at(USUAL).get("/user/id").await;
    answer.is_text(400, "Field name 'userId' is missing in GET request");
    let answer = core.at(USUAL).get("/t1/user/id?userId=x").await;
    answer.is_text(403, "Only public tenantId can call this app specific API");
    assert!(core.operations().is_empty());
}

#[tokio::test]
async fn ca17_unknown_applications_and_tenants_are_refused() {
    let core = Core::new(&[("ALLOWED_TENANTS", "public,t1"), ("APP_ID", "shop")]).await;
    for (path, status) in [
        ("/recipe/session", 200),
        ("/t1/recipe/session", 200),
        ("/appid-shop/t1/recipe/session", 200),
        ("/t9/recipe/session", 400),
        ("/appid-shop/t9/recipe/session", 400),
        ("/appid-public/recipe/session", 400),
        ("/appid-other/t1/recipe/session", 400),
    ] {
        let answer = core.at(USUAL).post(path, new_session(json!({}))).await;
        assert_eq!(answer.status, status, "{path}");
        if status == 400 {
            assert!(
                answer.text.starts_with("AppId or tenantId not found => Tenant with"),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn what_sdks_ask_at_their_start_is_answered() {
    let core = Core::new(&[]).await;
    assert_eq!(core.get("/telemetry").await, json!({ "exists": false }));
    assert_eq!(core.get("/config?pid=1").await, json!({ "status": "NOT_ALLOWED" }));
    assert_eq!(core.at(USUAL).get("/t1/telemetry").await.status, 403);
    assert!(core.operations().is_empty());
}

/// A core that only those whom `access` lets in may call, behind a function URL.
fn guarded(core: &Core, access: Access) -> Function {
    let sessions = Sessions::new(core.stack.config.clone(), core.stack.store.clone());
    let tenants = Some(vec![TenantId::public()]);
    let driver = Arc::new(core_driver::Core { sessions, access, tenants });
    let clock = core.stack.clock.clone();
    Function::http(move |request| {
        let (driver, clock) = (Arc::clone(&driver), clock.clone());
        async move { core_driver::handle(&driver, &clock, request).await }
    })
}

/// What a call with these headers is answered, after the URL has found out that about the caller.
async fn status(guarded: &Function, headers: &[(&str, &str)], authorizer: Value) -> u64 {
    let mut request = Request::get("/apiversion");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut event = integration(&request.body(Bytes::new()).unwrap());
    event["requestContext"]["authorizer"] = authorizer;
    guarded.invoke(event).await.unwrap()["statusCode"].as_u64().unwrap()
}

#[tokio::test]
async fn with_iam_a_request_must_have_been_signed() {
    let core = Core::new(&[]).await;
    let guarded = guarded(&core, Access::Iam);
    assert_eq!(status(&guarded, &[], iam()).await, 200);
    for context in [Value::Null, json!({}), json!({ "iam": null }), json!({ "lambda": iam() })] {
        let forged = [("authorization", "AWS4-HMAC-SHA256 Credential=x"), ("api-key", KEY)];
        assert_eq!(status(&guarded, &forged, context.clone()).await, 401, "{context}");
    }
}

#[tokio::test]
async fn keys_in_a_secret_change_without_a_deployment() {
    let core = Core::new(&[]).await;
    let reads = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&reads);
    let secret = Secret::new(move || {
        let text = match counted.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(KEY.to_owned()),
            1 => Err("throttled".into()),
            2 => Ok("too-short".to_owned()),
            _ => Ok(format!("{KEY}\n{NEXT_KEY}\n")),
        };
        async move { text }
    });
    let guarded = guarded(&core, Access::Secret(secret));
    let asked = async |key: &str| status(&guarded, &[("api-key", key)], Value::Null).await;
    assert_eq!((asked(KEY).await, asked(NEXT_KEY).await), (200, 401));
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    // What was read goes on while the secret cannot be read, or is wrong.
    for _ in 0..2 {
        core.advance(Secret::MAX_AGE.as_secs());
        assert_eq!((asked(KEY).await, asked(NEXT_KEY).await), (200, 401));
    }
    assert_eq!(reads.load(Ordering::Relaxed), 3);
    core.advance(10);
    assert_eq!((asked(KEY).await, asked(NEXT_KEY).await), (200, 200));
    assert_eq!(reads.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn without_its_secret_nobody_is_let_in_and_nothing_is_said_of_keys() {
    let core = Core::new(&[]).await;
    let secret = Secret::new(|| async { Err("denied".into()) });
    let guarded = guarded(&core, Access::Secret(secret));
    assert_eq!(status(&guarded, &[("api-key", KEY)], Value::Null).await, 503);
    let keys = core_driver::ApiKeys::parse(KEY).unwrap();
    assert!(!format!("{keys:?}").contains(KEY));
    let lookup = |name: &str| (name == "CORE_API_KEYS").then(|| "short-key".to_owned());
    let problem = core_driver::CoreConfig::from_lookup(lookup).unwrap_err().to_string();
    assert!(problem.contains("at least 20") && !problem.contains("short-key"), "{problem}");
}

/// Every endpoint, with a body or a query that is right.
fn endpoints(handle: &str) -> Vec<(Method, String, Value)> {
    let (post, put, get) = (Method::POST, Method::PUT, Method::GET);
    let at = |path: &str| format!("/recipe/session{path}");
    vec![
        (post.clone(), at(""), new_session(json!({}))),
        (get.clone(), at(&format!("?sessionHandle={handle}")), Value::Null),
        (get.clone(), at("/user?userId=user-1"), Value::Null),
        (post.clone(), at("/remove"), json!({ "sessionHandles": [handle] })),
        (post.clone(), at("/remove"), json!({ "userId": "user-1" })),
        (put.clone(), at("/data"), json!({ "sessionHandle": handle, "userDataInDatabase": {} })),
        (
            put,
            "/recipe/jwt/data".to_owned(),
            json!({ "sessionHandle": handle, "userDataInJWT": { "a": 1 } }),
        ),
        (get.clone(), at(&format!("/data?sessionHandle={handle}")), Value::Null),
        (get.clone(), format!("/recipe/jwt/data?sessionHandle={handle}"), Value::Null),
        (get, "/recipe/jwt/jwks".to_owned(), Value::Null),
        (
            post,
            "/recipe/jwt".to_owned(),
            json!({ "algorithm": "RS256", "jwksDomain": "d", "payload": {}, "validity": 1 }),
        ),
    ]
}

#[tokio::test]
async fn a_table_that_is_down_is_503_and_ends_nothing() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    core.stack.wire.break_all(Some(Fault::ServerError));
    let mut calls = endpoints(issued.handle());
    // Keys that were loaded sign on.
    calls.retain(|(_, path, _)| !path.starts_with("/recipe/jwt") || path.contains("data"));
    calls.push((
        Method::POST,
        "/recipe/session/refresh".to_owned(),
        super::refreshing(issued.refresh(), json!({})),
    ));
    for (method, path, body) in calls {
        let answer = core.at(USUAL).call(method, &path, &body).await;
        answer.is_text(503, "the session store is not available, try again");
    }
    core.stack.wire.break_all(None);
    assert_eq!(core.refresh(issued.refresh()).await["status"], "OK");
}

#[tokio::test]
async fn no_answer_with_a_token_is_kept_by_caches() {
    let core = Core::new(&[]).await;
    let handle = core.create().await.handle().to_owned();
    for (method, path, body) in endpoints(&handle) {
        let answer = core.at(USUAL).call(method, &path, &body).await;
        assert_eq!(
            (answer.status, &answer.headers["cache-control"]),
            (200, &"no-store".parse().unwrap())
        );
    }
}
