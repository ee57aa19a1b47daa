//! Sessions that are bound to a browser's key (docs/device-binding.md), by a browser in software.

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jsonwebtoken::signature::Signer as _;
use serde_json::{Value, json};
use session::http::RouteOptions;
use session::model::{ClaimValidator, KeyId, SessionHandle};
use session::service::{Listener, SessionEvent, Told};
use session::store::SessionReader as _;
use session::token::SigningKey;
use session::token::key::SigningAlgorithm;
use testkit::harness::{Tokens, cookie, text};
use testkit::wire::Fault;
use testkit::{Call, Harness};

use crate::route::{layer, layer_over, plain, send, sessions};

const REPORT: (&str, &str) = ("DEVICE_BINDING", "report");
const REQUIRE: (&str, &str) = ("DEVICE_BINDING", "require");
const REGISTER: &str = "/auth/session/refresh/device/register";
const DEVICE: &str = "/auth/session/refresh/device";
const PROOF_LIFE: Duration = Duration::from_mins(5);

/// A browser that knows Device Bound Session Credentials, with one session.
struct Browser {
    key: SigningKey,
    tokens: Tokens,
    identifier: String,
    challenge: String,
    device: String,
}

pub(crate) fn key() -> SigningKey {
    let algorithm = SigningAlgorithm::Es256;
    let pkcs8 = algorithm.generate_pkcs8().unwrap();
    SigningKey::from_pkcs8(KeyId::new("device"), algorithm, &pkcs8).unwrap()
}

/// A proof; with the key in it if it is to register it.
pub(crate) fn proof(key: &SigningKey, challenge: &str, registers: bool) -> String {
    let mut header = json!({ "alg": "ES256", "typ": "dbsc+jwt" });
    if registers {
        let jwk = serde_json::to_value(key.public_jwk()).unwrap();
        let of = |name: &str| jwk[name].clone();
        header["jwk"] = json!({ "crv": of("crv"), "kty": of("kty"), "x": of("x"), "y": of("y") });
    }
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", part(header), part(json!({ "jti": challenge })));
    let signature = key.try_sign(message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Signs in by cookie; the tokens, and the challenge that came with them.
async fn sign_in(stack: &Harness) -> (Tokens, String) {
    let request = Request::post("/example/signin")
        .header("content-type", "application/json")
        .header("st-auth-mode", "cookie")
        .body(Bytes::from_static(br#"{"userId":"user-1"}"#))
        .unwrap();
    let response = stack.stack.handle(request).await;
    let asked = text(response.headers(), "secure-session-registration");
    let expected = format!("(ES256);path=\"{REGISTER}\";challenge=\"");
    let challenge = asked.strip_prefix(&expected).and_then(|rest| rest.strip_suffix('"'));
    (Tokens::of(&response), challenge.unwrap_or_default().to_owned())
}

async fn post(stack: &Harness, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
    stack.send(Method::POST, path, headers).await
}

async fn register(stack: &Harness, tokens: &Tokens, proof: &str) -> Response<Bytes> {
    let headers =
        [("cookie", tokens.refresh_cookie()), ("secure-session-response", proof.to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    post(stack, REGISTER, &headers).await
}

pub(crate) fn challenge_of(response: &Response<Bytes>) -> (String, String) {
    let header = text(response.headers(), "secure-session-challenge");
    let (challenge, id) = header.split_once("\";id=\"").unwrap();
    (challenge.trim_start_matches('"').to_owned(), id.trim_end_matches('"').to_owned())
}

impl Browser {
    /// Signs in, registers a key, and shows that it has it.
    async fn bound(stack: &Harness) -> Self {
        let mut browser = Self::registered(stack).await;
        assert_eq!(browser.refresh(stack).await, 200);
        browser
    }

    /// Signs in and registers a key.
    async fn registered(stack: &Harness) -> Self {
        let (tokens, challenge) = sign_in(stack).await;
        let key = key();
        let response = register(stack, &tokens, &proof(&key, &challenge, true)).await;
        assert_eq!(response.status(), 200, "{:?}", response.body());
        let (challenge, identifier) = challenge_of(&response);
        let device = cookie(response.headers(), "sDevice").unwrap();
        Self { key, tokens, identifier, challenge, device }
    }

    /// What goes with a request that the browser makes by itself; with a proof if there is one.
    async fn ask(&self, stack: &Harness, proof: Option<&str>) -> Response<Bytes> {
        let cookies = self.tokens.refresh_cookie();
        let mut headers = vec![("cookie", &*cookies), ("sec-secure-session-id", &*self.identifier)];
        headers.extend(proof.map(|proof| ("secure-session-response", proof)));
        post(stack, DEVICE, &headers).await
    }

    /// Proves the key as a browser does before a refresh.
    async fn prove(&mut self, stack: &Harness) {
        let mut response = self.ask(stack, Some(&proof_of(self, &self.challenge))).await;
        if response.status() == 403 {
            let (challenge, _) = challenge_of(&response);
            response = self.ask(stack, Some(&proof_of(self, &challenge))).await;
        }
        assert_eq!(response.status(), 200);
        self.challenge = challenge_of(&response).0;
        self.device = cookie(response.headers(), "sDevice").unwrap();
    }

    fn jar(&self) -> String {
        format!("{}; sDevice={}", self.tokens.refresh_cookie(), self.device)
    }

    /// Refreshes with the cookies as they are.
    async fn refresh(&mut self, stack: &Harness) -> StatusCode {
        let response = stack.refresh(&[("cookie", &self.jar())]).await;
        if response.status() == 200 {
            self.tokens = Tokens::of(&response);
        }
        response.status()
    }

    fn handle(&self) -> SessionHandle {
        let payload = self.tokens.access.split('.').nth(1).unwrap();
        let payload: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        payload["sessionHandle"].as_str().unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn d1_nothing_asks_for_a_key_unless_binding_is_on() {
    let stack = Harness::new(&[]).await;
    let (tokens, challenge) = sign_in(&stack).await;
    assert_eq!(challenge, "");
    for path in [DEVICE, REGISTER] {
        let response = post(&stack, path, &[("cookie", &tokens.refresh_cookie())]).await;
        assert_eq!(response.status(), 404);
    }
    let signed_out = stack.sign_out(&[("cookie", &tokens.access_cookie())]).await;
    assert_eq!(cookie(signed_out.headers(), "sDevice"), None);
}

#[tokio::test]
async fn a_browser_is_asked_for_a_key_and_a_script_is_not() {
    let stack = Harness::new(&[REPORT]).await;
    assert_ne!(sign_in(&stack).await.1, "");
    let request = Request::post("/example/signin")
        .header("content-type", "application/json")
        .header("st-auth-mode", "header")
        .body(Bytes::from_static(br#"{"userId":"user-1"}"#))
        .unwrap();
    let response = stack.stack.handle(request).await;
    assert!(!response.headers().contains_key("secure-session-registration"));
}

#[tokio::test]
async fn d2_a_registration_binds_the_session_and_says_how_to_renew() {
    let stack = Harness::new(&[
        REQUIRE,
        ("WEBSITE_DOMAIN", "https://a.example.com, https://example.com:8443"),
    ])
    .await;
    let (tokens, challenge) = sign_in(&stack).await;
    let response = register(&stack, &tokens, &proof(&key(), &challenge, true)).await;
    let headers = response.headers();
    assert_eq!(text(headers, "cache-control"), "no-store");
    assert_eq!(text(headers, "content-type"), "application/json");
    let line = text(headers, "set-cookie");
    let attributes = "Path=/auth/session/refresh; HttpOnly; Secure; SameSite=Lax";
    assert!(line.ends_with(&format!("; Max-Age=300; {attributes}")), "{line}");
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    let expected = json!({
        "session_identifier": challenge_of(&response).1,
        "refresh_url": DEVICE,
        "scope": { "include_site": false },
        "credentials": [{ "type": "cookie", "name": "sDevice", "attributes": attributes }],
        "allowed_refresh_initiators": ["a.example.com", "example.com"],
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_bound_browser_goes_on_and_a_copy_of_all_its_cookies_does_not() {
    let stack = Harness::new(&[REQUIRE]).await;
    let mut browser = Browser::bound(&stack).await;
    let stolen = browser.jar();
    for _ in 0..3 {
        stack.clock.advance(stack.config.lifetimes.access_token);
        // Stale by now, and so is the copy.
        assert_eq!(stack.refresh(&[("cookie", &stolen)]).await.status(), 401);
        browser.prove(&stack).await;
        assert_eq!(browser.refresh(&stack).await, 200);
    }
    let handle = browser.handle();
    let session = stack.store.session(&handle).await.unwrap().unwrap();
    assert_eq!(session.refresh.revoked_at, None);
    assert!(session.device_key.is_some());
}

#[tokio::test]
async fn the_cookie_counts_for_its_life_and_a_flight() {
    let stack = Harness::new(&[REQUIRE]).await;
    let mut browser = Browser::bound(&stack).await;
    stack.clock.advance(PROOF_LIFE + stack.config.refresh.flight() - Duration::from_millis(1));
    assert_eq!(browser.refresh(&stack).await, 200);
    stack.clock.advance(Duration::from_millis(1));
    assert_eq!(browser.refresh(&stack).await, 401);
}

#[tokio::test]
async fn d5_d6_whoever_lacks_the_key_is_told_so_and_changes_nothing() {
    let stack = Harness::new(&[REQUIRE]).await;
    let browser = Browser::bound(&stack).await;
    let other = Browser::bound(&stack).await;
    stack.clock.advance(PROOF_LIFE * 2);
    let before = stack.store.session(&browser.handle()).await.unwrap();
    let foreign = format!("{}; sDevice={}", browser.tokens.refresh_cookie(), other.device);
    for cookies in [browser.tokens.refresh_cookie(), browser.jar(), foreign] {
        stack.wire.take_calls();
        let response = stack.refresh(&[("cookie", &cookies)]).await;
        assert_eq!(response.status(), 401);
        assert_eq!(text(response.headers(), "front-token"), "remove");
        assert!(!response.headers().contains_key("set-cookie"), "the browser's cookies stay");
        let calls = stack.wire.take_calls().into_iter();
        assert_eq!(calls.filter(|call| call.operation != "GetItem").count(), 1);
        // A browser signs so often in nine minutes and no more, or cannot reach us.
        for why in ["quota_exceeded", "unreachable", "server_error"] {
            let why = format!("{why};session_identifier=\"{}\"", browser.identifier);
            let hindered = [("cookie", &*cookies), ("secure-session-skipped", &why)];
            let response = stack.refresh(&hindered).await;
            assert_eq!(response.status(), 503);
            assert_eq!(text(response.headers(), "retry-after"), "1");
            assert!(!response.headers().contains_key("front-token"));
        }
    }
    assert_eq!(stack.store.session(&browser.handle()).await.unwrap(), before);
}

#[tokio::test]
async fn d4_a_browser_that_never_heard_that_it_is_bound_keeps_its_session() {
    let stack = Harness::new(&[REQUIRE]).await;
    let mut browser = Browser::registered(&stack).await;
    browser.device.clear();
    for _ in 0..3 {
        stack.clock.advance(stack.config.lifetimes.access_token);
        assert_eq!(browser.refresh(&stack).await, 200);
    }
    let session = stack.store.session(&browser.handle()).await.unwrap().unwrap();
    assert!(session.device_pending);
}

/// Until then a thief is as good as the browser that does not know; from then on it gets nothing.
#[tokio::test]
async fn with_the_first_proof_of_a_key_it_is_demanded_for_good() {
    for policy in [REQUIRE, REPORT] {
        let stack = Harness::new(&[policy]).await;
        let mut owner = Browser::registered(&stack).await;
        stack.clock.advance(PROOF_LIFE * 2);
        let stolen = [("cookie", &*owner.tokens.refresh_cookie())].map(|(k, v)| (k, v.to_owned()));
        let stolen = stolen.each_ref().map(|(name, value)| (*name, value.as_str()));
        let taken = Tokens::of(&stack.refresh(&stolen).await);
        assert_ne!(taken.refresh, "");
        // In the window it is a repetition, which settles it as a rotation does.
        stack.clock.advance(Duration::from_secs(1));
        owner.prove(&stack).await;
        assert_eq!(owner.refresh(&stack).await, 200);
        let stack = stack.redeployed(&[REQUIRE]).await;
        for token in [&taken, &owner.tokens] {
            let response = stack.refresh(&[("cookie", &token.refresh_cookie())]).await;
            assert_eq!(response.status(), 401, "{policy:?}");
        }
    }
}

/// A restarted browser has its key and its cookies; what it was to sign next, it may have forgotten.
#[tokio::test]
async fn d20_a_binding_outlives_browser_and_servers() {
    let stack = Harness::new(&[REQUIRE]).await;
    let mut browser = Browser::bound(&stack).await;
    for forgets in [true, false] {
        let stack = stack.redeployed(&[REQUIRE]).await;
        stack.clock.advance(stack.config.lifetimes.access_token);
        if forgets {
            browser.challenge.clear();
        }
        browser.prove(&stack).await;
        assert_eq!(browser.refresh(&stack).await, 200);
    }
}

#[tokio::test]
async fn a_registration_that_is_repeated_later_takes_no_demand_back() {
    let stack = Harness::new(&[REQUIRE]).await;
    let (tokens, challenge) = sign_in(&stack).await;
    let key = key();
    let registration = proof(&key, &challenge, true);
    let answer = register(&stack, &tokens, &registration).await;
    let device = cookie(answer.headers(), "sDevice").unwrap();
    let jar = format!("{}; sDevice={device}", tokens.refresh_cookie());
    assert_eq!(stack.refresh(&[("cookie", &jar)]).await.status(), 200);
    assert_eq!(register(&stack, &tokens, &registration).await.status(), 200);
    assert_eq!(stack.refresh(&[("cookie", &tokens.refresh_cookie())]).await.status(), 401);
}

#[tokio::test]
async fn d5_a_spent_token_without_the_key_does_not_end_the_session() {
    let stack = Harness::new(&[REQUIRE]).await;
    let mut browser = Browser::bound(&stack).await;
    let first = browser.tokens.refresh_cookie();
    for _ in 0..4 {
        stack.clock.advance(stack.config.lifetimes.access_token);
        browser.prove(&stack).await;
        assert_eq!(browser.refresh(&stack).await, 200);
    }
    stack.clock.advance(stack.config.lifetimes.access_token);
    assert_eq!(stack.refresh(&[("cookie", &first)]).await.status(), 401);
    browser.prove(&stack).await;
    assert_eq!(browser.refresh(&stack).await, 200);
}

#[tokio::test]
async fn d7_where_proofs_are_reported_a_refresh_without_one_is_served() {
    let stack = Harness::new(&[REPORT]).await;
    let mut browser = Browser::bound(&stack).await;
    stack.clock.advance(PROOF_LIFE * 2);
    assert_eq!(browser.refresh(&stack).await, 200);
}

#[tokio::test]
async fn a_session_without_a_key_needs_no_proof() {
    let stack = Harness::new(&[REQUIRE]).await;
    let (tokens, _) = sign_in(&stack).await;
    assert_eq!(stack.refresh(&[("cookie", &tokens.refresh_cookie())]).await.status(), 200);
}

#[tokio::test]
async fn d3_a_repeated_registration_is_fine_and_one_of_another_key_is_refused() {
    let stack = Harness::new(&[REQUIRE]).await;
    let (tokens, challenge) = sign_in(&stack).await;
    let first = key();
    for _ in 0..2 {
        let response = register(&stack, &tokens, &proof(&first, &challenge, true)).await;
        assert_eq!(response.status(), 200);
    }
    let response = register(&stack, &tokens, &proof(&key(), &challenge, true)).await;
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn a_registration_needs_the_sessions_own_fresh_challenge_and_the_key_in_it() {
    let stack = Harness::new(&[REQUIRE]).await;
    let ((tokens, challenge), (_, other)) = (sign_in(&stack).await, sign_in(&stack).await);
    let key = key();
    stack.wire.take_calls();
    for wrong in [
        proof(&key, &other, true),
        proof(&key, &challenge, false),
        proof(&key, "challenge", true),
        proof(&key, "", true),
        String::new(),
        "a.b.c".to_owned(),
    ] {
        assert_eq!(register(&stack, &tokens, &wrong).await.status(), 400, "{wrong}");
    }
    let good = proof(&key, &challenge, true);
    assert_eq!(register(&stack, &Tokens::default(), &good).await.status(), 400);
    stack.clock.advance(Duration::from_mins(15));
    assert_eq!(register(&stack, &tokens, &good).await.status(), 400);
    let calls = stack.wire.take_calls().into_iter();
    assert_eq!(calls.filter(|call| call.operation != "GetItem").count(), 0, "but for keys");
}

#[tokio::test]
async fn d8_a_browser_without_a_proof_or_with_a_stale_one_is_given_a_challenge() {
    let stack = Harness::new(&[REQUIRE]).await;
    let (browser, other) = (Browser::bound(&stack).await, Browser::bound(&stack).await);
    stack.clock.advance(Duration::from_mins(15));
    for challenge in [&*browser.challenge, &*other.challenge, "challenge", ""] {
        let stale = proof(&browser.key, challenge, false);
        for proof in [None, Some(&*stale)] {
            let response = browser.ask(&stack, proof).await;
            assert_eq!(response.status(), 403);
            assert_eq!(response.body(), "");
            assert_eq!(text(response.headers(), "cache-control"), "no-store");
            let (fresh, identifier) = challenge_of(&response);
            assert_eq!(identifier, browser.identifier);
            let proof = proof_of(&browser, &fresh);
            assert_eq!(browser.ask(&stack, Some(&proof)).await.status(), 200);
        }
    }
}

fn proof_of(browser: &Browser, challenge: &str) -> String {
    proof(&browser.key, challenge, false)
}

#[tokio::test]
async fn headers_may_be_quoted() {
    let stack = Harness::new(&[REQUIRE]).await;
    let browser = Browser::bound(&stack).await;
    let (id, cookies) = (format!("\"{}\"", browser.identifier), browser.tokens.refresh_cookie());
    let proof = format!("\"{}\"", proof_of(&browser, &browser.challenge));
    let headers = [
        ("cookie", &*cookies),
        ("sec-secure-session-id", &id),
        ("secure-session-response", &proof),
    ];
    assert_eq!(post(&stack, DEVICE, &headers).await.status(), 200);
}

#[tokio::test]
async fn d9_a_proof_by_another_key_or_of_another_form_is_refused() {
    let stack = Harness::new(&[REQUIRE]).await;
    let browser = Browser::bound(&stack).await;
    let fresh = &browser.challenge;
    let good = proof_of(&browser, fresh);
    for wrong in [
        proof(&key(), fresh, false),
        proof(&browser.key, fresh, true),
        format!("{good}."),
        good.replace('.', ""),
        String::new(),
    ] {
        assert_eq!(browser.ask(&stack, Some(&wrong)).await.status(), 401, "{wrong}");
    }
}

/// The binding of a session that was signed out must not renew the cookie of the next one.
#[tokio::test]
async fn d10_a_browser_forgets_the_binding_of_a_session_that_is_not_in_its_cookies() {
    let stack = Harness::new(&[REQUIRE]).await;
    let mut browser = Browser::bound(&stack).await;
    browser.tokens = sign_in(&stack).await.0;
    let proof = proof_of(&browser, &browser.challenge);
    for proof in [None, Some(&*proof)] {
        let response = browser.ask(&stack, proof).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.body(), r#"{"continue":false}"#);
        assert!(!response.headers().contains_key("set-cookie"));
    }
    browser.identifier = "made-up".to_owned();
    assert_eq!(browser.ask(&stack, None).await.body(), r#"{"continue":false}"#);
}

#[tokio::test]
async fn the_layer_binds_and_proves_as_the_function_does() {
    let stack = Harness::new(&[REQUIRE]).await;
    let (tokens, challenge) = sign_in(&stack).await;
    let (layer, key, cookies) = (layer(&stack), key(), tokens.refresh_cookie());
    let registration = proof(&key, &challenge, true);
    let headers = [("cookie", &*cookies), ("secure-session-response", &registration)];
    let bound = send(&layer, (Method::POST, REGISTER), &headers, plain).await.unwrap();
    assert_eq!(bound.status(), 200);
    let (challenge, identifier) = challenge_of(&bound);
    let proof = proof(&key, &challenge, false);
    let headers = [
        ("cookie", &*cookies),
        ("sec-secure-session-id", &identifier),
        ("secure-session-response", &proof),
    ];
    let proved = send(&layer, (Method::POST, DEVICE), &headers, plain).await.unwrap();
    assert_eq!((proved.status(), proved.body().len()), (StatusCode::OK, 0));
    assert!(cookie(proved.headers(), "sDevice").is_some());
}

/// Remembers what it is told.
#[derive(Debug, Default)]
pub(crate) struct Ear(Mutex<Vec<SessionEvent>>);

impl Listener for Ear {
    fn notify<'a>(&'a self, event: &'a SessionEvent) -> Told<'a> {
        self.0.lock().unwrap().push(event.clone());
        Box::pin(ready(Ok(())))
    }
}

impl Ear {
    pub(crate) fn take(&self) -> Vec<SessionEvent> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn d9_a_key_that_a_browser_got_or_lost_is_told() {
    let (stack, ear) = (Harness::new(&[REQUIRE]).await, Arc::new(Ear::default()));
    let layer = layer_over(&stack, sessions(&stack).with_listener(Arc::<Ear>::clone(&ear)));
    let (tokens, challenge) = sign_in(&stack).await;
    let (own, cookies) = (key(), tokens.refresh_cookie());
    let registration = proof(&own, &challenge, true);
    let headers = [("cookie", &*cookies), ("secure-session-response", &registration)];
    let answer = send(&layer, (Method::POST, REGISTER), &headers, plain).await.unwrap();
    let [SessionEvent::DeviceBound { key: bound, .. }] = &ear.take()[..] else { panic!() };
    let (challenge, identifier) = challenge_of(&answer);
    let foreign = proof(&key(), &challenge, false);
    let headers = [
        ("cookie", &*cookies),
        ("sec-secure-session-id", &identifier),
        ("secure-session-response", &foreign),
    ];
    let answer = send(&layer, (Method::POST, DEVICE), &headers, plain).await.unwrap();
    assert_eq!(answer.status(), 401);
    let [SessionEvent::DeviceBindingLost { key: lost, .. }] = &ear.take()[..] else { panic!() };
    assert_eq!(lost, bound);
}

#[tokio::test]
async fn d17_a_route_may_ask_for_a_session_that_is_bound() {
    let stack = Harness::new(&[REQUIRE]).await;
    let layer = layer(&stack).with(RouteOptions::default().require(ClaimValidator::device_bound()));
    let registered = Browser::registered(&stack).await;
    let bound = Browser::bound(&stack).await;
    let ask = async |browser: &Browser| {
        let cookie = browser.tokens.access_cookie();
        send(&layer, (Method::GET, "/"), &[("cookie", &cookie)], plain).await.unwrap()
    };
    let refused = ask(&registered).await;
    assert_eq!(refused.status(), 403);
    let body = r#"{"message":"invalid claim","claimValidationErrors":[{"id":"deviceBound","reason":{"message":"wrong value","expectedValue":true,"actualValue":false}}]}"#;
    assert_eq!(refused.body(), body);
    assert_eq!(ask(&bound).await.status(), 200);
}

#[tokio::test]
async fn d18_signing_out_clears_the_device_cookie() {
    let stack = Harness::new(&[REQUIRE]).await;
    let browser = Browser::bound(&stack).await;
    let response = stack.sign_out(&[("cookie", &browser.tokens.access_cookie())]).await;
    assert_eq!(cookie(response.headers(), "sDevice").as_deref(), Some(""));
}

#[tokio::test]
async fn d11_a_fault_of_ours_is_503_and_unbinds_nobody() {
    let stack = Harness::new(&[REQUIRE]).await;
    let (tokens, challenge) = sign_in(&stack).await;
    let good = proof(&key(), &challenge, true);
    let faults = [Fault::Throttled, Fault::AccessDenied, Fault::TableMissing, Fault::ServerError];
    for fault in faults {
        stack.wire.break_all(Some(fault));
        let response = register(&stack, &tokens, &good).await;
        assert_eq!(response.status(), 503, "{fault:?}");
        assert_eq!(text(response.headers(), "retry-after"), "1");
    }
    stack.wire.break_all(None);
    let browser = Browser::bound(&stack).await;
    let cold = stack.redeployed(&[REQUIRE]).await;
    for fault in faults {
        cold.wire.break_all(Some(fault));
        let proof = proof_of(&browser, &browser.challenge);
        assert_eq!(browser.ask(&cold, Some(&proof)).await.status(), 503, "{fault:?}");
    }
}

fn one(operation: &str) -> Vec<Call> {
    vec![Call { operation: operation.to_owned(), units: Some(1.0), status: 200 }]
}

#[tokio::test]
async fn a_sign_in_and_a_registration_are_one_write_each_and_a_proof_is_no_request() {
    let stack = Harness::new(&[REQUIRE]).await;
    let mut browser = Browser::registered(&stack).await;
    stack.wire.take_calls();
    let (tokens, challenge) = sign_in(&stack).await;
    assert_eq!(stack.wire.take_calls(), one("PutItem"));
    register(&stack, &tokens, &proof(&key(), &challenge, true)).await;
    assert_eq!(stack.wire.take_calls(), one("UpdateItem"));
    browser.ask(&stack, None).await;
    browser.prove(&stack).await;
    assert_eq!(stack.wire.take_calls(), []);
    assert_eq!(browser.refresh(&stack).await, 200);
    assert_eq!(stack.wire.take_calls(), one("UpdateItem"));
}
