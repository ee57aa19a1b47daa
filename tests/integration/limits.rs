//! How much a session may hold: what was recorded is never found too large at a refresh.

use std::time::Duration;

use serde_json::{Value, json};
use session::SessionError;
use session::config::{MAX_COOKIE_LEN, MAX_HEADERS_LEN, OTHER_HEADERS_LEN};
use session::model::{Device, NewSession, SessionHandle};
use session::service::{AntiCsrfProof, IssuedTokens};
use session::store::SessionReader as _;
use session::store::document::{MAX_MERGED_CLAIMS, MAX_SESSION_DATA_LEN};
use session::token::UnverifiedRefreshToken;
use testkit::Harness;
use testkit::clock::START;

use crate::manage::{Service, after, create, map, service, sign_in};

const SETTINGS: [&[(&str, &str)]; 5] = [
    &[],
    &[("TOKEN_TRANSFER_METHOD", "cookie")],
    &[("TOKEN_TRANSFER_METHOD", "cookie"), ("ANTI_CSRF", "VIA_TOKEN")],
    &[("TOKEN_TRANSFER_METHOD", "cookie"), ("EXPOSE_ACCESS_TOKEN", "true")],
    &[("TOKEN_TRANSFER_METHOD", "header")],
];

fn with_claim(bytes: usize) -> NewSession {
    let access_token_payload = map(json!({ "x": "a".repeat(bytes) }));
    NewSession { access_token_payload, ..NewSession::for_user("user-1") }
}

async fn try_create(sessions: &Service, new: NewSession) -> Result<IssuedTokens, SessionError> {
    let rng = &mut bootstrap::system_rng();
    sessions.create(new, Device::default(), true, START, rng).await
}

/// The bytes that a claim `x` may have at creation, from what a session without it takes.
async fn room(harness: &Harness, sessions: &Service) -> usize {
    let handle = sign_in(sessions, "user-1").await;
    let taken = harness.store.session(&handle).await.unwrap().unwrap().payload_size.bound.unwrap();
    let room = harness.config.transfer.front_json_limit() - usize::try_from(taken).unwrap();
    room - r#""x":"","#.len()
}

/// Everything of ours in the largest request of a client by cookies and of one by headers.
fn requests(tokens: &IssuedTokens) -> [String; 2] {
    let (access, refresh) = (&tokens.access.token, tokens.refresh.expose());
    let (front, uuid) = (&tokens.front, "00000000-0000-4000-8000-000000000000");
    let own = format!("sFrontToken={front}; st-last-access-token-update=1700000000000");
    [
        format!(
            "cookie: sAccessToken={access}; sRefreshToken={refresh}; {own}; sAntiCsrf={uuid}\r\n\
             anti-csrf: {uuid}\r\n"
        ),
        format!(
            "authorization: Bearer {access}\r\n\
             cookie: st-access-token={access}; st-refresh-token={refresh}; {own}\r\n"
        ),
    ]
}

fn assert_fits(settings: &[(&str, &str)], tokens: &IssuedTokens) {
    let (access, front) = (tokens.access.token.len(), tokens.front.len());
    assert!("st-access-token=".len() + access <= MAX_COOKIE_LEN, "{settings:?}: {access}");
    assert!("sFrontToken=".len() + front <= MAX_COOKIE_LEN, "{settings:?}: {front}");
    let [by_cookie, by_header] = requests(tokens).map(|headers| headers.len());
    let sent = match settings.first() {
        Some((_, "cookie")) => by_cookie,
        Some((_, "header")) => by_header,
        _ => by_cookie.max(by_header),
    };
    assert!(sent <= MAX_HEADERS_LEN - OTHER_HEADERS_LEN, "{settings:?}: {sent}");
    // The limit is not lower than it must be: the next larger tokens would not fit somewhere.
    let is_close =
        MAX_COOKIE_LEN - access < 150 || MAX_HEADERS_LEN - OTHER_HEADERS_LEN - sent < 150;
    let exposed = settings.iter().any(|(name, _)| *name == "EXPOSE_ACCESS_TOKEN");
    assert!(is_close || exposed, "{settings:?}: {access} {front} {sent}");
}

async fn refreshed(sessions: &Service, tokens: &IssuedTokens) -> IssuedTokens {
    let presented = UnverifiedRefreshToken::parse(tokens.refresh.expose()).unwrap();
    let (proof, device) = (AntiCsrfProof::Token(tokens.anti_csrf.as_deref()), Device::default());
    sessions.refresh(&presented, proof, &device, after(5)).await.unwrap().tokens
}

#[tokio::test]
async fn the_largest_claims_fit_at_creation_and_one_byte_more_is_refused() {
    for settings in SETTINGS {
        let (harness, sessions) = service(settings).await;
        let room = room(&harness, &sessions).await;
        let tokens = try_create(&sessions, with_claim(room)).await.unwrap();
        assert_fits(settings, &tokens);
        assert_fits(settings, &refreshed(&sessions, &tokens).await);
        harness.wire.take_calls();
        let error = try_create(&sessions, with_claim(room + 1)).await;
        let Err(SessionError::InvalidInput(problem)) = error else { panic!("{error:?}") };
        let limit = harness.config.transfer.front_json_limit();
        assert!(problem.contains(&limit.to_string()), "{problem}");
        assert!(problem.contains(&(limit + 1).to_string()), "{problem}");
        assert_eq!(harness.wire.take_calls(), [], "bad input costs nothing");
    }
}

#[test]
fn claims_that_fit_under_a_new_algorithm_fit_under_the_keys_of_before() {
    let limit = |settings| testkit::harness::config(settings).transfer.front_json_limit();
    assert_eq!(limit(&[("SIGNING_ALGORITHM", "ES256")]), limit(&[]));
}

#[tokio::test]
async fn the_largest_claims_fit_by_merging_and_one_byte_more_is_refused() {
    for settings in SETTINGS {
        let (harness, sessions) = service(settings).await;
        let room = room(&harness, &sessions).await;
        let rng = &mut bootstrap::system_rng();
        let (new, device) = (NewSession::for_user("user-1"), Device::default());
        let tokens = sessions.create(new, device, true, START, rng).await.unwrap();
        let merge = async |claims: Value| {
            sessions.merge_into_access_token_payload(&tokens.handle, map(claims), START).await
        };
        let too_large = merge(json!({ "x": "a".repeat(room + 1) })).await;
        assert!(matches!(too_large, Err(SessionError::InvalidInput(_))), "{too_large:?}");
        // In pieces, the last of which fits exactly.
        assert!(merge(json!({ "y": "b".repeat(100) })).await.unwrap());
        let rest = room - 100 - r#""y":"","#.len();
        let too_large = merge(json!({ "x": "a".repeat(rest + 1) })).await;
        assert!(matches!(too_large, Err(SessionError::InvalidInput(_))), "{too_large:?}");
        assert!(merge(json!({ "x": "a".repeat(rest) })).await.unwrap());
        assert_fits(settings, &refreshed(&sessions, &tokens).await);
    }
}

/// The figures of docs/rust.md.
#[tokio::test]
async fn there_is_room_for_about_1500_bytes_of_claims_by_headers_and_2300_by_cookies_only() {
    for (settings, expected) in [(SETTINGS[0], 1_500..1_600), (SETTINGS[1], 2_300..2_400)] {
        let (harness, sessions) = service(settings).await;
        let room = room(&harness, &sessions).await;
        assert!(expected.contains(&room), "{room}");
    }
}

#[tokio::test]
async fn numbers_take_no_more_room_than_was_measured() {
    let (harness, sessions) = service(&[]).await;
    // Written as 1e16 and the like, and given back by the table with all their digits.
    let numbers: Vec<f64> = (0..60).map(|n| 1e16 + f64::from(n) * 1e13).collect();
    let claims = map(json!({ "n": numbers, "zero": -0.0, "one": 1.0, "large": 1e18 }));
    let new = NewSession { access_token_payload: claims, ..NewSession::for_user("user-1") };
    let tokens = create(&sessions, new, START).await;
    let session = harness.store.session(&tokens.handle).await.unwrap().unwrap();
    let measured = session::token::size::longest_front_json(&session, false) as u64;
    assert_eq!(session.payload_size.bound, Some(measured));
    assert_eq!(session.access_token_payload["zero"], json!(0));
    assert_eq!(session.access_token_payload["one"], json!(1));
}

#[tokio::test]
async fn the_largest_session_data_is_kept_and_one_byte_more_is_refused() {
    let (harness, sessions) = service(&[]).await;
    let handle = sign_in(&sessions, "user-1").await;
    // A map takes three bytes, a member one, the name one.
    let largest = MAX_SESSION_DATA_LEN - 5;
    let data = |bytes| map(json!({ "d": "x".repeat(bytes) }));
    assert!(sessions.update_session_data(&handle, data(largest), START).await.unwrap());
    harness.wire.take_calls();
    let error = sessions.update_session_data(&handle, data(largest + 1), START).await;
    let Err(SessionError::InvalidInput(problem)) = error else { panic!("{error:?}") };
    assert!(problem.contains("393217") && problem.contains("393216"), "{problem}");
    let new = NewSession { session_data: data(largest + 1), ..NewSession::for_user("user-1") };
    assert!(matches!(try_create(&sessions, new).await, Err(SessionError::InvalidInput(_))));
    assert_eq!(harness.wire.take_calls(), []);

    // With the largest of everything else the item still fits.
    let room = room(&harness, &sessions).await;
    let new = NewSession { session_data: data(largest), ..with_claim(room) };
    let tokens = try_create(&sessions, new).await.unwrap();
    refreshed(&sessions, &tokens).await;
}

#[tokio::test]
async fn what_the_table_would_not_take_is_refused_before_it_is_asked() {
    let (harness, sessions) = service(&[]).await;
    let handle = sign_in(&sessions, "user-1").await;
    let nested = |levels: usize| {
        // The attribute itself is one level, the innermost value another.
        (2..levels).fold(json!(1), |inner, _| json!({ "n": inner }))
    };
    let deepest = map(json!({ "n": nested(32) }));
    assert!(sessions.update_session_data(&handle, deepest.clone(), START).await.unwrap());
    let merged = sessions.merge_into_access_token_payload(&handle, deepest, START).await;
    assert!(merged.unwrap());
    harness.wire.take_calls();
    for bad in [
        json!({ "n": nested(33) }),
        json!({ "n": [[[{ "": 1 }]]] }),
        json!({ "": 1 }),
        json!({ "n": 1e20 }),
        json!({ "n": 1e-131 }),
    ] {
        let error = sessions.update_session_data(&handle, map(bad.clone()), START).await;
        assert!(matches!(error, Err(SessionError::InvalidInput(_))), "{bad}: {error:?}");
        let error =
            sessions.merge_into_access_token_payload(&handle, map(bad.clone()), START).await;
        assert!(matches!(error, Err(SessionError::InvalidInput(_))), "{bad}: {error:?}");
        let new = NewSession { session_data: map(bad.clone()), ..NewSession::for_user("user-1") };
        assert!(matches!(try_create(&sessions, new).await, Err(SessionError::InvalidInput(_))));
    }
    assert_eq!(harness.wire.take_calls(), []);
}

#[tokio::test]
async fn as_many_claims_as_an_expression_holds_can_be_merged_at_once() {
    let (harness, sessions) = service(&[]).await;
    let handle: SessionHandle = sign_in(&sessions, "user-1").await;
    let claims = |count: usize, value: Value| {
        (0..count).map(|n| (format!("{n}"), value.clone())).collect::<serde_json::Map<_, _>>()
    };
    for value in [json!(1), Value::Null] {
        let most = claims(MAX_MERGED_CLAIMS, value.clone());
        assert!(sessions.merge_into_access_token_payload(&handle, most, START).await.unwrap());
        let more = claims(MAX_MERGED_CLAIMS + 1, value);
        let error = sessions.merge_into_access_token_payload(&handle, more, START).await;
        assert!(matches!(error, Err(SessionError::InvalidInput(_))), "{error:?}");
    }
    let information = sessions.information(&handle, START.plus(Duration::from_secs(1))).await;
    assert_eq!(information.unwrap().unwrap().access_token_payload.len(), 1);
    drop(harness);
}
