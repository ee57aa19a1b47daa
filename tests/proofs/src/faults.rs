//! Every request to the table, broken in every way: the error that is documented, and nothing lost.
//!
//! What is expected of each cell is written down in [`TABLE`], not derived from the code. After every
//! cell the fault is repaired and the same request made again, which must then succeed and leave the
//! session exactly one step further, whatever had been applied before.

use std::fmt::Write as _;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use http::{Request, header};
use local::dynamodb::{Embedded, KEYS_TABLE, SESSIONS_TABLE, client, create_tables, store};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};
use session::error::Ended;
use session::http::{Response, VerifyOptions, error_response};
use session::model::{Device, Keeper, NewSession, Session, SessionHandle, Timestamp, UserId};
use session::store::{DynamoDb, KeyRotator as _, SessionReader as _, StoreError};
use session::token::UnverifiedRefreshToken;
use session::{SessionConfig, SessionError, Sessions};
use testkit::clock::START;
use testkit::harness::{config, cookie, text};
use testkit::{Fault, Treatment, Wire, keys};

use crate::{Claim, Size};

/// Rows are the requests to the table, columns what goes wrong with them. A cell says how the client
/// is answered if that happens to the first attempt only, and if it happens to every attempt:
///
/// | Word | Answer |
/// |---|---|
/// | `ok` | what was asked for |
/// | `503` | unavailable: come again; no token and nothing cleared |
/// | `500` | a fault of ours; no token and nothing cleared |
/// | `end` | 401 and the tokens are cleared: certain, the session is over |
/// | `try` | 401 without clearing anything: refresh first |
///
/// A session that is missing was signed out, so `end` is right for it and only for it. Deleting needs
/// neither the item nor its format.
const TABLE: &str = "
    request            silence reset  throttle 500    applied+silence applied+reset applied+500 missing newer   no-table denied
    get-public-keys    ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      try/try 500/500 500/500  500/500
    get-private-keys   ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      500/500 500/500 500/500  500/500
    create-keys        ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      ok/ok   500/500 500/500  500/500
    create-session     ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      ok/ok   ok/ok   500/500  500/500
    get-session        ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      ok/ok   500/500 500/500  500/500
    list-sessions      ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      ok/ok   500/500 500/500  500/500
    replace-data       ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      end/end 500/500 500/500  500/500
    merge-claims       ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      end/end 500/500 500/500  500/500
    rotate             ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      end/end 500/500 500/500  500/500
    advance-coalesce   ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      end/end 500/500 500/500  500/500
    advance-serve      ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      end/end 500/500 500/500  500/500
    advance-recover    ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      end/end 500/500 500/500  500/500
    advance-reclaim    ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      end/end 500/500 500/500  500/500
    entomb             end/503 end/503 end/503 end/503 end/503        end/503       end/503     end/end 500/500 500/500  500/500
    delete-session     ok/503  ok/503 ok/503   ok/503 ok/503          ok/503        ok/503      ok/ok   ok/ok   500/500  500/500
";

/// Gathers the evidence. The table is small, so both sizes are the same.
pub fn run(_: Size) -> anyhow::Result<Vec<Claim>> {
    let mut lines = TABLE.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let columns = lines.by_ref().find(|line| !line.is_empty()).unwrap_or_default();
    let mut printed = String::new();
    let (mut cells, mut wrong) = (0, 0);
    for row in lines.filter(|row| !row.is_empty()) {
        let request = row[0];
        write!(printed, "    {request:<17}")?;
        for (trouble, expected) in columns.iter().zip(&row).skip(1) {
            let found = [Until::FirstAttempt, Until::Repaired]
                .map(|until| Cell { request, trouble, until }.answer());
            let found = found.join("/");
            cells += 1;
            if found == *expected {
                write!(printed, " {found:<8}")?;
            } else {
                wrong += 1;
                println!("{request} × {trouble}: expected {expected}, found {found}");
            }
        }
        printed.push('\n');
    }
    println!("    {}\n{printed}", columns.join(" "));
    Ok(vec![Claim {
        text: format!(
            "a fault of the store is never a refusal and loses nothing: {cells} pairs of a request \
             and a fault, on the first attempt and on every attempt, answer as the table says"
        ),
        holds: wrong == 0 && cells == 165,
    }])
}

/// How long the trouble lasts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Until {
    FirstAttempt,
    Repaired,
}

#[derive(Clone, Copy, Debug)]
struct Cell<'a> {
    request: &'a str,
    trouble: &'a str,
    until: Until,
}

/// What a cell's request is made in.
struct Stage {
    wire: Wire,
    settings: SessionConfig,
    service: Sessions<DynamoDb>,
    /// A way to the table that never fails.
    quiet: Client,
    handle: Option<SessionHandle>,
    refresh_token: String,
    /// Whether it is sent by header, so that its answer may have been stored late.
    uses_headers: bool,
    access_token: String,
    now: Timestamp,
    rng: StdRng,
}

impl Cell<'_> {
    /// Plays the cell in virtual time; a second word after a colon says what was wrong afterwards.
    fn answer(self) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut stage = Stage::new(self.request).await;
            stage.break_down(self);
            let answer = word(&stage.ask(self.request).await);
            stage.repair(self).await;
            match stage.check(self, answer).await {
                Ok(()) => answer.to_owned(),
                Err(problem) => format!("{answer}:{problem}"),
            }
        })
    }

    /// How many requests come before the one that is broken.
    fn requests_before(self) -> usize {
        match self.request {
            // The first finds that there are no keys; the refresh first tries the usual case.
            "create-keys" | "entomb" => 1,
            request if request.starts_with("advance") => 1,
            _ => 0,
        }
    }

    fn fault(self) -> Option<Fault> {
        Some(match self.trouble {
            "silence" => Fault::Silence,
            "reset" => Fault::ConnectionReset,
            "throttle" => Fault::Throttled,
            "500" => Fault::ServerError,
            "applied+silence" => Fault::AppliedButSilence,
            "applied+reset" => Fault::AppliedButReset,
            "applied+500" => Fault::AppliedButServerError,
            "no-table" => Fault::TableMissing,
            "denied" => Fault::AccessDenied,
            _ => return None,
        })
    }
}

impl Stage {
    async fn new(request: &str) -> Self {
        let wire = Wire::new();
        let settings = config(&[("SIGNING_ALGORITHM", "ES256")]);
        let quiet = client(wire.engine().clone());
        create_tables(&quiet).await.unwrap();
        let mut stage = Self {
            service: process(&wire, &settings),
            wire,
            settings,
            quiet,
            handle: None,
            refresh_token: String::new(),
            uses_headers: request == "advance-reclaim",
            access_token: String::new(),
            now: START,
            rng: StdRng::seed_from_u64(0),
        };
        if request == "create-keys" {
            return stage;
        }
        let (private, public) = keys::stored();
        store(stage.quiet.clone()).replace_keys(&private, &public).await.unwrap();
        let (handle, refresh_token) = stage.create().await.unwrap();
        (stage.handle, stage.refresh_token) = (Some(handle), refresh_token);
        let window = stage.settings.refresh.window();
        let late = window + Duration::from_millis(1);
        // Which tokens are presented before, and which then; and how long each comes after the other.
        let past: Option<(&[usize], usize, Duration)> = match request {
            "advance-coalesce" => Some((&[0], 1, Duration::from_millis(1))),
            "advance-serve" => Some((&[0], 0, Duration::from_millis(1))),
            "advance-recover" => Some((&[0], 0, late)),
            "advance-reclaim" => Some((&[0, 0], 1, late)),
            "entomb" => Some((&[0, 1], 0, late)),
            _ => None,
        };
        if let Some((presented, last, pause)) = past {
            let mut tokens = vec![stage.refresh_token.clone()];
            for token in presented {
                stage.refresh_token.clone_from(&tokens[*token]);
                let response = stage.refresh().await;
                tokens.push(stage.refresh_token_of(&response).unwrap());
                stage.now = stage.now.plus(pause);
            }
            stage.refresh_token.clone_from(&tokens[last]);
        }
        match request {
            // The keys are read by a process that has not loaded any yet.
            "get-public-keys" | "get-private-keys" => {
                stage.service = process(&stage.wire, &stage.settings);
            }
            // Signing out verifies, and the keys for that are no part of this cell.
            "delete-session" => {
                let _ = stage.service.published_keys(stage.now).await.unwrap();
            }
            _ => {}
        }
        stage
    }

    /// Breaks the cell's request: on the wire, or by what it finds in the table.
    fn break_down(&self, cell: Cell<'_>) {
        let (before, fault) = (cell.requests_before(), cell.fault());
        let damage = self.damage(cell);
        let engine = self.wire.engine().clone();
        let mut number = 0;
        self.wire.govern(move |_| {
            number += 1;
            if number == before + 1 {
                damage.iter().for_each(|change| apply(&engine, change));
            }
            let is_broken =
                number == before + 1 || number > before && cell.until == Until::Repaired;
            Treatment { fault: fault.filter(|_| is_broken), ..Treatment::default() }
        });
    }

    /// How the item is removed, or replaced by one that this version cannot read.
    fn damage(&self, cell: Cell<'_>) -> Option<Change> {
        let is_missing = match cell.trouble {
            "missing" => true,
            "newer" => false,
            _ => return None,
        };
        let key_item = match cell.request {
            "get-public-keys" => Some("public#public"),
            "get-private-keys" => Some("public#private"),
            // Another process was first, and is newer.
            "create-keys" if !is_missing => Some("public#private"),
            _ => None,
        };
        if let Some(pk) = key_item {
            let document = json!({ "pk": { "S": pk }, "document": { "B": "eyJmb3JtYXQiOjJ9" } });
            return Some(if is_missing {
                ("DeleteItem", json!({ "TableName": KEYS_TABLE, "Key": { "pk": { "S": pk } } }))
            } else {
                ("PutItem", json!({ "TableName": KEYS_TABLE, "Item": document }))
            });
        }
        let handle = self.handle?;
        let (pk, sk) = (format!("public#{}", handle.partition()), handle.to_string());
        let key = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
        Some(if is_missing {
            ("DeleteItem", json!({ "TableName": SESSIONS_TABLE, "Key": key }))
        } else {
            ("UpdateItem", set_format(&key, "2"))
        })
    }

    /// Ends the trouble. A session that was removed stays removed: that is a sign-out.
    async fn repair(&self, cell: Cell<'_>) {
        self.wire.govern(|_| Treatment::default());
        let Some((operation, body)) = self.damage(cell) else { return };
        if body["TableName"] == KEYS_TABLE {
            for pk in ["public#private", "public#public"] {
                let gone = json!({ "TableName": KEYS_TABLE, "Key": { "pk": { "S": pk } } });
                apply(self.wire.engine(), &("DeleteItem", gone));
            }
            let (private, public) = keys::stored();
            store(self.quiet.clone()).replace_keys(&private, &public).await.unwrap();
        } else if operation == "UpdateItem" && self.session().await.is_err() {
            apply(self.wire.engine(), &("UpdateItem", set_format(&body["Key"], "1")));
        }
    }

    /// Makes the cell's request.
    async fn ask(&mut self, request: &str) -> Response {
        let result = match request {
            "get-public-keys" => {
                let request = with_cookie("sAccessToken", &self.access_token);
                let options = VerifyOptions::default();
                let verified = session::http::verify(&self.service, &request, options, self.now);
                verified.await.map(|_| ())
            }
            "get-session" => {
                let session = self.service.store().session(&self.handle.unwrap()).await;
                session.map(|_| ()).map_err(SessionError::from)
            }
            "list-sessions" => {
                let user = UserId::new("user-1");
                self.service.handles_of(&user, self.now).await.map(|_| ())
            }
            "replace-data" => {
                let handle = self.handle.unwrap();
                found(self.service.update_session_data(&handle, changed(), self.now).await)
            }
            "merge-claims" => {
                let (handle, patch) = (self.handle.unwrap(), changed());
                let merged = self.service.merge_into_access_token_payload(&handle, patch, self.now);
                found(merged.await)
            }
            "create-keys" | "create-session" => match self.create().await {
                Ok((handle, refresh_token)) => {
                    (self.handle, self.refresh_token) = (Some(handle), refresh_token);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            "delete-session" => {
                let request = with_cookie("sAccessToken", &self.access_token);
                return session::http::sign_out(&self.service, &request, self.now).await.0;
            }
            _ => return self.refresh().await,
        };
        match result {
            Ok(()) => session::http::json(http::StatusCode::OK, &json!({})),
            Err(error) => error_response(&self.settings, &http::HeaderMap::new(), &error),
        }
    }

    /// After the repair: the same request succeeds, and the session is where one success takes it.
    async fn check(&mut self, cell: Cell<'_>, answer: &str) -> Result<(), String> {
        let was_removed = cell.trouble == "missing" && answer == "end";
        let again = self.ask(cell.request).await;
        let (word, refresh_token) = (word(&again), self.refresh_token_of(&again));
        let is_over = was_removed || cell.request == "entomb";
        if word != if is_over { "end" } else { "ok" } {
            return Err(format!("again={word}"));
        }
        if cell.request.starts_with("create") {
            // What it handed out, now or before, is good.
            let response = self.refresh().await;
            return if response.status() == 200 { Ok(()) } else { Err("not-created".into()) };
        }
        let state = self.session().await.map_err(|error| error.to_string())?;
        let is_unchanged = state.as_ref().is_some_and(|session| match cell.request {
            "replace-data" => session.session_data != changed(),
            "merge-claims" => session.access_token_payload.get("a") != Some(&json!(1)),
            _ => false,
        });
        if is_unchanged {
            return Err("unchanged".into());
        }
        let state = state.map(|session| session.refresh);
        let generation = state.map(|state| state.current.number());
        let expected = match cell.request {
            "delete-session" => None,
            _ if was_removed => None,
            "get-session" | "list-sessions" if cell.trouble == "missing" => None,
            "get-public-keys" | "get-session" | "list-sessions" | "replace-data"
            | "merge-claims" => Some(1),
            "get-private-keys" | "rotate" | "advance-coalesce" | "advance-serve" => Some(2),
            "advance-reclaim" => Some(4),
            _ => Some(3),
        };
        if generation != expected {
            return Err(format!("generation={generation:?}"));
        }
        if cell.request == "entomb" && state.is_some_and(|state| state.revoked_at.is_none()) {
            return Err("not-entombed".into());
        }
        let presented = refresh_token.as_deref().and_then(UnverifiedRefreshToken::parse);
        let claims = presented.and_then(|token| token.verify(&keys::master()));
        match claims {
            Some(claims) if Some(claims.generation.number()) != expected => Err("stale".into()),
            _ => Ok(()),
        }
    }

    async fn refresh(&self) -> Response {
        let token = &self.refresh_token;
        let request = if self.uses_headers {
            let request =
                Request::post("/").header(header::AUTHORIZATION, format!("Bearer {token}"));
            request.body(()).unwrap()
        } else {
            with_cookie("sRefreshToken", token)
        };
        let device = Device::default();
        session::http::refresh(&self.service, &request, &device, self.now).await.0
    }

    fn refresh_token_of(&self, response: &Response) -> Option<String> {
        if self.uses_headers {
            Some(text(response.headers(), "st-refresh-token")).filter(|token| !token.is_empty())
        } else {
            cookie(response.headers(), "sRefreshToken")
        }
    }

    async fn create(&mut self) -> Result<(SessionHandle, String), SessionError> {
        let keeper = if self.uses_headers { Keeper::Script } else { Keeper::Browser };
        let new = NewSession { keeper, ..NewSession::for_user("user-1") };
        let device = Device::default();
        let created = self.service.create(new, device, false, self.now, &mut self.rng).await?;
        self.access_token = created.access.token;
        Ok((created.handle, created.refresh.expose().to_owned()))
    }

    async fn session(&self) -> Result<Option<Session>, StoreError> {
        store(self.quiet.clone()).session(&self.handle.unwrap()).await
    }
}

/// A request to the engine in its own protocol.
type Change = (&'static str, Value);

fn apply(engine: &Embedded, (operation, body): &Change) {
    let target = format!("DynamoDB_20120810.{operation}");
    let (status, answer) = engine.answer(&target, body.to_string().as_bytes());
    assert_eq!(status, 200, "{answer}");
}

fn set_format(key: &Value, format: &str) -> Value {
    json!({
        "TableName": SESSIONS_TABLE,
        "Key": key,
        "UpdateExpression": "SET #format = :format",
        "ExpressionAttributeNames": { "#format": "format" },
        "ExpressionAttributeValues": { ":format": { "N": format } },
    })
}

/// What data and claims are changed to.
fn changed() -> Map<String, Value> {
    Map::from_iter([("a".to_owned(), json!(1))])
}

/// A session that is not there is over, as it is to a handler.
fn found(changed: Result<bool, SessionError>) -> Result<(), SessionError> {
    if changed? { Ok(()) } else { Err(SessionError::SessionEnded(Ended::Unknown)) }
}

/// A server process: no keys loaded, all retries left.
fn process(wire: &Wire, settings: &SessionConfig) -> Sessions<DynamoDb> {
    let own = RetryPartition::custom("own").build();
    let config = client(wire.clone()).config().to_builder().retry_partition(own).build();
    Sessions::new(settings.clone(), store(Client::from_conf(config)))
}

fn with_cookie(name: &str, token: &str) -> Request<()> {
    Request::post("/").header(header::COOKIE, format!("{name}={token}")).body(()).unwrap()
}

/// The table's word for an answer.
fn word(response: &Response) -> &'static str {
    let headers = response.headers();
    let carries = |name: &str| headers.contains_key(name);
    let is_emptied = |name| cookie(headers, name).is_some_and(|value| value.is_empty());
    let is_empty = |name| headers.get(name).is_some_and(http::HeaderValue::is_empty);
    let is_clearing = (is_emptied("sRefreshToken") && is_emptied("sAccessToken")
        || is_empty("st-refresh-token") && is_empty("st-access-token"))
        && text(headers, "front-token") == "remove";
    let is_silent = !carries("set-cookie")
        && !carries("front-token")
        && !carries("st-access-token")
        && !carries("st-refresh-token");
    match response.status().as_u16() {
        200 => "ok",
        401 if is_clearing => "end",
        401 if is_silent => "try",
        503 if is_silent && carries("retry-after") => "503",
        500 if is_silent => "500",
        _ => "?",
    }
}
