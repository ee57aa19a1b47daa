//! Lifetimes of single sessions and of tenants: they only ever shorten what the settings say.

use std::time::Duration;

use serde_json::{Value, json};
use session::SessionError;
use session::model::{Device, NewSession, SessionLifetimes, TenantId};
use session::service::{AntiCsrfProof, IssuedTokens};
use session::token::UnverifiedRefreshToken;
use testkit::Harness;
use testkit::clock::START;

use crate::manage::{Service, after, service};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// An idle life.
fn idle(seconds: u64) -> SessionLifetimes {
    SessionLifetimes { refresh_token: Some(Duration::from_secs(seconds)), ..Default::default() }
}

fn absolute(seconds: u64) -> SessionLifetimes {
    SessionLifetimes { absolute: Some(Duration::from_secs(seconds)), ..Default::default() }
}

fn access(seconds: u64) -> SessionLifetimes {
    SessionLifetimes { access_token: Some(Duration::from_secs(seconds)), ..Default::default() }
}

async fn create(
    sessions: &Service,
    tenant: &str,
    lifetimes: SessionLifetimes,
) -> Result<IssuedTokens, SessionError> {
    let mut new = NewSession { lifetimes, ..NewSession::for_user("user-1") };
    new.subject.tenant_id = TenantId::new(tenant);
    let rng = &mut bootstrap::system_rng();
    sessions.create(new, Device::default(), false, START, rng).await
}

/// The tokens that follow, so many seconds after the sign-in; none if the session is over.
async fn refresh(sessions: &Service, tokens: &IssuedTokens, seconds: u64) -> Option<IssuedTokens> {
    let presented = UnverifiedRefreshToken::parse(tokens.refresh.expose()).unwrap();
    let device = Device::default();
    let refreshed = sessions.refresh(&presented, AntiCsrfProof::NotUsed, &device, after(seconds));
    match refreshed.await {
        Ok(refreshed) => Some(refreshed.tokens),
        Err(SessionError::SessionEnded(_)) => None,
        Err(other) => panic!("{other}"),
    }
}

/// Writes since they were counted last.
fn updates(stack: &Harness) -> usize {
    stack.wire.take_calls().iter().filter(|call| call.operation == "UpdateItem").count()
}

fn problem(result: Result<IssuedTokens, SessionError>) -> String {
    match result {
        Err(SessionError::InvalidInput(problem)) => problem.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_of_its_own_idle_life_ends_after_it_and_each_refresh_moves_that_end() {
    let (stack, sessions) = service(&[]).await;
    let [first, lost] = [
        create(&sessions, "public", idle(2 * HOUR)).await.unwrap(),
        create(&sessions, "public", idle(2 * HOUR)).await.unwrap(),
    ];
    assert_eq!(first.refresh_expires_at, after(2 * HOUR));
    stack.wire.take_calls();
    let second = refresh(&sessions, &first, 2 * HOUR - 1).await.unwrap();
    assert_eq!(updates(&stack), 1);
    assert_eq!(second.refresh_expires_at, after(4 * HOUR - 1));
    assert!(refresh(&sessions, &second, 4 * HOUR - 1).await.is_none());
    assert!(refresh(&sessions, &lost, 2 * HOUR).await.is_none());
}

#[tokio::test]
async fn a_generation_that_replaces_a_lost_one_has_the_same_idle_life() {
    let (_, sessions) = service(&[]).await;
    let first = create(&sessions, "public", idle(2 * HOUR)).await.unwrap();
    refresh(&sessions, &first, HOUR).await.unwrap();
    let recovered = refresh(&sessions, &first, 2 * HOUR).await.unwrap();
    assert_eq!(recovered.refresh_expires_at, after(4 * HOUR));
}

#[tokio::test]
async fn settings_that_became_shorter_count_for_sessions_of_their_own_life_too() {
    let (stack, sessions) = service(&[]).await;
    let own = create(&sessions, "public", idle(50 * DAY)).await.unwrap();
    let stack = stack.redeployed(&[("REFRESH_TOKEN_TTL_SECONDS", "86400")]).await;
    let sessions = Service::new(session::Sessions::new(stack.config.clone(), stack.store.clone()));
    stack.wire.take_calls();
    let next = refresh(&sessions, &own, HOUR).await.unwrap();
    assert_eq!(next.refresh_expires_at, after(HOUR + DAY));
    assert_eq!(updates(&stack), 2, "one is refused, and tells what is there");
    assert!(refresh(&sessions, &next, HOUR + DAY).await.is_none());
}

#[tokio::test]
async fn an_absolute_end_of_its_own_ends_a_session_however_active() {
    let (_, sessions) = service(&[]).await;
    let mut tokens = create(&sessions, "public", absolute(8 * HOUR)).await.unwrap();
    for hour in 1..8 {
        tokens = refresh(&sessions, &tokens, hour * HOUR).await.unwrap();
        assert!(tokens.refresh_expires_at <= after(8 * HOUR));
    }
    assert!(refresh(&sessions, &tokens, 8 * HOUR).await.is_none());
}

#[tokio::test]
async fn access_tokens_of_a_session_keep_to_its_own_life() {
    let (_, sessions) = service(&[]).await;
    let first = create(&sessions, "public", access(5 * MINUTE)).await.unwrap();
    let second = refresh(&sessions, &first, HOUR).await.unwrap();
    for (tokens, from) in [(first, 0), (second, HOUR)] {
        let ends = tokens.access.expires_at;
        assert!(ends > after(from + 4 * MINUTE) && ends <= after(from + 5 * MINUTE), "{ends:?}");
    }
}

#[tokio::test]
async fn nothing_grows_beyond_the_settings() {
    let settings = [
        ("ACCESS_TOKEN_TTL_SECONDS", "600"),
        ("REFRESH_TOKEN_TTL_SECONDS", "7200"),
        ("SESSION_ABSOLUTE_TTL_SECONDS", "14400"),
    ];
    let (_, sessions) = service(&settings).await;
    for lifetimes in [access(3600), idle(DAY), absolute(DAY)] {
        let tokens = create(&sessions, "public", lifetimes).await.unwrap();
        assert!(tokens.access.expires_at <= after(600));
        assert_eq!(tokens.refresh_expires_at, after(7200));
        let next = refresh(&sessions, &tokens, 7199).await.unwrap();
        assert_eq!(next.refresh_expires_at, after(14_399).min(after(14_400)));
    }
}

#[tokio::test]
async fn of_session_and_tenant_the_shorter_life_counts() {
    let tenants = r#"{"acme":{"refreshTokenTtlSeconds":7200,"absoluteTtlSeconds":28800}}"#;
    let (_, sessions) = service(&[("TENANT_LIFETIMES", tenants)]).await;
    for (tenant, own, expected) in [
        ("acme", SessionLifetimes::default(), 7200),
        ("acme", idle(DAY), 7200),
        ("acme", idle(HOUR + 1), HOUR + 1),
        ("public", SessionLifetimes::default(), 100 * DAY),
    ] {
        let tokens = create(&sessions, tenant, own).await.unwrap();
        assert_eq!(tokens.refresh_expires_at, after(expected), "{tenant} {own:?}");
    }
}

#[tokio::test]
async fn a_life_that_the_refresh_rule_cannot_work_with_is_refused_with_the_bound() {
    let (stack, sessions) = service(&[]).await;
    stack.wire.take_calls();
    let shortest = problem(create(&sessions, "public", access(31)).await);
    assert!(
        shortest.starts_with(
            "accessTokenTtlSeconds less 5 % must not be below REFRESH_FLIGHT_SECONDS (30)"
        ),
        "{shortest}"
    );
    let idle_first = problem(create(&sessions, "public", idle(HOUR)).await);
    assert!(
        idle_first.starts_with("accessTokenTtlSeconds is 3600 and must be less than the 3600 s"),
        "{idle_first}"
    );
    assert_eq!(
        problem(create(&sessions, "public", idle(59)).await),
        "refreshTokenTtlSeconds must be at least 60"
    );
    assert_eq!(stack.wire.take_calls(), []);
    assert!(create(&sessions, "public", access(32)).await.is_ok());
}

#[test]
fn a_tenants_lives_that_cannot_work_are_refused_at_start() {
    let refused = |tenants: &str| {
        let config = session::SessionConfig::from_lookup(|name| match name {
            "API_DOMAIN" => Some("https://api.example.com".to_owned()),
            "WEBSITE_DOMAIN" => Some("https://example.com".to_owned()),
            "TENANT_LIFETIMES" => Some(tenants.to_owned()),
            _ => None,
        });
        config.unwrap_err().problems.join("\n")
    };
    for (tenants, expected) in [
        (
            r#"{"acme":{"accessTokenTtlSeconds":5}}"#,
            "TENANT_LIFETIMES, of acme: accessTokenTtlSeconds less 5 %",
        ),
        (
            r#"{"acme":{"refreshTokenTtlSeconds":60}}"#,
            "TENANT_LIFETIMES, of acme: accessTokenTtlSeconds is 3600",
        ),
        (r#"{"acme":{"refreshTokenTtl":3600}}"#, "unknown field"),
        (r#"{"acme":{"absoluteTtlSeconds":-1}}"#, "use JSON such as"),
        ("3600", "use JSON such as"),
    ] {
        let problem = refused(tenants);
        assert!(problem.contains(expected), "{problem}");
    }
}

#[tokio::test]
async fn sign_in_code_says_how_long_a_session_lives() {
    let stack = Harness::new(&[]).await;
    let invoke = async |lifetimes: Value| {
        let input = json!({ "userId": "user-1", "lifetimes": lifetimes });
        stack.stack.functions().create_session.invoke(input).await.unwrap()
    };
    let shortened = invoke(json!({ "refreshTokenTtlSeconds": 7200 })).await;
    assert_eq!(shortened["session"]["expiry"], after(7200).as_millis());
    for wrong in [
        json!({ "refreshTokenTtl": 1 }),
        json!({ "absoluteTtlSeconds": "8h" }),
        json!({ "accessTokenTtlSeconds": 1.5 }),
    ] {
        let refused = invoke(wrong).await;
        assert_eq!(refused["error"]["code"], "INVALID_INPUT", "{refused}");
    }
    let impossible = invoke(json!({ "accessTokenTtlSeconds": 10 })).await;
    assert!(
        impossible["error"]["message"].as_str().unwrap().contains("REFRESH_FLIGHT_SECONDS"),
        "{impossible}"
    );
}

/// A deployment with other settings may lie between a sign-in and its repetition.
#[tokio::test]
async fn a_sign_in_is_repeated_under_another_absolute_life_of_the_settings() {
    let stack = Harness::new(&[("SESSION_ABSOLUTE_TTL_SECONDS", "864000")]).await;
    let input = json!({ "userId": "user-1", "idempotencyKey": "k" });
    let first = stack.stack.functions().create_session.invoke(input.clone()).await.unwrap();
    let stack = stack.redeployed(&[("SESSION_ABSOLUTE_TTL_SECONDS", "432000")]).await;
    let again = stack.stack.functions().create_session.invoke(input).await.unwrap();
    assert_eq!(again["session"]["sessionHandle"], first["session"]["sessionHandle"], "{again}");
}

#[tokio::test]
async fn a_sign_in_is_only_repeated_with_the_same_lives() {
    let stack = Harness::new(&[]).await;
    let invoke = async |seconds: u64| {
        let lifetimes = json!({ "absoluteTtlSeconds": seconds });
        let input = json!({ "userId": "user-1", "idempotencyKey": "k", "lifetimes": lifetimes });
        stack.clock.advance(Duration::from_secs(1));
        stack.stack.functions().create_session.invoke(input).await.unwrap()
    };
    let first = invoke(7200).await;
    assert_eq!(invoke(7200).await["session"]["sessionHandle"], first["session"]["sessionHandle"]);
    assert_eq!(invoke(7201).await["error"]["code"], "IDEMPOTENCY_KEY_USED");
}
