//! Merging claims into the payload: each on its own, by any number of writers at once, and never beyond
//! what fits into tokens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};
use session::SessionError;
use session::model::{Device, NewSession, PayloadSize, Session, SessionHandle};
use session::service::{AntiCsrfProof, IssuedTokens};
use session::store::{
    PayloadMerge, PayloadRoom, SessionCreator as _, SessionReader as _, SessionUpdater as _,
    Written,
};
use session::token::UnverifiedRefreshToken;
use session::token::registered::{CLAIMS, Rule};
use session::token::size::longest_front_json;
use testkit::clock::START;
use testkit::{Fault, Harness, Treatment, events};
use tokio::task::JoinSet;

use crate::effects::claims;
use crate::manage::{Service, after, create, map, service, sign_in};

async fn merge(sessions: &Service, handle: &SessionHandle, patch: Value) -> bool {
    sessions.merge_into_access_token_payload(handle, map(patch), START).await.unwrap()
}

async fn payload(harness: &Harness, handle: &SessionHandle) -> Map<String, Value> {
    harness.store.session(handle).await.unwrap().unwrap().access_token_payload
}

#[tokio::test]
async fn a_merge_sets_replaces_and_removes_and_leaves_the_rest() {
    let (harness, sessions) = service(&[]).await;
    let handle = sign_in(&sessions, "user-1").await;
    assert!(merge(&sessions, &handle, json!({ "a": 1, "b": { "x": 1 }, "c.d": "dot" })).await);
    harness.wire.take_calls();
    assert!(merge(&sessions, &handle, json!({ "a": null, "b": { "y": 2 }, "never": null })).await);
    let calls = harness.wire.take_calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].operation.as_str(), calls[0].units), ("UpdateItem", Some(1.0)));
    let expected = json!({ "iss": "https://api.example.com/auth", "b": { "y": 2 }, "c.d": "dot" });
    assert_eq!(Value::Object(payload(&harness, &handle).await), expected);
}

#[tokio::test]
async fn an_empty_merge_tells_only_whether_the_session_lives() {
    let (_, sessions) = service(&[]).await;
    let handle = sign_in(&sessions, "user-1").await;
    assert!(merge(&sessions, &handle, json!({})).await);
    sessions.revoke(&handle).await.unwrap();
    assert!(!merge(&sessions, &handle, json!({})).await);
}

#[tokio::test]
async fn the_next_refresh_brings_the_claims() {
    let (_, sessions) = service(&[]).await;
    let tokens = create(&sessions, NewSession::for_user("user-1"), START).await;
    merge(&sessions, &tokens.handle, json!({ "role": "admin" })).await;
    let refreshed = refresh(&sessions, &tokens).await.unwrap();
    assert_eq!(claims(&refreshed.access.token)["role"], "admin");
}

async fn refresh(sessions: &Service, tokens: &IssuedTokens) -> Result<IssuedTokens, SessionError> {
    let presented = UnverifiedRefreshToken::parse(tokens.refresh.expose()).unwrap();
    let device = Device::default();
    let refreshed = sessions.refresh(&presented, AntiCsrfProof::NotUsed, &device, after(1)).await;
    refreshed.map(|refreshed| refreshed.tokens)
}

#[tokio::test]
async fn reserved_names_are_refused_by_name_and_nothing_is_written() {
    let (harness, sessions) = service(&[]).await;
    let handle = sign_in(&sessions, "user-1").await;
    harness.wire.take_calls();
    let ours = |rule: Rule| matches!(rule, Rule::Token | Rule::Session);
    for (name, _) in CLAIMS.into_iter().filter(|(_, rule)| ours(*rule)) {
        for value in [json!(1), Value::Null] {
            let patch = Map::from_iter([("fine".to_owned(), json!(1)), (name.to_owned(), value)]);
            let error = sessions.merge_into_access_token_payload(&handle, patch, START).await;
            let Err(SessionError::InvalidInput(problem)) = error else {
                panic!("{name}: {error:?}")
            };
            assert!(problem.contains(&format!("the claim {name} ")), "{problem}");
        }
    }
    assert_eq!(harness.wire.take_calls(), []);
}

/// Up to eight writers at once, each with its own keys and some that all write: whatever a writer set
/// last under a key of its own is there in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sequence_of_merges_by_concurrent_writers_loses_a_key() {
    for seed in 0..40 {
        let (harness, sessions) = service(&[]).await;
        let handle = sign_in(&sessions, "user-1").await;
        delay_at_random(&harness, seed);
        let mut writers = JoinSet::new();
        let count = 2 + seed % 7;
        for writer in 0..count {
            let sessions = Arc::clone(&sessions);
            let mut rng = StdRng::seed_from_u64(seed * 100 + writer);
            writers.spawn(async move {
                let mut own = BTreeMap::new();
                for _ in 0..6 {
                    let mut patch = Map::new();
                    for _ in 0..rng.random_range(1..4) {
                        let key = format!("w{writer}k{}", rng.random_range(0..3));
                        let is_removed = rng.random_bool(0.3);
                        let value =
                            if is_removed { Value::Null } else { rng.random::<u16>().into() };
                        own.insert(key.clone(), value.clone());
                        patch.insert(key, value);
                    }
                    patch.insert("shared".to_owned(), json!(writer));
                    let merged = sessions.merge_into_access_token_payload(&handle, patch, START);
                    assert!(merged.await.unwrap());
                }
                own
            });
        }
        let written = writers.join_all().await;
        harness.wire.govern(|_| Treatment::default());
        let payload = payload(&harness, &handle).await;
        for (key, value) in written.iter().flatten() {
            let expected = (!value.is_null()).then_some(value);
            assert_eq!(payload.get(key), expected, "seed {seed}, {key}");
        }
        let kept = written.iter().flatten().filter(|(_, value)| !value.is_null()).count();
        assert_eq!(payload.len(), kept + 2, "seed {seed}: those, `iss` and `shared`");
    }
}

fn delay_at_random(harness: &Harness, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    harness.wire.govern(move |_| {
        let mut delay = || Duration::from_micros(rng.random_range(0..400));
        Treatment { there: delay(), fault: None, back: delay() }
    });
}

/// Refreshes, merges and one revocation of one session at once: both of the former are kept until the
/// latter, and nothing brings the session back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merging_while_refreshing_keeps_both_and_never_brings_back_a_revoked_session() {
    for seed in 0..60 {
        let (harness, sessions) = service(&[]).await;
        let tokens = create(&sessions, NewSession::for_user("user-1"), START).await;
        let handle = tokens.handle;
        delay_at_random(&harness, seed);
        let mut tasks = JoinSet::new();
        for key in 0..3 {
            let sessions = Arc::clone(&sessions);
            tasks.spawn(async move {
                merge(&sessions, &handle, json!({ format!("k{key}"): key })).await
            });
        }
        let refreshing = Arc::clone(&sessions);
        tasks.spawn(async move { refresh(&refreshing, &tokens).await.is_ok() });
        if seed % 2 == 0 {
            let sessions = Arc::clone(&sessions);
            tasks.spawn(async move { sessions.revoke(&handle).await.unwrap() });
        }
        let outcomes = tasks.join_all().await;
        harness.wire.govern(|_| Treatment::default());
        let found = harness.store.session(&handle).await.unwrap();
        if seed % 2 == 0 {
            assert_eq!(found, None, "seed {seed}");
        } else {
            let found = found.unwrap();
            assert_eq!(outcomes, [true; 4]);
            assert_eq!(found.refresh.current.number(), 2);
            assert_eq!(found.access_token_payload.len(), 4);
            assert_eq!(found.payload_size.version, 3);
        }
    }
}

/// A session as the first versions wrote it: nobody had measured its claims.
fn unmeasured() -> Session {
    Session { payload_size: PayloadSize::default(), ..events::session() }
}

#[tokio::test]
async fn a_session_of_the_first_versions_is_measured_by_its_first_merge() {
    let (harness, sessions) = service(&[]).await;
    let session = unmeasured();
    harness.store.create_session(&session).await.unwrap();
    harness.wire.take_calls();
    assert!(merge(&sessions, &session.handle, json!({ "a": 1 })).await);
    assert_eq!(harness.wire.take_calls().len(), 2, "a refused write, and one that has measured");
    let found = harness.store.session(&session.handle).await.unwrap().unwrap();
    let exact = longest_front_json(&found, false) as u64;
    assert_eq!(found.payload_size, PayloadSize { bound: Some(exact), version: 1 });
    harness.wire.take_calls();
    assert!(merge(&sessions, &session.handle, json!({ "a": 2 })).await);
    assert_eq!(harness.wire.take_calls().len(), 1);
}

#[tokio::test]
async fn the_bound_counts_new_claims_exactly() {
    let (harness, sessions) = service(&[]).await;
    let handle = sign_in(&sessions, "user-1").await;
    for patch in [json!({ "a": "é\"\n" }), json!({ "ключ": [1, { "b": null }], "c": 1.5 })] {
        merge(&sessions, &handle, patch).await;
        let found = harness.store.session(&handle).await.unwrap().unwrap();
        assert_eq!(found.payload_size.bound, Some(longest_front_json(&found, false) as u64));
    }
}

#[tokio::test]
async fn a_bound_that_drifted_is_measured_anew_and_refuses_nothing_that_fits() {
    let (harness, sessions) = service(&[]).await;
    let handle = sign_in(&sessions, "user-1").await;
    // The bound grows with every merge, although the claim only changes.
    for round in 0..20 {
        let value = char::from(b'a' + round).to_string().repeat(500);
        assert!(merge(&sessions, &handle, json!({ "k": value })).await);
        let found = harness.store.session(&handle).await.unwrap().unwrap();
        let bound = found.payload_size.bound.unwrap();
        assert!(bound >= longest_front_json(&found, false) as u64);
        assert!(bound <= harness.config.transfer.front_json_limit() as u64);
    }
    let writes = harness.wire.take_calls();
    let refused = writes.iter().filter(|call| call.status == 400).count();
    assert!((1..=10).contains(&refused), "{refused} of 20 merges had to measure");
}

/// What is one byte too much is refused with size and limit, whoever merges it, and whether in one
/// piece or in two at once.
#[tokio::test]
async fn two_merges_that_fit_alone_but_not_together_are_not_both_applied() {
    let (harness, sessions) = service(&[]).await;
    let handle = sign_in(&sessions, "user-1").await;
    let size = harness.store.session(&handle).await.unwrap().unwrap().payload_size;
    let room =
        harness.config.transfer.front_json_limit() - usize::try_from(size.bound.unwrap()).unwrap();
    let half = room / 2 + 10;
    let (first, second) = tokio::join!(
        sessions.merge_into_access_token_payload(
            &handle,
            map(json!({ "a": "x".repeat(half) })),
            START
        ),
        sessions.merge_into_access_token_payload(
            &handle,
            map(json!({ "b": "x".repeat(half) })),
            START
        ),
    );
    let (applied, refused) = if first.is_ok() { (first, second) } else { (second, first) };
    assert!(applied.unwrap());
    let Err(SessionError::InvalidInput(problem)) = refused else { panic!("{refused:?}") };
    assert!(problem.contains(&harness.config.transfer.front_json_limit().to_string()), "{problem}");
}

/// The measured way decides on what it saw: if somebody merged meanwhile, it measures again.
#[tokio::test]
async fn a_measured_merge_is_refused_if_another_came_in_between() {
    let (harness, sessions) = service(&[]).await;
    let handle = sign_in(&sessions, "user-1").await;
    merge(&sessions, &handle, json!({ "a": 1 })).await;
    let patch = map(json!({ "b": 1 }));
    for (seen_version, applied) in [(0, false), (2, false), (1, true)] {
        let room = PayloadRoom::Measured { bytes: 500, seen_version };
        let merge = PayloadMerge { handle: &handle, patch: &patch, room, now: START };
        let written = harness.store.merge_access_token_payload(merge).await.unwrap();
        assert_eq!(matches!(written, Written::Applied(_)), applied, "{seen_version}");
    }
}

/// After a change of the settings there may be less room than a session already takes.
#[tokio::test]
async fn claims_that_are_too_large_by_now_may_shrink_but_not_grow() {
    let (harness, sessions) = service(&[("TOKEN_TRANSFER_METHOD", "cookie")]).await;
    let handle = sign_in(&sessions, "user-1").await;
    merge(&sessions, &handle, json!({ "large": "x".repeat(1_900), "more": "x".repeat(100) })).await;
    let redeployed = harness.redeployed(&[("TOKEN_TRANSFER_METHOD", "header")]).await;
    let sessions = session::Sessions::new(redeployed.config.clone(), redeployed.store.clone());
    let merge =
        async |patch| sessions.merge_into_access_token_payload(&handle, map(patch), START).await;
    let grown = merge(json!({ "a": 1 })).await;
    assert!(matches!(grown, Err(SessionError::InvalidInput(_))), "{grown:?}");
    assert!(merge(json!({ "more": null })).await.unwrap());
    assert!(merge(json!({ "large": null })).await.unwrap());
    assert!(merge(json!({ "a": 1 })).await.unwrap());
}

/// An answer that is lost makes the SDK send the write again, by the bound as well as after measuring.
#[tokio::test]
async fn a_merge_whose_answer_is_lost_is_harmless_to_repeat() {
    for fault in [Fault::AppliedButReset, Fault::AppliedButServerError] {
        let (harness, sessions) = service(&[]).await;
        let old = unmeasured();
        harness.store.create_session(&old).await.unwrap();
        for handle in [old.handle, sign_in(&sessions, "user-1").await] {
            // The first write to the older session is refused; its second one is applied and lost.
            let is_old = handle == old.handle;
            harness
                .wire
                .script(std::iter::repeat_n(None, usize::from(is_old)).chain([Some(fault)]));
            assert!(merge(&sessions, &handle, json!({ "a": 1 })).await);
            harness.wire.script([Some(fault)]);
            assert!(merge(&sessions, &handle, json!({ "b": 2 })).await);
            let found = harness.store.session(&handle).await.unwrap().unwrap();
            assert_eq!(
                (&found.access_token_payload["a"], &found.access_token_payload["b"]),
                (&json!(1), &json!(2))
            );
            assert!(found.payload_size.bound.unwrap() >= longest_front_json(&found, false) as u64);
        }
    }
}
