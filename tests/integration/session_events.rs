//! What listeners and the event bus are told, and that nothing they do changes an answer.

use std::sync::Arc;
use std::time::Duration;

use bootstrap::SystemClock;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value as Json, json};
use session::Sessions;
use session::http::{create, refresh, sign_out};
use session::model::{Clock as _, Device, NewSession, SessionHandle, UserId};
use session::service::{Listener, RevocationCause, SessionEvent};
use session::store::DynamoDb;
use testkit::clock::START;
use testkit::harness::Tokens;
use testkit::{Bus, BusFault, Fault, Harness};

/// The service with a listener that ships, over an embedded table and an emulated bus.
pub(crate) struct Stage {
    pub(crate) stack: Harness,
    pub(crate) bus: Bus,
    sessions: Sessions<DynamoDb>,
}

impl Stage {
    async fn new() -> Self {
        Self::told_by(Bus::listener).await
    }

    pub(crate) async fn told_by<L: Listener + 'static>(listener: fn(&Bus) -> L) -> Self {
        let (stack, bus) = (Harness::new(&[]).await, Bus::default());
        let sessions = Sessions::new(stack.config.clone(), stack.store.clone())
            .with_listener(Arc::new(listener(&bus)));
        Self { stack, bus, sessions }
    }

    async fn sign_in(&self) -> Tokens {
        self.sign_in_as(NewSession::for_user("user-1"), Device::default()).await
    }

    pub(crate) async fn sign_in_as(&self, new: NewSession, device: Device) -> Tokens {
        let (now, mut rng) = (self.stack.clock.now(), bootstrap::system_rng());
        let request = Request::new(());
        let created = create(&self.sessions, &request, new, device, now, &mut rng).await.unwrap();
        let mut response = Response::new(Bytes::new());
        created.apply(response.headers_mut());
        Tokens::of(&response)
    }

    async fn refresh(&self, tokens: &Tokens) -> Response<String> {
        self.refresh_as("agent", tokens).await
    }

    async fn refresh_as(&self, agent: &str, tokens: &Tokens) -> Response<String> {
        self.refresh_on(&Device::new(Some(agent), Some("192.0.2.1")), tokens).await
    }

    pub(crate) async fn refresh_on(&self, device: &Device, tokens: &Tokens) -> Response<String> {
        let request = with_bearer(&tokens.refresh_bearer());
        refresh(&self.sessions, &request, device, self.stack.clock.now()).await.0
    }

    async fn sign_out(&self, tokens: &Tokens) -> Response<String> {
        let request = with_bearer(&tokens.access_bearer());
        sign_out(&self.sessions, &request, self.stack.clock.now()).await.0
    }

    pub(crate) fn wait_for_the_window_to_close(&self) {
        self.stack.clock.advance(self.stack.config.refresh.window() * 2);
    }
}

fn with_bearer(bearer: &str) -> Request<()> {
    Request::builder().header("authorization", bearer).body(()).unwrap()
}

pub(crate) fn tokens_of(response: Response<String>) -> Tokens {
    Tokens::of(&response.map(Bytes::from))
}

fn handle_in(tokens: &Tokens) -> Json {
    crate::effects::claims(&tokens.access)["sessionHandle"].clone()
}

/// The one event that was told since the last, which is described to those who write rules for it.
fn only(bus: &Bus) -> (String, Json) {
    let events = bus.take_events();
    assert_eq!(events.len(), 1, "{events:?}");
    let (kind, detail) = events.into_iter().next().unwrap();
    let described = include_str!("../../docs/events.md");
    let words = ["outcome", "cause"].into_iter().filter_map(|member| detail[member].as_str());
    let members = detail.as_object().unwrap().keys().map(String::as_str);
    for name in members.chain(words).chain([kind.as_str()]) {
        assert!(
            described.contains(&format!("`{name}`")),
            "docs/events.md does not describe {name}"
        );
    }
    (kind, detail)
}

#[tokio::test]
async fn every_step_of_a_session_is_told_once() {
    let stage = Stage::new().await;
    let ttl = 8_640_000_000;
    let tokens = stage.sign_in().await;
    let common =
        json!({ "sessionHandle": handle_in(&tokens), "userId": "user-1", "tenantId": "public" });
    let with = |mut detail: Json, more: Json| {
        detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        detail
    };
    let created = with(common.clone(), json!({ "expiresAt": START.as_millis() + ttl }));
    assert_eq!(only(&stage.bus), ("Session Created".to_owned(), created));

    for (outcome, repeats) in [("Rotated", 0), ("Served", 1), ("Served", 2)] {
        assert_eq!(stage.refresh(&tokens).await.status(), 200);
        let refreshed = json!({
            "outcome": outcome,
            "expiresAt": START.as_millis() + ttl,
            "askedBy": { "agent": "agent", "network": "192.0.2.1" },
            "repeats": repeats,
        });
        stage.stack.clock.advance(Duration::from_millis(1));
        let expected = with(common.clone(), refreshed);
        assert_eq!(only(&stage.bus), ("Session Refreshed".to_owned(), expected));
    }

    assert_eq!(stage.sign_out(&tokens).await.status(), 200);
    let revoked = json!({
        "sessionHandles": [handle_in(&tokens)],
        "userId": "user-1",
        "cause": "SignedOut",
    });
    assert_eq!(only(&stage.bus), ("Sessions Revoked".to_owned(), revoked));
}

#[tokio::test]
async fn reuse_is_told_with_both_parties() {
    let stage = Stage::new().await;
    let stolen = stage.sign_in().await;
    let mut owner = stolen.clone();
    for _ in 0..2 {
        stage.wait_for_the_window_to_close();
        owner = tokens_of(stage.refresh(&owner).await);
    }
    stage.bus.take_events();
    stage.wait_for_the_window_to_close();
    assert_eq!(stage.refresh_as("thief", &stolen).await.status(), 401);
    let device = |agent| json!({ "agent": agent, "network": "192.0.2.1" });
    let expected = json!({
        "sessionHandle": handle_in(&stolen),
        "userId": "user-1",
        "tenantId": "public",
        "presentedGeneration": 1,
        "currentGeneration": 3,
        "generationDistance": 2,
        "presentedBy": device("thief"),
        "lastUsedBy": device("agent"),
    });
    assert_eq!(only(&stage.bus), ("Refresh Token Reuse Detected".to_owned(), expected));

    // What comes after is a session that is over, not reuse again.
    assert_eq!(stage.refresh(&owner).await.status(), 401);
    assert_eq!(stage.bus.take_events(), []);
}

#[tokio::test]
async fn the_sessions_of_a_user_are_told_together_and_by_whom() {
    let stage = Stage::new().await;
    let mut handles = vec![];
    for _ in 0..3 {
        handles.push(handle_in(&stage.sign_in().await));
    }
    let first: SessionHandle = handles[0].as_str().unwrap().parse().unwrap();
    stage.bus.take_events();

    assert!(stage.sessions.revoke(&first).await.unwrap());
    let expected = json!({ "sessionHandles": [handles[0]], "userId": null, "cause": "ByHandle" });
    assert_eq!(only(&stage.bus).1, expected);

    stage.sessions.revoke_all(&UserId::new("user-1")).await.unwrap();
    let (_, detail) = only(&stage.bus);
    assert_eq!(detail["sessionHandles"].as_array().unwrap().len(), 2);
    assert_eq!((&detail["userId"], &detail["cause"]), (&json!("user-1"), &json!("ByUser")));
}

#[tokio::test]
async fn of_all_sessions_of_a_user_those_that_ended_before_a_fault_are_told() {
    let stage = Stage::new().await;
    // A page of an answer is 1 MB.
    for _ in 0..5 {
        let large = "x".repeat(300_000);
        let session_data = json!({ "large": large }).as_object().unwrap().clone();
        let new = NewSession { session_data, ..NewSession::for_user("user-1") };
        stage.sign_in_as(new, Device::default()).await;
    }
    stage.bus.take_events();
    stage.stack.wire.script([None, None, Some(Fault::AccessDenied)]);

    assert!(stage.sessions.revoke_all(&UserId::new("user-1")).await.is_err());

    let ended = only(&stage.bus).1["sessionHandles"].as_array().unwrap().len();
    stage.sessions.revoke_all(&UserId::new("user-1")).await.unwrap();
    let rest = only(&stage.bus).1["sessionHandles"].as_array().unwrap().len();
    assert!(ended > 0 && ended + rest == 5, "{ended} and {rest}");
}

#[tokio::test]
async fn of_several_sessions_those_before_a_fault_are_told_together() {
    let stage = Stage::new().await;
    let mut handles = vec![];
    for _ in 0..3 {
        handles.push(handle_in(&stage.sign_in().await));
    }
    let parsed: Vec<SessionHandle> =
        handles.iter().map(|handle| handle.as_str().unwrap().parse().unwrap()).collect();
    stage.bus.take_events();
    stage.stack.wire.script([None, None, Some(Fault::AccessDenied)]);
    assert!(stage.sessions.revoke_many(&parsed).await.is_err());
    assert_eq!(only(&stage.bus).1["sessionHandles"], json!(handles[..2]));
    assert_eq!(stage.sessions.revoke_many(&parsed).await.unwrap(), [parsed[2]]);
    assert_eq!(only(&stage.bus).1["sessionHandles"], json!(handles[2..]));
}

#[tokio::test]
async fn what_did_not_happen_is_not_told() {
    let stage = Stage::new().await;
    let tokens = stage.sign_in().await;
    stage.sign_out(&tokens).await;
    stage.bus.take_events();
    assert_eq!(stage.sign_out(&tokens).await.status(), 200);
    assert_eq!(stage.refresh(&tokens).await.status(), 401);
    stage.sessions.revoke_all(&UserId::new("user-1")).await.unwrap();
    let other = stage.sign_in().await;
    stage.bus.take_events();
    stage.stack.wire.break_all(Some(Fault::AccessDenied));
    assert_eq!(stage.refresh(&other).await.status(), 500);
    assert_eq!(stage.sign_out(&other).await.status(), 500);
    assert_eq!(stage.bus.take_events(), []);
}

#[tokio::test]
async fn no_event_holds_a_token_or_its_hash() {
    let stage = Stage::new().await;
    let first = stage.sign_in().await;
    stage.wait_for_the_window_to_close();
    let second = tokens_of(stage.refresh(&first).await);
    stage.wait_for_the_window_to_close();
    let third = tokens_of(stage.refresh(&second).await);
    stage.wait_for_the_window_to_close();
    assert_eq!(stage.refresh_as("thief", &first).await.status(), 401);
    let told = format!("{:?}", stage.bus.take_events());
    assert!(told.contains("Reuse"), "{told}");
    for tokens in [first, second, third] {
        let hash = crate::effects::claims(&tokens.access)["refreshTokenHash1"].clone();
        for secret in
            [tokens.access, tokens.refresh, tokens.front, hash.as_str().unwrap().to_owned()]
        {
            assert!(!told.contains(&secret), "{secret} in {told}");
        }
    }
}

#[tokio::test]
async fn a_bus_that_fails_changes_no_answer() {
    for fault in [
        BusFault::ConnectionReset,
        BusFault::ServerError,
        BusFault::AccessDenied,
        BusFault::FirstEntryRefused,
    ] {
        let stage = Stage::new().await;
        stage.bus.break_all(Some(fault));
        let tokens = stage.sign_in().await;
        let refreshed = stage.refresh(&tokens).await;
        assert_eq!(
            (refreshed.status().as_u16(), refreshed.body().as_str()),
            (200, "{}"),
            "{fault:?}"
        );
        let tokens = tokens_of(refreshed);
        assert_eq!(stage.sign_out(&tokens).await.status(), 200, "{fault:?}");
        assert_eq!(stage.refresh(&tokens).await.status(), 401, "{fault:?}");
        assert_eq!(stage.bus.take_events(), [], "{fault:?}");
    }
}

#[tokio::test]
async fn a_bus_that_is_silent_holds_an_answer_up_for_a_second_at_most() {
    let stage = Stage::new().await;
    let tokens = stage.sign_in().await;
    stage.bus.break_all(Some(BusFault::Silence));
    let start = SystemClock.now();
    assert_eq!(stage.refresh(&tokens).await.status(), 200);
    let waited = start.until(SystemClock.now());
    assert!(waited < Duration::from_millis(1500), "{waited:?}");
}

#[tokio::test]
async fn a_bus_that_fails_once_is_told_again() {
    let stage = Stage::new().await;
    for fault in [BusFault::ConnectionReset, BusFault::ServerError, BusFault::FirstEntryRefused] {
        stage.bus.break_next(fault);
        stage.sign_in().await;
        assert_eq!(only(&stage.bus).0, "Session Created", "{fault:?}");
        assert_eq!(stage.bus.take_calls(), [1, 1], "{fault:?}");
    }
}

#[tokio::test]
async fn thousands_of_handles_are_told_within_the_limits_of_a_call() {
    let bus = Bus::default();
    let handle = |n: u32| {
        let mut bytes = [0; SessionHandle::LEN];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        SessionHandle::from_bytes(bytes)
    };
    let handles: Vec<_> = (0..6001).map(handle).collect();
    let user_id = Some(UserId::new("user-1"));
    let event = SessionEvent::Revoked { handles, user_id, cause: RevocationCause::ByUser };
    bus.break_next(BusFault::FirstEntryRefused);
    bus.listener().notify(&event).await.unwrap();

    assert_eq!(bus.take_calls(), [5, 1, 2], "the refused entry alone is put again");
    let mut told: Vec<_> = bus
        .take_events()
        .iter()
        .flat_map(|(_, detail)| detail["sessionHandles"].as_array().unwrap().clone())
        .map(|handle| handle.as_str().unwrap().to_owned())
        .collect();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 6001);
}
