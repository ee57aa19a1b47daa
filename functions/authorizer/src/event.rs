//! The HTTP API authorizer event, payload 2.0, as it comes: any member may be missing or null.

use http::{HeaderName, HeaderValue, Method, Request, header};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The parts of the event that a decision depends on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    version: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    route_arn: Option<String>,
    cookies: Option<Vec<String>>,
    headers: Option<Map<String, Value>>,
    request_context: Option<Context>,
}

#[derive(Debug, Deserialize)]
struct Context {
    http: Option<Http>,
}

#[derive(Debug, Deserialize)]
struct Http {
    method: Option<String>,
}

impl Event {
    /// The request that the event describes; `None` if it is another kind of event.
    ///
    /// Cookies come from the `cookies` list; only if there is none does a `cookie` header count, so
    /// that a gateway which sends both does not look like duplicate cookies.
    pub fn into_request(self) -> Option<Request<()>> {
        let is_ours = self.version.as_deref() == Some("2.0")
            && self.kind.as_deref() == Some("REQUEST")
            && self.route_arn.is_some();
        if !is_ours {
            return None;
        }
        let method = self.request_context?.http?.method?;
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(method.to_uppercase().as_bytes()).ok()?;
        let headers = request.headers_mut();
        let cookies = self.cookies.unwrap_or_default();
        for (name, value) in self.headers.unwrap_or_default() {
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            let value = value.as_str().and_then(|text| HeaderValue::from_str(text).ok());
            let (Some(name), Some(value)) = (name, value) else {
                continue;
            };
            if name != header::COOKIE || cookies.is_empty() {
                headers.append(name, value);
            }
        }
        if let Ok(cookies) = HeaderValue::from_str(&cookies.join("; "))
            && !cookies.is_empty()
        {
            headers.insert(header::COOKIE, cookies);
        }
        Some(request)
    }
}
