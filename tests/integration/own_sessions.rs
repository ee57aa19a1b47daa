//! `GET` and `DELETE {base}/sessions`: a user sees and ends sessions of their own, and no others.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use local::dynamodb::{client, create_tables, store_of};
use local::function::Function;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use session::Sessions;
use session::model::{Authentication, Device, NewSession, Session, SessionHandle, TenantId};
use session::service::IssuedTokens;
use session::store::{DynamoDb, SessionCreator as _, SessionReader as _};
use testkit::clock::START;
use testkit::front_door::shape;
use testkit::harness::{Tokens, config, text};
use testkit::{Harness, ManualClock, Wire};

use crate::manage::{Service, after, create, service};

const SESSIONS: &str = "/auth/sessions";

fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

async fn send(stack: &Harness, method: Method, path: &str, token: &str) -> Response<Bytes> {
    stack.send(method, path, &[("authorization", &format!("Bearer {token}"))]).await
}

async fn ask(stack: &Harness, method: Method, path: &str, token: &str) -> (u16, Value) {
    let response = send(stack, method, path, token).await;
    (response.status().as_u16(), body(&response))
}

fn one(handle: &SessionHandle) -> String {
    format!("{SESSIONS}/{handle}")
}

async fn signed_in(sessions: &Service, user: &str, tenant: &str) -> IssuedTokens {
    let mut new = NewSession::for_user(user);
    new.subject.tenant_id = TenantId::new(tenant);
    create(sessions, new, START).await
}

async fn lives(stack: &Harness, handle: &SessionHandle) -> bool {
    stack.store.session(handle).await.unwrap().is_some()
}

fn no_such_session() -> (u16, Value) {
    (404, json!({ "message": "no such session" }))
}

#[tokio::test]
async fn the_list_has_what_a_user_needs_to_know_a_device_by() {
    let (stack, sessions) = service(&[]).await;
    let here = signed_in(&sessions, "user-1", "public").await;
    let new = NewSession {
        session_data: crate::manage::map(json!({ "secret": 1 })),
        ..NewSession::for_user("user-1")
    };
    let phone = Device::new(Some("phone"), Some("192.0.2.7"));
    let rng = &mut bootstrap::system_rng();
    let there = sessions.create(new, phone, false, after(60), rng).await.unwrap();
    stack.clock.advance(Duration::from_secs(61));

    let (status, listed) = ask(&stack, Method::GET, SESSIONS, &here.access.token).await;

    let lifetime = 8_640_000;
    let expected = json!({ "sessions": [
        {
            "sessionHandle": there.handle.to_string(),
            "current": false,
            "timeCreated": after(60).as_millis(),
            "lastRefreshedAt": after(60).as_millis(),
            "expiry": after(60 + lifetime).as_millis(),
            "lastUsedBy": { "agent": "phone", "network": "192.0.2.7" },
            "deviceBound": false,
        },
        {
            "sessionHandle": here.handle.to_string(),
            "current": true,
            "timeCreated": START.as_millis(),
            "lastRefreshedAt": START.as_millis(),
            "expiry": after(lifetime).as_millis(),
            "lastUsedBy": {},
            "deviceBound": false,
        },
    ], "total": 2 });
    assert_eq!((status, listed), (200, expected));
}

/// A CDN whose key leaves cookies out would show one user's devices to the next.
#[tokio::test]
async fn nobody_keeps_a_list_for_the_next() {
    let (stack, sessions) = service(&[]).await;
    let here = signed_in(&sessions, "user-1", "public").await;
    let listed = send(&stack, Method::GET, SESSIONS, &here.access.token).await;
    assert_eq!(text(listed.headers(), "cache-control"), "no-store");
}

#[tokio::test]
async fn of_many_sessions_those_used_last_are_listed_and_all_are_counted() {
    let (stack, sessions) = service(&[]).await;
    let here = signed_in(&sessions, "user-1", "public").await;
    let used_once = stack.store.session(&here.handle).await.unwrap().unwrap();
    for second in 1..=500 {
        let handle =
            SessionHandle::random(&used_once.subject.user_id, &mut bootstrap::system_rng());
        let created_at = after(second);
        let session = Session { handle, created_at, ..used_once.clone() };
        stack.store.create_session(&session).await.unwrap();
    }

    let (_, listed) = ask(&stack, Method::GET, SESSIONS, &here.access.token).await;

    let used = listed["sessions"].as_array().unwrap().iter();
    let used: Vec<_> = used.map(|it| it["lastRefreshedAt"].as_u64().unwrap()).collect();
    let expected: Vec<_> = (1..=500).rev().map(|second| after(second).as_millis()).collect();
    assert!(used == expected, "{} from {:?} to {:?}", used.len(), used.first(), used.last());
    assert_eq!(listed["total"], 501);
}

#[tokio::test]
async fn a_session_that_was_ended_is_refreshed_no_more() {
    let stack = Harness::new(&[]).await;
    let [here, there] = [stack.sign_in("header").await, stack.sign_in("header").await];
    let (_, listed) = ask(&stack, Method::GET, SESSIONS, &here.access).await;
    let others = listed["sessions"].as_array().unwrap().iter().filter(|it| it["current"] == false);
    let others: Vec<_> = others.map(|it| it["sessionHandle"].as_str().unwrap()).collect();
    assert_eq!(others.len(), 1);

    let path = format!("{SESSIONS}/{}", others[0]);
    let ended = ask(&stack, Method::DELETE, &path, &here.access).await;

    assert_eq!(ended, (200, json!({ "status": "OK", "ended": 1 })));
    assert_eq!(stack.refresh(&[("authorization", &there.refresh_bearer())]).await.status(), 401);
    assert_eq!(stack.refresh(&[("authorization", &here.refresh_bearer())]).await.status(), 200);
    assert_eq!(ask(&stack, Method::DELETE, &path, &here.access).await, no_such_session());
}

#[tokio::test]
async fn all_others_end_and_the_callers_own_goes_on() {
    let stack = Harness::new(&[]).await;
    let here = stack.sign_in("header").await;
    let elsewhere = [stack.sign_in("header").await, stack.sign_in("cookie").await];

    let ended = ask(&stack, Method::DELETE, SESSIONS, &here.access).await;

    assert_eq!(ended, (200, json!({ "status": "OK", "ended": 2 })));
    assert_eq!(
        stack.refresh(&[("authorization", &elsewhere[0].refresh_bearer())]).await.status(),
        401
    );
    assert_eq!(stack.refresh(&[("cookie", &elsewhere[1].refresh_cookie())]).await.status(), 401);
    assert_eq!(stack.refresh(&[("authorization", &here.refresh_bearer())]).await.status(), 200);
}

#[tokio::test]
async fn ending_ones_own_session_takes_the_tokens_away_as_a_sign_out_does() {
    let (stack, sessions) = service(&[]).await;
    let here = signed_in(&sessions, "user-1", "public").await;
    let answer = send(&stack, Method::DELETE, &one(&here.handle), &here.access.token).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(text(answer.headers(), "front-token"), "remove");
    assert!(!lives(&stack, &here.handle).await);
}

#[tokio::test]
async fn whoever_was_signed_out_ends_no_session_in_return() {
    let (stack, sessions) = service(&[]).await;
    let owner = signed_in(&sessions, "user-1", "public").await;
    let thief = signed_in(&sessions, "user-1", "public").await;
    ask(&stack, Method::DELETE, SESSIONS, &owner.access.token).await;
    for (method, path) in [
        (Method::GET, SESSIONS.to_owned()),
        (Method::DELETE, SESSIONS.to_owned()),
        (Method::DELETE, one(&owner.handle)),
    ] {
        assert_eq!(ask(&stack, method, &path, &thief.access.token).await.0, 401, "{path}");
    }
    assert!(lives(&stack, &owner.handle).await);
}

#[tokio::test]
async fn without_a_session_nothing_is_told_or_ended() {
    let (stack, sessions) = service(&[]).await;
    let handle = signed_in(&sessions, "user-1", "public").await.handle;
    stack.wire.take_calls();
    for (method, path) in [
        (Method::GET, SESSIONS.to_owned()),
        (Method::DELETE, SESSIONS.to_owned()),
        (Method::DELETE, one(&handle)),
    ] {
        assert_eq!(stack.send(method, &path, &[]).await.status(), 401, "{path}");
    }
    assert_eq!(stack.wire.take_calls(), []);
}

#[tokio::test]
async fn cookies_alone_end_no_session_where_proofs_are_asked_for() {
    let stack = Harness::new(&[("ANTI_CSRF", "VIA_TOKEN")]).await;
    let [here, there] = [stack.sign_in("cookie").await, stack.sign_in("cookie").await];
    let cookie = here.access_cookie();
    let forged = stack.send(Method::DELETE, SESSIONS, &[("cookie", &cookie)]).await;
    assert_eq!(forged.status(), 401);
    let refresh = |tokens: &Tokens| {
        let headers =
            [("cookie", tokens.refresh_cookie()), ("anti-csrf", tokens.anti_csrf.clone())];
        let stack = &stack;
        async move {
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            stack.refresh(&headers).await.status()
        }
    };
    assert_eq!(refresh(&there).await, 200);
    let proved = [("cookie", cookie.as_str()), ("anti-csrf", here.anti_csrf.as_str())];
    assert_eq!(stack.send(Method::DELETE, SESSIONS, &proved).await.status(), 200);
    assert_eq!(refresh(&there).await, 401);
}

#[tokio::test]
async fn by_setting_only_a_recent_sign_in_ends_sessions() {
    let (stack, sessions) = service(&[("SESSIONS_MAX_AUTH_AGE_SECONDS", "60")]).await;
    let new = NewSession {
        authentication: Some(Authentication { at: START, methods: vec!["pwd".to_owned()] }),
        ..NewSession::for_user("user-1")
    };
    let here = create(&sessions, new, START).await;
    let there = signed_in(&sessions, "user-1", "public").await;
    stack.clock.advance(Duration::from_secs(61));

    let reason = json!({ "message": "expired", "ageInSeconds": 61, "maxAgeInSeconds": 60 });
    let errors = json!([{ "id": "auth_time", "reason": reason }]);
    let refusal = json!({ "message": "invalid claim", "claimValidationErrors": errors });
    for path in [SESSIONS.to_owned(), one(&there.handle)] {
        let refused = ask(&stack, Method::DELETE, &path, &here.access.token).await;
        assert_eq!(refused, (403, refusal.clone()), "{path}");
    }
    assert!(lives(&stack, &there.handle).await);
    assert_eq!(ask(&stack, Method::GET, SESSIONS, &here.access.token).await.0, 200);
    let signed_out = ask(&stack, Method::DELETE, &one(&here.handle), &here.access.token).await;
    assert_eq!(signed_out.0, 200, "as sign-out, which asks for no recent sign-in");
}

#[tokio::test]
async fn each_call_costs_the_requests_that_are_stated() {
    let (stack, sessions) = service(&[]).await;
    let here = signed_in(&sessions, "user-1", "public").await;
    ask(&stack, Method::GET, SESSIONS, &here.access.token).await; // loads the keys
    let mut there = Vec::new();
    for _ in 0..27 {
        there.push(signed_in(&sessions, "user-1", "public").await.handle);
    }
    let foreign = signed_in(&sessions, "user-2", "public").await.handle;
    for (method, path, expected) in [
        (Method::GET, SESSIONS.to_owned(), vec!["GetItem", "Query"]),
        (Method::DELETE, one(&there[0]), vec!["GetItem", "GetItem", "DeleteItem"]),
        (Method::DELETE, one(&foreign), vec!["GetItem", "GetItem"]),
        (Method::DELETE, format!("{SESSIONS}/nonsense"), vec!["GetItem"]),
        (
            Method::DELETE,
            SESSIONS.to_owned(),
            vec!["GetItem", "Query", "BatchWriteItem", "BatchWriteItem"],
        ),
        (Method::DELETE, one(&here.handle), vec!["GetItem", "DeleteItem"]),
    ] {
        stack.wire.take_calls();
        ask(&stack, method, &path, &here.access.token).await;
        let calls = stack.wire.take_calls();
        let operations: Vec<_> = calls.iter().map(|call| call.operation.as_str()).collect();
        assert_eq!(operations, expected, "{path}");
    }
}

#[tokio::test]
async fn pages_of_the_websites_may_ask_and_no_others() {
    let stack = Harness::new(&[]).await;
    let function = &stack.stack.functions().sessions;
    for (method, status) in [(Method::OPTIONS, 204), (Method::GET, 401)] {
        for (origin, allowed) in
            [("https://example.com", Some("https://example.com")), ("https://evil.test", None)]
        {
            let request = Request::builder().method(&method).uri(SESSIONS).header("origin", origin);
            let request = request.header("access-control-request-method", "DELETE");
            let event = shape::rest_request(&request.body(Bytes::new()).unwrap());
            let answer = function.invoke(event).await.unwrap();
            assert_eq!(answer["statusCode"], status);
            let headers = &answer["multiValueHeaders"]["access-control-allow-origin"][0];
            assert_eq!(headers.as_str(), allowed, "{answer}");
        }
    }
}

/// Somebody in one of several applications over the same tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Party {
    app: usize,
    tenant: usize,
    user: usize,
}

const APPS: [&str; 2] = ["one", "two"];
const TENANTS: [&str; 2] = ["public", "t1"];
const USERS: [&str; 2] = ["alice", "bob"];

impl Party {
    fn any() -> impl Strategy<Value = Self> {
        (0..APPS.len(), 0..TENANTS.len(), 0..USERS.len()).prop_map(|(app, tenant, user)| Self {
            app,
            tenant,
            user,
        })
    }
}

#[derive(Clone, Debug)]
enum Named {
    /// The session of one of the parties.
    Session(usize),
    /// That one's handle with a byte changed.
    Near(usize, usize),
    /// Anything.
    Text(String),
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![
        3 => any::<usize>().prop_map(Named::Session),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(which, at)| Named::Near(which, at)),
        // A dot alone is no name but a step within a path, which URLs do without (RFC 3986 §5.2.4).
        1 => "[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,39}".prop_map(Named::Text),
    ]
}

/// An application's own process of the function, and its service.
async fn process(wire: &Wire, clock: &ManualClock, app: &str) -> (Function, Sessions<DynamoDb>) {
    let settings = [("SIGNING_ALGORITHM", "ES256"), ("APP_ID", app)];
    let of_app = || Sessions::new(config(&settings), store_of(client(wire.clone()), app));
    let (own, clock) = (Arc::new(of_app()), clock.clone());
    let function = Function::http(move |request| {
        let (own, clock) = (Arc::clone(&own), clock.clone());
        async move { sessions::handle(&own, &clock, request).await }
    });
    (function, of_app())
}

/// Some parties are signed in, each several times perhaps; one of them then asks to end whatever it names.
async fn only_own_sessions_end(parties: Vec<Party>, asks: Vec<(usize, Named)>) {
    let (wire, clock) = (Wire::new(), ManualClock::at(START));
    create_tables(&client(wire.clone())).await.unwrap();
    let mut processes = Vec::new();
    for app in APPS {
        processes.push(process(&wire, &clock, app).await);
    }
    let mut signed_in = Vec::new();
    for party in &parties {
        let mut new = NewSession::for_user(USERS[party.user]);
        new.subject.tenant_id = TenantId::new(TENANTS[party.tenant]);
        let (sessions, rng) = (&processes[party.app].1, &mut bootstrap::system_rng());
        signed_in.push(sessions.create(new, Device::default(), false, START, rng).await.unwrap());
    }
    let mut alive = vec![true; parties.len()];
    for (caller, named) in asks {
        let caller = caller % parties.len();
        let function = &processes[parties[caller].app].0;
        let invoke = async |method: Method, path: String| {
            let bearer = format!("Bearer {}", signed_in[caller].access.token);
            let request =
                Request::builder().method(method).uri(path).header("authorization", bearer);
            let event = shape::http_api_2(&request.body(Bytes::new()).unwrap());
            let answer = function.invoke(event).await.unwrap();
            let body = serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap();
            (answer["statusCode"].as_u64().unwrap(), body)
        };
        let (meant, name) = match named {
            Named::Session(which) => {
                let which = which % parties.len();
                (Some(which), signed_in[which].handle.to_string())
            }
            Named::Near(which, at) => {
                let mut name = signed_in[which % parties.len()].handle.to_string().into_bytes();
                let at = at % name.len();
                name[at] = if name[at] == b'A' { b'B' } else { b'A' };
                let name = String::from_utf8(name).unwrap();
                let meant = signed_in.iter().position(|it| it.handle.to_string() == name);
                (meant, name)
            }
            Named::Text(text) => (None, text),
        };
        let (_, listed) = invoke(Method::GET, SESSIONS.to_owned()).await;
        let (status, _) = invoke(Method::DELETE, format!("{SESSIONS}/{name}")).await;

        let is_own = |at: &usize| parties[*at] == parties[caller] && alive[*at];
        if alive[caller] {
            let own: Vec<_> = (0..parties.len()).filter(is_own).collect();
            let mut expected: Vec<_> =
                own.iter().map(|at| signed_in[*at].handle.to_string()).collect();
            let listed = listed["sessions"].as_array().unwrap().iter();
            let mut listed: Vec<_> =
                listed.map(|it| it["sessionHandle"].as_str().unwrap().to_owned()).collect();
            expected.sort();
            listed.sort();
            assert_eq!(listed, expected);
        }
        let ends = meant.filter(is_own).filter(|_| alive[caller]);
        assert_eq!(
            status,
            if !alive[caller] {
                401
            } else if ends.is_some() {
                200
            } else {
                404
            }
        );
        if let Some(at) = ends {
            alive[at] = false;
        }
        for (at, party) in parties.iter().enumerate() {
            let found = processes[party.app].1.information(&signed_in[at].handle, START).await;
            assert_eq!(found.unwrap().is_some(), alive[at], "{party:?}");
        }
    }
}

#[test]
fn of_random_handles_tenants_and_applications_only_own_sessions_are_listed_and_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let strategy = (
        proptest::collection::vec(Party::any(), 2..8),
        proptest::collection::vec((any::<usize>(), named()), 1..6),
    );
    TestRunner::new(Config::with_cases(48))
        .run(&strategy, |(parties, asks)| {
            runtime.block_on(only_own_sessions_end(parties, asks));
            Ok(())
        })
        .unwrap();
}
