//! Every built function answers its `ok` event under AWS's runtime interface emulator.
//!
//! What is run is what `sam build` made. The functions reach an embedded `DynamoDB` over loopback.
//! `RIE` names the emulator, `SAM_BUILD_DIR` the folder that `sam build` filled.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use local::dynamodb::{Embedded, KEYS_TABLE, SESSIONS_TABLE, client, create_tables, store};
use serde_json::Value;
use serde_yaml_ng::Value as Yaml;
use testkit::events;

/// How often a starting emulator is asked, 100 ms apart.
const MAX_TRIES: u32 = 100;

/// A function under the emulator; ended when dropped.
struct Emulated {
    process: Child,
    url: String,
}

impl Emulated {
    fn start(logical_id: &str, table_endpoint: &str) -> Self {
        let settings = settings(logical_id);
        let binary = built(logical_id);
        let (front, runtime) = (free_address(), free_address());
        let process = Command::new(variable("RIE"))
            .args(["--runtime-interface-emulator-address", &front])
            .args(["--runtime-api-address", &runtime])
            .args(["--log-level", "error"])
            .arg(binary)
            .envs([
                ("SESSIONS_TABLE", SESSIONS_TABLE),
                ("KEYS_TABLE", KEYS_TABLE),
                ("API_DOMAIN", "https://api.example.com"),
                ("WEBSITE_DOMAIN", "https://example.com"),
                ("AWS_REGION", "eu-west-1"),
                ("AWS_ACCESS_KEY_ID", "example"),
                ("AWS_SECRET_ACCESS_KEY", "example"),
                ("AWS_ENDPOINT_URL_DYNAMODB", table_endpoint),
            ])
            .envs(settings)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://{front}/2015-03-31/functions/function/invocations");
        Self { process, url }
    }

    fn invoke(&self, event: &str) -> Value {
        for _ in 0..MAX_TRIES {
            match ureq::post(&self.url).send(event) {
                Ok(mut response) => {
                    let answer = response.body_mut().read_to_string().unwrap();
                    return serde_json::from_str(&answer).unwrap();
                }
                Err(ureq::Error::Io(_) | ureq::Error::ConnectionFailed) => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the emulator does not answer at {}", self.url);
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `sam build` made of a function.
fn built(logical_id: &str) -> PathBuf {
    let binary = Path::new(&variable("SAM_BUILD_DIR")).join(logical_id).join("bootstrap");
    assert!(binary.is_file(), "{} is missing: run `sam build`", binary.display());
    binary
}

/// What the template sets for this function alone.
fn settings(logical_id: &str) -> Vec<(String, String)> {
    let template: Yaml = serde_yaml_ng::from_str(include_str!("../../template.yaml")).unwrap();
    let properties = &template["Resources"][logical_id]["Properties"];
    let variables = properties["Environment"]["Variables"].as_mapping().into_iter().flatten();
    let plain = variables.filter_map(|(name, value)| match value {
        // Not what a parameter decides: its default is to have none of it.
        Yaml::String(value) => Some((name.as_str()?.to_owned(), value.clone())),
        _ => None,
    });
    plain.collect()
}

#[expect(clippy::disallowed_methods, reason = "says where the built functions are")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}; `make test` does"))
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// An engine on loopback that holds the test keys and the events' session; its URL.
async fn table() -> String {
    let engine = Embedded::in_memory().unwrap();
    let client = client(engine.clone());
    create_tables(&client).await.unwrap();
    let store = store(client);
    events::seed_keys(&store).await;
    events::seed_session(&store).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, engine.database().clone()));
    url
}

/// The built function's answer to its `ok` event.
async fn answer(logical_id: &'static str, case: &str) -> Value {
    let table = table().await;
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../events")).join(case);
    let event = std::fs::read_to_string(path).unwrap();
    let invoked = move || Emulated::start(logical_id, &table).invoke(&event);
    tokio::task::spawn_blocking(invoked).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_authorizer_allows() {
    let answer = answer("AuthorizerFunction", "authorizer/ok.json").await;
    assert_eq!(answer["isAuthorized"], true, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_strict_authorizer_allows_a_session_that_lives() {
    let answer = answer("StrictAuthorizerFunction", "authorizer/ok.json").await;
    assert_eq!(answer["isAuthorized"], true, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_authorizer_raises_exactly_what_rest_apis_take_for_401() {
    let case = "authorizer/rest-request-rejected-missing-token.json";
    let answer = answer("AuthorizerFunction", case).await;
    assert_eq!(answer["errorMessage"], "Unauthorized", "{answer}");
}

/// Whether a built function contains the name of this request to `DynamoDB`, which it would have to send.
fn can_send(logical_id: &str, operation: &str) -> bool {
    let target = format!("DynamoDB_20120810.{operation}");
    let binary = std::fs::read(built(logical_id)).unwrap();
    binary.windows(target.len()).any(|window| window == target.as_bytes())
}

#[test]
fn the_built_authorizers_contain_no_request_that_writes() {
    for function in ["AuthorizerFunction", "StrictAuthorizerFunction"] {
        assert!(can_send(function, "GetItem"), "{function}: the names are not where they were");
        for operation in WRITES {
            assert!(!can_send(function, operation), "{function} can send {operation}");
        }
    }
    assert!(can_send("RefreshFunction", "UpdateItem"));
}

/// Everything that changes items (`DynamoDB` API reference).
const WRITES: [&str; 7] = [
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "TransactWriteItems",
    "ExecuteStatement",
    "ExecuteTransaction",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_built_refresh_answers_with_a_new_pair() {
    let answer = answer("RefreshFunction", "refresh/ok.json").await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    assert_eq!(answer["cookies"].as_array().map(Vec::len), Some(2), "{answer}");
}

/// As it is set up by default it serves whom IAM let in.
#[tokio::test(flavor = "multi_thread")]
async fn the_built_core_refreshes_for_whom_iam_let_in() {
    let answered = answer("CoreFunction", "core/ok.json").await;
    assert!(
        answered["body"].as_str().is_some_and(|body| body.contains("refreshToken")),
        "{answered}"
    );
    let refused = answer("CoreFunction", "core/rejected-unsigned.json").await;
    assert_eq!(
        (&refused["statusCode"], &refused["body"]),
        (&401.into(), &"Invalid API key".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_signout_ends_the_session() {
    let answer = answer("SignoutFunction", "signout/ok.json").await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_create_session_creates_one() {
    let answer = answer("CreateSessionFunction", "create-session/ok.json").await;
    assert_eq!(answer["session"]["userId"], "user-1", "{answer}");
    assert_eq!(answer["response"]["cookies"].as_array().map(Vec::len), Some(2), "{answer}");
}

/// The seeded keys are years old, so successors are due; what is static rotates by command only.
#[tokio::test(flavor = "multi_thread")]
async fn the_built_rotate_keys_publishes_successors() {
    let answer = answer("RotateKeysFunction", "rotate-keys/ok.json").await;
    let keys = answer["keys"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let states: Vec<_> = keys.iter().map(|key| (&key["kind"], &key["state"])).collect();
    let count = |kind: &str, state: &str| {
        states.iter().filter(|found| **found == (&kind.into(), &state.into())).count()
    };
    assert_eq!((count("dynamic", "next"), count("master", "next")), (1, 1), "{answer}");
    assert_eq!((count("static", "active"), keys.len()), (1, 5), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_jwks_publishes_the_keys() {
    let answer = answer("JwksFunction", "jwks/ok.json").await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    assert!(answer["body"].as_str().is_some_and(|body| body.contains("d-1700000000000")));
}

/// `CloudFormation` waits for an hour for an answer, which goes to an address of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_built_checker_puts_its_answer_where_it_was_asked_to() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/answer?signature=x", server.local_addr().unwrap());
    let event = serde_json::json!({
        "RequestType": "Create",
        "ResponseURL": address,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Settings",
        "ResourceProperties": { "Settings": { "API_DOMAIN": "https://api.example.com", "WEBSITE_DOMAIN": "*" } },
    });
    let answered = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut received = String::new();
        while !received.ends_with('}') {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            assert_ne!(read, 0, "{received}");
            received.push_str(str::from_utf8(&bytes[..read]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        received
    });
    let table = table().await;
    let invoked =
        move || Emulated::start("CheckSettingsFunction", &table).invoke(&event.to_string());
    assert_eq!(tokio::task::spawn_blocking(invoked).await.unwrap(), Value::Null);
    let received = answered.join().unwrap();
    assert!(received.starts_with("PUT /answer?signature=x "), "{received}");
    assert!(
        received.contains(r#""Status":"FAILED""#) && received.contains("WEBSITE_DOMAIN"),
        "{received}"
    );
}

/// What is not linked cannot be made to run.
#[test]
fn only_functions_that_sign_contain_a_way_to_kms() {
    for (logical_id, signs) in [
        ("AuthorizerFunction", false),
        ("CheckSettingsFunction", false),
        ("JwksFunction", false),
        ("SignoutFunction", false),
        ("RefreshFunction", true),
        ("CreateSessionFunction", true),
        ("RotateKeysFunction", true),
        ("CoreFunction", true),
    ] {
        let binary = std::fs::read(built(logical_id)).unwrap();
        // The prefix of every request to KMS.
        let target = b"TrentService";
        let is_there = binary.windows(target.len()).any(|bytes| bytes == target);
        assert_eq!(is_there, signs, "{logical_id}");
    }
}
