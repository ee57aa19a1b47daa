//! HTTP into payload 2.0 events, and the functions' answers back into HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The API that a request arrives at: what its events say and the request does not.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// Its id.
    pub id: &'static str,
    /// The host that clients reach it by.
    pub domain: &'static str,
    /// Where requests come from.
    pub source_ip: &'static str,
    /// The id of every request.
    pub request_id: &'static str,
    /// When requests arrive, in the gateway's own spelling.
    pub time: &'static str,
    /// The same in milliseconds.
    pub time_epoch: u64,
}

/// The API of the stack on this machine.
pub(crate) const LOCAL: Api = Api {
    id: "local",
    domain: "localhost",
    source_ip: "127.0.0.1",
    request_id: "local",
    time: "01/Jan/1970:00:00:00 +0000",
    time_epoch: 0,
};

/// A documentation value: there is no account behind this gateway.
const ACCOUNT: &str = "123456789012";

/// The parts that the events of one request share.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Where it arrives.
    pub api: Api,
    /// The request.
    pub request: &'a Request<Bytes>,
    /// `METHOD /path/{parameter}`.
    pub route_key: &'a str,
    /// The values of the route's parameters.
    pub path_parameters: Map<String, Value>,
}

impl Incoming<'_> {
    /// The authorizer's event.
    #[must_use]
    pub fn authorizer_event(&self) -> Value {
        let mut event = self.common();
        if let Some(event) = event.as_object_mut() {
            event.insert("type".to_owned(), "REQUEST".into());
            event.insert("routeArn".to_owned(), self.route_arn().into());
        }
        event
    }

    /// The ARN of the method and path that are asked for.
    #[must_use]
    pub fn route_arn(&self) -> String {
        let (api, method, path) = (self.api.id, self.request.method(), self.request.uri().path());
        format!("arn:aws:execute-api:eu-west-1:{ACCOUNT}:{api}/$default/{method}{path}")
    }

    /// The integration's event; `authorizer` is what is known of the caller.
    #[must_use]
    pub fn integration_event(&self, authorizer: Option<Value>) -> Value {
        let mut event = self.common();
        let body = self.request.body();
        if let Some(event) = event.as_object_mut() {
            if let Some(Value::Object(request)) = event.get_mut("requestContext")
                && let Some(authorizer) = authorizer
            {
                request.insert("authorizer".to_owned(), authorizer);
            }
            let (text, is_base64) = match std::str::from_utf8(body) {
                Ok(text) => (text.to_owned(), false),
                Err(_) => (STANDARD.encode(body), true),
            };
            if !body.is_empty() {
                event.insert("body".to_owned(), text.into());
            }
            event.insert("isBase64Encoded".to_owned(), is_base64.into());
        }
        event
    }

    fn common(&self) -> Value {
        let Self { api, request, .. } = self;
        let path = request.uri().path();
        let (headers, cookies) = split(request.headers(), api.domain);
        let agent = headers.get("user-agent").cloned().unwrap_or_default();
        let mut event = json!({
            "version": "2.0",
            "routeKey": self.route_key,
            "rawPath": path,
            "rawQueryString": request.uri().query().unwrap_or_default(),
            "headers": headers,
            "requestContext": {
                "accountId": ACCOUNT,
                "apiId": api.id,
                "domainName": api.domain,
                "domainPrefix": api.domain.split('.').next(),
                "http": {
                    "method": request.method().as_str(),
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": api.source_ip,
                    "userAgent": agent,
                },
                "requestId": api.request_id,
                "routeKey": self.route_key,
                "stage": "$default",
                "time": api.time,
                "timeEpoch": api.time_epoch,
            },
        });
        if let Some(event) = event.as_object_mut() {
            if !cookies.is_empty() {
                event.insert("cookies".to_owned(), cookies.into());
            }
            if !self.path_parameters.is_empty() {
                event.insert("pathParameters".to_owned(), self.path_parameters.clone().into());
            }
        }
        event
    }
}

/// Headers with repeated values joined by commas, and cookies apart from them; bytes that are no text
/// are replaced, as JSON cannot carry them.
fn split(headers: &HeaderMap, host: &str) -> (Map<String, Value>, Vec<String>) {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut joined = Map::new();
    for name in headers.keys().filter(|name| **name != header::COOKIE) {
        let values: Vec<_> = headers.get_all(name).iter().map(text).collect();
        joined.insert(name.as_str().to_owned(), values.join(",").into());
    }
    // The gateway writes these itself: what a client sends under their names is not to be believed.
    for (name, value) in [("host", host), ("x-forwarded-proto", "https")] {
        joined.insert(name.to_owned(), value.into());
    }
    let lines = headers.get_all(header::COOKIE).iter().map(text);
    let cookies = lines.flat_map(|line| {
        line.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>()
    });
    (joined, cookies.filter(|cookie| !cookie.is_empty()).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    multi_value_headers: Map<String, Value>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// A function's payload 2.0 answer as HTTP; `None` if it is malformed.
pub(crate) fn response(answer: Value) -> Option<Response<Bytes>> {
    let answer: Answer = serde_json::from_value(answer).ok()?;
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded {
        Bytes::from(STANDARD.decode(body).ok()?)
    } else {
        Bytes::from(body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status_code).ok()?;
    let headers = response.headers_mut();
    for (name, value) in answer.headers.iter().chain(&answer.multi_value_headers) {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let values = match value {
            Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
            Value::String(value) => vec![value.as_str()],
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
        };
        headers.insert(name, HeaderValue::from_str(&values.join(",")).ok()?);
    }
    for cookie in &answer.cookies {
        headers.append(header::SET_COOKIE, HeaderValue::from_str(cookie).ok()?);
    }
    Some(response)
}
