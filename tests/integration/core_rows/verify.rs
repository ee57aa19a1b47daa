//! `POST /recipe/session/verify`, before and from version 5.6 on.

use serde_json::{Value, json};
use testkit::keys;

use super::{
    Core, GO, Issued, NEWEST, USUAL, claims, is_gone, key_id, names, new_session, refreshing,
    verifying,
};
use crate::mint::Jwt;

const ENDED: &str = "Either the session has ended or has been blacklisted";
const OTHER_FORM: &str =
    "Access token does not contain all the information. Maybe the structure has changed?";
const HOUR: u64 = 3600;

fn must_refresh(answer: &Value, message: &str) {
    assert_eq!(*answer, json!({ "status": "TRY_REFRESH_TOKEN", "message": message }));
}

async fn verify_at(core: &Core, version: &'static str, token: &str, members: Value) -> Value {
    core.at(version).post("/recipe/session/verify", verifying(token, members)).await.json()
}

/// A session that was refreshed once, and what that answered.
async fn refreshed(core: &Core) -> (Issued, Issued) {
    let first = core.create().await;
    let second = Issued(core.refresh(first.refresh()).await);
    (first, second)
}

#[tokio::test]
async fn cd1_verifying_is_no_request() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    core.verify(issued.access(), false).await;
    core.operations();
    let verified = core.verify(issued.access(), false).await;
    assert_eq!(verified, json!({ "status": "OK", "session": issued.0["session"] }));
    assert!(core.operations().is_empty());
}

#[tokio::test]
async fn cd2_an_expired_token_leads_to_a_refresh() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    core.advance(HOUR);
    must_refresh(&core.verify(issued.access(), false).await, "Access token expired");
    must_refresh(&core.verify(issued.access(), true).await, "Access token expired");
}

#[tokio::test]
async fn cd3_cd4_cd5_what_does_not_hold_leads_to_a_refresh_and_costs_one_read_at_most() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    core.verify(issued.access(), false).await;
    core.advance(60);
    core.operations();
    for text in ["token", "", "a.b.c", "....", issued.refresh()] {
        must_refresh(&core.verify(text, true).await, OTHER_FORM);
    }
    let (message, signature) = issued.access().rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    must_refresh(&core.verify(&format!("{message}.{turned}"), true).await, "wrong signature");
    let foreign = Jwt::valid().sign_by(&keys::foreign(keys::DYNAMIC_ID));
    must_refresh(&core.verify(&foreign, true).await, "wrong signature");
    let unknown = Jwt::valid().header("kid", "d-0").sign_by(&keys::foreign("d-0"));
    must_refresh(&core.verify(&unknown, true).await, "Key not found");
    assert_eq!(core.operations(), ["GetItem"], "the keys, for one that is not known");
}

#[tokio::test]
async fn cd6_cd9_tokens_of_a_refresh_need_no_second_call() {
    let core = Core::new(&[]).await;
    let (first, second) = refreshed(&core).await;
    core.advance(HOUR / 2);
    let third = Issued(core.refresh(second.refresh()).await);
    core.operations();
    for issued in [&first, &second, &third] {
        assert_eq!(claims(issued.access())["parentRefreshTokenHash1"], Value::Null);
        let verified = core.verify(issued.access(), false).await;
        assert_eq!(verified, json!({ "status": "OK", "session": first.0["session"] }));
    }
    assert_eq!(core.operations(), ["GetItem"], "the keys, which are old by now");
}

#[tokio::test]
async fn cd10_cd11_changed_claims_come_with_a_check_of_the_table() {
    let core = Core::new(&[]).await;
    let issued = core.create_with(json!({ "userDataInJWT": { "a": 1 } })).await;
    core.put(
        "/recipe/jwt/data",
        json!({ "sessionHandle": issued.handle(), "userDataInJWT": { "b": 2 } }),
    )
    .await;
    core.advance(60);
    let verified = core.verify(issued.access(), false).await;
    assert_eq!(verified, json!({ "status": "OK", "session": issued.0["session"] }));
    let verified = core.verify(issued.access(), true).await;
    assert_eq!(verified["session"]["userDataInJWT"], json!({ "b": 2 }));
    let token = verified["accessToken"]["token"].as_str().unwrap();
    let (old, new) = (claims(issued.access()), claims(token));
    assert_eq!((&new["b"], &new["a"]), (&json!(2), &Value::Null));
    for name in ["exp", "refreshTokenHash1", "sessionHandle"] {
        assert_eq!(old[name], new[name], "{name}");
    }
    assert_eq!(verified["accessToken"]["expiry"], issued.0["accessToken"]["expiry"]);
    // The new one is as the table says.
    let verified = core.verify(token, true).await;
    assert_eq!(names(&verified), ["session", "status"]);
}

#[tokio::test]
async fn cd12_a_removed_session_is_noticed_where_the_table_is_asked() {
    let core = Core::new(&[]).await;
    let (_, second) = refreshed(&core).await;
    core.remove(&[second.handle()]).await;
    assert_eq!(core.verify(second.access(), false).await["status"], "OK");
    is_gone(&core.verify(second.access(), true).await, ENDED);
}

#[tokio::test]
async fn cd13_cd14_cd15_cd16_the_proof_is_asked_for_where_both_say_so() {
    let core = Core::new(&[]).await;
    let with = core.create_with(json!({ "enableAntiCsrf": true })).await;
    let without = core.create().await;
    let proof = with.0["antiCsrfToken"].as_str().unwrap();
    let asked = |token: &str, proof: Option<&str>| {
        let members =
            json!({ "doAntiCsrfCheck": true, "enableAntiCsrf": true, "antiCsrfToken": proof });
        verifying(token, members)
    };
    let path = "/recipe/session/verify";
    assert_eq!(core.post(path, asked(with.access(), Some(proof))).await["status"], "OK");
    for wrong in [None, Some(""), Some("x"), Some(&proof[..35])] {
        let answer = core.post(path, asked(with.access(), wrong)).await;
        must_refresh(&answer, "anti-csrf check failed");
    }
    must_refresh(&core.post(path, asked(without.access(), Some(proof))).await, OTHER_FORM);
    for name in ["doAntiCsrfCheck", "enableAntiCsrf"] {
        let mut body = asked(with.access(), None);
        body[name] = false.into();
        assert_eq!(core.post(path, body).await["status"], "OK", "{name}");
    }
}

#[tokio::test]
async fn cd17_members_that_are_missing_or_of_another_kind_are_named() {
    let core = Core::new(&[]).await;
    for name in ["accessToken", "doAntiCsrfCheck", "enableAntiCsrf", "checkDatabase"] {
        let body = verifying("x", json!({ name: null }));
        let answer = core.at(USUAL).post("/recipe/session/verify", body).await;
        answer.is_text(400, &format!("Field name '{name}' is invalid in JSON input"));
    }
}

#[tokio::test]
async fn cd18_cd19_tokens_hold_in_every_version_and_answers_are_that_versions() {
    let core = Core::new(&[]).await;
    let of_go = core.at(GO).post("/recipe/session", new_session(json!({}))).await.json();
    let of_node = core.create().await;
    let verified = core.verify(of_go["accessToken"]["token"].as_str().unwrap(), false).await;
    assert_eq!(verified["session"]["recipeUserId"], "user-1");
    let verified = verify_at(&core, GO, of_node.access(), json!({})).await;
    assert_eq!(names(&verified["session"]), ["handle", "tenantId", "userDataInJWT", "userId"]);
}

#[tokio::test]
async fn cd20_no_jwt_with_the_claims_of_a_session_is_signed() {
    let core = Core::new(&[]).await;
    let payload = claims(core.create().await.access());
    let body =
        json!({ "algorithm": "RS256", "jwksDomain": "x", "payload": payload, "validity": 100 });
    let answer = core.at(USUAL).post("/recipe/jwt", body).await;
    answer.is_text(400, "the claim sessionHandle would make the JWT a session token");
}

#[tokio::test]
async fn cd21_no_access_token_outlives_its_session() {
    let settings = [("SESSION_ABSOLUTE_TTL_SECONDS", "600"), ("ACCESS_TOKEN_TTL_SECONDS", "400")];
    let core = Core::new(&settings).await;
    let first = core.create().await;
    core.advance(300);
    let issued = Issued(core.refresh(first.refresh()).await);
    core.advance(299);
    assert_eq!(core.verify(issued.access(), true).await["status"], "OK");
    core.advance(1);
    must_refresh(&core.verify(issued.access(), true).await, "Access token expired");
}

#[tokio::test]
async fn cg1_cg2_the_newest_version_says_whether_there_are_other_claims() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    let checked = json!({ "checkDatabase": true });
    core.verify(issued.access(), true).await;
    core.operations();
    let mut expected = json!({
        "status": "OK",
        "session": issued.0["session"],
        "payloadUpdateAvailable": false,
    });
    assert_eq!(verify_at(&core, NEWEST, issued.access(), checked.clone()).await, expected);
    assert_eq!(core.operations(), ["GetItem"]);
    core.put(
        "/recipe/jwt/data",
        json!({ "sessionHandle": issued.handle(), "userDataInJWT": { "a": 1 } }),
    )
    .await;
    expected["payloadUpdateAvailable"] = true.into();
    assert_eq!(verify_at(&core, NEWEST, issued.access(), checked).await, expected);
}

#[tokio::test]
async fn cg3_without_a_check_the_newest_version_says_nothing_of_the_table() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    verify_at(&core, NEWEST, issued.access(), json!({})).await;
    core.operations();
    let verified = verify_at(&core, NEWEST, issued.access(), json!({})).await;
    assert_eq!(names(&verified), ["session", "status"]);
    assert!(core.operations().is_empty());
}

#[tokio::test]
async fn cg4_cg5_cg6_the_generation_before_the_current_one_holds_and_older_ones_lead_to_a_refresh()
{
    let core = Core::new(&[]).await;
    let (first, second) = refreshed(&core).await;
    let checked = json!({ "checkDatabase": true });
    let verified = verify_at(&core, NEWEST, first.access(), checked.clone()).await;
    assert_eq!(verified["status"], "OK");
    core.advance(HOUR / 2);
    core.refresh(second.refresh()).await;
    let verified = verify_at(&core, NEWEST, first.access(), checked).await;
    must_refresh(&verified, "rotated-out token branch; refresh required");
    let verified = verify_at(&core, NEWEST, first.access(), json!({})).await;
    assert_eq!(verified["status"], "OK");
    assert_eq!(core.verify(first.access(), true).await["status"], "OK", "in older versions");
}

#[tokio::test]
async fn cg8_cg9_the_newest_version_verifies_at_the_public_tenant_only() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    let path = "/t1/recipe/session/verify";
    let body = verifying(issued.access(), json!({}));
    let answer = core.at(NEWEST).post(path, body.clone()).await;
    answer.is_text(403, "Only public tenantId can call this app specific API");
    assert_eq!(core.at("5.5").post(path, body).await.json()["status"], "OK");
}

#[tokio::test]
async fn a_static_key_signs_on_where_one_has_signed() {
    let core = Core::new(&[]).await;
    let issued = core.create_with(json!({ "useDynamicSigningKey": false })).await;
    core.put(
        "/recipe/jwt/data",
        json!({ "sessionHandle": issued.handle(), "userDataInJWT": { "b": 2 } }),
    )
    .await;
    let verified = core.verify(issued.access(), true).await;
    assert_eq!(key_id(verified["accessToken"]["token"].as_str().unwrap()), keys::STATIC_ID);
    let body = refreshing(issued.refresh(), json!({ "useDynamicSigningKey": false }));
    let refreshed = Issued(core.post("/recipe/session/refresh", body).await);
    assert_eq!(key_id(refreshed.access()), keys::STATIC_ID);
}
