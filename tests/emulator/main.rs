//! Every built function answers each of its events under AWS's runtime interface emulator, as `sam local
//! invoke` would run it.
//!
//! What is run is what `sam build` made, with the variables that SAM itself resolves; only the address of
//! the embedded `DynamoDB` is another. `RIE` names the emulator, `SAM_BUILD_DIR` the folder that `sam build`
//! filled, `SAM_ENVIRONMENT` what `scripts/sam-environment` printed.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::events::{cases, serve_tables};

/// How often a starting emulator is asked, 100 ms apart.
const MAX_TRIES: u32 = 100;

/// A function under the emulator; ended when dropped.
struct Emulated {
    process: Child,
    url: String,
}

impl Emulated {
    fn start(logical_id: &str, table_endpoint: &str) -> Self {
        let binary = built(logical_id);
        let (front, runtime) = (free_address(), free_address());
        let process = Command::new(variable("RIE"))
            .args(["--runtime-interface-emulator-address", &front])
            .args(["--runtime-api-address", &runtime])
            .args(["--log-level", "error"])
            .arg(binary)
            .env_clear()
            .envs(environment(logical_id))
            .env("AWS_ENDPOINT_URL_DYNAMODB", table_endpoint)
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

/// What `sam local` sets for this function, with `events/env.json`.
fn environment(logical_id: &str) -> BTreeMap<String, String> {
    let resolved = std::fs::read_to_string(variable("SAM_ENVIRONMENT")).unwrap();
    let mut resolved: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(&resolved).unwrap();
    resolved.remove(logical_id).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "says where the built functions are")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}; `make test` does"))
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The built function's answer to an event.
async fn answer(logical_id: &'static str, event: &Value) -> Value {
    let (table, event) = (serve_tables().await, event.to_string());
    let invoked = move || Emulated::start(logical_id, &table).invoke(&event);
    tokio::task::spawn_blocking(invoked).await.unwrap()
}

/// The event of a file.
fn event(path: &str) -> Value {
    cases().into_iter().find(|case| case.path == path).unwrap().event
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_answered_as_stated() {
    let mut problems = Vec::new();
    for case in cases() {
        problems.extend(case.problem(&answer(case.logical_id, &case.event).await));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_strict_authorizer_allows_a_session_that_lives() {
    let answer = answer("StrictAuthorizerFunction", &event("authorizer/ok.json")).await;
    assert_eq!(answer["isAuthorized"], true, "{answer}");
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

/// The seeded keys are years old, so successors are due; what is static rotates by command only.
#[tokio::test(flavor = "multi_thread")]
async fn the_built_rotate_keys_publishes_successors() {
    let answer = answer("RotateKeysFunction", &event("rotate-keys/ok.json")).await;
    let keys = answer["keys"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let states: Vec<_> = keys.iter().map(|key| (&key["kind"], &key["state"])).collect();
    let count = |kind: &str, state: &str| {
        states.iter().filter(|found| **found == (&kind.into(), &state.into())).count()
    };
    assert_eq!((count("dynamic", "next"), count("master", "next")), (1, 1), "{answer}");
    assert_eq!((count("static", "active"), keys.len()), (1, 5), "{answer}");
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
    let table = serve_tables().await;
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
        ("SessionsFunction", false),
        ("RevokeFunction", false),
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
