//! Read, list, remove.

use serde_json::{Value, json};

use super::{Core, GO, NO_SESSION, NOT_REFRESHABLE, USUAL, is_gone, names};

/// The default life of a session.
const HUNDRED_DAYS: u64 = 8_640_000;

fn sorted(handles: &Value) -> Vec<String> {
    let handles = handles.as_array().unwrap().iter();
    let mut handles: Vec<_> = handles.map(|it| it.as_str().unwrap().to_owned()).collect();
    handles.sort();
    handles
}

#[tokio::test]
async fn cc1_a_session_is_read_in_one_request() {
    let core = Core::new(&[]).await;
    let issued = core.create_with(json!({ "userDataInDatabase": { "a": 1 } })).await;
    core.operations();
    let path = format!("/recipe/session?sessionHandle={}", issued.handle());
    let read = core.get(&path).await;
    assert_eq!(core.operations(), ["GetItem"]);
    let stored = core.stored(issued.handle()).await.unwrap();
    let expected = json!({
        "status": "OK",
        "sessionHandle": issued.handle(),
        "userId": "user-1",
        "recipeUserId": "user-1",
        "userDataInDatabase": { "a": 1 },
        "userDataInJWT": {},
        "expiry": stored.refresh.expires_at.as_millis(),
        "timeCreated": stored.created_at.as_millis(),
        "tenantId": "public",
    });
    assert_eq!(read, expected);
    let read = core.at(GO).get(&path).await.json();
    assert!(!names(&read).contains(&"recipeUserId"));
    assert_eq!(names(&read).len(), 8);
}

#[tokio::test]
async fn cc2_an_unknown_handle_is_no_session() {
    let core = Core::new(&[]).await;
    let other = Core::new(&[]).await;
    let foreign = other.create().await.handle().to_owned();
    let of_reference = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for handle in ["", "x", "x_unknown", of_reference, "%00", &foreign] {
        let read = core.get(&format!("/recipe/session?sessionHandle={handle}")).await;
        is_gone(&read, NO_SESSION);
    }
}

#[tokio::test]
async fn cc3_a_session_is_gone_in_the_instant_it_ends() {
    let core = Core::new(&[]).await;
    let handle = core.create().await.handle().to_owned();
    core.advance(HUNDRED_DAYS);
    is_gone(&core.get(&format!("/recipe/session?sessionHandle={handle}")).await, NO_SESSION);
    assert!(core.stored(&handle).await.is_some());
}

#[tokio::test]
async fn cc4_a_missing_parameter_is_named() {
    let core = Core::new(&[]).await;
    for path in ["/recipe/session", "/recipe/session/data", "/recipe/jwt/data"] {
        let answer = core.at(USUAL).get(path).await;
        answer.is_text(400, "Field name 'sessionHandle' is missing in GET request");
    }
    let answer = core.at(USUAL).get("/recipe/session/user").await;
    answer.is_text(400, "Field name 'userId' is missing in GET request");
}

#[tokio::test]
async fn cc5_cc6_the_sessions_of_a_user_that_are_alive_are_listed() {
    let core = Core::new(&[]).await;
    core.create().await;
    core.advance(HUNDRED_DAYS);
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.push(core.create().await.handle().to_owned());
    }
    core.create_with(json!({ "userId": "user-2" })).await;
    handles.sort();
    core.operations();
    let listed = core.get("/recipe/session/user?userId=user-1").await;
    assert_eq!(core.operations(), ["Query"]);
    assert_eq!(sorted(&listed["sessionHandles"]), handles);
    let listed = core.get("/recipe/session/user?userId=nobody").await;
    assert_eq!(listed, json!({ "status": "OK", "sessionHandles": [] }));
}

#[tokio::test]
async fn cc7_cc8_removing_tells_what_there_was() {
    let core = Core::new(&[]).await;
    let handle = core.create().await.handle().to_owned();
    core.operations();
    let removed = json!({ "status": "OK", "sessionHandlesRevoked": [handle] });
    assert_eq!(core.remove(&[&handle]).await, removed);
    assert_eq!(core.operations(), ["DeleteItem"]);
    assert!(core.stored(&handle).await.is_none());
    let nothing = json!({ "status": "OK", "sessionHandlesRevoked": [] });
    assert_eq!(core.remove(&[&handle]).await, nothing);
}

#[tokio::test]
async fn cc9_of_several_handles_those_that_there_were_are_told() {
    let core = Core::new(&[]).await;
    let (live, gone) = (core.create().await, core.create().await);
    core.remove(&[gone.handle()]).await;
    let answer = core.remove(&[live.handle(), gone.handle(), "x", "", live.handle()]).await;
    assert_eq!(answer["sessionHandlesRevoked"], json!([live.handle()]));
}

#[tokio::test]
async fn cc10_cc11_cc12_cc13_handles_or_a_user_are_named_and_what_belongs_to_them() {
    let core = Core::new(&[]).await;
    let one_of = "Invalid JSON input - use one of userId or sessionHandles array";
    let remove = async |body| core.at(USUAL).post("/recipe/session/remove", body).await;
    remove(json!({})).await.is_text(400, one_of);
    remove(json!({ "userId": "a", "sessionHandles": [] })).await.is_text(400, one_of);
    for name in ["revokeAcrossAllTenants", "revokeSessionsForLinkedAccounts"] {
        let answer = remove(json!({ "sessionHandles": [], name: true })).await;
        let text = format!("Invalid JSON input - {name} can only be set if userId is set");
        answer.is_text(400, &text);
        let answer = remove(json!({ "userId": "a", name: "true" })).await;
        answer.is_text(400, &format!("Field name '{name}' is invalid in JSON input"));
    }
    let nothing = json!({ "status": "OK", "sessionHandlesRevoked": [] });
    assert_eq!(core.remove(&[]).await, nothing);
    for handles in [json!([1]), json!("x"), json!(null), json!([null])] {
        let mut body = json!({});
        body["sessionHandles"] = handles;
        let text = "Field name 'sessionHandles' is invalid in JSON input";
        remove(body).await.is_text(400, text);
    }
    assert!(core.operations().is_empty());
}

#[tokio::test]
async fn cc14_all_sessions_of_a_user_end_and_nobody_elses() {
    let core = Core::new(&[]).await;
    let mut handles =
        vec![core.create().await.handle().to_owned(), core.create().await.handle().to_owned()];
    let other = core.create_with(json!({ "userId": "user-2" })).await;
    handles.sort();
    let answer = core.post("/recipe/session/remove", json!({ "userId": "user-1" })).await;
    assert_eq!(sorted(&answer["sessionHandlesRevoked"]), handles);
    assert!(core.stored(&handles[0]).await.is_none());
    assert!(core.stored(other.handle()).await.is_some());
}

#[tokio::test]
async fn cc15_cc16_an_expired_session_that_is_still_there_counts() {
    let core = Core::new(&[]).await;
    let (first, second) = (core.create().await, core.create().await);
    core.advance(HUNDRED_DAYS);
    let answer = core.remove(&[first.handle()]).await;
    assert_eq!(answer["sessionHandlesRevoked"], json!([first.handle()]));
    let answer = core.post("/recipe/session/remove", json!({ "userId": "user-1" })).await;
    assert_eq!(answer["sessionHandlesRevoked"], json!([second.handle()]));
    assert!(core.stored(second.handle()).await.is_none());
}

#[tokio::test]
async fn cc17_cc18_cc19_what_a_removed_sessions_tokens_are_worth() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    core.remove(&[issued.handle()]).await;
    assert_eq!(core.verify(issued.access(), false).await["status"], "OK");
    let gone = "Either the session has ended or has been blacklisted";
    is_gone(&core.verify(issued.access(), true).await, gone);
    is_gone(&core.refresh(issued.refresh()).await, NOT_REFRESHABLE);
    assert!(core.stored(issued.handle()).await.is_none());
}
