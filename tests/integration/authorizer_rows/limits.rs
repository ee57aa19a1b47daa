//! Tokens and events of absurd size.

use std::time::{Duration, Instant};

use serde_json::json;
use session::token::UnverifiedAccessToken;
use session::token::access::MAX_LEN;
use testkit::Kind;
use testkit::front_door::shape;

use super::{function, get, http, ours, post};
use crate::mint::{Jwt, access_cookie, bearer};

/// A token that holds, of exactly that length.
fn of_length(length: usize) -> String {
    // Base64 has no text of every length, so a member of the header makes up for what a claim cannot.
    let padded = |header: usize, claim: usize| {
        let token = Jwt::valid().header("padding", "x".repeat(header));
        token.claim("padding", "x".repeat(claim)).sign()
    };
    let claim = (length - padded(2, 0).len()) * 3 / 4;
    let mut near = (0..3).flat_map(|header| (claim..claim + 4).map(move |claim| (header, claim)));
    near.find_map(|(header, claim)| Some(padded(header, claim)).filter(|it| it.len() == length))
        .unwrap()
}

#[tokio::test]
async fn a_token_of_8_kib_is_verified_and_one_byte_more_is_not_looked_at() {
    assert_eq!(MAX_LEN, 8192);
    for (token, is_allowed) in [(of_length(MAX_LEN), true), (of_length(MAX_LEN + 1), false)] {
        let (bearer, cookie) = (bearer(&token), access_cookie(&token));
        for header in [("authorization", bearer), ("cookie", cookie)] {
            let (stack, front) = ours(Kind::HttpSimple, &[]).await;
            let outcome = front.send(&get(&[(header.0, &header.1)])).await;
            assert_eq!(outcome.status(), if is_allowed { 200 } else { 401 });
            // To look at a token is to look for its key.
            let calls = usize::from(is_allowed);
            assert_eq!(stack.wire.take_calls().len(), calls);
        }
    }
}

#[tokio::test]
async fn every_front_door_refuses_a_token_over_8_kib() {
    let token = of_length(MAX_LEN + 1);
    let headers = [("authorization", &*bearer(&token))];
    let unauthorized = json!({ "errorMessage": "Unauthorized" });
    assert_eq!(http(&[], &get(&headers)).await, unauthorized);
    assert_eq!(function(&[], shape::http_api_1(&get(&headers))).await.unwrap(), unauthorized);
    for event in [
        shape::rest_token(&get(&headers)),
        shape::rest_request(&get(&headers)),
        shape::web_socket(&get(&headers)),
    ] {
        let raised = function(&[], event).await.unwrap_err();
        assert_eq!(raised.error_message, "Unauthorized");
    }
    let answer = function(&[], shape::app_sync(&post(&[("authorization", &token)]))).await;
    assert_eq!(answer.unwrap()["isAuthorized"], false);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "measures how long nothing takes")]
fn ten_megabytes_are_refused_before_anything_is_parsed() {
    let token = Jwt::valid().claim("padding", "x".repeat(10_000_000)).sign();
    let round = |_| {
        let before = Instant::now();
        for _ in 0..1000 {
            assert!(UnverifiedAccessToken::parse(&token).is_none());
        }
        before.elapsed()
    };
    // To decode it once takes longer than this. The fastest round counts: others may have been interrupted.
    let fastest = (0..20).map(round).min().unwrap();
    assert!(fastest < Duration::from_millis(5), "{fastest:?}");
}
