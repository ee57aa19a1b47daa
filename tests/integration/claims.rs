//! What an application may say in claims and data: it arrives as it was sent, or is refused.

use serde_json::{Value, json};
use testkit::Harness;
use testkit::clock::START;
use testkit::front_door::shape;

use crate::mint::{Jwt, bearer};

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
