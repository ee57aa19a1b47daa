//! A model of what stands in front of an authorizer: how each kind of API asks it, what it makes of the
//! result, what it keeps, and what the client sees.
//!
//! The rules are those that AWS states (docs/authorizer.md §1.2 to §1.14); §10 there lists what is assumed
//! where it states none. The HTTP API of the running stack is `local::gateway`; this model adds the other
//! front doors and everything that can be configured around an authorizer.

mod managed;
mod reading;
pub mod shape;

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use lambda_runtime::Diagnostic;
use local::function::{Function, Invoked};
use serde_json::{Map, Value, json};
use session::model::{Clock as _, Timestamp};

pub use self::managed::JwtAuthorizer;
use self::reading::Reading;
use crate::clock::{ManualClock, START};

/// The kind of API, and with it the shapes of event and result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// HTTP API, payload 2.0, simple responses.
    HttpSimple,
    /// HTTP API, payload 2.0, policies.
    HttpPolicy,
    /// HTTP API, payload 1.0.
    Http1,
    /// REST API, type TOKEN, header `Authorization`.
    RestToken,
    /// REST API, type REQUEST.
    RestRequest,
    /// WebSocket API.
    WebSocket,
    /// `AppSync`.
    AppSync,
    /// What `sam local start-api` makes of [`Self::HttpSimple`] (docs/authorizer.md §8).
    SamLocal,
}

/// What must be there before the authorizer is asked, and what results are kept by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IdentitySource {
    /// A header, in any case.
    Header(&'static str),
    /// `$context.routeKey`: method and path.
    RouteKey,
}

/// How a REST API words one of its own answers.
#[derive(Clone, Debug, Default)]
pub struct GatewayResponse {
    /// The status, if it is changed.
    pub status: Option<u16>,
    /// Headers: `'literal'`, or a mapping such as `context.authorizer.key`.
    pub headers: BTreeMap<String, String>,
    /// The body, with `$context.authorizer.key` in it.
    pub template: Option<String>,
}

/// What came of a request.
#[derive(Debug)]
pub struct Outcome {
    /// What the client sees.
    pub response: Response<Bytes>,
    /// What the integration found of the authorizer; `None` if it was not reached.
    pub authorizer: Option<Value>,
}

impl Outcome {
    /// The status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The body as text.
    pub fn body(&self) -> &str {
        std::str::from_utf8(self.response.body()).unwrap()
    }
}

type Integration = Box<dyn Fn(&Value) -> Response<Bytes> + Send + Sync>;

/// One API with one authorizer, and an integration behind it.
pub struct FrontDoor {
    /// Which kind.
    pub kind: Kind,
    /// Identity sources; all must be present.
    pub identity: Vec<IdentitySource>,
    /// How long results are kept; zero keeps none.
    pub ttl: Duration,
    /// TOKEN: the validation expression, if there is one.
    pub validation: Option<fn(&str) -> bool>,
    /// REST: own answers by type, such as `UNAUTHORIZED`.
    pub gateway_responses: BTreeMap<String, GatewayResponse>,
    /// REST: whether the authorizer also guards preflights (`AddDefaultAuthorizerToCorsPreflight`).
    pub guards_preflight: bool,
    /// Whether the API is permitted to invoke the function.
    pub may_invoke: bool,
    /// What results are kept by.
    pub clock: ManualClock,
    /// The integration: from what it finds of the authorizer to its answer.
    pub integration: Integration,
    authorizer: Function,
    kept: Mutex<HashMap<Vec<String>, (Timestamp, Value)>>,
    invocations: AtomicUsize,
}

/// The paths that exist.
const PATHS: [&str; 3] = ["/a", "/b", "/orders"];

/// How long a REST API's method ARN may be, in bytes.
const MAX_ARN: usize = 1600;

impl FrontDoor {
    /// An API without identity sources that keeps nothing; its integration answers 200.
    pub fn new(kind: Kind, authorizer: Function) -> Self {
        Self {
            kind,
            identity: Vec::new(),
            ttl: Duration::ZERO,
            validation: None,
            gateway_responses: BTreeMap::new(),
            guards_preflight: false,
            may_invoke: true,
            clock: ManualClock::at(START),
            integration: Box::new(|_| Response::new(Bytes::from_static(b"served"))),
            authorizer,
            kept: Mutex::default(),
            invocations: AtomicUsize::new(0),
        }
    }

    /// With identity sources, and results kept for that long.
    pub fn keeping(mut self, identity: &[IdentitySource], ttl: Duration) -> Self {
        (self.identity, self.ttl) = (identity.to_vec(), ttl);
        self
    }

    /// How often the authorizer was invoked since the last call of this method.
    pub fn take_invocations(&self) -> usize {
        self.invocations.swap(0, Ordering::SeqCst)
    }

    /// Sends one request.
    pub async fn send(&self, request: &Request<Bytes>) -> Outcome {
        if let Some(refusal) = self.refused_early(request) {
            return refusal;
        }
        let identity: Vec<_> = self.identity.iter().filter_map(|one| one.value(request)).collect();
        let is_complete = identity.len() == self.identity.len();
        let must_be_complete = match self.kind {
            Kind::RestRequest => !self.ttl.is_zero(),
            _ => true,
        };
        if must_be_complete && !is_complete {
            return self.unauthorized();
        }
        let reading = match self.kept(&identity) {
            Some(result) => self.read(&Ok(result), request),
            None => {
                let result = self.invoke(request).await;
                let reading = self.read(&result, request);
                let is_verdict = matches!(reading, Reading::Allow(_) | Reading::Deny { .. });
                if let Ok(result) = result
                    && is_verdict
                {
                    self.keep(identity, result);
                }
                reading
            }
        };
        self.render(reading)
    }

    /// Requests that never get as far as the authorizer.
    fn refused_early(&self, request: &Request<Bytes>) -> Option<Outcome> {
        let is_known = PATHS.iter().any(|path| request.uri().path().starts_with(path));
        let is_rest = matches!(self.kind, Kind::RestToken | Kind::RestRequest);
        match self.kind {
            Kind::WebSocket | Kind::AppSync => None,
            _ if is_rest && !is_known => {
                Some(self.gateway_answer("MISSING_AUTHENTICATION_TOKEN", &Map::new()))
            }
            _ if !is_known => Some(refusal(404, r#"{"message":"Not Found"}"#)),
            _ if is_rest && shape::rest_api_arn(request).len() > MAX_ARN => {
                Some(refusal(414, r#"{"message":"URI Too Long"}"#))
            }
            _ if is_rest && request.method() == Method::OPTIONS && !self.guards_preflight => {
                Some(refusal(204, ""))
            }
            Kind::RestToken => {
                let token = shape::values(request.headers(), "authorization").join(",");
                let is_valid = self.validation.is_none_or(|is_valid| is_valid(&token));
                (token.is_empty() || !is_valid).then(|| self.unauthorized())
            }
            _ => None,
        }
    }

    async fn invoke(&self, request: &Request<Bytes>) -> Invoked {
        if !self.may_invoke {
            return failed("the API has no permission to invoke the function");
        }
        let event = match self.kind {
            Kind::HttpSimple | Kind::HttpPolicy => shape::http_api_2(request),
            Kind::Http1 => shape::http_api_1(request),
            Kind::RestToken => shape::rest_token(request),
            Kind::RestRequest => shape::rest_request(request),
            Kind::WebSocket => shape::web_socket(request),
            Kind::AppSync => shape::app_sync(request),
            Kind::SamLocal => as_sam_local(request),
        };
        let patience = match self.kind {
            Kind::RestToken | Kind::RestRequest | Kind::WebSocket => Duration::from_secs(29),
            _ => Duration::from_secs(10),
        };
        self.invocations.fetch_add(1, Ordering::SeqCst);
        match tokio::time::timeout(patience, self.authorizer.invoke(event)).await {
            Ok(invoked) => invoked,
            Err(_) => failed("the function takes too long"),
        }
    }

    fn read(&self, invoked: &Invoked, request: &Request<Bytes>) -> Reading {
        match self.kind {
            Kind::HttpSimple | Kind::SamLocal => reading::simple(invoked),
            Kind::HttpPolicy | Kind::Http1 => {
                reading::http_policy(invoked, &shape::http_api_arn(request))
            }
            Kind::RestToken | Kind::RestRequest => {
                reading::strict_policy(invoked, &shape::rest_api_arn(request))
            }
            Kind::WebSocket => reading::strict_policy(invoked, &shape::web_socket_arn()),
            Kind::AppSync => reading::app_sync(invoked),
        }
    }

    /// What was kept for these identities. Policies are evaluated again for each method; a simple verdict
    /// is kept as it was, whatever route it was given for.
    fn kept(&self, identity: &[String]) -> Option<Value> {
        let kept = self.kept.lock().unwrap();
        let (until, result) = kept.get(identity)?;
        (self.clock.now() < *until).then(|| result.clone())
    }

    fn keep(&self, identity: Vec<String>, result: Value) {
        if !self.ttl.is_zero() && !identity.is_empty() {
            let until = self.clock.now().plus(self.ttl);
            self.kept.lock().unwrap().insert(identity, (until, result));
        }
    }

    fn render(&self, reading: Reading) -> Outcome {
        match (self.kind, reading) {
            (_, Reading::Allow(context)) => self.serve(context),
            (Kind::RestToken | Kind::RestRequest, reading) => match reading {
                Reading::Unauthorized => self.unauthorized(),
                Reading::Deny { is_explicit: true, context } => {
                    self.gateway_answer("ACCESS_DENIED", &context)
                }
                Reading::Deny { is_explicit: false, context } => {
                    self.gateway_answer("ACCESS_DENIED_WITHOUT_MATCH", &context)
                }
                Reading::Fault | Reading::Allow(_) => {
                    self.gateway_answer("AUTHORIZER_CONFIGURATION_ERROR", &Map::new())
                }
            },
            (Kind::AppSync, _) => refusal(
                401,
                r#"{"errors":[{"errorType":"UnauthorizedException","message":"You are not authorized to make this call."}]}"#,
            ),
            (Kind::SamLocal, Reading::Deny { .. }) => {
                refusal(403, r#"{"message":"User is not authorized to access this resource"}"#)
            }
            (Kind::SamLocal, _) => refusal(502, r#"{"message":"Internal server error"}"#),
            (_, Reading::Unauthorized) => self.unauthorized(),
            (_, Reading::Deny { .. }) => refusal(403, r#"{"message":"Forbidden"}"#),
            (_, Reading::Fault) => refusal(500, r#"{"message":"Internal Server Error"}"#),
        }
    }

    /// 401, whether the authorizer said so or was not even asked.
    fn unauthorized(&self) -> Outcome {
        match self.kind {
            Kind::RestToken | Kind::RestRequest => self.gateway_answer("UNAUTHORIZED", &Map::new()),
            _ => refusal(401, r#"{"message":"Unauthorized"}"#),
        }
    }

    /// The integration's answer; a WebSocket API's is the open connection.
    fn serve(&self, context: Map<String, Value>) -> Outcome {
        let texts = |context: Map<String, Value>| -> Value {
            let text = |value: Value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let texts = context.into_iter().map(|(name, value)| (name, Value::String(text(value))));
            texts.collect()
        };
        let authorizer = match self.kind {
            Kind::HttpSimple | Kind::HttpPolicy | Kind::SamLocal => json!({ "lambda": context }),
            Kind::Http1 => context.into(),
            Kind::RestToken | Kind::RestRequest | Kind::WebSocket => texts(context),
            Kind::AppSync => json!({ "resolverContext": context }),
        };
        let mut response = (self.integration)(&authorizer);
        if self.kind == Kind::WebSocket {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        Outcome { response, authorizer: Some(authorizer) }
    }

    /// One of a REST API's own answers.
    fn gateway_answer(&self, name: &str, context: &Map<String, Value>) -> Outcome {
        let (configured, status, body) = match name {
            "UNAUTHORIZED" => (name, 401, r#"{"message":"Unauthorized"}"#),
            "ACCESS_DENIED" => (
                name,
                403,
                r#"{"Message":"User is not authorized to access this resource with an explicit deny"}"#,
            ),
            "ACCESS_DENIED_WITHOUT_MATCH" => (
                "ACCESS_DENIED",
                403,
                r#"{"Message":"User is not authorized to access this resource"}"#,
            ),
            "MISSING_AUTHENTICATION_TOKEN" => {
                (name, 403, r#"{"message":"Missing Authentication Token"}"#)
            }
            _ => (name, 500, r#"{"message":"Internal server error"}"#),
        };
        let none = GatewayResponse::default();
        let family = if status < 500 { "DEFAULT_4XX" } else { "DEFAULT_5XX" };
        let found = [configured, family].iter().find_map(|name| self.gateway_responses.get(*name));
        let wording = found.unwrap_or(&none);
        let body = wording
            .template
            .as_ref()
            .map_or_else(|| body.to_owned(), |template| substituted(template, context));
        let mut outcome = refusal(wording.status.unwrap_or(status), &body);
        for (name, value) in &wording.headers {
            let literal = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
            let mapped =
                value.strip_prefix("context.authorizer.").map(|key| text(context.get(key)));
            let value = literal.map(str::to_owned).or(mapped).unwrap_or_default();
            let name: http::HeaderName = name.parse().unwrap();
            outcome.response.headers_mut().insert(name, value.parse().unwrap());
        }
        outcome
    }
}

/// A function that always answers the same.
pub fn returns(answer: Value) -> Function {
    Function::new(move |_: Value| ready(Invoked::Ok(answer.clone())))
}

/// A function that always fails with this message.
pub fn raises(message: &str) -> Function {
    let message = message.to_owned();
    Function::new(move |_: Value| ready(failed(&message)))
}

fn failed(message: &str) -> Invoked {
    let error_type = "Given".to_owned();
    Err(Diagnostic { error_type, error_message: message.to_owned() })
}

impl IdentitySource {
    fn value(self, request: &Request<Bytes>) -> Option<String> {
        let value = match self {
            Self::Header(name) => shape::values(request.headers(), name).join(","),
            Self::RouteKey => format!("{} {}", request.method(), request.uri().path()),
        };
        Some(value).filter(|value| !value.is_empty())
    }
}

/// Plain substitution: nothing is escaped, and what is not there leaves no trace.
fn substituted(template: &str, context: &Map<String, Value>) -> String {
    let mut parts = template.split("$context.authorizer.");
    let mut body = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        let (key, rest) = part.split_at(end);
        body.push_str(&text(context.get(key)));
        body.push_str(rest);
    }
    body
}

fn text(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// `sam local` keeps the client's spelling, leaves cookies in the headers too, and writes nulls.
fn as_sam_local(request: &Request<Bytes>) -> Value {
    let mut event = shape::http_api_2(request);
    event["headers"] = shape::rest_request(request)["headers"].clone();
    for absent in ["cookies", "queryStringParameters", "pathParameters", "stageVariables"] {
        if event.get(absent).is_none() {
            event[absent] = Value::Null;
        }
    }
    event
}

fn refusal(status: u16, body: &str) -> Outcome {
    let mut response = Response::new(Bytes::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    Outcome { response, authorizer: None }
}
