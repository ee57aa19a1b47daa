//! What each operation may cost, in requests and capacity units.

use std::time::Duration;

use http::Method;
use testkit::{Call, Harness};

fn one(operation: &str, units: f64) -> Vec<Call> {
    vec![Call { operation: operation.to_owned(), units: Some(units), status: 200 }]
}

/// A stack whose functions have loaded their keys, and a session in it.
async fn warm() -> (Harness, testkit::harness::Tokens) {
    let harness = Harness::new(&[]).await;
    let tokens = harness.sign_in("cookie").await;
    let cookie = tokens.access_cookie();
    harness.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
    let other = harness.sign_in("cookie").await;
    harness.refresh(&[("cookie", &other.refresh_cookie())]).await;
    harness.sign_out(&[("cookie", &other.access_cookie())]).await;
    harness.wire.take_calls();
    (harness, tokens)
}

#[tokio::test]
async fn a_refresh_is_one_conditional_write_of_one_unit() {
    let (harness, tokens) = warm().await;
    let response = harness.refresh(&[("cookie", &tokens.refresh_cookie())]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(harness.wire.take_calls(), one("UpdateItem", 1.0));
}

#[tokio::test]
async fn a_verification_is_no_request_at_all() {
    let (harness, tokens) = warm().await;
    for _ in 0..100 {
        let cookie = tokens.access_cookie();
        let response = harness.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
        assert_eq!(response.status(), 200);
    }
    assert_eq!(harness.wire.take_calls(), []);
}

#[tokio::test]
async fn a_strict_verification_is_one_read() {
    let harness = Harness::new(&[("CHECK_DATABASE", "true")]).await;
    let cookie = harness.sign_in("cookie").await.access_cookie();
    harness.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
    harness.wire.take_calls();
    let response = harness.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(harness.wire.take_calls(), one("GetItem", 1.0));
}

#[tokio::test]
async fn a_sign_in_is_one_write() {
    let (harness, _) = warm().await;
    harness.sign_in("cookie").await;
    assert_eq!(harness.wire.take_calls(), one("PutItem", 1.0));
}

#[tokio::test]
async fn a_sign_out_is_one_write() {
    let (harness, tokens) = warm().await;
    harness.sign_out(&[("cookie", &tokens.access_cookie())]).await;
    assert_eq!(harness.wire.take_calls(), one("DeleteItem", 1.0));
}

#[tokio::test]
async fn the_loser_of_a_race_makes_at_most_two_requests() {
    let (harness, tokens) = warm().await;
    harness.refresh(&[("cookie", &tokens.refresh_cookie())]).await;
    harness.wire.take_calls();
    harness.clock.advance(Duration::from_millis(5));
    let response = harness.refresh(&[("cookie", &tokens.refresh_cookie())]).await;
    assert_eq!(response.status(), 200);
    let operations: Vec<_> =
        harness.wire.take_calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(operations, ["UpdateItem", "UpdateItem"]);
}

#[tokio::test]
async fn a_forged_refresh_token_makes_no_request() {
    let (harness, tokens) = warm().await;
    let mut forged = tokens.refresh.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    let cookie = format!("sRefreshToken={forged}");
    let response = harness.refresh(&[("cookie", &cookie)]).await;
    assert_eq!(response.status(), 401);
    assert_eq!(harness.wire.take_calls(), []);
}
