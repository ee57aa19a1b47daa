//! Claims and session operations behind the layer, row by row of contract §10.5, and the rows of
//! contract §10.1 and §10.2 that need it.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value as Json, json};
use session::http::{AntiCsrfCheck, RequestSession, RouteOptions, VerifySession, create};
use session::model::{
    ArrayClaim, ClaimValidator, Clock as _, Device, NewSession, PrimitiveClaim, SessionHandle,
};
use session::service::{AntiCsrfProof, DatabaseCheck, FetchedClaim};
use session::store::{DynamoDb, SessionReader as _};
use session::{SessionError, Sessions};
use testkit::Harness;
use testkit::clock::START;
use testkit::harness::Tokens;

use crate::effects::{
    Answer, Effects, Value, answer, claims, clr_all, clr_c, clr_h, none, read, set_c, set_c_until,
};
use crate::manage::map;
use crate::mint::{Jwt, access_cookie};
use crate::route::{Session, app, get, layer, layer_over, ok, plain, send, sessions, strict};

/// Updates cookies: access and front token only (contract §0.3).
fn upd_c() -> Effects {
    let Effects { mut cookies, .. } = set_c();
    cookies.truncate(1);
    Effects { cookies, ..set_c() }
}

/// Updates headers.
fn upd_h() -> Effects {
    let exposed = "front-token, st-access-token".to_owned();
    Effects { front: Value::Real, access: Value::Real, exposed, ..none() }
}

/// `unauthorised` of contract §3.6, with these effects.
fn unauthorised(effects: Effects) -> Answer {
    answer(401, r#"{"message":"unauthorised"}"#, effects)
}

/// `try refresh token` of contract §3.6.
fn try_refresh() -> Answer {
    answer(401, r#"{"message":"try refresh token"}"#, none())
}

/// The answer to invalid claims, the errors as JSON text.
fn invalid(errors: &str, effects: Effects) -> Answer {
    let body = format!(r#"{{"message":"invalid claim","claimValidationErrors":[{errors}]}}"#);
    answer(403, &body, effects)
}

/// The answer if claim `c` fails for this reason.
fn invalid_c(reason: &str, effects: Effects) -> Answer {
    invalid(&format!(r#"{{"id":"c","reason":{reason}}}"#), effects)
}

async fn signed_in(settings: &[(&str, &str)]) -> (Harness, Tokens) {
    let stack = Harness::new(settings).await;
    let tokens = stack.sign_in("cookie").await;
    (stack, tokens)
}

fn handle(tokens: &Tokens) -> SessionHandle {
    claims(&tokens.access)["sessionHandle"].as_str().unwrap().parse().unwrap()
}

/// A claim whose value is always this one; `None` has nothing to say.
fn fetched(key: &str, value: Option<Json>) -> FetchedClaim {
    FetchedClaim::new(key, move |_, _| {
        let value = value.clone();
        async move { Ok(value) }
    })
}

/// A route whose claim `c` is fetched with this value and must be `y`.
fn demanding_y(stack: &Harness, value: Option<Json>) -> VerifySession<DynamoDb> {
    let sessions = sessions(stack)
        .with_claim(fetched("c", value))
        .with_validator(PrimitiveClaim::new("c").has_value("y"));
    layer_over(stack, sessions)
}

/// A signed-in client whose session has claim `r`, fetched when it signed in.
async fn with_roles(roles: Json) -> (Harness, Tokens) {
    let stack = Harness::new(&[]).await;
    let sessions = sessions(&stack).with_claim(fetched("r", Some(roles)));
    let request = http::Request::post("/").header("st-auth-mode", "cookie").body(()).unwrap();
    let (new, device, rng) =
        (NewSession::for_user("user-1"), Device::default(), &mut StdRng::seed_from_u64(1));
    let issued = create(&sessions, &request, new, device, START, rng).await.unwrap();
    let mut response = http::Response::new(bytes::Bytes::new());
    issued.apply(response.headers_mut());
    let tokens = Tokens::of(&response);
    (stack, tokens)
}

#[tokio::test]
async fn m1_two_validators_fail_the_second_without_a_reason() {
    let (stack, tokens) = signed_in(&[]).await;
    let sessions = sessions(&stack)
        .with_validator(ClaimValidator::custom("c1", |_, _| Err(Some(json!({ "message": "no" })))))
        .with_validator(ClaimValidator::custom("c2", |_, _| Err(None)))
        .with_validator(ClaimValidator::custom("c3", |_, _| Ok(())));
    let layer = layer_over(&stack, sessions);
    let seen = get(&stack, &layer, &[("cookie", &tokens.access_cookie())], plain).await;
    let errors = r#"{"id":"c1","reason":{"message":"no"}},{"id":"c2"}"#;
    assert_eq!(seen, invalid(errors, none()));
}

#[tokio::test]
async fn m2_a_missing_claim_is_fetched_and_delivered() {
    let (stack, tokens) = signed_in(&[]).await;
    let layer = demanding_y(&stack, Some(json!("y")));
    let seen = get(&stack, &layer, &[("cookie", &tokens.access_cookie())], plain).await;
    assert_eq!(seen, app(upd_c()));
    let stored = stack.store.session(&handle(&tokens)).await.unwrap().unwrap();
    let claim = json!({ "v": "y", "t": START.as_millis() });
    assert_eq!(stored.access_token_payload["c"], claim);
}

/// The reference does not deliver the new token with the refusal, and fetches again at every request
/// until the client refreshes (contract §6.4).
#[tokio::test]
async fn m3_a_wrong_fetched_value_is_refused_and_delivered() {
    let (stack, tokens) = signed_in(&[]).await;
    let layer = demanding_y(&stack, Some(json!("x")));
    let headers = [("cookie", tokens.access_cookie())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let response = send(&layer, (Method::GET, "/"), &headers, plain).await.unwrap();
    let renewed = Tokens::of(&response);
    let reason = r#"{"message":"wrong value","expectedValue":"y","actualValue":"x"}"#;
    assert_eq!(read(&stack, response).await, invalid_c(reason, upd_c()));
    // With the token that came with the refusal nothing is fetched and nothing written.
    stack.wire.take_calls();
    let seen = get(&stack, &layer, &[("cookie", &renewed.access_cookie())], plain).await;
    assert_eq!(seen, invalid_c(reason, none()));
    assert!(stack.wire.take_calls().iter().all(|call| call.operation == "GetItem"), "keys only");
}

#[tokio::test]
async fn m4_a_missing_claim_with_nothing_to_fetch_is_refused() {
    let (stack, tokens) = signed_in(&[]).await;
    let layer = demanding_y(&stack, None);
    let seen = get(&stack, &layer, &[("cookie", &tokens.access_cookie())], plain).await;
    let reason = r#"{"message":"value does not exist","expectedValue":"y"}"#;
    assert_eq!(seen, invalid_c(reason, none()));
}

#[tokio::test]
async fn m5_a_claim_that_is_too_old_with_nothing_to_fetch_is_refused() {
    let (stack, _) = signed_in(&[]).await;
    let token = Jwt::valid().claim("c", json!({ "v": "y", "t": START.as_millis() - 35 })).sign();
    let validator = PrimitiveClaim::new("c").has_value("y").max_age(Duration::ZERO);
    let sessions = sessions(&stack).with_claim(fetched("c", None)).with_validator(validator);
    let layer = layer_over(&stack, sessions);
    let seen = get(&stack, &layer, &[("cookie", &access_cookie(&token))], plain).await;
    let reason = r#"{"message":"expired","ageInSeconds":0.035,"maxAgeInSeconds":0}"#;
    assert_eq!(seen, invalid_c(reason, none()));
}

#[tokio::test]
async fn m6_every_demand_on_an_array_says_what_it_wanted() {
    let (stack, tokens) = with_roles(json!(["a", "b"])).await;
    let roles = ArrayClaim::new("r");
    for (validator, expected) in [
        (roles.includes("z"), r#""expectedToInclude":"z""#),
        (roles.excludes("a"), r#""expectedToNotInclude":"a""#),
        (roles.includes_all(["a", "z"]), r#""expectedToInclude":["a","z"]"#),
        (roles.includes_any(["z"]), r#""expectedToIncludeAtLeastOneOf":["z"]"#),
        (roles.excludes_all(["a", "q"]), r#""expectedToNotInclude":["a","q"]"#),
    ] {
        let layer = layer(&stack).with(RouteOptions::default().require(validator));
        let seen = get(&stack, &layer, &[("cookie", &tokens.access_cookie())], plain).await;
        let reason = format!(r#"{{"message":"wrong value",{expected},"actualValue":["a","b"]}}"#);
        let error = format!(r#"{{"id":"r","reason":{reason}}}"#);
        assert_eq!(seen, invalid(&error, none()));
    }
}

#[tokio::test]
async fn m7_a_reason_may_be_any_json() {
    let (stack, tokens) = signed_in(&[]).await;
    let validator = ClaimValidator::custom("c", |_, _| Err(Some(json!("str"))));
    let layer = layer(&stack).with(RouteOptions::default().require(validator));
    let seen = get(&stack, &layer, &[("cookie", &tokens.access_cookie())], plain).await;
    assert_eq!(seen, invalid_c(r#""str""#, none()));
}

async fn merge_x(session: Option<Session>) -> crate::route::Handled {
    let patch = map(json!({ "x": 1, "st-role": null }));
    session.unwrap().merge_into_access_token_payload(patch).await?;
    ok()
}

#[tokio::test]
async fn m8_a_merge_delivers_a_token_with_the_same_end_issued_now() {
    for (mode, effects) in [("cookie", upd_c()), ("header", upd_h())] {
        let stack = Harness::new(&[]).await;
        let tokens = stack.sign_in(mode).await;
        stack.clock.advance(Duration::from_secs(60));
        let (cookie, bearer) = (tokens.access_cookie(), tokens.access_bearer());
        let header =
            if mode == "cookie" { ("cookie", &cookie) } else { ("authorization", &bearer) };
        let headers = [(header.0, header.1.as_str())];
        let layer = layer(&stack);
        let response = send(&layer, (Method::GET, "/"), &headers, merge_x).await.unwrap();
        let (before, after) = (claims(&tokens.access), claims(&Tokens::of(&response).access));
        let mut expected = before.clone();
        expected["iat"] = (START.as_secs() + 60).into();
        expected["x"] = 1.into();
        expected.as_object_mut().unwrap().remove("st-role").unwrap();
        assert_eq!(after, expected);
        let minute_later = "Wed, 13 Nov 2024 22:14:20 GMT";
        let mut effects = effects;
        if mode == "cookie" {
            effects.cookies = set_c_until(minute_later, "").cookies;
            effects.cookies.truncate(1);
        }
        assert_eq!(read(&stack, response).await, app(effects));
    }
}

/// Contract §4.5: the value stays, and is repeated only to a request that carried it.
#[tokio::test]
async fn m8_the_anti_csrf_token_stays_and_is_repeated_to_those_who_sent_it() {
    let (stack, tokens) = signed_in(&[("ANTI_CSRF", "VIA_TOKEN")]).await;
    let cookie = tokens.access_cookie();
    let seen = get(&stack, &layer(&stack), &[("cookie", &cookie)], merge_x).await;
    assert_eq!(seen, app(upd_c()));
    let headers = [("cookie", cookie.as_str()), ("anti-csrf", tokens.anti_csrf.as_str())];
    let response = send(&layer(&stack), (Method::POST, "/"), &headers, merge_x).await.unwrap();
    assert_eq!(Tokens::of(&response).anti_csrf, tokens.anti_csrf);
    let exposed = "front-token, anti-csrf".to_owned();
    let expected = Effects { anti_csrf: Value::Real, exposed, ..upd_c() };
    assert_eq!(read(&stack, response).await, app(expected));
}

#[tokio::test]
async fn m9_a_merge_after_the_token_expired_changes_the_table_only() {
    let (stack, tokens) = signed_in(&[]).await;
    let clock = stack.clock.clone();
    let seen =
        get(&stack, &layer(&stack), &[("cookie", &tokens.access_cookie())], move |session| {
            let clock = clock.clone();
            async move {
                let session = session.unwrap();
                clock.advance(Duration::from_hours(1));
                session.merge_into_access_token_payload(map(json!({ "x": 1 }))).await?;
                assert_eq!(session.access_token_payload()["x"], 1, "the handler sees its change");
                assert_eq!(session.access_token_payload()["sub"], "user-1");
                ok()
            }
        })
        .await;
    assert_eq!(seen, app(none()));
    let stored = stack.store.session(&handle(&tokens)).await.unwrap().unwrap();
    assert_eq!(stored.access_token_payload["x"], 1);
}

/// A request whose session is revoked after its token was verified.
async fn revoked_meanwhile<F>(then: impl Fn(Session) -> F + Clone + Send + 'static) -> Answer
where
    F: Future<Output = Result<(), SessionError>> + Send + 'static,
{
    let (stack, tokens) = signed_in(&[]).await;
    let other = Arc::new(sessions(&stack));
    get(&stack, &layer(&stack), &[("cookie", &tokens.access_cookie())], move |session| {
        let (session, other, then) = (session.unwrap(), Arc::clone(&other), then.clone());
        async move {
            assert!(other.revoke(&session.handle()?).await?);
            then(session).await?;
            ok()
        }
    })
    .await
}

#[tokio::test]
async fn m10_a_merge_after_the_session_was_revoked_logs_out() {
    let seen = revoked_meanwhile(async |session| {
        session.merge_into_access_token_payload(map(json!({ "x": 1 }))).await
    });
    assert_eq!(seen.await, unauthorised(clr_all()));
}

#[tokio::test]
async fn m11_reading_or_writing_data_of_a_revoked_session_logs_out() {
    let read = revoked_meanwhile(async |session| session.session_data().await.map(drop));
    assert_eq!(read.await, unauthorised(clr_all()));
    let information = revoked_meanwhile(async |session| session.information().await.map(drop));
    assert_eq!(information.await, unauthorised(clr_all()));
    let write = revoked_meanwhile(async |session| session.update_session_data(Map::new()).await);
    assert_eq!(write.await, unauthorised(clr_all()));
}

#[tokio::test]
async fn m12_a_handler_may_end_the_session() {
    for (mode, effects) in [("cookie", clr_c()), ("header", clr_h())] {
        let stack = Harness::new(&[]).await;
        let tokens = stack.sign_in(mode).await;
        let (cookie, bearer) = (tokens.access_cookie(), tokens.access_bearer());
        let header =
            if mode == "cookie" { ("cookie", &cookie) } else { ("authorization", &bearer) };
        let revoke = async |session: Option<Session>| {
            session.unwrap().revoke().await?;
            ok()
        };
        let seen = get(&stack, &layer(&stack), &[(header.0, header.1)], revoke).await;
        assert_eq!(seen, app(effects));
        assert_eq!(stack.store.session(&handle(&tokens)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn m12_ending_a_session_that_is_gone_already_succeeds() {
    let seen = revoked_meanwhile(async |session| session.revoke().await);
    assert_eq!(seen.await, app(clr_c()));
}

#[tokio::test]
async fn m13_a_handler_may_refuse_the_session() {
    let (stack, tokens) = signed_in(&[]).await;
    let refuse = async |_| Err(SessionError::unauthorised().into());
    let seen = get(&stack, &layer(&stack), &[("cookie", &tokens.access_cookie())], refuse).await;
    assert_eq!(seen, unauthorised(clr_all()));
    assert!(stack.store.session(&handle(&tokens)).await.unwrap().is_some());
}

#[tokio::test]
async fn m13_refusing_a_session_whose_token_came_by_header_clears_only_headers() {
    let (stack, tokens) = signed_in(&[]).await;
    let refuse = async |_| Err(SessionError::unauthorised().into());
    let bearer = tokens.access_bearer();
    let seen = get(&stack, &layer(&stack), &[("authorization", &bearer)], refuse).await;
    assert_eq!(seen, unauthorised(clr_h()));
}

#[tokio::test]
async fn m14_garbage_as_a_token_is_no_session() {
    let (stack, tokens) = signed_in(&[]).await;
    let (sessions, clock): (_, Arc<dyn session::model::Clock>) =
        (Arc::new(sessions(&stack)), Arc::new(stack.clock.clone()));
    let from = async |text: &str| {
        let off = DatabaseCheck::Off;
        RequestSession::from_token(&sessions, &clock, text, AntiCsrfProof::NotUsed, off).await
    };
    let required = from("garbage").await;
    assert!(matches!(required, Err(SessionError::NoToken)));
    assert!(required.ok().is_none(), "an optional session is none");
    assert_eq!(from(&tokens.access).await.unwrap().user_id().as_str(), "user-1");
    let expired = Jwt::expired().sign();
    assert!(matches!(from(&expired).await, Err(SessionError::TryRefresh(_))));
}

#[tokio::test]
async fn a_token_without_a_request_is_proved_and_delivered_as_the_caller_says() {
    let (stack, tokens) = signed_in(&[("ANTI_CSRF", "VIA_TOKEN")]).await;
    let (sessions, clock): (_, Arc<dyn session::model::Clock>) =
        (Arc::new(sessions(&stack)), Arc::new(stack.clock.clone()));
    let from = async |proof: Option<&str>| {
        let (proof, alive) = (AntiCsrfProof::Token(proof), DatabaseCheck::Alive);
        RequestSession::from_token(&sessions, &clock, &tokens.access, proof, alive).await
    };
    for wrong in [None, Some("x")] {
        assert!(matches!(from(wrong).await, Err(SessionError::TryRefresh(_))));
    }
    let session = from(Some(&tokens.anti_csrf)).await.unwrap();
    session.merge_into_access_token_payload(map(json!({ "x": 1 }))).await.unwrap();
    let mut response = http::Response::new(bytes::Bytes::from_static(b"app"));
    session.apply(response.headers_mut());
    assert_eq!(response.headers().len(), 0, "nobody has said how");
    session.deliver_by(session::http::TransferMethod::Header);
    session.apply(response.headers_mut());
    assert_eq!(Tokens::of(&response).front, session.tokens().front);
    assert_eq!(read(&stack, response).await, app(upd_h()));
    assert!(sessions.revoke(&handle(&tokens)).await.unwrap());
    let gone = from(Some(&tokens.anti_csrf)).await;
    assert!(matches!(gone, Err(SessionError::SessionEnded(_))));
}

#[tokio::test]
async fn m15_the_status_of_invalid_claims_can_be_chosen() {
    let (stack, tokens) = signed_in(&[("INVALID_CLAIM_STATUS_CODE", "499")]).await;
    let validator = ClaimValidator::custom("c2", |_, _| Err(None));
    let layer = layer(&stack).with(RouteOptions::default().require(validator));
    let seen = get(&stack, &layer, &[("cookie", &tokens.access_cookie())], plain).await;
    assert_eq!(seen, Answer { status: 499, ..invalid(r#"{"id":"c2"}"#, none()) });
}

/// A sign-in that fails after it created the session: what was issued does not get out, and the front end
/// forgets what it had. Cookies that the request did not show stay, unlike in the reference: a foreign page
/// may have sent it.
#[tokio::test]
async fn c19_a_sign_in_that_is_refused_after_all_logs_out_and_the_session_stays() {
    let stack = Harness::new(&[]).await;
    let sessions = Arc::new(sessions(&stack));
    let layer = VerifySession::new(Arc::clone(&sessions), stack.clock.clone());
    let layer = layer.with(RouteOptions::default().optional());
    let request = (Method::POST, "/signin");
    let created = Arc::clone(&sessions);
    let response = send(&layer, request, &[("st-auth-mode", "cookie")], move |_| {
        let sessions = Arc::clone(&created);
        async move {
            let request = http::Request::post("/").header("st-auth-mode", "cookie").body(())?;
            let (new, device) = (NewSession::for_user("user-1"), Device::default());
            let rng = &mut StdRng::seed_from_u64(1);
            let tokens = create(&sessions, &request, new, device, START, rng).await?;
            let mut response = http::Response::new(String::new());
            tokens.apply(response.headers_mut());
            Err(SessionError::unauthorised().into())
        }
    })
    .await
    .unwrap();
    assert_eq!(read(&stack, response).await, unauthorised(clr_h()));
    let user = session::model::UserId::new("user-1");
    assert_eq!(sessions.handles_of(&user, START).await.unwrap().len(), 1);
}

async fn revoked() -> (Harness, Tokens) {
    let (stack, tokens) = signed_in(&[]).await;
    assert!(sessions(&stack).revoke(&handle(&tokens)).await.unwrap());
    (stack, tokens)
}

#[tokio::test]
async fn v37_a_strict_route_refuses_a_revoked_session_and_clears_its_tokens() {
    for check in [DatabaseCheck::Alive, DatabaseCheck::Lineage] {
        let (stack, tokens) = revoked().await;
        let layer = layer(&stack).with(strict(check));
        let seen = get(&stack, &layer, &[("cookie", &tokens.access_cookie())], plain).await;
        assert_eq!(seen, unauthorised(clr_all()));
    }
}

#[tokio::test]
async fn v37_a_strict_route_clears_only_headers_if_the_token_came_by_header() {
    let (stack, tokens) = revoked().await;
    let layer = layer(&stack).with(strict(DatabaseCheck::Alive));
    let seen = get(&stack, &layer, &[("authorization", &tokens.access_bearer())], plain).await;
    assert_eq!(seen, unauthorised(clr_h()));
}

#[tokio::test]
async fn v38_another_route_lets_it_through() {
    let (stack, tokens) = revoked().await;
    let seen = get(&stack, &layer(&stack), &[("cookie", &tokens.access_cookie())], plain).await;
    assert_eq!(seen, app(none()));
}

/// V39 is for stores whose refresh leaves the old token in force until the new one is seen; ours rotates
/// at once, so there is nothing to promote and nothing to replace, on a strict route neither.
#[tokio::test]
async fn v39_a_token_with_a_parent_is_not_replaced() {
    let (stack, tokens) = signed_in(&[]).await;
    let Json::Object(payload) = claims(&tokens.access) else { unreachable!() };
    let mut token = Jwt { payload, ..Jwt::valid() };
    token = token.claim("parentRefreshTokenHash1", "0".repeat(64));
    let cookie = access_cookie(&token.sign());
    for check in [DatabaseCheck::Off, DatabaseCheck::Alive, DatabaseCheck::Lineage] {
        let layer = layer(&stack).with(strict(check));
        assert_eq!(get(&stack, &layer, &[("cookie", &cookie)], plain).await, app(none()));
    }
}

/// The reference lets the handler answer. A handler that stands behind a role or a strict check must not be
/// reached by whoever only refreshes.
#[tokio::test]
async fn v58_a_post_to_the_refresh_path_is_answered_without_the_handler() {
    let (stack, tokens) = signed_in(&[]).await;
    let path = (Method::POST, "/auth/session/refresh");
    let cookie = tokens.refresh_cookie();
    let role = RouteOptions::default().require(ArrayClaim::new("st-role").includes("admin"));
    let layer = layer(&stack).with(role);
    let response = send(&layer, path, &[("cookie", &cookie)], plain).await.unwrap();
    assert_ne!(Tokens::of(&response).refresh, tokens.refresh);
    assert_eq!(read(&stack, response).await, answer(200, "{}", set_c()));
}

#[tokio::test]
async fn v58_a_refresh_through_the_layer_fails_as_the_endpoint_does() {
    let stack = Harness::new(&[]).await;
    let path = (Method::POST, "/auth/session/refresh");
    let response = send(&layer(&stack), path.clone(), &[], plain).await.unwrap();
    assert_eq!(read(&stack, response).await, unauthorised(clr_h()));
    let headers = [("cookie", "sIdRefreshToken=x")];
    let response = send(&layer(&stack), path, &headers, plain).await.unwrap();
    let seen = read(&stack, response).await;
    assert_eq!(seen, unauthorised(clr_h().and_clr_legacy()));
}

/// The rows of verification through the layer; the rest of them are in `verify_rows`.
#[tokio::test]
async fn v4_v5_v6_v12_a_request_without_a_session_is_refused_or_passes_as_its_route_says() {
    let stack = Harness::new(&[]).await;
    let required = layer(&stack);
    let optional = required.with(RouteOptions::default().optional());
    let without = async |session: Option<Session>| {
        assert!(session.is_none());
        ok()
    };
    assert_eq!(get(&stack, &required, &[], without).await, unauthorised(none()));
    assert_eq!(get(&stack, &optional, &[], without).await, app(none()));
    let preflight = [("origin", "https://example.com"), ("access-control-request-method", "POST")];
    for (method, headers, expected) in [
        (Method::OPTIONS, &preflight[..], app(none())),
        (Method::OPTIONS, &preflight[..1], unauthorised(none())),
        (Method::OPTIONS, &preflight[1..], unauthorised(none())),
        (Method::TRACE, &[], unauthorised(none())),
    ] {
        let response = send(&required, (method.clone(), "/"), headers, without).await.unwrap();
        assert_eq!(read(&stack, response).await, expected, "{method} {headers:?}");
    }
    let expired = access_cookie(&Jwt::expired().sign());
    for layer in [required, optional] {
        let seen = get(&stack, &layer, &[("cookie", &expired)], without).await;
        assert_eq!(seen, try_refresh());
    }
}

#[tokio::test]
async fn v44_v49_v54_anti_csrf_proofs_are_asked_for_as_the_route_says() {
    let (stack, tokens) = signed_in(&[("WEBSITE_DOMAIN", "https://other.com")]).await;
    let cookie = tokens.access_cookie();
    let headers = [("cookie", cookie.as_str())];
    let (get, post) = ((Method::GET, "/"), (Method::POST, "/"));
    for (options, request, is_let_through) in [
        (RouteOptions::default(), &get, true),
        (RouteOptions::default(), &post, false),
        (RouteOptions::default().optional(), &post, false),
        (RouteOptions::default().anti_csrf(AntiCsrfCheck::Always), &get, false),
        (RouteOptions::default().anti_csrf(AntiCsrfCheck::Never), &post, true),
    ] {
        let layer = layer(&stack).with(options.clone());
        let response = send(&layer, request.clone(), &headers, plain).await.unwrap();
        let expected = if is_let_through { app(none()) } else { try_refresh() };
        assert_eq!(read(&stack, response).await, expected, "{options:?}");
    }
}

#[tokio::test]
async fn s10_global_validators_keep_nobody_from_signing_out_or_refreshing() {
    let (stack, tokens) = signed_in(&[]).await;
    let sessions: Sessions<DynamoDb> =
        sessions(&stack).with_validator(ClaimValidator::custom("never", |_, _| Err(None)));
    let request = |path: &str, cookie: String| {
        http::Request::post(path).header("cookie", cookie).body(()).unwrap()
    };
    let device = Device::default();
    let refresh = request("/auth/session/refresh", tokens.refresh_cookie());
    let (response, _) = session::http::refresh(&sessions, &refresh, &device, START).await;
    let seen = read(&stack, response.map(bytes::Bytes::from)).await;
    assert_eq!(seen, answer(200, "{}", set_c()));
    let sign_out = request("/auth/signout", tokens.access_cookie());
    let now = stack.clock.now();
    let (response, _) = session::http::sign_out(&sessions, &sign_out, now).await;
    let seen = read(&stack, response.map(bytes::Bytes::from)).await;
    assert_eq!(seen, answer(200, r#"{"status":"OK"}"#, clr_c()));
}
