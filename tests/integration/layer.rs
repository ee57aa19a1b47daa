//! What the layer promises beyond the rows of the contract.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Map, json};
use session::config::SessionConfig;
use session::error::TryRefresh;
use session::http::{ErrorHandlers, RouteOptions, VerifySession, json as json_response};
use session::model::{
    Authentication, ClaimValidator, Clock as _, Device, InvalidClaim, NewSession, PrimitiveClaim,
};
use session::service::{BoxError, DatabaseCheck, FetchedClaim, IssuedTokens};
use session::{SessionError, Sessions};
use testkit::clock::START;
use testkit::harness::Tokens;
use testkit::{Fault, Harness, Treatment};

use crate::effects::{claims, clr_all, none, read};
use crate::manage::{after, create, map, service};
use crate::route::{
    Handled, Session, app, get, layer, layer_over, ok, plain, send, sessions, strict,
};

async fn signed_in() -> (Harness, Tokens) {
    let stack = Harness::new(&[]).await;
    let tokens = stack.sign_in("cookie").await;
    (stack, tokens)
}

#[tokio::test]
async fn a_strict_verification_is_one_read() {
    let (stack, tokens) = signed_in().await;
    let cookie = tokens.access_cookie();
    for check in [DatabaseCheck::Alive, DatabaseCheck::Lineage] {
        let layer = layer(&stack).with(strict(check));
        get(&stack, &layer, &[("cookie", &cookie)], plain).await;
        stack.wire.take_calls();
        get(&stack, &layer, &[("cookie", &cookie)], plain).await;
        let calls = stack.wire.take_calls();
        assert_eq!(calls.len(), 1);
        assert_eq!((calls[0].operation.as_str(), calls[0].units), ("GetItem", Some(1.0)));
    }
}

/// A fault is never "allow" and never a logout.
#[tokio::test]
async fn a_store_that_is_down_is_503_and_clears_nothing() {
    let (stack, tokens) = signed_in().await;
    let layer = layer(&stack).with(strict(DatabaseCheck::Alive));
    let cookie = tokens.access_cookie();
    get(&stack, &layer, &[("cookie", &cookie)], plain).await;
    stack.wire.break_all(Some(Fault::ServerError));
    let headers = [("cookie", cookie.as_str())];
    let response = send(&layer, (Method::GET, "/"), &headers, plain).await.unwrap();
    stack.wire.break_all(None);
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert_eq!(read(&stack, response).await.effects, none());
    assert_eq!(get(&stack, &layer, &headers, plain).await, app(none()));
}

/// A token of the current generation and of its parent is good, and an older one leads to a refresh,
/// without clearing anything (contract §5.8).
#[tokio::test]
async fn a_token_of_an_older_generation_leads_to_a_refresh_where_lineage_is_checked() {
    let stack = Harness::new(&[]).await;
    let mut generations = vec![stack.sign_in("cookie").await];
    for _ in 0..2 {
        stack.clock.advance(Duration::from_secs(61));
        let cookie = generations.last().unwrap().refresh_cookie();
        generations.push(Tokens::of(&stack.refresh(&[("cookie", &cookie)]).await));
    }
    for (check, expected) in
        [(DatabaseCheck::Alive, [200, 200, 200]), (DatabaseCheck::Lineage, [401, 200, 200])]
    {
        let layer = layer(&stack).with(strict(check));
        for (tokens, status) in generations.iter().zip(expected) {
            let seen = get(&stack, &layer, &[("cookie", &tokens.access_cookie())], plain).await;
            assert_eq!(seen.status, status);
            assert_eq!(seen.effects, none());
        }
    }
}

#[tokio::test]
async fn lineage_knows_tokens_that_came_with_an_anti_csrf_token() {
    let stack = Harness::new(&[("ANTI_CSRF", "VIA_TOKEN")]).await;
    let tokens = stack.sign_in("cookie").await;
    let layer = layer(&stack).with(strict(DatabaseCheck::Lineage));
    let seen = get(&stack, &layer, &[("cookie", &tokens.access_cookie())], plain).await;
    assert_eq!(seen, app(none()));
}

#[tokio::test]
async fn an_expired_session_is_over_on_a_strict_route_even_if_its_token_is_not() {
    let stack = Harness::new(&[]).await;
    let tokens = stack.sign_in("cookie").await;
    let handle = claims(&tokens.access)["sessionHandle"].as_str().unwrap().parse().unwrap();
    let session = sessions(&stack).information(&handle, START).await.unwrap().unwrap().summary;
    stack.clock.set(session.expires_at);
    let mut token = crate::mint::Jwt::valid().claim("exp", session.expires_at.as_secs() + 60);
    token = token.claim("sessionHandle", handle.to_string());
    let cookie = crate::mint::access_cookie(&token.sign());
    let layer = layer(&stack).with(strict(DatabaseCheck::Alive));
    let seen = get(&stack, &layer, &[("cookie", &cookie)], plain).await;
    assert_eq!((seen.status, seen.effects), (401, clr_all()));
}

#[tokio::test]
async fn a_handler_reads_and_changes_its_session() {
    let (stack, tokens) = signed_in().await;
    let expected = claims(&tokens.access);
    let old = tokens.access.clone();
    get(&stack, &layer(&stack), &[("cookie", &tokens.access_cookie())], move |session| {
        let (expected, old) = (expected.clone(), old.clone());
        async move {
            let session = session.unwrap();
            assert_eq!(session.user_id().as_str(), "user-1");
            assert_eq!(session.recipe_user_id().as_str(), "user-1");
            assert_eq!(session.tenant_id().as_str(), "public");
            assert_eq!(session.handle()?.to_string(), expected["sessionHandle"]);
            assert_eq!(json!(session.access_token_payload()), expected);
            assert_eq!((session.access_token(), session.tokens().is_updated), (old, false));
            session.update_session_data(map(json!({ "a": [1] }))).await?;
            assert_eq!(json!(session.session_data().await?), json!({ "a": [1] }));
            let information = session.information().await?;
            assert_eq!(information.summary.created_at, START);
            assert_eq!(information.summary.expires_at, after(8_640_000));
            session.set_claim_value("c", json!("x")).await?;
            assert_eq!(session.claim_value("c"), Some(json!("x")));
            assert_eq!(claims(&session.access_token())["c"]["v"], "x");
            assert!(session.tokens().is_updated);
            session.remove_claim("c").await?;
            assert_eq!(session.claim_value("c"), None);
            let unknown = session.fetch_and_set_claim("c").await;
            assert!(matches!(unknown, Err(SessionError::InvalidInput(_))));
            let failing = [PrimitiveClaim::new("c").has_value(1)];
            let failed = session.assert_claims(&failing).await;
            assert!(
                matches!(failed, Err(SessionError::InvalidClaims(failures)) if failures.len() == 1)
            );
            ok()
        }
    })
    .await;
}

#[tokio::test]
async fn merges_at_once_in_one_request_are_all_in_the_token_that_is_delivered() {
    let (stack, tokens) = signed_in().await;
    let cookie = tokens.access_cookie();
    let headers = [("cookie", cookie.as_str())];
    let handler = async |session: Option<Session>| {
        let session = session.unwrap();
        let merge =
            async |key: &str| session.merge_into_access_token_payload(map(json!({ key: 1 }))).await;
        let (a, b, c) = tokio::join!(merge("a"), merge("b"), merge("c"));
        a.and(b).and(c)?;
        ok()
    };
    let response = send(&layer(&stack), (Method::GET, "/"), &headers, handler).await.unwrap();
    let claims = claims(&Tokens::of(&response).access);
    assert_eq!([&claims["a"], &claims["b"], &claims["c"]], [1, 1, 1]);
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 1, "one cookie per name");
}

/// The first merge is applied first, and its answer comes last: what it saw is older than what the second
/// one saw.
#[tokio::test]
async fn a_merge_that_comes_back_late_does_not_take_back_what_a_later_one_set() {
    let (stack, tokens) = signed_in().await;
    let cookie = tokens.access_cookie();
    let headers = [("cookie", cookie.as_str())];
    let layer = layer(&stack);
    get(&stack, &layer, &headers, plain).await;
    let mut merges = 0;
    stack.wire.govern(move |operation| {
        merges += u32::from(operation == "UpdateItem");
        let is_first = operation == "UpdateItem" && merges == 1;
        let back = if is_first { Duration::from_millis(50) } else { Duration::ZERO };
        Treatment { back, ..Treatment::default() }
    });
    let handler = async |session: Option<Session>| {
        let session = session.unwrap();
        let merge =
            async |key: &str| session.merge_into_access_token_payload(map(json!({ key: 1 }))).await;
        let (a, b) = tokio::join!(merge("a"), merge("b"));
        a.and(b)?;
        ok()
    };
    let response = send(&layer, (Method::GET, "/"), &headers, handler).await.unwrap();
    let claims = claims(&Tokens::of(&response).access);
    assert_eq!([&claims["a"], &claims["b"]], [1, 1]);
}

#[tokio::test]
async fn what_the_application_exposes_and_sets_is_kept() {
    let (stack, tokens) = signed_in().await;
    let cookie = tokens.access_cookie();
    let headers = [("cookie", cookie.as_str())];
    let handler = async |session: Option<Session>| {
        session.unwrap().merge_into_access_token_payload(map(json!({ "x": 1 }))).await?;
        let mut response = Response::new("app".to_owned());
        let headers = response.headers_mut();
        headers.insert("access-control-expose-headers", HeaderValue::from_static("x-foo"));
        headers.append("set-cookie", HeaderValue::from_static("theme=dark"));
        headers.append("set-cookie", HeaderValue::from_static("sAccessToken=older; Path=/"));
        let elsewhere = HeaderValue::from_static("sAccessToken=; Domain=example.com; Path=/");
        headers.append("set-cookie", elsewhere);
        Ok(response)
    };
    let response = send(&layer(&stack), (Method::GET, "/"), &headers, handler).await.unwrap();
    assert_eq!(response.headers()["access-control-expose-headers"], "x-foo, front-token");
    let cookies = response.headers().get_all("set-cookie").iter();
    let cookies: Vec<_> =
        cookies.map(|line| line.to_str().unwrap().split(';').next().unwrap()).collect();
    assert_eq!(cookies[..2], ["theme=dark", "sAccessToken="]);
    assert!(cookies.len() == 3 && cookies[2].starts_with("sAccessToken=ey"), "{cookies:?}");
}

/// Contract §9, behind the layer: what the administrator's own session changed before does not overwrite
/// the tokens of the session that the handler created.
#[tokio::test]
async fn a_handler_may_sign_somebody_else_in() {
    let (stack, tokens) = signed_in().await;
    let cookie = tokens.access_cookie();
    let headers = [("cookie", cookie.as_str())];
    let sessions = Arc::new(sessions(&stack));
    let handler = move |own: Option<Session>| {
        let sessions = Arc::clone(&sessions);
        async move {
            own.unwrap().set_claim_value("impersonates", json!("user-2")).await?;
            let request = http::Request::post("/").header("st-auth-mode", "cookie").body(())?;
            let (new, device) = (NewSession::for_user("user-2"), Device::default());
            let rng = &mut bootstrap::system_rng();
            let issued =
                session::http::create(&sessions, &request, new, device, START, rng).await?;
            let mut response = Response::new("app".to_owned());
            issued.apply(response.headers_mut());
            Ok(response)
        }
    };
    let response = send(&layer(&stack), (Method::POST, "/"), &headers, handler).await.unwrap();
    assert_eq!(claims(&Tokens::of(&response).access)["sub"], "user-2");
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
}

#[tokio::test]
async fn a_new_token_is_kept_as_the_website_that_asks_needs_it() {
    let two = [("WEBSITE_DOMAIN", "https://example.com,https://other.com")];
    let stack = Harness::new(&two).await;
    let cookie = stack.sign_in("cookie").await.access_cookie();
    for (origin, same_site) in [("https://example.com", "Lax"), ("https://other.com", "None")] {
        let headers = [("cookie", cookie.as_str()), ("origin", origin)];
        let merge = async |session: Option<Session>| {
            session.unwrap().merge_into_access_token_payload(map(json!({ "x": 1 }))).await?;
            ok()
        };
        let response = send(&layer(&stack), (Method::GET, "/"), &headers, merge).await.unwrap();
        let line = response.headers()["set-cookie"].to_str().unwrap();
        assert!(line.ends_with(&format!("SameSite={same_site}")), "{line}");
    }
}

#[tokio::test]
async fn another_error_of_a_handler_passes_on() {
    let (stack, tokens) = signed_in().await;
    let cookie = tokens.access_cookie();
    let headers = [("cookie", cookie.as_str())];
    let handler = async |_| -> Handled { Err("out of paper".into()) };
    let error = send(&layer(&stack), (Method::GET, "/"), &headers, handler).await.unwrap_err();
    assert_eq!(error.to_string(), "out of paper");
}

#[tokio::test]
async fn a_fault_in_a_handler_is_answered_and_what_was_merged_before_is_delivered() {
    let (stack, tokens) = signed_in().await;
    let cookie = tokens.access_cookie();
    let headers = [("cookie", cookie.as_str())];
    let wire = stack.wire.clone();
    let handler = move |session: Option<Session>| {
        let wire = wire.clone();
        async move {
            let session = session.unwrap();
            session.merge_into_access_token_payload(map(json!({ "x": 1 }))).await?;
            wire.break_all(Some(Fault::ServerError));
            session.session_data().await?;
            ok()
        }
    };
    let response = send(&layer(&stack), (Method::GET, "/"), &headers, handler).await.unwrap();
    stack.wire.break_all(None);
    assert_eq!(response.status(), 503);
    assert_eq!(claims(&Tokens::of(&response).access)["x"], 1);
}

/// Answers of the application's own.
struct Pages;

impl ErrorHandlers for Pages {
    fn unauthorised(&self, _: &SessionConfig, _: &SessionError) -> session::http::Response {
        json_response(StatusCode::UNAUTHORIZED, &"sign in")
    }

    fn try_refresh(&self, _: &SessionConfig, _: &TryRefresh) -> session::http::Response {
        json_response(StatusCode::UNAUTHORIZED, &"refresh")
    }

    fn invalid_claims(
        &self,
        _: &SessionConfig,
        failures: &[InvalidClaim],
    ) -> session::http::Response {
        json_response(StatusCode::IM_A_TEAPOT, &failures.len())
    }
}

/// Contract §8: a handler replaces status and body, and the clearing stays.
#[tokio::test]
async fn error_handlers_replace_the_answer_and_not_the_clearing() {
    let (stack, tokens) = signed_in().await;
    let layer = layer(&stack).with_error_handlers(Pages);
    let cookie = tokens.access_cookie();
    let refuse = async |_| -> Handled { Err(SessionError::unauthorised().into()) };
    let seen = get(&stack, &layer, &[("cookie", &cookie)], refuse).await;
    assert_eq!((seen.body.as_str(), seen.effects), (r#""sign in""#, clr_all()));
    let seen = get(&stack, &layer, &[], plain).await;
    assert_eq!((seen.body.as_str(), seen.effects), (r#""sign in""#, none()));
    let expired = crate::mint::access_cookie(&crate::mint::Jwt::expired().sign());
    let seen = get(&stack, &layer, &[("cookie", &expired)], plain).await;
    assert_eq!((seen.body.as_str(), seen.effects), (r#""refresh""#, none()));
    let by_hardware_key = ClaimValidator::authenticated_by(["hwk"]);
    let demanding = RouteOptions::default().require(by_hardware_key);
    let layer = layer.with(demanding);
    let response = send(&layer, (Method::GET, "/"), &[("cookie", &cookie)], plain).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().as_ref()), (418, &b"1"[..]));
    assert!(response.headers().contains_key(header::WWW_AUTHENTICATE), "the challenge stays");
}

#[tokio::test]
async fn a_route_may_replace_the_validators_of_the_service() {
    let (stack, tokens) = signed_in().await;
    let never = ClaimValidator::custom("never", |_, _| Err(None));
    let layer = layer_over(&stack, sessions(&stack).with_validator(never));
    let cookie = tokens.access_cookie();
    let status = async |options: RouteOptions| {
        get(&stack, &layer.with(options), &[("cookie", &cookie)], plain).await.status
    };
    assert_eq!(status(RouteOptions::default()).await, 403);
    assert_eq!(status(RouteOptions::default().validators(|_, _| vec![])).await, 200);
    let of_the_user = RouteOptions::default().validators(|globals, token| {
        assert_eq!(globals.len(), 1);
        if token.claims.subject.user_id.as_str() == "user-1" { vec![] } else { globals.to_vec() }
    });
    assert_eq!(status(of_the_user.clone()).await, 200);
    let also = of_the_user.require(ClaimValidator::custom("also", |_, _| Err(None)));
    assert_eq!(status(also).await, 403);
}

#[tokio::test]
async fn a_claim_is_fetched_at_sign_in_and_again_when_it_is_too_old() {
    let stack = Harness::new(&[]).await;
    let fetches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fetches);
    let claim = FetchedClaim::new("n", move |subject, _| {
        let n = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            assert_eq!(
                (subject.user_id.as_str(), subject.tenant_id.as_str()),
                ("user-1", "public")
            );
            Ok(Some(json!(n)))
        }
    });
    let fresh = PrimitiveClaim::new("n").has_value(1).max_age(Duration::from_secs(60));
    let sessions = Arc::new(sessions(&stack).with_claim(claim).with_validator(fresh));
    let issued = create(&sessions, NewSession::for_user("user-1"), START).await;
    assert_eq!(claims(&issued.access.token)["n"], json!({ "v": 0, "t": START.as_millis() }));

    let bearer = format!("Bearer {}", issued.access.token);
    let layer = VerifySession::new(Arc::clone(&sessions), stack.clock.clone());
    let ask = async || get(&stack, &layer, &[("authorization", &bearer)], plain).await.status;
    stack.clock.advance(Duration::from_secs(60));
    assert_eq!(ask().await, 403, "0 is wrong, but not too old to be asked again");
    stack.clock.advance(Duration::from_millis(1));
    assert_eq!(ask().await, 200);
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
    // By handle, for administrators and jobs.
    let now = stack.clock.now();
    let failures = sessions.validate_claims(&issued.handle, None, now).await.unwrap().unwrap();
    assert_eq!(failures, []);
    assert!(sessions.fetch_and_set_claim(&issued.handle, "n", now).await.unwrap());
    let information = sessions.information(&issued.handle, now).await.unwrap().unwrap();
    assert_eq!(information.claim_value("n"), Some(&json!(2)));
    let failures = sessions.validate_claims(&issued.handle, None, now).await.unwrap().unwrap();
    assert_eq!(failures.len(), 1);
    assert!(sessions.set_claim_value(&issued.handle, "n", json!(null), now).await.unwrap());
    let information = sessions.information(&issued.handle, now).await.unwrap().unwrap();
    assert_eq!(information.claim_value("n"), Some(&json!(null)));
    assert!(sessions.remove_claim(&issued.handle, "n", now).await.unwrap());
    sessions.revoke(&issued.handle).await.unwrap();
    assert_eq!(sessions.validate_claims(&issued.handle, None, now).await.unwrap(), None);
    assert!(!sessions.fetch_and_set_claim(&issued.handle, "n", now).await.unwrap());
}

#[tokio::test]
async fn a_claim_that_cannot_be_fetched_is_a_fault() {
    let (stack, tokens) = signed_in().await;
    let broken = FetchedClaim::new("c", async |_, _| Err::<_, BoxError>("no directory".into()));
    let sessions =
        sessions(&stack).with_claim(broken).with_validator(PrimitiveClaim::new("c").has_value(1));
    let layer = layer_over(&stack, sessions);
    let seen = get(&stack, &layer, &[("cookie", &tokens.access_cookie())], plain).await;
    assert_eq!((seen.status, seen.effects), (500, none()));
}

/// Someone who signed in with a password, a while ago.
async fn authenticated(stack: &Harness) -> (Arc<Sessions<session::store::DynamoDb>>, IssuedTokens) {
    let sessions = Arc::new(sessions(stack));
    let authentication = Authentication { at: START, methods: vec!["pwd".to_owned()] };
    let new = NewSession { authentication: Some(authentication), ..NewSession::for_user("user-1") };
    let issued = create(&sessions, new, START).await;
    (sessions, issued)
}

#[tokio::test]
async fn a_sensitive_route_asks_for_a_recent_authentication_by_a_strong_method() {
    let stack = Harness::new(&[]).await;
    let (_, issued) = authenticated(&stack).await;
    let claimed = claims(&issued.access.token);
    assert_eq!(
        (&claimed["auth_time"], &claimed["amr"]),
        (&json!(START.as_secs()), &json!(["pwd"]))
    );

    let sensitive =
        ClaimValidator::authenticated_by(["otp", "hwk"]).max_age(Duration::from_mins(5));
    let layer = layer(&stack).with(RouteOptions::default().require(sensitive));
    let bearer = format!("Bearer {}", issued.access.token);
    let headers = [("authorization", bearer.as_str())];
    let response = send(&layer, (Method::GET, "/"), &headers, plain).await.unwrap();
    let challenge = r#"Bearer error="insufficient_user_authentication", error_description="A different or more recent authentication is required", acr_values="otp hwk", max_age="300""#;
    assert_eq!(response.headers()[header::WWW_AUTHENTICATE], challenge);
    let body = r#"{"message":"invalid claim","claimValidationErrors":[{"id":"auth_time","reason":{"message":"wrong value","expectedToIncludeAtLeastOneOf":["otp","hwk"],"actualValue":["pwd"]}}]}"#;
    assert_eq!((response.status().as_u16(), response.body().as_ref()), (403, body.as_bytes()));

    // The user types a code; from then on the route lets them through, for five minutes.
    stack.clock.advance(Duration::from_mins(10));
    let step_up = async |session: Option<Session>| {
        session.unwrap().reauthenticated(["pwd", "otp"]).await?;
        ok()
    };
    let plain_layer = crate::route::layer(&stack);
    let response = send(&plain_layer, (Method::POST, "/"), &headers, step_up).await.unwrap();
    let renewed = Tokens::of(&response).access_bearer();
    let headers = [("authorization", renewed.as_str())];
    let status =
        async || send(&layer, (Method::GET, "/"), &headers, plain).await.unwrap().status().as_u16();
    stack.clock.advance(Duration::from_mins(5));
    assert_eq!(status().await, 200);
    stack.clock.advance(Duration::from_secs(1));
    assert_eq!(status().await, 403);
}

/// A session lives in its tenant, and its tokens say so whatever tenant the path names.
#[tokio::test]
async fn tenants_of_one_user_are_told_apart() {
    let (stack, service) = service(&[]).await;
    let mut new = NewSession::for_user("user-1");
    new.subject.tenant_id = session::model::TenantId::new("t1");
    let issued = create(&service, new, START).await;
    let bearer = format!("Bearer {}", issued.access.token);
    let seen = async |session: Option<Session>| {
        let session = session.unwrap();
        Ok(Response::new(session.tenant_id().to_string()))
    };
    let answer = get(&stack, &layer(&stack), &[("authorization", &bearer)], seen).await;
    assert_eq!(answer.body, "t1");
    let device = Device::default();
    let request = http::Request::post("/auth/t1/session/refresh")
        .header("authorization", format!("Bearer {}", issued.refresh.expose()))
        .body(())
        .unwrap();
    let (response, _) = session::http::refresh(&service, &request, &device, START).await;
    let refreshed = response.headers()["st-access-token"].to_str().unwrap().to_owned();
    assert_eq!(claims(&refreshed)["tId"], "t1");
}

#[tokio::test]
async fn data_of_a_session_is_never_null() {
    let (stack, tokens) = signed_in().await;
    let handler = async |session: Option<Session>| {
        let session = session.unwrap();
        session.update_session_data(Map::new()).await?;
        assert_eq!(session.session_data().await?, Map::new());
        ok()
    };
    let seen = get(&stack, &layer(&stack), &[("cookie", &tokens.access_cookie())], handler).await;
    assert_eq!(seen, app(none()));
}
