//! Keys and JWTs.

use std::sync::Arc;

use http::Method;
use local::dynamodb::{client, create_tables, store};
use serde_json::{Value, json};
use session::Sessions;
use session::model::Clock as _;
use testkit::Wire;
use testkit::harness::text;
use testkit::keys::{self, DYNAMIC_ID, STATIC_ID};

use super::{Core, USUAL, claims, header, key_id};
use crate::manage::create;

const HOUR: u64 = 3600;

async fn published(core: &Core) -> Vec<String> {
    let answer = core.send(Method::GET, "/.well-known/jwks.json", &[], "").await;
    assert_eq!(answer.status, 200);
    let document: Value = serde_json::from_str(&answer.text).unwrap();
    let keys = document["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn jwt(members: Value) -> Value {
    let usual = json!({
        "algorithm": "RS256",
        "jwksDomain": "https://a.example",
        "payload": { "sub": "guest" },
        "validity": 100,
    });
    super::with(usual, members)
}

async fn rotate(core: &Core, command: Value) {
    core.stack.stack.functions().rotate_keys.invoke(command).await.unwrap();
}

#[tokio::test]
async fn ci1_one_key_of_each_kind_is_published() {
    let core = Core::new(&[]).await;
    let answer = core.send(Method::GET, "/.well-known/jwks.json", &[], "").await;
    let document: Value = serde_json::from_str(&answer.text).unwrap();
    let expected = serde_json::to_value(keys::published()).unwrap();
    assert_eq!(document, expected);
    for key in document["keys"].as_array().unwrap() {
        assert_eq!(
            (&key["kty"], &key["alg"], &key["use"]),
            (&json!("RSA"), &json!("RS256"), &json!("sig"))
        );
    }
    let with_status = core.get("/recipe/jwt/jwks").await;
    assert_eq!(with_status, json!({ "status": "OK", "keys": expected["keys"] }));
    assert_eq!(core.send(Method::GET, "/t1/.well-known/jwks.json", &[], "").await.status, 200);
}

#[tokio::test]
async fn ci2_the_key_set_says_how_long_it_may_be_kept() {
    let core = Core::new(&[]).await;
    let answer = core.send(Method::GET, "/.well-known/jwks.json", &[], "").await;
    assert_eq!(text(&answer.headers, "cache-control"), "max-age=1800, must-revalidate");
}

#[tokio::test]
async fn ci3_ci4_ci6_ci7_ci8_a_key_is_published_before_it_signs_and_until_nothing_of_it_is_valid() {
    let core = Core::new(&[]).await;
    rotate(&core, json!({ "rotate": "dynamic" })).await;
    let next = {
        let listed = published(&core).await;
        assert_eq!(listed.len(), 3);
        listed.into_iter().find(|id| id != DYNAMIC_ID && id != STATIC_ID).unwrap()
    };
    let old = core.create().await;
    assert_eq!(key_id(old.access()), DYNAMIC_ID, "the next one is published first");
    core.advance(3 * HOUR);
    assert_eq!(key_id(core.create().await.access()), next);
    assert!(published(&core).await.contains(&DYNAMIC_ID.to_owned()));
    // A token life and three hours after it signed last.
    core.advance(4 * HOUR + 1);
    assert!(!published(&core).await.contains(&DYNAMIC_ID.to_owned()));
    let verified = core.verify(old.access(), false).await;
    assert_eq!(verified["status"], "TRY_REFRESH_TOKEN");
}

#[tokio::test]
async fn ci5_an_idle_application_changes_no_key_in_haste() {
    let core = Core::new(&[]).await;
    core.advance(3 * 168 * HOUR);
    assert_eq!(key_id(core.create().await.access()), DYNAMIC_ID, "until a successor was published");
}

#[tokio::test]
async fn ci9_a_key_that_another_instance_signs_with_is_found() {
    let core = Core::new(&[]).await;
    core.verify(core.create().await.access(), false).await;
    core.advance(60);
    rotate(&core, json!({ "revoke": DYNAMIC_ID })).await;
    core.advance(31);
    // The example's sign-in has not signed before, so it reads the keys now.
    let tokens = core.stack.sign_in("header").await;
    assert_ne!(key_id(&tokens.access), DYNAMIC_ID);
    assert_eq!(core.verify(&tokens.access, true).await["status"], "OK");
}

#[tokio::test]
async fn ci10_ci11_ci14_a_jwt_is_signed_with_claims_and_key_of_choice() {
    let core = Core::new(&[]).await;
    let signed = async |members: Value| {
        let answer = core.post("/recipe/jwt", jwt(members)).await;
        assert_eq!(answer["status"], "OK");
        answer["jwt"].as_str().unwrap().to_owned()
    };
    let usual = signed(json!({})).await;
    let expected = json!({ "alg": "RS256", "typ": "JWT", "kid": STATIC_ID });
    assert_eq!(Value::from(header(&usual)), expected);
    let now = core.stack.clock.now().as_secs();
    let expected =
        json!({ "sub": "guest", "iss": "https://a.example", "iat": now, "exp": now + 100 });
    assert_eq!(claims(&usual), expected);
    let dynamic = signed(json!({ "useStaticSigningKey": false, "algorithm": "rs256" })).await;
    assert_eq!(key_id(&dynamic), DYNAMIC_ID);
    let own = signed(json!({ "payload": { "iss": "me" } })).await;
    assert_eq!(claims(&own)["iss"], "me");
    // What SDKs ask for unless told otherwise: a hundred years.
    let long = signed(json!({ "validity": 3_153_600_000_u64 })).await;
    assert_eq!(claims(&long)["exp"], now + 3_153_600_000);
}

#[tokio::test]
async fn ci12_another_algorithm_is_not_supported() {
    let core = Core::new(&[]).await;
    for algorithm in ["HS256", "none", "ES256", ""] {
        let answer = core.post("/recipe/jwt", jwt(json!({ "algorithm": algorithm }))).await;
        assert_eq!(answer, json!({ "status": "UNSUPPORTED_ALGORITHM_ERROR" }));
    }
}

#[tokio::test]
async fn ci13_a_validity_must_be_positive() {
    let core = Core::new(&[]).await;
    for validity in [json!(0), json!(-1), json!(0.5)] {
        let answer = core.at(USUAL).post("/recipe/jwt", jwt(json!({ "validity": validity }))).await;
        answer.is_text(400, "validity must be greater than or equal to 0");
    }
    for (name, value) in [
        ("validity", json!("1")),
        ("payload", json!([])),
        ("algorithm", json!(1)),
        ("jwksDomain", json!(false)),
        ("useStaticSigningKey", json!("x")),
    ] {
        let answer = core.at(USUAL).post("/recipe/jwt", jwt(json!({ name: value }))).await;
        answer.is_text(400, &format!("Field name '{name}' is invalid in JSON input"));
    }
}

#[tokio::test]
async fn ci15_two_cores_that_start_over_an_empty_table_make_one_set_of_keys() {
    let core = Core::new(&[]).await;
    let wire = Wire::new();
    let client = client(wire.clone());
    create_tables(&client).await.unwrap();
    let store = store(client);
    let service = || Arc::new(Sessions::new(core.stack.config.clone(), store.clone()));
    let (one, two) = (service(), service());
    let new = session::model::NewSession::for_user;
    let now = core.stack.clock.now();
    let (first, second) = tokio::join!(create(&one, new("a"), now), create(&two, new("b"), now));
    for service in [&one, &two] {
        for issued in [&first, &second] {
            let token = session::token::UnverifiedAccessToken::parse(&issued.access.token).unwrap();
            service.verify(token, now).await.unwrap();
            let token =
                session::token::UnverifiedRefreshToken::parse(issued.refresh.expose()).unwrap();
            let (proof, device) =
                (session::service::AntiCsrfProof::NotUsed, session::model::Device::default());
            service.refresh(&token, proof, &device, now).await.unwrap();
        }
    }
}
