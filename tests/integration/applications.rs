//! Applications that share the two tables share nothing else.

use std::time::Duration;

use http::{Request, header};
use local::dynamodb::{client, create_tables, store_of};
use serde_json::json;
use session::error::Unproved;
use session::http::{VerifyOptions, verify};
use session::model::{Device, NewSession, SessionHandle, SessionsOf, Timestamp, UserId};
use session::service::{AntiCsrfProof, IssuedTokens};
use session::store::DynamoDb;
use session::token::{UnverifiedAccessToken, UnverifiedRefreshToken};
use session::{SessionError, Sessions};
use testkit::Wire;
use testkit::clock::START;
use testkit::harness::config;

use crate::manage::map;

type Process = Sessions<DynamoDb>;

async fn tables() -> Wire {
    let wire = Wire::new();
    create_tables(&client(wire.clone())).await.unwrap();
    wire
}

/// A process of that application.
fn process(wire: &Wire, app: &str) -> Process {
    let settings = config(&[("SIGNING_ALGORITHM", "ES256"), ("APP_ID", app)]);
    Sessions::new(settings, store_of(client(wire.clone()), app))
}

/// The user of that name signs in to every application.
async fn sign_in(process: &Process) -> IssuedTokens {
    let (new, rng) = (NewSession::for_user("user-1"), &mut bootstrap::system_rng());
    process.create(new, Device::default(), false, START, rng).await.unwrap()
}

async fn refresh(process: &Process, token: &str, now: Timestamp) -> http::StatusCode {
    let request = Request::post("/").header(header::COOKIE, format!("sRefreshToken={token}"));
    let request = request.body(()).unwrap();
    session::http::refresh(process, &request, &Device::default(), now).await.0.status()
}

fn after(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

#[tokio::test]
async fn an_access_token_of_one_application_is_none_of_another() {
    let wire = tables().await;
    let (one, two) = (process(&wire, "one"), process(&wire, "two"));
    let tokens = sign_in(&one).await;
    sign_in(&two).await;
    for (process, accepted) in [(&one, true), (&two, false)] {
        let token = UnverifiedAccessToken::parse(&tokens.access.token).unwrap();
        let verified = process.verify(token, START).await;
        assert_eq!(verified.is_ok(), accepted, "{verified:?}");
        let request =
            Request::get("/").header("authorization", format!("Bearer {}", tokens.access.token));
        let request = request.body(()).unwrap();
        let verified = verify(process, &request, VerifyOptions::default(), START).await;
        assert_eq!(verified.is_ok(), accepted);
    }
}

#[tokio::test]
async fn a_refresh_token_of_one_application_is_none_of_another_and_ends_nothing() {
    let wire = tables().await;
    let (one, two) = (process(&wire, "one"), process(&wire, "two"));
    let tokens = sign_in(&one).await;
    sign_in(&two).await;
    assert_eq!(refresh(&two, tokens.refresh.expose(), after(1)).await, 401);
    let presented = UnverifiedRefreshToken::parse(tokens.refresh.expose()).unwrap();
    let device = Device::default();
    let result = two.refresh(&presented, AntiCsrfProof::NotUsed, &device, after(1)).await;
    assert!(result.is_err());
    assert_eq!(refresh(&one, tokens.refresh.expose(), after(1)).await, 200);
}

#[tokio::test]
async fn a_session_cannot_be_read_changed_or_ended_from_another_application() {
    let wire = tables().await;
    let (one, two) = (process(&wire, "one"), process(&wire, "two"));
    let handle: SessionHandle = sign_in(&one).await.handle;
    sign_in(&two).await;
    let user = UserId::new("user-1");
    let now = after(1);
    let data = || map(json!({ "a": 1 }));
    for (process, is_own) in [(&two, false), (&one, true)] {
        assert_eq!(process.information(&handle, now).await.unwrap().is_some(), is_own);
        assert_eq!(process.update_session_data(&handle, data(), now).await.unwrap(), is_own);
        let merged = process.merge_into_access_token_payload(&handle, data(), now).await.unwrap();
        assert_eq!(merged, is_own);
        let invalid = process.validate_claims(&handle, None, now).await.unwrap();
        assert_eq!(invalid.is_some(), is_own);
        let handles = process.handles_of(&user, now).await.unwrap();
        assert_eq!((handles.len(), handles.contains(&handle)), (1, is_own));
        assert_eq!(process.revoke_many(&[handle]).await.unwrap().len(), usize::from(is_own));
    }

    let again = sign_in(&one).await;
    assert_eq!(two.revoke_all(SessionsOf::user(&user)).await.unwrap().len(), 1);
    assert!(one.information(&again.handle, now).await.unwrap().is_some());
    assert_eq!(refresh(&one, again.refresh.expose(), now).await, 200);
}

/// The name of the application is in what refresh tokens are derived from, besides the keys of its own.
#[tokio::test]
async fn keys_that_were_copied_from_another_application_accept_none_of_its_refresh_tokens() {
    let wire = tables().await;
    let (one, two) = (process(&wire, "one"), process(&wire, "two"));
    let tokens = sign_in(&one).await;
    let table = client(wire.engine().clone());
    let items = table.scan().table_name(local::dynamodb::KEYS_TABLE).send().await.unwrap();
    for mut item in items.items.unwrap() {
        let pk = item["pk"].as_s().unwrap().replace("one", "two");
        item.insert("pk".to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(pk));
        let put = table.put_item().table_name(local::dynamodb::KEYS_TABLE).set_item(Some(item));
        put.send().await.unwrap();
    }
    let presented = UnverifiedRefreshToken::parse(tokens.refresh.expose()).unwrap();
    let device = Device::default();
    let result = two.refresh(&presented, AntiCsrfProof::NotUsed, &device, after(1)).await;
    let refusal = result.unwrap_err();
    assert!(matches!(refusal, SessionError::Unproved(Unproved::NotAuthentic)), "{refusal:?}");
    assert_eq!(refresh(&one, tokens.refresh.expose(), after(1)).await, 200);
}
