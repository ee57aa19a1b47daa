//! `POST /recipe/session/refresh`: one rule under every version.

use serde_json::{Value, json};
use testkit::keys;

use super::{
    Core, GO, Issued, NEWEST, NOT_REFRESHABLE, USUAL, claims, is_gone, key_id, lifetime, names,
    refreshing,
};

/// Longer than W, the time within which repeated refreshes get the same token.
const LATER: u64 = 61;
const PATH: &str = "/recipe/session/refresh";

async fn refresh_at(core: &Core, version: &'static str, token: &str) -> Value {
    core.at(version).post(PATH, refreshing(token, json!({}))).await.json()
}

/// A session whose first token was spent long ago, and its current tokens.
async fn used(core: &Core) -> (Issued, Issued) {
    let first = core.create().await;
    let second = Issued(core.refresh(first.refresh()).await);
    core.advance(LATER);
    let third = Issued(core.refresh(second.refresh()).await);
    core.advance(LATER);
    (first, third)
}

/// The theft is reported, and the session over in the write that noticed.
async fn is_theft(core: &Core, session: &Issued, answer: &Value, subtype: Option<&str>) {
    let mut expected = json!({
        "status": "TOKEN_THEFT_DETECTED",
        "session": { "handle": session.handle(), "userId": "user-1", "recipeUserId": "user-1" },
    });
    if let Some(subtype) = subtype {
        expected["recentTokenReuseSubtype"] = subtype.into();
    }
    assert_eq!(*answer, expected);
    assert!(core.stored(session.handle()).await.unwrap().revocation.is_some());
    let path = format!("/recipe/session?sessionHandle={}", session.handle());
    is_gone(&core.get(&path).await, super::NO_SESSION);
}

#[tokio::test]
async fn ce1_cf1_a_refresh_is_one_write_in_every_version_and_needs_no_promotion() {
    for version in [GO, "4.0", USUAL, NEWEST] {
        let core = Core::new(&[]).await;
        let first = core.create().await;
        core.operations();
        core.advance(LATER);
        let second = Issued(refresh_at(&core, version, first.refresh()).await);
        assert_eq!(core.operations(), ["UpdateItem"]);
        assert_eq!(names(&second.0), ["accessToken", "refreshToken", "session", "status"]);
        assert_ne!(first.refresh(), second.refresh());
        assert_eq!(claims(second.access())["parentRefreshTokenHash1"], Value::Null);
        let stored = core.stored(first.handle()).await.unwrap();
        assert_eq!(stored.refresh.current.number(), 2);
        assert_eq!(second.0["refreshToken"]["expiry"], stored.refresh.expires_at.as_millis());
        let has_recipe_user = version != GO;
        assert_eq!(names(&second.0["session"]).contains(&"recipeUserId"), has_recipe_user);
    }
}

#[tokio::test]
async fn ce2_cf2_cf3_cf12_cf13_a_repeated_refresh_gets_the_same_token_in_every_version() {
    let core = Core::new(&[]).await;
    let first = core.create().await;
    let second = Issued(core.refresh(first.refresh()).await);
    for version in [USUAL, NEWEST, GO] {
        core.advance(10);
        let again = Issued(refresh_at(&core, version, first.refresh()).await);
        assert_eq!(again.refresh(), second.refresh());
    }
}

#[tokio::test]
async fn ce3_ce24_the_next_refresh_buys_the_next_token_and_moves_the_end() {
    let core = Core::new(&[]).await;
    let first = core.create().await;
    let second = Issued(core.refresh(first.refresh()).await);
    core.advance(LATER);
    let third = Issued(core.refresh(second.refresh()).await);
    let end = |issued: &Issued| issued.0["refreshToken"]["expiry"].as_u64().unwrap();
    assert_eq!(end(&third) - end(&second), LATER * 1000);
    let stored = core.stored(first.handle()).await.unwrap();
    assert_eq!(
        (stored.refresh.current.number(), end(&third)),
        (3, stored.refresh.expires_at.as_millis())
    );
}

#[tokio::test]
async fn ce4_cf7_a_token_that_was_spent_long_ago_is_theft_and_ends_the_session() {
    for (version, subtype) in [(USUAL, None), (GO, None), (NEWEST, Some("STALE_LINEAGE"))] {
        let core = Core::new(&[]).await;
        let (first, current) = used(&core).await;
        let answer = refresh_at(&core, version, first.refresh()).await;
        is_theft(&core, &first, &answer, subtype).await;
        is_gone(&core.refresh(current.refresh()).await, NOT_REFRESHABLE);
        // What SDKs do then changes nothing any more.
        let answer = core.remove(&[first.handle()]).await;
        assert_eq!(answer["status"], "OK");
    }
}

#[tokio::test]
async fn ce6_cf5_the_answer_that_was_lost_is_no_theft_however_late_it_is_noticed() {
    let core = Core::new(&[]).await;
    let first = core.create().await;
    let lost = Issued(core.refresh(first.refresh()).await);
    core.verify(lost.access(), true).await;
    for seconds in [31, LATER, 86_400] {
        core.advance(seconds);
        assert_eq!(core.refresh(first.refresh()).await["status"], "OK", "{seconds} s later");
    }
}

#[tokio::test]
async fn cf4_no_retry_burns_the_token_that_was_answered_before() {
    let core = Core::new(&[]).await;
    let first = core.create().await;
    let second = Issued(refresh_at(&core, NEWEST, first.refresh()).await);
    core.advance(10);
    refresh_at(&core, NEWEST, first.refresh()).await;
    core.advance(LATER);
    assert_eq!(refresh_at(&core, NEWEST, second.refresh()).await["status"], "OK");
}

#[tokio::test]
async fn a_burnt_token_is_an_orphan() {
    let core = Core::new(&[]).await;
    let first = core.create().await;
    let lost = Issued(core.refresh(first.refresh()).await);
    core.advance(LATER);
    core.refresh(first.refresh()).await;
    core.advance(LATER);
    let answer = refresh_at(&core, NEWEST, lost.refresh()).await;
    is_theft(&core, &first, &answer, Some("ORPHANED_BRANCH")).await;
}

#[tokio::test]
async fn cf6_with_single_use_any_repetition_is_theft() {
    let core = Core::new(&[("REFRESH_FLIGHT_SECONDS", "0")]).await;
    let first = core.create().await;
    core.advance(1);
    core.refresh(first.refresh()).await;
    core.advance(1);
    let answer = refresh_at(&core, NEWEST, first.refresh()).await;
    is_theft(&core, &first, &answer, Some("RECENT_PREV")).await;
}

#[tokio::test]
async fn ce7_ce8_ce23_what_is_no_refresh_token_of_ours_is_refused_without_a_request() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    core.refresh(core.create().await.refresh()).await;
    core.operations();
    let token = issued.refresh();
    let of_reference = format!("{}.{}.V2", "A".repeat(300), "0".repeat(64));
    for text in ["", "x", &token[..87], &format!("{token}A"), &token.to_lowercase(), &of_reference]
    {
        is_gone(&core.refresh(text).await, "not a refresh token of this core");
    }
    let mut altered = token.to_owned();
    altered.replace_range(60..61, if &token[60..61] == "A" { "B" } else { "A" });
    is_gone(&core.refresh(&altered).await, "not a refresh token of this core");
    assert!(core.operations().is_empty());
}

#[tokio::test]
async fn ce9_cf17_a_session_that_is_over_is_not_refreshed() {
    let core = Core::new(&[("REFRESH_TOKEN_TTL_SECONDS", "7200")]).await;
    let issued = core.create().await;
    core.advance(7200);
    is_gone(&core.refresh(issued.refresh()).await, NOT_REFRESHABLE);
    is_gone(&refresh_at(&core, NEWEST, issued.refresh()).await, NOT_REFRESHABLE);
}

#[tokio::test]
async fn ce10_ce11_every_refresh_moves_the_end() {
    let core = Core::new(&[("REFRESH_TOKEN_TTL_SECONDS", "7200")]).await;
    let mut current = core.create().await;
    for _ in 0..4 {
        core.advance(5000);
        current = Issued(core.refresh(current.refresh()).await);
    }
}

#[tokio::test]
async fn ce12_ce13_ce14_ce15_the_proof_is_asked_for_where_the_token_has_one_and_the_caller_wants_it()
 {
    let core = Core::new(&[]).await;
    let refresh = async |token: &str, members: Value| {
        core.advance(LATER);
        core.post(PATH, refreshing(token, members)).await
    };
    let on = |proof: Value| json!({ "enableAntiCsrf": true, "antiCsrfToken": proof });
    let with = core.create_with(json!({ "enableAntiCsrf": true })).await;
    for wrong in [Value::Null, json!(""), json!("x")] {
        let answer = refresh(with.refresh(), on(wrong)).await;
        is_gone(&answer, "Anti CSRF token missing, or not matching");
    }
    let proof = with.0["antiCsrfToken"].clone();
    let next = Issued(refresh(with.refresh(), on(proof.clone())).await);
    let next_proof = next.0["antiCsrfToken"].clone();
    assert!(next_proof.is_string() && next_proof != proof);
    assert_eq!(claims(next.access())["antiCsrfToken"], next_proof);
    let off = json!({ "enableAntiCsrf": false, "antiCsrfToken": "wrong" });
    let plain = Issued(refresh(next.refresh(), off).await);
    assert_eq!(plain.0["antiCsrfToken"], Value::Null);
    let upgraded = Issued(refresh(plain.refresh(), on(Value::Null)).await);
    assert!(upgraded.0["antiCsrfToken"].is_string());
}

#[tokio::test]
async fn ce16_ce18_the_kind_of_key_is_the_callers_choice_or_else_the_configured_one() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    let fixed = refreshing(issued.refresh(), json!({ "useDynamicSigningKey": false }));
    let refreshed = Issued(core.post(PATH, fixed).await);
    assert_eq!(key_id(refreshed.access()), keys::STATIC_ID);
    core.advance(LATER);
    let unsaid = refreshing(refreshed.refresh(), json!({ "useDynamicSigningKey": null }));
    let refreshed = Issued(core.at("4.0").post(PATH, unsaid).await.json());
    assert_eq!(key_id(refreshed.access()), keys::DYNAMIC_ID);
}

#[tokio::test]
async fn ce19_ce22_members_that_are_missing_or_of_another_kind_are_named() {
    let core = Core::new(&[]).await;
    for (name, value) in [
        ("refreshToken", None),
        ("enableAntiCsrf", None),
        ("useDynamicSigningKey", None),
        ("useDynamicSigningKey", Some(json!("true"))),
        ("antiCsrfToken", Some(Value::Null)),
    ] {
        let mut body = refreshing("x", json!({}));
        match value {
            None => drop(body.as_object_mut().unwrap().remove(name)),
            Some(value) => body[name] = value,
        }
        let answer = core.at(USUAL).post(PATH, body).await;
        answer.is_text(400, &format!("Field name '{name}' is invalid in JSON input"));
    }
}

#[tokio::test]
async fn ce21_the_next_token_has_the_claims_that_are_stored() {
    let core = Core::new(&[]).await;
    let issued = core.create_with(json!({ "userDataInJWT": { "a": 1 } })).await;
    let body = json!({ "sessionHandle": issued.handle(), "userDataInJWT": { "b": 2 } });
    core.put("/recipe/jwt/data", body).await;
    let refreshed = Issued(core.refresh(issued.refresh()).await);
    assert_eq!(refreshed.0["session"]["userDataInJWT"], json!({ "b": 2 }));
    assert_eq!(claims(refreshed.access())["b"], 2);
}

#[tokio::test]
async fn cf14_cf15_a_shorter_life_is_exact_and_one_out_of_range_spends_nothing() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    core.operations();
    let refresh = async |millis: i64| {
        let body = refreshing(issued.refresh(), json!({ "accessTokenValidity": millis }));
        core.at(NEWEST).post(PATH, body).await
    };
    assert_eq!(refresh(3_600_001).await.status, 400);
    assert!(core.operations().is_empty());
    let refreshed = Issued(refresh(1000).await.json());
    assert_eq!(lifetime(refreshed.access()), 1);
}
