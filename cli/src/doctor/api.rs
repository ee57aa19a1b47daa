//! What stands around the functions: the schedule, CORS, authorizers.

use serde_json::Value;
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
    let apis = stack.all("AWS::ApiGatewayV2::Api");
    if apis.is_empty() {
        checks.push(Check::skipped("authorizers", "the stack has no HTTP API"));
    }
    for (name, id) in apis {
        match api(call, stack, &name, &id).await {
            Ok(found) => checks.extend(found),
            Err(error) => checks.push(Check::skipped(format!("API {name}"), format!("{error:#}"))),
        }
    }
    checks
}

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

async fn api(call: &Call, stack: &Stack, name: &str, id: &str) -> anyhow::Result<Vec<Check>> {
    let authorizers = stack.authorizers(id).await?;
    // One without authorizers publishes keys, to everybody.
    if authorizers.is_empty() {
        return Ok(Vec::new());
    }
    let properties = stack.properties("AWS::ApiGatewayV2::Api", id).await?;
    let mut checks = vec![match call.deployment.config() {
        Ok(config) => cors(name, properties.get("CorsConfiguration"), &config),
        Err(error) => Check::skipped(format!("CORS of {name}"), format!("{error:#}")),
    }];
    checks.extend(authorizers.iter().map(authorizer));
    Ok(checks)
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

fn authorizer(authorizer: &Value) -> Check {
    let name = authorizer.get("Name").and_then(Value::as_str).unwrap_or("without a name");
    let check = format!("authorizer {name}");
    let sources = authorizer.get("IdentitySource").and_then(Value::as_array);
    let cached = authorizer.get("AuthorizerResultTtlInSeconds").and_then(Value::as_u64);
    if authorizer.get("AuthorizerType").and_then(Value::as_str) != Some("REQUEST") {
        return Check::skipped(check, "is API Gateway's own: docs/authorizer.md, 1.16");
    }
    if sources.is_some_and(|sources| !sources.is_empty()) {
        return Check::problem(
            check,
            "has an identity source, so requests that lack it never reach the function: cookies or headers \
             do not work",
            "attach it without one: docs/authorizer.md, 3.1",
        );
    }
    if let Some(seconds) = cached.filter(|seconds| *seconds > 0) {
        return Check::problem(
            check,
            format!("its answers are kept for {seconds} s, past sign-out and the token's end"),
            "set AuthorizerResultTtlInSeconds to 0: docs/authorizer.md, 3.1",
        );
    }
    Check::ok(check, "no identity source, no cache")
}
