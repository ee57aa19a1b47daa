//! `POST /recipe/session`.

use serde_json::{Value, json};
use session::store::SessionReader as _;
use testkit::keys;

use super::{Core, GO, NEWEST, USUAL, claims, header, key_id, lifetime, names, new_session};

#[tokio::test]
async fn cb1_a_session_is_one_put_and_the_answer_complete() {
    let core = Core::new(&[]).await;
    core.create().await;
    core.operations();
    let issued =
        core.create_with(json!({ "userDataInJWT": { "iss": "https://a.example/auth" } })).await;
    assert_eq!(core.operations(), ["PutItem"]);
    assert_eq!(names(&issued.0), ["accessToken", "refreshToken", "session", "status"]);
    let session = json!({
        "handle": issued.handle(),
        "userId": "user-1",
        "recipeUserId": "user-1",
        "userDataInJWT": { "iss": "https://a.example/auth" },
        "tenantId": "public",
    });
    assert_eq!(issued.0["session"], session);
    for token in ["accessToken", "refreshToken"] {
        assert_eq!(names(&issued.0[token]), ["createdTime", "expiry", "token"]);
    }
    let expected = json!({ "alg": "RS256", "typ": "JWT", "kid": keys::DYNAMIC_ID, "version": "5" });
    assert_eq!(Value::from(header(issued.access())), expected);
    let said = claims(issued.access());
    assert_eq!(said["parentRefreshTokenHash1"], Value::Null);
    assert_eq!(said["antiCsrfToken"], Value::Null);
    assert_eq!(said["iss"], "https://a.example/auth", "an issuer is the caller's affair");
    let stored = core.stored(issued.handle()).await.unwrap();
    assert_eq!(issued.0["refreshToken"]["expiry"], stored.refresh.expires_at.as_millis());
    assert_eq!(issued.0["accessToken"]["expiry"], said["exp"].as_u64().unwrap() * 1000);
    assert_eq!(issued.0["accessToken"]["createdTime"], said["iat"].as_u64().unwrap() * 1000);
}

#[tokio::test]
async fn cb2_an_anti_csrf_token_is_issued_where_it_is_asked_for() {
    let core = Core::new(&[]).await;
    let issued = core.create_with(json!({ "enableAntiCsrf": true })).await;
    let proof = issued.0["antiCsrfToken"].as_str().unwrap();
    assert_eq!(proof.len(), 36);
    assert_eq!(claims(issued.access())["antiCsrfToken"], proof);
}

#[tokio::test]
async fn cb3_cb4_the_kind_of_key_is_the_callers_choice() {
    let core = Core::new(&[]).await;
    let issued = core.create_with(json!({ "useDynamicSigningKey": false })).await;
    assert_eq!(key_id(issued.access()), keys::STATIC_ID);
    let issued = core.create_with(json!({ "useDynamicSigningKey": true })).await;
    assert_eq!(key_id(issued.access()), keys::DYNAMIC_ID);
    assert_eq!(key_id(core.create().await.access()), keys::DYNAMIC_ID, "as configured");
    let core = Core::new(&[("USE_DYNAMIC_SIGNING_KEY", "false")]).await;
    assert_eq!(key_id(core.create().await.access()), keys::STATIC_ID, "as configured");
}

#[tokio::test]
async fn cb5_claims_of_tokens_are_refused() {
    let core = Core::new(&[]).await;
    core.create().await;
    core.operations();
    for name in [
        "sub",
        "exp",
        "iat",
        "nbf",
        "stt",
        "tId",
        "rsub",
        "sessionHandle",
        "refreshTokenHash1",
        "parentRefreshTokenHash1",
        "antiCsrfToken",
    ] {
        let body = new_session(json!({ "userDataInJWT": { name: "x" } }));
        let answer = core.at(USUAL).post("/recipe/session", body).await;
        answer.is_text(400, "The user payload contains protected field");
    }
    assert!(core.operations().is_empty());
}

#[tokio::test]
async fn cb7_claims_and_data_come_back_as_they_were() {
    let core = Core::new(&[]).await;
    let value =
        json!({ "a": null, "b": { "c": [1, 2.5, -3, "é", false, { "d": null }] }, "e": [] });
    let issued =
        core.create_with(json!({ "userDataInJWT": value, "userDataInDatabase": value })).await;
    assert_eq!(issued.0["session"]["userDataInJWT"], value);
    let read = core.get(&format!("/recipe/session?sessionHandle={}", issued.handle())).await;
    assert_eq!((&read["userDataInJWT"], &read["userDataInDatabase"]), (&value, &value));
}

#[tokio::test]
async fn cb8_cb9_cb10_members_of_another_kind_are_refused_by_name() {
    let core = Core::new(&[]).await;
    for (name, values) in [
        ("userId", vec![json!(null), json!(5), json!(["a"]), json!({})]),
        ("userDataInJWT", vec![json!(null), json!("x"), json!([])]),
        ("userDataInDatabase", vec![json!(null), json!("x"), json!([])]),
        ("enableAntiCsrf", vec![json!(null), json!("true"), json!(1)]),
    ] {
        for value in values {
            let mut body = new_session(json!({}));
            body[name] = value;
            let answer = core.at(USUAL).post("/recipe/session", body).await;
            answer.is_text(400, &format!("Field name '{name}' is invalid in JSON input"));
        }
        let missing = new_session(json!({ name: null }));
        let answer = core.at(USUAL).post("/recipe/session", missing).await;
        answer.is_text(400, &format!("Field name '{name}' is invalid in JSON input"));
    }
    let mut body = new_session(json!({}));
    body["useDynamicSigningKey"] = Value::Null;
    let answer = core.at(USUAL).post("/recipe/session", body).await;
    answer.is_text(400, "Field name 'useDynamicSigningKey' is invalid in JSON input");
}

#[tokio::test]
async fn cb12_access_tokens_live_up_to_five_percent_less() {
    let core = Core::new(&[]).await;
    let mut lives = Vec::new();
    for _ in 0..100 {
        let issued = core.create().await;
        let token = &issued.0["accessToken"];
        let (end, begin) = (&token["expiry"], &token["createdTime"]);
        lives.push(end.as_u64().unwrap() - begin.as_u64().unwrap());
    }
    assert!(lives.iter().all(|life| (3_419_000..=3_600_000).contains(life) && life % 1000 == 0));
    assert!(lives.iter().any(|life| *life != lives[0]));
}

#[tokio::test]
async fn cb13_a_shorter_life_is_exact_and_leaves_the_session_alone() {
    let core = Core::new(&[]).await;
    for millis in [1000, 1_800_000, 3_600_000] {
        let body = new_session(json!({ "accessTokenValidity": millis }));
        let answer = core.at(NEWEST).post("/recipe/session", body).await.json();
        let token = answer["accessToken"]["token"].as_str().unwrap();
        assert_eq!(lifetime(token) * 1000, millis);
        let life = answer["refreshToken"]["expiry"].as_u64().unwrap();
        let begin = answer["refreshToken"]["createdTime"].as_u64().unwrap();
        assert_eq!(life - begin, 8_640_000_000);
    }
}

#[tokio::test]
async fn cb14_a_life_out_of_range_is_refused() {
    let core = Core::new(&[]).await;
    for millis in [0, -1, 3_600_001, i64::MAX] {
        let body = new_session(json!({ "accessTokenValidity": millis }));
        let answer = core.at(NEWEST).post("/recipe/session", body).await;
        answer.is_text(
            400,
            "accessTokenValidity must be greater than 0 and at most the configured \
             access_token_validity (3600000 ms)",
        );
    }
    assert!(core.operations().is_empty());
}

#[tokio::test]
async fn cb15_older_versions_ignore_a_shorter_life() {
    let core = Core::new(&[]).await;
    let issued = core.create_with(json!({ "accessTokenValidity": 1000 })).await;
    assert!(lifetime(issued.access()) > 3000);
}

#[tokio::test]
async fn cb16_go_gets_a_session_without_recipe_user_and_a_token_of_version_5() {
    let core = Core::new(&[]).await;
    let answer = core.at(GO).post("/recipe/session", new_session(json!({}))).await.json();
    assert_eq!(names(&answer["session"]), ["handle", "tenantId", "userDataInJWT", "userId"]);
    assert_eq!(header(answer["accessToken"]["token"].as_str().unwrap())["version"], "5");
}

#[tokio::test]
async fn cb17_an_id_that_tokens_would_not_give_back_is_refused() {
    let core = Core::new(&[]).await;
    for user_id in [String::new(), " a".to_owned(), "a\n".to_owned(), "a".repeat(257)] {
        let body = new_session(json!({ "userId": user_id }));
        let answer = core.at(USUAL).post("/recipe/session", body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text.starts_with("the user id must have 1 to 256 bytes"));
    }
    assert!(core.operations().is_empty());
}

#[tokio::test]
async fn claims_and_data_that_would_not_fit_are_refused_with_a_sentence() {
    let core = Core::new(&[]).await;
    for (name, value) in [
        ("userDataInJWT", json!({ "a": "x".repeat(5000) })),
        ("userDataInDatabase", json!({ "a": "x".repeat(400 * 1024) })),
        ("userDataInDatabase", json!({ "": 1 })),
        ("userDataInJWT", json!({ "aud": 5 })),
    ] {
        let body = new_session(json!({ name: value }));
        let answer = core.at(USUAL).post("/recipe/session", body).await;
        assert_eq!(answer.status, 400, "{name}");
    }
    assert!(core.operations().is_empty());
}

#[tokio::test]
async fn a_session_of_the_core_is_one_of_the_front_end_endpoints_too() {
    let core = Core::new(&[]).await;
    let issued = core.create().await;
    let cookie = format!("sRefreshToken={}", issued.refresh());
    let response = core.stack.refresh(&[("cookie", &cookie)]).await;
    assert_eq!(response.status(), 200);
    let handle = issued.handle().parse().unwrap();
    let session = core.stack.store.session(&handle).await.unwrap().unwrap();
    assert_eq!(session.refresh.current.number(), 2);
}
