//! Processes behind Lambda's Runtime API, and what becomes of those that fail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bootstrap::SystemClock;
use lambda_runtime::Diagnostic;
use local::function::{Function, Language, Program};
use local::functions::Binaries;
use serde_json::{Value, json};
use session::model::Clock as _;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/processes").join(name)
}

fn handler() -> Program {
    Program::handler(Language::JavaScript, &file("handler.mjs"))
}

fn handler_that_starts_by(act: &str) -> Function {
    Function::process(Program { variables: vec![("START".into(), act.into())], ..handler() })
}

/// A runtime of its own, which ends after so many events.
fn runtime(events: &str) -> Function {
    let arguments = vec![file("runtime.mjs").into()];
    let variables = vec![("EVENTS".into(), events.into())];
    Function::process(Program { name: "RuntimeFunction".into(), arguments, variables, ..handler() })
}

async fn count(function: &Function) -> Value {
    function.invoke(json!({ "act": "count" })).await.unwrap()
}

async fn error(function: &Function, act: &str) -> (String, String) {
    let Diagnostic { error_type, error_message } =
        function.invoke(json!({ "act": act })).await.unwrap_err();
    (error_type, error_message)
}

fn named(kind: &str, message: &str) -> (String, String) {
    (kind.to_owned(), message.to_owned())
}

/// A fresh folder.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sesam-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_process_asks_once_for_each_event_and_is_told_of_its_invocation() {
    let function = runtime("9");
    let before = SystemClock.now();
    let first = function.invoke(json!({ "number": 1 })).await.unwrap();
    let second = function.invoke(json!({ "number": 2 })).await.unwrap();
    // A `next` that did not wait for an event would have been asked again.
    assert_eq!((&first["asked"], &second["asked"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&first["event"], &second["event"]),
        (&json!({ "number": 1 }), &json!({ "number": 2 }))
    );
    assert_eq!(first["pid"], second["pid"]);
    let header = |answer: &Value, name: &str| {
        answer["headers"][format!("lambda-runtime-{name}")].as_str().unwrap().to_owned()
    };
    assert_ne!(header(&first, "aws-request-id"), header(&second, "aws-request-id"));
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:RuntimeFunction";
    assert_eq!(header(&first, "invoked-function-arn"), arn);
    assert!(header(&first, "trace-id").starts_with("Root=1-"));
    let deadline: u64 = header(&first, "deadline-ms").parse().unwrap();
    let earliest = before.plus(Duration::from_secs(30)).as_millis();
    let latest = SystemClock.now().plus(Duration::from_secs(30)).as_millis();
    assert!((earliest..=latest).contains(&deadline), "{earliest} {deadline} {latest}");
}

#[tokio::test]
async fn answers_for_unknown_invocations_are_refused_and_change_nothing() {
    let answer = Function::process(handler()).invoke(json!({ "act": "confuse" })).await.unwrap();
    let refused = json!([400, "InvalidRequestID"]);
    assert_eq!(answer, json!([refused, refused]));
}

#[tokio::test]
async fn a_process_that_exits_is_reported_and_replaced() {
    let function = Function::process(handler());
    assert_eq!(count(&function).await["invocations"], 1);
    let id = "00000000-0000-4000-8000-000000000001";
    let message = format!("RequestId: {id} Error: Runtime exited with error: exit status: 7");
    assert_eq!(error(&function, "exit").await, named("Runtime.ExitError", &message));
    assert_eq!(count(&function).await["invocations"], 1);
}

#[tokio::test]
async fn a_process_that_exits_between_two_events_is_replaced() {
    let function = runtime("1");
    let first = function.invoke(Value::Null).await.unwrap();
    let second = function.invoke(Value::Null).await.unwrap();
    assert_ne!(first["pid"], second["pid"]);
}

#[tokio::test]
async fn a_process_that_answers_too_late_is_reported_and_replaced() {
    let timeout = Duration::from_secs(2);
    let function = Function::process(Program { timeout, ..handler() });
    let before = count(&function).await;
    let (kind, message) = error(&function, "hang").await;
    assert_eq!(kind, "Sandbox.Timedout");
    assert!(message.ends_with(" Error: Task timed out after 2.00 seconds"), "{message}");
    let after = count(&function).await;
    assert_eq!(after["invocations"], 1);
    assert_ne!(before["pid"], after["pid"]);
}

#[tokio::test]
async fn a_process_that_cannot_start_says_why() {
    let function = handler_that_starts_by("throws");
    assert_eq!(error(&function, "count").await, named("TypeError", "no table"));
}

#[tokio::test]
async fn a_process_that_exits_as_it_starts_is_reported() {
    let function = handler_that_starts_by("exits");
    let message = "Runtime exited with error: exit status: 3";
    assert_eq!(error(&function, "count").await, named("Runtime.ExitError", message));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_reported() {
    let function = Function::process(Program { executable: "/nowhere".into(), ..handler() });
    let (kind, message) = error(&function, "count").await;
    assert_eq!(kind, "Runtime.InvalidEntrypoint");
    assert!(message.starts_with("/nowhere: "), "{message}");
}

#[tokio::test]
async fn events_at_once_have_a_process_each() {
    let folder = folder("meet");
    let function = Function::process(handler());
    let meet = || function.invoke(json!({ "act": "meet", "folder": folder, "processes": 2 }));
    let (one, other) = tokio::join!(meet(), meet());
    assert_ne!(one.unwrap(), other.unwrap());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_events_at_once_than_there_may_be_processes_wait_for_one() {
    let function = runtime("99");
    let invocations: Vec<_> = (0..20)
        .map(|number| {
            let function = function.clone();
            tokio::spawn(async move { function.invoke(json!(number)).await.unwrap() })
        })
        .collect();
    let mut pids = BTreeSet::new();
    for (number, invocation) in invocations.into_iter().enumerate() {
        let answer = invocation.await.unwrap();
        assert_eq!(answer["event"], number);
        pids.insert(answer["pid"].as_u64().unwrap());
    }
    assert!(pids.len() <= 8, "{pids:?}");
}

/// `cargo build` puts binaries beside each other, `cargo lambda build` and `sam build` each into a folder.
#[tokio::test]
async fn built_functions_are_found_as_each_tool_lays_them_out() {
    for place in ["jwks", "jwks/bootstrap", "JwksFunction/bootstrap"] {
        let folder = folder("built");
        let file = folder.join(place);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        // A shell that has nothing to read ends at once.
        std::os::unix::fs::symlink("/bin/sh", &file).unwrap();
        let binaries = Binaries::new(folder.clone(), Vec::new(), String::new());
        let jwks = binaries.function("JwksFunction", &[]).unwrap();
        let message = "Runtime exited with error: exit status: 0";
        assert_eq!(error(&jwks, "").await, named("Runtime.ExitError", message), "{place}");
        let missing = binaries.function("CoreFunction", &[]).unwrap_err().to_string();
        assert!(missing.contains("no `core-driver`: build"), "{missing}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
