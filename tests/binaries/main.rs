//! Every function that `cargo build` made answers each of its events as a process behind the local stack's
//! Runtime API, and no process outlives the stack.
//!
//! `BINARIES` names the folder that the functions and the executable `local` are in.

mod telemetry;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use local::functions::Binaries;
use serde_json::Value;
use testkit::events::{cases, serve_tables};

#[expect(clippy::disallowed_methods, reason = "says where the built functions are")]
fn folder() -> PathBuf {
    std::env::var("BINARIES").expect("set BINARIES; `make binaries` does").into()
}

/// What `sam local invoke` would print.
async fn answer(logical_id: &str, own: &[(&str, &str)], event: Value) -> Value {
    let settings =
        [("API_DOMAIN", "https://api.example.com"), ("WEBSITE_DOMAIN", "https://example.com")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let binaries = Binaries::new(folder(), settings.into(), serve_tables().await);
    match binaries.function(logical_id, own).unwrap().invoke(event).await {
        Ok(answer) => answer,
        Err(error) => serde_json::to_value(error).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_answered_as_stated() {
    let mut problems = Vec::new();
    for case in cases() {
        let answer = answer(case.logical_id, &[], case.event.clone()).await;
        problems.extend(case.problem(&answer));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_strict_authorizer_allows_a_session_that_lives() {
    let case = cases().into_iter().find(|case| case.path == "authorizer/ok.json").unwrap();
    let strict = [("CHECK_DATABASE", "true")];
    let answer = answer("StrictAuthorizerFunction", &strict, case.event).await;
    assert_eq!(answer["isAuthorized"], true, "{answer}");
}

/// What a deployment would notice only when its functions are invoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_whose_settings_cannot_work_exits_as_it_starts() {
    let own = [("API_DOMAIN", "*")];
    let answer = answer("RefreshFunction", &own, Value::Null).await;
    assert_eq!(answer["errorType"], "Runtime.ExitError", "{answer}");
}

/// Processes by their parent.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> BTreeSet<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        (line.trim().parse() == Ok(parent)).then_some(id)
    });
    processes.collect()
}

/// Not even if the stack is killed: a process whose Runtime API has gone ends by itself.
#[cfg(target_os = "linux")]
#[test]
fn no_process_outlives_the_stack() {
    for signal in ["TERM", "KILL"] {
        let mut stack = Command::new(folder().join("local"))
            .args(["--port", "0", "--binaries"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Its greeting comes once keys have been made, which a process does.
        let mut greeting = std::io::BufReader::new(stack.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut greeting, &mut String::new()).unwrap();
        let functions = children(stack.id());
        assert!(!functions.is_empty(), "nothing runs as a process");
        let kill = format!("kill -s {signal} {}", stack.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        stack.wait().unwrap();
        // A zombie has no executable any more.
        let runs = |id: &u32| std::fs::read_link(format!("/proc/{id}/exe")).is_ok();
        for _ in 0..300 {
            if !functions.iter().any(runs) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(!functions.iter().any(runs), "{functions:?} survived SIG{signal}");
    }
}
