//! What settings change beyond a single row of the contract (contract §1.4, §4.1, §9).

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value as Json, json};
use testkit::Harness;
use testkit::harness::Tokens;

use crate::effects::{claims, clr_c};

/// One website next to the API, one on another site.
const TWO_SITES: (&str, &str) = ("WEBSITE_DOMAIN", "https://example.com,https://other.com");
const FIRST: (&str, &str) = ("origin", "https://example.com");
const SECOND: (&str, &str) = ("origin", "https://other.com");
const FOREIGN: (&str, &str) = ("origin", "https://evil.example");

/// The lines of `Set-Cookie` that a sign-in from there gets, tokens left out.
async fn cookies_from(stack: &Harness, origin: (&str, &str)) -> Vec<String> {
    let request = Request::post("/example/signin")
        .header("content-type", "application/json")
        .header("st-auth-mode", "cookie")
        .header(origin.0, origin.1)
        .body(Bytes::from_static(br#"{"userId":"user-1"}"#));
    let response = stack.stack.handle(request.unwrap()).await;
    set_cookies(&response).iter().map(|line| line.split_once(';').unwrap().1.to_owned()).collect()
}

fn set_cookies(response: &http::Response<Bytes>) -> Vec<String> {
    let lines = response.headers().get_all("set-cookie").iter();
    lines.map(|line| line.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn same_site_follows_the_website_that_asks() {
    let stack = Harness::new(&[TWO_SITES]).await;
    for (origin, same_site) in [(FIRST, "Lax"), (SECOND, "None"), (("x-nothing", "said"), "Lax")] {
        for line in cookies_from(&stack, origin).await {
            assert!(line.ends_with(&format!("; Secure; SameSite={same_site}")), "{line}");
        }
    }
}

#[tokio::test]
async fn cookies_are_cleared_as_the_website_that_asks_got_them() {
    let stack = Harness::new(&[TWO_SITES]).await;
    for (origin, same_site) in [(FIRST, "SameSite=Lax"), (SECOND, "SameSite=None")] {
        let cookie = stack.sign_in("cookie").await.access_cookie();
        let response = stack.sign_out(&[("cookie", &cookie), ("rid", "session"), origin]).await;
        let expected = clr_c().cookies.into_iter();
        let expected: Vec<_> =
            expected.map(|line| line.replace("SameSite=Lax", same_site)).collect();
        assert_eq!(set_cookies(&response), expected);
    }
}

#[tokio::test]
async fn only_the_website_next_to_the_api_needs_no_rid_header() {
    let stack = Harness::new(&[TWO_SITES]).await;
    let cookie = stack.sign_in("cookie").await.access_cookie();
    let cookie = ("cookie", cookie.as_str());
    let rid = ("rid", "anti-csrf");
    for (headers, status) in [
        (vec![cookie, FIRST], 200),
        (vec![cookie, SECOND], 401),
        (vec![cookie, SECOND, rid], 200),
        (vec![cookie, FOREIGN], 401),
        (vec![cookie], 401),
    ] {
        let response = stack.send(Method::POST, "/api/like", &headers).await;
        assert_eq!(response.status(), status, "{headers:?}");
    }
}

#[tokio::test]
async fn a_foreign_site_cannot_end_a_session_by_withholding_its_origin() {
    let stack = Harness::new(&[TWO_SITES]).await;
    let tokens = stack.sign_in("cookie").await;
    let cookie = tokens.access_cookie();
    for origin in [FOREIGN, ("origin", "null"), ("referer", "")] {
        let response = stack.sign_out(&[("cookie", &cookie), origin]).await;
        assert_eq!(response.status(), 401, "{origin:?}");
    }
    let refresh = tokens.refresh_cookie();
    assert_eq!(stack.refresh(&[("cookie", &refresh), FIRST]).await.status(), 200);
}

/// Contract §9, several API hosts: cookies with a `Domain`, the endpoints on one host.
#[tokio::test]
async fn a_second_api_host_takes_the_tokens_of_the_first() {
    let domain = ("COOKIE_DOMAIN", ".example.com");
    let first = Harness::new(&[domain]).await;
    let second = first.redeployed(&[domain, ("API_DOMAIN", "https://media.example.com")]).await;
    let tokens = first.sign_in("cookie").await;

    let (cookie, bearer) = (tokens.access_cookie(), tokens.access_bearer());
    for header in [("cookie", cookie.as_str()), ("authorization", bearer.as_str())] {
        let response = second.send(Method::GET, "/api/me", &[header]).await;
        assert_eq!(response.status(), 200);
        let body: Json = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["userId"], "user-1");
    }

    // Expired there, the client refreshes at the first host and the second is content again.
    first.clock.advance(first.config.lifetimes.access_token);
    assert_eq!(second.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await.status(), 401);
    let refreshed = Tokens::of(&first.refresh(&[("cookie", &tokens.refresh_cookie())]).await);
    let cookie = refreshed.access_cookie();
    assert_eq!(second.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await.status(), 200);
}

const IN_AN_IFRAME: [(&str, &str); 2] =
    [("WEBSITE_DOMAIN", "https://other.com"), ("COOKIE_PARTITIONED", "true")];

#[tokio::test]
async fn partitioned_cookies_are_set_and_cleared_as_such() {
    let stack = Harness::new(&IN_AN_IFRAME).await;
    for line in cookies_from(&stack, SECOND).await {
        assert!(line.ends_with("; HttpOnly; Secure; SameSite=None; Partitioned"), "{line}");
    }
    let cookie = stack.sign_in("cookie").await.access_cookie();
    let response = stack.sign_out(&[("cookie", &cookie), ("rid", "session"), SECOND]).await;
    let cleared = set_cookies(&response);
    assert!(cleared.iter().all(|line| line.contains("=; ")), "{cleared:?}");
    // Of each the partitioned one, and one that may be left from before.
    let are_partitioned: Vec<_> =
        cleared.iter().map(|line| line.ends_with("; SameSite=None; Partitioned")).collect();
    assert_eq!(are_partitioned, [true, false, true, false]);
}

#[tokio::test]
async fn cookies_from_before_they_were_partitioned_are_cleared_and_the_refresh_goes_on() {
    let before = Harness::new(&[("WEBSITE_DOMAIN", "https://other.com")]).await;
    let tokens = before.sign_in("cookie").await;
    let stack = before.redeployed(&IN_AN_IFRAME).await;
    // The unpartitioned cookie of yesterday and the partitioned one of today.
    let twice = format!("{0}; {0}", tokens.refresh_cookie());
    let response = stack.refresh(&[("cookie", &twice), ("rid", "session")]).await;
    assert_eq!(response.status(), 200);
    let refresh: Vec<_> = set_cookies(&response)
        .into_iter()
        .filter(|line| line.starts_with("sRefreshToken="))
        .map(|line| (line.starts_with("sRefreshToken=;"), line.ends_with("; Partitioned")))
        .collect();
    assert_eq!(refresh, [(true, false), (false, true)]);
}

#[tokio::test]
async fn an_access_token_ends_with_its_session_at_the_latest() {
    let stack = Harness::new(&[("ASSURANCE_LEVEL", "aal3")]).await;
    let mut tokens = stack.sign_in("header").await;
    let created_at = claims(&tokens.access)["iat"].as_u64().unwrap();
    let end = created_at + 12 * 3600;
    // A user who never rests: refreshed every five minutes, to the end.
    for _ in 0..(12 * 12 - 1) {
        stack.clock.advance(Duration::from_mins(5));
        let bearer = tokens.refresh_bearer();
        tokens = Tokens::of(&stack.refresh(&[("authorization", &bearer)]).await);
        assert!(claims(&tokens.access)["exp"].as_u64().unwrap() <= end);
    }
    stack.clock.advance(Duration::from_mins(4));
    let bearer = tokens.refresh_bearer();
    tokens = Tokens::of(&stack.refresh(&[("authorization", &bearer)]).await);
    assert_eq!(claims(&tokens.access)["exp"], end, "the last one is cut short");

    stack.clock.advance(Duration::from_mins(1));
    let bearer = tokens.refresh_bearer();
    assert_eq!(stack.refresh(&[("authorization", &bearer)]).await.status(), 401);
}

/// A stage whose name clients see: the path of the event, the cookie and the issuer contain it.
#[tokio::test]
async fn a_stage_that_clients_see_is_part_of_every_path() {
    let stack = Harness::new(&[("API_GATEWAY_PATH", "/dev")]).await;
    let tokens = stack.sign_in("cookie").await;
    assert_eq!(claims(&tokens.access)["iss"], "https://api.example.com/dev/auth");
    let path = "/dev/auth/session/refresh";
    let event = json!({
        "version": "2.0",
        "routeKey": "POST /auth/session/refresh",
        "rawPath": path,
        "rawQueryString": "",
        "cookies": [tokens.refresh_cookie()],
        "headers": { "host": "api.example.com" },
        "requestContext": {
            "stage": "dev",
            "http": { "method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1" },
            "timeEpoch": 0,
        },
        "isBase64Encoded": false,
    });
    let answer = stack.stack.functions().refresh.invoke(event).await.unwrap();
    assert_eq!(answer["statusCode"], 200);
    let cookies = answer["cookies"].as_array().unwrap();
    assert!(cookies[1].as_str().unwrap().contains("; Path=/dev/auth/session/refresh; "));
}

/// Settings with the scheme of an app are refused with the name of this chapter.
#[test]
fn a_page_of_an_app_with_a_scheme_of_its_own_finds_the_way_that_works() {
    let clients = include_str!("../../docs/clients.md");
    let (_, apps) = clients.split_once("## Mobile apps").unwrap();
    assert!(apps.contains("`capacitor://localhost`"));
}
