//! JWTs for anonymous visitors (contract §5.9): verified by the published keys, and never a session.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use session::SessionError;
use session::http::{VerifyOptions, verify};
use session::service::{AntiCsrfProof, NewJwt};
use session::token::access::SESSION_CLAIMS;
use session::token::{UnverifiedAccessToken, UnverifiedRefreshToken};
use testkit::clock::START;
use testkit::keys;

use crate::effects::claims;
use crate::manage::{map, service};
use crate::mint::bearer;

fn header(jwt: &str) -> Value {
    let header = jwt.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

#[tokio::test]
async fn a_jwt_has_the_claims_given_and_a_static_key_for_a_hundred_years() {
    let (_, sessions) = service(&[]).await;
    let jwt =
        sessions.create_jwt(NewJwt::new(map(json!({ "sub": "guest" }))), START).await.unwrap();
    let expected = json!({ "alg": "RS256", "typ": "JWT", "kid": keys::STATIC_ID });
    assert_eq!(header(&jwt), expected);
    let expected = json!({
        "sub": "guest",
        "iss": "https://api.example.com/auth",
        "iat": START.as_secs(),
        "exp": START.as_secs() + 3_153_600_000,
    });
    assert_eq!(claims(&jwt), expected);
}

#[tokio::test]
async fn issuer_validity_and_key_can_be_chosen() {
    let (_, sessions) = service(&[]).await;
    let payload = map(json!({ "iss": "me", "exp": 1, "iat": 2 }));
    let validity = Duration::from_mins(1);
    let new = NewJwt { payload, validity, use_dynamic_key: true };
    let jwt = sessions.create_jwt(new, START).await.unwrap();
    assert_eq!(header(&jwt)["kid"], keys::DYNAMIC_ID);
    let (iat, exp) = (START.as_secs(), START.as_secs() + 60);
    assert_eq!(claims(&jwt), json!({ "iss": "me", "iat": iat, "exp": exp }));
}

#[tokio::test]
async fn a_claim_that_only_sessions_have_is_refused_by_name() {
    let (_, sessions) = service(&[]).await;
    for name in SESSION_CLAIMS {
        let payload = Map::from_iter([(name.to_owned(), json!("x"))]);
        let error = sessions.create_jwt(NewJwt::new(payload), START).await;
        let Err(SessionError::InvalidInput(problem)) = error else { panic!("{error:?}") };
        assert!(problem.contains(name), "{problem}");
    }
}

/// Claims that come as close to those of a session token as may be: each is usually there, and usually
/// what it would be there.
fn payloads() -> impl Strategy<Value = Map<String, Value>> {
    let claim = |name: &'static str, usual: Value| {
        let values = prop_oneof![
            8 => Just(Some(usual)),
            1 => Just(None),
            1 => prop::sample::select(vec![json!("x"), json!(0), json!(null), json!({})]).prop_map(Some),
        ];
        values.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let claims = vec![
        claim("sub", json!("user-1")),
        claim("rsub", json!("user-1")),
        claim("tId", json!("public")),
        claim("sessionHandle", json!("00000000-0000-4000-8000-000000000000")),
        claim("refreshTokenHash1", json!("0".repeat(64))),
        claim("parentRefreshTokenHash1", Value::Null),
        claim("antiCsrfToken", Value::Null),
        claim("stt", json!(0)),
        claim("userId", json!("user-1")),
        claim("userData", json!({})),
        claim("expiryTime", json!(START.as_millis() + 1)),
        claim("timeCreated", json!(START.as_millis())),
        claim("version", json!("5")),
    ];
    // Of the claims that are refused, some or all are often left out.
    (claims, any::<[bool; 4]>()).prop_map(|(claims, is_dropped)| {
        let mut claims: Map<_, _> = claims.into_iter().flatten().collect();
        for (name, _) in SESSION_CLAIMS.iter().zip(is_dropped).filter(|(_, dropped)| *dropped) {
            claims.remove(*name);
        }
        claims
    })
}

/// With every configuration that decides which tokens are accepted.
#[test]
fn no_jwt_ever_passes_for_a_session() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut stacks = Vec::new();
    for dynamic in ["true", "false"] {
        for method in ["any", "header", "cookie"] {
            let settings =
                [("USE_DYNAMIC_SIGNING_KEY", dynamic), ("TOKEN_TRANSFER_METHOD", method)];
            stacks.push(runtime.block_on(service(&settings)));
        }
    }
    let minted = std::cell::Cell::new(0);
    proptest!(ProptestConfig::with_cases(128), |(payload in payloads(), use_dynamic_key: bool)| {
        for (_, sessions) in &stacks {
            let (payload, validity) = (payload.clone(), Duration::from_hours(1));
            let new = NewJwt { payload, validity, use_dynamic_key };
            let Ok(jwt) = runtime.block_on(sessions.create_jwt(new, START)) else { continue };
            minted.set(minted.get() + 1);
            prop_assert!(UnverifiedAccessToken::parse(&jwt).is_none());
            prop_assert!(UnverifiedRefreshToken::parse(&jwt).is_none());
            let got = runtime.block_on(sessions.get(&jwt, AntiCsrfProof::NotUsed, START));
            prop_assert!(matches!(got, Err(SessionError::NoToken)));
            let request = Request::get("/")
                .header("authorization", bearer(&jwt))
                .header("cookie", format!("sAccessToken={jwt}"))
                .body(())
                .unwrap();
            let options = VerifyOptions::default();
            let verified = runtime.block_on(verify(sessions, &request, options, START));
            prop_assert!(matches!(verified, Err(SessionError::NoToken)));
        }
    });
    assert!(minted.get() > 10, "{} were minted at all", minted.get());
}
