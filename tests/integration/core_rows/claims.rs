//! Regenerate, and what an application keeps with a session.

use serde_json::{Value, json};
use testkit::keys;

use super::{
    Core, Issued, NEWEST, NO_SESSION, USUAL, claims, is_gone, key_id, names, new_session,
    regenerating,
};
use crate::mint::Jwt;

const PATH: &str = "/recipe/session/regenerate";
const HOUR: u64 = 3600;

async fn regenerate(core: &Core, token: &str, claims: Value) -> Value {
    core.post(PATH, regenerating(token, claims)).await
}

async fn stored(core: &Core, issued: &Issued) -> Value {
    core.stored(issued.handle()).await.unwrap().access_token_payload.into()
}

async fn with_claims(core: &Core, claims: Value) -> Issued {
    core.create_with(json!({ "userDataInJWT": claims })).await
}

#[tokio::test]
async fn ch1_claims_are_replaced_in_one_write_and_the_successor_ends_with_its_predecessor() {
    let core = Core::new(&[]).await;
    let issued = with_claims(&core, json!({ "k": 1, "gone": true })).await;
    core.verify(issued.access(), false).await;
    core.advance(60);
    core.operations();
    let answer = regenerate(&core, issued.access(), json!({ "k": 2 })).await;
    assert_eq!(core.operations(), ["UpdateItem"]);
    assert_eq!(names(&answer), ["accessToken", "session", "status"]);
    assert_eq!(answer["session"]["userDataInJWT"], json!({ "k": 2 }));
    assert_eq!(stored(&core, &issued).await, json!({ "k": 2 }));
    let (old, new) =
        (claims(issued.access()), claims(answer["accessToken"]["token"].as_str().unwrap()));
    assert_eq!((&new["k"], &new["gone"]), (&json!(2), &Value::Null));
    for name in ["exp", "refreshTokenHash1", "parentRefreshTokenHash1", "antiCsrfToken", "sub"] {
        assert_eq!(old[name], new[name], "{name}");
    }
    assert_eq!(answer["accessToken"]["expiry"], issued.0["accessToken"]["expiry"]);
}

#[tokio::test]
async fn ch2_without_claims_the_successor_has_those_that_are_stored() {
    let core = Core::new(&[]).await;
    let issued = with_claims(&core, json!({ "k": 1 })).await;
    let body = json!({ "sessionHandle": issued.handle(), "userDataInJWT": { "k": 2 } });
    core.put("/recipe/jwt/data", body).await;
    core.operations();
    let answer = regenerate(&core, issued.access(), Value::Null).await;
    assert!(!core.operations().contains(&"UpdateItem".to_owned()));
    assert_eq!(answer["session"]["userDataInJWT"], json!({ "k": 2 }));
}

#[tokio::test]
async fn ch3_no_claims_at_all_can_be_asked_for() {
    let core = Core::new(&[]).await;
    let issued = with_claims(&core, json!({ "iss": "https://a.example", "k": { "v": 1 } })).await;
    let answer = regenerate(&core, issued.access(), json!({})).await;
    assert_eq!(answer["session"]["userDataInJWT"], json!({}));
    assert_eq!(stored(&core, &issued).await, json!({}));
}

#[tokio::test]
async fn ch4_an_expired_token_has_no_successor_but_the_claims_are_written() {
    let core = Core::new(&[]).await;
    let issued = with_claims(&core, json!({ "k": 1 })).await;
    core.advance(HOUR);
    let answer = regenerate(&core, issued.access(), json!({ "k": 2 })).await;
    assert_eq!(names(&answer), ["session", "status"]);
    assert_eq!(stored(&core, &issued).await, json!({ "k": 2 }));
}

#[tokio::test]
async fn ch5_a_session_that_is_over_has_no_claims() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    core.remove(&[issued.handle()]).await;
    for claims in [json!({ "k": 1 }), json!({}), Value::Null] {
        is_gone(&regenerate(&core, issued.access(), claims).await, NO_SESSION);
    }
    assert!(core.stored(issued.handle()).await.is_none());
}

#[tokio::test]
async fn ch6_claims_of_tokens_are_refused() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    let body = regenerating(issued.access(), json!({ "sub": "other" }));
    let answer = core.at(USUAL).post(PATH, body).await;
    answer.is_text(400, "The user payload contains protected field");
}

#[tokio::test]
async fn ch7_a_token_that_is_not_authentic_changes_nothing_and_clears_nothing() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    let forged = Jwt::valid()
        .claim("sessionHandle", issued.handle())
        .sign_by(&keys::foreign(keys::DYNAMIC_ID));
    for (token, text) in [
        ("x", "the access token is not a session's"),
        ("", "the access token is not a session's"),
        (&forged, "the access token is not authentic: wrong signature"),
    ] {
        let answer = core.at(USUAL).post(PATH, regenerating(token, json!({ "k": 1 }))).await;
        answer.is_text(400, text);
    }
    assert_eq!(stored(&core, &issued).await, json!({}));
}

#[tokio::test]
async fn ch7_a_key_that_was_revoked_rewrites_nothing_through_a_token_that_has_expired() {
    let core = Core::new(&[]).await;
    // Its key was still believed when it ended.
    let short = json!({ "userDataInJWT": { "k": 1 }, "accessTokenValidity": 60_000 });
    let issued = core.at(NEWEST).post("/recipe/session", new_session(short)).await;
    let issued = Issued(issued.json());
    let rotate = &core.stack.stack.functions().rotate_keys;
    rotate.invoke(json!({ "revoke": keys::DYNAMIC_ID })).await.unwrap();
    core.advance(HOUR);
    let answer = core.at(USUAL).post(PATH, regenerating(issued.access(), json!({ "k": 2 }))).await;
    answer.is_text(400, "the access token is not authentic: unknown signing key");
    assert_eq!(stored(&core, &issued).await, json!({ "k": 1 }));
}

#[tokio::test]
async fn ch9_a_key_that_was_replaced_meanwhile_hinders_nothing() {
    let core = Core::new(&[]).await;
    let issued = with_claims(&core, json!({ "k": 1 })).await;
    let rotate = &core.stack.stack.functions().rotate_keys;
    rotate.invoke(json!({ "revoke": keys::DYNAMIC_ID })).await.unwrap();
    core.advance(5 * 60 + 1);
    let answer = regenerate(&core, issued.access(), json!({ "k": 2 })).await;
    let token = answer["accessToken"]["token"].as_str().unwrap();
    assert_ne!(key_id(token), keys::DYNAMIC_ID);
    assert_eq!(answer["accessToken"]["expiry"], issued.0["accessToken"]["expiry"]);
}

#[tokio::test]
async fn ch10_data_is_replaced_as_a_whole_in_one_write() {
    let core = Core::new(&[]).await;
    let issued = core.create_with(json!({ "userDataInDatabase": { "old": 1 } })).await;
    let before = core.stored(issued.handle()).await.unwrap();
    core.operations();
    let body = json!({ "sessionHandle": issued.handle(), "userDataInDatabase": { "a": null } });
    assert_eq!(core.put("/recipe/session/data", body).await, json!({ "status": "OK" }));
    assert_eq!(core.operations(), ["UpdateItem"]);
    let read = core.get(&format!("/recipe/session/data?sessionHandle={}", issued.handle())).await;
    assert_eq!(read, json!({ "status": "OK", "userDataInDatabase": { "a": null } }));
    let after = core.stored(issued.handle()).await.unwrap();
    assert_eq!(after.refresh, before.refresh);
    assert_eq!(after.access_token_payload, before.access_token_payload);
}

#[tokio::test]
async fn ch11_claims_by_handle_are_replaced_as_a_whole_and_show_at_the_next_refresh() {
    let core = Core::new(&[]).await;
    let issued = with_claims(&core, json!({ "iss": "https://a.example", "old": 1 })).await;
    core.operations();
    let put = async |claims: Value| {
        let body = json!({ "sessionHandle": issued.handle(), "userDataInJWT": claims });
        core.put("/recipe/jwt/data", body).await
    };
    assert_eq!(put(json!({ "a": 1 })).await, json!({ "status": "OK" }));
    assert_eq!(core.operations(), ["GetItem", "UpdateItem"]);
    assert_eq!(put(json!({ "a": 1 })).await, json!({ "status": "OK" }));
    assert_eq!(core.operations(), ["GetItem"], "nothing is different");
    let read = core.get(&format!("/recipe/jwt/data?sessionHandle={}", issued.handle())).await;
    assert_eq!(read, json!({ "status": "OK", "userDataInJWT": { "a": 1 } }));
    assert_eq!(core.verify(issued.access(), false).await["session"], issued.0["session"]);
    let refreshed = Issued(core.refresh(issued.refresh()).await);
    assert_eq!(claims(refreshed.access())["a"], 1);
}

#[tokio::test]
async fn ch12_nothing_is_written_where_there_is_no_session() {
    let core = Core::new(&[]).await;
    let expired = core.create().await;
    core.advance(8_640_000);
    for handle in [expired.handle(), "x", ""] {
        for (path, name) in
            [("/recipe/session/data", "userDataInDatabase"), ("/recipe/jwt/data", "userDataInJWT")]
        {
            let body = json!({ "sessionHandle": handle, name: { "a": 1 } });
            is_gone(&core.put(path, body).await, NO_SESSION);
            let read = core.get(&format!("{path}?sessionHandle={handle}")).await;
            is_gone(&read, NO_SESSION);
        }
    }
    assert_eq!(stored(&core, &expired).await, json!({}));
}

#[tokio::test]
async fn ch13_claims_of_tokens_are_refused_by_handle_too() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    let body = json!({ "sessionHandle": issued.handle(), "userDataInJWT": { "exp": 1 } });
    let answer = core.at(USUAL).put("/recipe/jwt/data", body).await;
    answer.is_text(400, "The user payload contains protected field");
}

#[tokio::test]
async fn ch14_the_successor_is_as_the_table_says() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    let answer = regenerate(&core, issued.access(), json!({ "k": [1.5, null] })).await;
    let verified = core.verify(answer["accessToken"]["token"].as_str().unwrap(), true).await;
    assert_eq!(names(&verified), ["session", "status"]);
}

#[tokio::test]
async fn ch15_the_successor_is_signed_by_the_kind_of_key_that_signed_the_token() {
    let core = Core::new(&[]).await;
    for (use_dynamic, expected) in [(true, keys::DYNAMIC_ID), (false, keys::STATIC_ID)] {
        let issued = core.create_with(json!({ "useDynamicSigningKey": use_dynamic })).await;
        let answer = regenerate(&core, issued.access(), json!({ "k": 1 })).await;
        assert_eq!(key_id(answer["accessToken"]["token"].as_str().unwrap()), expected);
    }
}

#[tokio::test]
async fn claims_that_others_set_meanwhile_stay() {
    let core = Core::new(&[]).await;
    let issued = with_claims(&core, json!({ "k": 1, "other": 1 })).await;
    let body = json!({ "sessionHandle": issued.handle(), "userDataInJWT": { "k": 1, "other": 2 } });
    core.put("/recipe/jwt/data", body).await;
    // The caller has seen the token, in which `other` is still 1.
    let answer = regenerate(&core, issued.access(), json!({ "k": 2, "other": 1 })).await;
    assert_eq!(answer["session"]["userDataInJWT"], json!({ "k": 2, "other": 2 }));
}

#[tokio::test]
async fn a_claim_that_is_null_in_a_change_is_removed() {
    let core = Core::new(&[]).await;
    let issued = with_claims(&core, json!({ "k": 1 })).await;
    let answer = regenerate(&core, issued.access(), json!({ "k": null })).await;
    assert_eq!(answer["session"]["userDataInJWT"], json!({}));
}

#[tokio::test]
async fn claims_that_would_not_fit_are_refused_and_none_is_written() {
    let core = Core::new(&[]).await;
    let issued = with_claims(&core, json!({ "k": 1 })).await;
    let large = json!({ "k": 2, "a": "x".repeat(5000) });
    let answer = core.at(USUAL).post(PATH, regenerating(issued.access(), large.clone())).await;
    assert_eq!(answer.status, 400);
    let body = json!({ "sessionHandle": issued.handle(), "userDataInJWT": large });
    assert_eq!(core.at(USUAL).put("/recipe/jwt/data", body).await.status, 400);
    assert_eq!(stored(&core, &issued).await, json!({ "k": 1 }));
}
