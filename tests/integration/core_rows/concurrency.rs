//! Calls at the same time.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::keys;

use super::{Core, Issued, NEWEST, NO_SESSION, regenerating};
use crate::mint::Jwt;

/// Runs as many at once, each with its number.
async fn all<F: Future<Output = Value> + Send + 'static>(
    count: usize,
    call: impl Fn(usize) -> F,
) -> Vec<Value> {
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(call(number))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ck1_ck2_ck4_ck5_refreshes_at_once_get_one_token_which_goes_on() {
    for version in [super::USUAL, NEWEST] {
        let core = Arc::new(Core::new(&[]).await);
        let first = core.create().await;
        let token: Arc<str> = first.refresh().into();
        let answers = all(16, |_| {
            let (core, token) = (Arc::clone(&core), Arc::clone(&token));
            async move {
                let body = super::refreshing(&token, json!({}));
                core.at(version).post("/recipe/session/refresh", body).await.json()
            }
        })
        .await;
        let one = answers[0]["refreshToken"]["token"].as_str().unwrap();
        assert!(answers.iter().all(|answer| answer["refreshToken"]["token"] == one));
        core.advance(61);
        assert_eq!(core.refresh(one).await["status"], "OK");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ck3_after_refreshes_at_once_every_access_token_holds() {
    let core = Arc::new(Core::new(&[]).await);
    let first = core.create().await;
    let token: Arc<str> = first.refresh().into();
    let verified = all(4, |_| {
        let (core, token) = (Arc::clone(&core), Arc::clone(&token));
        async move {
            let issued = Issued(core.refresh(&token).await);
            core.verify(issued.access(), true).await
        }
    })
    .await;
    assert!(verified.iter().all(|answer| answer["status"] == "OK"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ck6_ck9_what_was_removed_stays_so() {
    for _ in 0..8 {
        let core = Arc::new(Core::new(&[]).await);
        let issued = Arc::new(core.create().await);
        all(3, |number| {
            let (core, issued) = (Arc::clone(&core), Arc::clone(&issued));
            async move {
                match number {
                    0 => core.refresh(issued.refresh()).await,
                    1 => core.remove(&[issued.handle()]).await,
                    _ => {
                        let body = regenerating(issued.access(), json!({ "k": 1 }));
                        core.post("/recipe/session/regenerate", body).await
                    }
                }
            }
        })
        .await;
        assert!(core.stored(issued.handle()).await.is_none());
        let answer = core.refresh(issued.refresh()).await;
        super::is_gone(&answer, super::NOT_REFRESHABLE);
        let path = format!("/recipe/session?sessionHandle={}", issued.handle());
        super::is_gone(&core.get(&path).await, NO_SESSION);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ck7_ck8_no_change_of_claims_or_data_gets_lost() {
    let core = Arc::new(Core::new(&[]).await);
    let issued = Arc::new(core.create().await);
    let answers = all(9, |number| {
        let (core, issued) = (Arc::clone(&core), Arc::clone(&issued));
        async move {
            let handle = issued.handle();
            match number {
                0 => core.refresh(issued.refresh()).await,
                1..5 => {
                    // Each caller has seen the same token and adds a claim of its own.
                    let body =
                        regenerating(issued.access(), json!({ format!("k{number}"): number }));
                    core.post("/recipe/session/regenerate", body).await
                }
                _ => {
                    let data = json!({ "n": number });
                    let body = json!({ "sessionHandle": handle, "userDataInDatabase": data });
                    core.put("/recipe/session/data", body).await
                }
            }
        }
    })
    .await;
    assert!(answers.iter().all(|answer| answer["status"] == "OK"), "{answers:?}");
    let stored = core.stored(issued.handle()).await.unwrap();
    let expected = json!({ "k1": 1, "k2": 2, "k3": 3, "k4": 4 });
    assert_eq!(Value::from(stored.access_token_payload), expected);
    assert!((5..9).contains(&stored.session_data["n"].as_u64().unwrap()));
    assert_eq!(stored.refresh.current.number(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ck10_a_thousand_unknown_keys_cost_one_read() {
    let core = Arc::new(Core::new(&[]).await);
    core.verify(core.create().await.access(), false).await;
    core.advance(60);
    core.operations();
    let foreign = Jwt::valid().header("kid", "d-0").sign_by(&keys::foreign("d-0"));
    let foreign: Arc<str> = foreign.into();
    let answers = all(1000, |_| {
        let (core, foreign) = (Arc::clone(&core), Arc::clone(&foreign));
        async move { core.verify(&foreign, false).await }
    })
    .await;
    assert!(answers.iter().all(|answer| answer["status"] == "TRY_REFRESH_TOKEN"));
    assert_eq!(core.operations(), ["GetItem"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ck11_lists_and_sign_ins_at_once_are_no_error() {
    let core = Arc::new(Core::new(&[]).await);
    core.create().await;
    let answers = all(16, |number| {
        let core = Arc::clone(&core);
        async move {
            if number % 2 == 0 {
                core.create().await.0
            } else {
                core.get("/recipe/session/user?userId=user-1").await
            }
        }
    })
    .await;
    assert!(answers.iter().all(|answer| answer["status"] == "OK"));
    let listed = core.get("/recipe/session/user?userId=user-1").await;
    assert_eq!(listed["sessionHandles"].as_array().unwrap().len(), 9);
}
