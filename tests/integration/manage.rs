//! Looking after sessions by handle and by user: the list of devices, data, and ending sessions.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use serde_json::{Map, Value, json};
use session::model::{
    Clock as _, Device, DeviceKey, NewSession, Session, SessionHandle, SessionsOf, TenantId,
    Timestamp, UserId,
};
use session::service::{AntiCsrfProof, IssuedTokens};
use session::store::{DynamoDb, SessionCreator as _, SessionReader as _};
use session::token::UnverifiedRefreshToken;
use session::{SessionError, Sessions};
use testkit::clock::START;
use testkit::{Fault, Harness};

pub(crate) type Service = Arc<Sessions<DynamoDb>>;

/// A stack, and the service over its table as an application's own function would use it.
pub(crate) async fn service(settings: &[(&str, &str)]) -> (Harness, Service) {
    let harness = Harness::new(settings).await;
    let sessions = Sessions::new(harness.config.clone(), harness.store.clone());
    (harness, Arc::new(sessions))
}

pub(crate) async fn create(sessions: &Service, new: NewSession, now: Timestamp) -> IssuedTokens {
    let rng = &mut bootstrap::system_rng();
    sessions.create(new, Device::default(), false, now, rng).await.unwrap()
}

pub(crate) async fn sign_in(sessions: &Service, user: &str) -> SessionHandle {
    create(sessions, NewSession::for_user(user), START).await.handle
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { unreachable!("an object is given") };
    map
}

pub(crate) fn after(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

async fn refresh(sessions: &Service, tokens: &IssuedTokens, agent: &str, now: Timestamp) {
    let presented = UnverifiedRefreshToken::parse(tokens.refresh.expose()).unwrap();
    let device = Device::new(Some(agent), Some("192.0.2.7"));
    sessions.refresh(&presented, AntiCsrfProof::NotUsed, &device, now).await.unwrap();
}

/// One user in two tenants.
async fn in_two_tenants(sessions: &Service) -> [SessionHandle; 3] {
    let mut handles = Vec::new();
    for tenant in ["public", "public", "t1"] {
        let mut new = NewSession::for_user("user-1");
        new.subject.tenant_id = TenantId::new(tenant);
        handles.push(create(sessions, new, START).await.handle);
    }
    handles.try_into().unwrap()
}

fn sorted(mut handles: Vec<SessionHandle>) -> Vec<SessionHandle> {
    handles.sort();
    handles
}

#[tokio::test]
async fn the_information_says_who_used_the_session_last_and_when() {
    let (_, sessions) = service(&[]).await;
    let new = NewSession {
        access_token_payload: map(json!({ "role": "member" })),
        session_data: map(json!({ "cart": [1, 2] })),
        ..NewSession::for_user("user-1")
    };
    let tokens = create(&sessions, new, START).await;
    refresh(&sessions, &tokens, "phone", after(60)).await;
    let information = sessions.information(&tokens.handle, after(61)).await.unwrap().unwrap();
    let expected = json!({
        "sessionHandle": tokens.handle.to_string(),
        "userId": "user-1",
        "recipeUserId": "user-1",
        "tenantId": "public",
        "timeCreated": START.as_millis(),
        "expiry": after(60 + 8_640_000).as_millis(),
        "lastRefreshedAt": after(60).as_millis(),
        "lastUsedBy": { "agent": "phone", "network": "192.0.2.7" },
        "sessionDataInDatabase": { "cart": [1, 2] },
        "customClaimsInAccessTokenPayload": {
            "iss": "https://api.example.com/auth",
            "role": "member",
        },
    });
    assert_eq!(serde_json::to_value(&information).unwrap(), expected);
}

#[tokio::test]
async fn an_expired_or_revoked_session_is_as_good_as_absent() {
    let (harness, sessions) = service(&[("SESSION_ABSOLUTE_TTL_SECONDS", "7200")]).await;
    let handle = sign_in(&sessions, "user-1").await;
    let user = UserId::new("user-1");
    let data = || map(json!({ "a": 1 }));
    for (now, lives) in [(after(7199), true), (after(7200), false)] {
        assert_eq!(sessions.information(&handle, now).await.unwrap().is_some(), lives);
        assert_eq!(sessions.handles_of(&user, now).await.unwrap().len(), usize::from(lives));
        assert_eq!(sessions.update_session_data(&handle, data(), now).await.unwrap(), lives);
        let merged = sessions.merge_into_access_token_payload(&handle, data(), now).await;
        assert_eq!(merged.unwrap(), lives);
    }
    assert!(sessions.revoke(&handle).await.unwrap());
    assert!(!sessions.revoke(&handle).await.unwrap());
    assert_eq!(sessions.information(&handle, START).await.unwrap(), None);
    assert!(!sessions.update_session_data(&handle, data(), START).await.unwrap());
    assert!(!sessions.merge_into_access_token_payload(&handle, data(), START).await.unwrap());
    assert_eq!(harness.store.session(&handle).await.unwrap(), None);
}

#[tokio::test]
async fn a_tombstone_is_neither_listed_nor_changed() {
    let (harness, sessions) = service(&[("REFRESH_FLIGHT_SECONDS", "0")]).await;
    let tokens = create(&sessions, NewSession::for_user("user-1"), START).await;
    refresh(&sessions, &tokens, "owner", after(1)).await;
    let presented = UnverifiedRefreshToken::parse(tokens.refresh.expose()).unwrap();
    let thief = Device::default();
    let reuse = sessions.refresh(&presented, AntiCsrfProof::NotUsed, &thief, after(2)).await;
    assert!(matches!(reuse, Err(SessionError::Reuse(_))));
    let patch = map(json!({ "a": 1 }));
    let merged = sessions.merge_into_access_token_payload(&tokens.handle, patch, after(3)).await;
    assert!(!merged.unwrap());
    assert_eq!(sessions.handles_of(&UserId::new("user-1"), after(3)).await.unwrap(), []);
    let tombstone = harness.store.session(&tokens.handle).await.unwrap().unwrap();
    assert_eq!(tombstone.access_token_payload.get("a"), None);
}

#[tokio::test]
async fn sessions_are_listed_per_user_and_per_tenant_those_used_last_first() {
    let (_, sessions) = service(&[]).await;
    let mine = in_two_tenants(&sessions).await;
    let other = sign_in(&sessions, "user-2").await;
    let used_last = create(&sessions, NewSession::for_user("user-1"), after(5)).await.handle;
    let (user, tenant) = (UserId::new("user-1"), TenantId::new("t1"));

    let all = sessions.handles_of(&user, after(6)).await.unwrap();
    assert_eq!(all[0], used_last);
    assert!(!all.contains(&other));
    assert_eq!(sorted(all[1..].to_vec()), sorted(mine.to_vec()));
    let of_tenant = SessionsOf::user(&user).in_tenant(&tenant);
    assert_eq!(sessions.handles_of(of_tenant, after(6)).await.unwrap(), [mine[2]]);
    let devices = sessions.sessions_of(SessionsOf::user(&user).except(&used_last), after(6)).await;
    assert_eq!(devices.unwrap().len(), 3);
}

#[tokio::test]
async fn ending_sessions_can_be_limited_to_a_tenant_and_spare_one() {
    let (_, sessions) = service(&[]).await;
    let user = UserId::new("user-1");
    let mine = in_two_tenants(&sessions).await;
    let here = TenantId::public();
    let in_tenant = SessionsOf::user(&user).in_tenant(&here);
    let ended = sessions.revoke_all(in_tenant.except(&mine[0])).await.unwrap();
    assert_eq!(ended, [mine[1]]);
    assert_eq!(
        sessions.revoke_all(SessionsOf::user(&user).except(&mine[0])).await.unwrap(),
        [mine[2]]
    );
    assert_eq!(sessions.handles_of(&user, START).await.unwrap(), [mine[0]]);
}

#[tokio::test]
async fn ending_several_sessions_tells_which_there_were() {
    let (_, sessions) = service(&[]).await;
    let (first, gone, last) = (
        sign_in(&sessions, "user-1").await,
        sign_in(&sessions, "user-1").await,
        sign_in(&sessions, "user-2").await,
    );
    sessions.revoke(&gone).await.unwrap();
    assert_eq!(sessions.revoke_many(&[first, gone, last]).await.unwrap(), [first, last]);
}

#[tokio::test]
async fn a_list_of_many_sessions_is_complete_and_one_query_a_page() {
    let (harness, sessions) = service(&[]).await;
    // A page of an answer is 1 MB: ten sessions of 300 KB take several.
    let mut expected = Vec::new();
    for _ in 0..10 {
        let session_data = map(json!({ "large": "x".repeat(300_000) }));
        let new = NewSession { session_data, ..NewSession::for_user("user-1") };
        expected.push(create(&sessions, new, START).await.handle);
    }
    harness.wire.take_calls();
    let found = sessions.handles_of(&UserId::new("user-1"), START).await.unwrap();
    assert_eq!(sorted(found), sorted(expected));
    let calls = harness.wire.take_calls();
    assert!(calls.iter().all(|call| call.operation == "Query"), "{calls:?}");
    assert!((3..=5).contains(&calls.len()), "{} pages", calls.len());
}

/// Claims and data may be large, and there may be many sessions: lists do not even read them.
#[tokio::test]
async fn a_list_tells_what_the_information_tells_but_for_claims_and_data() {
    let (harness, sessions) = service(&[("SESSION_ABSOLUTE_TTL_SECONDS", "7200")]).await;
    let new = NewSession {
        access_token_payload: map(json!({ "role": "member" })),
        session_data: map(json!({ "large": "x".repeat(100_000) })),
        ..NewSession::for_user("user-1")
    };
    let tokens = create(&sessions, new, START).await;
    refresh(&sessions, &tokens, "phone", after(60)).await;
    let alike = harness.store.session(&tokens.handle).await.unwrap().unwrap();
    let key: DeviceKey = format!("dpop:{}", "A".repeat(43)).parse().unwrap();
    for (key, is_pending) in [(None, false), (Some(key), true), (Some(key), false)] {
        let handle = SessionHandle::random(&alike.subject.user_id, &mut bootstrap::system_rng());
        let session =
            Session { handle, device_key: key, device_pending: is_pending, ..alike.clone() };
        harness.store.create_session(&session).await.unwrap();
    }

    let bytes = harness.wire.answered();
    let listed = sessions.sessions_of(&UserId::new("user-1"), after(61)).await.unwrap();
    let bytes = harness.wire.answered() - bytes;

    assert_eq!(listed.len(), 4);
    assert_eq!(listed.iter().filter(|session| session.device_bound).count(), 1);
    for session in listed {
        let information = sessions.information(&session.handle, after(61)).await.unwrap();
        assert_eq!(session, information.unwrap().summary);
    }
    assert!(bytes < 10_000, "{bytes} bytes");
}

#[tokio::test]
async fn data_is_replaced_as_a_whole_in_one_write() {
    let (harness, sessions) = service(&[]).await;
    let handle = sign_in(&sessions, "user-1").await;
    harness.wire.take_calls();
    for data in [json!({ "a": 1, "b": [true, null, 1.5] }), json!({ "c": {} }), json!({})] {
        assert!(sessions.update_session_data(&handle, map(data.clone()), START).await.unwrap());
        let calls = harness.wire.take_calls();
        assert_eq!(calls.len(), 1);
        assert_eq!((calls[0].operation.as_str(), calls[0].units), ("UpdateItem", Some(1.0)));
        let stored = harness.store.session(&handle).await.unwrap().unwrap().session_data;
        assert_eq!(Value::Object(stored), data);
        harness.wire.take_calls();
    }
}

/// Every request that an operation makes, broken in every way: reported, and harmless to repeat.
#[tokio::test]
async fn a_fault_at_any_of_these_requests_is_reported_and_repeating_succeeds() {
    let all = [
        (Fault::ConnectionReset, true),
        (Fault::AppliedButReset, true),
        (Fault::AppliedButServerError, true),
        (Fault::Throttled, true),
        (Fault::AccessDenied, false),
    ];
    for (fault, is_retryable) in all {
        let (harness, sessions) = service(&[]).await;
        let (handle, user) = (sign_in(&sessions, "user-1").await, UserId::new("user-1"));
        let data = || map(json!({ "a": 1 }));
        let read = async || sessions.information(&handle, START).await.map(|found| found.is_some());
        let list = async || sessions.handles_of(&user, START).await.map(|found| found.len() == 1);
        let update = async || sessions.update_session_data(&handle, data(), START).await;
        let merge = async || sessions.merge_into_access_token_payload(&handle, data(), START).await;
        macro_rules! try_each {
            ($($operation:ident),*) => {$(
                harness.wire.script([Some(fault); 3]);
                let error = $operation().await.unwrap_err();
                let reported = matches!(error, SessionError::Unavailable(_));
                assert_eq!(reported, is_retryable, "{} {fault:?}", stringify!($operation));
                harness.wire.script([]);
                assert!($operation().await.unwrap(), "{} {fault:?}", stringify!($operation));
                // The first answer only is lost: the client repeats the request by itself.
                harness.wire.script([Some(fault)]);
                if is_retryable {
                    assert!($operation().await.unwrap(), "{} {fault:?}", stringify!($operation));
                }
                harness.wire.script([]);
            )*};
        }
        try_each!(read, list, update, merge);
        let session = harness.store.session(&handle).await.unwrap().unwrap();
        assert_eq!(session.session_data, data());
        assert_eq!(session.access_token_payload.get("a"), Some(&json!(1)));
    }
}

/// Contract §9: a route for administrators signs them in as somebody else, with a flag that the
/// application can show and check. The administrator's own session stays.
#[tokio::test]
async fn an_administrator_can_be_signed_in_as_somebody_else() {
    let (harness, sessions) = service(&[]).await;
    let admin = harness.sign_in("cookie").await;
    let request = Request::post("/impersonate")
        .header("st-auth-mode", "cookie")
        .header("cookie", admin.access_cookie())
        .body(())
        .unwrap();
    let mut new = NewSession::for_user("user-2");
    new.access_token_payload.insert("impersonatedBy".to_owned(), "user-1".into());
    let (device, now) = (Device::default(), harness.clock.now());
    let rng = &mut bootstrap::system_rng();
    let tokens = session::http::create(&sessions, &request, new, device, now, rng).await.unwrap();
    let mut headers = http::HeaderMap::new();
    tokens.apply(&mut headers);
    let cookie = testkit::harness::cookie(&headers, "sAccessToken").unwrap();
    let claims = crate::effects::claims(&cookie);
    assert_eq!((&claims["sub"], &claims["impersonatedBy"]), (&json!("user-2"), &json!("user-1")));
    let own = sessions.handles_of(&UserId::new("user-1"), now).await.unwrap();
    assert_eq!(own.len(), 1, "the administrator's own session goes on");
}
