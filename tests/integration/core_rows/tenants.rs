//! Tenants and applications.

use serde_json::{Value, json};
use session::token::MasterKey;
use testkit::keys;

use super::{Core, GO, Issued, NEWEST, USUAL, claims, is_gone, new_session, refreshing, verifying};
use crate::mint::Jwt;

/// A session of `user-1` in that tenant.
async fn in_tenant(core: &Core, tenant: &str) -> Issued {
    Issued(core.post(&format!("/{tenant}/recipe/session"), new_session(json!({}))).await)
}

/// A session of one user in each of three tenants.
async fn in_three_tenants(core: &Core) -> [String; 3] {
    let mut handles = Vec::new();
    for tenant in ["public", "t1", "t2"] {
        handles.push(in_tenant(core, tenant).await.handle().to_owned());
    }
    handles.try_into().unwrap()
}

fn count(answer: &Value) -> usize {
    answer["sessionHandles"].as_array().unwrap().len()
}

#[tokio::test]
async fn cj1_cj2_a_session_is_of_the_tenant_in_the_path_and_found_from_any() {
    let core = Core::new(&[]).await;
    let issued = in_tenant(&core, "t1").await;
    assert_eq!(issued.0["session"]["tenantId"], "t1");
    assert_eq!(claims(issued.access())["tId"], "t1");
    for prefix in ["", "/t1", "/t2"] {
        let path = format!("{prefix}/recipe/session?sessionHandle={}", issued.handle());
        assert_eq!(core.get(&path).await["tenantId"], "t1");
    }
}

#[tokio::test]
async fn cj3_cj4_tokens_name_their_tenant_whatever_the_path_says() {
    let core = Core::new(&[]).await;
    let issued = in_tenant(&core, "t1").await;
    let refreshed =
        core.post("/t2/recipe/session/refresh", refreshing(issued.refresh(), json!({}))).await;
    assert_eq!(refreshed["session"]["tenantId"], "t1");
    let body = verifying(issued.access(), json!({ "checkDatabase": true }));
    let verified = core.post("/recipe/session/verify", body).await;
    assert_eq!(verified["session"]["tenantId"], "t1");
}

#[tokio::test]
async fn cj5_cj6_cj7_cj8_sessions_are_listed_of_all_tenants_or_of_one() {
    let core = Core::new(&[]).await;
    let handles = in_three_tenants(&core).await;
    assert_eq!(count(&core.get("/recipe/session/user?userId=user-1").await), 3);
    let path = "/t1/recipe/session/user?userId=user-1";
    let of_one = core.get(&format!("{path}&fetchAcrossAllTenants=false")).await;
    assert_eq!(of_one["sessionHandles"], json!([handles[1]]));
    let text = "Only public tenantId can call this app specific API";
    for path in [path.to_owned(), format!("{path}&fetchAcrossAllTenants=TRUE")] {
        core.at(USUAL).get(&path).await.is_text(403, text);
        core.at(NEWEST).get(&path).await.is_text(403, text);
    }
    assert_eq!(count(&core.at(GO).get(path).await.json()), 3);
}

#[tokio::test]
async fn cj9_sessions_of_one_tenant_can_be_removed() {
    let core = Core::new(&[]).await;
    let handles = in_three_tenants(&core).await;
    let (path, user) = ("/t1/recipe/session/remove", json!({ "userId": "user-1" }));
    let text = "Only public tenantId can call this app specific API";
    core.at(USUAL).post(path, user.clone()).await.is_text(403, text);
    let body = super::with(user, json!({ "revokeAcrossAllTenants": false }));
    let removed = core.post(path, body).await;
    assert_eq!(removed["sessionHandlesRevoked"], json!([handles[1]]));
    assert_eq!(count(&core.get("/recipe/session/user?userId=user-1").await), 2);
}

#[tokio::test]
async fn cj10_tokens_of_another_application_are_foreign() {
    let core = Core::new(&[]).await;
    let handle = core.create().await.handle().to_owned();
    let access = Jwt::valid().sign_by(&keys::foreign("d-1"));
    assert_eq!(core.verify(&access, true).await["status"], "TRY_REFRESH_TOKEN");
    // The same secret under another name.
    let other = MasterKey::new(1, "other", &[7; MasterKey::SECRET_LEN]);
    let other = session::token::MasterKeys::new(other, Vec::new());
    let handle = handle.parse().unwrap();
    let refresh = other.mint(&handle, session::model::Generation::FIRST, false);
    is_gone(&core.refresh(refresh.expose()).await, "not a refresh token of this core");
}

#[tokio::test]
async fn cj11_no_handle_names_a_tenant() {
    let core = Core::new(&[]).await;
    let read = core.get("/recipe/session?sessionHandle=x_unknown").await;
    is_gone(&read, super::NO_SESSION);
}
