//! Ending all sessions of a user, also while others sign in.

use std::sync::Arc;

use session::model::{Device, NewSession, SessionHandle, UserId};
use session::store::{DynamoDb, SessionReader as _};
use session::{SessionError, Sessions};
use testkit::clock::START;
use testkit::{Fault, Harness};

async fn create(sessions: &Sessions<DynamoDb>, user: &str) -> SessionHandle {
    let (new, device) = (NewSession::for_user(user), Device::default());
    let rng = &mut bootstrap::system_rng();
    sessions.create(new, device, false, START, rng).await.unwrap().handle
}

async fn stack() -> (Harness, Arc<Sessions<DynamoDb>>) {
    let harness = Harness::new(&[]).await;
    let sessions = Arc::new(Sessions::new(harness.config.clone(), harness.store.clone()));
    (harness, sessions)
}

#[tokio::test]
async fn all_sessions_of_the_user_end_and_nobody_elses() {
    let (harness, sessions) = stack().await;
    let mine = create(&sessions, "user-1").await;
    let other = create(&sessions, "user-2").await;
    assert_eq!(sessions.revoke_all(&UserId::new("user-1")).await.unwrap(), [mine]);
    assert_eq!(harness.store.session(&mine).await.unwrap(), None);
    assert!(harness.store.session(&other).await.unwrap().is_some());
}

#[tokio::test]
async fn thirty_sessions_cost_one_query_and_two_batches() {
    let (harness, sessions) = stack().await;
    for _ in 0..30 {
        create(&sessions, "user-1").await;
    }
    harness.wire.take_calls();
    assert_eq!(sessions.revoke_all(&UserId::new("user-1")).await.unwrap().len(), 30);
    let calls = harness.wire.take_calls();
    let operations: Vec<_> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(operations, ["Query", "BatchWriteItem", "BatchWriteItem"]);
}

/// In each round some sessions exist before, some are made meanwhile, and one is made afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_is_gone_and_what_is_made_afterwards_lives() {
    let (harness, sessions) = stack().await;
    for round in 0..200 {
        let user = format!("user-{round}");
        let before = [create(&sessions, &user).await, create(&sessions, &user).await];
        let mut meanwhile = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (sessions, user) = (Arc::clone(&sessions), user.clone());
            meanwhile.spawn(async move { create(&sessions, &user).await });
        }
        let ended = sessions.revoke_all(&UserId::new(user.clone())).await.unwrap();
        let after = create(&sessions, &user).await;
        for handle in before {
            assert!(ended.contains(&handle));
        }
        for handle in before.into_iter().chain(meanwhile.join_all().await) {
            let lives = harness.store.session(&handle).await.unwrap().is_some();
            assert_eq!(lives, !ended.contains(&handle), "ended and gone are the same");
        }
        assert!(harness.store.session(&after).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_fault_at_either_request_is_reported_and_repeating_ends_all() {
    let all = [
        (Fault::ConnectionReset, true),
        (Fault::Timeout, true),
        (Fault::AppliedButReset, true),
        (Fault::AppliedButServerError, true),
        (Fault::Throttled, true),
        (Fault::ServerError, true),
        (Fault::Unavailable, true),
        (Fault::TableMissing, false),
        (Fault::AccessDenied, false),
    ];
    for (fault, is_retryable) in all {
        // The three attempts at the query fail, or the query succeeds and those at the batch fail.
        for let_through in [0, 1] {
            let (harness, sessions) = stack().await;
            let handle = create(&sessions, "user-1").await;
            let user = UserId::new("user-1");
            let script = std::iter::repeat_n(None, let_through).chain([Some(fault); 3]);
            harness.wire.script(script);
            let error = sessions.revoke_all(&user).await.unwrap_err();
            let reported = matches!(error, SessionError::Unavailable(_));
            assert_eq!(reported, is_retryable, "{fault:?} after {let_through}: {error:?}");
            harness.wire.script([]);
            sessions.revoke_all(&user).await.unwrap();
            assert_eq!(harness.store.session(&handle).await.unwrap(), None);
        }
    }
}
