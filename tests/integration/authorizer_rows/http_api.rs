//! HTTP APIs: rows 1 to 50. H2S is payload 2.0 with simple responses, H2P with policies, H1 payload 1.0;
//! `+A` has the identity source `Authorization` and keeps results for 60 s.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use authorizer::{AuthorizerConfig, Refusal};
use bytes::Bytes;
use core_driver::CoreConfig;
use http::Method;
use local::function::{Function, Invoked};
use local::gateway::Cors;
use local::stack::Stack;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use session::Sessions;
use session::http::{DefaultErrorHandlers, ErrorHandlers as _};
use session::model::{ArrayClaim, BooleanClaim, Session, SessionHandle};
use session::store::{PublicKeyReader, SessionReader, SessionRevoker as _, StoreError};
use testkit::clock::START;
use testkit::front_door::shape;
use testkit::harness::{config, text};
use testkit::{Fault, FrontDoor, Harness, IdentitySource, Kind, ManualClock, events, keys};

use super::{
    DEMANDS, FORBIDDEN, INVALID_CLAIM, OTHER_SITE, SERVER_ERROR, STRICT, UNAUTHORIZED, allowed,
    function, get, given, http, not_allowed, of_a_session, ours, post, raising, request, valid,
};
use crate::mint::{Jwt, access_cookie, bearer};
use crate::templates;

const AUTHORIZATION: [IdentitySource; 1] = [IdentitySource::Header("authorization")];
const MINUTE: Duration = Duration::from_secs(60);

/// The result that becomes 401.
fn unauthorized() -> Value {
    json!({ "errorMessage": "Unauthorized" })
}

/// An IAM policy for `user-1`.
fn policy(statements: &Value) -> Value {
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    json!({ "principalId": "user-1", "policyDocument": document })
}

#[tokio::test] // function, model
async fn row_01_a_bearer_token_is_allowed_and_the_integration_learns_the_user() {
    let (_, front) = ours(Kind::HttpSimple, &[]).await;
    let outcome = front.send(&get(&[("authorization", &bearer(&valid()))])).await;
    assert_eq!((outcome.status(), outcome.body()), (200, "served"));
    let context = &outcome.authorizer.unwrap()["lambda"];
    assert_eq!(context["userId"], "user-1");
    assert_eq!(context["expiry"], START.as_secs() + 3600);
    let payload: Value =
        serde_json::from_str(context["accessTokenPayload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["sub"], "user-1");
}

#[tokio::test] // function, model
async fn row_02_a_cookie_token_is_allowed() {
    let (_, front) = ours(Kind::HttpSimple, &[]).await;
    let outcome = front.send(&get(&[("cookie", &access_cookie(&valid()))])).await;
    assert_eq!(outcome.status(), 200);
    assert_eq!(outcome.authorizer.unwrap()["lambda"]["userId"], "user-1");
}

#[tokio::test] // function
async fn row_03_a_header_token_beats_the_cookie() {
    let other = Jwt::valid().claim("sub", "user-2").sign();
    let headers = [("authorization", bearer(&other)), ("cookie", access_cookie(&valid()))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(http(&[], &get(&headers)).await["context"]["userId"], "user-2");
}

#[tokio::test] // function, model
async fn row_04_without_a_token_the_object_is_returned_that_becomes_401() {
    assert_eq!(http(&[], &get(&[])).await, unauthorized());
    let (_, front) = ours(Kind::HttpSimple, &[]).await;
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
}

#[tokio::test] // model, given result
async fn row_05_the_same_text_raised_is_401_too() {
    let outcome = raising(Kind::HttpSimple, "Unauthorized").send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
}

#[tokio::test] // function, model
async fn row_06_an_expired_token_is_401_so_that_the_client_refreshes() {
    let expired = get(&[("cookie", &access_cookie(&Jwt::expired().sign()))]);
    assert_eq!(http(&[], &expired).await, unauthorized());
    let (_, front) = ours(Kind::HttpSimple, &[]).await;
    assert_eq!(front.send(&expired).await.status(), 401);
}

#[tokio::test] // function, model
async fn row_07_a_token_that_does_not_hold_is_401_whatever_is_wrong_with_it() {
    let (_, front) = ours(Kind::HttpSimple, &[]).await;
    let valid = valid();
    for (problem, token) in [
        ("signature", Jwt::valid().sign_by(&keys::foreign(keys::DYNAMIC_ID))),
        ("kid", Jwt::valid().header("kid", "d-1").sign()),
        ("alg", Jwt::valid().unsigned()),
        ("alg", Jwt::valid().hs256()),
        ("truncated", valid[..valid.len() - 1].to_owned()),
        ("truncated", valid.rsplit_once('.').unwrap().0.to_owned()),
        ("no claims", Jwt::valid().without_claim("sessionHandle").sign()),
    ] {
        let outcome = front.send(&get(&[("authorization", &bearer(&token))])).await;
        assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED), "{problem}");
    }
}

#[tokio::test] // function, model
async fn row_08_claims_that_do_not_suffice_are_403_whose_body_cannot_say_why() {
    let answer = http(&[DEMANDS], &get(&[("authorization", &not_allowed())])).await;
    assert_eq!(answer, json!({ "isAuthorized": false, "context": { "body": INVALID_CLAIM } }));
    let (_, front) = ours(Kind::HttpSimple, &[DEMANDS]).await;
    let outcome = front.send(&get(&[("authorization", &not_allowed())])).await;
    assert_eq!((outcome.status(), outcome.body()), (403, FORBIDDEN));
    assert_eq!(front.send(&get(&[("authorization", &allowed())])).await.status(), 200);
    let (_, front) = ours(Kind::HttpPolicy, &[DEMANDS, ("AUTHORIZER_RESPONSE", "policy")]).await;
    let outcome = front.send(&get(&[("authorization", &not_allowed())])).await;
    assert_eq!((outcome.status(), outcome.body()), (403, FORBIDDEN));
}

#[tokio::test] // model: our function in front of an integration that has the crate's validators
async fn row_09_an_integration_that_decides_itself_can_say_why() {
    let (_, mut front) = ours(Kind::HttpSimple, &[]).await;
    front.integration = Box::new(|authorizer| {
        let payload = authorizer["lambda"]["accessTokenPayload"].as_str().unwrap();
        let payload = serde_json::from_str(payload).unwrap();
        let demands = [
            ArrayClaim::new("st-role").includes("admin"),
            BooleanClaim::new("st-ev").is_true().max_age(Duration::from_mins(10)),
        ];
        let failures = demands.iter().filter_map(|demand| demand.validate(&payload, START));
        let failures: Vec<_> = failures.collect();
        DefaultErrorHandlers.invalid_claims(&config(&[]), &failures).map(Bytes::from)
    });
    let outcome = front.send(&get(&[("authorization", &not_allowed())])).await;
    assert_eq!((outcome.status(), outcome.body()), (403, INVALID_CLAIM));
}

#[tokio::test] // function, model
async fn row_10_a_cookie_post_without_its_anti_csrf_proof_is_401() {
    let (_, front) = ours(Kind::HttpSimple, &[OTHER_SITE]).await;
    let outcome = front.send(&post(&[("cookie", &access_cookie(&valid()))])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    let proved = [("cookie", access_cookie(&valid())), ("rid", "session".to_owned())];
    let proved = proved.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(front.send(&post(&proved)).await.status(), 200);
}

#[tokio::test] // function, model
async fn row_11_the_same_request_as_a_get_needs_no_proof() {
    let (_, front) = ours(Kind::HttpSimple, &[OTHER_SITE]).await;
    let outcome = front.send(&get(&[("cookie", &access_cookie(&valid()))])).await;
    assert_eq!(outcome.status(), 200);
}

#[tokio::test] // function
async fn row_12_a_header_token_needs_no_proof() {
    let event = post(&[("authorization", &bearer(&valid()))]);
    assert_eq!(http(&[OTHER_SITE], &event).await["isAuthorized"], true);
}

#[tokio::test] // function
async fn whether_a_proof_is_needed_can_be_set_for_each_authorizer() {
    let cookie = access_cookie(&valid());
    let (get, post) = (get(&[("cookie", &cookie)]), post(&[("cookie", &cookie)]));
    let always = [OTHER_SITE, ("ANTI_CSRF_CHECK", "always")];
    assert_eq!(http(&always, &get).await, unauthorized());
    let never = [OTHER_SITE, ("ANTI_CSRF_CHECK", "never")];
    assert_eq!(http(&never, &post).await["isAuthorized"], true);
}

#[tokio::test] // function
async fn an_optional_session_may_be_absent_and_not_stale() {
    let optional = [("SESSION_REQUIRED", "false")];
    let allowed = json!({ "isAuthorized": true, "context": {} });
    assert_eq!(http(&optional, &get(&[])).await, allowed);
    // What has not the form of our tokens is as good as absent.
    assert_eq!(http(&optional, &get(&[("authorization", "Bearer x")])).await, allowed);
    let expired = get(&[("cookie", &access_cookie(&Jwt::expired().sign()))]);
    assert_eq!(http(&optional, &expired).await, unauthorized());
    let anybody = function(&optional, shape::rest_request(&get(&[]))).await.unwrap();
    assert_eq!(anybody["principalId"], "anonymous");
    assert_eq!(anybody["context"], json!({}));
}

#[tokio::test] // model, given result
async fn row_13_a_boolean_as_text_is_a_fault() {
    let outcome = given(Kind::HttpSimple, json!({ "isAuthorized": "true" })).send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR));
}

#[tokio::test] // model: our function, set to the other format than the gateway is
async fn row_14_a_policy_where_a_boolean_is_expected_is_a_fault() {
    let (_, front) = ours(Kind::HttpSimple, &[("AUTHORIZER_RESPONSE", "policy")]).await;
    let outcome = front.send(&get(&[("authorization", &bearer(&valid()))])).await;
    assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR));
}

#[tokio::test] // model, given result
async fn row_15_a_result_of_no_known_shape_is_a_fault() {
    for result in [Value::Null, json!({}), json!([]), json!("Unauthorized")] {
        let outcome = given(Kind::HttpSimple, result).send(&get(&[])).await;
        assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR));
    }
}

#[tokio::test] // model, given result; and the one text that ours raises
async fn row_16_the_text_is_compared_exactly() {
    for message in ["unauthorized", "Unauthorized: expired", " Unauthorized"] {
        let outcome = raising(Kind::HttpSimple, message).send(&get(&[])).await;
        assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR), "{message}");
    }
    let raised = lambda_runtime::Diagnostic::from(Refusal::Unauthorized);
    assert_eq!(raised.error_message, "Unauthorized");
}

#[tokio::test] // model, given result: ours is no error with a chain, so nothing can hide its text
async fn row_17_an_error_hidden_behind_a_context_is_a_fault() {
    let outcome = raising(Kind::HttpSimple, "verifying the token").send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR));
}

/// A store with a bug.
struct Panics;

impl PublicKeyReader for Panics {
    async fn public_keys(&self) -> Result<Option<Vec<session::token::PublishedKey>>, StoreError> {
        panic!("a bug")
    }
}

impl SessionReader for Panics {
    async fn session(&self, _: &SessionHandle) -> Result<Option<Session>, StoreError> {
        panic!("a bug")
    }
}

#[tokio::test] // model: our handler over a store that panics; and the profile that lets the runtime catch it
async fn row_18_a_panic_is_a_fault() {
    let sessions = Arc::new(Sessions::new(config(&[]), Panics));
    let function = Function::new(move |event: Box<RawValue>| {
        let sessions = Arc::clone(&sessions);
        let (config, clock) = (AuthorizerConfig::default(), ManualClock::at(START));
        async move { authorizer::handle(&sessions, &config, &clock, &event).await }
    });
    let front = FrontDoor::new(Kind::HttpSimple, function);
    let outcome = front.send(&get(&[("authorization", &bearer(&valid()))])).await;
    assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR));
    assert!(include_str!("../../../Cargo.toml").contains("\npanic = \"unwind\""));
}

#[tokio::test] // function, model
async fn row_19_keys_that_cannot_be_had_are_a_fault_and_the_session_stays() {
    let (stack, front) = ours(Kind::HttpSimple, &[]).await;
    let event = get(&[("authorization", &bearer(&valid()))]);
    for fault in [Fault::ServerError, Fault::AccessDenied, Fault::TableMissing, Fault::Throttled] {
        stack.wire.break_all(Some(fault));
        let outcome = front.send(&event).await;
        assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR), "{fault:?}");
    }
    stack.wire.break_all(None);
    assert_eq!(front.send(&event).await.status(), 200);
}

#[tokio::test(start_paused = true)] // model, given result; and the time our own function takes at most
async fn row_20_a_function_that_takes_more_than_10_s_is_a_fault() {
    let slow = Function::new(|_: Value| async {
        tokio::time::sleep(Duration::from_millis(10_001)).await;
        Invoked::Ok(json!({ "isAuthorized": true }))
    });
    let outcome = FrontDoor::new(Kind::HttpSimple, slow).send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR));

    let (stack, front) = ours(Kind::HttpSimple, &[]).await;
    stack.wire.break_all(Some(Fault::Silence));
    let before = tokio::time::Instant::now();
    let outcome = front.send(&get(&[("authorization", &bearer(&valid()))])).await;
    assert_eq!(outcome.status(), 500);
    // The template gives the function 5 s, and the gateway 10.
    assert!(before.elapsed() <= Duration::from_secs(4), "{:?}", before.elapsed());
    assert_eq!(templates::own()["Globals"]["Function"]["Timeout"], 5);
}

#[tokio::test] // model, and template
async fn row_21_without_the_permission_to_invoke_every_call_is_a_fault() {
    let (_, mut front) = ours(Kind::HttpSimple, &[]).await;
    front.may_invoke = false;
    let outcome = front.send(&get(&[("authorization", &bearer(&valid()))])).await;
    assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR));
    for (name, authorizer) in templates::http_authorizers() {
        assert_eq!(authorizer["EnableFunctionDefaultPermissions"], true, "{name}");
    }
}

#[tokio::test] // model, given result
async fn row_22_a_throttled_function_is_a_fault() {
    let outcome = raising(Kind::HttpSimple, "Rate Exceeded.").send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR));
}

#[tokio::test] // function
async fn row_23_nulls_and_absences_are_no_decode_errors() {
    let cookie = access_cookie(&valid());
    let mut event = shape::http_api_2(&get(&[("authorization", &bearer(&valid()))]));
    for name in ["cookies", "queryStringParameters", "pathParameters", "stageVariables"] {
        event[name] = Value::Null;
    }
    event["requestContext"]["authentication"] = Value::Null;
    assert_eq!(function(&[], event.clone()).await.unwrap()["isAuthorized"], true);
    event["headers"] = Value::Null;
    assert_eq!(function(&[], event.clone()).await.unwrap(), unauthorized());
    event.as_object_mut().unwrap().remove("headers");
    event["cookies"] = json!([cookie]);
    assert_eq!(function(&[], event).await.unwrap()["isAuthorized"], true);
}

#[tokio::test] // function
async fn row_24_header_names_count_in_any_case() {
    let mut event = shape::http_api_2(&post(&[]));
    event["headers"] = json!({ "Authorization": bearer(&valid()) });
    assert_eq!(function(&[], event.clone()).await.unwrap()["isAuthorized"], true);
    event["headers"] = json!({ "Cookie": access_cookie(&valid()), "RID": "session" });
    assert_eq!(function(&[OTHER_SITE], event).await.unwrap()["isAuthorized"], true);
}

#[tokio::test] // function
async fn row_25_cookies_sent_both_ways_are_no_duplicates() {
    let cookie = access_cookie(&valid());
    let mut event = shape::http_api_2(&get(&[("cookie", &cookie)]));
    event["headers"]["Cookie"] = cookie.into();
    assert_eq!(function(&[], event).await.unwrap()["isAuthorized"], true);
}

#[tokio::test] // function
async fn row_26_of_two_session_cookies_the_one_that_holds_counts() {
    let (good, bad) = (access_cookie(&valid()), access_cookie(&Jwt::expired().sign()));
    for two in [format!("{good}; {bad}"), format!("{bad}; {good}"), format!("{good}; {good}")] {
        assert_eq!(http(&[], &get(&[("cookie", &two)])).await["isAuthorized"], true, "{two}");
    }
    let neither = format!("{bad}; sAccessToken=x");
    assert_eq!(http(&[], &get(&[("cookie", &neither)])).await, unauthorized());
    let rescued = get(&[("cookie", &neither), ("authorization", &bearer(&valid()))]);
    assert_eq!(http(&[], &rescued).await["isAuthorized"], true);
}

#[tokio::test] // function
async fn row_27_cookie_attributes_and_empty_cookies_are_ignored() {
    let flutter = format!("{}; Path=/; HttpOnly; SameSite=lax", access_cookie(&valid()));
    assert_eq!(http(&[], &get(&[("cookie", &flutter)])).await["isAuthorized"], true);
    assert_eq!(http(&[], &get(&[("cookie", "")])).await, unauthorized());
    let both = get(&[("cookie", ""), ("authorization", &bearer(&valid()))]);
    assert_eq!(http(&[], &both).await["isAuthorized"], true);
}

#[tokio::test] // function, model
async fn row_28_authorization_twice_is_refused() {
    let value = bearer(&valid());
    let (_, front) = ours(Kind::HttpSimple, &[]).await;
    let twice = get(&[("authorization", &value), ("authorization", &value)]);
    let outcome = front.send(&twice).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    // Where both values arrive apart, too.
    let refused = function(&[], shape::rest_request(&twice)).await.unwrap_err();
    assert_eq!(refused.error_message, "Unauthorized");
}

/// The running stack with CORS, and whether its authorizer was asked since: one that was has loaded keys.
async fn with_cors() -> (Harness, Stack) {
    let harness = Harness::new(&[]).await;
    let client = local::dynamodb::client(harness.wire.clone());
    let cors = Cors { allowed_origins: vec!["https://example.com".to_owned()] };
    let (authorizer, clock) = (AuthorizerConfig::default(), Arc::new(harness.clock.clone()));
    let core_config = CoreConfig::default();
    let stack = Stack::start(&harness.config, authorizer, core_config, client, clock, Some(cors))
        .await
        .unwrap();
    harness.wire.take_calls();
    (harness, stack)
}

#[tokio::test] // model: the gateway of the running stack
async fn row_29_more_than_10240_bytes_of_headers_never_reach_the_authorizer() {
    let (harness, stack) = with_cors().await;
    let value = bearer(&valid());
    let padding = "x".repeat(10_240 - value.len());
    let headers = [("authorization", value.as_str()), ("x-padding", padding.as_str())];
    let response = stack.handle(request(Method::GET, "/api/me", &headers)).await;
    assert_eq!(response.status(), 431);
    assert_eq!(harness.wire.take_calls(), []);
    // A token that large is refused by the function as well, see `limits`.
}

#[tokio::test] // model: the gateway of the running stack; and template
async fn row_30_a_preflight_is_answered_without_the_authorizer() {
    let (harness, stack) = with_cors().await;
    let preflight = [("origin", "https://example.com"), ("access-control-request-method", "GET")];
    let response = stack.handle(request(Method::OPTIONS, "/api/me", &preflight)).await;
    assert_eq!(response.status(), 204);
    assert_eq!(text(response.headers(), "access-control-allow-credentials"), "true");
    assert_eq!(harness.wire.take_calls(), []);
    let apis = templates::resources("AWS::Serverless::HttpApi");
    // One without CORS settings serves what anybody may read, and asks no authorizer either.
    for (name, api) in apis.iter().filter(|(_, api)| api.get("Auth").is_some()) {
        let cors = templates::chosen(&api["CorsConfiguration"]);
        assert_eq!(cors["AllowCredentials"], true, "{name}");
    }
}

#[tokio::test] // model, and template: no route swallows preflights
async fn row_31_a_default_route_under_the_authorizer_swallows_preflights() {
    let (_, front) = ours(Kind::HttpSimple, &[]).await;
    let outcome = front.send(&request(Method::OPTIONS, "/orders", &[])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    let events = templates::events("HttpApi").into_iter().map(|(_, event)| event["Path"].clone());
    let apis = templates::resources("AWS::Serverless::HttpApi").into_iter();
    let paths = apis.filter_map(|(_, api)| api["DefinitionBody"]["paths"].as_mapping().cloned());
    let paths: Vec<_> = events.chain(paths.flat_map(|paths| paths.into_keys())).collect();
    assert!(paths.len() > 12, "{paths:?}");
    for path in paths {
        assert!(path.as_str().is_some_and(|path| path != "$default"), "{path:?}");
    }
}

#[tokio::test] // model: the gateway of the running stack
async fn row_32_an_unknown_path_is_404_without_the_authorizer() {
    let (harness, stack) = with_cors().await;
    let headers = [("authorization", &*bearer(&valid()))];
    let response = stack.handle(request(Method::GET, "/api/nowhere", &headers)).await;
    assert_eq!(
        (response.status().as_u16(), &**response.body()),
        (404, &br#"{"message":"Not Found"}"#[..])
    );
    assert_eq!(harness.wire.take_calls(), []);
}

#[tokio::test] // model: the gateway of the running stack; whether AWS adds the headers is the first live check
async fn row_33_a_401_to_another_origin_can_be_read_there() {
    let (_, stack) = with_cors().await;
    let expired = access_cookie(&Jwt::expired().sign());
    let headers = [("origin", "https://example.com"), ("cookie", expired.as_str())];
    let response = stack.handle(request(Method::GET, "/api/me", &headers)).await;
    assert_eq!(response.status(), 401);
    assert_eq!(text(response.headers(), "access-control-allow-origin"), "https://example.com");
}

/// Our function behind H2S+A.
async fn keeping(settings: super::Headers<'_>) -> (Harness, FrontDoor) {
    let (stack, front) = ours(Kind::HttpSimple, settings).await;
    (stack, front.keeping(&AUTHORIZATION, MINUTE))
}

#[tokio::test] // model
async fn row_34_a_missing_identity_source_is_401_without_the_function() {
    let (_, front) = keeping(&[("SESSION_REQUIRED", "false")]).await;
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    assert_eq!(front.take_invocations(), 0);
}

#[tokio::test] // model
async fn row_35_an_empty_identity_source_is_401_without_the_function() {
    let (_, front) = keeping(&[("SESSION_REQUIRED", "false")]).await;
    let outcome = front.send(&get(&[("authorization", "")])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    assert_eq!(front.take_invocations(), 0);
}

#[tokio::test] // model
async fn row_36_an_identity_source_shuts_cookie_clients_out() {
    let (_, front) = keeping(&[]).await;
    let outcome = front.send(&get(&[("cookie", &access_cookie(&valid()))])).await;
    assert_eq!((outcome.status(), front.take_invocations()), (401, 0));
}

#[tokio::test] // model, given result; ours never denies what a refresh would cure
async fn row_37_a_denied_stale_token_would_be_403_and_never_refreshed() {
    let front = given(Kind::HttpSimple, json!({ "isAuthorized": false }));
    let expired = get(&[("authorization", &bearer(&Jwt::expired().sign()))]);
    let outcome = front.keeping(&AUTHORIZATION, MINUTE).send(&expired).await;
    assert_eq!((outcome.status(), outcome.body()), (403, FORBIDDEN));
    assert_eq!(http(&[], &expired).await, unauthorized());
}

#[test] // template: what is undocumented is not used, until the third live check says what it does
fn row_38_no_template_combines_an_identity_source_with_the_returned_object() {
    let authorizers = templates::http_authorizers();
    assert!(!authorizers.is_empty());
    for (name, authorizer) in authorizers {
        assert!(authorizer.get("Identity").is_none(), "{name}");
    }
}

#[tokio::test] // model
async fn row_39_a_kept_allow_serves_other_routes_and_methods() {
    let (_, front) = keeping(&[]).await;
    let headers = [("authorization", &*bearer(&valid()))];
    assert_eq!(front.send(&request(Method::GET, "/a", &headers)).await.status(), 200);
    assert_eq!(front.send(&request(Method::POST, "/b", &headers)).await.status(), 200);
    assert_eq!(front.take_invocations(), 1);
}

#[tokio::test] // model
async fn row_40_with_the_route_as_a_source_each_route_is_asked() {
    let (_, front) = ours(Kind::HttpSimple, &[]).await;
    let sources = [AUTHORIZATION[0], IdentitySource::RouteKey];
    let front = front.keeping(&sources, MINUTE);
    let headers = [("authorization", &*bearer(&valid()))];
    for path in ["/a", "/b", "/a"] {
        assert_eq!(front.send(&request(Method::GET, path, &headers)).await.status(), 200);
    }
    assert_eq!(front.take_invocations(), 2);
}

#[tokio::test] // model, given result
async fn row_41_a_kept_denial_outlives_its_cause() {
    let is_cured = Arc::new(AtomicBool::new(false));
    let cured = Arc::clone(&is_cured);
    let function = Function::new(move |_: Value| {
        ready(Invoked::Ok(json!({ "isAuthorized": cured.load(Ordering::SeqCst) })))
    });
    let front = FrontDoor::new(Kind::HttpSimple, function).keeping(&AUTHORIZATION, MINUTE);
    let request = get(&[("authorization", &bearer(&valid()))]);
    assert_eq!(front.send(&request).await.body(), FORBIDDEN);
    is_cured.store(true, Ordering::SeqCst);
    front.clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(front.send(&request).await.body(), FORBIDDEN);
    front.clock.advance(Duration::from_millis(1));
    assert_eq!(front.send(&request).await.status(), 200);
}

#[tokio::test] // model
async fn row_42_a_kept_allow_outlives_the_session() {
    let (stack, front) = keeping(&[STRICT]).await;
    events::seed_session(&stack.store).await;
    let request = get(&[("authorization", &bearer(&of_a_session()))]);
    assert_eq!(front.send(&request).await.status(), 200);
    assert!(stack.store.delete_session(&events::session().handle).await.unwrap());
    front.clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(front.send(&request).await.status(), 200);
    front.clock.advance(Duration::from_millis(1));
    assert_eq!(front.send(&request).await.status(), 401);
}

#[tokio::test] // function
async fn a_strict_authorizer_refuses_what_the_table_does_not_know_and_no_fault_of_the_table() {
    let (stack, front) = ours(Kind::HttpSimple, &[STRICT]).await;
    let request = get(&[("authorization", &bearer(&of_a_session()))]);
    assert_eq!(front.send(&request).await.status(), 401, "unknown");
    events::seed_session(&stack.store).await;
    assert_eq!(front.send(&request).await.status(), 200);
    stack.wire.break_all(Some(Fault::ServerError));
    assert_eq!(
        front.send(&request).await.body(),
        SERVER_ERROR,
        "a fault is neither 401 nor allowed"
    );
    stack.wire.break_all(None);
    // Handles of another form are another issuer's: unknown, and not looked up.
    stack.wire.take_calls();
    let foreign = front.send(&get(&[("authorization", &bearer(&valid()))])).await;
    assert_eq!((foreign.status(), stack.wire.take_calls()), (401, Vec::new()));
}

#[tokio::test] // model
async fn row_43_a_kept_allow_outlives_the_token() {
    let (_, front) = keeping(&[]).await;
    let token = Jwt::valid().claim("exp", START.as_secs() + 5).sign();
    let request = get(&[("authorization", &bearer(&token))]);
    assert_eq!(front.send(&request).await.status(), 200);
    front.clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(front.send(&request).await.status(), 200);
    front.clock.advance(Duration::from_millis(1));
    assert_eq!(front.send(&request).await.status(), 401);
}

#[tokio::test] // model
async fn row_44_a_kept_context_comes_again_so_it_holds_instants_and_no_durations() {
    let (_, front) = keeping(&[]).await;
    let request = get(&[("authorization", &bearer(&valid()))]);
    let first = front.send(&request).await.authorizer.unwrap();
    front.clock.advance(Duration::from_secs(30));
    assert_eq!(front.send(&request).await.authorizer.unwrap(), first);
    assert_eq!(first["lambda"]["expiry"], START.as_secs() + 3600);
}

#[tokio::test] // model, given result
async fn row_45_a_policy_for_one_route_fails_the_next_once_it_is_kept() {
    let arn = "arn:aws:execute-api:eu-west-1:123456789012:abcdef123/$default/GET/a";
    let one = json!([{ "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn }]);
    let front = given(Kind::HttpPolicy, policy(&one)).keeping(&AUTHORIZATION, MINUTE);
    let headers = [("authorization", "Bearer x")];
    assert_eq!(front.send(&request(Method::GET, "/a", &headers)).await.status(), 200);
    let outcome = front.send(&request(Method::GET, "/b", &headers)).await;
    assert_eq!((outcome.status(), outcome.body()), (403, FORBIDDEN));
}

#[tokio::test] // function, model
async fn row_46_our_policy_covers_every_route_of_the_stage_and_no_other_api() {
    let (_, front) = ours(Kind::HttpPolicy, &[("AUTHORIZER_RESPONSE", "policy")]).await;
    let front = front.keeping(&AUTHORIZATION, MINUTE);
    let headers = [("authorization", &*bearer(&valid()))];
    for (method, path) in [(Method::GET, "/a"), (Method::POST, "/b"), (Method::GET, "/orders/7/x")]
    {
        let outcome = front.send(&request(method, path, &headers)).await;
        assert_eq!(outcome.status(), 200);
        assert_eq!(outcome.authorizer.unwrap()["lambda"]["userId"], "user-1");
    }
    assert_eq!(front.take_invocations(), 1);
}

#[tokio::test] // model, given result
async fn row_47_an_explicit_deny_beats_an_allow() {
    let statement = |effect: &str, resource: &str| json!({ "Effect": effect, "Action": "execute-api:Invoke", "Resource": resource });
    let both = json!([statement("Allow", "*"), statement("Deny", "arn:*/GET/orders")]);
    let front = given(Kind::HttpPolicy, policy(&both));
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (403, FORBIDDEN));
    assert_eq!(front.send(&request(Method::GET, "/a", &[])).await.status(), 200);
}

#[tokio::test] // model: our function, set to the other format than the gateway is
async fn row_48_a_boolean_where_a_policy_is_expected_is_a_fault() {
    let (_, front) = ours(Kind::HttpPolicy, &[]).await;
    let outcome = front.send(&get(&[("authorization", &bearer(&valid()))])).await;
    assert_eq!((outcome.status(), outcome.body()), (500, SERVER_ERROR));
}

#[tokio::test] // function, model
async fn row_49_payload_1_is_answered_by_policy_and_401_by_the_object() {
    let (_, front) = ours(Kind::Http1, &[]).await;
    let outcome = front.send(&get(&[("cookie", &access_cookie(&valid()))])).await;
    assert_eq!(outcome.status(), 200);
    assert_eq!(outcome.authorizer.unwrap()["userId"], "user-1");
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    // `claims` would be taken for the gateway's own there.
    let allowed = function(&[], shape::http_api_1(&get(&[("cookie", &access_cookie(&valid()))])));
    assert!(allowed.await.unwrap()["context"].get("claims").is_none());
}

#[test] // template
fn row_50_no_template_asks_for_simple_answers_to_payload_1() {
    for (name, authorizer) in templates::http_authorizers() {
        let is_simple = authorizer["EnableSimpleResponses"] == true;
        assert!(!is_simple || authorizer["AuthorizerPayloadFormatVersion"] == "2.0", "{name}");
    }
}
