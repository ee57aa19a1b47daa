//! Inputs from public bug reports about session libraries and gateways, each with its right result here.
//!
//! The first line of each test names the reports.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use session::model::NewSession;
use testkit::Harness;
use testkit::clock::START;
use testkit::front_door::shape;
use testkit::harness::Tokens;

use crate::effects::{answer, clr_h, none, read, set_c, set_h};
use crate::manage::{create, service};
use crate::route::{Session, layer, send};

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn signed_in(settings: Headers<'_>, mode: &str) -> (Harness, Tokens) {
    let stack = Harness::new(settings).await;
    let tokens = stack.sign_in(mode).await;
    (stack, tokens)
}

async fn me(stack: &Harness, headers: Headers<'_>) -> u16 {
    stack.send(Method::GET, "/api/me", headers).await.status().as_u16()
}

async fn refreshed(stack: &Harness, headers: Headers<'_>) -> Tokens {
    let response = stack.refresh(headers).await;
    assert_eq!(response.status(), 200, "{headers:?} {:?}", response.body());
    Tokens::of(&response)
}

fn event(method: Method, path: &str, headers: Headers<'_>) -> Value {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    shape::integration(&request.body(Bytes::new()).unwrap())
}

/// dotnet/aspnetcore#23578, crystal-lang/crystal#10442, GHSA-j6w9-fv6q-3q52: names of cookies are not
/// encoded, and who decodes them takes a planted cookie for the session's.
#[tokio::test]
async fn a_cookie_whose_encoded_name_is_ours_is_somebody_elses() {
    let (stack, mut tokens) = signed_in(&[], "cookie").await;
    let encoded = format!("%73AccessToken={}", tokens.access);
    assert_eq!(me(&stack, &[("cookie", &encoded)]).await, 401);
    for planted in ["sAccess%54oken=x", "%73IdRefreshToken=x"] {
        let line = format!("{planted}; {}", tokens.access_cookie());
        assert_eq!(me(&stack, &[("cookie", &line)]).await, 200, "{planted}");
    }
    // It used to be cleared under another name, and to ask for the next refresh, for ever.
    for _ in 0..3 {
        let line = format!("{}; %73RefreshToken=x; %73IdRefreshToken=x", tokens.refresh_cookie());
        tokens = refreshed(&stack, &[("cookie", &line)]).await;
        let line = format!("{}; %73IdRefreshToken=x", tokens.access_cookie());
        assert_eq!(me(&stack, &[("cookie", &line)]).await, 200);
    }
}

/// localstack/localstack#5621: `cookies` is empty and the cookies are left in the headers.
#[tokio::test]
async fn an_empty_list_of_cookies_does_not_hide_those_of_the_header() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    let functions = stack.stack.functions();
    let both = [("cookie", tokens.access_cookie()), ("cookie", tokens.refresh_cookie())];
    let both = both.each_ref().map(|(name, value)| (*name, value.as_str()));
    let of_the_header = |mut event: Value| {
        let line = [both[0].1, both[1].1].join("; ");
        event["headers"]["Cookie"] = line.into();
        event["cookies"] = json!([]);
        event
    };
    let refresh = of_the_header(event(Method::POST, "/auth/session/refresh", &both));
    assert_eq!(functions.refresh.invoke(refresh).await.unwrap()["statusCode"], 200);
    let sign_out = of_the_header(event(Method::POST, "/auth/signout", &both));
    assert_eq!(functions.signout.invoke(sign_out).await.unwrap()["statusCode"], 200);
    let request = Request::get("/api/me").body(Bytes::new()).unwrap();
    let authorize = of_the_header(shape::http_api_2(&request));
    assert_eq!(functions.authorizer.invoke(authorize).await.unwrap()["isAuthorized"], true);
}

/// A control character in another cookie: the library that makes requests of events drops the header.
#[tokio::test]
async fn a_byte_that_headers_may_not_hold_hides_no_session() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    let functions = stack.stack.functions();
    for hostile in ["bad=\u{1}", "\u{7f}=x", "bad=a\r\nb", "bad=\u{0}"] {
        let mut refresh = event(Method::POST, "/auth/session/refresh", &[]);
        refresh["cookies"] = json!([hostile, tokens.refresh_cookie(), hostile]);
        refresh["headers"]["x-hostile"] = hostile.into();
        let answer = functions.refresh.invoke(refresh).await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{hostile:?}");
    }
    let mut sign_out = event(Method::POST, "/auth/signout", &[]);
    sign_out["cookies"] = json!(["bad=\u{1}", tokens.access_cookie()]);
    let answer = functions.signout.invoke(sign_out).await.unwrap();
    assert_eq!(answer["statusCode"], 200);
}

/// aws-powertools/powertools-lambda-python#5800, #7979: `$connect` in a greedy path.
#[tokio::test]
async fn a_path_that_ends_in_connect_is_no_web_socket() {
    let settings = [("API_DOMAIN", "https://abc.execute-api.eu-west-1.amazonaws.com")];
    let (stack, tokens) = signed_in(&settings, "cookie").await;
    let authorizer = &stack.stack.functions().authorizer;
    let cookie = tokens.access_cookie();
    let post = Request::post("/x/$connect")
        .header("cookie", &cookie)
        .header("origin", "https://example.com")
        .body(Bytes::new())
        .unwrap();
    let by_query = format!("/x/$connect?access_token={}", tokens.access);
    let get = Request::get(by_query).body(Bytes::new()).unwrap();
    for request in [post, get] {
        let refusal = authorizer.invoke(shape::rest_request(&request)).await.unwrap_err();
        assert_eq!(refusal.error_message, "Unauthorized", "{request:?}");
    }
}

/// supertokens/supertokens-node#1007: another cookie that does not decode.
#[tokio::test]
async fn a_foreign_cookie_with_a_bare_percent_sign_changes_nothing() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    let line = format!("promo=50%; {}", tokens.access_cookie());
    assert_eq!(me(&stack, &[("cookie", &line)]).await, 200);
    let line = format!("promo=50%; x=%E0%A4%A; {}", tokens.refresh_cookie());
    refreshed(&stack, &[("cookie", &line)]).await;
}

/// jetty/jetty.project#3994: clients of RFC 2109. A semicolon ends a pair, even between quotes (RFC 6265
/// §5.2), so what is in them is a cookie, and one that does not hold.
#[tokio::test]
async fn quotes_and_versions_of_old_clients_are_understood() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    let line = format!("$Version=1; sAccessToken=\"{}\"; $Path=/", tokens.access);
    assert_eq!(me(&stack, &[("cookie", &line)]).await, 200);
    let line = format!("other=\"a;sAccessToken=evil;b\"; {}", tokens.access_cookie());
    assert_eq!(me(&stack, &[("cookie", &line)]).await, 200);
    let line = format!("a=b;{}", tokens.refresh_cookie());
    refreshed(&stack, &[("cookie", &line)]).await;
}

/// supertokens/supertokens-core#1044, supertokens-website#68: an app in header mode sends the cookies of
/// its web views along.
#[tokio::test]
async fn an_app_refreshes_by_header_whatever_cookies_come_along() {
    let (stack, app) = signed_in(&[], "header").await;
    let web = stack.sign_in("cookie").await;
    let of_the_web_view = format!("{}; {}", web.access_cookie(), web.refresh_cookie());
    let two = "sAccessToken=x; sAccessToken=y; sRefreshToken=x; sRefreshToken=y";
    for cookies in [of_the_web_view.as_str(), two] {
        let bearer = app.refresh_bearer();
        let response = stack.refresh(&[("authorization", &bearer), ("cookie", cookies)]).await;
        assert_eq!(read(&stack, response).await, answer(200, "{}", set_h()), "{cookies}");
    }
}

/// supabase/supabase#8959: three tabs refresh with one token at 0, 1.2 and 9.6 s.
#[tokio::test]
async fn three_tabs_some_seconds_apart_get_the_same_successor() {
    for mode in ["cookie", "header"] {
        let (stack, signed_in) = signed_in(&[], mode).await;
        let (cookie, bearer) = (signed_in.refresh_cookie(), signed_in.refresh_bearer());
        let credentials: Headers<'_> =
            if mode == "cookie" { &[("cookie", &cookie)] } else { &[("authorization", &bearer)] };
        let first = refreshed(&stack, credentials).await;
        for pause in [1200, 8400] {
            stack.clock.advance(Duration::from_millis(pause));
            assert_eq!(refreshed(&stack, credentials).await.refresh, first.refresh, "{mode}");
        }
    }
}

/// supertokens/supertokens-node#1038: the refresh token in a header of the client's own.
#[tokio::test]
async fn an_access_token_as_bearer_neither_refreshes_nor_hides_the_cookie() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    let (access, cookie) = (tokens.access_bearer(), tokens.refresh_cookie());
    let response = stack.refresh(&[("authorization", &access), ("cookie", &cookie)]).await;
    assert_eq!(read(&stack, response).await, answer(200, "{}", set_c()));
    let headers = [("authorization", access.as_str()), ("st-refresh-token", &tokens.refresh)];
    let response = stack.refresh(&headers).await;
    assert_eq!(read(&stack, response).await, answer(401, r#"{"message":"unauthorised"}"#, clr_h()));
}

/// supabase/auth-js#540, supertokens/supertokens-auth-react#52: signing out when the token has expired.
#[tokio::test]
async fn signing_out_with_an_expired_token_is_sent_to_refresh_and_then_succeeds() {
    let (stack, tokens) = signed_in(&[], "header").await;
    let web = stack.sign_in("cookie").await;
    stack.clock.advance(stack.config.lifetimes.access_token);
    let (expired, cookie) = (tokens.access_bearer(), web.access_cookie());
    let response = stack.sign_out(&[("authorization", &expired), ("cookie", &cookie)]).await;
    let body = r#"{"message":"try refresh token"}"#;
    assert_eq!(read(&stack, response).await, answer(401, body, none()));
    let new = refreshed(&stack, &[("authorization", &tokens.refresh_bearer())]).await;
    for _ in 0..2 {
        let response = stack.sign_out(&[("authorization", &new.access_bearer())]).await;
        assert_eq!(response.status(), 200);
    }
    let response = stack.refresh(&[("authorization", &new.refresh_bearer())]).await;
    let over = answer(401, r#"{"message":"unauthorised"}"#, clr_h());
    assert_eq!(read(&stack, response).await, over);
    refreshed(&stack, &[("cookie", &web.refresh_cookie())]).await;
}

/// supertokens/supertokens-golang#217: clients of 2022 still carry `sIdRefreshToken`.
#[tokio::test]
async fn the_id_refresh_token_of_old_back_ends_is_cleared_and_keeps_nobody_out() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    let line = format!("sIdRefreshToken=x; {}", tokens.refresh_cookie());
    let response = stack.refresh(&[("cookie", &line)]).await;
    let expected = answer(200, "{}", set_c().and_clr_legacy());
    assert_eq!(read(&stack, response).await, expected);
    let response = stack.refresh(&[("cookie", "sIdRefreshToken=x")]).await;
    let expected = answer(401, r#"{"message":"unauthorised"}"#, clr_h().and_clr_legacy());
    assert_eq!(read(&stack, response).await, expected);
    let bearer = tokens.access_bearer();
    assert_eq!(
        me(&stack, &[("authorization", &bearer), ("cookie", "sIdRefreshToken=")]).await,
        200
    );
}

/// aws-powertools/powertools-lambda-python#576, aws/aws-lambda-rust-runtime#919: a mapping key of a custom
/// domain, with a stage that clients do not see.
#[tokio::test]
async fn a_mapping_key_is_part_of_the_path_whatever_the_stage_is_called() {
    let (stack, tokens) = signed_in(&[("API_GATEWAY_PATH", "/v1")], "header").await;
    let bearer = tokens.refresh_bearer();
    for stage in ["$default", "dev"] {
        for path in ["/v1/auth/session/refresh", "/auth/session/refresh"] {
            let mut event = event(Method::POST, path, &[("authorization", &bearer)]);
            event["requestContext"]["stage"] = stage.into();
            let answer = stack.stack.functions().refresh.invoke(event).await.unwrap();
            assert_eq!(answer["statusCode"], 200, "{stage} {path}");
        }
    }
}

/// aws/aws-sam-cli#5005, #7483: events made on this machine lack members, have null for others, and have
/// cookies twice.
#[tokio::test]
async fn events_of_local_gateways_are_understood() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    let functions = stack.stack.functions();
    let local = |mut event: Value, cookie: &str| {
        event["cookies"] = json!([cookie]);
        event["headers"] = json!({
            "Host": "localhost:3000", "Cookie": cookie, "X-Forwarded-Proto": "http",
        });
        event["stageVariables"] = Value::Null;
        event["body"] = Value::Null;
        let context = event["requestContext"].as_object_mut().unwrap();
        for absent in ["domainName", "domainPrefix", "time", "timeEpoch"] {
            context.remove(absent);
        }
        context.insert("stage".to_owned(), Value::Null);
        event
    };
    let refresh = event(Method::POST, "/auth/session/refresh", &[]);
    let refresh = local(refresh, &tokens.refresh_cookie());
    assert_eq!(functions.refresh.invoke(refresh).await.unwrap()["statusCode"], 200);
    let request = Request::get("/api/me").body(Bytes::new()).unwrap();
    let mut authorize = local(shape::http_api_2(&request), &tokens.access_cookie());
    authorize["routeArn"] =
        "arn:aws:execute-api:us-east-1:123456789012:1234567890/None/GET/api/me".into();
    assert_eq!(functions.authorizer.invoke(authorize).await.unwrap()["isAuthorized"], true);
}

/// aws/aws-lambda-rust-runtime#212: the endpoints behind something else than payload 2.0.
#[tokio::test]
async fn the_endpoints_answer_rest_apis_and_load_balancers_too() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    let (access, refresh) = (tokens.access_cookie(), tokens.refresh_cookie());
    let functions = stack.stack.functions();
    let endpoints = [
        (&functions.jwks, Method::GET, "/auth/jwt/jwks.json", ""),
        (&functions.jwks, Method::GET, "/auth/.well-known/openid-configuration", ""),
        (&functions.refresh, Method::POST, "/auth/session/refresh", refresh.as_str()),
        (&functions.signout, Method::POST, "/auth/signout", access.as_str()),
    ];
    for (function, method, path, cookie) in endpoints {
        let request = Request::builder().method(method).uri(path).header("cookie", cookie);
        let request = request.body(Bytes::new()).unwrap();
        let rest = shape::rest_request(&request);
        let mut load_balancer = rest.clone();
        load_balancer["requestContext"] = json!({ "elb": { "targetGroupArn": "arn:aws:…" } });
        let mut without_lists = load_balancer.clone();
        without_lists.as_object_mut().unwrap().remove("multiValueHeaders");
        for event in [shape::http_api_1(&request), rest, load_balancer, without_lists] {
            let is_of_load_balancer = event["requestContext"]["elb"].is_object();
            let answer = function.invoke(event).await.unwrap();
            assert_eq!(answer["statusCode"], 200, "{path}");
            let described = is_of_load_balancer.then_some("200 OK");
            assert_eq!(answer["statusDescription"].as_str(), described);
            let lines = set_cookies(&answer);
            assert_eq!(lines.len(), if cookie.is_empty() { 0 } else { 2 }, "{path} {answer}");
        }
    }
}

/// The lines of `Set-Cookie` in an answer of lists, or of single values under differing names.
fn set_cookies(answer: &Value) -> Vec<&str> {
    let lists = answer["multiValueHeaders"]["set-cookie"].as_array().into_iter().flatten();
    let single = answer["headers"].as_object().into_iter().flatten();
    let single = single.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    lists.chain(single.map(|(_, line)| line)).map(|line| line.as_str().unwrap()).collect()
}

/// The network that a refresh came from, wherever the event says it.
#[tokio::test]
async fn every_front_door_tells_who_refreshes() {
    let (stack, tokens) = signed_in(&[], "header").await;
    let request = Request::post("/auth/session/refresh")
        .header("authorization", tokens.refresh_bearer())
        .header("x-forwarded-for", "203.0.113.7, 198.51.100.2")
        .body(Bytes::new())
        .unwrap();
    let rest = shape::rest_request(&request);
    let mut load_balancer = rest.clone();
    load_balancer["requestContext"] = json!({ "elb": {} });
    for (event, network) in [
        (shape::integration(&request), "192.0.2.1"),
        (rest, "192.0.2.1"),
        (load_balancer, "198.51.100.2"),
    ] {
        stack.clock.advance(stack.config.refresh.window() * 2);
        let answer = stack.stack.functions().refresh.invoke(event).await.unwrap();
        assert_eq!(answer["statusCode"], 200);
        let handle = crate::effects::claims(&tokens.access)["sessionHandle"].clone();
        let handle = handle.as_str().unwrap().parse().unwrap();
        let session = session::store::SessionReader::session(&stack.store, &handle).await.unwrap();
        assert_eq!(session.unwrap().last_used_by.network.as_deref(), Some(network));
    }
}

/// boardsesh/boardsesh#2403, Kilo-Org/cloud#3218: the WebSockets of React Native, which send the API's own
/// origin (Android) or none (iOS).
#[tokio::test]
async fn a_native_apps_web_socket_connects_by_header_or_from_an_origin_that_is_configured() {
    let own = ("origin", "https://ws.example.com");
    for (settings, by_cookie) in [
        (vec![], ["Deny", "Deny"]),
        (vec![("WEBSOCKET_ORIGINS", "https://ws.example.com")], ["Allow", "Deny"]),
    ] {
        let (stack, tokens) = signed_in(&settings, "cookie").await;
        let (cookie, bearer) = (tokens.access_cookie(), tokens.access_bearer());
        for (headers, effect) in [
            (vec![("cookie", cookie.as_str()), own], by_cookie[0]),
            (vec![("cookie", cookie.as_str())], by_cookie[1]),
            (vec![("authorization", bearer.as_str()), own], "Allow"),
        ] {
            let mut request = Request::get("/");
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let event = shape::web_socket(&request.body(Bytes::new()).unwrap());
            let answer = stack.stack.functions().authorizer.invoke(event).await.unwrap();
            assert_eq!(answer["policyDocument"]["Statement"][0]["Effect"], effect, "{headers:?}");
        }
    }
}

/// serverless/serverless#1991, mantil-io/mantil#52: ids with quotes in what gateways substitute.
#[tokio::test]
async fn an_id_with_quotes_is_valid_in_policy_and_context() {
    let (stack, service) = service(&[]).await;
    let user_id = r#"{"id":"auth0|x"}"#;
    let issued = create(&service, NewSession::for_user(user_id), START).await;
    let request = Request::get("/x")
        .header("authorization", format!("Bearer {}", issued.access.token))
        .body(Bytes::new())
        .unwrap();
    let answer = stack.stack.functions().authorizer.invoke(shape::rest_request(&request)).await;
    let answer = answer.unwrap();
    assert_eq!(answer["principalId"], user_id);
    assert_eq!(answer["context"]["userId"], user_id);
    let payload = answer["context"]["accessTokenPayload"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(payload).unwrap()["sub"], user_id);
}

/// auth0/nextjs-auth0#2112, supabase/ssr#172, aws-amplify/amplify-hosting#4100: a cache in front keeps an
/// answer with new tokens, and gives them to the next visitor.
#[tokio::test]
async fn no_answer_with_tokens_may_be_kept_even_if_the_handler_says_so() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    let cookie = tokens.access_cookie();
    let handler = async |session: Option<Session>| {
        session.unwrap().set_claim_value("plan", json!("gold")).await?;
        let mut response = Response::new("app".to_owned());
        response.headers_mut().insert("cache-control", "public, max-age=60".parse().unwrap());
        Ok(response)
    };
    let headers = [("cookie", cookie.as_str())];
    let response = send(&layer(&stack), (Method::GET, "/me"), &headers, handler).await.unwrap();
    assert!(response.headers().contains_key("set-cookie"));
    assert_eq!(response.headers()["cache-control"], "no-store");
    let kept = async |_| {
        Ok(Response::builder().header("cache-control", "max-age=60").body(String::new())?)
    };
    let response = send(&layer(&stack), (Method::GET, "/"), &headers, kept).await.unwrap();
    assert_eq!(response.headers()["cache-control"], "max-age=60", "there is nothing to protect");
}

/// ohmage/server#628, auth0/express-jwt#18, forcedotcom/SalesforceMobileSDK-Android#923: clients that take a
/// 401 without a challenge for a broken answer.
#[tokio::test]
async fn every_401_has_a_challenge_that_opens_no_dialogue() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    stack.clock.advance(stack.config.lifetimes.access_token);
    let expired = tokens.access_cookie();
    let answers = [
        stack.refresh(&[]).await,
        stack.sign_out(&[]).await,
        stack.sign_out(&[("cookie", &expired)]).await,
        stack.send(Method::GET, "/account", &[]).await,
    ];
    for answer in answers {
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }
    let other = Harness::new(&[("SESSION_EXPIRED_STATUS_CODE", "440")]).await;
    assert!(!other.refresh(&[]).await.headers().contains_key("www-authenticate"));
}

/// profullstack/qryptchat-web#149: RFC 9110 §11.1 lets clients write `bearer`; the front ends' contract
/// does not, and what is no token of ours hides none.
#[tokio::test]
async fn only_one_spelling_of_bearer_counts_and_no_other_hides_the_cookie() {
    let (stack, tokens) = signed_in(&[], "cookie").await;
    let (token, cookie) = (&tokens.access, tokens.access_cookie());
    assert_eq!(me(&stack, &[("authorization", &format!("Bearer {token}"))]).await, 200);
    for other in [
        format!("bearer {token}"),
        format!("BEARER {token}"),
        format!("Bearer\t{token}"),
        format!("Bearer \"{token}\""),
        "Bearer undefined".to_owned(),
        "Basic dXNlcjpwYXNz".to_owned(),
    ] {
        let authorization = ("authorization", other.as_str());
        assert_eq!(me(&stack, &[authorization]).await, 401, "{other}");
        assert_eq!(me(&stack, &[authorization, ("cookie", &cookie)]).await, 200, "{other}");
    }
}
