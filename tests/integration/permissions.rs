//! Each function under its own policies of the template: they suffice for what it does, and without any
//! part of them it cannot do it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::error::BoxError;
use core_driver::{Access, Core, Secret};
use local::dynamodb::{KEYS_TABLE, SESSIONS_TABLE, client, create_tables, store};
use local::function::{Function, Invoked};
use serde_json::value::to_raw_value;
use serde_json::{Value as Json, json};
use serde_yaml_ng::Value;
use session::Sessions;
use session::model::{Clock as _, Session, SessionHandle, UserId};
use session::store::{DynamoDb, SessionCreator as _};
use testkit::front_door::shape;
use testkit::harness::config;
use testkit::kms::KEY_ID;
use testkit::{Asked, Bus, EmulatedKms, Iam, ManualClock, Wire, clock, events};

use crate::templates::{own as template, text};

/// The smallest part of a policy: one action on one resource, for one item if it is narrowed to items.
#[derive(Clone, Debug)]
struct Grant {
    action: String,
    resource: String,
    /// Operator and key of the condition, and the values that it wants.
    condition: Option<(String, String)>,
}

/// What the policies of a function grant where every switch of the template is on.
fn granted_to(function: &str) -> Vec<Grant> {
    let policies = template()["Resources"][function]["Properties"]["Policies"].clone();
    let policies = policies.as_sequence().unwrap().iter().map(crate::templates::chosen);
    let statements = policies.flat_map(|policy| policy["Statement"].as_sequence().unwrap().clone());
    statements.flat_map(|statement| grants(&statement)).collect()
}

fn grants(statement: &Value) -> Vec<Grant> {
    assert_eq!(statement["Effect"], "Allow");
    let conditions = match &statement["Condition"] {
        Value::Null => vec![None],
        condition => values_of(condition).into_iter().map(Some).collect(),
    };
    let actions = listed(&statement["Action"]);
    let each = actions.iter().flat_map(|action| conditions.iter().map(move |it| (action, it)));
    let resource = physical(&text(&statement["Resource"]));
    each.map(|(action, condition)| Grant {
        action: action.clone(),
        resource: resource.clone(),
        condition: condition.clone(),
    })
    .collect()
}

/// Key and value of each alternative of a condition.
fn values_of(condition: &Value) -> Vec<(String, String)> {
    let operators = condition.as_mapping().unwrap().iter();
    let of_operator = |(operator, keys): (&Value, &Value)| {
        let keys = keys.as_mapping().unwrap().clone();
        match operator.as_str().unwrap() {
            // `ForAllValues` holds for a request without the key, which `Null` excludes.
            "Null" => Vec::new(),
            "ForAllValues:StringEquals" | "StringEquals" => keys
                .iter()
                .flat_map(|(key, values)| listed(values).into_iter().map(|it| (text(key), it)))
                .map(|(key, value)| (key, physical(&value)))
                .collect(),
            other => panic!("say what {other} means"),
        }
    };
    operators.flat_map(of_operator).collect()
}

fn listed(value: &Value) -> Vec<String> {
    match value {
        Value::Sequence(values) => values.iter().map(text).collect(),
        one => vec![text(one)],
    }
}

/// What the template's names are on this machine.
fn physical(name: &str) -> String {
    let known = match name {
        "SessionTable.Arn" | "SessionTable" => SESSIONS_TABLE,
        "KeyTable.Arn" | "KeyTable" => KEYS_TABLE,
        "KmsKeyId" => KEY_ID,
        "CoreAccess" => SECRET,
        name if name.ends_with(":event-bus/${EventBusName}") => Bus::NAME,
        other => other,
    };
    known.to_owned()
}

const SECRET: &str = "the secret with the core's keys";

/// IAM's evaluation, of policies that only allow.
fn allow(grants: &[Grant], asked: &Asked) -> bool {
    let fits = |grant: &&Grant| grant.action == asked.action && grant.resource == asked.resource;
    let fitting: Vec<_> = grants.iter().filter(fits).collect();
    if fitting.iter().any(|grant| grant.condition.is_none()) {
        return true;
    }
    let mut values =
        asked.context.iter().flat_map(|(key, values)| values.iter().map(move |it| (key, it)));
    !asked.context.is_empty()
        && values.all(|(key, value)| {
            let wanted = Some((key.clone(), value.clone()));
            fitting.iter().any(|grant| grant.condition == wanted)
        })
}

/// Tables, KMS and bus behind the policies of one function.
struct Stage {
    wire: Wire,
    kms: EmulatedKms,
    bus: Bus,
    iam: Iam,
    clock: ManualClock,
}

impl Stage {
    /// Empty tables.
    async fn new(grants: Vec<Grant>) -> Self {
        let wire = Wire::new();
        create_tables(&client(wire.clone())).await.unwrap();
        let iam = Iam::new(move |asked| allow(&grants, asked));
        let (kms, bus) = (EmulatedKms::new(), Bus::default());
        Self { wire, kms, bus, iam, clock: ManualClock::at(clock::START) }
    }

    /// With the keys and the session of the event files.
    async fn seeded(self) -> Self {
        let store = store(client(self.wire.clone())).sealed_by(self.kms.data_keys());
        events::seed_keys(&store).await;
        events::seed_session(&store).await;
        self
    }

    /// A process of the function, which has loaded nothing yet.
    fn process(&self) -> Arc<Sessions<DynamoDb>> {
        let store = store(client(self.iam.before(self.wire.clone())));
        let store = store.sealed_by(self.kms.data_keys_through(&self.iam));
        let bus = Arc::new(self.bus.listener_through(&self.iam));
        let settings = [("SIGNING_ALGORITHM", "ES256"), ("SESSION_LIMIT_PER_USER", "1")];
        Arc::new(Sessions::new(config(&settings), store).with_listener(bus))
    }

    /// One that can only read.
    async fn authorize(&self, settings: &[(&str, &str)]) -> Invoked {
        let store = store(client(self.iam.before(self.wire.clone()))).read_only();
        let sessions = Sessions::new(config(&[]), store);
        let lookup = |name: &str| {
            settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let settings = authorizer::AuthorizerConfig::from_lookup(lookup).unwrap();
        let event = to_raw_value(&event("authorizer/ok.json")).unwrap();
        let answer = authorizer::handle(&sessions, &settings, &self.clock, &event);
        answer.await.map(|answer| serde_json::to_value(answer).unwrap()).map_err(Into::into)
    }

    /// What a new process of the core answers.
    async fn call(&self, method: &str, path: &str, body: Json) -> Json {
        let iam = self.iam.clone();
        let secret = Secret::new(move || {
            let asked = Asked {
                action: "secretsmanager:GetSecretValue".to_owned(),
                resource: SECRET.to_owned(),
                context: Default::default(),
            };
            let is_allowed = iam.allows(asked);
            let read = move || if is_allowed { Ok(CORE_KEY.to_owned()) } else { Err("refused") };
            std::future::ready(read().map_err(BoxError::from))
        });
        let access = Access::Secret(secret);
        let core = Core { sessions: self.unshared_process(), access, tenants: None };
        let (core, clock) = (Arc::new(core), self.clock.clone());
        let function = Function::http(move |request| {
            let (core, clock) = (Arc::clone(&core), clock.clone());
            async move { core_driver::handle(&core, &clock, request).await }
        });
        let headers =
            [("cdi-version", "5.4"), ("api-key", CORE_KEY), ("content-type", "application/json")];
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut event = shape::http_api_2(&request.body(bytes::Bytes::new()).unwrap());
        event["body"] = body.to_string().into();
        let answer = function.invoke(event).await.unwrap();
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_default()
    }

    fn unshared_process(&self) -> Sessions<DynamoDb> {
        Arc::into_inner(self.process()).unwrap()
    }
}

const CORE_KEY: &str = "an-api-key-of-the-core";

fn event(path: &str) -> Json {
    events::all().into_iter().find(|(known, _)| *known == path).unwrap().1
}

/// A function behind HTTP, invoked with an event file.
macro_rules! invoke {
    ($stage:expr, $handler:path, $event:expr) => {{
        let (sessions, clock) = ($stage.process(), $stage.clock.clone());
        let function = Function::http(move |request| {
            let (sessions, clock) = (Arc::clone(&sessions), clock.clone());
            async move { $handler(&sessions, &clock, request).await }
        });
        function.invoke(event($event)).await
    }};
}

/// Lets a function do everything that it does, under these grants; what was refused.
async fn exercise(function: &str, grants: Vec<Grant>) -> Vec<Asked> {
    let stage = Stage::new(grants).await;
    let stage = match function {
        "AuthorizerFunction" => {
            let stage = stage.seeded().await;
            let _ = stage.authorize(&[]).await;
            stage
        }
        "StrictAuthorizerFunction" => {
            let stage = stage.seeded().await;
            let _ = stage.authorize(&[("CHECK_DATABASE", "true")]).await;
            stage
        }
        "RefreshFunction" => {
            let stage = stage.seeded().await;
            let _ = invoke!(stage, refresh::handle, "refresh/ok.json");
            stage
        }
        "SignoutFunction" => {
            let stage = stage.seeded().await;
            let _ = invoke!(stage, signout::handle, "signout/ok.json");
            stage
        }
        "SessionsFunction" => {
            let stage = stage.seeded().await;
            let elsewhere =
                SessionHandle::random(&UserId::new("user-1"), &mut bootstrap::system_rng());
            let elsewhere = Session { handle: elsewhere, ..events::session() };
            store(client(stage.wire.clone())).create_session(&elsewhere).await.unwrap();
            let _ = invoke!(stage, sessions::handle, "sessions/ok-list.json");
            let _ = invoke!(stage, sessions::handle, "sessions/ok-end-others.json");
            let _ = invoke!(stage, sessions::handle, "sessions/ok-end-one.json");
            stage
        }
        "JwksFunction" => {
            let stage = stage.seeded().await;
            let _ = invoke!(stage, jwks::handle, "jwks/ok.json");
            stage
        }
        "RevokeFunction" => {
            let stage = stage.seeded().await;
            let far = stage.clock.now().plus(Duration::from_mins(1));
            for case in ["user", "provider", "everybody"] {
                let asked = event(&format!("revoke/ok-{case}.json"));
                let _ = revoke::handle(&stage.process(), &stage.clock, asked, far).await;
            }
            stage
        }
        "RotateKeysFunction" => {
            // The first run makes the keys, the second reads them.
            for _ in 0..2 {
                let _ = rotate_keys::handle(&stage.process(), &stage.clock, json!({})).await;
            }
            stage
        }
        "CreateSessionFunction" => {
            // The first sign-in makes the keys, the second reads them and ends the first session.
            for _ in 0..2 {
                let (sessions, settings) = (stage.process(), Arc::default());
                let asked = event("create-session/ok.json");
                create_session::handle(&sessions, &settings, &stage.clock, asked).await;
            }
            stage
        }
        "CoreFunction" => {
            let new = json!({ "userId": "user-1", "userDataInJWT": {}, "userDataInDatabase": {}, "enableAntiCsrf": false });
            let first = stage.call("POST", "/recipe/session", new.clone()).await;
            let (handle, token) = (&first["session"]["handle"], &first["refreshToken"]["token"]);
            let path = format!("/recipe/session?sessionHandle={}", handle.as_str().unwrap_or("x"));
            stage.call("GET", &path, Json::Null).await;
            stage.call("GET", "/recipe/session/user?userId=user-1", Json::Null).await;
            let again = json!({ "refreshToken": token, "enableAntiCsrf": false, "useDynamicSigningKey": true });
            stage.call("POST", "/recipe/session/refresh", again).await;
            stage.call("GET", "/.well-known/jwks.json", Json::Null).await;
            stage
                .call("POST", "/recipe/session/remove", json!({ "sessionHandles": [handle] }))
                .await;
            stage.call("POST", "/recipe/session", new).await;
            stage.call("POST", "/recipe/session/remove", json!({ "userId": "user-1" })).await;
            stage
        }
        other => panic!("say what {other} does"),
    };
    stage.iam.refused()
}

fn functions() -> Vec<String> {
    let resources = template()["Resources"].as_mapping().unwrap().clone();
    let with_policies =
        resources.iter().filter(|(_, it)| it["Properties"].get("Policies").is_some());
    with_policies.map(|(name, _)| text(name)).collect()
}

#[tokio::test]
async fn the_policies_of_each_function_suffice_for_what_it_does() {
    for function in functions() {
        let refused = exercise(&function, granted_to(&function)).await;
        assert_eq!(refused, [], "{function}");
    }
}

#[tokio::test]
async fn without_any_part_of_its_policies_a_function_is_refused() {
    let mut parts = 0;
    for function in functions() {
        let all = granted_to(&function);
        for (at, grant) in all.iter().enumerate() {
            let mut without = all.clone();
            without.remove(at);
            let refused = exercise(&function, without).await;
            assert!(!refused.is_empty(), "{function} has {grant:?} and does not need it");
            parts += 1;
        }
    }
    assert!(parts > 25, "{parts}");
}
