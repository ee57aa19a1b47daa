//! Refreshing, row by row of contract §10.3.
//!
//! R15 to R19 describe two ways to rotate. Ours is the second, rotation by the refresh itself, with
//! the bounds of [`session::model::refresh`]; R15 to R17 are asked of it all the same.

use std::time::Duration;

use session::model::{Clock as _, Generation, SessionHandle};
use session::token::UnverifiedAccessToken;
use testkit::harness::Tokens;
use testkit::{Fault, Harness, keys};

use crate::effects::Value::{Empty, Real};
use crate::effects::{
    Answer, Effects, REFRESH_END, answer, claims, clr_all, clr_c, clr_h, none, read, set_c,
    set_c_until, set_h,
};

const COOKIES_ONLY: Settings<'_> = &[("TOKEN_TRANSFER_METHOD", "cookie")];
const HEADERS_ONLY: Settings<'_> = &[("TOKEN_TRANSFER_METHOD", "header")];
const VIA_CUSTOM_HEADER: Settings<'_> = &[("ANTI_CSRF", "VIA_CUSTOM_HEADER")];
const VIA_TOKEN: Settings<'_> = &[("ANTI_CSRF", "VIA_TOKEN")];
/// After a move from host-only cookies to a domain.
const MOVED: Settings<'_> =
    &[("COOKIE_DOMAIN", ".example.com"), ("OLDER_COOKIE_DOMAIN", "host-only")];

const MILLISECOND: Duration = Duration::from_millis(1);

/// A bearer token of some other system.
const UNRELATED: &str = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
/// Cookies that came along, but say nothing.
const FOUR_UNKNOWN: &str = "sAccessToken=a; sAccessToken=b; sRefreshToken=c; sRefreshToken=d";

type Settings<'a> = &'a [(&'a str, &'a str)];

async fn signed_in(settings: Settings<'_>) -> (Harness, Tokens) {
    let stack = Harness::new(settings).await;
    let tokens = stack.sign_in("cookie").await;
    (stack, tokens)
}

async fn refresh(stack: &Harness, headers: &[(&str, &str)]) -> Answer {
    read(stack, stack.refresh(headers).await).await
}

/// The answer to these cookies and nothing else.
async fn with_cookies(stack: &Harness, line: &str) -> Answer {
    refresh(stack, &[("cookie", line)]).await
}

/// The answer to this `Authorization` and nothing else.
async fn with_authorization(stack: &Harness, value: &str) -> Answer {
    refresh(stack, &[("authorization", value)]).await
}

/// The tokens that a refresh with these headers gives.
async fn exchanged_by(stack: &Harness, headers: &[(&str, &str)]) -> Tokens {
    let response = stack.refresh(headers).await;
    assert_eq!(response.status(), 200, "{:?}", response.body());
    Tokens::of(&response)
}

/// The tokens that a refresh by cookie gives.
async fn exchanged(stack: &Harness, tokens: &Tokens) -> Tokens {
    exchanged_by(stack, &[("cookie", &tokens.refresh_cookie())]).await
}

/// As [`exchanged`], as soon as the token is old enough to rotate again.
async fn rotated(stack: &Harness, tokens: &Tokens) -> Tokens {
    stack.clock.advance(stack.config.refresh.window() + MILLISECOND);
    exchanged(stack, tokens).await
}

/// A moved stack, the cookies from before the move and those from after it: one session.
async fn moved() -> (Harness, Tokens, Tokens) {
    let (stack, old) = signed_in(&[]).await;
    let stack = stack.redeployed(MOVED).await;
    let new = exchanged(&stack, &old).await;
    (stack, old, new)
}

/// What a browser sends when it holds cookies of two domains.
fn both(old: &Tokens, new: &Tokens) -> String {
    let [old, new] = [old, new].map(|tokens| [tokens.access_cookie(), tokens.refresh_cookie()]);
    [old, new].concat().join("; ")
}

fn refreshed(effects: Effects) -> Answer {
    answer(200, "{}", effects)
}

/// `unauthorised` of contract §3.6, of a session that is certainly over.
fn unauthorised() -> Answer {
    answer(401, r#"{"message":"unauthorised"}"#, clr_all())
}

/// `unauthorised` of contract §3.6 where nothing is known. The reference empties the cookies here too: any
/// website could sign a visitor out then, and a first visit that is answered late the page that has signed
/// in meanwhile.
fn unproved() -> Answer {
    answer(401, r#"{"message":"unauthorised"}"#, clr_h())
}

/// `token theft detected` of contract §3.6.
fn theft() -> Answer {
    answer(401, r#"{"message":"token theft detected"}"#, clr_all())
}

/// Of a token that came by header: cookies beside it may be another session's.
fn theft_by_header() -> Answer {
    Answer { effects: clr_h(), ..theft() }
}

#[tokio::test]
async fn r1_a_cookie_is_answered_by_cookies() {
    let (stack, tokens) = signed_in(&[]).await;
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, refreshed(set_c()));
}

#[tokio::test]
async fn r1_the_new_refresh_token_is_another_one() {
    let (stack, tokens) = signed_in(&[]).await;
    assert_ne!(exchanged(&stack, &tokens).await.refresh, tokens.refresh);
}

#[tokio::test]
async fn r2_a_header_token_is_answered_by_headers() {
    let (stack, tokens) = signed_in(&[]).await;
    assert_eq!(with_authorization(&stack, &tokens.refresh_bearer()).await, refreshed(set_h()));
}

/// The reference empties the cookies. They may be another's: an app sends those of its web views along.
#[tokio::test]
async fn r3_a_header_token_beats_the_cookie_and_leaves_it_alone() {
    let (stack, tokens) = signed_in(&[]).await;
    let (bearer, line) = (tokens.refresh_bearer(), tokens.refresh_cookie());
    let seen = refresh(&stack, &[("authorization", &bearer), ("cookie", &line)]).await;
    assert_eq!(seen, refreshed(set_h()));
}

#[tokio::test]
async fn r3_the_session_of_the_header_goes_on() {
    let (stack, by_cookie) = signed_in(&[]).await;
    let by_header = stack.sign_in("header").await;
    let (bearer, line) = (by_header.refresh_bearer(), by_cookie.refresh_cookie());
    let new = exchanged_by(&stack, &[("authorization", &bearer), ("cookie", &line)]).await;
    assert_eq!(handle(&new), handle(&by_header));
}

#[tokio::test]
async fn r4_where_only_cookies_count_a_header_token_is_cleared() {
    let (stack, tokens) = signed_in(COOKIES_ONLY).await;
    let (bearer, line) = (tokens.refresh_bearer(), tokens.refresh_cookie());
    let seen = refresh(&stack, &[("authorization", &bearer), ("cookie", &line)]).await;
    let exposed = clr_h().exposed;
    let expected = Effects { access: Empty, refresh: Empty, exposed, ..set_c() };
    assert_eq!(seen, refreshed(expected));
}

#[tokio::test]
async fn r5_without_any_token_the_front_end_forgets_and_no_cookie_is_touched() {
    let stack = Harness::new(&[]).await;
    assert_eq!(refresh(&stack, &[]).await, unproved());
}

#[tokio::test]
async fn r6_an_access_cookie_is_no_refresh_token() {
    let (stack, tokens) = signed_in(&[]).await;
    assert_eq!(with_cookies(&stack, &tokens.access_cookie()).await, unproved());
}

#[tokio::test]
async fn r7_a_legacy_cookie_alone_is_cleared() {
    let stack = Harness::new(&[]).await;
    let expected = Answer { effects: clr_h().and_clr_legacy(), ..unproved() };
    assert_eq!(with_cookies(&stack, "sIdRefreshToken=x").await, expected);
}

#[tokio::test]
async fn r8_a_legacy_cookie_is_cleared_on_the_way() {
    let (stack, tokens) = signed_in(&[]).await;
    let line = format!("{}; sIdRefreshToken=x", tokens.refresh_cookie());
    assert_eq!(with_cookies(&stack, &line).await, refreshed(set_c().and_clr_legacy()));
}

#[tokio::test]
async fn r9_an_empty_cookie_is_no_refresh_token() {
    let stack = Harness::new(&[]).await;
    assert_eq!(with_cookies(&stack, "sRefreshToken=").await, unproved());
}

#[tokio::test]
async fn r10_an_empty_bearer_is_no_refresh_token() {
    let stack = Harness::new(&[]).await;
    assert_eq!(with_authorization(&stack, "Bearer ").await, unproved());
}

#[tokio::test]
async fn r11_another_scheme_is_nothing_to_us() {
    let (stack, tokens) = signed_in(&[]).await;
    let seen = refresh(
        &stack,
        &[("authorization", "Basic dXNlcjpwYXNzd29yZA=="), ("cookie", &tokens.refresh_cookie())],
    )
    .await;
    assert_eq!(seen, refreshed(set_c()));
}

/// The reference takes any bearer for a refresh token here and signs the user out. Nothing depends
/// on that, so a value of another form is some other system's (contract §2.4).
#[tokio::test]
async fn r12_an_unrelated_bearer_does_not_shadow_the_cookie() {
    let (stack, tokens) = signed_in(&[]).await;
    let seen =
        refresh(&stack, &[("authorization", UNRELATED), ("cookie", &tokens.refresh_cookie())])
            .await;
    assert_eq!(seen, refreshed(set_c()));
}

#[tokio::test]
async fn r13_an_access_token_is_no_refresh_token() {
    let (stack, tokens) = signed_in(&[]).await;
    assert_eq!(with_authorization(&stack, &tokens.access_bearer()).await, unproved());
}

#[tokio::test]
async fn r14_a_revoked_session_is_over() {
    let (stack, tokens) = signed_in(&[]).await;
    stack.sign_out(&[("cookie", &tokens.access_cookie())]).await;
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, unauthorised());
}

/// The reference empties the cookies too. They may be another session's, and it may be alive.
#[tokio::test]
async fn r14_a_header_token_that_is_over_says_nothing_about_cookies() {
    let (stack, tokens) = signed_in(&[]).await;
    stack.sign_out(&[("authorization", &tokens.access_bearer())]).await;
    let expected = Answer { effects: clr_h(), ..unauthorised() };
    assert_eq!(with_authorization(&stack, &tokens.refresh_bearer()).await, expected);
}

#[tokio::test]
async fn r14_a_session_is_over_in_the_millisecond_of_its_end() {
    let (stack, tokens) = signed_in(&[]).await;
    stack.clock.advance(stack.config.lifetimes.refresh_token);
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, unauthorised());
}

#[tokio::test]
async fn r14_a_session_that_never_was_is_over() {
    let stack = Harness::new(&[]).await;
    let handle = SessionHandle::from_bytes([1; SessionHandle::LEN]);
    let token = keys::master().mint(&handle, Generation::FIRST, false);
    let line = format!("sRefreshToken={}", token.expose());
    assert_eq!(with_cookies(&stack, &line).await, unauthorised());
}

#[tokio::test]
async fn r15_a_repeated_refresh_succeeds_again() {
    let (stack, tokens) = signed_in(&[]).await;
    exchanged(&stack, &tokens).await;
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, refreshed(set_c()));
}

#[tokio::test]
async fn r15_a_repeated_refresh_gets_the_same_refresh_token() {
    let (stack, tokens) = signed_in(&[]).await;
    let first = exchanged(&stack, &tokens).await;
    assert_eq!(exchanged(&stack, &tokens).await.refresh, first.refresh);
}

/// The first token of a session after two rotations, outside every window.
async fn overdue() -> (Harness, [Tokens; 2]) {
    let (stack, oldest) = signed_in(&[]).await;
    let child = exchanged(&stack, &oldest).await;
    let newest = rotated(&stack, &child).await;
    stack.clock.advance(stack.config.refresh.window() + MILLISECOND);
    (stack, [oldest, newest])
}

/// What spends a token is the refresh with its successor; a protected route writes nothing here.
#[tokio::test]
async fn r16_a_token_two_generations_back_is_theft() {
    let (stack, [oldest, _]) = overdue().await;
    assert_eq!(with_cookies(&stack, &oldest.refresh_cookie()).await, theft());
}

#[tokio::test]
async fn r16_theft_of_a_header_token_says_nothing_about_cookies() {
    let (stack, [oldest, _]) = overdue().await;
    let seen = with_authorization(&stack, &oldest.refresh_bearer()).await;
    assert_eq!(seen, theft_by_header());
}

#[tokio::test]
async fn r16_theft_clears_the_legacy_cookie_too() {
    let (stack, [oldest, _]) = overdue().await;
    let line = format!("{}; sIdRefreshToken=x", oldest.refresh_cookie());
    let expected = Answer { effects: clr_all().and_clr_legacy(), ..theft() };
    assert_eq!(with_cookies(&stack, &line).await, expected);
}

#[tokio::test]
async fn r17_after_theft_the_newest_token_is_worth_nothing() {
    let (stack, [oldest, newest]) = overdue().await;
    stack.refresh(&[("cookie", &oldest.refresh_cookie())]).await;
    assert_eq!(with_cookies(&stack, &newest.refresh_cookie()).await, unauthorised());
}

/// The session's end is that of the rotation, a minute earlier: nothing was rotated.
#[tokio::test]
async fn r18_the_parent_is_answered_to_the_end_of_the_window() {
    let (stack, parent) = signed_in(&[]).await;
    exchanged(&stack, &parent).await;
    stack.clock.advance(stack.config.refresh.window());
    let expected = set_c_until("Wed, 13 Nov 2024 22:14:20 GMT", REFRESH_END);
    assert_eq!(with_cookies(&stack, &parent.refresh_cookie()).await, refreshed(expected));
}

#[tokio::test]
async fn r18_the_parent_is_answered_by_header_too() {
    let (stack, parent) = signed_in(&[]).await;
    exchanged(&stack, &parent).await;
    stack.clock.advance(stack.config.refresh.window());
    assert_eq!(with_authorization(&stack, &parent.refresh_bearer()).await, refreshed(set_h()));
}

/// The reference makes a new child each time; ours is the same one, so that two tabs end up alike.
#[tokio::test]
async fn r18_the_parent_gets_the_same_successor() {
    let (stack, parent) = signed_in(&[]).await;
    let child = exchanged(&stack, &parent).await;
    stack.clock.advance(stack.config.refresh.window());
    assert_eq!(exchanged(&stack, &parent).await.refresh, child.refresh);
}

/// The reference calls this theft. It may as well be a client that never got its answer, and as
/// long as nobody used the successor that is what it is taken for.
#[tokio::test]
async fn r19_a_late_parent_whose_successor_nobody_used_is_recovered() {
    let (stack, parent) = signed_in(&[]).await;
    exchanged(&stack, &parent).await;
    stack.clock.advance(stack.config.refresh.window() + MILLISECOND);
    let expected = set_c_until("Wed, 13 Nov 2024 22:14:20 GMT", "Thu, 22 Feb 2024 22:14:20 GMT");
    assert_eq!(with_cookies(&stack, &parent.refresh_cookie()).await, refreshed(expected));
}

#[tokio::test]
async fn r19_a_recovered_session_gets_a_new_generation() {
    let (stack, parent) = signed_in(&[]).await;
    let child = exchanged(&stack, &parent).await;
    assert_ne!(rotated(&stack, &parent).await.refresh, child.refresh);
}

/// A session whose successor was given up long ago, because its answer seemed to be lost; the token
/// that took its place.
async fn given_up(method: &str) -> (Harness, [Tokens; 2]) {
    let stack = Harness::new(&[]).await;
    let parent = stack.sign_in(method).await;
    let child = exchanged(&stack, &parent).await;
    let newest = rotated(&stack, &parent).await;
    stack.clock.advance(stack.config.refresh.window() + MILLISECOND);
    (stack, [child, newest])
}

#[tokio::test]
async fn r19_the_successor_that_was_given_up_is_theft() {
    let (stack, [child, _]) = given_up("cookie").await;
    assert_eq!(with_cookies(&stack, &child.refresh_cookie()).await, theft());
}

/// Whoever steals a cookie chooses how to send it.
#[tokio::test]
async fn r19_a_cookie_that_is_sent_as_a_header_is_not_late() {
    let (stack, [child, _]) = given_up("cookie").await;
    assert_eq!(with_authorization(&stack, &child.refresh_bearer()).await, theft_by_header());
}

/// A page stood still before it stored the answer, and another refreshed meanwhile. A browser stores
/// cookies when they arrive, so only header tokens come like that (contract §5.8).
#[tokio::test]
async fn r19_an_answer_that_a_script_stored_late_is_no_theft() {
    let (stack, [child, newest]) = given_up("header").await;
    let seen = with_authorization(&stack, &child.refresh_bearer()).await;
    assert_eq!(seen.effects, set_h());
    stack.clock.advance(stack.config.refresh.window() + MILLISECOND);
    let seen = with_authorization(&stack, &newest.refresh_bearer()).await;
    assert_eq!(seen, theft_by_header(), "whoever holds the other token is another party");
}

#[tokio::test]
async fn r19_a_script_of_another_agent_is_not_late() {
    let (stack, [child, _]) = given_up("header").await;
    let bearer = child.refresh_bearer();
    let seen = refresh(&stack, &[("authorization", &bearer), ("user-agent", "other")]).await;
    assert_eq!(seen, theft_by_header());
}

#[tokio::test]
async fn r19_four_generations_back_is_theft_at_any_time() {
    let (stack, oldest) = signed_in(&[]).await;
    let mut newest = exchanged(&stack, &oldest).await;
    for _ in 0..3 {
        newest = rotated(&stack, &newest).await;
    }
    assert_eq!(with_cookies(&stack, &oldest.refresh_cookie()).await, theft());
}

/// The reference answers 500 to two cookies of one name. A neighbour below the same domain can plant one,
/// and would lock the user out for ever; what is authentic is told apart from what is not.
#[tokio::test]
async fn r20_a_second_refresh_cookie_that_is_not_authentic_does_not_count() {
    let (stack, tokens) = signed_in(&[]).await;
    for planted in ["x", &forged(&tokens.refresh)] {
        for line in [
            format!("{}; sRefreshToken={planted}", tokens.refresh_cookie()),
            format!("sRefreshToken={planted}; {}", tokens.refresh_cookie()),
        ] {
            assert_eq!(with_cookies(&stack, &line).await, refreshed(set_c()), "{line}");
        }
    }
}

#[tokio::test]
async fn r20_a_refresh_cookie_that_is_sent_twice_is_one() {
    let (stack, tokens) = signed_in(&[]).await;
    let line = format!("{0}; {0}", tokens.refresh_cookie());
    assert_eq!(with_cookies(&stack, &line).await, refreshed(set_c()));
}

#[tokio::test]
async fn r20_of_several_sessions_the_first_that_is_alive_goes_on() {
    let (stack, planted) = signed_in(&[]).await;
    let own = stack.sign_in("cookie").await;
    let line = format!("{}; {}", own.refresh_cookie(), planted.refresh_cookie());
    let new = exchanged_by(&stack, &[("cookie", &line)]).await;
    assert_eq!(handle(&new), handle(&own));
    stack.sign_out(&[("cookie", &planted.access_cookie())]).await;
    let line = format!("{}; {}", planted.refresh_cookie(), own.refresh_cookie());
    let new = exchanged_by(&stack, &[("cookie", &line)]).await;
    assert_eq!(handle(&new), handle(&own));
}

#[tokio::test]
async fn r20_cookies_of_several_sessions_are_cleared_if_all_are_over() {
    let (stack, one) = signed_in(&[]).await;
    let another = stack.sign_in("cookie").await;
    for tokens in [&one, &another] {
        stack.sign_out(&[("cookie", &tokens.access_cookie())]).await;
    }
    let line = format!("{}; {}", one.refresh_cookie(), another.refresh_cookie());
    assert_eq!(with_cookies(&stack, &line).await, unauthorised());
}

#[tokio::test]
async fn r20_an_anti_csrf_token_tells_whose_cookie_is_meant() {
    let (stack, planted) = signed_in(VIA_TOKEN).await;
    let own = stack.sign_in("cookie").await;
    let line = format!("{}; {}", planted.refresh_cookie(), own.refresh_cookie());
    let headers = [("cookie", line.as_str()), ("anti-csrf", &own.anti_csrf)];
    assert_eq!(handle(&exchanged_by(&stack, &headers).await), handle(&own));
}

/// One of the two may be the client's own, and nothing was proved about it.
#[tokio::test]
async fn r20_a_planted_session_that_is_over_takes_nothing_away() {
    let (stack, planted) = signed_in(VIA_TOKEN).await;
    let own = stack.sign_in("cookie").await;
    let line = planted.access_cookie();
    stack.sign_out(&[("cookie", &line), ("anti-csrf", &planted.anti_csrf)]).await;
    let line = format!("{}; {}", own.refresh_cookie(), planted.refresh_cookie());
    let headers = [("cookie", line.as_str()), ("anti-csrf", &planted.anti_csrf)];
    assert_eq!(refresh(&stack, &headers).await, unproved());
}

#[tokio::test]
async fn r20_no_more_than_eight_sessions_are_tried() {
    let stack = Harness::new(&[]).await;
    let mut line = String::new();
    for number in 0..20 {
        let handle = SessionHandle::from_bytes([number; SessionHandle::LEN]);
        let token = keys::master().mint(&handle, Generation::FIRST, false);
        line = format!("{line}sRefreshToken={}; ", token.expose());
    }
    assert_eq!(with_cookies(&stack, &line).await, unauthorised());
    let calls = stack.wire.take_calls();
    let writes = calls.iter().filter(|call| call.operation == "UpdateItem").count();
    assert_eq!(writes, 8);
}

#[tokio::test]
async fn r21_a_second_access_cookie_does_not_matter() {
    let (stack, tokens) = signed_in(&[]).await;
    let line = format!("sAccessToken=x; {}; {}", tokens.access_cookie(), tokens.refresh_cookie());
    assert_eq!(with_cookies(&stack, &line).await, refreshed(set_c()));
}

/// The reference only clears, and current web front ends take that for an error. Where all tokens
/// are of one session the newest is the right one, so the refresh goes on (contract §2.5).
#[tokio::test]
async fn r22_older_cookies_are_cleared_and_the_refresh_goes_on() {
    let (stack, old, new) = moved().await;
    let now = set_c().on_domain(".example.com");
    let expected = Effects { cookies: [clr_c().cookies, now.cookies].concat(), ..set_c() };
    assert_eq!(with_cookies(&stack, &both(&old, &new)).await, refreshed(expected));
}

#[tokio::test]
async fn r22_the_newest_token_counts_whatever_the_order() {
    let (stack, old, new) = moved().await;
    stack.clock.advance(stack.config.refresh.window() + MILLISECOND);
    // The old one alone would be recovered, and the new one burnt by that.
    stack.refresh(&[("cookie", &both(&new, &old))]).await;
    assert_eq!(stack.refresh(&[("cookie", &new.refresh_cookie())]).await.status(), 200);
}

#[tokio::test]
async fn r22_an_ended_session_is_cleared_on_both_domains() {
    let (stack, old, new) = moved().await;
    stack.sign_out(&[("cookie", &new.access_cookie())]).await;
    let expected = Answer { effects: cleared_everywhere(), ..unauthorised() };
    assert_eq!(with_cookies(&stack, &both(&old, &new)).await, expected);
}

/// Whatever the request shows of them: the cookies of the older domain may not have been sent.
#[tokio::test]
async fn r22_a_session_that_is_over_is_cleared_on_every_domain_that_is_configured() {
    let (stack, _, new) = moved().await;
    stack.sign_out(&[("cookie", &new.access_cookie())]).await;
    let expected = Answer { effects: cleared_everywhere(), ..unauthorised() };
    assert_eq!(with_cookies(&stack, &new.refresh_cookie()).await, expected);
}

/// Everything, on the domain of today and on that of before.
fn cleared_everywhere() -> Effects {
    let (now, before) = (clr_c().on_domain(".example.com").cookies, clr_c().cookies);
    let cookies = now.into_iter().zip(before).flat_map(|(now, before)| [now, before]).collect();
    Effects { cookies, ..clr_all() }
}

#[tokio::test]
async fn r22_tokens_that_say_nothing_are_left_alone() {
    let stack = Harness::new(MOVED).await;
    assert_eq!(with_cookies(&stack, FOUR_UNKNOWN).await, unproved());
}

#[tokio::test]
async fn r22_of_two_sessions_the_first_goes_on_and_the_older_domain_is_cleared() {
    let (stack, one) = signed_in(MOVED).await;
    let another = stack.sign_in("cookie").await;
    let now = set_c().on_domain(".example.com");
    let expected = Effects { cookies: [clr_c().cookies, now.cookies].concat(), ..set_c() };
    assert_eq!(with_cookies(&stack, &both(&one, &another)).await, refreshed(expected));
}

#[tokio::test]
async fn r23_access_cookies_that_say_nothing_are_left_alone() {
    let stack = Harness::new(MOVED).await;
    assert_eq!(with_cookies(&stack, "sAccessToken=a; sAccessToken=b").await, unproved());
}

/// As R22: the one refresh token is the right one (contract §2.5).
#[tokio::test]
async fn r23_with_one_refresh_cookie_the_refresh_goes_on() {
    let (stack, tokens) = signed_in(MOVED).await;
    let line = format!("sAccessToken=a; sAccessToken=b; {}", tokens.refresh_cookie());
    let now = set_c().on_domain(".example.com");
    let expected = Effects { cookies: [&clr_c().cookies[..1], &now.cookies].concat(), ..set_c() };
    assert_eq!(with_cookies(&stack, &line).await, refreshed(expected));
}

#[tokio::test]
async fn r24_the_older_domain_is_read_out_of_a_url() {
    let older = ("OLDER_COOKIE_DOMAIN", "https://api.example.com:80/x");
    let (stack, tokens) = signed_in(&[MOVED[0], older]).await;
    let line = format!("{}; {FOUR_UNKNOWN}", tokens.refresh_cookie());
    let (older, now) = (clr_c().on_domain("api.example.com"), set_c().on_domain(".example.com"));
    let expected = Effects { cookies: [older.cookies, now.cookies].concat(), ..set_c() };
    assert_eq!(with_cookies(&stack, &line).await, refreshed(expected));
}

/// In the reference duplicates win over the header; here it says without doubt what is meant.
#[tokio::test]
async fn r25_a_header_token_makes_duplicate_cookies_irrelevant() {
    for settings in [&[], MOVED] {
        let (stack, tokens) = signed_in(settings).await;
        let bearer = tokens.refresh_bearer();
        let headers = [("authorization", bearer.as_str()), ("cookie", FOUR_UNKNOWN)];
        assert_eq!(refresh(&stack, &headers).await, refreshed(set_h()));
    }
}

#[tokio::test]
async fn r25_duplicates_of_one_session_do_not_shadow_a_header_token() {
    let (stack, old, new) = moved().await;
    let (bearer, line) = (new.refresh_bearer(), both(&old, &new));
    let seen = refresh(&stack, &[("authorization", &bearer), ("cookie", &line)]).await;
    assert_eq!(seen, refreshed(set_h()));
}

#[tokio::test]
async fn r26_where_only_headers_count_duplicate_cookies_are_left_alone_like_any() {
    let (stack, tokens) = signed_in(HEADERS_ONLY).await;
    let bearer = tokens.refresh_bearer();
    let seen = refresh(&stack, &[("authorization", &bearer), ("cookie", FOUR_UNKNOWN)]).await;
    assert_eq!(seen, refreshed(set_h()));
}

#[tokio::test]
async fn r27_a_cookie_needs_the_rid_header_where_that_is_the_proof() {
    let (stack, tokens) = signed_in(VIA_CUSTOM_HEADER).await;
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, unproved());
}

#[tokio::test]
async fn r28_any_rid_header_will_do_even_an_empty_one() {
    let (stack, tokens) = signed_in(VIA_CUSTOM_HEADER).await;
    let seen = refresh(&stack, &[("cookie", &tokens.refresh_cookie()), ("rid", "")]).await;
    assert_eq!(seen, refreshed(set_c()));
}

#[tokio::test]
async fn r29_a_header_token_needs_no_rid_header() {
    let (stack, tokens) = signed_in(VIA_CUSTOM_HEADER).await;
    assert_eq!(with_authorization(&stack, &tokens.refresh_bearer()).await, refreshed(set_h()));
}

#[tokio::test]
async fn r30_a_cookie_needs_the_anti_csrf_token_where_that_is_the_proof() {
    let (stack, tokens) = signed_in(VIA_TOKEN).await;
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, unproved());
}

#[tokio::test]
async fn r30_the_anti_csrf_token_of_another_session_will_not_do() {
    let (stack, tokens) = signed_in(VIA_TOKEN).await;
    let wrong = stack.sign_in("cookie").await.anti_csrf;
    let seen =
        refresh(&stack, &[("cookie", &tokens.refresh_cookie()), ("anti-csrf", &wrong)]).await;
    assert_eq!(seen, unproved());
}

/// Sets cookies, and an anti-CSRF token (contract §4.5).
fn set_c_with_anti_csrf() -> Effects {
    Effects { anti_csrf: Real, exposed: "front-token, anti-csrf".to_owned(), ..set_c() }
}

#[tokio::test]
async fn r31_the_right_anti_csrf_token_is_accepted() {
    let (stack, tokens) = signed_in(VIA_TOKEN).await;
    let line = tokens.refresh_cookie();
    let seen = refresh(&stack, &[("cookie", &line), ("anti-csrf", &tokens.anti_csrf)]).await;
    assert_eq!(seen, refreshed(set_c_with_anti_csrf()));
}

#[tokio::test]
async fn r31_a_refresh_gives_a_new_anti_csrf_token() {
    let (stack, tokens) = signed_in(VIA_TOKEN).await;
    let line = tokens.refresh_cookie();
    let headers = [("cookie", line.as_str()), ("anti-csrf", &tokens.anti_csrf)];
    assert_ne!(exchanged_by(&stack, &headers).await.anti_csrf, tokens.anti_csrf);
}

/// The browser stored the cookies, and the page was closed before its script stored the anti-CSRF token:
/// once, or several times in a row (contract §4.3).
#[tokio::test]
async fn r31_tabs_that_were_closed_between_cookies_and_script_go_on_days_later() {
    let (stack, mut stored) = signed_in(VIA_TOKEN).await;
    let proof = stored.anti_csrf.clone();
    for _ in 0..3 {
        let line = stored.refresh_cookie();
        let headers = [("cookie", line.as_str()), ("anti-csrf", &proof)];
        stored = exchanged_by(&stack, &headers).await;
        stack.clock.advance(Duration::from_hours(72));
    }
}

/// Answers that overtake each other leave a proof that is newer than the cookie.
#[tokio::test]
async fn r31_a_newer_anti_csrf_token_is_accepted_too() {
    let (stack, tokens) = signed_in(VIA_TOKEN).await;
    let line = tokens.refresh_cookie();
    let headers = [("cookie", line.as_str()), ("anti-csrf", &tokens.anti_csrf)];
    let newer = exchanged_by(&stack, &headers).await.anti_csrf;
    exchanged_by(&stack, &[("cookie", &line), ("anti-csrf", &newer)]).await;
}

#[tokio::test]
async fn r32_a_token_from_before_the_mode_was_switched_on_gets_an_anti_csrf_token() {
    let (stack, tokens) = signed_in(&[]).await;
    let stack = stack.redeployed(VIA_TOKEN).await;
    let seen = with_cookies(&stack, &tokens.refresh_cookie()).await;
    assert_eq!(seen, refreshed(set_c_with_anti_csrf()));
}

#[tokio::test]
async fn r33_the_status_of_an_ended_session_is_a_setting() {
    let stack = Harness::new(&[("SESSION_EXPIRED_STATUS_CODE", "440")]).await;
    let expected = answer(440, r#"{"message":"unauthorised"}"#, clr_h());
    assert_eq!(refresh(&stack, &[]).await, expected);
}

#[tokio::test]
async fn r34_the_access_token_is_repeated_in_a_header_where_that_is_wanted() {
    let (stack, tokens) = signed_in(&[("EXPOSE_ACCESS_TOKEN", "true")]).await;
    let exposed = "front-token, st-access-token".to_owned();
    let expected = Effects { access: Real, exposed, ..set_c() };
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, refreshed(expected));
}

#[tokio::test]
async fn r35_the_rid_header_routes_nothing() {
    let (stack, tokens) = signed_in(&[]).await;
    let line = tokens.refresh_cookie();
    let seen = refresh(&stack, &[("cookie", &line), ("rid", "emailpassword")]).await;
    assert_eq!(seen, refreshed(set_c()));
}

/// 503 where the reference has 500: clients keep their session either way, and may come again.
fn unavailable() -> Answer {
    let body = r#"{"message":"the session store is not available, try again"}"#;
    let mut expected = answer(503, body, none());
    expected.others.push("retry-after: 1".to_owned());
    expected
}

#[tokio::test]
async fn r36_a_store_that_cannot_be_reached_clears_nothing() {
    let (stack, tokens) = signed_in(&[]).await;
    exchanged(&stack, &stack.sign_in("cookie").await).await; // loads the keys
    stack.wire.break_all(Some(Fault::ConnectionReset));
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, unavailable());
}

#[tokio::test]
async fn r36_keys_that_cannot_be_loaded_clear_nothing() {
    let (stack, tokens) = signed_in(&[]).await;
    stack.wire.break_all(Some(Fault::ConnectionReset));
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, unavailable());
}

#[tokio::test]
async fn r36_the_same_token_works_once_the_store_is_back() {
    let (stack, tokens) = signed_in(&[]).await;
    stack.wire.break_all(Some(Fault::ConnectionReset));
    with_cookies(&stack, &tokens.refresh_cookie()).await;
    stack.wire.break_all(None);
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, refreshed(set_c()));
}

#[tokio::test]
async fn r37_a_refresh_signs_with_the_kind_of_key_that_is_configured_now() {
    let (stack, tokens) = signed_in(&[]).await;
    let stack = stack.redeployed(&[("USE_DYNAMIC_SIGNING_KEY", "false")]).await;
    let access = exchanged(&stack, &tokens).await.access;
    let kid = UnverifiedAccessToken::parse(&access).map(|token| token.unverified_key_id().clone());
    assert_eq!(kid.unwrap().as_str(), keys::STATIC_ID);
}

#[tokio::test]
async fn r37_switching_the_kind_of_key_costs_nobody_the_session() {
    let (stack, tokens) = signed_in(&[]).await;
    let stack = stack.redeployed(&[("USE_DYNAMIC_SIGNING_KEY", "false")]).await;
    assert_eq!(with_cookies(&stack, &tokens.refresh_cookie()).await, refreshed(set_c()));
}

/// A token of our form that we did not mint.
fn forged(refresh: &str) -> String {
    let (kept, last) = refresh.split_at(refresh.len() - 4);
    format!("{kept}{}", if last == "AAAA" { "BBBB" } else { "AAAA" })
}

/// The session that an access token names.
fn handle(tokens: &Tokens) -> String {
    claims(&tokens.access)["sessionHandle"].as_str().unwrap().to_owned()
}

/// The host's clock jumps ahead and back; what was minted in between is no theft, and no token of it is
/// refused.
#[tokio::test]
async fn a_clock_that_steps_ahead_and_back_ends_no_session() {
    let step = Duration::from_mins(10);
    let (stack, tokens) = signed_in(&[]).await;
    let begin = stack.clock.now();
    stack.clock.set(begin.plus(step));
    let ahead = exchanged_by(&stack, &[("cookie", &tokens.refresh_cookie())]).await;
    stack.clock.set(begin);
    exchanged_by(&stack, &[("cookie", &ahead.refresh_cookie())]).await;
    exchanged_by(&stack, &[("cookie", &tokens.refresh_cookie())]).await;
    for later in [Duration::ZERO, Duration::from_secs(700)] {
        stack.clock.set(begin.plus(later));
        let response =
            stack.send(http::Method::GET, "/api/me", &[("cookie", &ahead.access_cookie())]).await;
        assert_eq!(response.status(), 200, "{later:?}");
        let last = exchanged_by(&stack, &[("cookie", &ahead.refresh_cookie())]).await;
        assert!(!last.refresh.is_empty());
    }
}
