//! Verdicts in the words of each front door (docs/authorizer.md §1.4, §1.11).

use std::borrow::Cow;

use lambda_runtime::Diagnostic;
use serde::{Serialize, Serializer};
use serde_json::Value;
use session::SessionError;
use session::model::Subject;
use session::token::AccessToken;

use crate::event::FrontDoor;

/// What becomes of a request.
pub(crate) enum Verdict {
    /// It goes on.
    Allow {
        /// Whose session it has, if it has one.
        user_id: Option<String>,
        /// What the integration may know of the session.
        context: Context,
    },
    /// 401: the client refreshes and tries again.
    Refresh,
    /// 403: refreshing would not help.
    Forbid {
        /// Whose session it is.
        user_id: String,
        /// What the client should read, as JSON text.
        body: Option<String>,
    },
}

/// What is raised instead of answered. Its `Debug` text is logged by the runtime.
#[derive(Debug)]
pub enum Refusal {
    /// 401 where it cannot be returned: REST and WebSocket APIs.
    Unauthorized,
    /// The event is none that this function understands; 500.
    UnrecognisedEvent,
    /// No decision is possible; 500, and the client keeps its session.
    Fault(SessionError),
}

impl Refusal {
    /// The one text that gateways take for 401; with anything before or after it they answer 500.
    const UNAUTHORIZED: &str = "Unauthorized";
}

/// Stable names: gateways compare the message, queries of logs the type (docs/authorizer.md §1.4).
impl From<Refusal> for Diagnostic {
    fn from(refusal: Refusal) -> Self {
        let (error_type, error_message) = match refusal {
            Refusal::Unauthorized => ("Unauthorized", Refusal::UNAUTHORIZED.to_owned()),
            Refusal::UnrecognisedEvent => ("UnrecognisedEvent", "unrecognised event".to_owned()),
            Refusal::Fault(error) => ("AuthorizerFault", error.to_string()),
        };
        Self { error_type: error_type.to_owned(), error_message }
    }
}

/// The two forms of answer of an HTTP API with payload 2.0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseFormat {
    /// `isAuthorized` and context.
    Simple,
    /// An IAM policy.
    Policy,
}

/// What the integration may know: flat, because REST APIs and `AppSync` take nothing else.
#[derive(Default)]
pub struct Context(Vec<(Cow<'static, str>, Value)>);

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// An IAM policy of one statement.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    statement: [Statement; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: &'static str,
    action: &'static str,
    resource: String,
}

/// What the front door is told.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Answer {
    /// For an HTTP API with simple responses.
    Simple {
        /// Whether the request goes on; if not, 403.
        is_authorized: bool,
        /// For the integration, at `requestContext.authorizer.lambda`, and for access logs.
        context: Context,
    },
    /// For every other API Gateway.
    Policy {
        /// The user.
        principal_id: String,
        /// The IAM policy.
        policy_document: PolicyDocument,
        /// For the integration, at `requestContext.authorizer`, and for gateway responses.
        context: Context,
    },
    /// For `AppSync`.
    #[serde(rename_all = "camelCase")]
    AppSync {
        /// Whether the request goes on; if not, 401.
        is_authorized: bool,
        /// For resolvers, at `identity.resolverContext`.
        resolver_context: Context,
        /// For how many seconds the answer may be kept.
        ttl_override: u32,
    },
    /// For HTTP APIs: 401, so that the client refreshes and tries again.
    Unauthorized {
        /// Exactly the text that the gateway compares with.
        error_message: &'static str,
    },
}

/// Who is let in without a session; a policy must name somebody.
const NOBODY: &str = "anonymous";

/// Says it so that this front door understands; `format` counts where there is a choice.
///
/// # Errors
///
/// [`Refusal::Unauthorized`] where 401 must be raised.
pub(crate) fn answer(
    format: ResponseFormat,
    front_door: FrontDoor,
    verdict: Verdict,
) -> Result<Answer, Refusal> {
    match front_door {
        FrontDoor::HttpApi2 { .. } if format == ResponseFormat::Simple => Ok(match verdict {
            Verdict::Allow { context, .. } => simple(true, context),
            Verdict::Forbid { body, .. } => simple(false, reason(body)),
            Verdict::Refresh => Answer::Unauthorized { error_message: Refusal::UNAUTHORIZED },
        }),
        FrontDoor::HttpApi2 { api } | FrontDoor::HttpApi1 { api } => {
            policy(api, verdict).or_else(|_| {
                // Returned, it leaves errors and their alarm to real faults.
                Ok(Answer::Unauthorized { error_message: Refusal::UNAUTHORIZED })
            })
        }
        FrontDoor::RestApi { api } | FrontDoor::WebSocketApi { api } => policy(api, verdict),
        FrontDoor::AppSync => Ok(match verdict {
            Verdict::Allow { context, .. } => app_sync(true, context),
            Verdict::Forbid { body, .. } => app_sync(false, reason(body)),
            Verdict::Refresh => app_sync(false, Context::default()),
        }),
    }
}

fn simple(is_authorized: bool, context: Context) -> Answer {
    Answer::Simple { is_authorized, context }
}

fn policy(api: String, verdict: Verdict) -> Result<Answer, Refusal> {
    let (effect, principal_id, context) = match verdict {
        Verdict::Allow { user_id, context } => {
            ("Allow", user_id.unwrap_or_else(|| NOBODY.to_owned()), context)
        }
        Verdict::Forbid { user_id, body } => ("Deny", user_id, reason(body)),
        Verdict::Refresh => return Err(Refusal::Unauthorized),
    };
    let statement = Statement { effect, action: "execute-api:Invoke", resource: api };
    let policy_document = PolicyDocument { version: "2012-10-17", statement: [statement] };
    Ok(Answer::Policy { principal_id, policy_document, context })
}

/// Not to be kept: `AppSync` keeps answers by token alone, past the token's end, and cookie clients all
/// send the same text there.
fn app_sync(is_authorized: bool, context: Context) -> Answer {
    let text = |value: Value| if value.is_string() { value } else { value.to_string().into() };
    let texts = context.0.into_iter().map(|(name, value)| (name, text(value)));
    Answer::AppSync { is_authorized, resolver_context: Context(texts.collect()), ttl_override: 0 }
}

/// What the integration learns of a session: with the `chosen` claims, or with the complete payload.
///
/// All of it comes from the token, so the token's 8 KiB bound it. Texts, numbers and booleans stay what
/// they are, what is nested becomes JSON text, and null is left out.
pub(crate) fn context(token: AccessToken, chosen: Option<&[String]>) -> Context {
    let AccessToken { claims, mut payload } = token;
    let Subject { user_id, recipe_user_id, tenant_id } = claims.subject;
    let mut context: Vec<(Cow<'static, str>, Value)> = vec![
        ("userId".into(), user_id.as_str().into()),
        ("recipeUserId".into(), recipe_user_id.as_str().into()),
        ("tenantId".into(), tenant_id.as_str().into()),
        ("sessionHandle".into(), claims.session_handle.into()),
        ("expiry".into(), claims.expires_at.as_secs().into()),
    ];
    match chosen {
        None => context.push((PAYLOAD.into(), Value::Object(payload).to_string().into())),
        Some(names) => {
            let found = names.iter().filter_map(|name| payload.remove_entry(name));
            context.extend(found.filter_map(|(name, value)| Some((name.into(), flat(value)?))));
        }
    }
    Context(context)
}

/// The key of the complete payload, as JSON text.
const PAYLOAD: &str = "accessTokenPayload";

/// The key of the complete 403 body, as JSON text, for gateway responses.
const BODY: &str = "body";

/// Keys that no claim may take: ours, and those that API Gateway itself puts beside them.
pub(crate) const RESERVED_KEYS: [&str; 9] = [
    "userId",
    "recipeUserId",
    "tenantId",
    "sessionHandle",
    "expiry",
    PAYLOAD,
    BODY,
    "claims",
    "principalId",
];

fn flat(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value),
        Value::Array(_) | Value::Object(_) => Some(Value::String(value.to_string())),
    }
}

fn reason(body: Option<String>) -> Context {
    Context(body.map(|body| (BODY.into(), body.into())).into_iter().collect())
}
