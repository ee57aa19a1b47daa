//! Keys that come and go, seen through whole processes: who signs, who believes, what it costs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use http::{Method, Request, header};
use local::dynamodb::{KEYS_TABLE, client, create_tables, store};
use serde_json::{Value, json};
use session::http::{Response, jwks};
use session::model::keys::{LEAD, MAX_AGE, REVOKED_ACCEPTANCE, URGENT_LEAD};
use session::model::{Clock as _, Device, KeyId, KeyState, NewSession, Timestamp};
use session::service::{IssuedTokens, KeyCommand, KeyKind, KeyReport};
use session::store::DynamoDb;
use session::token::{UnverifiedAccessToken, UnverifiedRefreshToken};
use session::{SessionError, Sessions};
use testkit::clock::START;
use testkit::harness::{config, cookie, text};
use testkit::{Fault, Harness, Treatment, Wire, keys};

use crate::mint::{Jwt, bearer};

type Process = Sessions<DynamoDb>;
type Item = std::collections::HashMap<String, AttributeValue>;

const MOMENT: Duration = Duration::from_millis(1);

/// A process that has loaded nothing yet.
fn process(wire: &Wire) -> Process {
    Sessions::new(config(&[("SIGNING_ALGORITHM", "ES256")]), store(client(wire.clone())))
}

/// Tables with first keys.
async fn deployed() -> Wire {
    let wire = Wire::new();
    create_tables(&client(wire.clone())).await.unwrap();
    rotate(&wire, &KeyCommand::Advance, START).await;
    wire.take_calls();
    wire
}

async fn rotate(wire: &Wire, command: &KeyCommand, now: Timestamp) -> KeyReport {
    let rng = &mut bootstrap::system_rng();
    process(wire).rotate_keys(command, now, rng).await.unwrap()
}

async fn sign_in(process: &Process, now: Timestamp) -> IssuedTokens {
    let (new, rng) = (NewSession::for_user("user-1"), &mut bootstrap::system_rng());
    process.create(new, Device::default(), false, now, rng).await.unwrap()
}

async fn refresh(process: &Process, token: &str, now: Timestamp) -> Response {
    let request = Request::post("/").header(header::COOKIE, format!("sRefreshToken={token}"));
    let request = request.body(()).unwrap();
    session::http::refresh(process, &request, &Device::default(), now).await.0
}

/// The refresh token of an answer that must be one.
fn refreshed(response: &Response) -> String {
    assert_eq!(response.status(), 200, "{response:?}");
    cookie(response.headers(), "sRefreshToken").unwrap()
}

/// The number of the master key that a refresh token names.
fn master_of(token: &str) -> u8 {
    UnverifiedRefreshToken::parse(token).unwrap().unverified_master_key_id()
}

fn kid_of(token: &str) -> String {
    UnverifiedAccessToken::parse(token).unwrap().unverified_key_id().to_string()
}

async fn verify(process: &Process, token: &str, now: Timestamp) -> Result<(), SessionError> {
    let token = UnverifiedAccessToken::parse(token).unwrap();
    process.verify(token, now).await.map(|_| ())
}

fn ids(report: &KeyReport, kind: KeyKind, state: KeyState) -> Vec<String> {
    let keys = report.keys.iter().filter(|key| key.kind == kind && key.state == state);
    keys.map(|key| key.id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rotators_at_one_instant_one_makes_the_key() {
    let wire = deployed().await;
    let mut now = START;
    for epoch in 1..=20 {
        now = now.plus(Duration::from_hours(169));
        let mut rotators = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let process = process(&wire);
            rotators.spawn(async move {
                let rng = &mut bootstrap::system_rng();
                process.rotate_keys(&KeyCommand::Advance, now, rng).await.unwrap()
            });
        }
        let reports = rotators.join_all().await;
        assert_eq!(reports.iter().filter(|report| report.changed).count(), 1, "epoch {epoch}");
        let next: BTreeSet<_> =
            reports.iter().map(|report| ids(report, KeyKind::Dynamic, KeyState::Next)).collect();
        assert_eq!(next.len(), 1, "epoch {epoch}");
        assert_eq!(next.first().map(Vec::len), Some(1), "epoch {epoch}");
    }
}

#[tokio::test]
async fn the_next_key_is_published_before_it_signs_and_the_last_one_after() {
    let wire = deployed().await;
    let (signer, verifier) = (process(&wire), process(&wire));
    // Both have loaded what there was a moment before the next key came.
    let published_at = START.plus(Duration::from_hours(165));
    let old = sign_in(&signer, published_at.minus(MOMENT)).await;
    verify(&verifier, &old.access.token, published_at.minus(MOMENT)).await.unwrap();
    let report = rotate(&wire, &KeyCommand::Advance, published_at).await;
    let next = ids(&report, KeyKind::Dynamic, KeyState::Next);

    let switch = published_at.plus(LEAD);
    let last = sign_in(&signer, switch.minus(MOMENT)).await.access;
    assert_eq!(kid_of(&last.token), kid_of(&old.access.token));
    let first = sign_in(&signer, switch).await.access;
    assert_eq!(vec![kid_of(&first.token)], next);
    // The verifier knows both until the last token of the old key has expired.
    let end = last.expires_at.min(first.expires_at).minus(MOMENT);
    for token in [&last.token, &first.token] {
        verify(&verifier, token, switch).await.unwrap();
        verify(&process(&wire), token, end).await.unwrap();
    }
    let published = async |now| {
        let document = jwks(&process(&wire), now).await.into_body();
        let document: Value = serde_json::from_str(&document).unwrap();
        document["keys"].as_array().unwrap().clone()
    };
    let keys = published(switch.plus(LEAD)).await;
    assert_eq!(keys.len(), 3, "static, retiring and active");
    assert!(keys.iter().all(|key| key.get("d").is_none()));
    let later = switch.plus(LEAD + Duration::from_hours(1));
    assert_eq!(published(later).await.len(), 2, "nobody had to remove the old one");
}

#[tokio::test]
async fn the_key_set_is_cached_for_less_when_a_key_is_about_to_go() {
    let wire = deployed().await;
    let caching = async |now| text(jwks(&process(&wire), now).await.headers(), "cache-control");
    assert_eq!(caching(START).await, "max-age=1800, must-revalidate");
    let report = rotate(&wire, &KeyCommand::Advance, START).await;
    let kid = ids(&report, KeyKind::Dynamic, KeyState::Active).remove(0);
    rotate(&wire, &KeyCommand::Revoke(KeyId::new(kid)), START).await;
    assert_eq!(caching(START.plus(MOMENT)).await, "max-age=359, must-revalidate");
    assert_eq!(caching(START.plus(REVOKED_ACCEPTANCE)).await, "max-age=1800, must-revalidate");
}

/// Whoever verifies by the published set asks for it when a token names a key that is not in it, and then it
/// has to be.
#[tokio::test]
async fn a_key_that_takes_over_in_haste_is_published_by_every_process_before_it_signs() {
    let wire = deployed().await;
    let publisher = process(&wire);
    jwks(&publisher, START).await;
    let kid = kid_of(&sign_in(&process(&wire), START).await.access.token);
    rotate(&wire, &KeyCommand::Revoke(KeyId::new(&kid)), START).await;
    let switch = START.plus(URGENT_LEAD);
    let next = kid_of(&sign_in(&process(&wire), switch).await.access.token);
    assert_ne!(next, kid);
    wire.take_calls();
    let document = jwks(&publisher, switch).await.into_body();
    assert!(document.contains(&next), "{document}");
    jwks(&publisher, switch.plus(Duration::from_secs(9))).await;
    assert_eq!(wire.take_calls().len(), 1);
    wire.break_all(Some(Fault::Unavailable));
    let answer = jwks(&publisher, switch.plus(MAX_AGE)).await;
    assert!(answer.into_body().contains(&next), "what was read goes on while the table is down");
}

#[tokio::test]
async fn a_revoked_key_costs_each_client_one_refresh_and_no_more() {
    let wire = deployed().await;
    // The process that signs and the one that verifies read as late as they may.
    let (signer, verifier) = (process(&wire), process(&wire));
    let revoked_at = START.plus(Duration::from_hours(1));
    let tokens = sign_in(&signer, revoked_at.minus(MOMENT)).await;
    verify(&verifier, &tokens.access.token, revoked_at.minus(MOMENT)).await.unwrap();
    let kid = KeyId::new(kid_of(&tokens.access.token));
    rotate(&wire, &KeyCommand::Revoke(kid.clone()), revoked_at).await;

    let mut refresh_token = tokens.refresh.expose().to_owned();
    let mut access_token = tokens.access.token;
    let mut refused_at = Vec::new();
    for seconds in 0..900 {
        let now = revoked_at.plus(Duration::from_secs(seconds));
        // One process that is up to date, and one that is not.
        for verifier in [&process(&wire), &verifier] {
            if verify(verifier, &access_token, now).await.is_err() {
                refused_at.push(seconds);
                let response = refresh(&signer, &refresh_token, now).await;
                refresh_token = refreshed(&response);
                access_token = cookie(response.headers(), "sAccessToken").unwrap();
                verify(verifier, &access_token, now).await.unwrap();
            }
        }
    }
    assert_eq!(refused_at, [REVOKED_ACCEPTANCE.as_secs()]);
    assert_ne!(kid_of(&access_token), kid.as_str());
}

#[tokio::test]
async fn a_verifier_that_was_made_to_read_in_vain_still_finds_the_successor_of_a_revoked_key() {
    let wire = deployed().await;
    let (signer, verifier) = (process(&wire), process(&wire));
    let kid = kid_of(&sign_in(&signer, START).await.access.token);
    // Somebody sends nonsense all the time, so that each read is as late as it may be.
    let switch = START.plus(URGENT_LEAD);
    let nonsense = Jwt::valid().header("kid", "d-0").sign();
    for millis in (0..30_000).step_by(250) {
        let now = START.plus(Duration::from_millis(millis));
        let _ = verify(&verifier, &nonsense, now).await;
        if millis == 0 {
            rotate(&wire, &KeyCommand::Revoke(KeyId::new(kid.clone())), now).await;
        }
    }
    let token = sign_in(&process(&wire), switch).await.access.token;
    assert_ne!(kid_of(&token), kid);
    verify(&verifier, &token, switch).await.unwrap();
}

/// Clients that refresh again and again around the switch, with tokens of every age that the refresh
/// rule accepts, against a process that is up to date and one that is as stale as it may be.
#[tokio::test]
async fn a_new_master_key_logs_nobody_out() {
    let published_at = START.plus(Duration::from_hours(24 * 90));
    let switch = published_at.plus(LEAD);
    for lost_at in [switch.minus(MOMENT), switch, switch.plus(MOMENT)] {
        let wire = deployed().await;
        let stale = process(&wire);
        let first = sign_in(&stale, published_at.minus(MOMENT)).await.refresh.expose().to_owned();
        let report = rotate(&wire, &KeyCommand::Rotate(KeyKind::Master), published_at).await;
        assert_eq!(ids(&report, KeyKind::Master, KeyState::Next), ["2"]);
        // A retry just after the publication is harmless.
        let again = rotate(&wire, &KeyCommand::Rotate(KeyKind::Master), published_at).await;
        assert!(!again.changed);

        // The answer is lost; a retry in the window gets the same generation, minted by whoever mints
        // then, and both tokens are good.
        let lost = refreshed(&refresh(&stale, &first, lost_at).await);
        let retry_at = lost_at.plus(Duration::from_secs(5));
        let retried = refreshed(&refresh(&process(&wire), &first, retry_at).await);
        assert_eq!(master_of(&retried), 2);
        let later = retry_at.plus(Duration::from_mins(2));
        let second = refreshed(&refresh(&stale, &retried, later).await);
        let other = refreshed(&refresh(&process(&wire), &lost, later.plus(MOMENT)).await);
        assert_eq!(other, second, "the same generation under either key");
        assert_eq!(master_of(&second), 2);

        // A client that rests as long as a session may, with a token of the old key.
        let resting = process(&wire);
        let tokens = sign_in(&resting, switch.minus(MOMENT)).await;
        assert_eq!(master_of(tokens.refresh.expose()), 1);
        rotate(&wire, &KeyCommand::Advance, switch.plus(Duration::from_hours(24 * 99))).await;
        let end = tokens.refresh_expires_at.minus(MOMENT);
        refreshed(&refresh(&resting, tokens.refresh.expose(), end).await);
    }
}

#[tokio::test]
async fn a_revoked_master_key_ends_the_sessions_minted_under_it_and_no_others() {
    let wire = deployed().await;
    let stale = process(&wire);
    let old = sign_in(&stale, START).await.refresh.expose().to_owned();
    let revoked_at = START.plus(Duration::from_secs(1));
    rotate(&wire, &KeyCommand::RevokeMaster(1), revoked_at).await;
    // Until processes agree, nothing is carried over to the new key.
    let meanwhile = refreshed(&refresh(&process(&wire), &old, revoked_at).await);
    assert_eq!(master_of(&meanwhile), 1);
    let switch = revoked_at.plus(URGENT_LEAD);
    let new = sign_in(&process(&wire), switch).await.refresh.expose().to_owned();
    assert_eq!(master_of(&new), 2);
    refreshed(&refresh(&stale, &new, switch).await);

    for (process, now) in [(&process(&wire), switch), (&stale, revoked_at.plus(MAX_AGE))] {
        for token in [&old, &meanwhile] {
            let response = refresh(process, token, now).await;
            assert_eq!(response.status(), 401);
            assert_eq!(text(response.headers(), "front-token"), "remove");
        }
    }
}

/// The same token as if another master key had minted it.
fn of_unknown_master(token: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    bytes[1] = 99;
    URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn an_unknown_master_key_costs_one_read_in_ten_seconds() {
    let wire = deployed().await;
    let process = process(&wire);
    let forged = of_unknown_master(sign_in(&process, START).await.refresh.expose());
    wire.take_calls();
    let now = START.plus(Duration::from_secs(10));
    for millis in 0..1000 {
        let response =
            refresh(&process, &forged, now.plus(Duration::from_millis(millis * 9))).await;
        assert_eq!(response.status(), 401);
    }
    assert_eq!(wire.take_calls().len(), 1);
}

#[tokio::test]
async fn an_unknown_master_key_is_a_fault_while_the_table_cannot_say() {
    let wire = deployed().await;
    let process = process(&wire);
    let unknown = of_unknown_master(sign_in(&process, START).await.refresh.expose());
    wire.break_all(Some(Fault::ServerError));
    for millis in [10_000, 10_001, 20_000] {
        let now = START.plus(Duration::from_millis(millis));
        let response = refresh(&process, &unknown, now).await;
        assert_eq!(response.status(), 503);
        assert!(!response.headers().contains_key("front-token"), "nothing is cleared");
    }
}

#[tokio::test]
async fn a_thousand_unknown_key_ids_cost_one_read_per_cooldown() {
    let wire = deployed().await;
    let process = process(&wire);
    verify(&process, &sign_in(&process, START).await.access.token, START).await.unwrap();
    wire.take_calls();
    let hostile = Jwt::valid();
    for number in 0..1000 {
        let token =
            hostile.clone().header("kid", format!("d-{number}")).sign_by(&keys::foreign("x"));
        // Ten in each second, for a hundred seconds.
        let now = START.plus(Duration::from_millis(10_000 + number * 100));
        assert!(verify(&process, &token, now).await.is_err());
    }
    assert_eq!(wire.take_calls().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_first_requests_at_once_cost_one_read() {
    let wire = deployed().await;
    let token = sign_in(&process(&wire), START).await.access.token;
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    // The answer takes a while, so that all of them ask before it is there.
    wire.govern(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Treatment { back: Duration::from_millis(10), ..Treatment::default() }
    });
    assert_eq!(at_once(&wire, &token).await, 1000);
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}

/// Otherwise the last of them would wait for a thousand time-outs.
#[tokio::test(start_paused = true)]
async fn a_thousand_first_requests_at_once_share_one_failure() {
    let wire = deployed().await;
    let token = sign_in(&process(&wire), START).await.access.token;
    wire.take_calls();
    wire.break_all(Some(Fault::ServerError));
    assert_eq!(at_once(&wire, &token).await, 0);
    assert_eq!(wire.take_calls().len(), 3, "one call with its retries");
}

/// Sends a thousand first requests to one process; how many it allowed.
async fn at_once(wire: &Wire, token: &str) -> usize {
    let process = Arc::new(process(wire));
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (process, token) = (Arc::clone(&process), token.to_owned());
        requests.spawn(async move { verify(&process, &token, START).await.is_ok() });
    }
    requests.join_all().await.into_iter().filter(|is_ok| *is_ok).count()
}

#[tokio::test]
async fn a_start_without_a_table_is_a_start_and_the_first_request_tries_again() {
    let wire = deployed().await;
    let token = sign_in(&process(&wire), START).await.access.token;
    let process = process(&wire);
    wire.break_all(Some(Fault::TableMissing));
    process.preload_verifying_keys(START).await;
    process.preload_signing_keys(START).await;
    let fault = verify(&process, &token, START).await.unwrap_err();
    assert!(matches!(fault, SessionError::Internal(_)), "a fault, not a refusal: {fault:?}");
    wire.break_all(None);
    verify(&process, &token, START).await.unwrap();
}

#[tokio::test]
async fn keys_that_were_loaded_at_the_start_cost_the_first_request_nothing() {
    let wire = deployed().await;
    let token = sign_in(&process(&wire), START).await.access.token;
    let process = process(&wire);
    process.preload_verifying_keys(START).await;
    wire.take_calls();
    verify(&process, &token, START).await.unwrap();
    assert_eq!(wire.take_calls(), []);
}

#[tokio::test]
async fn a_key_that_is_over_is_refused_though_the_table_is_down() {
    let wire = deployed().await;
    let process = process(&wire);
    let kid = kid_of(&sign_in(&process, START).await.access.token);
    let report = rotate(&wire, &KeyCommand::Revoke(KeyId::new(&kid)), START).await;
    assert_eq!(ids(&report, KeyKind::Dynamic, KeyState::Active), [kid]);
    let token = sign_in(&process, START).await.access.token;
    verify(&process, &token, START).await.unwrap();
    wire.break_all(Some(Fault::Unavailable));
    let end = START.plus(REVOKED_ACCEPTANCE);
    verify(&process, &token, end.minus(MOMENT)).await.unwrap();
    let refusal = verify(&process, &token, end).await.unwrap_err();
    assert!(matches!(refusal, SessionError::TryRefresh(_)), "{refusal:?}");
}

#[tokio::test]
async fn pinned_keys_verify_without_any_request() {
    let pinned = serde_json::to_string(&keys::published()).unwrap();
    let harness = Harness::new(&[]).await;
    let cookie = harness.sign_in("cookie").await.access_cookie();
    let pinned = harness.redeployed(&[("PINNED_JWKS", &pinned)]).await;
    pinned.wire.break_all(Some(Fault::ServerError));
    let response = pinned.send(Method::GET, "/api/me", &[("cookie", &cookie)]).await;
    assert_eq!(response.status(), 200);
    let unknown = bearer(&Jwt::valid().header("kid", "d-0").sign());
    let response = pinned.send(Method::GET, "/api/me", &[("authorization", &unknown)]).await;
    assert_eq!(response.status(), 401);
    assert_eq!(pinned.wire.take_calls(), []);
}

#[test]
fn pinned_keys_that_cannot_work_are_refused_at_start() {
    let key = serde_json::to_value(keys::dynamic().public_jwk()).unwrap();
    let with = |name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    for (set, problem) in [
        (json!({ "keys": [] }), "holds no key"),
        (json!([key.clone()]), "must be a JWK set"),
        (json!({ "keys": [with("d", json!("AQAB"))] }), "private key"),
        (json!({ "keys": [with("alg", json!("RS512"))] }), "not a usable"),
        (json!({ "keys": [with("n", json!("?"))] }), "not a usable"),
        (json!({ "keys": [key.clone(), key.clone()] }), "a kid of its own"),
        (json!({ "keys": [with("kid", Value::Null)] }), "a kid of its own"),
    ] {
        let error = session::SessionConfig::from_lookup(|name| match name {
            "API_DOMAIN" => Some("https://api.example.com".to_owned()),
            "WEBSITE_DOMAIN" => Some("https://example.com".to_owned()),
            "PINNED_JWKS" => Some(set.to_string()),
            _ => None,
        });
        let problems = error.unwrap_err().problems;
        assert!(problems[0].contains("PINNED_JWKS"), "{problems:?}");
        assert!(problems[0].contains(problem), "{problems:?}");
    }
}

#[tokio::test]
async fn another_algorithm_comes_in_by_rotation() {
    let harness = Harness::new(&[]).await;
    let before = harness.sign_in("header").await;
    let changed = harness.redeployed(&[("SIGNING_ALGORITHM", "ES256")]).await;
    let algorithm = |token: &str| {
        let header = token.split('.').next().unwrap();
        use base64::Engine as _;
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["alg"].clone()
    };
    assert_eq!(algorithm(&changed.sign_in("header").await.access), "RS256");
    changed.clock.advance(Duration::from_mins(59));
    let last = changed.sign_in("header").await;
    changed.clock.advance(LEAD - Duration::from_mins(59));
    let after = changed.sign_in("header").await;
    assert_eq!(algorithm(&after.access), "ES256");
    for (tokens, status) in [(&before, 401), (&last, 401), (&after, 200)] {
        let bearer = tokens.access_bearer();
        let response = changed.send(Method::GET, "/api/me", &[("authorization", &bearer)]).await;
        assert_eq!(response.status(), status, "only what has expired is refused");
    }
    let refreshed = changed.refresh(&[("authorization", &last.refresh_bearer())]).await;
    assert_eq!(refreshed.status(), 200);
}

/// Either kind can be chosen to sign, so both are rotated and revoked alike.
#[tokio::test]
async fn static_keys_rotate_by_command_only() {
    let wire = deployed().await;
    let later = START.plus(Duration::from_hours(24 * 365));
    let report = rotate(&wire, &KeyCommand::Advance, later).await;
    assert_eq!(ids(&report, KeyKind::Dynamic, KeyState::Next).len(), 1);
    assert_eq!(ids(&report, KeyKind::Static, KeyState::Next).len(), 0);
    let report = rotate(&wire, &KeyCommand::Rotate(KeyKind::Static), later).await;
    let next = ids(&report, KeyKind::Static, KeyState::Next);
    let settings = config(&[("SIGNING_ALGORITHM", "ES256"), ("USE_DYNAMIC_SIGNING_KEY", "false")]);
    let process = Sessions::new(settings, store(client(wire)));
    let token = sign_in(&process, later.plus(LEAD)).await.access.token;
    assert_eq!(vec![kid_of(&token)], next);
    verify(&process, &token, later.plus(LEAD)).await.unwrap();
}

#[tokio::test]
async fn a_key_that_does_not_exist_cannot_be_revoked_and_nothing_happens() {
    let wire = deployed().await;
    let rng = &mut bootstrap::system_rng();
    for command in [KeyCommand::Revoke(KeyId::new("d-0")), KeyCommand::RevokeMaster(9)] {
        let due = START.plus(Duration::from_hours(24 * 365));
        let error = process(&wire).rotate_keys(&command, due, rng).await.unwrap_err();
        assert!(matches!(error, SessionError::InvalidInput(_)), "{error:?}");
    }
    assert!(wire.take_calls().iter().all(|call| call.operation == "GetItem"));
}

/// One byte names a master key: ids go round, and none is given twice at a time.
#[tokio::test]
async fn ids_of_master_keys_go_round() {
    let wire = deployed().await;
    let mut now = START;
    let mut seen = Vec::new();
    for _ in 0..300 {
        now = now.plus(Duration::from_hours(24 * 45));
        let report = rotate(&wire, &KeyCommand::Rotate(KeyKind::Master), now).await;
        let ids: Vec<_> = report.keys.iter().filter(|key| key.kind == KeyKind::Master).collect();
        let distinct: BTreeSet<_> = ids.iter().map(|key| &key.id).collect();
        assert_eq!(distinct.len(), ids.len());
        seen.push(ids.last().unwrap().id.clone());
    }
    assert_eq!(seen[253..256], ["255", "1", "2"]);
}

/// Refresh tokens that live for most of a year, and a new master key by hand as often as can be: in the
/// end there is no number left for another. That is said, and stops nothing else.
#[tokio::test]
async fn a_line_that_is_full_stops_no_other_and_no_revocation() {
    let wire = deployed().await;
    let settings = [("SIGNING_ALGORITHM", "ES256"), ("REFRESH_TOKEN_TTL_SECONDS", "20563200")];
    let keeper = Sessions::new(config(&settings), store(client(wire.clone())));
    let rng = &mut bootstrap::system_rng();
    let mut now = START;
    let refusal = loop {
        now = now.plus(LEAD);
        match keeper.rotate_keys(&KeyCommand::Rotate(KeyKind::Master), now, rng).await {
            Ok(_) => {}
            Err(refusal) => break refusal,
        }
    };
    let SessionError::InvalidInput(problem) = refusal else { panic!("{refusal:?}") };
    assert!(problem.contains("240 master keys are in use"), "{problem}");

    // What is due in another line happens all the same, and whatever leaked can be revoked.
    let last = keeper.rotate_keys(&KeyCommand::Advance, now, rng).await.unwrap();
    let active = |kind| ids(&last, kind, KeyState::Active).remove(0);
    let signing = KeyCommand::Revoke(KeyId::new(active(KeyKind::Dynamic)));
    let revoked = keeper.rotate_keys(&signing, now, rng).await.unwrap();
    assert_eq!(ids(&revoked, KeyKind::Dynamic, KeyState::Next).len(), 1);
    let master = KeyCommand::RevokeMaster(active(KeyKind::Master).parse().unwrap());
    let revoked = keeper.rotate_keys(&master, now, rng).await.unwrap();
    assert_eq!(ids(&revoked, KeyKind::Master, KeyState::Next).len(), 1);
    let later = now.plus(Duration::from_hours(24 * 8));
    let report = keeper.rotate_keys(&KeyCommand::Rotate(KeyKind::Master), later, rng).await;
    assert!(report.is_err(), "still full");
    let report = keeper.rotate_keys(&KeyCommand::Advance, later, rng).await.unwrap();
    assert_eq!(ids(&report, KeyKind::Dynamic, KeyState::Next).len(), 1, "due, and done");
}

/// Whoever can write the table can put back what was there before a key was revoked.
#[tokio::test]
async fn a_process_never_goes_back_to_older_keys() {
    let wire = deployed().await;
    let old = [item(&wire, "#private").await, item(&wire, "#public").await];
    let (signer, verifier) = (process(&wire), process(&wire));
    let revoked = sign_in(&signer, START).await;
    let kid = kid_of(&revoked.access.token);
    rotate(&wire, &KeyCommand::Revoke(KeyId::new(kid.clone())), START).await;
    let switch = START.plus(MAX_AGE);
    let token = sign_in(&signer, switch).await.access.token;
    assert_ne!(kid_of(&token), kid);
    verify(&verifier, &token, switch).await.unwrap();

    // Somebody who can write the table brings the revoked key back, or does away with all of them.
    for round in 1..=2 {
        for old in &old {
            put(&wire, old, round == 1).await;
        }
        let now = switch.plus(MAX_AGE * round);
        let again = sign_in(&signer, now).await.access.token;
        assert_eq!(kid_of(&again), kid_of(&token));
        verify(&verifier, &again, now).await.unwrap();
        let late = now.plus(REVOKED_ACCEPTANCE);
        assert!(verify(&verifier, &revoked.access.token, late).await.is_err());
    }
}

async fn item(wire: &Wire, name: &str) -> Item {
    let client = client(wire.engine().clone());
    let items = client.scan().table_name(KEYS_TABLE).send().await.unwrap().items.unwrap();
    let is_wanted = |item: &&Item| item["pk"].as_s().unwrap().ends_with(name);
    items.iter().find(is_wanted).unwrap().clone()
}

/// Puts an item back, or deletes it.
async fn put(wire: &Wire, item: &Item, is_put: bool) {
    let client = client(wire.engine().clone());
    if is_put {
        let item = Some(item.clone());
        client.put_item().table_name(KEYS_TABLE).set_item(item).send().await.unwrap();
    } else {
        let pk = item["pk"].clone();
        client.delete_item().table_name(KEYS_TABLE).key("pk", pk).send().await.unwrap();
    }
}

#[tokio::test]
async fn the_clock_of_the_stack_rotates_its_keys() {
    let harness = Harness::new(&[]).await;
    let tokens = harness.sign_in("header").await;
    harness.clock.advance(Duration::from_hours(168));
    let report = harness.stack.functions().rotate_keys.invoke(json!({})).await.unwrap();
    assert_eq!(report["changed"], true);
    harness.clock.advance(LEAD);
    let response = harness.refresh(&[("authorization", &tokens.refresh_bearer())]).await;
    let refreshed = testkit::harness::Tokens::of(&response);
    let kid = format!("d-{}", harness.clock.now().minus(LEAD).as_millis());
    assert_eq!(kid_of(&refreshed.access), kid);
    let bearer = refreshed.access_bearer();
    let response = harness.send(Method::GET, "/api/me", &[("authorization", &bearer)]).await;
    assert_eq!(response.status(), 200);
}
