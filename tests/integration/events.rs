//! The event files, through the functions they are for. `events/README.md` is their index.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use local::function::Invoked;
use serde_json::{Value, json};
use session::token::UnverifiedRefreshToken;
use testkit::{Harness, events, keys};

fn folder() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../events")).to_path_buf()
}

pub(crate) fn load(path: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What the function that the path names makes of the file's event.
async fn invoked(path: &str) -> Invoked {
    invoked_after(Duration::ZERO, path).await
}

async fn invoked_after(time: Duration, path: &str) -> Invoked {
    let harness = Harness::new(&[]).await;
    harness.clock.advance(time);
    events::seed_session(&harness.store).await;
    let functions = harness.stack.functions();
    let function = match path.split('/').next() {
        Some("authorizer") => &functions.authorizer,
        Some("refresh") => &functions.refresh,
        Some("signout") => &functions.signout,
        Some("sessions") => &functions.sessions,
        Some("jwks") => &functions.jwks,
        Some("core") => &functions.core,
        Some("rotate-keys") => &functions.rotate_keys,
        Some("create-session") => &functions.create_session,
        Some("revoke") => &functions.revoke,
        other => panic!("no function for {other:?}"),
    };
    function.invoke(load(path)).await
}

async fn invoke(path: &str) -> Value {
    invoked(path).await.unwrap()
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[test]
fn the_files_are_what_the_generator_writes_and_no_others_lie_around() {
    for (path, event) in events::all() {
        assert_eq!(load(path), event, "{path}: run `cargo run -p testkit --bin write-events`");
    }
    let known: BTreeSet<_> = events::all().into_iter().map(|(path, _)| path.to_owned()).collect();
    let mut found = BTreeSet::new();
    for function in std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        if function.is_dir() {
            for case in std::fs::read_dir(&function).unwrap().map(|entry| entry.unwrap().path()) {
                found.insert(case.strip_prefix(folder()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(found, known);
}

#[tokio::test]
async fn the_tables_are_what_the_generator_writes() {
    assert_eq!(load("tables.json"), events::tables().await);
}

#[test]
fn every_file_has_an_expected_answer() {
    let expected = load("answers.json");
    let expected: BTreeSet<_> = expected.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(expected, events::all().into_iter().map(|(path, _)| path).collect());
}

#[test]
fn the_index_names_every_file() {
    let index = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for (path, _) in events::all() {
        assert!(index.contains(path), "{path} is not in events/README.md");
    }
}

/// The keys of the event files are old: successors are due.
const A_YEAR: Duration = Duration::from_hours(365 * 24);

#[tokio::test]
async fn every_event_is_answered_as_stated() {
    let mut problems = Vec::new();
    for case in events::cases() {
        let answer = match invoked_after(A_YEAR, &case.path).await {
            Ok(answer) => answer,
            Err(error) => json!(error),
        };
        problems.extend(case.problem(&answer));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn authorizer_ok_allows_with_a_flat_context() {
    for path in ["authorizer/ok.json", "authorizer/ok-header.json"] {
        let answer = invoke(path).await;
        assert_eq!(answer["isAuthorized"], true, "{path}");
        assert_flat(&answer["context"]);
    }
}

/// REST APIs refuse nested values.
fn assert_flat(context: &Value) {
    let context = context.as_object().unwrap();
    assert_eq!(context["userId"], "user-1");
    assert_eq!(context["sessionHandle"], events::session().handle.to_string());
    assert!(context.values().all(|value| !value.is_object() && !value.is_array()), "{context:?}");
}

#[tokio::test]
async fn authorizer_ok_allows_by_policy_where_there_is_no_other_way() {
    for (path, api) in [
        ("authorizer/http-1-ok.json", "$default"),
        ("authorizer/rest-token-ok.json", "v1"),
        ("authorizer/rest-request-ok.json", "v1"),
        ("authorizer/websocket-ok.json", "v1"),
    ] {
        let answer = invoke(path).await;
        assert_eq!(answer["principalId"], "user-1", "{path}");
        let resource = format!("arn:aws:execute-api:eu-west-1:123456789012:abcdef123/{api}/*");
        let statement =
            json!({ "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
        assert_eq!(answer["policyDocument"], policy, "{path}");
        assert_flat(&answer["context"]);
    }
}

#[tokio::test]
async fn authorizer_ok_answers_app_sync_with_texts_that_are_not_kept() {
    let answer = invoke("authorizer/appsync-ok.json").await;
    assert_eq!((&answer["isAuthorized"], &answer["ttlOverride"]), (&json!(true), &json!(0)));
    assert_flat(&answer["resolverContext"]);
    assert_eq!(answer["resolverContext"]["expiry"], "4102444800");
}

#[tokio::test]
async fn authorizer_rejections_are_the_object_that_becomes_401() {
    for path in [
        "authorizer/rejected-expired-token.json",
        "authorizer/rejected-missing-token.json",
        "authorizer/http-1-rejected-missing-token.json",
    ] {
        assert_eq!(invoke(path).await, json!({ "errorMessage": "Unauthorized" }), "{path}");
    }
}

#[tokio::test]
async fn authorizer_rejections_are_raised_where_an_object_would_be_a_fault() {
    for path in [
        "authorizer/rest-token-rejected-expired-token.json",
        "authorizer/rest-request-rejected-missing-token.json",
    ] {
        assert_eq!(invoked(path).await.unwrap_err().error_message, "Unauthorized", "{path}");
    }
}

#[tokio::test]
async fn authorizer_denials_are_no_invitation_to_refresh() {
    let answer = invoke("authorizer/websocket-denied-foreign-origin.json").await;
    assert_eq!(answer["policyDocument"]["Statement"][0]["Effect"], "Deny");
    let answer = invoke("authorizer/appsync-rejected-expired-token.json").await;
    assert_eq!(answer["isAuthorized"], false);
}

#[tokio::test]
async fn refresh_ok_sets_the_second_generation_as_cookies() {
    let answer = invoke("refresh/ok.json").await;
    assert_eq!((answer["statusCode"].as_u64(), body(&answer)), (Some(200), json!({})));
    let cookies = answer["cookies"].as_array().unwrap();
    let refresh = cookies
        .iter()
        .find_map(|cookie| cookie.as_str()?.strip_prefix("sRefreshToken=")?.split(';').next());
    let token = UnverifiedRefreshToken::parse(refresh.unwrap()).unwrap();
    assert_eq!(token.verify(&keys::master()).unwrap().generation.number(), 2);
}

#[tokio::test]
async fn refresh_ok_header_answers_by_header() {
    let answer = invoke("refresh/ok-header.json").await;
    assert_eq!(answer["statusCode"], 200);
    assert!(answer["headers"]["st-refresh-token"].as_str().is_some_and(|token| token.len() == 88));
    assert_eq!(answer["cookies"], json!([]));
}

#[tokio::test]
async fn refresh_rejections_are_401_and_touch_no_cookie() {
    for path in ["refresh/rejected-forged-token.json", "refresh/rejected-missing-token.json"] {
        let answer = invoke(path).await;
        assert_eq!(answer["statusCode"], 401, "{path}");
        assert_eq!(body(&answer), json!({ "message": "unauthorised" }));
        assert_eq!(answer["headers"]["front-token"], "remove");
        assert_eq!(answer["cookies"], json!([]));
    }
}

#[tokio::test]
async fn signout_ok_says_so_and_clears_the_cookies() {
    let answer = invoke("signout/ok.json").await;
    assert_eq!(
        (answer["statusCode"].as_u64(), body(&answer)),
        (Some(200), json!({"status": "OK"}))
    );
    assert_eq!(answer["cookies"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn signout_without_a_token_is_401_and_clears_nothing() {
    let answer = invoke("signout/rejected-missing-token.json").await;
    assert_eq!(answer["statusCode"], 401);
    assert_eq!(answer["cookies"], json!([]));
}

#[tokio::test]
async fn jwks_ok_publishes_both_keys() {
    let answer = invoke("jwks/ok.json").await;
    assert_eq!(body(&answer), serde_json::to_value(keys::published()).unwrap());
}

#[tokio::test]
async fn discovery_points_to_the_key_set() {
    let document = body(&invoke("jwks/ok-discovery.json").await);
    assert_eq!(document["issuer"], "https://api.example.com/auth");
    assert_eq!(document["jwks_uri"], "https://api.example.com/auth/jwt/jwks.json");
}

/// The states of the keys of one kind, oldest first.
fn states(report: &Value, kind: &str) -> Vec<String> {
    let keys = report["keys"].as_array().unwrap().iter().filter(|key| key["kind"] == kind);
    keys.map(|key| key["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn rotate_keys_ok_finds_nothing_due_and_shows_the_schedule() {
    for path in ["rotate-keys/ok.json", "rotate-keys/ok-schedule.json"] {
        let report = invoke(path).await;
        assert_eq!(report["changed"], false, "{path}");
        for kind in ["dynamic", "static", "master"] {
            assert_eq!(states(&report, kind), ["active"], "{path}");
        }
        assert_eq!(report["keys"][0]["id"], keys::DYNAMIC_ID);
        assert_eq!(report["keys"][0]["algorithm"], "RS256");
        assert_eq!(report["keys"][0]["signsFrom"], 1_700_000_000_000_u64);
    }
}

#[tokio::test]
async fn rotate_keys_publishes_a_successor_of_the_kind_that_is_named() {
    let report = invoke("rotate-keys/ok-rotate-static.json").await;
    assert_eq!(report["changed"], true);
    assert_eq!(states(&report, "static"), ["active", "next"]);
    assert_eq!(states(&report, "dynamic"), ["active"]);
}

#[tokio::test]
async fn rotate_keys_revokes_what_is_named() {
    for (path, kind) in
        [("rotate-keys/ok-revoke.json", "dynamic"), ("rotate-keys/ok-revoke-master.json", "master")]
    {
        let report = invoke(path).await;
        assert_eq!(states(&report, kind), ["active", "next"], "{path}");
        let keys = report["keys"].as_array().unwrap();
        let revoked: Vec<_> = keys.iter().filter(|key| !key["revokedAt"].is_null()).collect();
        assert_eq!(revoked.len(), 1, "{path}");
        assert!(revoked[0]["acceptedUntil"].is_u64(), "{path}");
    }
}

#[tokio::test]
async fn rotate_keys_does_nothing_that_it_does_not_understand() {
    for (path, error_type) in [
        ("rotate-keys/rejected-unknown-event.json", "UnrecognisedEvent"),
        ("rotate-keys/rejected-unknown-key.json", "CommandRefused"),
    ] {
        assert_eq!(invoked(path).await.unwrap_err().error_type, error_type, "{path}");
    }
}

#[tokio::test]
async fn revoke_ends_what_it_is_told_to() {
    for (path, ended) in [
        ("revoke/ok-user.json", 1),
        ("revoke/ok-tenant.json", 1),
        ("revoke/ok-everybody.json", 1),
        ("revoke/ok-provider.json", 0),
    ] {
        assert_eq!(invoke(path).await, json!({ "ended": ended }), "{path}");
    }
    let refused = invoked("revoke/rejected-unknown-event.json").await.unwrap_err();
    assert_eq!(refused.error_type, "UnrecognisedEvent");
}

#[tokio::test]
async fn create_session_ok_answers_as_the_front_door_takes_it() {
    for path in ["create-session/ok.json", "create-session/ok-complete.json"] {
        let response = &invoke(path).await["response"];
        assert_eq!(response["cookies"].as_array().map(Vec::len), Some(2), "{path}");
        assert!(response["headers"]["front-token"].is_string(), "{path}");
    }
    for path in [
        "create-session/http-1-ok.json",
        "create-session/rest-ok.json",
        "create-session/load-balancer-multi-ok.json",
    ] {
        let lists = &invoke(path).await["response"]["multiValueHeaders"];
        for (name, count) in [("set-cookie", 2), ("front-token", 1), ("content-type", 1)] {
            assert_eq!(lists[name].as_array().map(Vec::len), Some(count), "{path}: {name}");
        }
    }
    let once = &invoke("create-session/load-balancer-ok.json").await["response"]["headers"];
    for name in ["set-cookie", "Set-cookie", "front-token"] {
        assert!(once[name].is_string(), "{name}");
    }
    let merged = &invoke("create-session/ok-headers.json").await["response"];
    assert!(merged["headers"]["st-access-token"].is_string());
    assert_eq!(merged["cookies"], json!([]));
}

#[tokio::test]
async fn create_session_rejections_have_a_code_and_an_answer_for_the_client() {
    for (path, code, status) in [
        ("create-session/rejected-cross-site.json", "CROSS_SITE_REQUEST", 403),
        ("create-session/rejected-reserved-claim.json", "RESERVED_CLAIM", 500),
    ] {
        let answer = invoke(path).await;
        assert_eq!(answer["error"]["code"], code);
        assert_eq!(answer["response"]["statusCode"], status);
        assert!(answer.get("tokens").is_none(), "{path}");
    }
}
