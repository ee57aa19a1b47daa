//! What API Gateway's built-in JWT authorizers ask of a token (docs/authorizer.md §1.16), for those who use
//! them in place of ours. `tests/hostile` asks the same of a running stack, by HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use session::Sessions;
use session::model::{Device, NewSession};
use session::service::NewJwt;
use testkit::Harness;
use testkit::clock::START;
use testkit::harness::Tokens;

/// The largest key set that is taken, in bytes.
const MAX_KEY_SET: usize = 150_000;

async fn document(stack: &Harness, path: &str) -> Value {
    let response = stack.send(Method::GET, path, &[]).await;
    assert!(response.body().len() <= MAX_KEY_SET);
    serde_json::from_slice(response.body()).unwrap()
}

/// Whether an authorizer for this issuer and audience lets the token through; the signature is the
/// business of other tests.
async fn passes(stack: &Harness, token: &str, issuer: &str, audience: &str) -> bool {
    let part = |index: usize| -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, payload) = (part(0), part(1));
    let discovery = document(stack, "/auth/.well-known/openid-configuration").await;
    let jwks_path = discovery["jwks_uri"].as_str().unwrap().replace("https://api.example.com", "");
    let keys = document(stack, &jwks_path).await;
    let mut keys = keys["keys"].as_array().unwrap().iter();
    let Some(key) = keys.find(|key| key["kid"] == header["kid"]) else { return false };
    let audiences = match &payload["aud"] {
        Value::Null => vec![&payload["client_id"]],
        Value::Array(audiences) => audiences.iter().collect(),
        one => vec![one],
    };
    // HTTP APIs know RSA only; REST APIs take ES256 too.
    key["kty"] == "RSA"
        && key["alg"] == header["alg"]
        && discovery["issuer"] == issuer
        && payload["iss"] == issuer
        && audiences.contains(&&Value::from(audience))
        && payload["exp"].as_u64().unwrap() > START.as_secs()
        && payload["iat"].as_u64().unwrap() <= START.as_secs()
        && payload.get("nbf").is_none()
}

#[tokio::test]
async fn a_session_with_an_audience_passes_and_still_does_after_a_refresh() {
    const ISSUER: &str = "https://api.example.com/auth";
    let stack = Harness::new(&[]).await;
    let sessions = Sessions::new(stack.config.clone(), stack.store.clone());
    let mut new = NewSession::for_user("user-1");
    new.access_token_payload.insert("aud".to_owned(), json!(["orders", "payments"]));
    let (device, rng) = (Device::default(), &mut bootstrap::system_rng());
    let created = sessions.create(new, device, false, START, rng).await.unwrap();
    let cookie = format!("sRefreshToken={}", created.refresh.expose());
    let refreshed = Tokens::of(&stack.refresh(&[("cookie", &cookie)]).await);
    for token in [&created.access.token, &refreshed.access] {
        assert!(passes(&stack, token, ISSUER, "orders").await);
        assert!(!passes(&stack, token, ISSUER, "invoices").await);
        assert!(!passes(&stack, token, "https://api.example.com", "orders").await);
    }
    let without = stack.sign_in("header").await.access;
    assert!(!passes(&stack, &without, ISSUER, "orders").await, "an audience is the application's");
}

/// The audience is all that they compare besides the issuer, which is the same.
#[tokio::test]
async fn a_visitors_jwt_passes_only_with_the_audience_of_sessions() {
    const ISSUER: &str = "https://api.example.com/auth";
    let stack = Harness::new(&[]).await;
    let sessions = Sessions::new(stack.config.clone(), stack.store.clone());
    for (claims, expected) in [
        (json!({ "sub": "guest" }), false),
        (json!({ "sub": "guest", "aud": "visitors" }), false),
        (json!({ "sub": "guest", "aud": ["orders"] }), true),
    ] {
        let new = NewJwt::new(claims.as_object().unwrap().clone());
        let jwt = sessions.create_jwt(new, START).await.unwrap();
        assert_eq!(passes(&stack, &jwt, ISSUER, "orders").await, expected, "{claims}");
    }
}
