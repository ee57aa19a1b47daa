//! Events into requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Request;
use crate::answer::Form;
use crate::headers::{Members, headers};

/// What an event says besides the request: in the extensions of requests that came through
/// [`crate::run`].
#[derive(Clone, Default)]
pub struct RequestContext {
    /// The address that the request came from.
    pub network: Option<String>,
    /// What the API's authorizer gave along.
    pub authorizer: Map<String, Value>,
}

impl RequestContext {
    /// The context of a request; empty if it came another way.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }
}

/// An event of any form, without what does not matter. What may be absent may also be null.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    headers: Members,
    request_context: Context,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    // Payload 2.0.
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    cookies: Option<Vec<String>>,
    // All others.
    http_method: Option<String>,
    path: Option<String>,
    query_string_parameters: Members,
    multi_value_query_string_parameters: Members,
    multi_value_headers: Members,
}

#[derive(Deserialize)]
struct Context {
    /// Payload 2.0.
    http: Option<Http>,
    /// REST API, or HTTP API with payload 1.0.
    identity: Option<Identity>,
    /// Load balancer.
    elb: Option<Value>,
    authorizer: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    source_ip: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    source_ip: Option<String>,
}

/// The request of an event, and the form of its answer; `None` if the event is no HTTP request.
pub(crate) fn recognise(event: &Value) -> Option<(Request, Form)> {
    let event = Event::deserialize(event).ok()?;
    let Context { http, identity, elb, authorizer } = event.request_context;
    let has_lists = event.multi_value_headers.is_some();
    let headers = headers(event.headers, event.multi_value_headers, event.cookies);
    let parameters = event.multi_value_query_string_parameters.or(event.query_string_parameters);
    let parameters = parameters.unwrap_or_default();
    let (form, method, path, query, network) = if let Some(http) = http {
        let query = event.raw_query_string.unwrap_or_default();
        (Form::Payload2, http.method, event.raw_path?, query, http.source_ip)
    } else if elb.is_some() {
        let form = if has_lists { Form::LoadBalancerOfLists } else { Form::LoadBalancer };
        // As the client wrote it, unlike API Gateway's.
        let query = query(&parameters, str::to_owned);
        (form, event.http_method?, event.path?, query, last_forwarded_for(&headers))
    } else {
        let query =
            query(&parameters, |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
        let network = identity.and_then(|identity| identity.source_ip);
        (Form::Payload1, event.http_method?, event.path?, query, network)
    };

    let body = event.body.unwrap_or_default();
    let decoded = event.is_base64_encoded.unwrap_or_default().then(|| STANDARD.decode(&body).ok());
    let mut request = Request::new(decoded.flatten().map_or_else(|| body.into(), Bytes::from));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = uri(&path, &query)?;
    *request.headers_mut() = headers;
    let mut authorizer = authorizer.unwrap_or_default();
    if let Some(Value::Object(of_a_function)) = authorizer.remove("lambda") {
        authorizer = of_a_function;
    }
    request.extensions_mut().insert(RequestContext { network, authorizer });
    Some((request, form))
}

/// What neither path nor query can contain. `%` can: both may be encoded already.
const UNWRITABLE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Nor can a path what begins a query.
const UNWRITABLE_IN_PATHS: &AsciiSet = &UNWRITABLE.add(b'?');

fn uri(path: &str, query: &str) -> Option<Uri> {
    let path = utf8_percent_encode(path.trim_start_matches('/'), UNWRITABLE_IN_PATHS).to_string();
    let question_mark = if query.is_empty() { "" } else { "?" };
    let query = utf8_percent_encode(query, UNWRITABLE);
    Uri::try_from(format!("/{path}{question_mark}{query}")).ok()
}

/// One value a name, or a list of them.
fn query(parameters: &Map<String, Value>, written: impl Fn(&str) -> String) -> String {
    let pairs = parameters.iter().flat_map(|(name, values)| {
        let list = values.as_array().map(Vec::as_slice).unwrap_or_default();
        let values = values.as_str().into_iter().chain(list.iter().filter_map(Value::as_str));
        values.map(|value| format!("{}={}", written(name), written(value))).collect::<Vec<_>>()
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// The address that the load balancer saw: it adds its own at the end of what the client sent.
fn last_forwarded_for(headers: &HeaderMap) -> Option<String> {
    let list = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    list.rsplit(',').next().map(|address| address.trim().to_owned())
}
