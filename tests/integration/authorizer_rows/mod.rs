//! The authorizer behind every front door: rows 1 to 88 of docs/authorizer.md §9.
//!
//! A row stands at the lowest level that can fail here, and says so: *function*, our handler's own
//! result; *model*, our function behind a model of the gateway; *model, given result*, what the gateway
//! makes of results that ours never gives; *template*, what the templates configure. What no model can
//! prove is a check of `tests/live/smoke` (docs/authorizer.md §10).

mod http_api;
mod limits;
mod other;
mod rest_api;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use local::function::Invoked;
use serde_json::{Value, json};
use testkit::clock::START;
use testkit::front_door::{raises, returns, shape};
use testkit::{FrontDoor, Harness, Kind, events};

use crate::mint::{Jwt, bearer};

const OTHER_SITE: (&str, &str) = ("WEBSITE_DOMAIN", "https://other.com");

/// U, F and E of docs/authorizer.md §9.
const UNAUTHORIZED: &str = r#"{"message":"Unauthorized"}"#;
const FORBIDDEN: &str = r#"{"message":"Forbidden"}"#;
const SERVER_ERROR: &str = r#"{"message":"Internal Server Error"}"#;

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Our function, with these settings, behind an API of that kind.
async fn ours(kind: Kind, settings: Headers<'_>) -> (Harness, FrontDoor) {
    let stack = Harness::new(settings).await;
    let mut front = FrontDoor::new(kind, stack.stack.functions().authorizer.clone());
    front.clock = stack.clock.clone();
    (stack, front)
}

/// A function that always results in this, behind an API of that kind.
fn given(kind: Kind, result: Value) -> FrontDoor {
    FrontDoor::new(kind, returns(result))
}

/// A function that always raises this, behind an API of that kind.
fn raising(kind: Kind, message: &str) -> FrontDoor {
    FrontDoor::new(kind, raises(message))
}

fn request(method: Method, uri: &str, headers: Headers<'_>) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Bytes::new()).unwrap()
}

fn get(headers: Headers<'_>) -> Request<Bytes> {
    request(Method::GET, "/orders", headers)
}

fn post(headers: Headers<'_>) -> Request<Bytes> {
    request(Method::POST, "/orders", headers)
}

/// What our function makes of an event.
async fn function(settings: Headers<'_>, event: Value) -> Invoked {
    Harness::new(settings).await.stack.functions().authorizer.invoke(event).await
}

/// What our function makes of a request to an HTTP API.
async fn http(settings: Headers<'_>, request: &Request<Bytes>) -> Value {
    function(settings, shape::http_api_2(request)).await.unwrap()
}

/// A token that a test stack accepts.
fn valid() -> String {
    Jwt::valid().sign()
}

/// A token of the session of `events::seed_session`, which the table knows.
fn of_a_session() -> String {
    events::access_token(&events::session(), Duration::from_hours(1))
}

const STRICT: (&str, &str) = ("CHECK_DATABASE", "true");

/// Only administrators whose e-mail address was verified within ten minutes.
const DEMANDS: (&str, &str) = (
    "REQUIRED_CLAIMS",
    r#"[{"claim":"st-role","includes":"admin"},{"claim":"st-ev","isTrue":true,"maxAgeInSeconds":600}]"#,
);

/// A token with these roles, of a user whose address was verified that long ago.
fn with_roles(roles: &[&str], ago: Duration) -> String {
    let verified_at = START.as_millis() - u64::try_from(ago.as_millis()).unwrap();
    let token = Jwt::valid().claim("st-role", json!({ "v": roles, "t": START.as_millis() }));
    token.claim("st-ev", json!({ "v": true, "t": verified_at })).sign()
}

/// What the client is told of a session that is no administrator's and was verified 11 minutes ago.
const INVALID_CLAIM: &str = concat!(
    r#"{"message":"invalid claim","claimValidationErrors":[{"id":"st-role","reason":{"message":"wrong value","#,
    r#""expectedToInclude":"admin","actualValue":["user"]}},{"id":"st-ev","reason":{"message":"expired","#,
    r#""ageInSeconds":660,"maxAgeInSeconds":600}}]}"#,
);

/// A request by that session.
fn not_allowed() -> String {
    bearer(&with_roles(&["user"], Duration::from_mins(11)))
}

/// A request by a session that meets the demands.
fn allowed() -> String {
    bearer(&with_roles(&["user", "admin"], Duration::from_mins(10)))
}

#[test]
fn the_rows_of_the_document_are_the_tests_named_by_their_numbers() {
    let document = include_str!("../../../docs/authorizer.md").split("\n## ");
    let section = document.filter(|section| section.starts_with("9 ")).collect::<String>();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(' '));
    let rows: Vec<u8> = rows.filter_map(|(number, _)| number.parse().ok()).collect();
    assert_eq!(rows, (1..=88).collect::<Vec<u8>>());

    let sources =
        [include_str!("http_api.rs"), include_str!("rest_api.rs"), include_str!("other.rs")];
    let tests = sources.iter().flat_map(|source| source.split("fn row_").skip(1));
    let tests: Vec<u8> =
        tests.map(|test| test.split('_').next().unwrap().parse().unwrap()).collect();
    assert_eq!(tests, rows);
}
