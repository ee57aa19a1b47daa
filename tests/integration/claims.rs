//! What an application may say in claims and data: it arrives as it was sent, or is refused.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};
use session::SessionError;
use session::model::{Device, NewSession, TenantId, UserId};
use session::service::IssuedTokens;
use session::store::SessionReader as _;
use testkit::Harness;
use testkit::clock::START;
use testkit::front_door::shape;
use testkit::harness::Tokens;

use crate::effects::claims;
use crate::manage::{Service, service};
use crate::mint::{Jwt, bearer};

async fn create(sessions: &Service, new: NewSession) -> Result<IssuedTokens, SessionError> {
    let rng = &mut bootstrap::system_rng();
    sessions.create(new, Device::default(), false, START, rng).await
}

fn with_claims(access_token_payload: Map<String, Value>) -> NewSession {
    NewSession { access_token_payload, ..NewSession::for_user("user-1") }
}

fn one(name: &str, value: &Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value.clone())])
}

/// An application copies the claims of an ID token into the session.
#[tokio::test]
async fn no_date_of_another_token_makes_a_session_that_never_verifies() {
    let (stack, sessions) = service(&[]).await;
    let year = START.plus(Duration::from_hours(365 * 24)).as_secs();
    let now = START.as_secs();
    let dates = [json!(year), json!(-1), json!(1e18), json!(now - 10), json!(1.5), json!(now + 3)];
    let others = [json!("x"), json!(now.to_string()), json!(null), json!(true), json!([1])];
    for nbf in dates.into_iter().chain(others).chain([json!({})]) {
        let new = with_claims(one("nbf", &nbf));
        let tokens = create(&sessions, new).await.unwrap();
        let call = async |access: &str| {
            let value = bearer(access);
            stack.send(Method::GET, "/api/me", &[("authorization", &value)]).await.status()
        };
        assert_eq!(call(&tokens.access.token).await, 200, "{nbf}");
        let merged =
            sessions.merge_into_access_token_payload(&tokens.handle, one("nbf", &nbf), START).await;
        assert!(matches!(merged, Err(SessionError::InvalidInput(_))), "{nbf}: {merged:?}");
        let value = bearer(tokens.refresh.expose());
        let refreshed = Tokens::of(&stack.refresh(&[("authorization", &value)]).await);
        assert_eq!(call(&refreshed.access).await, 200, "{nbf}");
        let value = refreshed.access_bearer();
        let response = stack.sign_out(&[("authorization", &value)]).await;
        assert_eq!(response.status(), 200, "{nbf}");
    }
}

/// What RFC 7519, RFC 7800, RFC 8693 and OpenID Connect Core say of these names.
#[tokio::test]
async fn a_registered_claim_has_its_registered_form_at_sign_in_and_in_a_merge() {
    let (stack, sessions) = service(&[]).await;
    let now = START.as_secs();
    for (name, good, bad) in [
        ("aud", vec![json!("api"), json!(["a", "b"])], vec![json!(5), json!([1]), json!({})]),
        ("jti", vec![json!("x")], vec![json!({}), json!(1)]),
        (
            "auth_time",
            vec![json!(now), json!(0)],
            vec![json!("x"), json!(now * 1000), json!(-1), json!(1.5)],
        ),
        ("amr", vec![json!(["otp"]), json!([])], vec![json!("otp"), json!([1])]),
        ("acr", vec![json!("aal2")], vec![json!(2), json!(["aal2"])]),
        ("cnf", vec![json!({ "jkt": "x" })], vec![json!("x"), json!([])]),
        ("act", vec![json!({ "sub": "admin" })], vec![json!("admin")]),
    ] {
        let tokens = create(&sessions, NewSession::for_user("user-1")).await.unwrap();
        let merge = async |value: &Value| {
            sessions.merge_into_access_token_payload(&tokens.handle, one(name, value), START).await
        };
        for value in good {
            let created = create(&sessions, with_claims(one(name, &value))).await.unwrap();
            assert_eq!(claims(&created.access.token)[name], value);
            assert!(merge(&value).await.unwrap(), "{name}: {value}");
        }
        assert!(merge(&Value::Null).await.unwrap(), "{name} can be removed");
        stack.wire.take_calls();
        for value in bad {
            for result in [
                create(&sessions, with_claims(one(name, &value))).await.map(|_| ()),
                merge(&value).await.map(|_| ()),
            ] {
                let Err(SessionError::InvalidInput(problem)) = result else {
                    panic!("{name}: {value}: {result:?}")
                };
                assert!(problem.contains(&format!("the claim {name} must be ")), "{problem}");
            }
        }
        assert_eq!(stack.wire.take_calls(), [], "bad input costs nothing");
    }
}

#[tokio::test]
async fn the_issuer_is_ours_at_sign_in_and_cannot_be_merged() {
    let (_, sessions) = service(&[]).await;
    let tokens = create(&sessions, with_claims(one("iss", &json!("https://evil")))).await.unwrap();
    assert_eq!(claims(&tokens.access.token)["iss"], "https://api.example.com/auth");
    for value in [json!("https://evil"), Value::Null] {
        let patch = one("iss", &value);
        let merged = sessions.merge_into_access_token_payload(&tokens.handle, patch, START).await;
        assert!(matches!(merged, Err(SessionError::InvalidInput(_))), "{merged:?}");
    }
}

/// Whether the authorizer lets a session with these claims pass.
async fn passes(demand: &str, payload: &[(&str, Value)]) -> bool {
    let stack = Harness::new(&[("REQUIRED_CLAIMS", demand)]).await;
    let jwt =
        payload.iter().fold(Jwt::valid(), |jwt, (name, value)| jwt.claim(name, value.clone()));
    let request = http::Request::get("/api/me").header("authorization", bearer(&jwt.sign()));
    let event = shape::http_api_2(&request.body(bytes::Bytes::new()).unwrap());
    let answer = stack.stack.functions().authorizer.invoke(event).await.unwrap();
    answer["isAuthorized"].as_bool().unwrap()
}

#[tokio::test]
async fn a_sign_in_that_lies_ahead_passes_no_step_up() {
    let demand = r#"[{"authenticatedBy":["otp"],"maxAgeInSeconds":300}]"#;
    let now = START.as_secs();
    for (auth_time, expected) in [
        (json!(now - 300), true),
        (json!(now - 301), false),
        (json!(now + 60), true),
        (json!(now + 86_400), false),
        (json!(now * 1000), false),
        (json!(now.to_string()), false),
        (json!(1_700_000_000.5), false),
        (Value::Null, false),
    ] {
        let payload = [("auth_time", auth_time.clone()), ("amr", json!(["otp"]))];
        assert_eq!(passes(demand, &payload).await, expected, "{auth_time}");
    }
}

#[tokio::test]
async fn a_claim_of_unknown_age_passes_no_demand_that_has_one() {
    let demand = r#"[{"claim":"st-ev","isTrue":true,"maxAgeInSeconds":300}]"#;
    let now = START.as_millis();
    for (claim, expected) in [
        (json!({ "v": true, "t": now }), true),
        (json!({ "v": true }), false),
        (json!({ "v": true, "t": "now" }), false),
        (json!({ "v": true, "t": now + 3_600_000 }), false),
        (json!({ "v": true, "t": START.as_secs() }), false),
    ] {
        assert_eq!(passes(demand, &[("st-ev", claim.clone())]).await, expected, "{claim}");
    }
    let ageless = r#"[{"claim":"st-ev","isTrue":true}]"#;
    assert!(passes(ageless, &[("st-ev", json!({ "v": true }))]).await);
}

/// What special values become; `None` if they are refused.
const VALUES: [(&str, Option<&str>); 29] = [
    (r#""""#, Some(r#""""#)),
    ("null", Some("null")),
    (r#"{"a":null,"b":[null,{}]}"#, Some(r#"{"a":null,"b":[null,{}]}"#)),
    ("[]", Some("[]")),
    ("{}", Some("{}")),
    ("1.5", Some("1.5")),
    ("0.30000000000000004", Some("0.30000000000000004")),
    ("1.0", Some("1")),
    ("-0.0", Some("0")),
    ("9007199254740993", Some("9007199254740993")),
    ("9223372036854775807", Some("9223372036854775807")),
    ("-9223372036854775808", Some("-9223372036854775808")),
    ("18446744073709551615", Some("18446744073709551615")),
    ("18446744073709551616", None),
    ("-9223372036854775809", None),
    ("10000000000000000000000001", None),
    ("99999999999999999999999999999999999999", None),
    ("1e20", None),
    ("1e125", None),
    ("1.5e300", None),
    ("5e-324", None),
    ("1e-130", Some("1e-130")),
    (r#""😀""#, Some(r#""😀""#)),
    (r#"{"😀":1}"#, Some(r#"{"😀":1}"#)),
    (r#""a\u0000b""#, Some(r#""a\u0000b""#)),
    (r#"{"a.b.c":1,"a[0]":2}"#, Some(r#"{"a.b.c":1,"a[0]":2}"#)),
    (r#"{"S":"x"}"#, Some(r#"{"S":"x"}"#)),
    (r#"{"M":{"a":{"S":"b"}}}"#, Some(r#"{"M":{"a":{"S":"b"}}}"#)),
    (r#"{"NULL":true}"#, Some(r#"{"NULL":true}"#)),
];

#[tokio::test]
async fn a_value_comes_back_as_it_was_sent_or_is_refused() {
    let (stack, sessions) = service(&[]).await;
    for (sent, expected) in VALUES {
        let value: Value = serde_json::from_str(sent).unwrap();
        let session_data = one("d", &value);
        let new = NewSession { session_data, ..with_claims(one("c", &value)) };
        let tokens = match (create(&sessions, new).await, expected) {
            (Ok(tokens), Some(_)) => tokens,
            (Err(SessionError::InvalidInput(problem)), None) => {
                assert!(problem.contains("numbers must"), "{problem}");
                let bare = create(&sessions, NewSession::for_user("user-1")).await.unwrap().handle;
                let (claim, data) = (one("c", &value), one("d", &value));
                let merged = sessions.merge_into_access_token_payload(&bare, claim, START).await;
                assert!(matches!(merged, Err(SessionError::InvalidInput(_))), "{sent}");
                let updated = sessions.update_session_data(&bare, data, START).await;
                assert!(matches!(updated, Err(SessionError::InvalidInput(_))), "{sent}");
                continue;
            }
            (other, _) => panic!("{sent}: {other:?}"),
        };
        let expected = expected.unwrap();
        let bearer = bearer(tokens.refresh.expose());
        let refreshed = Tokens::of(&stack.refresh(&[("authorization", &bearer)]).await);
        for token in [&tokens.access.token, &refreshed.access] {
            assert_eq!(claims(token)["c"].to_string(), expected, "{sent}");
        }
        let stored = stack.store.session(&tokens.handle).await.unwrap().unwrap();
        assert_eq!(stored.session_data["d"].to_string(), expected, "{sent}");
        let patch = one("m", &value);
        assert!(
            sessions.merge_into_access_token_payload(&tokens.handle, patch, START).await.unwrap()
        );
        let stored = stack.store.session(&tokens.handle).await.unwrap().unwrap();
        // In a merge null removes.
        let merged =
            stored.access_token_payload.get("m").map_or("null".to_owned(), Value::to_string);
        assert_eq!(merged, expected, "{sent}");
    }
}

/// Numbers are read from text in the table and in tokens; not one may be off by its last bit.
#[tokio::test]
async fn every_fraction_survives_to_the_last_bit() {
    let (stack, sessions) = service(&[]).await;
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    let numbers: Vec<f64> = std::iter::repeat_with(|| {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        f64::from_bits(bits)
    })
    .filter(|number| (1e-100..1e9).contains(&number.abs()) && number.fract() != 0.0)
    .take(60)
    .collect();
    let sent = json!(numbers).to_string();
    let value: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(value.to_string(), sent);
    let new = NewSession { session_data: one("d", &value), ..with_claims(one("c", &value)) };
    let tokens = create(&sessions, new).await.unwrap();
    let stored = stack.store.session(&tokens.handle).await.unwrap().unwrap();
    assert_eq!(stored.session_data["d"].to_string(), sent);
    assert_eq!(stored.access_token_payload["c"].to_string(), sent);
    assert_eq!(claims(&tokens.access.token)["c"].to_string(), sent);
}

#[tokio::test]
async fn an_id_that_would_not_read_back_is_refused() {
    let (stack, sessions) = service(&[]).await;
    let new = |user: &str, recipe: &str, tenant: &str| {
        let mut new = NewSession::for_user(user);
        new.subject.recipe_user_id = UserId::new(recipe);
        new.subject.tenant_id = TenantId::new(tenant);
        new
    };
    let long = "x".repeat(257);
    stack.wire.take_calls();
    for bad in [
        "",
        " ",
        "\u{feff}x",
        " x",
        "x\n",
        "\u{a0}x",
        "a\u{0}b",
        "a\u{7}b",
        "a\u{7f}b",
        "a\u{85}b",
        &long,
    ] {
        for (which, new) in [
            ("user id", new(bad, "r", "t")),
            ("recipe user id", new("u", bad, "t")),
            ("tenant id", new("u", "r", bad)),
        ] {
            let result = create(&sessions, new).await;
            let Err(SessionError::InvalidInput(problem)) = result else {
                panic!("{which} {bad:?}: {result:?}")
            };
            assert!(problem.contains(&format!("the {which} ")), "{bad:?}: {problem}");
        }
    }
    assert_eq!(stack.wire.take_calls(), [], "bad input costs nothing");
    assert!(create(&sessions, new("jürgen@example.com", "r:1", "t 1")).await.is_ok());
}
