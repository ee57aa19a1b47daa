//! A model of an API Gateway HTTP API, as far as the session contract touches it.
//!
//! Routes, the authorizer step with its three answers, CORS in the gateway's hands, limits. Bodies and
//! status codes are those of the service (docs/authorizer.md §1.5, §1.8, §1.9).

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::event::{self, Incoming, LOCAL};
use crate::function::{Function, Invoked};

/// Request line and headers together, in bytes (HTTP API quota).
const MAX_HEADER_BYTES: usize = 10_240;

/// A request's body, in bytes (HTTP API quota).
pub const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// Whether a route asks the authorizer first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Only whom the authorizer lets through.
    Authorized,
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    routes: matchit::Router<HashMap<Method, Route>>,
    pending: HashMap<String, HashMap<Method, Route>>,
    authorizer: Function,
    cors: Option<Cors>,
}

#[derive(Clone, Debug)]
struct Route {
    key: String,
    access: Access,
    function: Function,
}

/// The gateway's CORS configuration; with one, CORS headers of functions are dropped.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Origins that may read answers and send credentials.
    pub allowed_origins: Vec<String>,
}

/// What clients may send (contract §7.7).
const ALLOWED_HEADERS: &str =
    "rid, fdi-version, anti-csrf, authorization, st-auth-mode, dpop, content-type";
const ALLOWED_METHODS: &str = "GET, POST, PUT, PATCH, DELETE, OPTIONS";
const EXPOSED_HEADERS: &str =
    "front-token, anti-csrf, st-access-token, st-refresh-token, dpop-nonce";

impl Gateway {
    /// A gateway without routes.
    #[must_use]
    pub fn new(authorizer: Function, cors: Option<Cors>) -> Self {
        Self { routes: matchit::Router::new(), pending: HashMap::new(), authorizer, cors }
    }

    /// Adds a route; `path` may contain `{parameters}`.
    #[must_use]
    pub fn route(mut self, method: Method, path: &str, access: Access, to: &Function) -> Self {
        self.add(method, path, access, to);
        self
    }

    /// As [`Self::route`], of a gateway in the making.
    pub fn add(&mut self, method: Method, path: &str, access: Access, to: &Function) {
        let route = Route { key: format!("{method} {path}"), access, function: to.clone() };
        self.pending.entry(path.to_owned()).or_default().insert(method, route);
    }

    /// Completes the route table.
    ///
    /// # Errors
    ///
    /// If two paths cannot be told apart.
    pub fn build(mut self) -> anyhow::Result<Self> {
        for (path, methods) in self.pending.drain() {
            self.routes.insert(path, methods)?;
        }
        Ok(self)
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let origin = request.headers().get(header::ORIGIN).cloned();
        if let Some(cors) = &self.cors
            && request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::NO_CONTENT;
            cors.allow(origin.as_ref(), response.headers_mut());
            return response;
        }
        let mut response = self.dispatch(&request).await;
        if let Some(cors) = &self.cors {
            cors.allow(origin.as_ref(), response.headers_mut());
        }
        response
    }

    async fn dispatch(&self, request: &Request<Bytes>) -> Response<Bytes> {
        if header_bytes(request) > MAX_HEADER_BYTES {
            return message(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "Request Header Fields Too Large",
            );
        }
        if request.body().len() > MAX_BODY_BYTES {
            return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        }
        let path = request.uri().path();
        let path = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
        let Ok(found) = self.routes.at(path) else {
            return not_found();
        };
        let Some(route) = found.value.get(request.method()) else {
            return not_found();
        };
        let parameters = found.params.iter().map(|(name, value)| (name.to_owned(), value.into()));
        let incoming = Incoming {
            api: LOCAL,
            request,
            route_key: &route.key,
            path_parameters: parameters.collect::<Map<_, _>>(),
        };

        let authorizer = match route.access {
            Access::Public => None,
            Access::Authorized => {
                let verdict = self.authorizer.invoke(incoming.authorizer_event()).await;
                match authorize(verdict) {
                    Ok(context) => Some(json!({ "lambda": context })),
                    Err(refusal) => return *refusal,
                }
            }
        };
        let answer = route.function.invoke(incoming.integration_event(authorizer)).await;
        match answer.map(event::response) {
            Ok(Some(response)) => response,
            Ok(None) => fault("the function's answer is malformed"),
            Err(error) => fault(&error.error_message),
        }
    }
}

impl Cors {
    fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        for name in [
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
        ] {
            headers.remove(name);
        }
        let Some(origin) = origin else { return };
        if !self.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
            return;
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS),
            (header::VARY, "Origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// What the gateway makes of the authorizer's answer: go on with a context, or the client's answer.
fn authorize(verdict: Invoked) -> Result<Value, Box<Response<Bytes>>> {
    let unauthorized = || Box::new(message(StatusCode::UNAUTHORIZED, "Unauthorized"));
    match verdict {
        Ok(answer) => match answer.get("isAuthorized") {
            Some(Value::Bool(true)) => Ok(answer.get("context").cloned().unwrap_or_default()),
            Some(Value::Bool(false)) => Err(Box::new(message(StatusCode::FORBIDDEN, "Forbidden"))),
            None if answer.get("errorMessage") == Some(&json!("Unauthorized")) => {
                Err(unauthorized())
            }
            Some(_) | None => Err(Box::new(fault("the authorizer's answer is malformed"))),
        },
        Err(error) if error.error_message == "Unauthorized" => Err(unauthorized()),
        Err(error) => Err(Box::new(fault(&error.error_message))),
    }
}

fn header_bytes(request: &Request<Bytes>) -> usize {
    let line = request.method().as_str().len() + request.uri().to_string().len() + 12;
    let headers =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    line + headers.sum::<usize>()
}

fn not_found() -> Response<Bytes> {
    message(StatusCode::NOT_FOUND, "Not Found")
}

fn fault(cause: &str) -> Response<Bytes> {
    tracing::error!(cause, "the gateway answers 500");
    message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

fn message(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(json!({ "message": text }).to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
