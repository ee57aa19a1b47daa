//! The authorizer events that each front door makes of a request (docs/authorizer.md §1.2), and the event
//! files are made of.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use local::event::{Api, Incoming};
use serde_json::{Map, Value, json};

use crate::clock::START;

/// The API of every example.
const API: Api = Api {
    id: "abcdef123",
    domain: "api.example.com",
    source_ip: "192.0.2.1",
    request_id: "example",
    time: "14/Nov/2023:22:13:20 +0000",
    time_epoch: START.as_millis(),
};

/// HTTP API, payload 2.0: names in lower case, repeated headers joined, cookies apart.
pub fn http_api_2(request: &Request<Bytes>) -> Value {
    arriving(request, |incoming| incoming.authorizer_event())
}

/// What an integration behind an HTTP API gets.
pub fn integration(request: &Request<Bytes>) -> Value {
    arriving(request, |incoming| incoming.integration_event(None))
}

/// The ARN of one method of an HTTP API.
pub(crate) fn http_api_arn(request: &Request<Bytes>) -> String {
    arriving(request, |incoming| incoming.route_arn())
}

fn arriving<T>(request: &Request<Bytes>, make: impl FnOnce(&Incoming<'_>) -> T) -> T {
    let route_key = &format!("{} {}", request.method(), request.uri().path());
    make(&Incoming { api: API, request, route_key, path_parameters: Map::new() })
}

/// HTTP API, payload 1.0.
pub fn http_api_1(request: &Request<Bytes>) -> Value {
    let mut event = rest_request(request);
    event["version"] = "1.0".into();
    event["methodArn"] = http_api_arn(request).into();
    event["requestContext"]["stage"] = "$default".into();
    // The default stage is in no path.
    event["requestContext"]["path"] = request.uri().path().into();
    let authorization = values(request.headers(), "authorization").join(",");
    event["identitySource"] = authorization.clone().into();
    event["authorizationToken"] = authorization.into();
    event
}

/// REST API, type TOKEN: the value of one header.
pub fn rest_token(request: &Request<Bytes>) -> Value {
    json!({
        "type": "TOKEN",
        "authorizationToken": values(request.headers(), "authorization").join(","),
        "methodArn": rest_api_arn(request),
    })
}

/// REST API, type REQUEST: names as clients spell them, the last value in `headers`, all of them in
/// `multiValueHeaders`.
pub fn rest_request(request: &Request<Bytes>) -> Value {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let (headers, multi_value_headers) = both(request.headers());
    json!({
        "type": "REQUEST",
        "methodArn": rest_api_arn(request),
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": multi_value_headers,
        "queryStringParameters": query(request),
        "multiValueQueryStringParameters": null,
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef123",
            "httpMethod": method,
            "identity": { "sourceIp": "192.0.2.1" },
            "path": format!("/v1{path}"),
            "requestId": "example",
            "requestTimeEpoch": START.as_millis(),
            "resourcePath": path,
            "stage": "v1",
        },
    })
}

/// What an integration behind an HTTP API gets with payload 1.0.
pub(crate) fn integration_1(request: &Request<Bytes>) -> Value {
    let mut event = proxied(request);
    event["version"] = "1.0".into();
    event["requestContext"]["stage"] = "$default".into();
    event
}

/// What an integration behind a REST API gets: as [`rest_request`], without what is for authorizers.
pub fn proxied(request: &Request<Bytes>) -> Value {
    let mut event = rest_request(request);
    if let Some(members) = event.as_object_mut() {
        members.retain(|name, _| name != "type" && name != "methodArn");
    }
    event["body"] = Value::Null;
    event["isBase64Encoded"] = false.into();
    event
}

/// What a load balancer makes of a request: names in lower case, headers once or as lists, never both.
pub fn load_balancer(request: &Request<Bytes>, is_multi: bool) -> Value {
    let mut headers = Map::new();
    for name in request.headers().keys() {
        let values = values(request.headers(), name.as_str());
        let value = if is_multi { json!(values) } else { values.last().cloned().into() };
        headers.insert(name.to_string(), value);
    }
    // It adds what it saw to what the client claims.
    let hops = "203.0.113.9, 192.0.2.1";
    let hops = if is_multi { json!([hops]) } else { json!(hops) };
    headers.insert("x-forwarded-for".to_owned(), hops);
    let group =
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/signin/0123456789abcdef";
    let headers_name = if is_multi { "multiValueHeaders" } else { "headers" };
    json!({
        "requestContext": { "elb": { "targetGroupArn": group } },
        "httpMethod": request.method().as_str(),
        "path": request.uri().path(),
        headers_name: headers,
        "body": "",
        "isBase64Encoded": false,
    })
}

/// WebSocket API, `$connect`: neither method nor path.
pub fn web_socket(request: &Request<Bytes>) -> Value {
    let (headers, multi_value_headers) = both(request.headers());
    json!({
        "type": "REQUEST",
        "methodArn": web_socket_arn(),
        "headers": headers,
        "multiValueHeaders": multi_value_headers,
        "queryStringParameters": query(request),
        "requestContext": {
            "apiId": "abcdef123",
            "connectionId": "L0SM9cOFvHcCIhw=",
            "connectedAt": START.as_millis(),
            "domainName": "ws.example.com",
            "eventType": "CONNECT",
            "extendedRequestId": "example",
            "identity": { "sourceIp": "192.0.2.1" },
            "messageDirection": "IN",
            "requestId": "example",
            "requestTime": "14/Nov/2023:22:13:20 +0000",
            "requestTimeEpoch": START.as_millis(),
            "routeKey": "$connect",
            "stage": "v1",
        },
    })
}

/// `AppSync`: the token apart, and all headers.
pub fn app_sync(request: &Request<Bytes>) -> Value {
    let headers: Map<_, _> = request
        .headers()
        .keys()
        .map(|name| (name.to_string(), values(request.headers(), name.as_str()).join(",").into()))
        .collect();
    json!({
        "authorizationToken": values(request.headers(), "authorization").join(","),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghijklmnopqrstuvwxyz",
            "operationName": null,
            "queryString": "query Me { me { id } }",
            "requestId": "example",
            "variables": {},
        },
        "requestHeaders": headers,
    })
}

/// The ARN of one method of a REST API.
pub(crate) fn rest_api_arn(request: &Request<Bytes>) -> String {
    format!("{STAGE}/{}{}", request.method(), request.uri().path())
}

/// The ARN of connecting to a WebSocket API.
pub(crate) fn web_socket_arn() -> String {
    format!("{STAGE}/$connect")
}

/// The stage of every REST and WebSocket API.
const STAGE: &str = "arn:aws:execute-api:eu-west-1:123456789012:abcdef123/v1";

/// A header's values as texts; bytes that are no text are replaced, as JSON cannot carry them.
pub(crate) fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.get_all(name).iter().map(text).collect()
}

fn both(headers: &HeaderMap) -> (Map<String, Value>, Map<String, Value>) {
    let (mut single, mut multiple) = (Map::new(), Map::new());
    for name in headers.keys() {
        let values = values(headers, name.as_str());
        let name = spelt(name.as_str());
        single.insert(name.clone(), values.last().cloned().into());
        multiple.insert(name, values.into());
    }
    (single, multiple)
}

/// `user-agent` as most clients write it over HTTP/1.1: `User-Agent`.
fn spelt(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

fn query(request: &Request<Bytes>) -> Value {
    let pairs = request.uri().query().into_iter().flat_map(|query| query.split('&'));
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    let query: Map<_, _> = pairs.map(|(name, value)| (name.to_owned(), value.into())).collect();
    if query.is_empty() { Value::Null } else { query.into() }
}
