//! Signing out, row by row of contract §10.4.

use serde_json::json;
use testkit::Harness;
use testkit::harness::Tokens;

use crate::effects::{Answer, Effects, answer, claims, clr_c, clr_h, none, read};
use crate::mint::{Jwt, access_cookie};

const VIA_TOKEN: [(&str, &str); 1] = [("ANTI_CSRF", "VIA_TOKEN")];

async fn signed_in(settings: &[(&str, &str)]) -> (Harness, Tokens) {
    let stack = Harness::new(settings).await;
    let tokens = stack.sign_in("cookie").await;
    (stack, tokens)
}

async fn sign_out(stack: &Harness, headers: &[(&str, &str)]) -> Answer {
    read(stack, stack.sign_out(headers).await).await
}

fn signed_out(effects: Effects) -> Answer {
    answer(200, r#"{"status":"OK"}"#, effects)
}

/// `unauthorised` of contract §3.6, without clearing: a refresh may be under way in another tab.
fn unauthorised() -> Answer {
    answer(401, r#"{"message":"unauthorised"}"#, none())
}

/// `try refresh token` of contract §3.6.
fn try_refresh() -> Answer {
    answer(401, r#"{"message":"try refresh token"}"#, none())
}

#[tokio::test]
async fn s1_a_cookie_clears_the_cookies() {
    let (stack, tokens) = signed_in(&[]).await;
    let seen = sign_out(&stack, &[("cookie", &tokens.access_cookie())]).await;
    assert_eq!(seen, signed_out(clr_c()));
}

#[tokio::test]
async fn s1_the_session_is_over() {
    let (stack, tokens) = signed_in(&[]).await;
    stack.sign_out(&[("cookie", &tokens.access_cookie())]).await;
    let response = stack.refresh(&[("cookie", &tokens.refresh_cookie())]).await;
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn s2_a_header_token_clears_the_header_tokens() {
    let (stack, tokens) = signed_in(&[]).await;
    let seen = sign_out(&stack, &[("authorization", &tokens.access_bearer())]).await;
    assert_eq!(seen, signed_out(clr_h()));
}

#[tokio::test]
async fn s3_a_header_token_leaves_the_cookies_alone() {
    let (stack, tokens) = signed_in(&[]).await;
    let cookies = format!("{}; {}", tokens.access_cookie(), tokens.refresh_cookie());
    let bearer = tokens.access_bearer();
    let seen = sign_out(&stack, &[("authorization", &bearer), ("cookie", &cookies)]).await;
    assert_eq!(seen, signed_out(clr_h()));
}

#[tokio::test]
async fn s4_without_a_token_nothing_is_cleared() {
    let stack = Harness::new(&[]).await;
    assert_eq!(sign_out(&stack, &[]).await, unauthorised());
}

#[tokio::test]
async fn s5_an_expired_token_is_sent_to_refresh() {
    let (stack, tokens) = signed_in(&[]).await;
    stack.clock.advance(stack.config.lifetimes.access_token);
    let seen = sign_out(&stack, &[("cookie", &tokens.access_cookie())]).await;
    assert_eq!(seen, try_refresh());
}

/// As in the reference (contract §3.3).
#[tokio::test]
async fn s6_signing_out_twice_succeeds_twice() {
    let (stack, tokens) = signed_in(&[]).await;
    stack.sign_out(&[("cookie", &tokens.access_cookie())]).await;
    let seen = sign_out(&stack, &[("cookie", &tokens.access_cookie())]).await;
    assert_eq!(seen, signed_out(clr_c()));
}

#[tokio::test]
async fn s7_a_cookie_needs_the_rid_header_where_that_is_the_proof() {
    let (stack, tokens) = signed_in(&[("ANTI_CSRF", "VIA_CUSTOM_HEADER")]).await;
    let seen = sign_out(&stack, &[("cookie", &tokens.access_cookie())]).await;
    assert_eq!(seen, try_refresh());
}

#[tokio::test]
async fn s8_a_cookie_needs_the_anti_csrf_token_where_that_is_the_proof() {
    let (stack, tokens) = signed_in(&VIA_TOKEN).await;
    let seen = sign_out(&stack, &[("cookie", &tokens.access_cookie())]).await;
    assert_eq!(seen, try_refresh());
}

#[tokio::test]
async fn s9_the_right_anti_csrf_token_is_accepted_and_not_repeated() {
    let (stack, tokens) = signed_in(&VIA_TOKEN).await;
    let line = tokens.access_cookie();
    let seen = sign_out(&stack, &[("cookie", &line), ("anti-csrf", &tokens.anti_csrf)]).await;
    assert_eq!(seen, signed_out(clr_c()));
}

/// With validators that would refuse, the row is in `session_rows`; this is the deployed function.
#[tokio::test]
async fn s10_no_claim_keeps_a_user_from_signing_out() {
    let (stack, tokens) = signed_in(&[]).await;
    let token = Jwt::valid()
        .claim("sessionHandle", claims(&tokens.access)["sessionHandle"].clone())
        .claim("st-ev", json!({ "v": false, "t": 1_700_000_000_000_u64 }))
        .sign();
    let seen = sign_out(&stack, &[("cookie", &access_cookie(&token))]).await;
    assert_eq!(seen, signed_out(clr_c()));
}

#[tokio::test]
async fn s11_cookies_are_cleared_on_the_domain_that_they_were_set_on() {
    let (stack, tokens) = signed_in(&[("COOKIE_DOMAIN", ".example.com")]).await;
    let seen = sign_out(&stack, &[("cookie", &tokens.access_cookie())]).await;
    assert_eq!(seen, signed_out(clr_c().on_domain(".example.com")));
}
