//! The operator's command line, against the embedded table and a model of the services that it reads a stack by.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use clap::Parser as _;
use local::dynamodb::{client, create_tables, sdk_config, store};
use serde_json::{Value, json};
use sesam::{Arguments, Ending, Machine, Terminal};
use session::model::{Device, Generation, Session, SessionHandle, TenantId, Timestamp, UserId};
use session::store::{DynamoDb, SessionCreator as _, SessionReader as _};
use testkit::clock::START;
use testkit::{Fault, ManualClock, Wire, events, keys};

use crate::mint::Jwt;

/// What resources of other stacks are called here.
const OTHERS: &str = "of another stack: ";

const HOUR: Duration = Duration::from_hours(1);

/// What AWS answers: tables from the engine, a stack from what it was told.
#[derive(Clone, Debug)]
struct Aws {
    wire: Wire,
    /// Name, kind, id and properties of each resource of the stack `sesam`.
    stack: Arc<Vec<(&'static str, &'static str, String, Value)>>,
    date: &'static str,
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let answer = match target.split_once('.') {
            Some(("CloudApiService", operation)) => self.cloud_control(operation, &body),
            Some((_, "DescribeContinuousBackups")) => json!({ "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "DISABLED" },
            } })
            .to_string(),
            Some(_) => {
                let (answer, date) = (self.wire.call(request), self.date);
                return HttpConnectorFuture::new(async move {
                    let mut answer = answer.await?;
                    answer.headers_mut().insert("date", date);
                    Ok(answer)
                });
            }
            None => self.stack_resources(),
        };
        let answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::from(answer));
        HttpConnectorFuture::ready(Ok(answer))
    }
}

impl Aws {
    /// Tables with the test keys, and no stack.
    async fn new() -> Self {
        let wire = Wire::new();
        let table = client(wire.clone());
        create_tables(&table).await.unwrap();
        events::seed_keys(&store(table)).await;
        Self { wire, stack: Arc::default(), date: "Tue, 14 Nov 2023 22:13:21 GMT" }
    }

    fn store(&self) -> DynamoDb {
        store(client(self.wire.clone()))
    }

    fn cloud_control(&self, operation: &str, body: &[u8]) -> String {
        let asked: Value = serde_json::from_slice(body).unwrap();
        let kind = asked["TypeName"].as_str().unwrap();
        let of_kind = self.stack.iter().filter(|(_, found, ..)| *found == kind);
        let described = |(_, _, id, properties): &(_, _, String, Value)| json!({ "Identifier": id, "Properties": properties.to_string() });
        match operation {
            "GetResource" => {
                let found = of_kind.clone().find(|(_, _, id, _)| *id == asked["Identifier"]);
                json!({ "TypeName": kind, "ResourceDescription": described(found.unwrap()) })
            }
            "ListResources" => {
                let owner = asked["ResourceModel"].as_str().unwrap_or("{}");
                let owner: Value = serde_json::from_str(owner).unwrap();
                let is_owned = |properties: &Value| {
                    owner.as_object().unwrap().iter().all(|(name, id)| properties[name] == *id)
                };
                let found = of_kind.filter(|(_, _, _, properties)| is_owned(properties));
                let found = found.map(|(_, _, id, _)| json!({ "Identifier": id }));
                json!({ "ResourceDescriptions": found.collect::<Vec<_>>() })
            }
            other => unreachable!("{other} is not asked for"),
        }
        .to_string()
    }

    fn stack_resources(&self) -> String {
        let own = self.stack.iter().filter(|(name, ..)| !name.starts_with(OTHERS));
        let members = own.map(|(name, kind, id, _)| {
            format!(
                "<member><LogicalResourceId>{name}</LogicalResourceId><ResourceType>{kind}</ResourceType>\
                 <PhysicalResourceId>{id}</PhysicalResourceId><ResourceStatus>CREATE_COMPLETE</ResourceStatus>\
                 <LastUpdatedTimestamp>2023-11-14T22:13:20Z</LastUpdatedTimestamp></member>"
            )
        });
        format!(
            "<ListStackResourcesResponse><ListStackResourcesResult><StackResourceSummaries>{}\
             </StackResourceSummaries></ListStackResourcesResult></ListStackResourcesResponse>",
            members.collect::<String>()
        )
    }

    /// As a stack of the template is, but for what `change` makes of each resource's properties.
    fn deployed(self, change: impl Fn(&str, &mut Value)) -> Self {
        let variables = json!({
            "API_DOMAIN": "https://api.example.com",
            "WEBSITE_DOMAIN": "https://example.com",
            "SESSIONS_TABLE": "Sessions",
            "KEYS_TABLE": "Keys",
            "PINNED_JWKS": "",
        });
        let function = || json!({ "Environment": { "Variables": variables.clone() } });
        let uri = |function: &str| {
            format!(
                "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/\
                 arn:aws:lambda:eu-west-1:123456789012:function:{function}/invocations"
            )
        };
        let authorizer = |api: &str| {
            json!({
                "ApiId": api, "AuthorizerType": "REQUEST", "Name": "Session", "IdentitySource": [],
                "AuthorizerUri": uri("f1:live"),
            })
        };
        let of_rest = |kind: &str, function: &str| {
            json!({
                "RestApiId": "r1", "Type": kind, "Name": "Session",
                "AuthorizerResultTtlInSeconds": 0, "AuthorizerUri": uri(function),
            })
        };
        let cors = json!({
            "AllowCredentials": true,
            "AllowOrigins": ["https://example.com"],
            "AllowHeaders": [
                "rid", "fdi-version", "anti-csrf", "authorization", "st-auth-mode", "content-type",
            ],
            "ExposeHeaders": ["front-token", "anti-csrf", "st-access-token", "st-refresh-token"],
        });
        let mut resources = vec![
            ("AuthorizerFunction", "AWS::Lambda::Function", "f1", function()),
            ("CheckSettingsFunction", "AWS::Lambda::Function", "f2", json!({})),
            (
                "HttpApi",
                "AWS::ApiGatewayV2::Api",
                "a1",
                json!({ "ProtocolType": "HTTP", "CorsConfiguration": cors }),
            ),
            ("PublicApi", "AWS::ApiGatewayV2::Api", "a2", json!({ "ProtocolType": "HTTP" })),
            ("RotateKeysFunction", "AWS::Lambda::Function", "f3", function()),
            (
                "RotateKeysFunctionHourly",
                "AWS::Scheduler::Schedule",
                "s1",
                json!({ "State": "ENABLED", "ScheduleExpression": "rate(1 hour)" }),
            ),
            ("Session", "AWS::ApiGatewayV2::Authorizer", "z1|a1", authorizer("a1")),
            (
                "of another stack: chat",
                "AWS::ApiGatewayV2::Api",
                "w1",
                json!({ "Name": "chat", "ProtocolType": "WEBSOCKET" }),
            ),
            (
                "of another stack: Session of chat",
                "AWS::ApiGatewayV2::Authorizer",
                "z2|w1",
                authorizer("w1"),
            ),
            (
                "of another stack: orders",
                "AWS::ApiGateway::RestApi",
                "r1",
                json!({ "Name": "orders" }),
            ),
            (
                "of another stack: Session of orders",
                "AWS::ApiGateway::Authorizer",
                "r1|z3",
                of_rest("REQUEST", "f1:live"),
            ),
            (
                "of another stack: somebody else's",
                "AWS::ApiGateway::Authorizer",
                "r1|z4",
                of_rest("TOKEN", "f10"),
            ),
        ];
        for (name, _, _, properties) in &mut resources {
            change(name, properties);
        }
        let resources = resources.into_iter();
        let resources =
            resources.map(|(name, kind, id, found)| (name, kind, id.to_owned(), found)).collect();
        Self { stack: Arc::new(resources), ..self }
    }

    /// Runs a command an hour after [`START`], with nobody at the terminal.
    async fn sesam(&self, arguments: &str) -> Output {
        self.typed(arguments, "", false).await
    }

    async fn typed(&self, arguments: &str, input: &str, is_interactive: bool) -> Output {
        self.at(START.plus(HOUR), arguments, input, is_interactive).await
    }

    async fn at(
        &self,
        now: Timestamp,
        arguments: &str,
        input: &str,
        is_interactive: bool,
    ) -> Output {
        let mut line = vec!["sesam"];
        if !arguments.contains("--stack") {
            line.extend(["--sessions-table", "Sessions", "--keys-table", "Keys"]);
        }
        line.extend(arguments.split(' '));
        let sdk = sdk_config(self.clone());
        let clock = ManualClock::at(now);
        let machine = Machine { aws: Some(&sdk), clock: &clock, variables: |_| None };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut terminal = Terminal {
            out: &mut out,
            err: &mut err,
            input: &mut Cursor::new(input.to_owned()),
            is_interactive,
        };
        let arguments = Arguments::try_parse_from(line).unwrap();
        let ending = sesam::run(arguments, &machine, &mut terminal).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Output { ending, out: text(out), err: text(err) }
    }
}

#[derive(Debug)]
struct Output {
    ending: Ending,
    out: String,
    err: String,
}

impl Output {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The lines about what `check` begins with.
    fn lines_about(&self, check: &str) -> Vec<&str> {
        let lines = self.out.lines().filter(|line| {
            line.split_once("  ").is_some_and(|(_, rest)| rest.trim_start().starts_with(check))
        });
        lines.collect()
    }
}

/// A session of `user` in `tenant`.
async fn seed(store: &DynamoDb, user: &str, tenant: &str) -> SessionHandle {
    let mut session = events::session();
    session.handle = SessionHandle::random(&UserId::new(user), &mut bootstrap::system_rng());
    session.subject.user_id = UserId::new(user);
    session.subject.tenant_id = TenantId::new(tenant);
    session.session_data.insert("note".to_owned(), "private".into());
    session.last_used_by = Device::new(Some("Mozilla/5.0\u{1b}[2J"), Some("192.0.2.7"));
    store.create_session(&session).await.unwrap();
    session.handle
}

async fn is_there(aws: &Aws, handle: &SessionHandle) -> bool {
    aws.store().session(handle).await.unwrap().is_some()
}

#[tokio::test]
async fn the_sessions_of_a_user_are_a_table() {
    let aws = Aws::new().await;
    let handle = seed(&aws.store(), "alice", "public").await;
    let listed = aws.sesam("sessions list alice").await;
    let expected = format!(
        "{:38}  TENANT  CREATED               LAST REFRESHED  ENDS        LAST USED BY\n\
         {handle}  public  2023-11-14T22:13:20Z  60 min ago      in 27806 d  Mozilla/5.0\\u{{1b}}[2J from 192.0.2.7\n",
        "HANDLE"
    );
    assert_eq!((listed.ending, listed.out), (Ending::Done, expected));
    let nobody = aws.sesam("sessions list bob").await;
    assert_eq!((nobody.ending, nobody.out.as_str()), (Ending::Done, "bob has no session.\n"));
    let listed = aws.sesam("--json sessions list alice --tenant public").await.json();
    assert_eq!(listed["sessions"][0]["sessionHandle"], handle.to_string());
    assert_eq!(listed["sessions"][0]["sessionDataInDatabase"], Value::Null);
    let listed = aws.sesam("--json sessions list alice --tenant other").await.json();
    assert_eq!(listed, json!({ "sessions": [] }));
}

#[tokio::test]
async fn a_session_is_shown_and_what_the_application_keeps_only_if_asked_for() {
    let aws = Aws::new().await;
    let handle = seed(&aws.store(), "alice", "t1").await;
    let shown = aws.sesam(&format!("sessions show {handle}")).await;
    for line in [
        "state                alive",
        "user                 alice",
        "tenant               t1",
        "session data         1 member; --data shows them",
    ] {
        assert!(shown.out.lines().any(|found| found == line), "{line}: {}", shown.out);
    }
    let shown = aws.sesam(&format!("sessions show {handle} --data")).await;
    assert!(shown.out.ends_with("session data         {\"note\":\"private\"}\n"), "{}", shown.out);
    let unknown = events::session().handle;
    let unknown = aws.sesam(&format!("sessions show {unknown}")).await;
    assert_eq!(unknown.ending, Ending::No);
}

#[tokio::test]
async fn a_session_that_was_ended_for_reuse_shows_both_parties() {
    let aws = Aws::new().await;
    let (store, clock) = (aws.store(), START.plus(HOUR));
    let handle = seed(&store, "alice", "public").await;
    let seen: Session = store.session(&handle).await.unwrap().unwrap();
    let presented_by = Device::new(Some("curl/8"), Some("198.51.100.9"));
    let revocation =
        session::model::Revocation::Reuse { presented: Generation::FIRST.number(), presented_by };
    session::store::SessionRefresher::entomb(&store, &seen, &revocation, clock).await.unwrap();
    let shown = aws.sesam(&format!("sessions show {handle}")).await;
    assert!(shown.out.contains("state                ended for reuse\n"), "{}", shown.out);
    assert!(shown.out.contains("presented by         curl/8 from 198.51.100.9\n"), "{}", shown.out);
    let shown = aws.sesam(&format!("--json sessions show {handle}")).await.json();
    assert_eq!(shown["revocation"]["presented_by"]["agent"], "curl/8");
}

#[tokio::test]
async fn nothing_is_destroyed_that_nobody_has_confirmed() {
    let aws = Aws::new().await;
    let handle = seed(&aws.store(), "alice", "t1").await;
    for command in [
        format!("sessions end {handle}"),
        "sessions end-all alice".to_owned(),
        "sessions end-tenant t1".to_owned(),
        format!("keys revoke {}", keys::DYNAMIC_ID),
        "keys revoke-master 1".to_owned(),
    ] {
        let before = aws.sesam("--json keys list").await.json();
        let alone = aws.sesam(&command).await;
        assert_eq!(alone.ending, Ending::Unconfirmed, "{command}");
        assert!(alone.err.contains("say --yes if you are sure"), "{command}: {}", alone.err);
        for answer in ["n\n", "\n", ""] {
            let refused = aws.typed(&command, answer, true).await;
            assert_eq!(refused.ending, Ending::Unconfirmed, "{command}");
        }
        assert!(is_there(&aws, &handle).await, "{command}");
        assert_eq!(aws.sesam("--json keys list").await.json(), before, "{command}");
    }
    let confirmed = aws.typed(&format!("sessions end {handle}"), "y\n", true).await;
    assert_eq!(confirmed.ending, Ending::Done);
    let question = "End this session of alice, last refreshed 60 min ago? [y/N] ";
    assert_eq!(confirmed.err, question);
    assert!(!is_there(&aws, &handle).await);
    let again = aws.sesam(&format!("--yes sessions end {handle}")).await;
    assert_eq!(again.ending, Ending::No);
}

#[tokio::test]
async fn all_sessions_of_a_user_or_of_a_tenant_are_ended() {
    let aws = Aws::new().await;
    let store = aws.store();
    let alice = [seed(&store, "alice", "t1").await, seed(&store, "alice", "t2").await];
    let bob = seed(&store, "bob", "t1").await;
    let ended = aws.sesam("--yes --json sessions end-tenant t1").await;
    assert!(
        ended.err.starts_with("No key names tenants, so all of Sessions is read"),
        "{}",
        ended.err
    );
    let mut handles: Vec<String> = serde_json::from_value(ended.json()["ended"].clone()).unwrap();
    handles.sort();
    let mut expected = vec![alice[0].to_string(), bob.to_string()];
    expected.sort();
    assert_eq!(handles, expected);
    let ended = aws.sesam("--yes sessions end-all alice").await;
    assert!(ended.out.starts_with("1 session ended. "), "{}", ended.out);
    assert!(!is_there(&aws, &alice[1]).await);
}

#[tokio::test]
async fn a_tenant_of_another_application_keeps_its_sessions() {
    let aws = Aws::new().await;
    let other = local::dynamodb::store_of(client(aws.wire.clone()), "public2");
    let theirs = seed(&other, "alice", "t1").await;
    let ended = aws.sesam("--yes --json sessions end-tenant t1").await.json();
    assert_eq!(ended, json!({ "ended": [] }));
    assert!(other.session(&theirs).await.unwrap().is_some());
}

#[tokio::test]
async fn keys_are_a_table_without_key_material() {
    let aws = Aws::new().await;
    let listed = aws.sesam("keys list").await;
    assert_eq!(
        listed.out,
        "KIND     ID               ALGORITHM  STATE   SIGNS FROM            SIGNS UNTIL  BELIEVED UNTIL  REVOKED\n\
         dynamic  d-1700000000000  RS256      active  2023-11-14T22:13:20Z  -            -               -\n\
         static   s-test           RS256      active  2023-11-14T22:13:20Z  -            -               -\n\
         master   1                -          active  2023-11-14T22:13:20Z  -            -               -\n"
    );
    let rotated = aws.sesam("--json keys rotate dynamic").await;
    let document = rotated.json();
    assert_eq!(document["changed"], true);
    assert!(
        rotated.err.starts_with("Reckoned with RS256, signing keys of 168 h,"),
        "{}",
        rotated.err
    );
    let again = aws.sesam("keys rotate dynamic").await;
    assert!(again.err.ends_with("Nothing was left to do.\n"), "{}", again.err);
    let revoked = aws.sesam("--yes keys revoke d-1700000000000").await;
    assert_eq!(revoked.ending, Ending::Done);
    let line = revoked.out.lines().find(|line| line.contains("d-1700000000000")).unwrap();
    assert!(line.ends_with("2023-11-14T23:13:20Z"), "{line}");
    let unknown = aws.sesam("--yes keys revoke d-1").await;
    assert_eq!(unknown.ending, Ending::Failed);
    assert!(unknown.err.contains("no key has this id"), "{}", unknown.err);
}

#[tokio::test]
async fn a_token_is_explained_by_the_rule_that_it_fails() {
    let aws = Aws::new().await;
    let inspect = async |token: &str| {
        let shown = aws.typed("--json token inspect", &format!("{token}\n"), false).await;
        assert!(!shown.out.contains(token) && !shown.err.contains(token), "{shown:?}");
        (shown.ending, shown.json()["rule"].clone())
    };
    let signed = |jwt: Jwt| jwt.sign();
    let long = "a".repeat(9000);
    let valid = Jwt::valid().claim("exp", START.as_secs() + 86_400);
    for (rule, token) in [
        (1, long),
        (2, "not.a".to_owned()),
        (3, "W10.W10.AA".to_owned()),
        (4, signed(valid.clone().header("typ", "at+jwt"))),
        (5, signed(valid.clone().claim("stt", 1))),
        (6, signed(valid.clone().claim("iat", "soon"))),
        (7, signed(valid.clone().header("crit", json!([])))),
        (8, signed(valid.clone().header("kid", "d-1"))),
        (9, format!("{}AA", &signed(valid.clone())[..signed(valid.clone()).len() - 2])),
        (10, signed(Jwt::expired())),
        (11, valid.clone().header("kid", keys::STATIC_ID).sign_by(&keys::fixed())),
    ] {
        assert_eq!(inspect(&token).await, (Ending::No, rule.into()), "rule {rule}");
    }
    assert_eq!(inspect(&signed(valid)).await, (Ending::Done, Value::Null));
}

#[tokio::test]
async fn a_token_is_explained_to_people_without_a_table() {
    let aws = Aws::new().await;
    let file = std::env::temp_dir().join(format!("sesam-cli-{}.json", std::process::id()));
    std::fs::write(&file, serde_json::to_string(&keys::published()).unwrap()).unwrap();
    aws.wire.break_all(Some(Fault::AccessDenied));
    let command = format!("token inspect --jwks {}", file.display());
    let token = format!("Bearer {}\n", Jwt::valid().sign());
    let refused = aws.typed(&command, &token, false).await;
    let accepted = aws.at(START.plus(Duration::from_mins(5)), &command, &token, false).await;
    std::fs::remove_file(file).unwrap();
    assert_eq!(
        refused.out,
        "refused by rule 10 of 11: expired at 2023-11-14T23:13:20Z (0 s ago)\n\
         so clients get 401, upon which they refresh\n\
         it names the key d-1700000000000\n"
    );
    assert_eq!(
        accepted.out,
        "accepted: all 11 rules hold\n\
         key      d-1700000000000\n\
         user     user-1\n\
         tenant   public\n\
         session  00000000-0000-4000-8000-000000000000\n\
         issued   2023-11-14T22:13:20Z (5 min ago)\n\
         expires  2023-11-14T23:13:20Z (in 55 min)\n"
    );
}

#[tokio::test]
async fn tables_are_made_once() {
    let aws = Aws { wire: Wire::new(), ..Aws::new().await };
    let made = aws.sesam("tables create").await;
    assert_eq!(made.out, "Sessions  made\nKeys  made\n");
    let again = aws.sesam("--json tables create").await.json();
    assert_eq!(again["tables"][0], json!({ "table": "Sessions", "made": false }));
}

#[tokio::test]
async fn the_doctor_finds_nothing_wrong_with_the_template_s_stack() {
    let aws = Aws::new().await.deployed(|_, _| {});
    let looked = aws.at(START, "--stack sesam doctor", "", false).await;
    assert_eq!(looked.ending, Ending::Done, "{}", looked.out);
    for line in [
        "ok       settings",
        "ok       table Sessions ",
        "ok       table Sessions, housekeeping",
        "ok       table Keys ",
        "WARNING  table Keys, backups",
        "ok       clock of this machine",
        "ok       dynamic keys",
        "ok       static keys",
        "ok       master keys",
        "ok       schedule RotateKeysFunctionHourly",
        "ok       CORS of HttpApi",
        "ok       authorizer Session of HttpApi",
        "ok       authorizer Session of chat",
        "ok       authorizer Session of orders",
    ] {
        assert!(looked.out.lines().any(|found| found.starts_with(line)), "{line}: {}", looked.out);
    }
    assert!(looked.out.ends_with("\n0 problems, 4 warnings\n"), "{}", looked.out);
    let looked = aws.at(START, "--stack sesam --json doctor", "", false).await.json();
    assert_eq!((&looked["problems"], &looked["warnings"]), (&json!(0), &json!(4)));
}

#[tokio::test]
async fn the_doctor_finds_what_keeps_a_stack_from_working() {
    type Change = fn(&str, &mut Value);
    let cases: [(&str, &str, Change); 12] = [
        ("settings of AuthorizerFunction", "COOKIE_DOMAIN", |name, found| {
            if name == "AuthorizerFunction" {
                found["Environment"]["Variables"]["COOKIE_DOMAIN"] = ".other.com".into();
            }
        }),
        ("settings of AuthorizerFunction", "CHECK_DATABASE", |name, found| {
            if name == "AuthorizerFunction" {
                found["Environment"]["Variables"]["CHECK_DATABASE"] = "maybe".into();
            }
        }),
        ("schedule", "DISABLED", |name, found| {
            if name == "RotateKeysFunctionHourly" {
                found["State"] = "DISABLED".into();
            }
        }),
        ("CORS of HttpApi", "AllowOrigins lacks https://example.com", |name, found| {
            if name == "HttpApi" {
                found["CorsConfiguration"]["AllowOrigins"] = json!(["https://elsewhere.com"]);
            }
        }),
        ("CORS of HttpApi", "is not set up", |name, found| {
            if name == "HttpApi" {
                *found = json!({ "ProtocolType": "HTTP" });
            }
        }),
        ("settings of RotateKeysFunction", "ALLOWED_TENANTS", |name, found| {
            if name == "RotateKeysFunction" {
                found["Environment"]["Variables"]["ALLOWED_TENANTS"] = ",".into();
            }
        }),
        ("authorizer Session of chat", "identity source", |name, found| {
            if name == "of another stack: Session of chat" {
                found["IdentitySource"] = json!(["route.request.header.Authorization"]);
            }
        }),
        ("authorizer Session of orders", "identity source", |name, found| {
            if name == "of another stack: Session of orders" {
                found["IdentitySource"] = "method.request.header.Authorization".into();
            }
        }),
        ("authorizer Session of orders", "kept for 60 s", |name, found| {
            if name == "of another stack: Session of orders" {
                found["AuthorizerResultTtlInSeconds"] = 60.into();
            }
        }),
        ("authorizer Session of orders", "kept for 300 s", |name, found| {
            if name == "of another stack: Session of orders" {
                *found = json!({
                    "RestApiId": "r1", "Type": "REQUEST", "Name": "Session",
                    "AuthorizerUri": found["AuthorizerUri"],
                });
            }
        }),
        ("authorizer Session of HttpApi", "identity source", |name, found| {
            if name == "Session" {
                found["IdentitySource"] = json!(["$request.header.Authorization"]);
            }
        }),
        ("authorizer Session of HttpApi", "kept for 300 s", |name, found| {
            if name == "Session" {
                found["AuthorizerResultTtlInSeconds"] = 300.into();
            }
        }),
    ];
    let aws = Aws::new().await;
    for (check, found, change) in cases {
        let aws = aws.clone().deployed(change);
        let looked = aws.at(START, "--stack sesam doctor", "", false).await;
        assert_eq!(looked.ending, Ending::No, "{check}");
        let lines = looked.lines_about(check);
        let is_told = lines.iter().any(|line| line.starts_with("PROBLEM") && line.contains(found));
        assert!(is_told, "{check}, {found}: {}", looked.out);
    }
}

#[tokio::test]
async fn the_doctor_notices_keys_that_nobody_looks_after_and_a_clock_that_is_wrong() {
    let aws = Aws::new().await;
    let later = START.plus(Duration::from_hours(24 * 8));
    let looked = aws.at(later, "doctor", "", false).await;
    assert_eq!(looked.ending, Ending::No);
    let dynamic = looked.lines_about("dynamic keys");
    assert!(dynamic[0].contains("its successor should be there already"), "{}", looked.out);
    let clock = looked.lines_about("clock of this machine");
    assert!(clock[0].starts_with("PROBLEM  clock of this machine"), "{}", looked.out);
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let aws = Aws::new().await;
    aws.wire.break_all(Some(Fault::TableMissing));
    let failed = aws.sesam("sessions list alice").await;
    assert_eq!(failed.ending, Ending::Failed);
    assert!(failed.err.contains("`sesam tables create`"), "{}", failed.err);
    let looked = aws.sesam("doctor").await;
    assert_eq!(looked.lines_about("table Sessions").len(), 2, "{}", looked.out);
    aws.wire.break_all(Some(Fault::AccessDenied));
    let failed = aws.sesam("keys list").await;
    assert!(failed.err.contains("docs/operations.md lists"), "{}", failed.err);
    let unnamed = aws.clone().deployed(|name, found| {
        if name != "HttpApi" {
            *found = json!({});
        }
    });
    let unnamed = unnamed.sesam("--stack sesam keys list").await;
    assert!(unnamed.err.contains("name the stack that has the tables"), "{}", unnamed.err);
}
