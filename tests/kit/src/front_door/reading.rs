//! What a front door makes of an authorizer's result (docs/authorizer.md §1.4, §1.5).

use local::function::Invoked;
use serde_json::{Map, Value};

/// A verdict as the front door understands it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    /// The request goes on with this context.
    Allow(Map<String, Value>),
    /// 403; `is_explicit` if a statement denies rather than none allowing.
    Deny { is_explicit: bool, context: Map<String, Value> },
    /// 401.
    Unauthorized,
    /// 500: an error, or a result of the wrong form.
    Fault,
}

/// An HTTP API with simple responses.
pub(super) fn simple(invoked: &Invoked) -> Reading {
    match invoked {
        Ok(result) => match (result.get("isAuthorized"), context_of(result, "context")) {
            (Some(Value::Bool(true)), Some(context)) => Reading::Allow(context),
            (Some(Value::Bool(false)), Some(context)) => {
                Reading::Deny { is_explicit: true, context }
            }
            (None, _) if is_unauthorized_object(result) => Reading::Unauthorized,
            _ => Reading::Fault,
        },
        Err(error) => raised(&error.error_message),
    }
}

/// An HTTP API that takes policies.
pub(super) fn http_policy(invoked: &Invoked, arn: &str) -> Reading {
    match invoked {
        Ok(result) if is_unauthorized_object(result) => Reading::Unauthorized,
        Ok(result) => evaluate(result, arn),
        Err(error) => raised(&error.error_message),
    }
}

/// A REST or WebSocket API: a principal and a flat context are demanded, and 401 must be raised. The
/// integration finds the principal in the context.
pub(super) fn strict_policy(invoked: &Invoked, arn: &str) -> Reading {
    let result = match invoked {
        Ok(result) => result,
        Err(error) => return raised(&error.error_message),
    };
    match (&result["principalId"], evaluate(result, arn)) {
        (Value::String(user), Reading::Allow(mut context)) if is_flat(&context) => {
            context.insert("principalId".to_owned(), user.as_str().into());
            Reading::Allow(context)
        }
        (Value::String(_), Reading::Deny { is_explicit, context }) if is_flat(&context) => {
            Reading::Deny { is_explicit, context }
        }
        _ => Reading::Fault,
    }
}

/// `AppSync`: whatever is not a well-formed allow is 401.
pub(super) fn app_sync(invoked: &Invoked) -> Reading {
    let Ok(result) = invoked else {
        return Reading::Unauthorized;
    };
    match (&result["isAuthorized"], context_of(result, "resolverContext")) {
        (Value::Bool(true), Some(context)) if is_flat(&context) => Reading::Allow(context),
        _ => Reading::Unauthorized,
    }
}

/// The text is compared exactly.
fn raised(message: &str) -> Reading {
    if message == "Unauthorized" { Reading::Unauthorized } else { Reading::Fault }
}

fn is_unauthorized_object(result: &Value) -> bool {
    result["errorMessage"] == "Unauthorized"
}

fn context_of(result: &Value, name: &str) -> Option<Map<String, Value>> {
    match result.get(name) {
        None | Some(Value::Null) => Some(Map::new()),
        Some(context) => context.as_object().cloned(),
    }
}

fn is_flat(context: &Map<String, Value>) -> bool {
    context.values().all(|value| value.is_string() || value.is_number() || value.is_boolean())
}

/// An IAM policy against one method: a Deny beats every Allow, and without a match the answer is no.
fn evaluate(result: &Value, arn: &str) -> Reading {
    let statements = result["policyDocument"]["Statement"].as_array();
    let (Some(statements), Some(context)) = (statements, context_of(result, "context")) else {
        return Reading::Fault;
    };
    let has = |effect: &str| {
        statements.iter().any(|statement| {
            statement["Effect"] == effect
                && texts(&statement["Action"]).any(|action| action == "execute-api:Invoke")
                && texts(&statement["Resource"]).any(|pattern| matches(pattern, arn))
        })
    };
    match (has("Deny"), has("Allow")) {
        (true, _) => Reading::Deny { is_explicit: true, context },
        (false, true) => Reading::Allow(context),
        (false, false) => Reading::Deny { is_explicit: false, context },
    }
}

/// One text or a list of them.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value.as_str().into_iter().chain(list.iter().filter_map(Value::as_str))
}

/// `*` stands for any text, slashes included, `?` for one character.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let mut tails = text.char_indices().map(|(at, _)| &text[at..]).chain([""]);
            tails.any(|tail| matches(&pattern[1..], tail))
        }
        Some(expected) => text.chars().next().is_some_and(|first| {
            (expected == '?' || expected == first)
                && matches(&pattern[expected.len_utf8()..], &text[first.len_utf8()..])
        }),
    }
}
