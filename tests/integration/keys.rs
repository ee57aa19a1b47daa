//! First keys, and keys in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use local::dynamodb::{client, create_tables, store};
use serde_json::Value;
use session::Sessions;
use session::model::{Device, NewSession};
use session::store::{KeysFound, PrivateKeyReader as _, PublicKeyReader as _};
use session::token::UnverifiedAccessToken;
use testkit::clock::START;
use testkit::harness::config;
use testkit::{Fault, Harness, Wire};

/// A service over empty tables.
async fn fresh(wire: &Wire, settings: &[(&str, &str)]) -> Sessions<session::store::DynamoDb> {
    let client = client(wire.clone());
    create_tables(&client).await.unwrap();
    Sessions::new(config(settings), store(client))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_first_sign_ins_make_one_key_set() {
    let wire = Wire::new();
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let sessions = Arc::new(fresh(&wire, &[("SIGNING_ALGORITHM", "ES256")]).await);
        racers.spawn(async move {
            sessions.ensure_keys(START, &mut bootstrap::system_rng()).await.unwrap();
            let keys = sessions.store().public_keys().await.unwrap().unwrap();
            keys.into_iter().filter_map(|key| key.jwk.common.key_id).collect::<Vec<_>>()
        });
    }
    let sets: BTreeSet<_> = racers.join_all().await.into_iter().collect();
    assert_eq!(sets.len(), 1);
    let found = store(client(wire)).private_keys(None).await.unwrap();
    let KeysFound::Changed(private) = found else { panic!("there are keys") };
    let signing: Vec<_> = private.signing.iter().map(|key| key.key_id.to_string()).collect();
    assert_eq!(sets.into_iter().next(), Some(signing), "both halves are of the same keys");
}

#[tokio::test]
async fn es256_signs_and_verifies_by_setting() {
    let sessions = fresh(&Wire::new(), &[("SIGNING_ALGORITHM", "ES256")]).await;
    let (new, device) = (NewSession::for_user("user-1"), Device::default());
    let rng = &mut bootstrap::system_rng();
    let tokens = sessions.create(new, device, false, START, rng).await.unwrap();
    let token = UnverifiedAccessToken::parse(&tokens.access.token).unwrap();
    assert!(sessions.verify(token, START).await.is_ok());
    let published = sessions.published_keys(START).await.unwrap().unwrap();
    let document = serde_json::to_value(published.document(START)).unwrap();
    assert_eq!(document["keys"][0]["alg"], "ES256");
    assert_eq!(document["keys"][0]["crv"], "P-256");
    assert!(document["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()));
}

#[tokio::test]
async fn keys_that_were_loaded_once_outlive_a_store_that_is_down() {
    let harness = Harness::new(&[("ACCESS_TOKEN_TTL_SECONDS", "86400")]).await;
    let cookie = harness.sign_in("cookie").await.access_cookie();
    harness.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
    harness.wire.break_all(Some(Fault::ServerError));
    harness.clock.advance(Duration::from_hours(2));
    let response = harness.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn keys_are_read_again_after_five_minutes_and_not_before() {
    let harness = Harness::new(&[("ACCESS_TOKEN_TTL_SECONDS", "86400")]).await;
    let cookie = harness.sign_in("cookie").await.access_cookie();
    harness.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
    harness.wire.take_calls();
    let reads_after = async |by: Duration| {
        harness.clock.advance(by);
        harness.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
        harness.wire.take_calls().len()
    };
    assert_eq!(reads_after(Duration::from_mins(5) - Duration::from_millis(1)).await, 0);
    assert_eq!(reads_after(Duration::from_millis(1)).await, 1);
}

#[tokio::test]
async fn a_bound_key_is_carried_into_every_access_token() {
    let harness = Harness::new(&[]).await;
    let sessions = Sessions::new(harness.config.clone(), harness.store.clone());
    let mut new = NewSession::for_user("user-1");
    let confirmation = serde_json::json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" });
    new.access_token_payload.insert("cnf".to_owned(), confirmation.clone());
    let (device, rng) = (Device::default(), &mut bootstrap::system_rng());
    let tokens = sessions.create(new, device, false, START, rng).await.unwrap();
    let cookie = format!("sRefreshToken={}", tokens.refresh.expose());
    let refreshed = testkit::harness::Tokens::of(&harness.refresh(&[("cookie", &cookie)]).await);
    let me = harness.send(Method::GET, "/api/me", &[("cookie", &refreshed.access_cookie())]).await;
    let me: Value = serde_json::from_slice(me.body()).unwrap();
    assert_eq!(me["accessTokenPayload"]["cnf"], confirmation);
}
