//! The template and the code say the same: variables, permissions, names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use authorizer::{AuthorizerConfig, Refusal};
use bytes::Bytes;
use core_driver::CoreConfig;
use create_session::CreateConfig;
use http::{Method, Request};
use local::functions::DEPLOYED;
use local::gateway::{Access, Cors, Gateway};
use revoke::LogoutConfig;
use serde_yaml_ng::Value;
use session::SessionConfig;
use testkit::Harness;

use crate::templates::{self, own as template, text};

/// Every function of the template.
fn functions() -> Vec<Function> {
    let resources = template()["Resources"].as_mapping().unwrap().clone();
    let functions = resources.into_iter().filter_map(|(name, resource)| {
        let code = resource["Properties"]["CodeUri"].as_str()?.to_owned();
        Some(Function { name: text(&name), code, resource: resource.clone() })
    });
    functions.collect()
}

/// One function of the template; several may run the same code.
struct Function {
    name: String,
    code: String,
    resource: Value,
}

impl Function {
    /// Its sources, one after the other.
    fn sources(&self) -> String {
        let folder = format!("{}/../{}/src", env!("CARGO_MANIFEST_DIR"), self.code);
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }

    /// The capabilities that its code names. Its handlers are bounded by them, so it has no other; one
    /// that a setting turns on counts where it is turned on.
    fn capabilities(&self) -> BTreeSet<String> {
        let sources = self.sources();
        let imports = sources.split("use session::store::").skip(1);
        let imports = imports.filter_map(|rest| rest.split(';').next());
        let names = imports.flat_map(|names| names.split(|c: char| !c.is_alphanumeric()));
        let names = names.filter(|name| !name.is_empty() && *name != "as");
        let variables = &self.resource["Properties"]["Environment"]["Variables"];
        let is_strict = variables["CHECK_DATABASE"] == "true";
        let may_be_off = self.code == "functions/authorizer" && !is_strict;
        let is_on = |name: &&str| *name != "SessionReader" || !may_be_off;
        names.filter(is_on).map(str::to_owned).collect()
    }

    /// Whether its code calls something of `bootstrap`.
    fn calls(&self, name: &str) -> bool {
        self.sources().contains(&format!("bootstrap::{name}("))
    }

    /// What it reads beyond what every function reads, because its code calls for it.
    fn own_variables(&self) -> Vec<&'static str> {
        let own = OWN_VARIABLES.into_iter().filter(|(call, _)| self.calls(call));
        own.map(|(_, name)| name).collect()
    }

    /// What is set for it: what is set for all, and what is set for it alone.
    fn environment(&self) -> Variables {
        let ignored = self.resource["IgnoreGlobals"].as_sequence();
        let has_globals = !ignored.is_some_and(|names| names.iter().any(|it| it == "Environment"));
        let globals =
            if has_globals { set(&template()["Globals"]["Function"]) } else { Variables::new() };
        globals.into_iter().chain(set(&self.resource["Properties"])).collect()
    }
}

/// What a function may do, as `action on resource` and, where it is narrowed, to what; what depends on
/// a condition begins with that.
fn permissions(function: &Function) -> BTreeSet<String> {
    let policies = function.resource["Properties"]["Policies"].as_sequence();
    let permissions = policies.into_iter().flatten().flat_map(|policy| match policy {
        Value::Tagged(choice) => {
            assert_eq!(choice.tag, "If");
            assert_eq!(text(&choice.value[2]), "AWS::NoValue");
            let condition = text(&choice.value[0]);
            let granted = granted(&choice.value[1]).into_iter();
            granted.map(|permission| format!("{condition}: {permission}")).collect()
        }
        policy => granted(policy),
    });
    permissions.collect()
}

fn granted(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_sequence().unwrap();
    statements.iter().flat_map(actions).collect()
}

fn actions(statement: &Value) -> Vec<String> {
    assert_eq!(statement["Effect"], "Allow");
    let names = match &statement["Action"] {
        Value::Sequence(names) => names.iter().map(text).collect(),
        one => vec![text(one)],
    };
    let resource = text(&statement["Resource"]);
    let resource = resource.rsplit(':').next().unwrap();
    let condition = &statement["Condition"];
    let keys = &condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"];
    let narrowed: Vec<String> = if let Some(keys) = keys.as_sequence() {
        // `ForAllValues` also holds for a request without keys.
        assert_eq!(condition["Null"]["dynamodb:LeadingKeys"], "false");
        let items = keys.iter().map(|key| format!(", item {}", text(key)));
        items.collect()
    } else if let Some(source) = condition["StringEquals"].get("events:source") {
        vec![format!(", source {}", text(source))]
    } else if let Some(table) = condition["StringEquals"].get("kms:EncryptionContext:table") {
        vec![format!(", for {}", text(table))]
    } else {
        vec![String::new()]
    };
    let each = names.iter().flat_map(|name| narrowed.iter().map(move |to| (name, to)));
    each.map(|(name, to)| format!("{name} on {resource}{to}")).collect()
}

/// What a capability of the store asks for: the requests that its methods make.
fn asked_for(capability: &str) -> &'static [&'static str] {
    match capability {
        "PublicKeyReader" => &["dynamodb:GetItem on KeyTable.Arn, item public#public"],
        "PrivateKeyReader" => &[
            "dynamodb:GetItem on KeyTable.Arn, item public#private",
            "HasKmsKey: kms:Decrypt on KmsKeyId, for KeyTable",
        ],
        "KeyRotator" => &[
            "dynamodb:PutItem on KeyTable.Arn, item public#public",
            "dynamodb:PutItem on KeyTable.Arn, item public#private",
            "HasKmsKey: kms:GenerateDataKey on KmsKeyId, for KeyTable",
        ],
        "SignInStore" => &[
            "dynamodb:PutItem on SessionTable.Arn",
            "HasSessionLimit: dynamodb:Query on SessionTable.Arn",
            "HasSessionLimit: dynamodb:DeleteItem on SessionTable.Arn",
            "dynamodb:GetItem on KeyTable.Arn, item public#private",
            "dynamodb:PutItem on KeyTable.Arn, item public#public",
            "dynamodb:PutItem on KeyTable.Arn, item public#private",
            "HasKmsKey: kms:Decrypt on KmsKeyId, for KeyTable",
            "HasKmsKey: kms:GenerateDataKey on KmsKeyId, for KeyTable",
        ],
        "SessionCreator" => &["dynamodb:PutItem on SessionTable.Arn"],
        "SessionLister" => &["dynamodb:Query on SessionTable.Arn"],
        "SessionReader" => &["dynamodb:GetItem on SessionTable.Arn"],
        "SessionBinder" | "SessionRefresher" => &["dynamodb:UpdateItem on SessionTable.Arn"],
        "SessionRevoker" => &["dynamodb:DeleteItem on SessionTable.Arn"],
        "SessionScanner" => &["dynamodb:Scan on SessionTable.Arn"],
        "SessionUpdater" => &["dynamodb:UpdateItem on SessionTable.Arn"],
        "UserRevoker" => {
            &["dynamodb:Query on SessionTable.Arn", "dynamodb:BatchWriteItem on SessionTable.Arn"]
        }
        other => panic!("say what {other} asks for"),
    }
}

/// The built functions run on this machine as they are deployed.
#[test]
fn the_local_stack_gives_binaries_the_memory_and_time_of_the_template() {
    let globals = &template()["Globals"]["Function"];
    let deployed = functions().into_iter().map(|function| {
        let of = |name: &str| {
            let own = function.resource["Properties"][name].as_u64();
            own.or_else(|| globals[name].as_u64()).unwrap()
        };
        let package = function.code.rsplit('/').next().unwrap();
        let binary = if package == "core" { "core-driver" } else { package };
        (function.name.clone(), binary.to_owned(), of("MemorySize"), of("Timeout"))
    });
    let known = DEPLOYED.map(|known| {
        let (name, binary) = (known.logical_id.to_owned(), known.binary.to_owned());
        (name, binary, known.memory_mb.into(), known.timeout.as_secs())
    });
    assert_eq!(BTreeSet::from(known), deployed.collect());
}

#[test]
fn every_function_may_do_what_its_capabilities_ask_for_and_nothing_else() {
    let source = bootstrap::EVENT_SOURCE;
    let put_events =
        format!("HasEventBus: events:PutEvents on event-bus/${{EventBusName}}, source {source}");
    for function in functions() {
        let capabilities = function.capabilities();
        let is_checker = function.name == "CheckSettingsFunction";
        assert_eq!(capabilities.is_empty(), is_checker, "{}", function.name);
        let asked = capabilities.iter().flat_map(|capability| asked_for(capability));
        let asked = asked.map(|action| (*action).to_owned());
        let put_events = function.calls("with_events").then(|| put_events.clone());
        let read_keys = "HasCoreKeys: secretsmanager:GetSecretValue on CoreAccess".to_owned();
        let read_keys = function.calls("secret").then_some(read_keys);
        let asked: BTreeSet<_> = asked.chain(put_events).chain(read_keys).collect();
        assert_eq!(permissions(&function), asked, "{}", function.name);
    }
}

/// Who can read the private keys can sign in as anybody.
#[test]
fn nobody_reads_private_keys_but_the_functions_that_sign() {
    let reads = "dynamodb:GetItem on KeyTable.Arn, item public#private";
    let readers = functions().into_iter().filter(|function| permissions(function).contains(reads));
    let readers: BTreeSet<_> = readers.map(|function| function.name).collect();
    let signing =
        ["CoreFunction", "CreateSessionFunction", "RefreshFunction", "RotateKeysFunction"];
    assert_eq!(readers, signing.map(str::to_owned).into());
}

/// In every template, the examples' included: what is granted on the table of keys names items, and what
/// is granted on the KMS key holds for that table alone.
#[test]
fn every_grant_on_keys_says_which() {
    let (mut on_table, mut on_key) = (0, 0);
    for (name, function) in templates::resources("AWS::Serverless::Function") {
        let policies = function["Policies"].as_sequence().into_iter().flatten();
        let statements = policies.flat_map(|policy| {
            templates::chosen(policy)["Statement"].as_sequence().cloned().unwrap_or_default()
        });
        for statement in statements {
            let text = serde_yaml_ng::to_string(&statement).unwrap();
            let condition = &statement["Condition"];
            if text.contains("KeyTable") && text.contains("dynamodb:") && !text.contains("kms:") {
                on_table += 1;
                let keys = &condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"];
                assert!(keys.is_sequence(), "{name}: {text}");
                assert_eq!(condition["Null"]["dynamodb:LeadingKeys"], "false", "{name}");
            } else if text.contains("kms:") {
                on_key += 1;
                let table = condition["StringEquals"].get("kms:EncryptionContext:table");
                assert!(table.is_some(), "{name}: {text}");
            }
        }
    }
    assert_eq!((on_table, on_key), (13, 5));
}

/// An API with CORS settings drops the CORS headers of its functions, so one without must serve them too.
#[tokio::test]
async fn the_key_set_and_the_discovery_document_are_readable_from_any_origin() {
    let stack = Harness::new(&[]).await;
    let functions = stack.stack.functions();
    for path in ["/auth/jwt/jwks.json", "/auth/.well-known/openid-configuration"] {
        let mut readable = Vec::new();
        for api in ["HttpApi", "PublicApi"] {
            let api = &template()["Resources"][api]["Properties"];
            assert!(api["DefinitionBody"]["paths"][path].get("get").is_some(), "{path}");
            let allowed_origins = vec!["https://example.com".to_owned()];
            let cors = api.get("CorsConfiguration").map(|_| Cors { allowed_origins });
            let gateway = Gateway::new(functions.authorizer.clone(), cors)
                .route(Method::GET, path, Access::Public, &functions.jwks)
                .build()
                .unwrap();
            let request = Request::get(path).header("origin", "https://elsewhere.example");
            let response = gateway.handle(request.body(Bytes::new()).unwrap()).await;
            assert_eq!(response.status(), 200);
            readable.extend(response.headers().get("access-control-allow-origin").cloned());
        }
        assert_eq!(readable, ["*"], "{path}");
    }
}

#[test]
fn every_folder_in_functions_is_deployed() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../functions"));
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let folders: BTreeSet<_> =
        entries.map(|name| format!("functions/{}", name.display())).collect();
    assert_eq!(
        functions().into_iter().map(|function| function.code).collect::<BTreeSet<_>>(),
        folders
    );
}

/// Variables by name, each with what it is set to.
type Variables = BTreeMap<String, Value>;

/// What one part of the template sets.
fn set(properties: &Value) -> Variables {
    let variables = properties["Environment"]["Variables"].as_mapping();
    let variables = variables.into_iter().flatten();
    variables.map(|(name, value)| (text(name), value.clone())).collect()
}

/// Which call reads which variable.
const OWN_VARIABLES: [(&str, &str); 4] = [
    ("init_tracing", bootstrap::metrics::NAMESPACE_VARIABLE),
    ("with_events", bootstrap::EVENT_BUS_VARIABLE),
    ("signing_sessions", bootstrap::SEAL_VARIABLE),
    ("signer", bootstrap::SEAL_VARIABLE),
];

/// Every variable that the code of a function reads; the checker's are in its requests.
fn read_by(function: &Function) -> BTreeSet<&'static str> {
    if function.name == "CheckSettingsFunction" {
        return BTreeSet::from([bootstrap::metrics::NAMESPACE_VARIABLE]);
    }
    let everywhere = SessionConfig::variables().into_iter().chain(bootstrap::TABLE_VARIABLES);
    let mut read: BTreeSet<_> = everywhere.chain(function.own_variables()).collect();
    if function.sources().contains("AuthorizerConfig::from_lookup") {
        read.extend(AuthorizerConfig::variables());
    }
    if function.sources().contains("CoreConfig::from_lookup") {
        read.extend(CoreConfig::variables());
    }
    if function.sources().contains("CreateConfig::from_lookup") {
        read.extend(CreateConfig::variables());
    }
    if function.sources().contains("LogoutConfig::from_lookup") {
        read.extend(LogoutConfig::variables());
    }
    read.insert("AWS_ENDPOINT_URL_DYNAMODB");
    read
}

/// `sam local` sets variables that the template has, and drops all others without a word.
#[test]
fn a_function_is_given_every_variable_that_it_reads_and_no_other() {
    for function in functions() {
        let given = function.environment();
        let given: BTreeSet<_> = given.keys().map(String::as_str).collect();
        assert_eq!(given, read_by(&function), "{}", function.name);
    }
}

/// Names of parameters that a part of the template refers to.
fn parameters_in(part: &Value) -> BTreeSet<String> {
    let all = template()["Parameters"].as_mapping().unwrap().clone();
    let part = serde_yaml_ng::to_string(part).unwrap();
    let words: BTreeSet<_> = part.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    all.keys().map(text).filter(|name| words.contains(name.as_str())).collect()
}

/// What is checked is what the functions get. And where a parameter changes a function, it changes the
/// digest: otherwise no version is published, and the alias goes on serving with the old value.
#[test]
fn the_settings_that_are_checked_are_those_of_the_functions() {
    let settings = &template()["Resources"]["Settings"]["Properties"]["Settings"];
    let settings = settings.as_mapping().unwrap();
    let mut wanted = Variables::new();
    for function in functions() {
        let variables = function.environment().into_iter();
        wanted.extend(variables.filter(|(_, value)| !parameters_in(value).is_empty()));
        if function.name != "CheckSettingsFunction" {
            let properties = &function.resource["Properties"];
            assert_eq!(text(&properties["VersionDescription"]), "Settings.Digest");
            assert!(text(&properties["Description"]).ends_with(" (${Settings.Digest})"));
        }
    }
    let mut checked: Variables =
        settings.iter().map(|(name, value)| (text(name), value.clone())).collect();
    for name in ["Architecture", "Tracing"] {
        assert_eq!(checked.remove(name).as_ref().map(text).as_deref(), Some(name));
    }
    assert_eq!(checked, wanted);
    // Of how a function runs nothing else takes a value from a parameter.
    let globals = template()["Globals"]["Function"].clone();
    for (name, value) in globals.as_mapping().unwrap() {
        let is_known = ["Environment", "Architectures", "Tracing", "DeploymentPreference"];
        assert!(is_known.contains(&&*text(name)) || parameters_in(value).is_empty(), "{name:?}");
    }
}

/// A token lives as long as whoever makes it says.
#[test]
fn the_example_that_makes_tokens_has_the_settings_that_were_checked() {
    let resources = &templates::examples()["Resources"];
    assert_eq!(resources["Protected"]["DependsOn"], "Settings");
    let variables = set(&resources["Protected"]["Properties"]);
    let checked = resources["Settings"]["Properties"]["Settings"].as_mapping().unwrap();
    assert!(
        checked.contains_key("ASSURANCE_LEVEL") && checked.contains_key("ACCESS_TOKEN_TTL_SECONDS")
    );
    for (name, value) in checked {
        assert_eq!(variables.get(&text(name)), Some(value));
    }
}

/// Several websites are one text, and no origin.
#[test]
fn every_api_lets_in_each_website_of_a_list() {
    for template in [template(), templates::examples()] {
        let pattern = text(&template["Parameters"]["WebsiteDomain"]["AllowedPattern"]);
        assert!(pattern.contains("(,("), "{pattern}");
        let resources = template["Resources"].as_mapping().unwrap();
        let apis = resources.values().filter(|it| it["Type"] == "AWS::Serverless::HttpApi");
        for api in apis.filter(|api| api["Properties"].get("CorsConfiguration").is_some()) {
            let cors = templates::chosen(&api["Properties"]["CorsConfiguration"]);
            let Value::Tagged(origins) = &cors["AllowOrigins"] else { panic!("{cors:?}") };
            assert_eq!(origins.tag, "Split");
        }
    }
}

#[test]
fn whatever_has_settings_waits_until_they_are_checked() {
    for table in ["SessionTable", "KeyTable"] {
        assert_eq!(template()["Resources"][table]["DependsOn"], "Settings");
    }
}

/// What a person with an account runs asks every function, and says so where it cannot.
#[test]
fn the_live_check_leaves_no_function_out() {
    let smoke = include_str!("../live/smoke");
    let (_, thirteenth) = smoke.split_once("# Thirteen").unwrap();
    for function in functions() {
        assert!(thirteenth.contains(&function.name), "{}", function.name);
    }
}

#[test]
fn keys_are_looked_after_every_hour_from_the_first_on() {
    let function = &template()["Resources"]["RotateKeysFunction"]["Properties"];
    let schedule = &function["Events"]["Hourly"]["Properties"];
    assert_eq!(schedule["ScheduleExpression"], "rate(1 hour)");
    assert_eq!(schedule["Input"], "{}");
    assert!(schedule.get("StartDate").is_none(), "else a new stack would wait for its first keys");
}

const README: &str = include_str!("../../README.md");
const AUTHORIZER: &str = include_str!("../../docs/authorizer.md");
const CONFIGURATION: &str = include_str!("../../docs/configuration.md");
const CORE: &str = include_str!("../../docs/core.md");
const REVOCATION: &str = include_str!("../../docs/revocation.md");
const SIGN_IN: &str = include_str!("../../docs/sign-in.md");

#[test]
fn every_variable_stands_in_the_table_of_its_document() {
    let session = SessionConfig::variables().into_iter().chain(bootstrap::TABLE_VARIABLES);
    let session = session.chain(OWN_VARIABLES.map(|(_, name)| name));
    let session = session.map(|name| (name, "docs/configuration.md", CONFIGURATION));
    let own = AuthorizerConfig::variables();
    let own = own.into_iter().map(|name| (name, "docs/authorizer.md", AUTHORIZER));
    let core = CoreConfig::variables().into_iter().map(|name| (name, "docs/core.md", CORE));
    let sign_in = CreateConfig::variables();
    let sign_in = sign_in.into_iter().map(|name| (name, "docs/sign-in.md", SIGN_IN));
    let logout = LogoutConfig::variables();
    let logout = logout.into_iter().map(|name| (name, "docs/revocation.md", REVOCATION));
    for (name, file, document) in session.chain(own).chain(core).chain(sign_in).chain(logout) {
        let mut rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
        let is_named = rows.any(|row| row.split(" | ").next().unwrap().contains(name));
        assert!(is_named, "{name} is in no table of {file}");
    }
}

#[test]
fn what_documents_show_of_templates_is_in_templates_that_are_checked() {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let templates = [
        include_str!("../../template.yaml"),
        include_str!("../../examples/template.yaml"),
        include_str!("../../examples/front-doors.yaml"),
        include_str!("../../examples/own-api.yaml"),
    ];
    let templates = templates.map(lines);
    for (file, document, count) in [
        ("README", README, 1),
        ("docs/sign-in.md", SIGN_IN, 1),
        ("docs/authorizer.md", AUTHORIZER, 10),
        ("docs/deployment.md", include_str!("../../docs/deployment.md"), 1),
        ("docs/attach/http-api.md", include_str!("../../docs/attach/http-api.md"), 3),
        ("docs/attach/rest-api.md", include_str!("../../docs/attach/rest-api.md"), 4),
        ("docs/attach/own-domain.md", include_str!("../../docs/attach/own-domain.md"), 1),
    ] {
        let shown: Vec<_> = document.split("```yaml\n").skip(1).collect();
        assert_eq!(shown.len(), count, "{file}");
        for block in shown {
            let block = lines(block.split("```").next().unwrap());
            let mut windows = templates.iter().flat_map(|template| template.windows(block.len()));
            assert!(windows.any(|window| window == block), "{file}: {block:#?}");
        }
    }
}

/// Names and properties of the template's own resources of a type.
fn own_resources(kind: &str) -> Vec<(String, Value)> {
    let resources = template()["Resources"].as_mapping().unwrap().clone();
    let wanted = resources.into_iter().filter(|(_, resource)| resource["Type"] == kind);
    wanted.map(|(name, resource)| (text(&name), resource["Properties"].clone())).collect()
}

/// An alarm on Lambda's own metric would ring for every expired token of a REST API.
#[test]
fn every_authorizer_has_an_alarm_on_faults_and_on_throttling() {
    let alarms = own_resources("AWS::CloudWatch::Alarm").into_iter().map(|(_, alarm)| {
        let watched = text(&alarm["Dimensions"][0]["Value"]);
        (text(&alarm["MetricName"]), watched)
    });
    let alarms: BTreeSet<_> = alarms.collect();
    let filters = own_resources("AWS::Logs::MetricFilter");
    for authorizer in functions().iter().filter(|it| it.code == "functions/authorizer") {
        let name = &authorizer.name;
        assert!(alarms.contains(&("Throttles".to_owned(), name.clone())), "{name}");
        assert!(!alarms.contains(&("Errors".to_owned(), name.clone())), "{name}");
        let logs = text(&authorizer.resource["Properties"]["LoggingConfig"]["LogGroup"]);
        let of_log = filters.iter().find(|(_, filter)| text(&filter["LogGroupName"]) == logs);
        let (_, filter) = of_log.unwrap();
        let metric = text(&filter["MetricTransformations"][0]["MetricName"]);
        assert!(alarms.contains(&(metric, String::new())), "{name}");
        // What the runtime logs of a raised 401, and of nothing else.
        let unauthorized = format!("$.fields.message != \"{:?}\"", Refusal::Unauthorized);
        let pattern = text(&filter["FilterPattern"]);
        assert!(pattern.contains(&unauthorized), "{pattern}");
        // A crash is "error" wherever it happens, not at the start alone.
        for status in ["timeout", "failure", "error"] {
            let ended = format!("|| ($.record.status = \"{status}\")");
            assert!(pattern.contains(&ended), "{pattern}");
        }
    }
}

#[test]
fn the_core_is_open_to_callers_without_a_signature_only_where_it_asks_for_keys() {
    let resources = &template()["Resources"];
    let auth_type = &resources["CoreFunction"]["Properties"]["FunctionUrlConfig"]["AuthType"];
    let Value::Tagged(choice) = auth_type else { panic!("{auth_type:?}") };
    let choice: Vec<_> = choice.value.as_sequence().unwrap().iter().map(text).collect();
    assert_eq!(choice, ["HasCoreKeys", "NONE", "AWS_IAM"]);
    for permission in ["CoreUrlPermission", "CoreInvokePermission"] {
        assert_eq!(resources[permission]["Condition"], "HasCoreKeys");
    }
    for (name, resource) in resources.as_mapping().unwrap() {
        let name = text(name);
        let is_there = resource["Condition"].as_str().is_some_and(|it| it.starts_with("HasCore"));
        assert_eq!(name.starts_with("Core"), is_there, "{name}");
    }
}

#[test]
fn the_alarm_on_reuse_watches_the_metric_that_is_written() {
    let alarm = &template()["Resources"]["ReuseAlarm"]["Properties"];
    let namespace = &template()["Globals"]["Function"]["Environment"]["Variables"]
        [bootstrap::metrics::NAMESPACE_VARIABLE];
    assert_eq!(text(&alarm["Namespace"]), text(namespace));
    assert_ne!(text(namespace), "");
    assert_eq!(alarm["MetricName"], bootstrap::metrics::REUSE_DETECTED);
}

/// What Terraform, CDK and the like define the functions by; docs/attach/terraform-cdk.md has them read it.
#[test]
fn other_tools_give_each_function_what_the_template_gives_it() {
    let globals = &template()["Globals"]["Function"];
    let mut expected = serde_json::Map::new();
    // What checks settings is of CloudFormation alone.
    for function in functions().iter().filter(|it| it.name != "CheckSettingsFunction") {
        let properties = &function.resource["Properties"];
        let setting = |name| properties.get(name).unwrap_or(&globals[name]).as_u64();
        let binary = match function.code.strip_prefix("functions/").unwrap() {
            "core" => "core-driver",
            name => name,
        };
        // Those with a value from a parameter are what a deployer may add.
        let is_fixed = |value: &Value| matches!(value, Value::String(text) if !text.is_empty());
        let variables = set(properties).into_iter().filter(|(_, value)| is_fixed(value));
        let policies = properties["Policies"].as_sequence().unwrap().iter();
        let statements = policies.filter_map(|policy| policy.get("Statement")?.as_sequence());
        expected.insert(
            kebab(function.name.trim_end_matches("Function")),
            serde_json::json!({
                "zip": format!("{binary}/bootstrap.zip"),
                "memory": setting("MemorySize"),
                "timeout": setting("Timeout"),
                "variables": variables.map(|(name, value)| (name, json_of(&value))).collect::<serde_json::Map<_, _>>(),
                "routes": routes_of(&function.name),
                "statements": statements.flatten().map(json_of).collect::<Vec<_>>(),
            }),
        );
    }
    let file = include_str!("../../docs/attach/functions.json");
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let expected = serde_json::Value::Object(expected);
    assert_eq!(file, expected, "docs/attach/functions.json should be\n{expected:#}");
}

/// `StrictAuthorizer` is `strict-authorizer`.
fn kebab(name: &str) -> String {
    let parts = name.split_inclusive(|_: char| true).map(|letter| match letter.to_lowercase() {
        lower if lower == letter => lower,
        lower => format!("-{lower}"),
    });
    parts.collect::<String>().trim_start_matches('-').to_owned()
}

/// Method and path of what the HTTP API asks the function.
fn routes_of(function: &str) -> BTreeSet<String> {
    let paths = &template()["Resources"]["HttpApi"]["Properties"]["DefinitionBody"]["paths"];
    let mut routes = BTreeSet::new();
    for (path, methods) in paths.as_mapping().unwrap() {
        for (method, operation) in templates::chosen(methods).as_mapping().unwrap() {
            let uri = text(&operation["x-amazon-apigateway-integration"]["uri"]);
            if uri.contains(&format!("${{{function}.Arn}}")) {
                routes.insert(format!("{} {}", text(method).to_uppercase(), text(path)));
            }
        }
    }
    routes
}

/// A part of the template that names no resources but the tables.
fn json_of(value: &Value) -> serde_json::Value {
    match value {
        Value::Mapping(members) => {
            members.iter().map(|(name, value)| (text(name), json_of(value))).collect()
        }
        Value::Sequence(values) => values.iter().map(json_of).collect(),
        value => match text(value).as_str() {
            "SessionTable.Arn" => "SESSIONS_TABLE_ARN".into(),
            "KeyTable.Arn" => "KEYS_TABLE_ARN".into(),
            text => text.into(),
        },
    }
}

/// CHANGELOG's newest heading is the rule: the version, then the date of its release or the word unreleased.
#[test]
fn the_newest_heading_of_the_changelog_is_the_version_of_everything() {
    let changelog = include_str!("../../CHANGELOG.md");
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    let (version, _released) = newest.split_once(", ").unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"), "Cargo.toml");
    let application = &template()["Metadata"]["AWS::ServerlessRepo::Application"];
    assert_eq!(application["SemanticVersion"], version, "template.yaml");
    for (file, text) in [
        ("README.md", include_str!("../../README.md")),
        ("docs/rust.md", include_str!("../../docs/rust.md")),
        ("examples/README.md", include_str!("../../examples/README.md")),
    ] {
        let tags = text.split("tag = \"").skip(1).filter_map(|rest| rest.split('"').next());
        let tags: Vec<_> = tags.collect();
        assert!(!tags.is_empty(), "{file} names no tag");
        assert!(tags.iter().all(|tag| *tag == format!("v{version}")), "{file}: {tags:?}");
    }
}
