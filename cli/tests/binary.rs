//! The built command line as a process, against a `DynamoDB` on a port: what it prints where, and its exit codes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "that is how a test reports")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use local::dynamodb::{Embedded, client, create_tables, store};
use serde_json::{Value, json};
use testkit::events;
use tokio::net::TcpListener;

/// An engine that is served on a port of its own.
struct Database {
    engine: Embedded,
    endpoint: String,
}

impl Database {
    /// Without tables.
    async fn empty() -> Self {
        let engine = Embedded::in_memory().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(engine.clone().serve(listener));
        Self { engine, endpoint }
    }

    /// With the test keys, and the session of the events.
    async fn seeded() -> Self {
        let database = Self::empty().await;
        let client = client(database.engine.clone());
        create_tables(&client).await.unwrap();
        let store = store(client);
        events::seed_keys(&store).await;
        events::seed_session(&store).await;
        database
    }

    fn sesam(&self, arguments: &[&str]) -> Output {
        sesam(&[&["--endpoint", &self.endpoint], arguments].concat(), "")
    }
}

#[derive(Debug)]
struct Output {
    code: i32,
    out: String,
    err: String,
}

impl Output {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// Runs the binary with nothing in its environment, and nobody at a terminal.
fn sesam(arguments: &[&str], input: &str) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_sesam"))
        .args(arguments)
        .env_clear()
        // There is no such service here, which is found out only after seconds.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that reads no input may have ended before.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let output = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Output {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_becomes_one_that_the_doctor_finds_nothing_wrong_with() {
    let database = Database::empty().await;
    let looked = database.sesam(&["doctor"]);
    assert_eq!(looked.code, 3, "{looked:?}");
    assert!(looked.out.contains("PROBLEM  table Sessions"), "{looked:?}");

    let made = database.sesam(&["tables", "create"]);
    assert_eq!((made.code, made.out.as_str()), (0, "Sessions  made\nKeys  made\n"));
    let again = database.sesam(&["--json", "tables", "create"]);
    assert_eq!(again.json()["tables"][1], json!({ "table": "Keys", "made": false }));
    let looked = database.sesam(&["--json", "doctor"]);
    assert_eq!((looked.code, &looked.json()["problems"]), (3, &json!(1)), "{looked:?}");

    assert_eq!(database.sesam(&["keys", "rotate"]).code, 0);
    let keys = database.sesam(&["--json", "keys", "list"]);
    let keys = keys.json()["keys"].as_array().unwrap().len();
    assert_eq!(database.sesam(&["keys", "list"]).out.lines().count(), 1 + keys);
    let looked = database.sesam(&["doctor"]);
    assert_eq!(looked.code, 0, "{looked:?}");
    assert!(looked.out.ends_with("\n0 problems, 0 warnings\n"), "{looked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ended_once_somebody_has_said_yes() {
    let database = Database::seeded().await;
    let handle = events::session().handle.to_string();
    let listed = database.sesam(&["--json", "sessions", "list", "user-1"]);
    assert_eq!(listed.json()["sessions"][0]["sessionHandle"], handle);

    let asked = database.sesam(&["sessions", "end", &handle]);
    assert_eq!((asked.code, asked.out.as_str()), (4, ""));
    assert_eq!(
        asked.err,
        "error: there is no terminal to ask at; say --yes if you are sure: not confirmed: nothing was done\n"
    );
    assert!(database.sesam(&["sessions", "list", "user-1"]).out.contains(&handle));

    let ended = database.sesam(&["--yes", "sessions", "end", &handle]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    let listed = database.sesam(&["sessions", "list", "user-1"]);
    assert_eq!((listed.code, listed.out.as_str()), (0, "user-1 has no session.\n"));
    assert_eq!(database.sesam(&["sessions", "end", &handle]).code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_read_from_the_input_and_never_printed() {
    let database = Database::seeded().await;
    let events = events::all();
    let token = |file: &str| {
        let (_, event) = events.iter().find(|(name, _)| *name == file).unwrap();
        event["authorizationToken"].as_str().unwrap().to_owned()
    };
    let endpoint = ["--endpoint", &database.endpoint];
    for (file, code, line) in [
        ("authorizer/rest-token-ok.json", 0, "accepted: all 11 rules hold"),
        ("authorizer/rest-token-rejected-expired-token.json", 3, "refused by rule 10 of 11: "),
    ] {
        let token = token(file);
        let told = sesam(&[&endpoint[..], &["token", "inspect"]].concat(), &token);
        assert_eq!(told.code, code, "{told:?}");
        assert!(told.out.starts_with(line), "{told:?}");
        let jwt = token.trim_start_matches("Bearer ");
        assert!(!told.out.contains(jwt) && !told.err.contains(jwt));
    }
}

/// Each is one line of what is wrong and, where that is known, one of what to do.
#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_command_from_working_is_said_in_two_lines() {
    let database = Database::seeded().await;
    // The port of a service that has gone out of use, so nobody listens.
    let closed = "http://127.0.0.1:1";
    let list = ["sessions", "list", "user-1"];
    let tables = ["--sessions-table", "Sessions", "--keys-table", "Keys"];
    for (arguments, code, what, advice) in [
        (
            &["--endpoint", closed][..],
            1,
            "connection",
            "nothing answers there: look at --region, --endpoint, the credentials and the network",
        ),
        (
            &["--endpoint", &database.endpoint, "--sessions-table", "Other"],
            1,
            "ResourceNotFoundException",
            "or make them with `sesam tables create`",
        ),
        (
            &[&tables[..], &["--region", "eu-west-1"]].concat(),
            1,
            "without credentials",
            "sign in to AWS, or choose a profile with --profile",
        ),
        (&[], 1, "which table is not known", "name the stack with --stack"),
    ] {
        let failed = sesam(&[arguments, &list].concat(), "");
        assert_eq!((failed.code, failed.out.as_str()), (code, ""), "{failed:?}");
        assert!(failed.err.starts_with("error: ") && failed.err.contains(what), "{failed:?}");
        assert!(failed.err.contains(advice) && failed.err.lines().count() <= 2, "{failed:?}");
    }
    let unknown = sesam(&["session", "list"], "");
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("a similar subcommand exists: 'sessions'"), "{unknown:?}");
}
