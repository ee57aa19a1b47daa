//! `SESSION_LIMIT_PER_USER`: the sessions that were refreshed longest ago make room.

use std::sync::Arc;

use session::SessionError;
use session::model::{Device, NewSession, UserId};
use session::service::AntiCsrfProof;
use session::store::SessionReader as _;
use session::token::UnverifiedRefreshToken;
use testkit::clock::START;
use tokio::task::JoinSet;

use crate::manage::{after, create, service, sign_in};

const THREE: [(&str, &str); 1] = [("SESSION_LIMIT_PER_USER", "3")];

#[tokio::test]
async fn the_session_that_was_refreshed_longest_ago_ends() {
    let (harness, sessions) = service(&THREE).await;
    let user = UserId::new("user-1");
    let oldest = create(&sessions, NewSession::for_user("user-1"), START).await;
    let second = create(&sessions, NewSession::for_user("user-1"), after(1)).await.handle;
    let third = create(&sessions, NewSession::for_user("user-1"), after(2)).await.handle;
    let other = sign_in(&sessions, "user-2").await;
    // The oldest one is used, so the second has been idle the longest.
    let presented = UnverifiedRefreshToken::parse(oldest.refresh.expose()).unwrap();
    let device = Device::default();
    sessions.refresh(&presented, AntiCsrfProof::NotUsed, &device, after(3)).await.unwrap();
    let newest = create(&sessions, NewSession::for_user("user-1"), after(4)).await.handle;
    let left = sessions.handles_of(&user, after(5)).await.unwrap();
    assert_eq!(left, [newest, oldest.handle, third]);
    assert_eq!(harness.store.session(&second).await.unwrap(), None);
    assert!(harness.store.session(&other).await.unwrap().is_some());
}

#[tokio::test]
async fn below_the_limit_a_sign_in_is_one_write_and_one_query() {
    let (harness, sessions) = service(&THREE).await;
    sign_in(&sessions, "user-1").await;
    harness.wire.take_calls();
    sign_in(&sessions, "user-1").await;
    let calls = harness.wire.take_calls();
    let operations: Vec<_> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(operations, ["PutItem", "Query"]);
}

#[tokio::test]
async fn sessions_that_are_over_do_not_count() {
    let settings = [THREE[0], ("SESSION_ABSOLUTE_TTL_SECONDS", "7200")];
    let (_, sessions) = service(&settings).await;
    for _ in 0..3 {
        sign_in(&sessions, "user-1").await;
    }
    for second in 7200..7203 {
        create(&sessions, NewSession::for_user("user-1"), after(second)).await;
    }
    assert_eq!(sessions.handles_of(&UserId::new("user-1"), after(7203)).await.unwrap().len(), 3);
}

/// In each round twenty sign-ins race, half of them in the same millisecond. They agree on who stays,
/// so that in the end exactly as many are left as may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_ins_that_race_leave_exactly_as_many_as_may_be() {
    let (_, sessions) = service(&THREE).await;
    for round in 0..30 {
        let user = format!("user-{round}");
        let mut racing = JoinSet::new();
        for n in 0..20 {
            let (sessions, user) = (Arc::clone(&sessions), user.clone());
            racing.spawn(async move {
                create(&sessions, NewSession::for_user(user), after(n / 2)).await.handle
            });
        }
        racing.join_all().await;
        let left = sessions.sessions_of(&UserId::new(user), after(60)).await.unwrap();
        assert_eq!(left.len(), 3);
        assert!(left.iter().all(|session| session.created_at >= after(8)), "{left:?}");
    }
}

/// A limit that cannot be kept is a fault: nobody gets tokens beyond it.
#[tokio::test]
async fn a_limit_that_cannot_be_kept_is_reported() {
    let (harness, sessions) = service(&THREE).await;
    sign_in(&sessions, "user-1").await;
    harness.wire.script([None].into_iter().chain([Some(testkit::Fault::ServerError); 3]));
    let rng = &mut bootstrap::system_rng();
    let (new, device) = (NewSession::for_user("user-1"), Device::default());
    let error = sessions.create(new, device, false, START, rng).await;
    assert!(matches!(error, Err(SessionError::Unavailable(_))), "{error:?}");
}
