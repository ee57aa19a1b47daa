//! Ending sessions from outside, by invocation: who is meant, what it costs, and that it is final.

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::Diagnostic;
use serde_json::{Value, json};
use session::error::Ended;
use session::model::provider::LONGEST_LIFE;
use session::model::{
    AtProvider, Clock as _, Device, NewSession, ProviderSession, Session, SessionHandle, TenantId,
    UserId,
};
use session::service::{AntiCsrfProof, IssuedTokens};
use session::store::{DynamoDb, SessionCreator as _, SessionReader as _};
use session::token::UnverifiedRefreshToken;
use session::{SessionError, Sessions};
use testkit::clock::START;
use testkit::{Fault, Harness, events};

const ISSUER: &str = "https://id.example.com";
const MINUTE: Duration = Duration::from_mins(1);

async fn stack() -> (Harness, Arc<Sessions<DynamoDb>>) {
    let harness = Harness::new(&[("SIGNING_ALGORITHM", "ES256")]).await;
    let sessions = Arc::new(Sessions::new(harness.config.clone(), harness.store.clone()));
    (harness, sessions)
}

async fn create(sessions: &Sessions<DynamoDb>, new: NewSession) -> IssuedTokens {
    let rng = &mut bootstrap::system_rng();
    sessions.create(new, Device::default(), false, START, rng).await.unwrap()
}

fn user(user_id: &str, tenant: &str) -> NewSession {
    let mut new = NewSession::for_user(user_id);
    new.subject.tenant_id = TenantId::new(tenant);
    new
}

/// `user-1` in the default tenant, as the provider that signed them in calls them.
fn at_provider(subject: &str, session_id: Option<&str>) -> NewSession {
    let (issuer, subject) = (ISSUER.to_owned(), subject.to_owned());
    let session_id = session_id.map(str::to_owned);
    let provider = Some(ProviderSession { issuer, subject, session_id });
    NewSession { provider, ..NewSession::for_user("user-1") }
}

async fn lives(harness: &Harness, handle: &SessionHandle) -> bool {
    harness.store.session(handle).await.unwrap().is_some()
}

/// What a process of the function answers within a minute.
async fn revoke(harness: &Harness, command: Value) -> Result<Value, Diagnostic> {
    let deadline = harness.clock.now().plus(MINUTE);
    let sessions = Sessions::new(harness.config.clone(), harness.store.clone());
    let answer = revoke::handle(&sessions, &harness.clock, command, deadline).await;
    answer.map(|ended| serde_json::to_value(ended).unwrap()).map_err(Diagnostic::from)
}

#[tokio::test]
async fn each_command_ends_the_sessions_that_it_names_and_no_others() {
    let signed_in = || {
        [
            user("user-1", "public"),
            user("user-1", "acme"),
            user("user-2", "acme"),
            at_provider("ada", Some("s1")),
            at_provider("ada", Some("s2")),
            at_provider("ada", None),
            at_provider("bob", Some("s3")),
        ]
    };
    let provider = |names: Value| {
        let mut provider = names;
        provider["issuer"] = provider.get("issuer").cloned().unwrap_or_else(|| ISSUER.into());
        json!({ "provider": provider })
    };
    for (command, ended) in [
        (json!({ "userId": "user-1" }), vec![0, 1, 3, 4, 5, 6]),
        (json!({ "userId": "user-1", "tenantId": "acme" }), vec![1]),
        (json!({ "userId": "nobody" }), vec![]),
        (json!({ "tenantId": "acme" }), vec![1, 2]),
        (json!({ "tenantId": "acm" }), vec![]),
        (json!({ "everybody": true }), vec![0, 1, 2, 3, 4, 5, 6]),
        (provider(json!({ "subject": "ada" })), vec![3, 4, 5]),
        (provider(json!({ "sessionId": "s1" })), vec![3]),
        // It may be the session that does not know its provider's.
        (provider(json!({ "subject": "ada", "sessionId": "s1" })), vec![3, 5]),
        (provider(json!({ "subject": "ada", "sessionId": "s3" })), vec![5]),
        (provider(json!({ "subject": "s1" })), vec![]),
        (provider(json!({ "sessionId": "ada" })), vec![]),
        (provider(json!({ "subject": "ada", "issuer": "https://id.example.com/" })), vec![]),
    ] {
        let (harness, sessions) = stack().await;
        let mut handles = Vec::new();
        for new in signed_in() {
            handles.push(create(&sessions, new).await.handle);
        }
        let answer = revoke(&harness, command.clone()).await;
        assert_eq!(answer.unwrap(), json!({ "ended": ended.len() }), "{command}");
        for (at, handle) in handles.iter().enumerate() {
            assert_eq!(lives(&harness, handle).await, !ended.contains(&at), "{command}: {at}");
        }
        let again = revoke(&harness, command.clone()).await;
        assert_eq!(again.unwrap(), json!({ "ended": 0 }), "{command}");
    }
}

#[tokio::test]
async fn sessions_of_other_applications_are_left_alone() {
    let (harness, sessions) = stack().await;
    let here = create(&sessions, at_provider("ada", Some("s1"))).await.handle;
    let other = harness.redeployed(&[("APP_ID", "other")]).await;
    for command in [
        json!({ "everybody": true }),
        json!({ "tenantId": "public" }),
        json!({ "userId": "user-1" }),
        json!({ "provider": { "issuer": ISSUER, "subject": "ada", "sessionId": "s1" } }),
    ] {
        assert_eq!(revoke(&other, command.clone()).await.unwrap(), json!({ "ended": 0 }));
        assert!(lives(&harness, &here).await, "{command}");
    }
}

#[tokio::test]
async fn each_command_costs_the_requests_that_are_stated() {
    let (harness, sessions) = stack().await;
    for (command, expected) in [
        (json!({ "userId": "user-1" }), ["Query", "BatchWriteItem", "BatchWriteItem"].as_slice()),
        (
            json!({ "provider": { "issuer": ISSUER, "sessionId": "s1" } }),
            &["Query", "Query", "BatchWriteItem", "BatchWriteItem"],
        ),
        (json!({ "provider": { "issuer": ISSUER, "subject": "unknown" } }), &["Query"]),
        (json!({ "tenantId": "public" }), &["Scan", "BatchWriteItem", "BatchWriteItem"]),
        (json!({ "everybody": true }), &["Scan", "BatchWriteItem", "BatchWriteItem"]),
        (json!({ "everybody": true, "userId": "user-1" }), &[]),
    ] {
        for _ in 0..27 {
            create(&sessions, at_provider("ada", Some("s1"))).await;
        }
        harness.wire.take_calls();
        let _ = revoke(&harness, command.clone()).await;
        let calls = harness.wire.take_calls();
        let operations: Vec<_> = calls.iter().map(|call| call.operation.as_str()).collect();
        assert_eq!(operations, expected, "{command}");
        revoke(&harness, json!({ "everybody": true })).await.unwrap();
    }
}

#[tokio::test]
async fn a_sign_in_that_names_its_provider_costs_a_write_for_each_name_more() {
    let (harness, sessions) = stack().await;
    create(&sessions, NewSession::for_user("user-1")).await;
    for (new, writes) in [
        (NewSession::for_user("user-1"), 1),
        (at_provider("ada", None), 2),
        (at_provider("ada", Some("s1")), 3),
    ] {
        harness.wire.take_calls();
        create(&sessions, new).await;
        let calls = harness.wire.take_calls();
        let calls: Vec<_> = calls.iter().map(|it| (it.operation.as_str(), it.units)).collect();
        assert_eq!(calls, vec![("PutItem", Some(1.0)); writes]);
    }
}

/// Otherwise a session could be acknowledged that its provider does not find.
#[tokio::test]
async fn a_session_that_its_provider_would_not_find_is_not_made() {
    for at in [0, 1] {
        let (harness, sessions) = stack().await;
        create(&sessions, NewSession::for_user("user-2")).await;
        let fails = std::iter::repeat_n(None, at).chain([Some(Fault::ServerError); 3]);
        harness.wire.script(fails);
        let (new, rng) = (at_provider("ada", Some("s1")), &mut bootstrap::system_rng());
        let error = sessions.create(new, Device::default(), false, START, rng).await.unwrap_err();
        assert!(matches!(error, SessionError::Unavailable(_)), "{error:?}");
        harness.wire.script([]);
        let found = sessions.sessions_of(&UserId::new("user-1"), START).await.unwrap();
        assert_eq!(found, [], "{at}");
    }
}

/// What leads to a session is kept for 400 days.
#[tokio::test]
async fn a_session_that_names_its_provider_ends_after_400_days() {
    let days = |days: u64| Some(START.plus(Duration::from_hours(days * 24)));
    let longer = ("SESSION_ABSOLUTE_TTL_SECONDS", "40000000");
    let shorter = ("SESSION_ABSOLUTE_TTL_SECONDS", "864000");
    for (settings, expected) in
        [(vec![], days(400)), (vec![longer], days(400)), (vec![shorter], days(10))]
    {
        let harness = Harness::new(&settings).await;
        let sessions = Sessions::new(harness.config.clone(), harness.store.clone());
        let handle = create(&sessions, at_provider("ada", None)).await.handle;
        let session = harness.store.session(&handle).await.unwrap().unwrap();
        assert_eq!(session.refresh.absolute_end, expected);
    }
    assert_eq!(Some(START.plus(LONGEST_LIFE)), days(400));
}

#[tokio::test]
async fn a_name_that_could_be_read_as_another_is_refused() {
    let (harness, sessions) = stack().await;
    for (subject, session_id) in
        [("", None), ("a\0b", None), (" ada", None), ("ada", Some("")), ("ada", Some("s\n"))]
    {
        harness.wire.take_calls();
        let (new, rng) = (at_provider(subject, session_id), &mut bootstrap::system_rng());
        let error = sessions.create(new, Device::default(), false, START, rng).await.unwrap_err();
        assert!(matches!(error, SessionError::InvalidInput(_)), "{error:?}");
        assert_eq!(harness.wire.take_calls(), []);
    }
}

/// Sessions of 60 KB each, so that a few fill a page.
async fn fill(store: &DynamoDb, count: usize) {
    for number in 0..count {
        let user = UserId::new(format!("user-{number}"));
        let handle = SessionHandle::random(&user, &mut bootstrap::system_rng());
        let mut session = Session { handle, ..events::session() };
        session.session_data.insert("filling".to_owned(), "x".repeat(60_000).into());
        assert_eq!(store.create_session(&session).await.unwrap(), None);
    }
}

#[tokio::test]
async fn when_the_time_is_over_the_answer_says_where_to_go_on() {
    let (harness, _) = stack().await;
    fill(&harness.store, 40).await;
    let mut command = json!({ "tenantId": "public" });
    let mut ended = Vec::new();
    loop {
        let sessions = Sessions::new(harness.config.clone(), harness.store.clone());
        let deadline = harness.clock.now();
        let answer = revoke::handle(&sessions, &harness.clock, command.clone(), deadline).await;
        let answer = serde_json::to_value(answer.map_err(Diagnostic::from).unwrap()).unwrap();
        ended.push(answer["ended"].as_u64().unwrap());
        match answer.get("next") {
            Some(next) => command["after"] = next.clone(),
            None => break,
        }
    }
    assert!(ended.len() >= 3, "{ended:?}");
    assert_eq!(ended.iter().sum::<u64>(), 40, "{ended:?}");
    fill(&harness.store, 40).await;
    assert_eq!(revoke(&harness, json!({ "everybody": true })).await.unwrap()["ended"], 40);
}

/// What docs/scale.md says it costs.
#[tokio::test]
async fn what_a_tenants_end_costs() {
    let (harness, sessions) = stack().await;
    for number in 0..200 {
        create(&sessions, user(&format!("user-{number}"), "acme")).await;
        create(&sessions, user(&format!("user-{number}"), "public")).await;
    }
    harness.wire.take_calls();
    revoke(&harness, json!({ "tenantId": "acme" })).await.unwrap();
    let calls = harness.wire.take_calls();
    let of = |operation: &str| {
        let calls = calls.iter().filter(|call| call.operation == operation);
        calls.fold((0, 0.0), |(count, units), call| (count + 1, units + call.units.unwrap_or(0.0)))
    };
    assert_eq!(of("BatchWriteItem"), (8, 200.0));
    assert_eq!(of("Scan"), (1, 36.0));
}

async fn refresh(sessions: &Sessions<DynamoDb>, token: &str) -> Result<(), SessionError> {
    let presented = UnverifiedRefreshToken::parse(token).unwrap();
    let device = Device::default();
    let later = START.plus(MINUTE * 5);
    sessions.refresh(&presented, AntiCsrfProof::NotUsed, &device, later).await.map(drop)
}

/// In each round some sessions exist before, some are made meanwhile, and one is made afterwards; by every
/// command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_acknowledged_revocation_no_refresh_of_what_was_there_succeeds() {
    let (harness, sessions) = stack().await;
    for round in 0..5 {
        let subject = format!("subject-{round}");
        let provider = |mut names: Value| {
            names["issuer"] = ISSUER.into();
            json!({ "provider": names })
        };
        for command in [
            json!({ "userId": "user-1" }),
            json!({ "tenantId": "public" }),
            json!({ "everybody": true }),
            provider(json!({ "subject": &subject })),
            provider(json!({ "sessionId": &subject })),
            provider(json!({ "subject": &subject, "sessionId": &subject })),
        ] {
            let new = at_provider(&subject, Some(&subject));
            let before =
                [create(&sessions, new.clone()).await, create(&sessions, new.clone()).await];
            let mut meanwhile = tokio::task::JoinSet::new();
            for _ in 0..3 {
                let (sessions, new) = (Arc::clone(&sessions), new.clone());
                meanwhile.spawn(async move { create(&sessions, new).await });
            }
            revoke(&harness, command.clone()).await.unwrap();
            let after = create(&sessions, new).await;
            for tokens in before {
                let refused = refresh(&sessions, tokens.refresh.expose()).await;
                let is_gone = matches!(refused, Err(SessionError::SessionEnded(Ended::Unknown)));
                assert!(is_gone, "{command}: {refused:?}");
            }
            refresh(&sessions, after.refresh.expose()).await.unwrap();
            meanwhile.join_all().await;
            revoke(&harness, json!({ "userId": "user-1" })).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_fault_at_any_request_is_no_success_and_repeating_ends_all() {
    let provider = json!({ "provider": { "issuer": ISSUER, "sessionId": "s1" } });
    for (command, requests) in
        [(json!({ "userId": "user-1" }), 2), (json!({ "tenantId": "public" }), 2), (provider, 3)]
    {
        for fault in [Fault::Timeout, Fault::AppliedButReset, Fault::Throttled, Fault::AccessDenied]
        {
            for let_through in 0..requests {
                let (harness, sessions) = stack().await;
                let handle = create(&sessions, at_provider("ada", Some("s1"))).await.handle;
                let script = std::iter::repeat_n(None, let_through).chain([Some(fault); 3]);
                harness.wire.script(script);
                let refused = revoke(&harness, command.clone()).await.unwrap_err();
                assert_eq!(refused.error_type, "RevocationFault", "{fault:?} at {let_through}");
                harness.wire.script([]);
                revoke(&harness, command.clone()).await.unwrap();
                assert!(!lives(&harness, &handle).await, "{fault:?} at {let_through}");
            }
        }
    }
}

#[test]
fn what_is_kept_of_a_provider_is_neither_its_names_nor_the_same_for_two() {
    let key = |issuer, subject| AtProvider::named(issuer, Some(subject), None).unwrap().key();
    let keys = [
        key(ISSUER, "ada"),
        key(ISSUER, "bob"),
        key("https://id.example.org", "ada"),
        AtProvider::named(ISSUER, None, Some("ada")).unwrap().key(),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[at + 1..].contains(key));
        assert_eq!(key.to_string().len(), 22);
    }
}
