//! The events of every front door, as they come: members may be missing or null (docs/authorizer.md §1.2).
//!
//! One struct per shape, with nothing in it that does not matter for the decision. Each becomes the
//! request that the client sent, so that one verification serves all.

use front_door::{Members, headers};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use serde::Deserialize;
use serde_json::Value;
use session::token::dpop::normal_path;

/// An event that was recognised.
pub struct Event {
    /// Who asks, and so which answers it understands.
    pub front_door: FrontDoor,
    /// What the client sent, as far as a session is concerned. Its path is what the event says of it, for
    /// DPoP proofs only.
    pub request: Request<()>,
}

/// Who asks. `api` is the ARN pattern of everything that one deployed API serves: a verdict holds for a
/// session and not for a route, and a cached policy is applied to other routes too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FrontDoor {
    /// An HTTP API, payload 2.0: its answers have one of two forms, which the event does not name.
    HttpApi2 {
        /// Such as `arn:aws:execute-api:eu-west-1:123456789012:abcdef123/$default/*`.
        // Printable: the name of an API, here and below.
        api: String,
    },
    /// An HTTP API, payload 1.0.
    HttpApi1 {
        /// As in [`Self::HttpApi2`].
        api: String,
    },
    /// A REST API, with an authorizer of type TOKEN or REQUEST.
    RestApi {
        /// As in [`Self::HttpApi2`].
        api: String,
    },
    /// A WebSocket API that is being connected to.
    WebSocketApi {
        /// As in [`Self::HttpApi2`].
        api: String,
    },
    /// An `AppSync` API.
    AppSync,
}

impl FrontDoor {
    pub(crate) const fn is_web_socket(&self) -> bool {
        matches!(self, Self::WebSocketApi { .. })
    }
}

/// HTTP API, payload 2.0. Repeated headers are joined by commas; cookies are a list of their own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpApi2 {
    route_arn: String,
    raw_path: Option<String>,
    headers: Members,
    cookies: Option<Vec<String>>,
    request_context: HttpApi2Context,
}

#[derive(Deserialize)]
struct HttpApi2Context {
    http: HttpApi2Request,
}

#[derive(Deserialize)]
struct HttpApi2Request {
    method: String,
}

/// HTTP API, payload 1.0, and REST API, type REQUEST: headers as the client spelt them, repeated ones in
/// `multiValueHeaders`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MethodRequest {
    method_arn: String,
    http_method: String,
    headers: Members,
    multi_value_headers: Members,
    request_context: Option<MethodContext>,
}

impl MethodRequest {
    fn path(&self) -> &str {
        self.request_context.as_ref().and_then(|it| it.path.as_deref()).unwrap_or_default()
    }
}

/// The path with the stage or the mapping's key, as the client wrote it.
#[derive(Deserialize)]
struct MethodContext {
    path: Option<String>,
}

/// REST API, type TOKEN: one header's value and nothing else.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    method_arn: String,
    authorization_token: Option<String>,
}

/// WebSocket API, route `$connect`. A handshake is a GET; browsers can set no header on it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connect {
    method_arn: String,
    headers: Members,
    multi_value_headers: Members,
    query_string_parameters: Members,
}

/// `AppSync`: the token without a scheme, and all headers. It is asked by POST.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppSync {
    authorization_token: String,
    request_headers: Members,
}

impl Event {
    /// Recognises an event; `None` if it is of no known shape. The order matters (docs/authorizer.md §1.3).
    #[must_use]
    pub fn recognise(event: &Value) -> Option<Self> {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        match (text("type"), text("version")) {
            (Some("TOKEN"), _) => rest_token(event),
            (_, Some("2.0")) => http_api_2(event),
            (_, Some("1.0")) => http_api_1(event),
            (Some("REQUEST"), _) if is_connect(event) => web_socket(event),
            (Some("REQUEST"), _) => rest_request(event),
            (None, _) => app_sync(event),
            (Some(_), _) => None,
        }
    }
}

fn rest_token(event: &Value) -> Option<Event> {
    let Token { method_arn, authorization_token } = Token::deserialize(event).ok()?;
    let (_, method) = whole_api(&method_arn)?;
    let mut headers = HeaderMap::new();
    authorize(&mut headers, &authorization_token.unwrap_or_default());
    event_of(|api| FrontDoor::RestApi { api }, &method_arn, method, "", headers)
}

fn http_api_2(event: &Value) -> Option<Event> {
    let HttpApi2 { route_arn, raw_path, headers, cookies, request_context } =
        HttpApi2::deserialize(event).ok()?;
    let headers = front_door::headers(headers, None, cookies);
    let (method, path) = (request_context.http.method, raw_path.unwrap_or_default());
    event_of(|api| FrontDoor::HttpApi2 { api }, &route_arn, &method, &path, headers)
}

fn http_api_1(event: &Value) -> Option<Event> {
    method_request(|api| FrontDoor::HttpApi1 { api }, event)
}

fn rest_request(event: &Value) -> Option<Event> {
    method_request(|api| FrontDoor::RestApi { api }, event)
}

fn method_request(front_door: impl FnOnce(String) -> FrontDoor, event: &Value) -> Option<Event> {
    let request = MethodRequest::deserialize(event).ok()?;
    let path = request.path().to_owned();
    let headers = headers(request.headers, request.multi_value_headers, None);
    event_of(front_door, &request.method_arn, &request.http_method, &path, headers)
}

/// By what API Gateway says, never by the path, which a client can choose where a route is greedy.
fn is_connect(event: &Value) -> bool {
    event.pointer("/requestContext/eventType").and_then(Value::as_str) == Some("CONNECT")
}

fn web_socket(event: &Value) -> Option<Event> {
    let connect = Connect::deserialize(event).ok()?;
    let mut headers = headers(connect.headers, connect.multi_value_headers, None);
    // The one place where a script in a browser can put a token (RFC 6750 §2.3).
    let parameters = connect.query_string_parameters.unwrap_or_default();
    if let Some(token) = parameters.get("access_token").and_then(Value::as_str)
        && !headers.contains_key(header::AUTHORIZATION)
    {
        authorize(&mut headers, &format!("Bearer {token}"));
    }
    let front_door = |api| FrontDoor::WebSocketApi { api };
    event_of(front_door, &connect.method_arn, Method::GET.as_str(), "", headers)
}

fn app_sync(event: &Value) -> Option<Event> {
    let AppSync { authorization_token, request_headers } = AppSync::deserialize(event).ok()?;
    let mut headers = headers(request_headers, None, None);
    let has_scheme = ["Bearer ", "DPoP "].iter().any(|it| authorization_token.starts_with(it));
    let scheme = if has_scheme { "" } else { "Bearer " };
    authorize(&mut headers, &format!("{scheme}{authorization_token}"));
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("/graphql");
    *request.headers_mut() = headers;
    Some(Event { front_door: FrontDoor::AppSync, request })
}

fn event_of(
    front_door: impl FnOnce(String) -> FrontDoor,
    arn: &str,
    method: &str,
    path: &str,
    headers: HeaderMap,
) -> Option<Event> {
    let (api, _) = whole_api(arn)?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method.to_uppercase().as_bytes()).ok()?;
    // A path that is no URI's proves nothing, and decides nothing else.
    *request.uri_mut() = normal_path(path).parse().unwrap_or_default();
    *request.headers_mut() = headers;
    Some(Event { front_door: front_door(api), request })
}

/// `arn:…:apiId/stage/METHOD/path` as the pattern `arn:…:apiId/stage/*` and the method.
fn whole_api(arn: &str) -> Option<(String, &str)> {
    // The path may contain colons and slashes of its own.
    let target = arn.splitn(6, ':').nth(5)?;
    let prefix = arn.strip_suffix(target)?;
    let mut segments = target.splitn(4, '/');
    let (api, stage, method) = (segments.next()?, segments.next()?, segments.next()?);
    Some((format!("{prefix}{api}/{stage}/*"), method))
}

/// Sets the credentials; none if HTTP does not allow them.
fn authorize(headers: &mut HeaderMap, value: &str) {
    headers.remove(header::AUTHORIZATION);
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_covers_the_whole_stage_and_keeps_the_partition() {
        let whole = |arn| whole_api(arn).map(|(api, method)| (api, method.to_owned()));
        let get = |api: &str| Some((api.to_owned(), "GET".to_owned()));
        for (arn, expected) in [
            (
                "arn:aws:execute-api:eu-west-1:123456789012:abc/$default/GET/orders/7",
                get("arn:aws:execute-api:eu-west-1:123456789012:abc/$default/*"),
            ),
            (
                "arn:aws-cn:execute-api:cn-north-1:123456789012:abc/v1/GET/a:b/c:d",
                get("arn:aws-cn:execute-api:cn-north-1:123456789012:abc/v1/*"),
            ),
            (
                "arn:aws:execute-api:eu-west-1:123456789012:abc/v1/GET/",
                get("arn:aws:execute-api:eu-west-1:123456789012:abc/v1/*"),
            ),
            ("arn:aws:execute-api:eu-west-1:123456789012:abc", None),
            ("abc/v1/GET/orders", None),
            ("", None),
        ] {
            assert_eq!(whole(arn), expected, "{arn}");
        }
    }
}
