//! Sessions that are bound to a key by DPoP proofs (docs/device-binding.md, "Apps").

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use session::error::TryRefresh;
use session::service::SessionEvent;
use session::token::dpop::{NONCE_LIFE, hash_of};
use testkit::Harness;
use testkit::clock::START;
use testkit::front_door::shape;
use testkit::harness::{Tokens, text};

use crate::device_binding::Ear;
use crate::route::{layer_over, plain, send, sessions};

const API: &str = "https://api.example.com";
const REQUIRE: [(&str, &str); 1] = [("DEVICE_BINDING", "require")];
const REPORT: [(&str, &str); 1] = [("DEVICE_BINDING", "report")];

/// An app with a key of its own.
struct App(Ed25519KeyPair);

impl App {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    /// A proof for that request at [`START`].
    fn proof(&self, method: &str, path: &str, access_token: Option<&str>) -> String {
        self.proof_with(method, path, access_token, None)
    }

    fn proof_with(
        &self,
        method: &str,
        path: &str,
        access_token: Option<&str>,
        nonce: Option<&str>,
    ) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk });
        let mut payload = json!({
            "jti": "1", "htm": method, "htu": format!("{API}{path}"), "iat": START.as_secs(),
        });
        if let Some(token) = access_token {
            payload["ath"] = hash_of(token).into();
        }
        if let Some(nonce) = nonce {
            payload["nonce"] = nonce.into();
        }
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(&header), part(&payload));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    async fn sign_in(&self, stack: &Harness) -> Tokens {
        let response = sign_in(stack, &self.proof("POST", "/example/signin", None)).await;
        assert_eq!(response.status(), 200, "{:?}", response.body());
        Tokens::of(&response)
    }
}

async fn sign_in(stack: &Harness, proof: &str) -> Response<Bytes> {
    let request = Request::post("/example/signin")
        .header("content-type", "application/json")
        .header("st-auth-mode", "header")
        .header("dpop", proof)
        .body(Bytes::from_static(br#"{"userId":"user-1"}"#));
    stack.stack.handle(request.unwrap()).await
}

/// The status of a refresh, with that proof.
async fn refresh(stack: &Harness, tokens: &Tokens, proof: Option<&str>) -> Response<Bytes> {
    let bearer = tokens.refresh_bearer();
    let proof = proof.map(|proof| ("dpop", proof));
    let headers: Vec<_> = [("authorization", bearer.as_str())].into_iter().chain(proof).collect();
    stack.refresh(&headers).await
}

/// The status of a call to a protected route.
async fn call(stack: &Harness, headers: &[(&str, &str)]) -> u16 {
    stack.send(Method::GET, "/api/me", headers).await.status().as_u16()
}

fn confirmation(tokens: &Tokens) -> Value {
    let payload = tokens.access.split('.').nth(1).unwrap();
    let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    payload["cnf"].clone()
}

#[tokio::test]
async fn d12_a_proof_at_sign_in_binds_the_session_and_its_access_tokens() {
    let stack = Harness::new(&REQUIRE).await;
    let tokens = App::new(1).sign_in(&stack).await;
    let jkt = confirmation(&tokens)["jkt"].as_str().unwrap().to_owned();
    assert_eq!(jkt.len(), 43);
    let proof = App::new(1).proof("POST", "/auth/session/refresh", None);
    let next = Tokens::of(&refresh(&stack, &tokens, Some(&proof)).await);
    assert_eq!(confirmation(&next)["jkt"], jkt);
}

#[tokio::test]
async fn d14_only_the_key_refreshes_and_who_lacks_it_ends_nothing() {
    let stack = Harness::new(&REQUIRE).await;
    let (app, thief) = (App::new(1), App::new(2));
    let tokens = app.sign_in(&stack).await;
    let path = "/auth/session/refresh";
    let mut old = app.proof("POST", path, None);
    old.pop();
    for (name, proof) in [
        ("none", None),
        ("the thief's", Some(thief.proof("POST", path, None))),
        ("cut", Some(old)),
        ("of the sign-in", Some(app.proof("POST", "/example/signin", None))),
        ("of another method", Some(app.proof("GET", path, None))),
    ] {
        let response = refresh(&stack, &tokens, proof.as_deref()).await;
        assert_eq!(response.status(), 401, "{name}");
    }
    let proof = app.proof("POST", path, None);
    let first = refresh(&stack, &tokens, Some(&proof)).await;
    assert_eq!(first.status(), 200);
    // A replayed proof gets the same successor, which is worth nothing without the next proof.
    let replayed = refresh(&stack, &tokens, Some(&proof)).await;
    assert_eq!(Tokens::of(&replayed).refresh, Tokens::of(&first).refresh);
    let stolen = Tokens::of(&replayed);
    let without_the_key = thief.proof("POST", path, None);
    assert_eq!(refresh(&stack, &stolen, Some(&without_the_key)).await.status(), 401);
}

#[tokio::test]
async fn d15_a_bound_access_token_is_served_with_its_proof_only() {
    let stack = Harness::new(&REQUIRE).await;
    let (app, thief) = (App::new(1), App::new(2));
    let tokens = app.sign_in(&stack).await;
    let (bearer, dpop) = (tokens.access_bearer(), format!("DPoP {}", tokens.access));
    let cookie = tokens.access_cookie();
    let path = "/api/me";
    let proof = app.proof("GET", path, Some(&tokens.access));
    assert_eq!(call(&stack, &[("authorization", &dpop), ("dpop", &proof)]).await, 200);
    assert_eq!(call(&stack, &[("authorization", &bearer)]).await, 401, "as Bearer");
    assert_eq!(call(&stack, &[("authorization", &bearer), ("dpop", &proof)]).await, 401);
    assert_eq!(call(&stack, &[("cookie", &cookie)]).await, 401, "in a cookie");
    assert_eq!(call(&stack, &[("authorization", &dpop)]).await, 401, "no proof");
    for (name, proof) in [
        ("by another key", thief.proof("GET", path, Some(&tokens.access))),
        ("without the token", app.proof("GET", path, None)),
        ("of another token", app.proof("GET", path, Some("x"))),
        ("of another path", app.proof("GET", "/api/public", Some(&tokens.access))),
        ("of another method", app.proof("POST", path, Some(&tokens.access))),
    ] {
        let status = call(&stack, &[("authorization", &dpop), ("dpop", &proof)]).await;
        assert_eq!(status, 401, "{name}");
    }
}

#[tokio::test]
async fn report_serves_what_require_refuses() {
    let stack = Harness::new(&REPORT).await;
    let tokens = App::new(1).sign_in(&stack).await;
    assert_eq!(call(&stack, &[("authorization", &tokens.access_bearer())]).await, 200);
    assert_eq!(refresh(&stack, &tokens, None).await.status(), 200);
}

#[tokio::test]
async fn sessions_without_a_key_are_as_before() {
    let stack = Harness::new(&REQUIRE).await;
    let tokens = stack.sign_in("header").await;
    assert_eq!(confirmation(&tokens), Value::Null);
    assert_eq!(call(&stack, &[("authorization", &tokens.access_bearer())]).await, 200);
    let dpop = format!("DPoP {}", tokens.access);
    assert_eq!(call(&stack, &[("authorization", &dpop)]).await, 401, "bound to no key");
    assert_eq!(refresh(&stack, &tokens, None).await.status(), 200);
}

#[tokio::test]
async fn d13_a_sign_in_with_a_proof_that_does_not_count_records_nothing() {
    let stack = Harness::new(&REQUIRE).await;
    stack.wire.take_calls();
    let response = sign_in(&stack, &App::new(1).proof("GET", "/example/signin", None)).await;
    assert_eq!(response.status(), 400);
    assert_eq!(text(response.headers(), "st-access-token"), "");
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    assert_eq!(body, r#"{"message":"the DPoP proof is for another method"}"#);
}

#[tokio::test]
async fn d1_without_the_setting_a_proof_is_not_looked_at() {
    let stack = Harness::new(&[]).await;
    let signed_in = sign_in(&stack, "nonsense").await;
    assert!(!signed_in.headers().contains_key("dpop-nonce"));
    let tokens = Tokens::of(&signed_in);
    assert_eq!(confirmation(&tokens), Value::Null);
    assert_eq!(refresh(&stack, &tokens, Some("nonsense")).await.status(), 200);
}

const NONCE: (&str, &str) = ("DPOP_NONCE", "true");
const SIGN_IN: (&str, &str) = ("POST", "/example/signin");
const REFRESH: (&str, &str) = ("POST", "/auth/session/refresh");

/// The nonce of an answer that asks for the proof to be made again with it, and has cost nothing.
fn asked_for(stack: &Harness, response: &Response<Bytes>) -> String {
    let calls = stack.wire.take_calls().into_iter();
    assert_eq!(calls.filter(|call| call.operation != "GetItem").count(), 0, "but for keys");
    let headers = response.headers();
    assert_eq!(response.status(), 401);
    let challenge = r#"DPoP error="use_dpop_nonce", algs="ES256 EdDSA""#;
    assert_eq!(text(headers, "www-authenticate"), challenge);
    assert_eq!(text(headers, "access-control-expose-headers"), "dpop-nonce");
    assert_eq!(text(headers, "cache-control"), "no-store");
    for cleared in ["front-token", "st-access-token", "st-refresh-token", "set-cookie"] {
        assert!(!headers.contains_key(cleared), "{cleared}");
    }
    text(headers, "dpop-nonce")
}

#[tokio::test]
async fn d16_a_proof_without_a_fresh_nonce_is_to_be_made_again_with_one_and_costs_nothing() {
    let stack = Harness::new(&[REQUIRE[0], NONCE]).await;
    let app = App::new(1);
    let proof = |(method, path), nonce: &str| app.proof_with(method, path, None, Some(nonce));
    let nonce = asked_for(&stack, &sign_in(&stack, &app.proof(SIGN_IN.0, SIGN_IN.1, None)).await);
    let signed_in = sign_in(&stack, &proof(SIGN_IN, &nonce)).await;
    assert_eq!(signed_in.status(), 200);
    let tokens = Tokens::of(&signed_in);

    let given = text(signed_in.headers(), "dpop-nonce");
    assert_eq!(refresh(&stack, &tokens, Some(&proof(REFRESH, &given))).await.status(), 200);
    stack.clock.advance(NONCE_LIFE);
    stack.wire.take_calls();
    let mut asked = Vec::new();
    for stale in [Some(&*given), Some("made up"), None] {
        let proof = app.proof_with(REFRESH.0, REFRESH.1, None, stale);
        asked.push(asked_for(&stack, &refresh(&stack, &tokens, Some(&proof)).await));
    }
    let refreshed = refresh(&stack, &tokens, Some(&proof(REFRESH, &asked[0]))).await;
    assert_eq!(refreshed.status(), 200);
    assert_eq!(text(refreshed.headers(), "dpop-nonce"), asked[0]);
}

/// Pages, scripts and sessions without a key know nothing of nonces.
#[tokio::test]
async fn nobody_who_proves_no_key_is_asked_for_a_nonce() {
    let stack = Harness::new(&[REQUIRE[0], NONCE]).await;
    let tokens = stack.sign_in("header").await;
    let refreshed = refresh(&stack, &tokens, None).await;
    assert_eq!(refreshed.status(), 200);
    assert!(!refreshed.headers().contains_key("dpop-nonce"));
    let cookie = stack.sign_in("cookie").await.refresh_cookie();
    let with_proof = [("cookie", &*cookie), ("dpop", "nonsense")];
    assert_eq!(stack.refresh(&with_proof).await.status(), 200);
}

#[tokio::test]
async fn where_proofs_are_reported_a_nonce_is_given_and_not_demanded() {
    let stack = Harness::new(&[REPORT[0], NONCE]).await;
    let app = App::new(1);
    let signed_in = sign_in(&stack, &app.proof(SIGN_IN.0, SIGN_IN.1, None)).await;
    assert_eq!(signed_in.status(), 200);
    assert_ne!(text(signed_in.headers(), "dpop-nonce"), "");
    let proof = app.proof(REFRESH.0, REFRESH.1, None);
    let refreshed = refresh(&stack, &Tokens::of(&signed_in), Some(&proof)).await;
    assert_eq!(refreshed.status(), 200);
}

/// What the authorizer says of an event: whether it lets the request pass.
async fn authorizer_allows(stack: &Harness, event: Value) -> bool {
    // What is raised is 401 of a REST or WebSocket API.
    let Ok(answer) = stack.stack.functions().authorizer.invoke(event).await else { return false };
    let effect = answer.pointer("/policyDocument/Statement/0/Effect");
    answer["isAuthorized"] == true || effect.is_some_and(|effect| effect == "Allow")
}

#[tokio::test]
async fn d19_every_front_door_that_tells_of_proofs_has_them_checked() {
    let stack = Harness::new(&REQUIRE).await;
    let (app, thief) = (App::new(1), App::new(2));
    let tokens = app.sign_in(&stack).await;
    type Shape = fn(&Request<Bytes>) -> Value;
    // The path that arrives, and what the client wrote.
    let doors: [(&str, Shape, &str, &str, &str); 5] = [
        ("HTTP API, payload 2.0", shape::http_api_2, "GET", "/orders/7", "/orders/7"),
        ("HTTP API, payload 1.0", shape::http_api_1, "GET", "/orders/7", "/orders/7"),
        ("REST API with a stage", shape::rest_request, "POST", "/orders/7", "/v1/orders/7"),
        ("WebSocket API", shape::web_socket, "GET", "/", "/"),
        ("AppSync", shape::app_sync, "POST", "/graphql", "/graphql"),
    ];
    for (door, shape, method, arrives, path) in doors {
        let event = |scheme: &str, proof: Option<String>| {
            let authorization = format!("{scheme} {}", tokens.access);
            let request = Request::builder().method(method).uri(arrives);
            let request = request.header("authorization", authorization);
            let request = match proof {
                Some(proof) => request.header("dpop", proof),
                None => request,
            };
            shape(&request.body(Bytes::new()).unwrap())
        };
        let own = || Some(app.proof(method, path, Some(&tokens.access)));
        let foreign = Some(thief.proof(method, path, Some(&tokens.access)));
        let elsewhere = Some(app.proof(method, "/elsewhere", Some(&tokens.access)));
        for (case, event, expected) in [
            ("with its proof", event("DPoP", own()), true),
            ("without", event("DPoP", None), false),
            ("by another key", event("DPoP", foreign), false),
            ("for another path", event("DPoP", elsewhere), false),
            ("as Bearer", event("Bearer", own()), false),
        ] {
            assert_eq!(authorizer_allows(&stack, event).await, expected, "{door}, {case}");
        }
    }
}

/// Sign-in code in any language hands over the event that the client's request came with.
#[tokio::test]
async fn create_session_binds_what_it_creates_to_the_key_in_the_event() {
    let stack = Harness::new(&REQUIRE).await;
    let app = App::new(1);
    let invoke = async |proof: String| {
        let headers = json!({
            "content-type": "application/json", "st-auth-mode": "header", "dpop": proof,
        });
        let event = json!({
            "version": "2.0",
            "rawPath": "/signin",
            "headers": headers,
            "requestContext": { "http": { "method": "POST", "sourceIp": "192.0.2.1" } },
        });
        let input = json!({ "userId": "user-1", "event": event });
        stack.stack.functions().create_session.invoke(input).await.unwrap()
    };
    let created = invoke(app.proof("POST", "/signin", None)).await;
    let text = |name: &str| created["tokens"][name].as_str().unwrap_or_default().to_owned();
    let tokens =
        Tokens { access: text("accessToken"), refresh: text("refreshToken"), ..Tokens::default() };
    assert_ne!(confirmation(&tokens)["jkt"], Value::Null, "{created}");
    assert_eq!(refresh(&stack, &tokens, None).await.status(), 401);
    let proof = app.proof(REFRESH.0, REFRESH.1, None);
    assert_eq!(refresh(&stack, &tokens, Some(&proof)).await.status(), 200);

    let refused = invoke(app.proof("POST", "/elsewhere", None)).await;
    assert_eq!(refused["error"]["code"], "INVALID_INPUT", "{refused}");
}

/// A thief may keep asking, so the one who is to decide about `require` has to see it.
#[tokio::test]
async fn a_bound_token_without_its_proof_is_told_whether_it_is_served_or_not() {
    for (policy, is_served) in [(REPORT, true), (REQUIRE, false)] {
        let (stack, ear) = (Harness::new(&policy).await, Arc::new(Ear::default()));
        let layer = layer_over(&stack, sessions(&stack).with_listener(Arc::<Ear>::clone(&ear)));
        let tokens = App::new(1).sign_in(&stack).await;
        let headers = [("authorization", &*tokens.access_bearer())].map(|(k, v)| (k, v.to_owned()));
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = send(&layer, (Method::GET, "/"), &headers, plain).await.unwrap();
        assert_eq!(answer.status() == 200, is_served);
        let [SessionEvent::TokenProofMissing { user_id, why, is_served: told, .. }] =
            &ear.take()[..]
        else {
            panic!()
        };
        assert_eq!((user_id.as_str(), why), ("user-1", &TryRefresh::WrongScheme));
        assert_eq!(*told, is_served);
    }
}
