//! What stands around the functions: the schedule, CORS, authorizers.

use serde_json::{Value, json};
use session::SessionConfig;

use super::Check;
use crate::Call;
use crate::stack::Stack;

/// What the front-end SDKs send, and read (contract §1.1).
const ALLOWED: [&str; 5] = ["rid", "fdi-version", "anti-csrf", "authorization", "st-auth-mode"];
const EXPOSED: [&str; 4] = ["front-token", "anti-csrf", "st-access-token", "st-refresh-token"];

const CHECKS: [&str; 3] = ["schedule", "CORS", "authorizers"];

pub(super) async fn check(call: &Call) -> Vec<Check> {
    let Some(stack) = &call.deployment.stack else {
        let reason = match call.deployment.endpoint() {
            Some(_) => "is of AWS alone",
            None => "name the stack with --stack",
        };
        return CHECKS.map(|check| Check::skipped(check, reason)).into();
    };
    let mut checks = schedules(stack).await;
    let mut of_apis = Vec::new();
    for kind in &KINDS {
        match stack.list(kind.api, None).await {
            Ok(ids) => {
                for id in ids {
                    let found = api(call, stack, kind, &id).await;
                    of_apis.extend(found.unwrap_or_else(|error| {
                        vec![Check::skipped(format!("API {id}"), format!("{error:#}"))]
                    }));
                }
            }
            Err(error) => of_apis.push(Check::skipped("authorizers", format!("{error:#}"))),
        }
    }
    if of_apis.is_empty() {
        let found = "no API of this account and Region asks a function of the stack";
        of_apis.push(Check::skipped("authorizers", found));
    }
    checks.extend(of_apis);
    checks
}

/// What AWS calls APIs and their authorizers, and the property by which these name their API.
struct Kind {
    api: &'static str,
    authorizer: &'static str,
    api_id: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        api: "AWS::ApiGatewayV2::Api",
        authorizer: "AWS::ApiGatewayV2::Authorizer",
        api_id: "ApiId",
    },
    Kind {
        api: "AWS::ApiGateway::RestApi",
        authorizer: "AWS::ApiGateway::Authorizer",
        api_id: "RestApiId",
    },
];

async fn schedules(stack: &Stack) -> Vec<Check> {
    const KIND: &str = "AWS::Scheduler::Schedule";
    let mut checks = Vec::new();
    for (name, id) in stack.all(KIND) {
        let check = format!("schedule {name}");
        let schedule = match stack.properties(KIND, &id).await {
            Ok(schedule) => schedule,
            Err(error) => {
                checks.push(Check::skipped(check, format!("{error:#}")));
                continue;
            }
        };
        let text = |name| schedule.get(name).and_then(Value::as_str).unwrap_or("unknown");
        checks.push(if text("State") == "ENABLED" {
            Check::ok(check, text("ScheduleExpression"))
        } else {
            Check::problem(
                check,
                format!("is {}: keys do not rotate", text("State")),
                "enable it in EventBridge Scheduler",
            )
        });
    }
    if checks.is_empty() {
        checks.push(Check::problem(
            "schedule",
            "the stack has none: keys do not rotate",
            "let a schedule invoke `rotate-keys` every hour, as template.yaml does",
        ));
    }
    checks
}

/// An API, of this stack or of another, as far as it asks a function of this stack.
async fn api(call: &Call, stack: &Stack, kind: &Kind, id: &str) -> anyhow::Result<Vec<Check>> {
    let mut authorizers = Vec::new();
    // Lists need not show all properties.
    for authorizer in stack.list(kind.authorizer, Some(json!({ kind.api_id: id }))).await? {
        let found = stack.properties(kind.authorizer, &authorizer).await?;
        if is_of(stack, &found) {
            authorizers.push(found);
        }
    }
    // One without publishes keys, or is nobody's business.
    if authorizers.is_empty() {
        return Ok(Vec::new());
    }
    let properties = stack.properties(kind.api, id).await?;
    let own = stack.all(kind.api).into_iter().find(|(_, found)| found == id);
    let name = own.map(|(name, _)| name);
    let name = name.or_else(|| Some(properties.get("Name")?.as_str()?.to_owned()));
    let name = name.unwrap_or_else(|| id.to_owned());
    let mut checks = Vec::new();
    let protocol = properties.get("ProtocolType").and_then(Value::as_str);
    // What a REST API answers to preflights is in its methods, and WebSockets know no CORS.
    if protocol == Some("HTTP") {
        checks.push(match call.deployment.config() {
            Ok(config) => cors(&name, properties.get("CorsConfiguration"), &config),
            Err(error) => Check::skipped(format!("CORS of {name}"), format!("{error:#}")),
        });
    }
    checks.extend(authorizers.iter().map(|found| authorizer(&name, protocol, found)));
    Ok(checks)
}

/// Whether an authorizer asks one of the stack's functions, whichever version of it.
fn is_of(stack: &Stack, authorizer: &Value) -> bool {
    let uri = authorizer.get("AuthorizerUri").and_then(Value::as_str).unwrap_or_default();
    let function = uri.split_once(":function:").map(|(_, rest)| rest);
    let name = function.and_then(|rest| rest.split([':', '/']).next());
    name.is_some_and(|name| stack.all("AWS::Lambda::Function").iter().any(|(_, id)| id == name))
}

fn cors(name: &str, cors: Option<&Value>, config: &SessionConfig) -> Check {
    let check = format!("CORS of {name}");
    let Some(cors) = cors else {
        return Check::problem(
            check,
            "is not set up: websites on other origins cannot call it",
            "set CorsConfiguration as template.yaml does, or serve the website from the API's origin",
        );
    };
    let lacks = |member: &str, wanted: &[String]| -> Vec<String> {
        let there = cors.get(member).and_then(Value::as_array).into_iter().flatten();
        let there: Vec<_> = there.filter_map(Value::as_str).collect();
        let is_there =
            |wanted: &&String| there.iter().any(|there| there.eq_ignore_ascii_case(wanted));
        wanted.iter().filter(|wanted| !is_there(wanted)).cloned().collect()
    };
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let origins: Vec<_> =
        config.websites.iter().map(|website| website.origin.to_string()).collect();
    let mut problems = Vec::new();
    if cors.get("AllowCredentials") != Some(&Value::Bool(true)) {
        problems.push("AllowCredentials is not true, so browsers send no cookies".to_owned());
    }
    for (member, wanted) in [
        ("AllowOrigins", origins),
        ("AllowHeaders", texts(&ALLOWED)),
        ("ExposeHeaders", texts(&EXPOSED)),
    ] {
        let lacking = lacks(member, &wanted);
        if !lacking.is_empty() {
            problems.push(format!("{member} lacks {}", lacking.join(", ")));
        }
    }
    if problems.is_empty() {
        return Check::ok(check, "lets in the websites, with cookies and the SDKs' headers");
    }
    Check::problem(check, problems.join("; "), "set CorsConfiguration as template.yaml does")
}

/// `protocol` is none for REST APIs.
fn authorizer(api: &str, protocol: Option<&str>, authorizer: &Value) -> Check {
    let text = |name| authorizer.get(name).and_then(Value::as_str);
    let check = format!("authorizer {} of {api}", text("Name").unwrap_or("without a name"));
    let chapter = match protocol {
        Some("HTTP") => "docs/authorizer.md, 3.1",
        Some(_) => "docs/authorizer.md, 3.5",
        None => "docs/authorizer.md, 3.3",
    };
    let cached = authorizer.get("AuthorizerResultTtlInSeconds").and_then(Value::as_u64);
    // What a REST API is not told it does for five minutes.
    let cached = cached.unwrap_or(if protocol.is_none() { 300 } else { 0 });
    if cached > 0 {
        return Check::problem(
            check,
            format!("its answers are kept for {cached} s, past sign-out and the token's end"),
            format!("set AuthorizerResultTtlInSeconds to 0: {chapter}"),
        );
    }
    if text("Type") == Some("TOKEN") {
        return Check::warning(
            check,
            "is of type TOKEN, which sees one header: cookies do not work",
            format!("attach it with type REQUEST, unless all clients send headers: {chapter}"),
        );
    }
    // A list, or in a REST API a text.
    let has_sources = authorizer.get("IdentitySource").is_some_and(|sources| {
        sources.as_array().map_or_else(|| sources.as_str() != Some(""), |them| !them.is_empty())
    });
    if has_sources {
        return Check::problem(
            check,
            "has an identity source, so requests that lack it never reach the function: cookies or headers \
             do not work",
            format!("attach it without one: {chapter}"),
        );
    }
    Check::ok(check, "no identity source, no cache")
}
